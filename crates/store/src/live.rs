//! The registry in memory, written through to its store, and kept as new as the store's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use skybru_core::{Clock, OrgNumber};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use crate::audit::{Entry, Event};
use crate::registry::RegistryError;
use crate::{Change, Ledger, Registry, RegistryStore, StoreError};

/// A registry that has not been compared with its store for so long is no longer to be relied on, unless somebody says otherwise.
pub const STALE_AFTER: Duration = Duration::from_secs(5);

/// Everything, as of one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// The registry.
    pub registry: Registry,
    /// The number of the last change in it.
    pub sequence: u64,
}

/// What happened since a moment.
#[derive(Debug)]
pub struct Since {
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// The number of the last one.
    pub sequence: u64,
}

/// The right to write. Of all writers on all nodes one holds it at a time; dropping it changes nothing.
#[async_trait]
pub trait Turn: Send {
    /// The number of the last change when the turn began. Nobody else adds one before it ends.
    fn sequence(&self) -> u64;

    /// Makes all of `changes` last, or none of them. Returns the number of the last one.
    async fn commit(self: Box<Self>, changes: &[Change]) -> Result<u64, StoreError>;
}

struct Live {
    registry: Registry,
    sequence: u64,
}

/// Who writes down what is changed.
struct Notes {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
}

/// The registry that token requests read. Readers never wait for the database.
pub struct LiveRegistry {
    store: Arc<dyn RegistryStore>,
    live: RwLock<Live>,
    /// Held by whoever changes `live`, from looking at the store to having applied what was found.
    writer: Mutex<()>,
    /// When it was last known to be as new as the store.
    compared: RwLock<Instant>,
    notes: Option<Notes>,
    followed: AtomicBool,
    stale_after: Duration,
    /// The number of the last change, for those who wait for one.
    changed: watch::Sender<u64>,
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
    /// The store failed; nothing was changed, unless the error says that this is not known.
    #[error("the change could not be stored")]
    Store(#[from] StoreError),
}

impl LiveRegistry {
    /// Reads everything from `store`.
    pub async fn load(store: Arc<dyn RegistryStore>) -> Result<Self, StoreError> {
        let compared = RwLock::new(Instant::now());
        let Snapshot { registry, sequence } = store.load().await?;
        Ok(Self {
            store,
            live: RwLock::new(Live { registry, sequence }),
            writer: Mutex::new(()),
            compared,
            notes: None,
            followed: AtomicBool::new(false),
            stale_after: STALE_AFTER,
            changed: watch::Sender::new(sequence),
        })
    }

    /// The same, with an entry in the audit log for every change that is made here.
    #[must_use]
    pub fn audited(self, ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        Self { notes: Some(Notes { ledger, clock }), ..self }
    }

    /// The same, relied on for so long after it was compared with its store.
    #[must_use]
    pub fn stale_after(self, stale_after: Duration) -> Self {
        Self { stale_after, ..self }
    }

    /// Hears of every change that becomes visible here, whoever made it.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Looks something up. `look` runs under a read lock: it must be quick, and cannot wait.
    pub fn read<T>(&self, look: impl FnOnce(&Registry) -> T) -> T {
        look(&self.live.read().unwrap_or_else(PoisonError::into_inner).registry)
    }

    /// The number of the last change that is visible here.
    pub fn sequence(&self) -> u64 {
        self.live.read().unwrap_or_else(PoisonError::into_inner).sequence
    }

    /// Whether it should have been compared with its store, and was not for too long. A registry that nobody
    /// [follows](Self::follow) is the store's only writer, and never stale.
    pub fn is_stale(&self) -> bool {
        let compared = *self.compared.read().unwrap_or_else(PoisonError::into_inner);
        self.followed.load(Ordering::Relaxed) && compared.elapsed() >= self.stale_after
    }

