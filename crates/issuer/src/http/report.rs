//! Trace ids, and the one place that logs refusals and faults.

use std::any::Any;
use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use skybru_core::Ctx;

/// The id under which a request can be found in the log: 32 lower-case hexadecimal digits, as in W3C trace context.
#[derive(Debug, Clone)]
pub struct TraceId(pub(super) Arc<str>);

impl TraceId {
    /// One that somebody has chosen already: a layer around these routes that puts it into the request's extensions.
    pub fn known(text: &str) -> Self {
        Self(text.into())
    }

    fn new(ctx: &Ctx) -> Self {
        let mut bytes = [0; 16];
        ctx.randomness.fill(&mut bytes);
        // One number is written faster than sixteen bytes.
        Self(format!("{:032x}", u128::from_be_bytes(bytes)).into())
    }
}

/// What a handler leaves on its response for the log: the reason, whole.
#[derive(Clone)]
pub(super) struct Failure {
    /// The word that the caller saw.
    pub(super) code: &'static str,
    /// Whether it is our fault.
    pub(super) is_fault: bool,
    /// Why.
    pub(super) cause: Arc<dyn Error + Send + Sync>,
}

/// Gives every request its trace id, and logs each failure once, with its chain of causes.
pub(super) async fn report(State(ctx): State<Ctx>, mut request: Request, next: Next) -> Response {
    let trace_id = request.extensions().get().cloned().unwrap_or_else(|| TraceId::new(&ctx));
    let uri = request.uri().clone();
    request.extensions_mut().insert(trace_id.clone());
    let mut response = next.run(request).await;
    if let Some(failure) = response.extensions().get::<Failure>() {
        let reason = chain(&*failure.cause);
        let (path, status) = (uri.path(), response.status().as_u16());
        if failure.is_fault {
            tracing::error!(trace_id = &*trace_id.0, path, status, oauth.code = failure.code, reason, "request failed");
        } else {
            tracing::info!(trace_id = &*trace_id.0, path, status, oauth.code = failure.code, reason, "request refused");
        }
    }
    if let Ok(value) = HeaderValue::from_str(&trace_id.0) {
        response.headers_mut().insert("x-trace-id", value);
    }
    response
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// One bad request must not stop the issuer, and tells its sender nothing.
pub(super) fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    let body = serde_json::json!({"error": "server_error", "error_description": "The request could not be completed."});
    (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(body)).into_response()
}
