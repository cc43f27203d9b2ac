//! One endpoint for seven services, told apart by the path. What is none of theirs is the XML API of Cloud Storage.

mod accounts;
mod answers;
mod bigquery;
mod iam;
mod projects;
mod settings;
mod storage;
mod sts;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use skybru_federation::google::{ApiError, Caller};

use self::answers::{api_error, json};
use super::Sim;
use super::caller::Asking;
use crate::control::{CONTROL_PATH, ControlSettings};

/// The largest JSON or form that is read.
const LARGEST_FORM: usize = 1024 * 1024;

/// The simulator as a function from request to response. Cheap to clone.
#[derive(Clone)]
pub struct Service(Arc<Sim>);

impl Service {
    pub(crate) fn new(sim: Arc<Sim>) -> Self {
        Self(sim)
    }

    /// Moves the clock, slows changes down, injects faults.
    pub fn control(&self, settings: ControlSettings) {
        self.0.control.set(settings);
        self.0.fetcher.set_fault(settings.fetch_fault);
    }

    pub(crate) async fn incoming(&self, request: Request<Incoming>) -> Response<Body> {
        self.call(request.map(Body::new)).await
    }

    /// Answers one request. A fault of the simulator is an answer with status 500, never a panic of the caller.
    pub async fn call(&self, request: Request<Body>) -> Response<Body> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = AssertUnwindSafe(self.dispatch(request)).catch_unwind().await;
        let response = answer.unwrap_or_else(|_| {
            tracing::error!(%method, path, "a request made the simulator panic");
            api_error(&ApiError::new("S-21", 500, "INTERNAL", "Internal error encountered."))
        });
        tracing::info!(%method, path, status = response.status().as_u16(), "Google answered");
        response
    }

    async fn dispatch(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let call = Call::new(&self.0, parts, body);
        if call.parts.uri.path() == CONTROL_PATH {
            return self.answer_control(call).await;
        }
        let segments: Vec<String> = call.segments.clone();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["v1", "token" | "oauthtoken" | "introspect"] => sts::answer(call).await,
            ["v1" | "v1beta1" | "v3", ..] => finish(api(call, &segments[1..]).await),
            ["v2", "projects", _, "policies", ..] => finish(settings::policies(call, &segments[1..]).await),
            ["$discovery", "rest"] | ["discovery", "v1", "apis", "bigquery", "v2", "rest"] => bigquery::discovery(&call),
            ["storage", "v1", rest @ ..] | ["download", "storage", "v1", rest @ ..] => storage::json_api(call, rest).await,
            ["upload", "storage", "v1", rest @ ..] | ["resumable", "upload", "storage", "v1", rest @ ..] => {
                storage::upload_api(call, rest).await
            }
            ["bigquery", "v2", rest @ ..] => bigquery::answer(call, rest).await,
            _ => storage::xml_api(call).await,
        }
    }

    async fn answer_control(&self, call: Call<'_>) -> Response<Body> {
        if !matches!(call.asking(), Ok(Asking { caller: Caller::User { .. }, .. })) {
            return api_error(&ApiError::unauthenticated());
        }
        let put = call.parts.method == Method::PUT;
        if put {
            let Ok(body) = call.bytes().await else { return api_error(&ApiError::invalid("S-21", "The body is too large.")) };
            match self.0.control.set_from(&body) {
                Ok(settings) => self.0.fetcher.set_fault(settings.fetch_fault),
                Err(error) => {
                    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    return api_error(&ApiError::invalid("S-21", format!("{error}: {source}")));
                }
            }
        }
        json(200, &serde_json::to_value(self.0.control.settings()).unwrap_or_default())
    }
}

/// IAM, IAM Credentials and Resource Manager, behind the version.
async fn api(call: Call<'_>, segments: &[&str]) -> Result<Response<Body>, ApiError> {
    match segments {
        ["projects", _, "serviceAccounts", ..] => accounts::answer(call, segments).await,
        ["projects", _, "locations", "global", "workloadIdentityPools", ..] | ["locations", "global", "workforcePools", ..] => {
            iam::answer(call, segments).await
        }
        ["projects", _, "services", ..] => settings::services(&call, segments),
        ["projects", ..] => projects::answer(call, segments).await,
        _ => Err(no_such_method()),
    }
}

