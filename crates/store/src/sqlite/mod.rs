//! SQLite: everything for one node, in one file beside the program.
//!
//! The registry is written with `synchronous = FULL`: it changes seldom and must survive a power cut. The assertion log writes once per
//! token, in groups: one commit a token would cost more than its signature.

mod log;
mod migrate;
mod registry;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::Connection;
use skybru_core::Clock;
use skybru_protocol::assertion::Fingerprint;

use crate::{AssertionLog, Change, Registry, RegistryStore, StoreError};

/// Registry and assertion log in one SQLite file.
pub struct SqliteStore {
    registry: Arc<Mutex<Connection>>,
    log: log::Log,
}

impl SqliteStore {
    /// Opens the file, creating it if it is not there, and brings its schema up to date.
    ///
    /// `clock` tells when used assertions may be forgotten.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let mut registry = connect(path, "FULL")?;
        migrate::run(&mut registry)?;
        let log = log::Log::start(connect(path, "NORMAL")?, clock)?;
        Ok(Self { registry: Arc::new(Mutex::new(registry)), log })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = Arc::clone(&self.registry);
        let run = move || work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(run).await.map_err(|_| StoreError::Closed)?
    }
}

#[async_trait]
impl RegistryStore for SqliteStore {
    async fn load(&self) -> Result<Registry, StoreError> {
        self.blocking(registry::load).await
    }

    async fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        let changes = changes.to_vec();
        self.blocking(move |connection| registry::commit(connection, &changes)).await
    }
}

#[async_trait]
impl AssertionLog for SqliteStore {
    async fn record_once(&self, assertion: Fingerprint, forgotten_after: i64) -> Result<bool, StoreError> {
        self.log.record_once(assertion, forgotten_after).await
    }

    async fn forget(&self, assertion: Fingerprint) -> Result<(), StoreError> {
        self.log.forget(assertion).await
    }
}

fn connect(path: &Path, synchronous: &str) -> Result<Connection, StoreError> {
    let open = |source| StoreError::Database { what: "opening the file", source };
    let connection = Connection::open(path).map_err(open)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(open)?;
    connection.pragma_update(None, "synchronous", synchronous).map_err(open)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(open)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(open)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;
    use skybru_core::ctx::ManualClock;

    fn store(folder: &tempfile::TempDir) -> Arc<SqliteStore> {
        Arc::new(SqliteStore::open(&folder.path().join("skybru.db"), Arc::new(ManualClock::at(1_700_000_000))).unwrap())
    }

    #[tokio::test]
    async fn the_sqlite_store_conforms() {
        let folder = tempfile::tempdir().unwrap();
        conformance::registry(store(&folder)).await;
        conformance::assertion_log(store(&folder)).await;
    }

    #[tokio::test]
    async fn a_used_assertion_is_still_used_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        assert!(store(&folder).record_once(Fingerprint([7; 32]), 1_700_000_130).await.unwrap());
        assert!(!store(&folder).record_once(Fingerprint([7; 32]), 1_700_000_130).await.unwrap());
    }

    #[tokio::test]
    async fn a_used_assertion_is_forgotten_long_after_it_would_be_refused_anyway() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(1_700_000_000));
        let store = SqliteStore::open(&folder.path().join("skybru.db"), clock.clone()).unwrap();
        assert!(store.record_once(Fingerprint([7; 32]), 1_700_000_130).await.unwrap());
        clock.advance(jiff::SignedDuration::from_secs(130 + log::MARGIN_SECONDS + 1));
        assert!(store.record_once(Fingerprint([8; 32]), 1_700_003_000).await.unwrap(), "this write drops what is old");
        assert!(store.record_once(Fingerprint([7; 32]), 1_700_003_000).await.unwrap());
    }

    #[test]
    fn a_file_that_is_no_database_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("skybru.db");
        std::fs::write(&path, "not a database, but long enough to be taken for one at first sight").unwrap();
        assert!(matches!(SqliteStore::open(&path, Arc::new(ManualClock::at(0))), Err(StoreError::Database { .. })));
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(store(&folder));
        let path = folder.path().join("skybru.db");
        connect(&path, "FULL").unwrap().pragma_update(None, "user_version", 999).unwrap();
        assert!(matches!(SqliteStore::open(&path, Arc::new(ManualClock::at(0))), Err(StoreError::Newer { found: 999, .. })));
    }
}
