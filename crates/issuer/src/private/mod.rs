//! The private issuer: no server and no registry, just keys, two documents on a static site, and tokens signed on the spot.
//!
//! Clouds fetch the documents and believe the tokens. So the only thing that can go wrong without anybody noticing is time: a key that
//! signs before its verifiers can know it, or that is taken away while tokens of it live. [`crate::keys::lifecycle`] makes both impossible.

mod claims;

use skybru_core::IssuerUrl;
use skybru_protocol::jose::Algorithm;
use skybru_protocol::metadata::DiscoveryDocument;

pub use claims::{ClaimsError, MAX_LIFETIME_SECONDS, MintRequest, Template, mint};

/// Where the discovery document stands below the issuer.
pub const DISCOVERY_PATH: &str = ".well-known/openid-configuration";

/// Where the key set stands below the issuer.
pub const KEY_SET_PATH: &str = ".well-known/jwks.json";

/// The discovery document of a private issuer: exactly what the three clouds need (P-8), and no endpoint, because there is none.
pub fn discovery(issuer: &IssuerUrl, algorithm: Algorithm) -> DiscoveryDocument {
    let list = |values: &[&str]| Some(values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
    DiscoveryDocument {
        issuer: Some(issuer.to_string()),
        jwks_uri: Some(issuer.endpoint(KEY_SET_PATH)),
        response_types_supported: list(&["id_token"]),
        subject_types_supported: list(&["public"]),
        id_token_signing_alg_values_supported: list(&[algorithm.name()]),
        claims_supported: list(&["iss", "sub", "aud", "exp", "iat", "jti"]),
        ..DiscoveryDocument::default()
    }
}
