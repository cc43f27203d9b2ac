//! AWS container credentials on this machine, for the command that `exec` runs.
//!
//! Every AWS SDK asks this address again before its credentials expire; a copy in the environment would only grow old. Who asks must
//! send the authorization token that only the command was given, and must mean this address: otherwise any page in a browser could ask.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use skybru_client::aws::AwsCredentialSource;
use skybru_core::{Randomness, Secret};
use skybru_protocol::base64url;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The server while it runs; it stops when dropped.
pub(crate) struct Container {
    /// For `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    pub(crate) url: String,
    /// For `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
    pub(crate) authorization: Secret,
    stop: CancellationToken,
}

impl Drop for Container {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Shared {
    credentials: Arc<AwsCredentialSource>,
    authorization: Secret,
    host: String,
}

impl Container {
    /// Listens on a free port of this machine.
    pub(crate) async fn start(credentials: Arc<AwsCredentialSource>, randomness: &dyn Randomness) -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot listen on this machine for the command's SDK")?;
        let host = listener.local_addr()?.to_string();
        let mut bytes = [0; 32];
        randomness.fill(&mut bytes);
        let authorization = Secret::from(base64url::encode(bytes));
        let shared = Shared { credentials, authorization: authorization.clone(), host: host.clone() };
        let router = Router::new().route("/aws", get(credentials_now)).with_state(Arc::new(shared));
        let stop = CancellationToken::new();
        tokio::spawn(axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned()).into_future());
        Ok(Self { url: format!("http://{host}/aws"), authorization, stop })
    }
}

async fn credentials_now(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if header(HOST) != shared.host || !shared.authorization.matches(header(AUTHORIZATION)) {
        return StatusCode::FORBIDDEN.into_response();
    }
    aws_answer(&shared.credentials).await
}

/// Credentials as SDKs read them, or the reason why there are none.
pub(super) async fn aws_answer(credentials: &AwsCredentialSource) -> Response {
    match credentials.credentials().await {
        Ok(credentials) => {
            let body = json!({
                "AccessKeyId": credentials.access_key_id,
                "SecretAccessKey": credentials.secret_access_key.expose(),
                "Token": credentials.session_token.expose(),
                "Expiration": credentials.expiration.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                "AccountId": credentials.account_id,
            });
            ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
        }
        Err(error) => {
            // The SDK shows this text to the user.
            let body = json!({"code": "skybru", "message": error.to_string()});
            (StatusCode::BAD_GATEWAY, Json(body)).into_response()
        }
    }
}
