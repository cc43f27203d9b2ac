//! Hashes that hang together.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use skybru_protocol::base64url;

use super::Entry;
use crate::StoreError;

/// Which chain. Random, so that writers need not ask each other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainId(pub [u8; 16]);

/// SHA-256 over the hash before, the chain, the place, and the entry's text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

macro_rules! as_text {
    ($name:ident, $length:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&base64url::encode(self.0))
            }
        }
        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let bytes = base64url::decode(text).map_err(|e| e.to_string())?;
                bytes.try_into().map(Self).map_err(|_| format!("expected {} bytes in base64url", $length))
            }
        }
        skybru_core::text_type!($name);
    };
}

as_text!(ChainId, 16);
as_text!(Hash, 32);

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Which chain.
    pub chain: ChainId,
    /// How many entries it has.
    pub place: i64,
    /// The hash of the last one.
    pub hash: Hash,
}

/// What stands before the first entry.
pub(super) const NOTHING: Hash = Hash([0; 32]);

/// The hash of an entry.
pub(super) fn hash(before: Hash, chain: ChainId, place: i64, body: &str) -> Hash {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&before.0);
    hash.update(&chain.0);
    hash.update(&place.to_be_bytes());
    hash.update(body.as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.finish().as_ref());
    Hash(bytes)
}

/// An entry, ready to be written.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) place: i64,
    pub(crate) at: i64,
    pub(crate) hash: Hash,
    pub(crate) body: String,
    pub(crate) concerns: Vec<skybru_core::OrgNumber>,
}

/// A chain that is being written. A copy is extended and takes the original's place when its links are committed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chain {
    pub(crate) id: ChainId,
    pub(crate) place: i64,
    pub(crate) last: Hash,
}

impl Chain {
    pub(crate) const fn new(id: ChainId) -> Self {
        Self { id, place: 0, last: NOTHING }
    }

    pub(crate) fn link(&mut self, entry: &Entry) -> Result<Link, StoreError> {
        let body = crate::rows::to_json("audit", entry)?;
        self.place += 1;
        self.last = hash(self.last, self.id, self.place, &body);
        Ok(Link { place: self.place, at: entry.millis(), hash: self.last, body, concerns: entry.concerns() })
    }
}
