//! Discovery document, key set.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::server::Peer;
use crate::issuer::Issuer;
use crate::keys::verifier;

/// Where a proxy says for whom it asks.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// How long verifiers may keep these documents. Keys are published for so long before they sign.
fn kept(issuer: &Issuer) -> [(HeaderName, String); 1] {
    [(CACHE_CONTROL, format!("public, max-age={}", issuer.key_set_cache.as_secs()))]
}

pub(super) async fn metadata(State(issuer): State<Arc<Issuer>>) -> impl IntoResponse {
    (kept(&issuer), Json(issuer.metadata()))
}

pub(super) async fn key_set(State(issuer): State<Arc<Issuer>>, peer: Option<Extension<Peer>>, headers: HeaderMap) -> Response {
    if issuer.must_be_fresh().is_err() {
        // Whoever fetched it would keep it.
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]).into_response();
    }
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let address = peer.and_then(|Extension(peer)| peer.behind_proxy(text(FORWARDED_FOR)));
    issuer.metrics.key_set_fetched();
    let keys = issuer.keys();
    issuer.fetches().note(verifier(address, text(USER_AGENT.as_str())), keys.kids(), issuer.ctx.clock.now());
    (kept(&issuer), Json(issuer.key_set())).into_response()
}
