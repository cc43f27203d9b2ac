//! What the issuer needs of the web: revocation answers and remote registries of delegations. Who fetches is an argument; tests script it.

use async_trait::async_trait;
use skybru_core::Secret;

/// Fetches small documents. Implementations bound time and size, follow no redirects, and send no credentials of their own accord.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// GET, answered with 200.
    async fn get(&self, url: &str) -> Result<Vec<u8>, FetchError>;

    /// GET with a bearer token, answered with 200.
    async fn get_as(&self, url: &str, _bearer: &Secret) -> Result<Vec<u8>, FetchError> {
        Err(FetchError { url: url.to_owned(), problem: "credentials cannot be sent from here".to_owned() })
    }

    /// POST, answered with 200.
    async fn post(&self, url: &str, content_type: &str, body: Vec<u8>) -> Result<Vec<u8>, FetchError>;
}

/// Why nothing was fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {problem}")]
pub struct FetchError {
    /// Where.
    pub url: String,
    /// What went wrong.
    pub problem: String,
}
