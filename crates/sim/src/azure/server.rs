//! From hyper to the service that is meant, and back. A fault of the simulator is an answer with status 500, never a panic.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::Response;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use serde_json::json;
use skybru_federation::azure::{AzureError, Caller, Expected, TokenFault, verify};
use skybru_federation::entra::Resource;

use super::body::{BodyError, Received};
use super::wire::{Answer, Request, http_date};
use super::{Sim, arm, entra, graph, storage};
use crate::control::CONTROL_PATH;

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Authority,
    Blob,
    DataLake,
    Files,
}

/// The largest body of one request: of a blob, or of a block of one, as Azure has it.
const LARGEST_BODY: u64 = 5000 * 1024 * 1024;
/// The largest document: a list of fifty thousand blocks has about half of this.
const LARGEST_DOCUMENT: usize = 12 * 1024 * 1024;

/// Answers one request.
pub(crate) async fn answer(
    sim: &Arc<Sim>,
    service: Service,
    request: http::Request<Incoming>,
) -> Response<BoxBody<Bytes, std::io::Error>> {
    let request_id = sim.guid();
    let client_id = request.headers().get("x-ms-client-request-id").cloned();
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let mut request = Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        headers: parts.headers,
        body: Received::empty(),
    };
    let answer = match receive(sim, service, &request, body, &request_id).await {
        Err(answer) => answer,
        Ok(body) => {
            request.body = body;
            let answered = AssertUnwindSafe(dispatch(sim, service, &request, &request_id)).catch_unwind().await;
            answered.unwrap_or_else(|_| {
                tracing::error!(request.id = request_id, "a request made the simulator panic");
                Answer::json(500, &json!({"error": {"code": "InternalServerError", "message": "The simulator failed."}}))
            })
        }
    };
    let answer = answer.with("x-ms-request-id", &request_id).with("date", http_date(sim.now()));
    let mut response = answer.into_response();
    if let Some(id) = client_id {
        response.headers_mut().insert("x-ms-client-request-id", id);
    }
    response
}

/// Reads the body. Nobody whom storage does not know has bytes written to its disk.
async fn receive(sim: &Sim, service: Service, request: &Request, body: Incoming, request_id: &str) -> Result<Received, Answer> {
    let is_document = service == Service::Authority || request.path == CONTROL_PATH || request.query("comp") == Some("blocklist");
    let received = if is_document {
        Received::in_memory(body, LARGEST_DOCUMENT).await
    } else {
        storage::admit(sim, service, request, request_id)?;
        Received::spooled(body, LARGEST_BODY, sim.items.spool(&sim.guid())).await
    };
    received.map_err(|error| {
        if !matches!(error, BodyError::TooLarge) {
            tracing::warn!(%error, "a body was not received");
        }
        match error {
            BodyError::TooLarge => Answer::empty(413).with("x-ms-error-code", "RequestBodyTooLarge"),
            BodyError::Broken => Answer::empty(400).with("x-ms-error-code", "IncompleteBody"),
            BodyError::Files(_) => Answer::empty(500).with("x-ms-error-code", "InternalError"),
        }
    })
}

async fn dispatch(sim: &Sim, service: Service, request: &Request, request_id: &str) -> Answer {
    if request.path == CONTROL_PATH {
        return control(sim, request);
    }
    let answer = match service {
        Service::Authority => {
            let segments = request.segments();
            // SDKs put a scope with its first slash behind another slash.
            let parts: Vec<&str> = segments.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
            match parts.as_slice() {
                ["arm", rest @ ..] => arm::answer(sim, request, rest),
                ["graph", rest @ ..] => graph::answer(sim, request, rest),
                parts => entra::answer(sim, request, parts, request_id).await,
            }
        }
        Service::Blob | Service::DataLake | Service::Files => storage::answer(sim, service, request, request_id),
    };
    tracing::info!(request.id = request_id, ?service, method = %request.method, path = request.path, status = answer.status, "answered");
    answer
}

/// Clock, propagation and faults, for the owner alone.
fn control(sim: &Sim, request: &Request) -> Answer {
    if !request.bearer().is_some_and(|token| sim.owner_token.matches(token)) {
        let text = "Only the owner's token is taken here.";
        return json_error(&AzureError::new("S-21", "AuthenticationFailed", 401, text));
    }
    if request.method == http::Method::PUT {
        match sim.control.set_from(request.body.document()) {
            Ok(settings) => sim.fetcher.set_fault(settings.fetch_fault),
            Err(error) => return json_error(&AzureError::new("S-21", "InvalidRequestContent", 400, error.to_string())),
        }
    }
    Answer::json(200, &serde_json::to_value(sim.control.settings()).unwrap_or_default())
}

/// Who calls Resource Manager or Graph.
pub(crate) fn management_caller(sim: &Sim, request: &Request, resource: Resource) -> Result<Caller, AzureError> {
    let Some(token) = request.bearer() else {
        let text = "Authentication failed. The 'Authorization' header is missing.";
        return Err(AzureError::new("E-13", "AuthenticationFailed", 401, text));
    };
    caller(sim, token, resource, None).map_err(|fault| fault.of_management(sim.now()))
}

/// Whom a bearer token stands for.
pub(crate) fn caller(sim: &Sim, token: &str, resource: Resource, account: Option<&str>) -> Result<Caller, TokenFault> {
    let state = sim.state.get();
    if sim.owner_token.matches(token) {
        return Ok(Caller { principal_id: state.owner.clone(), client_id: state.owner.clone() });
    }
    verify(token, &sim.keys(), Expected { tenant: &state.tenant.id, resource, account }, sim.now())
}

/// An error as Resource Manager and Graph write it.
pub(crate) fn json_error(error: &AzureError) -> Answer {
    tracing::info!(code = error.code, rule = error.rule, "refused");
    Answer::json(error.status, &json!({"error": {"code": error.code, "message": error.message}}))
}
