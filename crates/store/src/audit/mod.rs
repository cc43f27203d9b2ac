//! The audit log: every issued and refused token and every change of the registry, in chains of hashes.
//!
//! Each entry's hash covers the hash before it, so that an entry that was changed, removed or moved breaks the chain at its place. Nodes
//! do not share a chain: each connection of a writer begins one of its own, and its first entry holds the ends of the chains before it;
//! running writers note the ends of each other's chains now and then. Thus nobody waits for anybody, and what is cut off a chain's end
//! is missed by the chains that noted it. Who keeps a copy of the ends ([`verify()`] returns them) outside the database can tell even
//! when everything was written anew.
//!
//! An entry is durable no later than the token leaves: it is committed in the same group as the record of the used assertion when one
//! database holds both, and before the token is signed when not. It holds no secret and no person: ids, codes and times. An issued token
//! whose `token_withdrawn` follows never left.

mod chain;
mod change;
mod entry;
mod verify;

use async_trait::async_trait;
use skybru_core::OrgNumber;
use skybru_protocol::assertion::Fingerprint;

use crate::StoreError;

pub(crate) use chain::{Chain, Link};
pub use chain::{ChainId, Hash, Head};
pub use entry::{Entry, Event, Recorded};
pub use verify::{Broken, Verified, verify};

/// Appends to the audit log.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends an entry; it is durable when this returns.
    async fn append(&self, entry: Entry) -> Result<(), StoreError>;

    /// Records an assertion as [`record_once`](crate::AssertionLog::record_once) does, and in the same commit appends `entry` if it was
    /// not there yet. Only where one database holds both.
    async fn record_and_append(&self, assertion: Fingerprint, forgotten_after: i64, entry: Entry) -> Result<bool, StoreError>;

    /// Takes an assertion's record back and appends `entry`, in one commit.
    async fn forget_and_append(&self, assertion: Fingerprint, entry: Entry) -> Result<(), StoreError>;
}

/// Which entries somebody wants to read.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only those that concern this organisation.
    pub org: Option<OrgNumber>,
    /// Only those made then or later, in milliseconds since 1970.
    pub since: i64,
    /// Only those after this place: the last one of the page before.
    pub after: Option<Place>,
    /// No more than these.
    pub limit: usize,
}

/// Where an entry stands in the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When it was made, in milliseconds since 1970.
    pub at: i64,
    /// Its chain.
    pub chain: ChainId,
    /// Its place in the chain, the first is 1.
    pub place: i64,
}

/// Reads the audit log.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Entries by time.
    async fn entries(&self, query: &AuditQuery) -> Result<Vec<Recorded>, StoreError>;

    /// Entries by chain and place, after the one given: the order in which they are verified.
    async fn in_chains(&self, after: Option<(ChainId, i64)>, limit: usize) -> Result<Vec<Recorded>, StoreError>;

    /// The end of each chain, as its writer noted it.
    async fn heads(&self) -> Result<Vec<Head>, StoreError>;
}
