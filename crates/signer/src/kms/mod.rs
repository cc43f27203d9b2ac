//! Keys in a cloud's key service: AWS KMS, Google Cloud KMS, Azure Key Vault.
//!
//! The service gets a digest and gives a signature; the private key never leaves it. HTTP and credentials are arguments. Every signature
//! is checked with the public key that was fetched at the start, before anybody sees it.

mod aws;
mod azure;
mod google;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest::Digest;
use rustls_pki_types::CertificateDer;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use skybru_core::{Clock, KeyId, Secret};
use skybru_protocol::jose::{Algorithm, Jwk};

use crate::digest::digest;
use crate::held::{Held, HeldKeyError};
use crate::{SignError, Signer};

/// What a lower layer says when it fails.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Sends one request. Implementations bring timeouts, a limit on the answer, and follow no redirect.
#[async_trait]
pub trait Transport: Send + Sync {
    /// The answer, whatever its status.
    async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, Cause>;
}

/// Gives the token with which Google or Azure lets us in.
#[async_trait]
pub trait BearerSource: Send + Sync {
    /// One that is good for a minute at least.
    async fn bearer(&self) -> Result<Secret, Cause>;
}

/// Gives the access key with which AWS lets us in.
#[async_trait]
pub trait AwsKeySource: Send + Sync {
    /// One that is good for a minute at least.
    async fn key(&self) -> Result<AwsKey, Cause>;
}

/// An access key of AWS.
#[derive(Debug, Clone)]
pub struct AwsKey {
    /// `ASIA…` or `AKIA…`.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: Secret,
    /// Beside a key that lives for a while.
    pub session_token: Option<Secret>,
}

/// Which key, in the words of its cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KmsKeyName {
    /// `arn:aws:kms:REGION:ACCOUNT:key/ID`, or `…:alias/NAME`.
    Aws {
        /// The ARN.
        arn: String,
        /// The region in it.
        region: String,
    },
    /// `projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N`.
    Google(String),
    /// `https://VAULT.vault.azure.net/keys/NAME/VERSION`. Without a version the newest is taken at the start, and held to.
    Azure {
        /// `https://VAULT.vault.azure.net`
        vault: String,
        /// `NAME` or `NAME/VERSION`.
        key: String,
    },
}

/// The text names no key of a cloud.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no key: expected arn:aws:kms:REGION:ACCOUNT:key/ID, projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N, \
     or https://VAULT.vault.azure.net/keys/NAME/VERSION"
)]
pub struct KmsKeyNameError(String);

impl FromStr for KmsKeyName {
    type Err = KmsKeyNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || KmsKeyNameError(text.chars().take(200).collect());
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if text.starts_with("arn:") {
            let parts: Vec<&str> = text.splitn(6, ':').collect();
            return match parts[..] {
                ["arn", partition, "kms", region, account, key]
                    if partition.starts_with("aws")
                        && plain(region)
                        && account.len() == 12
                        && (key.starts_with("key/") || key.starts_with("alias/")) =>
                {
                    Ok(Self::Aws { arn: text.to_owned(), region: region.to_owned() })
                }
                _ => Err(wrong()),
            };
        }
        if let Some(rest) = text.strip_prefix("https://") {
            let (host, path) = rest.split_once("/keys/").ok_or_else(wrong)?;
            let known = [".vault.azure.net", ".managedhsm.azure.net", ".vault.azure.cn", ".vault.usgovcloudapi.net"];
            let fits = plain(host) && known.iter().any(|suffix| host.ends_with(suffix));
            let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
            return if fits && (1..=2).contains(&parts.len()) && parts.iter().all(|part| plain(part)) {
                Ok(Self::Azure { vault: format!("https://{host}"), key: parts.join("/") })
            } else {
                Err(wrong())
            };
        }
        let parts: Vec<&str> = text.split('/').collect();
        match parts[..] {
            ["projects", project, "locations", location, "keyRings", ring, "cryptoKeys", key, "cryptoKeyVersions", version]
                if [location, ring, key, version].iter().all(|part| plain(part)) && plain(&project.replace(':', "-")) =>
            {
                Ok(Self::Google(text.to_owned()))
            }
            _ => Err(wrong()),
        }
    }
}

