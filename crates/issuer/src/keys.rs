//! What signs tokens, and what is published of it.

use std::sync::Arc;

use skybru_protocol::jose::{JwkSet, SigningKey};

/// The key that signs now, and all that verifiers must be able to find.
#[derive(Debug, Clone)]
pub struct KeyRing {
    active: Arc<SigningKey>,
    published: JwkSet,
}

impl KeyRing {
    /// `active` signs; `others` are published beside it: keys about to be used, and keys whose tokens still live.
    pub fn new(active: Arc<SigningKey>, others: &[Arc<SigningKey>]) -> Self {
        let others = others.iter().filter(|key| key.kid() != active.kid()).map(|key| key.public_jwk());
        let keys = std::iter::once(active.public_jwk()).chain(others).collect();
        Self { published: JwkSet { keys }, active }
    }

    /// The key that signs now.
    pub fn active(&self) -> &SigningKey {
        &self.active
    }

    /// The key set as published: six members a key, no certificates, because the clouds stumble over more (P-9).
    pub fn published(&self) -> &JwkSet {
        &self.published
    }
}
