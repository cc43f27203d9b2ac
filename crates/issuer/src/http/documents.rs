//! Discovery document, key set, health.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use serde_json::json;

use crate::issuer::Issuer;

/// Verifiers are told to keep these documents for a day.
const A_DAY: &str = "public, max-age=86400";

pub(super) async fn metadata(State(issuer): State<Arc<Issuer>>) -> impl IntoResponse {
    ([(CACHE_CONTROL, A_DAY)], Json(issuer.metadata()))
}

pub(super) async fn key_set(State(issuer): State<Arc<Issuer>>) -> impl IntoResponse {
    ([(CACHE_CONTROL, A_DAY)], Json(issuer.key_set()))
}

/// The registry was read before the listener was opened, so who answers is ready.
pub(super) async fn health() -> impl IntoResponse {
    Json(json!({"status": "UP"}))
}
