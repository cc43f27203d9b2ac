//! `POST /token`.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;
use skybru_protocol::oauth::{OAuthCode, TokenAnswer, TokenForm};
use tracing::Instrument as _;

use super::report::{Failure, TraceId};
use crate::issuer::Issuer;
use crate::refusal::GrantError;

/// The JWT bearer grant. [RFC 7523, section 2.1](https://www.rfc-editor.org/rfc/rfc7523#section-2.1).
pub(super) async fn token(
    State(issuer): State<Arc<Issuer>>,
    Extension(trace_id): Extension<TraceId>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let started = Instant::now();
    let span = tracing::info_span!(
        target: "skybru::trace",
        "issuer.token.grant",
        issuer = issuer.url().as_str(),
        oauth.code = tracing::field::Empty
    );
    let answer = match form(query.as_deref(), &headers, body) {
        Ok(form) => issuer.token(form).instrument(span.clone()).await,
        Err(refusal) => {
            issuer.count_refusal(&refusal, None);
            Err(refusal)
        }
    };
    let code = answer.as_ref().err().map_or("issued", |error| error.code().as_str());
    span.record("oauth.code", code);
    issuer.metrics.token(issuer.profile().name(), code, started.elapsed());
    match answer {
        Ok(answer) => granted(&answer),
        Err(error) => refused(error, &issuer, &trace_id),
    }
}

fn form(query: Option<&str>, headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<TokenForm, GrantError> {
    let body = body.map_err(|_| GrantError::Body("The body is larger than 32 KiB, or was cut off"))?;
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(|value| value.split(';').next());
    let is_form = media_type.is_none_or(|media_type| media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    if !body.is_empty() && !is_form {
        return Err(GrantError::Body("Content-Type must be application/x-www-form-urlencoded"));
    }
    Ok(TokenForm::parse(query.unwrap_or("").as_bytes(), &body)?)
}

fn granted(answer: &TokenAnswer) -> Response {
    let headers = [(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache"), (CONTENT_TYPE, "application/json;charset=UTF-8")];
    // Some blanks and names around the token.
    let mut body = Vec::with_capacity(answer.access_token.len() + 256);
    match serde_json::to_writer(&mut body, answer) {
        Ok(()) => (headers, body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn refused(error: GrantError, issuer: &Issuer, trace_id: &TraceId) -> Response {
    let code = error.code();
    let number = if code == OAuthCode::Forbidden { issuer.compat.forbidden_status } else { code.status() };
    let status = StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = Json(error.body(issuer.url(), &trace_id.0));
    let mut response = (status, [(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")], body).into_response();
    let retry_after = match &error {
        GrantError::TooOften { seconds, .. } => Some(*seconds),
        _ => (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1),
    };
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response.extensions_mut().insert(Failure { code: code.as_str(), is_fault: error.is_fault(), cause: Arc::new(error) });
    response
}

/// `GET /token` would put the assertion into logs and histories.
pub(super) async fn method_not_allowed() -> Response {
    let body = Json(json!({"error": "invalid_request", "error_description": "Use POST."}));
    (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "POST")], body).into_response()
}
