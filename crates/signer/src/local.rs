//! A key that lies in this process.

use async_trait::async_trait;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use skybru_core::KeyId;
use skybru_protocol::jose::{Algorithm, Jwk, SigningKey, SigningKeyError};

use crate::certificate::{self, CertificateError};
use crate::{SignError, Signer};

/// A key in memory, read from a file or made on the spot. Its `Debug` shows the key id only.
pub struct LocalSigner {
    key: SigningKey,
    public: Jwk,
    certificates: Vec<CertificateDer<'static>>,
}

/// Why a key file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// The key in it.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// The certificates beside it.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl LocalSigner {
    /// A key and the certificates over it, the key's own first.
    pub fn new(key: SigningKey, certificates: Vec<CertificateDer<'static>>) -> Result<Self, CertificateError> {
        let public = key.public_jwk();
        certificate::check(&certificates, &public)?;
        Ok(Self { key, public, certificates })
    }

    /// Reads a key file: a JWK (RSA or P-256, with or without `x5c`), or PEM: a private key (PKCS#8, PKCS#1 or SEC1), and after it any
    /// number of certificates.
    ///
    /// `kid` overrules the JWK's own; a key without one is named by its thumbprint.
    pub fn from_text(text: &str, kid: Option<&KeyId>) -> Result<Self, KeyFileError> {
        #[derive(Deserialize)]
        struct Chain {
            #[serde(default)]
            x5c: Vec<String>,
        }
        let key = SigningKey::from_any_text(text, kid)?;
        let certificates = if text.contains("-----BEGIN") {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
            chain.map_err(|_| CertificateError::Format(1))?
        } else {
            let chain: Chain =
                serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|_| SigningKeyError::Member("x5c"))?;
            certificate::from_x5c(&chain.x5c)?
        };
        Ok(Self::new(key, certificates)?)
    }

    /// The key.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }
}

impl From<SigningKey> for LocalSigner {
    fn from(key: SigningKey) -> Self {
        Self { public: key.public_jwk(), key, certificates: Vec::new() }
    }
}

#[async_trait]
impl Signer for LocalSigner {
    fn kid(&self) -> &KeyId {
        self.key.kid()
    }

    fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    fn public_jwk(&self) -> &Jwk {
        &self.public
    }

    fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    fn local(&self) -> Option<&SigningKey> {
        Some(&self.key)
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.key.sign_bytes(message)?)
    }
}

impl std::fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let certificates = self.certificates.len();
        f.debug_struct("LocalSigner").field("key", &self.key).field("certificates", &certificates).finish_non_exhaustive()
    }
}
