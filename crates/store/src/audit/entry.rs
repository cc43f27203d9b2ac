//! What is written down.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skybru_core::OrgNumber;

use super::{ChainId, Hash, Head, Place};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A token was about to be signed. It left, unless `token_withdrawn` follows, or the node died at that moment.
    TokenIssued,
    /// A token was not signed after all.
    TokenWithdrawn,
    /// A token was refused; or several were, where there is a `count`.
    TokenRefused,
    /// The registry is about to be changed.
    RegistryChanged,
    /// That change was not made after all.
    RegistryUnchanged,
    /// A writer began a chain, or looked at the chains of others.
    ChainsJoined,
}

/// One entry. Members that do not apply are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
    /// The issuer's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The client that asked: as it says of itself while nothing is proven, in which case no organisation is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// For whom the token is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<OrgNumber>,
    /// Who acts for the consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplier: Option<OrgNumber>,
    /// Whose scopes they are; or whose registration was changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<OrgNumber>,
    /// Who changed the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<OrgNumber>,
    /// Which scopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// For which resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource: Vec<String>,
    /// The token's `jti`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The fingerprint of the assertion, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<String>,
    /// The key that signs the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// When the token expires, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// Why not: the OAuth code, and Maskinporten's where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How many refusals of this kind there were, when they were counted and not written down one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// When the first of them happened; `at` is after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What was changed in the registry: kinds and names, no values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// Who writes this chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Ends of other chains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heads: Vec<Head>,
}

impl Entry {
    /// An entry with nothing but its time and kind.
    pub fn new(at: Timestamp, event: Event) -> Self {
        Self {
            at,
            event,
            issuer: None,
            client: None,
            consumer: None,
            supplier: None,
            owners: Vec::new(),
            author: None,
            scope: None,
            resource: Vec::new(),
            jti: None,
            assertion: None,
            kid: None,
            expires: None,
            code: None,
            count: None,
            since: None,
            changes: Vec::new(),
            node: None,
            heads: Vec::new(),
        }
    }

    /// The organisations that may read it.
    pub fn concerns(&self) -> Vec<OrgNumber> {
        let named = [self.consumer, self.supplier, self.author].into_iter().flatten();
        let mut all: Vec<OrgNumber> = named.chain(self.owners.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Milliseconds since 1970.
    pub fn millis(&self) -> i64 {
        self.at.as_millisecond()
    }
}

/// An entry as it stands in the log.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its chain.
    pub chain: ChainId,
    /// Its place there, the first is 1.
    pub place: i64,
    /// When it says that it was made, in milliseconds since 1970.
    pub at: i64,
    /// Over the hash before it and itself.
    pub hash: Hash,
    /// The entry, as the text that was hashed.
    pub body: String,
}

impl Recorded {
    /// Where it stands in the order of time.
    pub fn position(&self) -> Place {
        Place { at: self.at, chain: self.chain, place: self.place }
    }
}
