//! `/health/live` and `/health/ready`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::health::Status;
use crate::issuer::Issuer;
use crate::selfservice::SelfService;

/// Who answers is alive. A database that is away is no reason to restart the process.
pub(super) async fn live() -> impl IntoResponse {
    Json(json!({"status": "UP"}))
}

pub(super) async fn ready(State(issuer): State<Arc<Issuer>>) -> Response {
    answer(&issuer).await
}

pub(super) async fn selfservice_ready(State(service): State<Arc<SelfService>>) -> Response {
    answer(&service.issuer).await
}

async fn answer(issuer: &Issuer) -> Response {
    let readiness = issuer.readiness().await;
    let status = match readiness.status {
        Status::Up => StatusCode::OK,
        Status::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, [(CACHE_CONTROL, "no-store")], Json(readiness)).into_response()
}
