//! What must survive: the registry, and which assertions have been used.
//!
//! This is the only crate that names SQL. Token requests never wait for a registry query: [`LiveRegistry`] keeps the registry in memory
//! and writes every [`Change`] through to a [`RegistryStore`] before anybody sees it. The one thing that every token writes is its
//! assertion's fingerprint, in an [`AssertionLog`].
//!
//! Each backend passes the same [`conformance`] suite. Today: [`sqlite`] (one node) and [`memory`] (tests).

pub mod conformance;
mod live;
pub mod memory;
pub mod records;
pub mod registry;
pub mod sqlite;

use async_trait::async_trait;
use skybru_protocol::assertion::Fingerprint;

pub use live::{ChangeError, LiveRegistry};
pub use records::Record;
pub use registry::{Change, Registry};

/// Why a store cannot answer. Whoever asks must refuse: nothing is ever allowed because a store is away.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database answered with an error.
    #[error("the database failed at {what}")]
    Database {
        /// What was attempted.
        what: &'static str,
        /// The driver's error.
        #[source]
        source: rusqlite::Error,
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
    /// The store is being closed.
    #[error("the store has been closed")]
    Closed,
}

/// Keeps the registry.
#[async_trait]
pub trait RegistryStore: Send + Sync {
    /// Everything, read at start.
    async fn load(&self) -> Result<Registry, StoreError>;

    /// Makes all of `changes` last, or none of them.
    async fn commit(&self, changes: &[Change]) -> Result<(), StoreError>;
}

/// Remembers which assertions have become tokens.
#[async_trait]
pub trait AssertionLog: Send + Sync {
    /// Records an assertion, so that it lasts through a crash of the process when this returns.
    ///
    /// Returns `false` if it was there already. Of any number of simultaneous calls with one fingerprint exactly one gets `true`.
    /// `forgotten_after` is in seconds since 1970: from then on the record may be dropped.
    async fn record_once(&self, assertion: Fingerprint, forgotten_after: i64) -> Result<bool, StoreError>;

    /// Takes a record back, because no token came of it: the client may present the same assertion again.
    async fn forget(&self, assertion: Fingerprint) -> Result<(), StoreError>;
}
