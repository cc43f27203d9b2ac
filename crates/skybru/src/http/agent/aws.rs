//! AWS container credentials: every AWS SDK asks this address again before its credentials expire.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Agent, header, no_store, refuse};

pub(super) async fn credentials(State(agent): State<Arc<Agent>>, Path(target): Path<String>, headers: HeaderMap) -> Response {
    if !agent.authorization.matches(header(&headers, AUTHORIZATION.as_str())) {
        return refuse(StatusCode::FORBIDDEN, "invalid_request", "the Authorization header is missing or wrong");
    }
    let Some(source) = agent.served.load().aws.get(&target).cloned() else {
        return refuse(StatusCode::NOT_FOUND, "invalid_request", &format!("there is no target {target:?} with AWS credentials"));
    };
    match source.credentials().await {
        Ok(credentials) => no_store(json!({
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_access_key.expose(),
            "Token": credentials.session_token.expose(),
            "Expiration": credentials.expiration.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "AccountId": credentials.account_id,
        })),
        // The SDK shows this text to the user.
        Err(error) => {
            (StatusCode::BAD_GATEWAY, Json(json!({"code": "skybru", "message": agent.told(&target, error)}))).into_response()
        }
    }
}
