//! S3: the wire and its signatures by `s3s`, permission by `skybru-federation`, buckets and objects by our own store.
//!
//! `s3s-fs` is not used: it makes keys into paths (`a` and `a/b` cannot both be, `a//b` is `a/b`, long keys fail), ties an upload in
//! parts to one access key (so that it breaks when temporary credentials are renewed), and its tracing spans hold whole requests,
//! signatures and session tokens included.

mod access;
mod conditions;
mod listing;
mod objects;
mod operations;
mod parts;
mod settings;
mod tags;
mod transfer;

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use s3s::Body;
use s3s::service::{S3Service, S3ServiceBuilder};
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use super::Sim;
pub(crate) use crate::objects::Store;

/// S3's answers to HTTP requests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Endpoint(S3Service);

/// What the operations work with.
struct Objects {
    sim: Arc<Sim>,
    store: Store,
}

impl Endpoint {
    pub(crate) fn new(sim: &Arc<Sim>, store: Store) -> Self {
        let mut builder = S3ServiceBuilder::new(Objects { sim: Arc::clone(sim), store });
        builder.set_auth(access::Keys(Arc::clone(sim)));
        builder.set_access(access::Gate(Arc::clone(sim)));
        builder.set_host(access::Hosts);
        Self(builder.build())
    }

    /// Answers one request.
    pub(crate) async fn call(&self, request: Request<Body>, request_id: &str) -> Response<Body> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        // `s3s` logs whole requests, signatures and session tokens included. Its log is not ours.
        let answer = self.0.call(request).with_subscriber(NoSubscriber::default()).await;
        let mut response = answer.unwrap_or_else(|error| {
            tracing::error!(?error, request.id = request_id, "S3 could not answer");
            let mut response = Response::new(Body::empty());
            *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
            response
        });
        tracing::info!(request.id = request_id, %method, path, status = response.status().as_u16(), "S3 answered");
        if response.status().is_client_error() || response.status().is_server_error() {
            response = self.with_text(response, request_id).await;
        }
        if let Ok(id) = HeaderValue::from_str(request_id) {
            response.headers_mut().insert("x-amz-request-id", id);
        }
        response
    }

    /// Completes an error: `s3s` leaves out the text where it has none, and the request id always.
    async fn with_text(&self, response: Response<Body>, request_id: &str) -> Response<Body> {
        let (mut parts, mut body) = response.into_parts();
        let Ok(bytes) = body.store_all_limited(64 * 1024).await else { return Response::from_parts(parts, Body::empty()) };
        let text = String::from_utf8_lossy(&bytes);
        let (Some((head, rest)), true) = (text.split_once("</Code>"), text.ends_with("</Error>")) else {
            return Response::from_parts(parts, Body::from(bytes));
        };
        let code = head.rsplit_once("<Code>").map_or("", |(_, code)| code);
        let message = if rest.starts_with("<Message>") {
            String::new()
        } else {
            format!("<Message>{}</Message>", access::usual_text(code))
        };
        let rest = rest.trim_end_matches("</Error>");
        let document = format!("{head}</Code>{message}{rest}<RequestId>{request_id}</RequestId></Error>");
        parts.headers.remove(http::header::CONTENT_LENGTH);
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        Response::from_parts(parts, Body::from(document))
    }
}
