//! Google's metadata server, and the token for an `external_account` file (G-61).
//!
//! One target stands for the machine's identity under the paths that libraries know; every target has the same paths below
//! `/google/TARGET`. ID tokens are not there: only Google can sign those, and only for service accounts.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use skybru_client::google::{CLOUD_PLATFORM, GoogleCredentialError, GoogleCredentialSource, GoogleExchangeError};
use skybru_client::token::TokenError;

use super::{Agent, header, refuse};

/// What every answer carries, so that a library knows that it speaks with a metadata server.
const FLAVOR: [(&str, &str); 2] = [("metadata-flavor", "Google"), ("cache-control", "no-store")];

/// The name under which a federated identity without a service account goes.
const DEFAULT: &str = "default";

/// The question's parameters.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    recursive: Option<String>,
}

pub(super) async fn metadata(
    State(agent): State<Arc<Agent>>,
    Path(path): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let Some(target) = agent.served.load().machine_google.clone() else {
        let text = "no target stands for this machine's Google identity: start the agent with --google TARGET";
        return refuse(StatusCode::NOT_FOUND, "invalid_request", text);
    };
    answer(&agent, &target, &path, &asked, &headers).await
}

/// What there is, for libraries that look whether there is anything.
pub(super) async fn top(headers: HeaderMap) -> Response {
    if header(&headers, "metadata-flavor") != "Google" {
        return refuse(StatusCode::FORBIDDEN, "invalid_request", "the header Metadata-Flavor: Google is missing");
    }
    text("instance/\nproject/\nuniverse/\n".to_owned())
}

pub(super) async fn metadata_of(
    State(agent): State<Arc<Agent>>,
    Path((target, path)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    answer(&agent, &target, &path, &asked, &headers).await
}

/// The issuer's own token, alone, for a library that exchanges it itself.
pub(super) async fn subject_token(State(agent): State<Arc<Agent>>, Path(target): Path<String>, headers: HeaderMap) -> Response {
    let source = match source(&agent, &target, &headers) {
        Ok(source) => source,
        Err(answer) => return answer,
    };
    match source.subject_token().await {
        Ok(token) => text(token.token.expose().to_owned()),
        Err(error) => failed(status_of(&error), &agent.told(&target, error)),
    }
}

/// The target's credentials, for a request that a library of Google's could have made.
#[expect(clippy::result_large_err, reason = "the error is the answer")]
fn source(agent: &Agent, target: &str, headers: &HeaderMap) -> Result<Arc<GoogleCredentialSource>, Response> {
    if header(headers, "metadata-flavor") != "Google" {
        return Err(refuse(StatusCode::FORBIDDEN, "invalid_request", "the header Metadata-Flavor: Google is missing"));
    }
    agent.served.load().google.get(target).cloned().ok_or_else(|| {
        let text = format!("there is no target {target:?} with Google credentials");
        refuse(StatusCode::NOT_FOUND, "invalid_request", &text)
    })
}

async fn answer(agent: &Agent, target_name: &str, path: &str, asked: &Asked, headers: &HeaderMap) -> Response {
    let source = match source(agent, target_name, headers) {
        Ok(source) => source,
        Err(answer) => return answer,
    };
    let target = source.target();
    let account = target.service_account.as_ref().map_or(DEFAULT, |account| account.as_str());
    let number = target.provider.project_number().unwrap_or_default();
    let recursive = asked.recursive.as_deref().is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let described = || json!({"aliases": [DEFAULT], "email": account, "scopes": [CLOUD_PLATFORM]});
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    match parts[..] {
        // By this Node's library tells that there is a metadata server at all.
        ["instance"] => text("service-accounts/\n".to_owned()),
        ["project", "numeric-project-id"] if !number.is_empty() => text(number.to_owned()),
        ["project", "project-id"] if !number.is_empty() => {
            let id = target.service_account.as_ref().and_then(|account| account.project_id());
            text(id.unwrap_or(number).to_owned())
        }
        ["universe", "universe-domain" | "universe_domain"] => text("googleapis.com".to_owned()),
        // By this Java's library learns of the account before it asks for a token.
        ["instance", "service-accounts"] if recursive => json_answer(&json!({DEFAULT: described(), account: described()})),
        ["instance", "service-accounts"] if account == DEFAULT => text(format!("{DEFAULT}/\n")),
        ["instance", "service-accounts"] => text(format!("{DEFAULT}/\n{account}/\n")),
        ["instance", "service-accounts", name, ref what @ ..] if name == DEFAULT || name == account => match what {
            [] if recursive => json_answer(&described()),
            [] => text("aliases\nemail\nscopes\ntoken\n".to_owned()),
            ["aliases"] => text(DEFAULT.to_owned()),
            ["email"] => text(account.to_owned()),
            ["scopes"] => text(format!("{CLOUD_PLATFORM}\n")),
            ["token"] => token(agent, target_name, &source).await,
            ["identity"] => failed(StatusCode::NOT_FOUND, "a federated identity has no ID token of Google's"),
            _ => failed(StatusCode::NOT_FOUND, "there is no such entry"),
        },
        _ => failed(StatusCode::NOT_FOUND, "there is no such entry"),
    }
}

async fn token(agent: &Agent, target: &str, source: &Arc<GoogleCredentialSource>) -> Response {
    match source.credentials().await {
        Ok(credentials) => {
            let life = credentials.expires_at.duration_since(agent.clock.now()).as_secs().max(0);
            let token = credentials.access_token.expose();
            json_answer(&json!({"access_token": token, "expires_in": life, "token_type": "Bearer"}))
        }
        Err(error) => {
            let status = match &error {
                GoogleCredentialError::Token(error) => status_of(error),
                GoogleCredentialError::Exchange(GoogleExchangeError::Refused { status, .. }) if *status < 500 => {
                    StatusCode::FORBIDDEN
                }
                GoogleCredentialError::Exchange(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            failed(status, &agent.told(target, error))
        }
    }
}

/// A verdict is told apart from what may pass, which libraries ask for again.
fn status_of(error: &TokenError) -> StatusCode {
    if error.refusal().is_some() { StatusCode::FORBIDDEN } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn text(text: String) -> Response {
    (FLAVOR, [(CONTENT_TYPE, "application/text")], text).into_response()
}

fn json_answer(value: &serde_json::Value) -> Response {
    (FLAVOR, axum::Json(value)).into_response()
}

fn failed(status: StatusCode, text: &str) -> Response {
    (status, FLAVOR, text.to_owned()).into_response()
}
