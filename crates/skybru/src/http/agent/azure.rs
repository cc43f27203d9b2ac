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
use serde_json::{Value, json};
use skybru_client::azure::{AzureCredentialError, AzureCredentialSource, AzureExchangeError, Resource};

use super::{Agent, header, no_store, refuse};

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
    let told = if agent.authorization.matches(header(&headers, "x-identity-header")) {
        token(&agent, &target, &asked).await
    } else {
        Err((StatusCode::FORBIDDEN, "the header X-IDENTITY-HEADER is missing or wrong".to_owned()))
    };
    // App Service has these two members. Java's library takes `error` for an object.
    told.unwrap_or_else(|(status, text)| refusal(status, json!({"statusCode": status.as_u16(), "message": text})))
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
    let told = if header(&headers, "metadata").eq_ignore_ascii_case("true") {
        token(&agent, &target, &asked).await
    } else {
        Err((StatusCode::BAD_REQUEST, "the header Metadata: true is missing".to_owned()))
    };
    told.unwrap_or_else(|(status, text)| {
        let error = if status.is_server_error() { "temporarily_unavailable" } else { "invalid_request" };
        refusal(status, json!({"error": error, "error_description": text}))
    })
}

/// The token, or the status and the words of the refusal.
async fn token(agent: &Agent, target: &str, asked: &Asked) -> Result<Response, (StatusCode, String)> {
    let Some(source) = agent.served.load().azure.get(target).cloned() else {
        return Err((StatusCode::NOT_FOUND, format!("there is no target {target:?} with Azure credentials")));
    };
    if let Some(text) = another_identity(&source, asked) {
        return Err((StatusCode::BAD_REQUEST, text));
    }
    let resource: Resource = match asked.resource.as_deref().unwrap_or_default().parse() {
        Ok(resource) => resource,
        Err(error) => return Err((StatusCode::BAD_REQUEST, format!("resource: {error}"))),
    };
    match source.token(&resource).await {
        Ok(token) => {
            let now = agent.clock.now();
            Ok(no_store(json!({
                "access_token": token.access_token.expose(),
                "client_id": source.target().client_id,
                "expires_in": token.expires_at.duration_since(now).as_secs().max(0).to_string(),
                "expires_on": token.expires_at.as_second().to_string(),
                "not_before": now.as_second().to_string(),
                // As it was asked for: libraries compare.
                "resource": asked.resource,
                "token_type": "Bearer",
            })))
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
            Err((status, agent.told(target, error)))
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

fn refusal(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}
