//! What `object_store` needs from us: HTTP and credentials.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::BodyExt as _;
use object_store::aws::AwsCredential;
use object_store::azure::AzureCredential;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService};
use object_store::gcp::GcpCredential;
use object_store::{ClientOptions, CredentialProvider};
use skybru_core::Secret;

use super::checksum::arrival_header;
use super::cloud::Cloud;
use crate::aws::AwsCredentialSource;

/// How long to wait for the head of an answer, besides the time that the request's body needs.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A line slower than this, in bytes per second, counts as broken.
const SLOWEST: u64 = 16 * 1024;

/// Gives bearer tokens for a cloud's storage, always one that is valid: a transfer may take longer than a token lives.
#[async_trait]
pub trait BearerSource: Send + Sync + fmt::Debug {
    /// A token that is valid now.
    async fn bearer(&self) -> Result<Secret, CredentialError>;
}

/// Why there are no credentials. Cheap to clone; prints as its cause does.
#[derive(Clone)]
pub struct CredentialError {
    cause: Arc<dyn Error + Send + Sync>,
    hint: Option<String>,
}

impl CredentialError {
    /// What the cause said, and what it advised.
    pub fn new(cause: impl Error + Send + Sync + 'static, hint: Option<String>) -> Self {
        Self { cause: Arc::new(cause), hint }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl fmt::Debug for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl Error for CredentialError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}

/// Hands our own HTTP client to the library: same trust, same proxy, no redirects.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) client: reqwest::Client,
    pub(super) cloud: Cloud,
}

/// The headers of an answer, passed along beside the body.
#[derive(Clone)]
pub(super) struct AnswerHeaders(pub(super) HeaderMap);

#[derive(Debug)]
struct Service {
    client: reqwest::Client,
    cloud: Cloud,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service { client: self.client.clone(), cloud: self.cloud }))
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let length = u64::try_from(request.body().content_length()).unwrap_or(u64::MAX);
        if request.method() == Method::PUT && length > 0 {
            // One piece of memory travels better than a stream of one, and can be summed up.
            let (mut head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            if let Some((name, value)) = arrival_header(self.cloud, &body)
                && let Ok(value) = HeaderValue::from_str(&value)
            {
                head.headers.insert(HeaderName::from_static(name), value);
            }
            request = HttpRequest::from_parts(head, body.into());
        }
        let limit = patience(length);
        let answer = tokio::time::timeout(limit, HttpService::call(&self.client, request)).await;
        let mut answer = answer.map_err(|elapsed| HttpError::new(HttpErrorKind::Timeout, elapsed))??;
        let headers = AnswerHeaders(answer.headers().clone());
        answer.extensions_mut().insert(headers);
        Ok(answer)
    }
}

/// How long to wait for the answer to a request with a body of so many bytes.
pub(super) fn patience(length: u64) -> Duration {
    PATIENCE.saturating_add(Duration::from_secs(length / SLOWEST))
}

/// Hands a role's credentials to the library, at every request anew.
#[derive(Debug)]
pub(super) struct RoleProvider(pub(super) Arc<AwsCredentialSource>);

#[async_trait]
impl CredentialProvider for RoleProvider {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let credentials = self.0.credentials().await.map_err(|error| {
            let hint = error.hint();
            no_credentials(CredentialError::new(error, hint))
        })?;
        Ok(Arc::new(AwsCredential {
            key_id: credentials.access_key_id.clone(),
            secret_key: credentials.secret_access_key.expose().to_owned(),
            token: Some(credentials.session_token.expose().to_owned()),
        }))
    }
}

/// Hands bearer tokens to the library, at every request anew.
#[derive(Debug)]
pub(super) struct BearerProvider(pub(super) Arc<dyn BearerSource>);

#[async_trait]
impl CredentialProvider for BearerProvider {
    type Credential = AzureCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AzureCredential>> {
        let bearer = self.0.bearer().await.map_err(no_credentials)?;
        Ok(Arc::new(AzureCredential::BearerToken(bearer.expose().to_owned())))
    }
}

/// The same, in Google's type.
#[derive(Debug)]
pub(super) struct GoogleProvider(pub(super) Arc<dyn BearerSource>);

#[async_trait]
impl CredentialProvider for GoogleProvider {
    type Credential = GcpCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpCredential>> {
        let bearer = self.0.bearer().await.map_err(no_credentials)?;
        Ok(Arc::new(GcpCredential { bearer: bearer.expose().to_owned() }))
    }
}

pub(super) fn no_credentials(error: CredentialError) -> object_store::Error {
    object_store::Error::Generic { store: "credentials", source: Box::new(error) }
}
