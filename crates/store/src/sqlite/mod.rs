//! SQLite: everything for one node, in one file beside the program.
//!
//! The registry is written with `synchronous = FULL`: it changes seldom and must survive a power cut. The assertion log writes once per
//! token, in groups: one commit a token would cost more than its signature.

mod audit;
mod log;
mod migrate;
mod registry;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::Connection;
use skybru_core::Ctx;
use skybru_protocol::assertion::Fingerprint;

use crate::audit::{Entry, Journal};
use crate::lock::{LocalLocks, Lock, Locks};
use crate::{AssertionLog, Change, RegistryStore, Since, Snapshot, StoreError, Turn};

pub use migrate::MIGRATIONS;

/// Nobody else writes to the file: looking at it seldom is enough.
const POLL: std::time::Duration = std::time::Duration::from_secs(1);

/// So many pages of 4 KiB may wait in the write-ahead log before they are copied into the database.
const CHECKPOINT_PAGES: i64 = 4000;

/// Registry and assertion log in one SQLite file.
pub struct SqliteStore {
    registry: Arc<Mutex<Connection>>,
    log: log::Log,
    locks: LocalLocks,
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl SqliteStore {
    /// Opens the file, creating it if it is not there, and brings its schema up to date.
    ///
    /// The clock tells when used assertions may be forgotten; the randomness names chains of the audit log.
    pub fn open(path: &Path, ctx: &Ctx) -> Result<Self, StoreError> {
        let mut registry = connect(path, "FULL")?;
        migrate::run(&mut registry)?;
        let log = connect(path, "NORMAL")?;
        // Four times SQLite's own: what is written again and again meanwhile is copied into the database once.
        let checkpoint = log.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES);
        checkpoint.map_err(|source| StoreError::database("opening the file", source))?;
        let log = log::Log::start(log, ctx.clone())?;
        Ok(Self { registry: Arc::new(Mutex::new(registry)), log, locks: LocalLocks::default(), writing: Arc::default() })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        blocking(&self.registry, work).await
    }
}

/// Copies a database, as it is at one moment, into a new file. It may be in use meanwhile.
pub fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::database("copying the database", source);
    let connection = Connection::open_with_flags(from, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed)?;
    let to = to.to_str().ok_or(StoreError::Closed)?;
    connection.execute("VACUUM INTO ?1", [to]).map(drop).map_err(failed)
}

async fn blocking<T: Send + 'static>(
    connection: &Arc<Mutex<Connection>>,
    work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let connection = Arc::clone(connection);
    let run = move || work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner));
    tokio::task::spawn_blocking(run).await.map_err(|_| StoreError::Closed)?
}

/// Writers of this process take turns here. If another process wrote in between, the commit finds out.
struct SqliteTurn {
    registry: Arc<Mutex<Connection>>,
    sequence: i64,
    _alone: tokio::sync::OwnedMutexGuard<()>,
}

#[async_trait]
impl Turn for SqliteTurn {
    fn sequence(&self) -> u64 {
        self.sequence.unsigned_abs()
    }

    async fn commit(self: Box<Self>, changes: &[Change]) -> Result<u64, StoreError> {
        let (changes, sequence) = (changes.to_vec(), self.sequence);
        let write = move |connection: &mut Connection| registry::commit(connection, sequence, &changes);
        blocking(&self.registry, write).await.map(i64::unsigned_abs)
    }
}

#[async_trait]
impl RegistryStore for SqliteStore {
    async fn load(&self) -> Result<Snapshot, StoreError> {
        self.blocking(registry::load).await
    }

    async fn turn(&self) -> Result<Box<dyn Turn>, StoreError> {
        let alone = Arc::clone(&self.writing).lock_owned().await;
        let sequence = self.blocking(|connection| registry::head(connection)).await?;
        Ok(Box::new(SqliteTurn { registry: Arc::clone(&self.registry), sequence, _alone: alone }))
    }

    async fn changes_after(&self, sequence: u64) -> Result<Option<Since>, StoreError> {
        let head = self.blocking(|connection| registry::head(connection)).await?.unsigned_abs();
        Ok((head == sequence).then(|| Since { changes: Vec::new(), sequence }))
    }

    async fn changed(&self) {
        tokio::time::sleep(POLL).await;
    }
}

#[async_trait]
impl Locks for SqliteStore {
    async fn try_lock(&self, name: &str) -> Result<Option<Box<dyn Lock>>, StoreError> {
        self.locks.try_lock(name).await
    }
}

#[async_trait]
impl AssertionLog for SqliteStore {
    async fn record_once(&self, assertion: Fingerprint, forgotten_after: i64) -> Result<bool, StoreError> {
        self.log.ask(log::Request::Record { assertion, forgotten_after, entry: None }).await
    }

    async fn is_used(&self, assertion: Fingerprint) -> Result<bool, StoreError> {
        self.log.ask(log::Request::Look { assertion }).await
    }