/// Why a key in a key service cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    /// The service.
    #[error(transparent)]
    Service(#[from] SignError),
    /// The key.
    #[error(transparent)]
    Held(#[from] HeldKeyError),
    /// It is not for signing, or with an algorithm that is not used here.
    #[error("the key is for {found}; expected one for signatures: RSASSA-PKCS1-v1_5 with SHA-256, or ECDSA on P-256")]
    Purpose {
        /// In the service's words.
        found: String,
    },
}

/// One key of one service.
#[async_trait]
trait Service: Send + Sync {
    /// Its public half, without id.
    async fn public_key(&mut self) -> Result<Jwk, KmsError>;
    /// A signature in the form that a JWS carries.
    async fn sign(&self, algorithm: Algorithm, digest: &Digest) -> Result<Vec<u8>, SignError>;
    /// What to call it.
    fn holder(&self) -> String;
}

/// A key in a key service.
pub struct KmsSigner {
    held: Held,
    service: Box<dyn Service>,
}

impl KmsSigner {
    /// A key of AWS KMS. `endpoint` is another address than AWS's own.
    pub async fn aws(
        name: (&str, &str),
        keys: Arc<dyn AwsKeySource>,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        endpoint: Option<&str>,
        kid: Option<&KeyId>,
    ) -> Result<Self, KmsError> {
        Self::open(Box::new(aws::Aws::new(name, keys, transport, clock, endpoint)), kid).await
    }

    /// A key of Google Cloud KMS: the resource name of a key version.
    pub async fn google(
        name: &str,
        bearer: Arc<dyn BearerSource>,
        transport: Arc<dyn Transport>,
        endpoint: Option<&str>,
        kid: Option<&KeyId>,
    ) -> Result<Self, KmsError> {
        Self::open(Box::new(google::Google::new(name, bearer, transport, endpoint)), kid).await
    }

    /// A key of Azure Key Vault or Managed HSM: the vault's address, and `NAME` or `NAME/VERSION`.
    pub async fn azure(
        vault: &str,
        key: &str,
        bearer: Arc<dyn BearerSource>,
        transport: Arc<dyn Transport>,
        kid: Option<&KeyId>,
    ) -> Result<Self, KmsError> {
        Self::open(Box::new(azure::Azure::new(vault, key, bearer, transport)), kid).await
    }

    async fn open(mut service: Box<dyn Service>, kid: Option<&KeyId>) -> Result<Self, KmsError> {
        let public = service.public_key().await?;
        let held = Held::new(service.holder(), public, kid, Vec::new())?;
        Ok(Self { held, service })
    }

    /// With certificates over the key, its own first.
    pub fn with_certificates(mut self, certificates: Vec<CertificateDer<'static>>) -> Result<Self, HeldKeyError> {
        self.held = Held::new(self.held.holder, self.held.public, Some(&self.held.kid), certificates)?;
        Ok(self)
    }
}

#[async_trait]
impl Signer for KmsSigner {
    fn kid(&self) -> &KeyId {
        &self.held.kid
    }

    fn algorithm(&self) -> Algorithm {
        self.held.algorithm
    }

    fn public_jwk(&self) -> &Jwk {
        &self.held.public
    }

    fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.held.certificates
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.service.sign(self.held.algorithm, &digest(self.held.algorithm, message)).await?;
        self.held.checked(message, signature)
    }
}

impl fmt::Debug for KmsSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KmsSigner").field("kid", &self.held.kid).field("holder", &self.held.holder).finish_non_exhaustive()
    }
}

/// What is common to the services: one request, one JSON answer, and errors in each cloud's own words.
async fn ask<T: DeserializeOwned>(
    transport: &dyn Transport,
    holder: &str,
    request: http::Request<Vec<u8>>,
) -> Result<T, SignError> {
    let away = |source: Cause| SignError::Away { holder: holder.to_owned(), source };
    let answer = transport.send(request).await.map_err(away)?;
    if answer.status().is_success() {
        return serde_json::from_slice(answer.body()).map_err(|error| away(error.into()));
    }
    let reason = Reason::read(answer.body(), answer.status());
    if answer.status().is_server_error() || answer.status().as_u16() == 429 || reason.is_busy() {
        return Err(away(reason.0.into()));
    }
    Err(SignError::Refused { holder: holder.to_owned(), reason: reason.0 })
}

/// Why a service said no, in its own words.
struct Reason(String);

impl Reason {
    fn read(body: &[u8], status: http::StatusCode) -> Self {
        #[derive(Deserialize)]
        struct Body {
            /// AWS: the exception's name.
            #[serde(rename = "__type")]
            kind: Option<String>,
            #[serde(alias = "Message")]
            message: Option<String>,
            /// Google and Azure.
            error: Option<Inner>,
        }
        #[derive(Deserialize)]
        struct Inner {
            code: Option<serde_json::Value>,
            status: Option<String>,
            message: Option<String>,
        }
        let body: Option<Body> = serde_json::from_slice(body).ok();
        let said = body.and_then(|body| match body.error {
            Some(inner) => {
                let code =
                    inner.status.or_else(|| inner.code.map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned)));
                Some((code.unwrap_or_default(), inner.message.unwrap_or_default()))
            }
            None => {
                body.kind.map(|kind| (kind.rsplit('#').next().unwrap_or_default().to_owned(), body.message.unwrap_or_default()))
            }
        });
        // An error text that somebody else wrote: short, and on one line.
        let clean = |text: String| text.chars().filter(|c| !c.is_control()).take(300).collect::<String>();
        Self(match said {
            Some((code, message)) => format!("{}: {} (status {})", clean(code), clean(message), status.as_u16()),
            None => format!("status {}", status.as_u16()),
        })
    }

    /// AWS answers 400 to those who ask too often.
    fn is_busy(&self) -> bool {
        ["ThrottlingException", "KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException"]
            .iter()
            .any(|code| self.0.starts_with(code))
    }
}

/// A request that could not even be written.
fn unwritable(holder: &str, error: impl Into<Cause>) -> SignError {
    SignError::Away { holder: holder.to_owned(), source: error.into() }
}
