//! One endpoint for three services, told apart by what the request looks like.
//!
//! A form with an `Action`, or `GET /?Action=…`, is the Query protocol of IAM and STS, told apart by `Version`; all else is S3.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use s3s::Body;
use skybru_federation::aws::AwsError;

use super::caller::Caller;
use super::query::{FAULT_NAMESPACE, IAM_NAMESPACE, Parameters, STS_NAMESPACE, error_document};
use super::{Sim, errors, iam, names, s3, sts};
use crate::control::CONTROL_PATH;

/// The largest form that is read.
const LARGEST_FORM: usize = 1024 * 1024;

/// The simulator as a function from request to response. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    pub(crate) sim: Arc<Sim>,
    pub(crate) s3: s3::Endpoint,
}

impl Service {
    /// Answers one request. A fault of the simulator is an answer with status 500, never a panic of the caller.
    pub async fn call(&self, request: Request<Body>) -> Response<Body> {
        let request_id = names::request_id(&*self.sim.ctx.randomness);
        let answer = AssertUnwindSafe(self.dispatch(request, &request_id)).catch_unwind().await;
        answer.unwrap_or_else(|_| {
            tracing::error!(request.id = request_id, "a request made the simulator panic");
            xml(500, error_document(&errors::internal_failure(), FAULT_NAMESPACE, &request_id), &request_id)
        })
    }

    async fn dispatch(&self, request: Request<Body>, request_id: &str) -> Response<Body> {
        if request.uri().path() == CONTROL_PATH {
            return self.control(request, request_id).await;
        }
        if is_query(&request) { self.query(request, request_id).await } else { self.s3.call(request, request_id).await }
    }

    /// Clock, propagation and faults, for the account's own key alone; the request is signed as one of IAM.
    async fn control(&self, request: Request<Body>, request_id: &str) -> Response<Body> {
        let (parts, mut body) = request.into_parts();
        let refused = |error: &AwsError| xml(error.status, error_document(error, FAULT_NAMESPACE, request_id), request_id);
        let Ok(body) = body.store_all_limited(LARGEST_FORM).await else {
            return refused(&AwsError::new("S-21", "RequestEntityTooLarge", 413, "The request is too large."));
        };
        match Caller::of_request(&self.sim, "iam", &parts, &body) {
            Ok(Caller::Root) => {}
            Ok(Caller::Session(_)) => {
                return refused(&AwsError::new("S-21", "AccessDenied", 403, "Only the account's own key is taken here."));
            }
            Err(error) => return refused(&error),
        }
        if parts.method == Method::PUT {
            match self.sim.control.set_from(&body) {
                Ok(settings) => self.sim.fetcher.set_fault(settings.fetch_fault),
                Err(error) => {
                    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    return refused(&AwsError::new("S-21", "ValidationError", 400, format!("{error}: {source}")));
                }
            }
        }
        let text = serde_json::to_string(&self.sim.control.settings()).unwrap_or_default();
        let mut response = Response::new(Body::from(text));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    async fn query(&self, request: Request<Body>, request_id: &str) -> Response<Body> {
        let (parts, mut body) = request.into_parts();
        let Ok(body) = body.store_all_limited(LARGEST_FORM).await else {
            let error = AwsError::new("A-65", "RequestEntityTooLarge", 413, "The request is too large.");
            return xml(413, error_document(&error, FAULT_NAMESPACE, request_id), request_id);
        };
        // boto3 presigns calls as a POST without a body.
        let form = if body.is_empty() { parts.uri.query().unwrap_or_default().as_bytes() } else { &body[..] };
        let parameters = Parameters::parse(form);
        let action = parameters.get("Action").unwrap_or_default();
        match self.answer(action, &parameters, &parts, &body).await {
            (namespace, Ok(answer)) => {
                tracing::info!(request.id = request_id, action, "answered");
                xml(200, answer.document(action, namespace, request_id), request_id)
            }
            (namespace, Err(error)) => {
                tracing::info!(
                    request.id = request_id,
                    action,
                    code = error.code,
                    rule = error.rule,
                    message = error.message,
                    "refused"
                );
                let namespace = if error.code == "InvalidAction" { FAULT_NAMESPACE } else { namespace };
                xml(error.status, error_document(&error, namespace, request_id), request_id)
            }
        }
    }

    async fn answer(
        &self,
        action: &str,
        parameters: &Parameters,
        parts: &Parts,
        body: &[u8],
    ) -> (&'static str, Result<super::query::Answer, AwsError>) {
        match parameters.get("Version") {
            Some("2011-06-15") => (STS_NAMESPACE, sts::answer(&self.sim, action, parameters, parts, body).await),
            Some("2010-05-08") => (IAM_NAMESPACE, iam::answer(&self.sim, action, parameters, parts, body).await),
            version => (FAULT_NAMESPACE, Err(errors::invalid_action(action, version.unwrap_or("NO_VERSION_SPECIFIED")))),
        }
    }
}

/// A bucket's own URL never looks like this: forms to S3 are multipart, and its paths are not `/`.
fn is_query(request: &Request<Body>) -> bool {
    if request.uri().path() != "/" {
        return false;
    }
    let query = request.uri().query().unwrap_or_default();
    let has_action = form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "Action");
    match *request.method() {
        Method::POST => {
            let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            has_action || kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded")
        }
        Method::GET => has_action,
        _ => false,
    }
}

fn xml(status: u16, document: String, request_id: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(document));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}
