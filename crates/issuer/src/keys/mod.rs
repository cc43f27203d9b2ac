//! What signs tokens, what is published of it, and how keys come and go.
//!
//! [`lifecycle`] says when a key may sign and when it may be taken away; [`KeyBook`] adds who holds each private half and which verifiers
//! have fetched which key; [`RegistryKeys`] keeps the book where all nodes see it.

mod book;
mod fetches;
pub mod lifecycle;
mod shared;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use skybru_core::KeyId;
use skybru_protocol::jose::{Jwk, JwkSet, SigningKey};
use skybru_signer::{LocalSigner, Signer, x5c};

pub use book::{EVERYWHERE, Holder, KeyBook, RotationRules, SwitchError, Waiting};
pub use fetches::{Fetch, Fetches, Verifiers, verifier};
pub use lifecycle::{KeyRecord, KeyState, Keys, KeysError, Lifetimes};
pub use shared::{RegistryKeys, SharedKeysError};

/// What verifiers of an issuer can read. Some stumble over members that others need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySetProfile {
    /// `kty,use,alg,kid,n,e` and nothing else: what all three clouds take (P-9; A-33 and G-4 say what happens otherwise).
    #[default]
    Cloud,
    /// With `x5c` where there is a certificate, as Maskinporten publishes.
    Certificates,
    /// With `x5c` at every key, the active key first: Ceph's RADOS Gateway of 16 and 18 reads nothing but the first key's certificate.
    Ceph,
}

/// A public key, and the certificates over it as `x5c` carries them.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedKey {
    /// The key.
    pub jwk: Jwk,
    /// May be empty.
    pub x5c: Vec<String>,
}

/// The key that signs now, and all that verifiers must be able to find.
#[derive(Debug, Clone)]
pub struct KeyRing {
    active: Arc<dyn Signer>,
    plain: JwkSet,
    certified: JwkSet,
    kids: Arc<[KeyId]>,
}

impl KeyRing {
    /// `active` signs; `others` are published behind it: keys about to be used, and keys whose tokens still live.
    ///
    /// A set holds one family of keys only: known verifiers give the whole set up when it holds a key that they cannot read.
    pub fn new(active: Arc<dyn Signer>, others: &[PublishedKey]) -> Self {
        let own = PublishedKey { jwk: active.public_jwk().clone(), x5c: x5c(active.certificates()) };
        let others = others.iter().filter(|key| key.jwk.kid != own.jwk.kid && key.jwk.kty == own.jwk.kty).cloned();
        Self::of(active, std::iter::once(own.clone()).chain(others).collect::<Vec<_>>().as_slice())
    }

    /// One key that never changes: a lab's, a test's.
    pub fn single(key: SigningKey) -> Self {
        Self::new(Arc::new(LocalSigner::from(key)), &[])
    }

    fn of(active: Arc<dyn Signer>, keys: &[PublishedKey]) -> Self {
        let kids = keys.iter().filter_map(|key| key.jwk.kid.as_ref()?.parse().ok()).collect();
        Self { active, kids, plain: key_set(KeySetProfile::Cloud, keys), certified: key_set(KeySetProfile::Certificates, keys) }
    }

    /// The key that signs now.
    pub fn active(&self) -> &dyn Signer {
        &*self.active
    }

    /// The ids of all published keys.
    pub fn kids(&self) -> Arc<[KeyId]> {
        Arc::clone(&self.kids)
    }

    /// The key set as published for verifiers of this kind, the active key first.
    pub fn published(&self, profile: KeySetProfile) -> &JwkSet {
        match profile {
            KeySetProfile::Cloud => &self.plain,
            KeySetProfile::Certificates | KeySetProfile::Ceph => &self.certified,
        }
    }
}

/// A key set in the form that `profile` asks for.
pub fn key_set(profile: KeySetProfile, keys: &[PublishedKey]) -> JwkSet {
    let member = |key: &PublishedKey| {
        let mut jwk = key.jwk.clone();
        jwk.other.clear();
        if profile != KeySetProfile::Cloud && !key.x5c.is_empty() {
            jwk.other.insert("x5c".to_owned(), key.x5c.clone().into());
        }
        jwk
    };
    JwkSet { keys: keys.iter().map(member).collect() }
}
