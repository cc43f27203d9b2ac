//! PostgreSQL: registry, single use of assertions, audit and locks for any number of nodes.
//!
//! Short work borrows a connection from a pool. What lives long has a connection of its own: the log of used assertions, which commits
//! in groups; the ear for notifications; a lock that somebody holds.
//!
//! Nothing here waits for ever: connecting, each statement and each answer have a limit, and whoever does not hear in time refuses.

mod audit;
mod connect;
mod log;
mod migrate;
mod registry;
mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Object, Pool};
use skybru_core::Ctx;
use skybru_protocol::assertion::Fingerprint;
use tokio::sync::{Mutex, watch};

use crate::audit::{Entry, Journal};
use crate::group::Group;
use crate::live::{Since, Snapshot, Turn};
use crate::lock::{Lock, Locks};
use crate::{AssertionLog, RegistryStore, StoreError};

pub use connect::{PostgresOptions, SettingsError};
pub use migrate::{MIGRATIONS, Migration};

/// A call to the database that takes longer has failed.
const ANSWER: Duration = Duration::from_secs(5);

/// How often the registry's number is looked at, in case a notification was lost.
const POLL: Duration = Duration::from_millis(500);

/// Registry, assertion log, audit and locks in one PostgreSQL database.
pub struct PostgresStore {
    connector: Arc<connect::Connector>,
    pool: Pool,
    /// Changes that others told of; whoever follows holds it.
    heard: Mutex<watch::Receiver<u64>>,
    log: Group<log::Request>,
    /// Assertions that expire until then may have been used at a server that was lost; seconds since 1970.
    doubtful_until: Arc<AtomicI64>,
}

impl PostgresStore {
    /// Connects, brings the schema up to date under a lock that other nodes wait for, and begins to listen for changes.
    pub async fn open(options: PostgresOptions, ctx: &Ctx) -> Result<Self, StoreError> {
        Self::open_at(options, ctx, &MIGRATIONS).await
    }

    /// The same, knowing only `migrations`: how an older or a newer skybru would open it. For tests of upgrades.
    pub async fn open_at(options: PostgresOptions, ctx: &Ctx, migrations: &[Migration]) -> Result<Self, StoreError> {
        let node = options.node.clone();
        let connector = Arc::new(connect::Connector::new(options)?);
        let pool = connector.pool()?;
        migrate::run(&mut *borrow(&pool).await?, migrations).await?;
        let heard = Mutex::new(registry::listen(Arc::clone(&connector)));
        let doubtful_until = Arc::new(AtomicI64::new(0));
        let writer = log::Writer::open(Arc::clone(&connector), ctx.clone(), node, Arc::clone(&doubtful_until)).await?;
        let log = Group::start(writer, log::WHAT);
        Ok(Self { connector, pool, heard, log, doubtful_until })
    }

    /// A connection for short work. Whoever begins a transaction on it must end it, or take the connection out of the pool.
    pub async fn connection(&self) -> Result<Object, StoreError> {
        borrow(&self.pool).await
    }
}

async fn borrow(pool: &Pool) -> Result<Object, StoreError> {
    let wait = tokio::time::timeout(ANSWER, pool.get()).await;
    wait.map_err(|_| StoreError::Late { what: "waiting for a connection" })?
        .map_err(|source| StoreError::database("connecting to PostgreSQL", source))
}

/// Waits for an answer, but not for ever.
async fn within<T>(what: &'static str, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, StoreError> {
    match tokio::time::timeout(ANSWER, work).await {
        Ok(answer) => answer.map_err(|source| StoreError::database(what, source)),
        Err(_) => Err(StoreError::Late { what }),
    }
}

#[async_trait]
impl RegistryStore for PostgresStore {
    async fn load(&self) -> Result<Snapshot, StoreError> {
        registry::load(&mut *self.connection().await?).await
    }

    async fn turn(&self) -> Result<Box<dyn Turn>, StoreError> {
        registry::PostgresTurn::take(self.connection().await?).await
    }

    async fn changes_after(&self, sequence: u64) -> Result<Option<Since>, StoreError> {
        registry::changes_after(&*self.connection().await?, sequence).await
    }

    async fn changed(&self) {
        let mut heard = self.heard.lock().await;
        // Whichever comes first; a closed channel means that only the poll is left.
        tokio::select! {
            Ok(()) = heard.changed() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

impl PostgresStore {
    async fn record(&self, assertion: Fingerprint, forgotten_after: i64, entry: Option<Box<Entry>>) -> Result<bool, StoreError> {
        let until = self.doubtful_until.load(Ordering::Relaxed);
        if forgotten_after <= until {
            return Err(StoreError::Doubtful { until });
        }
        self.log.ask(log::Request::Record { assertion, forgotten_after, entry }).await
    }
}

#[async_trait]
impl AssertionLog for PostgresStore {
    async fn record_once(&self, assertion: Fingerprint, forgotten_after: i64) -> Result<bool, StoreError> {
        self.record(assertion, forgotten_after, None).await
    }

    async fn is_used(&self, assertion: Fingerprint) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let fingerprint = &assertion.0[..];
        let look = async { client.query_opt("SELECT 1 FROM used_assertion WHERE fingerprint = $1", &[&fingerprint]).await };
        Ok(within("looking for a used assertion", look).await?.is_some())
    }

    async fn forget(&self, assertion: Fingerprint) -> Result<(), StoreError> {
        self.log.ask(log::Request::Forget { assertion, entry: None }).await.map(|_| ())
    }
}

#[async_trait]
impl Journal for PostgresStore {
    async fn append(&self, entry: Entry) -> Result<(), StoreError> {
        self.log.ask(log::Request::Append(Box::new(entry))).await.map(|_| ())
    }

    async fn record_and_append(&self, assertion: Fingerprint, forgotten_after: i64, entry: Entry) -> Result<bool, StoreError> {
        self.record(assertion, forgotten_after, Some(Box::new(entry))).await
    }

    async fn forget_and_append(&self, assertion: Fingerprint, entry: Entry) -> Result<(), StoreError> {
        self.log.ask(log::Request::Forget { assertion, entry: Some(Box::new(entry)) }).await.map(|_| ())
    }
}

/// A session of its own that holds an advisory lock. The lock goes with the session, however that ends.
struct PostgresLock {
    client: tokio_postgres::Client,
}

#[async_trait]
impl Lock for PostgresLock {
    async fn is_held(&self) -> bool {
        // The lock lives and dies with the session: if the session answers, it holds the lock.
        !self.client.is_closed() && within("asking for the lock", self.client.simple_query("SELECT 1")).await.is_ok()
    }
}

#[async_trait]
impl Locks for PostgresStore {
    async fn try_lock(&self, name: &str) -> Result<Option<Box<dyn Lock>>, StoreError> {
        let client = self.connector.connect(None).await?;
        let row = within(
            "taking a lock",
            client.query_one("SELECT pg_try_advisory_lock(hashtextextended('skybru ' || $1::text, 0))", &[&name]),
        )
        .await?;
        let taken: bool = row.try_get(0).map_err(|source| StoreError::database("taking a lock", source))?;
        Ok(taken.then(|| Box::new(PostgresLock { client }) as Box<dyn Lock>))
    }
}
