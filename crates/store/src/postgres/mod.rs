//! PostgreSQL: registry, single use of assertions, audit and locks for any number of nodes.
//!
//! Short work borrows a connection from a pool. What lives long has a connection of its own: the log of used assertions, which commits
//! in groups; the ear for notifications; a lock that somebody holds.
//!
//! Nothing here waits for ever: connecting, each statement and each answer have a limit, and whoever does not hear in time refuses.

mod connect;
mod migrate;
mod registry;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Object, Pool};
use tokio::sync::{Mutex, watch};

use crate::live::{Since, Snapshot, Turn};
use crate::lock::{Lock, Locks};
use crate::{RegistryStore, StoreError};

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
}

impl PostgresStore {
    /// Connects, brings the schema up to date under a lock that other nodes wait for, and begins to listen for changes.
    pub async fn open(options: PostgresOptions) -> Result<Self, StoreError> {
        Self::open_at(options, &MIGRATIONS).await
    }

    /// The same, knowing only `migrations`: how an older or a newer skybru would open it. For tests of upgrades.
    pub async fn open_at(options: PostgresOptions, migrations: &[Migration]) -> Result<Self, StoreError> {
        let connector = Arc::new(connect::Connector::new(options)?);
        let pool = connector.pool()?;
        migrate::run(&mut *borrow(&pool).await?, migrations).await?;
        let heard = Mutex::new(registry::listen(Arc::clone(&connector)));
        Ok(Self { connector, pool, heard })
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
