//! One span a request, in the caller's trace when it says that it has one (W3C trace context).

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use skybru_issuer::http::TraceId;
use tracing::Instrument as _;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The same routes with a span around each request.
pub(crate) fn traced(router: Router) -> Router {
    router.layer(from_fn(answer))
}

/// The path is told, the query is not: an assertion may stand in it.
async fn answer(mut request: Request, next: Next) -> Response {
    let span = tracing::info_span!(
        target: "skybru::trace",
        "issuer.request.answer",
        otel.kind = "server",
        http.request.method = request.method().as_str(),
        url.path = request.uri().path(),
        http.response.status_code = Empty,
    );
    let parent = TraceContextPropagator::new().extract(&HeaderExtractor(request.headers()));
    // Without a collector there is no span to put anywhere.
    let _ = span.set_parent(parent);
    let context = span.context();
    let trace_id = context.span().span_context().trace_id();
    if trace_id != opentelemetry::TraceId::INVALID {
        // Log lines and answers name the same trace.
        request.extensions_mut().insert(TraceId::known(&trace_id.to_string()));
    }
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    response
}