fn finish(answer: Result<Response<Body>, ApiError>) -> Response<Body> {
    answer.unwrap_or_else(|error| {
        tracing::info!(rule = error.rule, status = error.status, message = error.message, "refused");
        api_error(&error)
    })
}

fn no_such_method() -> ApiError {
    ApiError::not_found("S-21", "Method not found.")
}

/// One request, taken apart.
pub(crate) struct Call<'a> {
    sim: &'a Sim,
    parts: Parts,
    /// The path's parts, decoded.
    segments: Vec<String>,
    query: Vec<(String, String)>,
    /// Behind a lock that nobody contends for: a body alone cannot be looked at from two threads, and so neither could a call.
    body: Mutex<Body>,
}

impl<'a> Call<'a> {
    fn new(sim: &'a Sim, parts: Parts, body: Body) -> Self {
        let segments = parts.uri.path().trim_start_matches('/').split('/').map(decoded).collect();
        let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        Self { sim, parts, segments, query, body: Mutex::new(body) }
    }

    /// A parameter of the query.
    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A header that is text.
    fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Who calls.
    fn asking(&self) -> Result<Asking, ApiError> {
        Asking::of(self.sim, bearer(&self.parts.headers)?)
    }

    /// Where the caller believes that the simulator is, for links in answers.
    fn base_url(&self) -> String {
        format!("http://{}", self.header("host").unwrap_or("localhost"))
    }

    /// The body, as it streams in.
    fn into_body(self) -> Body {
        self.body.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, leaving an empty one behind.
    fn take_body(&mut self) -> Body {
        std::mem::take(self.body.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// The whole body, which is a form or JSON.
    async fn bytes(self) -> Result<bytes::Bytes, ApiError> {
        let read = axum::body::to_bytes(self.into_body(), LARGEST_FORM).await;
        read.map_err(|_| ApiError::new("S-21", 413, "INVALID_ARGUMENT", "Request payload size exceeds the limit."))
    }

    /// The body as JSON; an empty one is `{}`.
    async fn json<T: DeserializeOwned>(self) -> Result<T, ApiError> {
        let bytes = self.bytes().await?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text).map_err(|error| ApiError::invalid("S-21", format!("Invalid JSON payload received. {error}")))
    }
}

/// The bearer token, if there is one. Another scheme is nobody's token.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().map_err(|_| ApiError::unauthenticated())?;
    let token = text.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer ")).map(|_| text[7..].trim());
    token.filter(|token| !token.is_empty()).map(Some).ok_or_else(ApiError::unauthenticated)
}

/// Percent-decoded; what is no UTF-8 afterwards becomes replacement characters, which name nothing.
fn decoded(segment: &str) -> String {
    let plus_kept = segment.replace('+', "%2B");
    form_urlencoded::parse(plus_kept.replace('&', "%26").replace('=', "%3D").as_bytes())
        .next()
        .map(|(name, _)| name.into_owned())
        .unwrap_or_default()
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_path_is_decoded_once() {
        assert_eq!(decoded("a%2Fb+c%20d&e=f%2520"), "a/b+c d&e=f%20");
        assert_eq!(decoded(""), "");
    }

    #[test]
    fn only_bearer_tokens_are_tokens() {
        let headers = |value: &str| HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
        assert_eq!(bearer(&headers("Bearer ya29.x")).unwrap(), Some("ya29.x"));
        assert_eq!(bearer(&headers("bearer ya29.x")).unwrap(), Some("ya29.x"));
        assert!(bearer(&headers("Basic eDp5")).is_err() && bearer(&headers("Bearer ")).is_err());
        assert_eq!(bearer(&HeaderMap::new()).unwrap(), None);
    }
}
