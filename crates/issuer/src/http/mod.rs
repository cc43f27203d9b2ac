//! The wire. Handlers here read a request, call one function of the domain, and answer.

mod audit;
mod documents;
mod health;
mod metrics;
mod report;
mod selfservice;
mod server;
mod token;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use skybru_core::Ctx;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

pub use metrics::metrics_routes;
pub use report::TraceId;
pub use server::{Limits, Peer, serve};

use crate::issuer::Issuer;
use crate::selfservice::SelfService;

/// The largest body of a token request, in bytes.
const TOKEN_BODY_LIMIT: usize = 32 * 1024;

/// The largest body of a self-service request, in bytes: five keys of 4096 bits with their certificates fit well.
const API_BODY_LIMIT: usize = 256 * 1024;

/// Token endpoint, key set, discovery document and health of one issuer, at every path where known clients look for them.
pub fn issuer_routes(issuer: Arc<Issuer>) -> Router {
    let path = issuer.url().path().to_owned();
    let ctx = issuer.ctx.clone();
    let mut router = Router::new().route(&format!("{path}/token"), post(token::token).fallback(token::method_not_allowed));
    for name in ["jwk", "jwks", "jwks.json", ".well-known/jwks.json"] {
        router = router.route(&format!("{path}/{name}"), get(documents::key_set));
    }
    for name in ["oauth-authorization-server", "openid-configuration"] {
        // Below the issuer, as OpenID Connect has it, with and without a slash at the end: one client always asks with it.
        let mut paths = vec![format!("{path}/.well-known/{name}"), format!("{path}/.well-known/{name}/")];
        if !path.is_empty() {
            // Between host and path, as RFC 8414, section 3.1 has it.
            paths.push(format!("/.well-known/{name}{path}"));
        }
        for path in paths {
            router = router.route(&path, get(documents::metadata));
        }
    }
    router = router.route("/health", get(health::live)).route("/health/live", get(health::live));
    router = router.route("/health/ready", get(health::ready));
    finish(router.with_state(issuer), TOKEN_BODY_LIMIT, ctx)
}

/// The self-service API, under `/api/v1` and without a prefix: the documentation prints one, the live service uses the other.
pub fn selfservice_routes(service: Arc<SelfService>) -> Router {
    let ctx = service.ctx.clone();
    let api = selfservice::routes();
    let router = Router::new().nest("/api/v1", api.clone()).merge(api).route("/health/live", get(health::live));
    let router = router.route("/health/ready", get(health::selfservice_ready));
    finish(router.with_state(service), API_BODY_LIMIT, ctx)
}

fn finish(router: Router, body_limit: usize, ctx: Ctx) -> Router {
    // One stack, the outermost first: each layer that a router is given by itself is one more boxed service for every request.
    let layers = ServiceBuilder::new()
        .layer(CatchPanicLayer::custom(report::panicked))
        .layer(axum::middleware::from_fn_with_state(ctx, report::report))
        .layer(DefaultBodyLimit::max(body_limit));
    router.fallback(not_found).layer(layers)
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, axum::Json(serde_json::json!({"error": "not_found", "error_description": "No such path."})))
        .into_response()
}
