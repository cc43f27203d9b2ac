//! Answers and errors as each service writes them.

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use serde_json::{Value, json};
use skybru_federation::google::{ApiError, StsError};

use super::status;

/// JSON with this status.
pub(super) fn json(code: u16, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status(code);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
    response
}

/// No body.
pub(super) fn empty(code: u16) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status(code);
    response
}

/// G-30.
pub(super) fn sts_error(error: &StsError) -> Response<Body> {
    json(error.status, &json!({"error": error.error, "error_description": error.description}))
}

/// The envelope of google.rpc (G-53).
pub(super) fn api_error(error: &ApiError) -> Response<Body> {
    let mut body = json!({"code": error.code, "message": error.message, "status": error.status});
    if let Some(info) = &error.info {
        let metadata: serde_json::Map<String, Value> =
            info.metadata.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str()))).collect();
        body["details"] = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": info.reason, "domain": info.domain, "metadata": metadata,
        }]);
    }
    if let Some(violation) = &error.violation {
        body["details"] = json!([{
            "@type": "type.googleapis.com/google.rpc.PreconditionFailure",
            "violations": [{"type": "constraints/iam.workloadIdentityPoolProviders", "subject": "orgpolicy", "description": violation}],
        }]);
    }
    let mut response = json(error.code, &json!({"error": body}));
    challenge(&mut response, error.code);
    response
}

/// The older envelope, which Cloud Storage and `BigQuery` use.
pub(super) fn listed_error(error: &ApiError) -> Response<Body> {
    let reason = match (error.code, error.status) {
        (400, "INVALID_QUERY") => "invalidQuery",
        (401, _) => "authError",
        (403, "ACCESS_DENIED") => "accessDenied",
        (403, _) => "forbidden",
        (404, _) => "notFound",
        (409, _) => "conflict",
        (412, _) => "conditionNotMet",
        (416, _) => "requestedRangeNotSatisfiable",
        (500.., _) => "backendError",
        _ => "invalid",
    };
    let mut detail = json!({"message": error.message, "domain": "global", "reason": reason});
    if error.code == 401 {
        detail["locationType"] = "header".into();
        detail["location"] = "Authorization".into();
    }
    let mut response = json(error.code, &json!({"error": {"code": error.code, "message": error.message, "errors": [detail]}}));
    challenge(&mut response, error.code);
    response
}

/// Clients that see no challenge with a 401 do not fetch a new token.
fn challenge(response: &mut Response<Body>, code: u16) {
    if code == 401 {
        let value = HeaderValue::from_static("Bearer realm=\"https://accounts.google.com/\", error=\"invalid_token\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
}
