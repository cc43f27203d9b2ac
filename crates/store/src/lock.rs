//! A lock that one node holds at a time: for work that must not be done twice, such as rotating keys. No node leads.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::StoreError;

/// How often a lock that somebody else holds is asked for again.
const AGAIN: Duration = Duration::from_millis(200);

/// A held lock. Dropping it gives it back; so does the end of the process, however that comes.
#[async_trait]
pub trait Lock: Send + Sync {
    /// Whether it is still held. Ask before each step that must not happen twice: the database may have gone in between.
    async fn is_held(&self) -> bool;
}

/// Gives locks by name.
#[async_trait]
pub trait Locks: Send + Sync {
    /// The lock, or nothing when another holder has it. A holder that died loses it when its connection ends.
    async fn try_lock(&self, name: &str) -> Result<Option<Box<dyn Lock>>, StoreError>;

    /// Waits for the lock as long as `patience`.
    async fn lock(&self, name: &str, patience: Duration) -> Result<Box<dyn Lock>, StoreError> {
        let waiting = async {
            loop {
                if let Some(lock) = self.try_lock(name).await? {
                    return Ok(lock);
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::time::timeout(patience, waiting).await.unwrap_or(Err(StoreError::Late { what: "waiting for a lock" }))
    }
}

/// Locks within one process: enough where one process has the store to itself.
#[derive(Debug, Default, Clone)]
pub struct LocalLocks(Arc<Mutex<HashSet<String>>>);

struct LocalLock {
    all: LocalLocks,
    name: String,
}

#[async_trait]
impl Lock for LocalLock {
    async fn is_held(&self) -> bool {
        true
    }
}

impl Drop for LocalLock {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

#[async_trait]
impl Locks for LocalLocks {
    async fn try_lock(&self, name: &str) -> Result<Option<Box<dyn Lock>>, StoreError> {
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        Ok(fresh.then(|| Box::new(LocalLock { all: self.clone(), name: name.to_owned() }) as Box<dyn Lock>))
    }
}
