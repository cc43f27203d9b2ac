//! Requests that the library does not make: small, repeated when the server stumbles, errors in the server's own words.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use reqwest::Url;
use skybru_core::Ctx;

use super::service::{BearerSource, no_credentials, patience};
use super::store::Answer;
use crate::http::{RetryPolicy, retry_after};

/// The longest answer that is read into memory: a page of a listing, a list of parts.
const LONGEST: usize = 16 * 1024 * 1024;

/// An HTTP client for one storage.
#[derive(Clone)]
pub(super) struct Rest {
    pub(super) ctx: Ctx,
    pub(super) client: reqwest::Client,
    /// `None`: addresses are signed already.
    pub(super) bearer: Option<Arc<dyn BearerSource>>,
    /// Go with every request.
    pub(super) headers: HeaderMap,
    /// For the library's errors.
    pub(super) name: &'static str,
}

/// One request.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Status, headers and the whole body.
pub(super) struct Told {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The server said no. Its words follow the status.
#[derive(Debug, thiserror::Error)]
#[error("the server answered {status}: {words}")]
struct Refused {
    status: StatusCode,
    words: String,
}

impl Ask {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Answer<Self> {
        let value = value.parse().map_err(|error| generic("request", error))?;
        self.headers.insert(name, value);
        Ok(self)
    }

    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

impl Rest {
    /// Sends the request and reads the answer, which must be a success.
    pub(super) async fn send(&self, ask: &Ask) -> Answer<Told> {
        let mut response = self.open(ask).await?;
        let headers = std::mem::take(response.headers_mut());
        let body = read(response).await.map_err(|error| self.broken(error))?;
        Ok(Told { headers, body })
    }

    /// Sends the request until it is answered with a success; the body is yet to come.
    pub(super) async fn open(&self, ask: &Ask) -> Answer<reqwest::Response> {
        let policy = RetryPolicy { attempts: 5, first_wait: Duration::from_millis(250), longest_wait: Duration::from_secs(20) };
        let mut failures = 0;
        loop {
            let outcome = self.once(ask).await?;
            failures += 1;
            let (error, asked) = match outcome {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => {
                    let (status, asked) = (response.status(), retry_after(response.headers()));
                    let code = response.headers().get("x-ms-error-code").and_then(|code| code.to_str().ok()).map(str::to_owned);
                    let body = read(response).await.unwrap_or_default();
                    let mut words = String::from_utf8_lossy(&body).chars().take(4096).collect::<String>();
                    if let (true, Some(code)) = (words.is_empty(), code) {
                        // To HEAD, Azure says the code in a header.
                        words = format!("<Error><Code>{code}</Code><Message>{status}</Message></Error>");
                    }
                    let refused = self.refused(ask, status, words);
                    if !(status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS) {
                        return Err(refused);
                    }
                    (refused, asked)
                }
                Err(error) => (self.broken(error), None),
            };
            let Some(wait) = policy.wait(failures, asked, &*self.ctx.randomness) else { return Err(error) };
            tokio::time::sleep(wait).await;
        }
    }

    async fn once(&self, ask: &Ask) -> Answer<reqwest::Result<reqwest::Response>> {
        let mut request = self.client.request(ask.method.clone(), ask.url.clone()).headers(self.headers.clone());
        request = request.headers(ask.headers.clone());
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer.bearer().await.map_err(no_credentials)?.expose());
        }
        if !ask.body.is_empty() || matches!(ask.method, Method::PUT | Method::POST) {
            request = request.header(http::header::CONTENT_LENGTH, ask.body.len()).body(ask.body.clone());
        }
        let limit = patience(u64::try_from(ask.body.len()).unwrap_or(u64::MAX));
        match tokio::time::timeout(limit, request.send()).await {
            Ok(outcome) => Ok(outcome),
            Err(elapsed) => Err(generic(self.name, elapsed)),
        }
    }

    fn refused(&self, ask: &Ask, status: StatusCode, words: String) -> object_store::Error {
        let path = ask.url.path().to_owned();
        let source = Box::new(Refused { status, words });
        match status {
            StatusCode::NOT_FOUND => object_store::Error::NotFound { path, source },
            StatusCode::FORBIDDEN => object_store::Error::PermissionDenied { path, source },
            StatusCode::UNAUTHORIZED => object_store::Error::Unauthenticated { path, source },
            StatusCode::PRECONDITION_FAILED => object_store::Error::Precondition { path, source },
            _ => object_store::Error::Generic { store: self.name, source },
        }
    }

    fn broken(&self, error: reqwest::Error) -> object_store::Error {
        // An address may be signed, and then is as good as a key.
        generic(self.name, error.without_url())
    }
}

pub(super) fn generic(store: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic { store, source: Box::new(error) }
}

async fn read(mut response: reqwest::Response) -> reqwest::Result<Bytes> {
    let mut body = bytes::BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST {
            break;
        }
    }
    Ok(body.freeze())
}

/// `base` with these parts below it, encoded.
pub(super) fn below<'a>(base: &Url, parts: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(parts);
    }
    url
}
