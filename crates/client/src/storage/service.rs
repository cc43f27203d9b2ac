//! What `object_store` needs from us: HTTP and credentials.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use object_store::aws::AwsCredential;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService};
use object_store::{ClientOptions, CredentialProvider};

use crate::aws::AwsCredentialSource;

/// How long to wait for the head of an answer, besides the time that the request's body needs.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A line slower than this, in bytes per second, counts as broken.
const SLOWEST: u64 = 16 * 1024;

/// Hands our own HTTP client to the library: same trust, same proxy, no redirects.
#[derive(Debug)]
pub(super) struct Connector(pub(super) reqwest::Client);

/// The headers of an answer, passed along beside the body.
#[derive(Clone)]
pub(super) struct AnswerHeaders(pub(super) HeaderMap);

#[derive(Debug)]
struct Service(reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service(self.0.clone())))
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let length = u64::try_from(request.body().content_length()).unwrap_or(u64::MAX);
        let limit = PATIENCE.saturating_add(Duration::from_secs(length / SLOWEST));
        let answer = tokio::time::timeout(limit, HttpService::call(&self.0, request)).await;
        let mut answer = answer.map_err(|elapsed| HttpError::new(HttpErrorKind::Timeout, elapsed))??;
        let headers = AnswerHeaders(answer.headers().clone());
        answer.extensions_mut().insert(headers);
        Ok(answer)
    }
}

/// Hands our credentials to the library, at every request anew.
pub(super) struct Provider(pub(super) Arc<AwsCredentialSource>);

#[async_trait]
impl CredentialProvider for Provider {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let failed = |error| object_store::Error::Generic { store: "S3", source: Box::new(error) };
        let credentials = self.0.credentials().await.map_err(failed)?;
        Ok(Arc::new(AwsCredential {
            key_id: credentials.access_key_id.clone(),
            secret_key: credentials.secret_access_key.expose().to_owned(),
            token: Some(credentials.session_token.expose().to_owned()),
        }))
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider").field(&self.0).finish()
    }
}
