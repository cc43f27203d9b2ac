//! Azure's managed identity, in both shapes that its SDKs ask for (E-76): App Service, with a header that only the agent's user can know,
//! and the instance metadata service.
//!
//! One target stands for the machine's identity under the path that libraries know; every target has its own path.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use skybru_client::azure::{AzureCredentialError, AzureCredentialSource, AzureExchangeError, Resource};

use super::{Agent, header, no_store, refuse, told};

/// The question's parameters. An identity may be named; it must be the target's.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    resource: Option<String>,
    client_id: Option<String>,
    object_id: Option<String>,
    principal_id: Option<String>,
    mi_res_id: Option<String>,
    msi_res_id: Option<String>,
}

pub(super) async fn app_service(
    State(agent): State<Arc<Agent>>,
    Path(target): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    if !agent.authorization.matches(header(&headers, "x-identity-header")) {
        return wrong(StatusCode::FORBIDDEN, "the header X-IDENTITY-HEADER is missing or wrong");
    }
    token(&agent, &target, &asked).await
}

pub(super) async fn instance(State(agent): State<Arc<Agent>>, Query(asked): Query<Asked>, headers: HeaderMap) -> Response {
    let Some(target) = agent.served.load().machine_azure.clone() else {
        let text = "no target stands for this machine's Azure identity: start the agent with --azure TARGET";
        return refuse(StatusCode::NOT_FOUND, "invalid_request", text);
    };
    instance_of(State(agent), Path(target), Query(asked), headers).await
}

pub(super) async fn instance_of(
    State(agent): State<Arc<Agent>>,
    Path(target): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    if !header(&headers, "metadata").eq_ignore_ascii_case("true") {
        return wrong(StatusCode::BAD_REQUEST, "the header Metadata: true is missing");
    }
    token(&agent, &target, &asked).await
}

async fn token(agent: &Agent, target: &str, asked: &Asked) -> Response {
    let Some(source) = agent.served.load().azure.get(target).cloned() else {
        return wrong(StatusCode::NOT_FOUND, &format!("there is no target {target:?} with Azure credentials"));
    };
    if let Some(text) = another_identity(&source, asked) {
        return wrong(StatusCode::BAD_REQUEST, &text);
    }
    let resource: Resource = match asked.resource.as_deref().unwrap_or_default().parse() {
        Ok(resource) => resource,
        Err(error) => return wrong(StatusCode::BAD_REQUEST, &format!("resource: {error}")),
    };
    match source.token(&resource).await {
        Ok(token) => {
            let now = agent.clock.now();
            no_store(json!({
                "access_token": token.access_token.expose(),
                "client_id": source.target().client_id,
                "expires_in": token.expires_at.duration_since(now).as_secs().max(0).to_string(),
                "expires_on": token.expires_at.as_second().to_string(),
                "not_before": now.as_second().to_string(),
                // As it was asked for: libraries compare.
                "resource": asked.resource,
                "token_type": "Bearer",
            }))
        }
        Err(error) => {
            let verdict = match &error {
                AzureCredentialError::Token(error) => error.refusal().is_some(),
                AzureCredentialError::Exchange(error) => {
                    matches!(error, AzureExchangeError::Refused { status, .. } if *status < 500 && *status != 429)
                }
            };
            // 4xx is a verdict; what may pass is asked for again.
            let status = if verdict { StatusCode::BAD_REQUEST } else { StatusCode::SERVICE_UNAVAILABLE };
            wrong(status, &told(error))
        }
    }
}

/// Never another identity than the target's.
fn another_identity(source: &AzureCredentialSource, asked: &Asked) -> Option<String> {
    let ours = source.target().client_id.to_string();
    if let Some(asked) = asked.client_id.as_ref().filter(|asked| !asked.eq_ignore_ascii_case(&ours)) {
        return Some(format!("client_id: this target is {ours}, not {asked:?}"));
    }
    let by_other_ids = [&asked.object_id, &asked.principal_id, &asked.mi_res_id, &asked.msi_res_id];
    by_other_ids.iter().any(|id| id.is_some()).then(|| format!("name the identity by its client_id, {ours}, or not at all"))
}

/// In both shapes at once: App Service has `statusCode` and `message`, the instance metadata service OAuth's members.
fn wrong(status: StatusCode, text: &str) -> Response {
    let error = if status.is_server_error() { "temporarily_unavailable" } else { "invalid_request" };
    let body = json!({"statusCode": status.as_u16(), "message": text, "error": error, "error_description": text});
    (status, Json(body)).into_response()
}
