//! What the issuer needs of the web: revocation answers and remote registries of delegations. Who fetches is an argument; tests script it.

use async_trait::async_trait;

/// Fetches small documents. Implementations bound time and size, follow no redirects, and send no credentials of their own accord.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// GET, answered with 200.
    async fn get(&self, url: &str) -> Result<Vec<u8>, FetchError>;

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
