//! What must survive: the registry, and which assertions have been used.
//!
//! This is the only crate that names SQL. Token requests never wait for a registry query: [`LiveRegistry`] keeps the registry in memory
//! and writes every [`Change`] through to a [`RegistryStore`] before anybody sees it. The one thing that every token writes is its
//! assertion's fingerprint, in an [`AssertionLog`].
//!
//! Each backend passes the same [`conformance`] suite: [`sqlite`] (one node), [`postgres`] (several nodes), [`valkey`] (used assertions of
//! several nodes) and [`memory`] (tests). What was issued and refused stands in the [`audit`] log; a [`Ledger`] writes both together.

pub mod audit;
pub mod conformance;
mod group;
mod ledger;
mod live;
pub mod lock;
pub mod memory;
mod packed;
pub mod postgres;
pub mod records;
pub mod registry;
mod rows;
pub mod sqlite;
pub mod valkey;

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use skybru_protocol::assertion::Fingerprint;

pub use ledger::Ledger;
pub use live::{ChangeError, LiveRegistry, STALE_AFTER, Since, Snapshot, Turn};
pub use records::Record;
pub use registry::{Change, Registry};

/// Records of used assertions outlive their assertion by this much, so that a clock that is set back does not make one fresh again.
pub const MARGIN_SECONDS: i64 = 600;

/// After a server was lost, assertions that expire within this time may have been used before: two minutes of life, ten seconds of
/// allowance for clocks at either end, one for rounding, and four for clocks of nodes that differ.
pub const DOUBT_SECONDS: i64 = 145;

/// Why a store cannot answer. Whoever asks must refuse: nothing is ever allowed because a store is away.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database answered with an error.
    #[error("the database failed at {what}")]
    Database {
        /// What was attempted.
        what: &'static str,
        /// The driver's error.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// A row breaks an invariant: somebody else wrote to the database.
    #[error("table {table}, row {row}: {problem}")]
    BrokenRow {
        /// The table.
        table: &'static str,
        /// The row's key.
        row: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The database was made by a newer skybru.
    #[error("the database has schema {found}, but this skybru knows only up to {known}: use a newer skybru")]
    Newer {
        /// The database's.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// No answer in time.
    #[error("no answer in time at {what}")]
    Late {
        /// What was attempted.
        what: &'static str,
    },
    /// The connection broke, or time ran out, between asking and hearing: it may have happened.
    #[error("whether it happened is not known: {what}")]
    InDoubt {
        /// What was attempted.
        what: &'static str,
        /// Why no answer came.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The server that kept the used assertions was replaced or restarted, and may have lost this one.
    #[error("assertions that expire before {until} (seconds since 1970) may have been used at a server that was lost")]
    Doubtful {
        /// From then on it is known again.
        until: i64,
    },
    /// Somebody else changed the registry in between.
    #[error("the registry was changed by somebody else in between")]
    Overtaken,
    /// The store is being closed.
    #[error("the store has been closed")]
    Closed,
}

impl StoreError {
    /// What the driver said when `what` was attempted.
    pub(crate) fn database(what: &'static str, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Database { what, source: Arc::new(source) }
    }

    /// The same failure, of something that may have happened all the same.
    pub(crate) fn in_doubt(self, what: &'static str) -> Self {
        Self::InDoubt { what, source: Arc::new(self) }
    }
}

/// Keeps the registry, and numbers its changes.
#[async_trait]
pub trait RegistryStore: Send + Sync {
    /// Everything, read at start.
    async fn load(&self) -> Result<Snapshot, StoreError>;

    /// Waits until nobody else on any node is writing.
    async fn turn(&self) -> Result<Box<dyn Turn>, StoreError>;

    /// What happened after change number `sequence`; `None` when that cannot be told any more, and [`load`](Self::load) is needed.
    async fn changes_after(&self, sequence: u64) -> Result<Option<Since>, StoreError>;

    /// Returns when somebody may have changed something: at once if a store tells, after a moment if it does not.
    async fn changed(&self);

    /// Makes all of `changes` last, or none of them, whatever was there before.
    async fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        self.turn().await?.commit(changes).await.map(|_| ())
    }
}

/// Remembers which assertions have become tokens.
#[async_trait]
pub trait AssertionLog: Send + Sync {
    /// Records an assertion, so that it lasts through a crash of the process when this returns.
    ///
    /// Returns `false` if it was there already. Of any number of simultaneous calls with one fingerprint exactly one gets `true`.
    /// `forgotten_after` is in seconds since 1970: from then on the record may be dropped.
    async fn record_once(&self, assertion: Fingerprint, forgotten_after: i64) -> Result<bool, StoreError>;

    /// Whether an assertion is recorded.
    async fn is_used(&self, assertion: Fingerprint) -> Result<bool, StoreError>;

    /// Takes a record back, because no token came of it: the client may present the same assertion again.
    async fn forget(&self, assertion: Fingerprint) -> Result<(), StoreError>;
}
