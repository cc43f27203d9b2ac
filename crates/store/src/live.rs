//! The registry in memory, written through to its store.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Mutex;

use crate::registry::RegistryError;
use crate::{Change, Registry, RegistryStore, StoreError};

/// The registry that token requests read. Readers never wait for the database.
pub struct LiveRegistry {
    store: Arc<dyn RegistryStore>,
    live: RwLock<Registry>,
    /// Held from decision to commit, so that two writers cannot both find a name free.
    writer: Mutex<()>,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError<E> {
    /// The caller's own rules refused it.
    #[error("the change was refused")]
    Refused(E),
    /// It does not fit the registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The store failed; nothing was changed.
    #[error("the change could not be stored")]
    Store(#[from] StoreError),
}

impl LiveRegistry {
    /// Reads everything from `store`.
    pub async fn load(store: Arc<dyn RegistryStore>) -> Result<Self, StoreError> {
        let live = RwLock::new(store.load().await?);
        Ok(Self { store, live, writer: Mutex::new(()) })
    }

    /// Looks something up. `look` runs under a read lock: it must be quick, and cannot wait.
    pub fn read<T>(&self, look: impl FnOnce(&Registry) -> T) -> T {
        look(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Decides on changes by looking at the registry, stores them, and only then lets others see them.
    ///
    /// `decide` returns the changes and what the caller wants to know about them. Writers take turns; readers go on.
    pub async fn change<T, E>(&self, decide: impl FnOnce(&Registry) -> Result<(Vec<Change>, T), E>) -> Result<T, ChangeError<E>> {
        let _turn = self.writer.lock().await;
        let (changes, answer) = self.read(decide).map_err(ChangeError::Refused)?;
        self.store.commit(&changes).await?;
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            live.apply(change)?;
        }
        Ok(answer)
    }
}
