//! A store that forgets everything when it is dropped: for tests and for measuring what durability costs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use skybru_protocol::assertion::Fingerprint;

use crate::{AssertionLog, Change, Registry, RegistryStore, StoreError};

/// Registry and assertion log in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    changes: Mutex<Vec<Change>>,
    used: Mutex<HashMap<Fingerprint, i64>>,
}

#[async_trait]
impl RegistryStore for MemoryStore {
    async fn load(&self) -> Result<Registry, StoreError> {
        let mut registry = Registry::default();
        for change in self.changes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            registry.apply(change.clone()).map_err(|problem| StoreError::BrokenRow {
                table: "changes",
                row: "in memory".to_owned(),
                problem: problem.to_string(),
            })?;
        }
        Ok(registry)
    }

    async fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        let mut registry = self.load().await?;
        for change in changes {
            registry.apply(change.clone()).map_err(|problem| StoreError::BrokenRow {
                table: "changes",
                row: "to commit".to_owned(),
                problem: problem.to_string(),
            })?;
        }
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(changes);
        Ok(())
    }
}

#[async_trait]
impl AssertionLog for MemoryStore {
    async fn record_once(&self, assertion: Fingerprint, forgotten_after: i64) -> Result<bool, StoreError> {
        Ok(self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(assertion, forgotten_after).is_none())
    }

    async fn forget(&self, assertion: Fingerprint) -> Result<(), StoreError> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).remove(&assertion);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::conformance;

    #[tokio::test]
    async fn the_memory_store_conforms() {
        let store = Arc::new(MemoryStore::default());
        conformance::registry(store.clone()).await;
        conformance::assertion_log(store).await;
    }
}
