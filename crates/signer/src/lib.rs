//! Keys that sign, wherever they live.
//!
//! A [`Signer`] is a private key that somebody else may hold: a file ([`LocalSigner`]), a PKCS#12 file, a hardware module, a cloud's key
//! service. Whoever signs tokens or assertions takes a `&dyn Signer` and need not know. The crate keeps PKCS#11, the key services and the
//! sealing of files out of everything else.
//!
//! Nothing here opens a file that a user named or reads the environment: bytes, passphrases, HTTP and credentials are arguments.

mod certificate;
mod digest;
mod held;
pub mod kms;
mod local;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
mod pkcs12;
pub mod seal;

use std::fmt;

use async_trait::async_trait;
use rustls_pki_types::CertificateDer;
use serde::Serialize;
use skybru_core::KeyId;
use skybru_protocol::base64url;
use skybru_protocol::jose::{Algorithm, Jwk, SigningKey, SigningKeyError, signing_input};

pub use certificate::{CertificateError, self_signed, x5c};
pub use held::HeldKeyError;
pub use local::{KeyFileError, LocalSigner};
pub use pkcs12::{Pkcs12Error, from_pkcs12};

/// A private key that signs, and what may be known of it.
#[async_trait]
pub trait Signer: fmt::Debug + Send + Sync {
    /// The key id in the header of what it signs.
    fn kid(&self) -> &KeyId;

    /// What it signs with.
    fn algorithm(&self) -> Algorithm;

    /// The public half, with no more members than every cloud takes (P-9).
    fn public_jwk(&self) -> &Jwk;

    /// The certificate over the key and those above it, the key's own first. Empty when there is none.
    fn certificates(&self) -> &[CertificateDer<'static>] {
        &[]
    }

    /// The key itself, when it lies in this process. Signing with it needs no waiting and no allocation of a future.
    fn local(&self) -> Option<&SigningKey> {
        None
    }

    /// The signature over `message`, in the form that a JWS carries
    /// ([RFC 7515, section 5.1](https://www.rfc-editor.org/rfc/rfc7515#section-5.1), step 5).
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key in this process.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// Whoever holds the key does not answer, or is too busy: the same request may succeed a moment later.
    #[error("{holder} does not answer")]
    Away {
        /// Where the key is.
        holder: String,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Whoever holds the key will not sign: it says that we may not, or that there is no such key.
    #[error("{holder} refuses to sign: {reason}")]
    Refused {
        /// Where the key is.
        holder: String,
        /// In its own words.
        reason: String,
    },
    /// The signature that came back does not belong to the key that is published.
    #[error("{holder} gave a signature that does not fit the published key {kid}")]
    WrongSignature {
        /// Where the key is.
        holder: String,
        /// The key.
        kid: KeyId,
    },
}

impl SignError {
    /// Whether the same request may succeed a moment later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Away { .. })
    }
}

/// Signs `claims` as a compact JWS with the header `{"kid":…,"alg":…}` and, when given, `typ`.
pub async fn sign_token(signer: &dyn Signer, typ: Option<&str>, claims: &(impl Serialize + Sync)) -> Result<String, SignError> {
    if let Some(key) = signer.local() {
        return Ok(key.sign(typ, claims)?);
    }
    let mut compact = signing_input(signer.kid(), signer.algorithm(), typ, claims)?;
    let signature = signer.sign(compact.as_bytes()).await?;
    compact.push('.');
    compact.push_str(&base64url::encode(signature));
    Ok(compact)
}
