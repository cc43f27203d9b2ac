//! A store that forgets everything when it is dropped: for tests and for measuring what durability costs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use skybru_protocol::assertion::Fingerprint;

use crate::{AssertionLog, Change, Registry, RegistryStore, Since, Snapshot, StoreError, Turn};

/// Registry and assertion log in memory. Clones share what they hold, as nodes share a database.
#[derive(Debug, Default, Clone)]
pub struct MemoryStore {
    changes: Arc<Mutex<Vec<Change>>>,
    used: Arc<Mutex<HashMap<Fingerprint, i64>>>,
    writing: Arc<tokio::sync::Mutex<()>>,
    told: Arc<tokio::sync::Notify>,
}

impl MemoryStore {
    fn changes(&self) -> std::sync::MutexGuard<'_, Vec<Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn apply(registry: &mut Registry, change: &Change) -> Result<(), StoreError> {
    registry.apply(change.clone()).map_err(|problem| StoreError::BrokenRow {
        table: "changes",
        row: "in memory".to_owned(),
        problem: problem.to_string(),
    })
}

#[async_trait]
impl RegistryStore for MemoryStore {
    async fn load(&self) -> Result<Snapshot, StoreError> {
        let mut registry = Registry::default();
        let changes = self.changes();
        for change in changes.iter() {
            apply(&mut registry, change)?;
        }
        Ok(Snapshot { registry, sequence: changes.len() as u64 })
    }

    async fn turn(&self) -> Result<Box<dyn Turn>, StoreError> {
        let alone = Arc::clone(&self.writing).lock_owned().await;
        Ok(Box::new(MemoryTurn { store: self.clone(), sequence: self.changes().len() as u64, _alone: alone }))
    }

    async fn changes_after(&self, sequence: u64) -> Result<Option<Since>, StoreError> {
        let changes = self.changes();
        let after = usize::try_from(sequence).ok().and_then(|sequence| changes.get(sequence..));
        Ok(after.map(|after| Since { changes: after.to_vec(), sequence: changes.len() as u64 }))
    }

    async fn changed(&self) {
        // Whoever was told before it listened finds out a moment later.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(100), self.told.notified()).await;
    }
}

struct MemoryTurn {
    store: MemoryStore,
    sequence: u64,
    _alone: tokio::sync::OwnedMutexGuard<()>,
}

#[async_trait]
impl Turn for MemoryTurn {
    fn sequence(&self) -> u64 {
        self.sequence
    }

    async fn commit(self: Box<Self>, changes: &[Change]) -> Result<u64, StoreError> {
        let Snapshot { mut registry, .. } = self.store.load().await?;
        for change in changes {
            apply(&mut registry, change)?;
        }
        self.store.changes().extend_from_slice(changes);
        self.store.told.notify_waiters();
        Ok(self.sequence + changes.len() as u64)
    }
}

#[async_trait]
impl AssertionLog for MemoryStore {
    async fn record_once(&self, assertion: Fingerprint, forgotten_after: i64) -> Result<bool, StoreError> {
        Ok(self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(assertion, forgotten_after).is_none())
    }

    async fn is_used(&self, assertion: Fingerprint) -> Result<bool, StoreError> {
        Ok(self.used.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&assertion))
    }

    async fn forget(&self, assertion: Fingerprint) -> Result<(), StoreError> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).remove(&assertion);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    #[tokio::test]
    async fn the_memory_store_conforms() {
        let store = Arc::new(MemoryStore::default());
        conformance::registry(store.clone()).await;
        conformance::several_nodes(store.clone()).await;
        conformance::assertion_log(store).await;
    }
}