    async fn forget(&self, assertion: Fingerprint) -> Result<(), StoreError> {
        self.log.ask(log::Request::Forget { assertion, entry: None }).await.map(|_| ())
    }
}

#[async_trait]
impl Journal for SqliteStore {
    async fn append(&self, entry: Entry) -> Result<(), StoreError> {
        self.log.ask(log::Request::Append(Box::new(entry))).await.map(|_| ())
    }

    async fn record_and_append(&self, assertion: Fingerprint, forgotten_after: i64, entry: Entry) -> Result<bool, StoreError> {
        let entry = Some(Box::new(entry));
        self.log.ask(log::Request::Record { assertion, forgotten_after, entry }).await
    }

    async fn forget_and_append(&self, assertion: Fingerprint, entry: Entry) -> Result<(), StoreError> {
        self.log.ask(log::Request::Forget { assertion, entry: Some(Box::new(entry)) }).await.map(|_| ())
    }
}

fn connect(path: &Path, synchronous: &str) -> Result<Connection, StoreError> {
    let open = |source| StoreError::database("opening the file", source);
    let connection = Connection::open(path).map_err(open)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(open)?;
    connection.pragma_update(None, "synchronous", synchronous).map_err(open)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(open)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(open)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;
    use crate::conformance;

    fn store(folder: &tempfile::TempDir) -> Arc<SqliteStore> {
        Arc::new(SqliteStore::open(&folder.path().join("skybru.db"), &Ctx::fixed(1_700_000_000, 7).0).unwrap())
    }

    #[tokio::test]
    async fn the_sqlite_store_conforms() {
        let folder = tempfile::tempdir().unwrap();
        conformance::registry(store(&folder)).await;
        conformance::assertion_log(store(&folder)).await;
        let other = tempfile::tempdir().unwrap();
        conformance::audit(store(&other)).await;
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
        let (ctx, clock) = Ctx::fixed(1_700_000_000, 7);
        let store = SqliteStore::open(&folder.path().join("skybru.db"), &ctx).unwrap();
        assert!(store.record_once(Fingerprint([7; 32]), 1_700_000_130).await.unwrap());
        clock.advance(jiff::SignedDuration::from_secs(130 + crate::MARGIN_SECONDS + 1));
        assert!(!store.is_used(Fingerprint([7; 32])).await.unwrap());
        assert!(store.record_once(Fingerprint([7; 32]), 1_700_003_000).await.unwrap());
        assert!(!store.record_once(Fingerprint([7; 32]), 1_700_003_000).await.unwrap());
    }

    #[tokio::test]
    async fn a_group_is_written_also_when_its_first_caller_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let mut first = store.record_once(Fingerprint([1; 32]), 1_700_000_130);
        let mut second = store.record_once(Fingerprint([2; 32]), 1_700_000_130);
        // Each looked at once: the first is about to wake the thread for both.
        for caller in [&mut first, &mut second] {
            let waits = std::future::poll_fn(|context| Poll::Ready(caller.as_mut().poll(context).is_pending())).await;
            assert!(waits);
        }
        drop(first);
        assert!(second.await.unwrap());
        assert!(store.is_used(Fingerprint([1; 32])).await.unwrap(), "whoever left has used it up all the same");
    }

    #[tokio::test]
    async fn old_records_of_every_piece_of_the_table_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let (ctx, clock) = Ctx::fixed(1_700_000_000, 7);
        let path = folder.path().join("skybru.db");
        let store = SqliteStore::open(&path, &ctx).unwrap();
        for first in 0..=u8::MAX {
            store.record_once(Fingerprint([first; 32]), 1_700_000_130).await.unwrap();
        }
        let mut newer = [255; 32];
        newer[31] = 0;
        store.record_once(Fingerprint(newer), 1_700_009_000).await.unwrap();
        clock.advance(jiff::SignedDuration::from_secs(131 + crate::MARGIN_SECONDS));
        for _ in 0..64 {
            clock.advance(jiff::SignedDuration::from_secs(1));
            store.forget(Fingerprint([0; 32])).await.unwrap();
        }
        let left: i64 =
            connect(&path, "FULL").unwrap().query_row("SELECT count(*) FROM used_assertion", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 1, "the newer one");
    }

    #[test]
    fn a_file_that_is_no_database_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("skybru.db");
        std::fs::write(&path, "not a database, but long enough to be taken for one at first sight").unwrap();
        assert!(matches!(SqliteStore::open(&path, &Ctx::fixed(0, 7).0), Err(StoreError::Database { .. })));
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(store(&folder));
        let path = folder.path().join("skybru.db");
        connect(&path, "FULL").unwrap().pragma_update(None, "user_version", 999).unwrap();
        assert!(matches!(SqliteStore::open(&path, &Ctx::fixed(0, 7).0), Err(StoreError::Newer { found: 999, .. })));
    }
}
