//! An issuer's documents as a cloud fetches them, and what can be wrong with them.

use skybru_protocol::jose::JwkSet;
use skybru_protocol::metadata::DiscoveryDocument;

/// Why an issuer's documents could not be had or used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentProblem {
    /// Not answered, not 200, not JSON, a redirect, or slower than five seconds (A-51, G-40, E-45).
    Unavailable {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The chain is not publicly trusted, and its last certificate is not among the thumbprints.
    Thumbprint {
        /// The SHA-1 of the certificate that was served.
        served: Option<String>,
    },
    /// The discovery document lacks fields that the cloud needs.
    MissingFields(Vec<&'static str>),
    /// The discovery document names another issuer, or none.
    WrongIssuer {
        /// The token's.
        expected: String,
        /// The document's.
        found: Option<String>,
    },
    /// The key that the token names is not there, or cannot be used.
    NoUsableKey {
        /// The token's key id.
        kid: Option<String>,
        /// Those that are there.
        available: Vec<String>,
        /// What is wrong.
        reason: &'static str,
    },
    /// The key has `key_ops`.
    KeyOperations(String),
}

/// What was fetched for an issuer, or why not.
#[derive(Debug, Clone, PartialEq)]
pub struct Documents {
    /// The discovery document.
    pub discovery: DiscoveryDocument,
    /// The key set behind its `jwks_uri`.
    pub keys: JwkSet,
}
