//! Google Cloud: a token becomes an access token of a federated identity, or of a service account that it may act as.

mod credentials;
mod error;
mod exchange;
mod names;

use jiff::Timestamp;
use skybru_core::Secret;

pub use credentials::{GoogleCredentialError, GoogleCredentialSource};
pub use error::{GoogleExchangeError, Step};
pub use exchange::{CLOUD_PLATFORM, GoogleExchange};
pub use names::{GoogleNameError, ProviderName, ServiceAccount};

/// Where one is known as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoogleTarget {
    /// The provider that takes the issuer's tokens.
    pub provider: ProviderName,
    /// The service account to act as. Without it the federated identity reaches the resource itself.
    pub service_account: Option<ServiceAccount>,
    /// Another base URL than Google's own, for STS, IAM Credentials and storage alike: the lab's.
    pub endpoint: Option<String>,
    /// The project that is charged for what a workforce identity does (G-68).
    pub workforce_user_project: Option<String>,
}

impl GoogleTarget {
    /// This provider, everything else by default.
    pub fn new(provider: ProviderName) -> Self {
        Self { provider, service_account: None, endpoint: None, workforce_user_project: None }
    }

    fn base<'a>(&'a self, googles_own: &'a str) -> &'a str {
        self.endpoint.as_deref().map_or(googles_own, |endpoint| endpoint.trim_end_matches('/'))
    }

    /// Where tokens are exchanged (G-27).
    pub fn token_url(&self) -> String {
        format!("{}/v1/token", self.base("https://sts.googleapis.com"))
    }

    /// Where STS says whose token one is (G-62).
    pub fn introspection_url(&self) -> String {
        format!("{}/v1/introspect", self.base("https://sts.googleapis.com"))
    }

    /// Where the service account's token is made (G-50), when there is a service account.
    pub fn impersonation_url(&self) -> Option<String> {
        let base = self.base("https://iamcredentials.googleapis.com");
        let account = self.service_account.as_ref()?;
        Some(format!("{base}/v1/projects/-/serviceAccounts/{account}:generateAccessToken"))
    }

    /// The base URL of Cloud Storage.
    pub fn storage_url(&self) -> &str {
        self.base("https://storage.googleapis.com")
    }
}

/// An access token of Google's, and whose it is.
#[derive(Debug, Clone)]
pub struct GoogleCredentials {
    /// The bearer token.
    pub access_token: Secret,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whose it is: a service account's address, or `principal://…`. Absent when STS did not say.
    pub principal: Option<String>,
}