    /// Decides on changes by looking at the registry, stores them, and only then lets others see them.
    ///
    /// `decide` sees every change that any node has made: the store gives writers turns, and what this node has missed is applied
    /// first. It returns the changes and what the caller wants to know about them. Readers go on.
    pub async fn change<T, E>(&self, decide: impl FnOnce(&Registry) -> Result<(Vec<Change>, T), E>) -> Result<T, ChangeError<E>> {
        self.change_as(None, decide).await
    }

    /// The same; `author` is who did it, for the audit log.
    pub async fn change_as<T, E>(
        &self,
        author: Option<OrgNumber>,
        decide: impl FnOnce(&Registry) -> Result<(Vec<Change>, T), E>,
    ) -> Result<T, ChangeError<E>> {
        let _turn_here = self.writer.lock().await;
        let turn = self.store.turn().await?;
        if turn.sequence() != self.sequence() {
            self.catch_up_in_turn().await?;
        }
        let (changes, answer) = self.read(decide).map_err(ChangeError::Refused)?;
        if changes.is_empty() {
            return Ok(answer);
        }
        // Written down before it is done, so that nothing is done that was not written down.
        self.note(Event::RegistryChanged, author, &changes).await?;
        match turn.commit(&changes).await {
            Ok(sequence) => self.apply(changes, sequence)?,
            Err(error) => {
                if !matches!(error, StoreError::InDoubt { .. }) {
                    self.note(Event::RegistryUnchanged, author, &changes).await?;
                }
                return Err(error.into());
            }
        }
        Ok(answer)
    }

    async fn note(&self, event: Event, author: Option<OrgNumber>, changes: &[Change]) -> Result<(), StoreError> {
        let Some(notes) = &self.notes else { return Ok(()) };
        let mut entry = Entry { author, ..Entry::new(notes.clock.now(), event) };
        entry.changes = changes.iter().map(Change::summary).collect();
        entry.owners = self.read(|registry| changes.iter().flat_map(|change| change.concerns(registry)).collect());
        entry.owners.sort_unstable();
        entry.owners.dedup();
        notes.ledger.note(entry).await
    }

    fn apply(&self, changes: Vec<Change>, sequence: u64) -> Result<(), RegistryError> {
        if changes.is_empty() && sequence == self.sequence() {
            return Ok(());
        }
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            live.registry.apply(change)?;
        }
        live.sequence = sequence;
        drop(live);
        self.changed.send_replace(sequence);
        Ok(())
    }

    /// Applies what other nodes have changed; reads everything anew when that cannot be told.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        let _turn_here = self.writer.lock().await;
        self.catch_up_in_turn().await
    }

    async fn catch_up_in_turn(&self) -> Result<(), StoreError> {
        let asked = Instant::now();
        let since = self.store.changes_after(self.sequence()).await?;
        let applied = match since {
            Some(Since { changes, sequence }) => {
                changes.is_empty() && sequence == self.sequence() || self.apply(changes, sequence).is_ok()
            }
            None => false,
        };
        if !applied {
            tracing::warn!(sequence = self.sequence(), "the registry is read anew");
            let Snapshot { registry, sequence } = self.store.load().await?;
            *self.live.write().unwrap_or_else(PoisonError::into_inner) = Live { registry, sequence };
            self.changed.send_replace(sequence);
        }
        *self.compared.write().unwrap_or_else(PoisonError::into_inner) = asked;
        Ok(())
    }

    /// Keeps up with other nodes, for ever: when the store says that something has changed, and now and then in case it did not.
    pub async fn follow(&self) {
        self.followed.store(true, Ordering::Relaxed);
        loop {
            if let Err(error) = self.catch_up().await {
                tracing::error!(error = &error as &dyn std::error::Error, "the registry cannot be compared with its store");
            }
            // Often enough that one look that fails does not make it stale.
            tokio::select! {
                () = self.store.changed() => {}
                () = tokio::time::sleep(self.stale_after / 4) => {}
            }
        }
    }
}
