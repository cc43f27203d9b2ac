//! The self-service API's paths.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use skybru_store::registry::AccessState;

mod acting;
mod altinn;

use super::report::{Failure, TraceId};
use crate::selfservice::{ApiError, Caller, ClientFilter, PAGE, Pages, SelfService};

type Service = State<Arc<SelfService>>;

/// All paths, each collection with and without a slash at its end.
pub(super) fn routes() -> Router<Arc<SelfService>> {
    let mut router = Router::new()
        .route("/clients/{id}", get(client).put(update_client).delete(deactivate_client))
        .route("/clients/{id}/jwks", get(keys).post(post_keys).put(put_keys).delete(delete_keys))
        .route("/scopes/all", get(public_scopes))
        .route("/scopes/access/all", get(granted))
        .route("/scopes/access/{orgno}", put(grant).delete(withdraw))
        .route("/clients/{id}/secret", post(rotate_secret))
        .route("/openapi.json", get(description))
        .route("/audit", get(super::audit::entries))
        .route("/organisations", get(organisations))
        .route("/organisations/{orgno}", put(put_organisation));
    for path in ["/clients", "/clients/"] {
        router = router.route(path, get(clients).post(create_client));
    }
    for path in ["/scopes", "/scopes/"] {
        router = router.route(path, get(scopes).post(create_scope).put(update_scope).delete(deactivate_scope));
    }
    for path in ["/scopes/access", "/scopes/access/"] {
        router = router.route(path, get(accesses));
    }
    router.merge(acting::routes()).merge(altinn::routes()).method_not_allowed_fallback(method_not_allowed)
}

/// The query parameters that any of the paths knows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filter {
    inactive: bool,
    accessible_for_all: bool,
    scope: Option<String>,
    #[serde(alias = "consumerOrg")]
    consumer_orgno: Option<String>,
    #[serde(alias = "supplierOrg")]
    supplier_orgno: Option<String>,
}

/// A call: who, with which parameters, under which id. Every handler takes one.
pub(super) struct Call {
    pub(super) service: Arc<SelfService>,
    headers: HeaderMap,
    filter: Result<Query<Filter>, QueryRejection>,
    trace_id: TraceId,
}

impl Call {
    pub(super) fn caller(&self) -> Result<Caller, ApiError> {
        let caller = self.service.authenticate(self.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()))?;
        self.service.admit(&caller)?;
        Ok(caller)
    }

    fn filter(&self) -> Result<&Filter, ApiError> {
        self.filter.as_ref().map(|Query(filter)| filter).map_err(|e| ApiError::field("Request", "query", e.body_text()))
    }

    fn scope(&self) -> Result<&str, ApiError> {
        let missing = || ApiError::field("Scope", "scope", "the parameter scope is missing");
        self.filter()?.scope.as_deref().ok_or_else(missing)
    }

    fn client_filter(&self) -> Result<ClientFilter, ApiError> {
        Ok(ClientFilter { inactive: self.filter()?.inactive })
    }

    pub(super) fn answer<T: Serialize>(self, status: StatusCode, result: Result<T, ApiError>) -> Response {
        let error = match result {
            Ok(body) => return (status, Json(body)).into_response(),
            Err(error) => error,
        };
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = error.body(self.service.ctx.clock.now(), &self.trace_id.0);
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let ApiError::TooOften(seconds) = error {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        let is_fault = matches!(error, ApiError::Store(_));
        response.extensions_mut().insert(Failure { code: "selfservice", is_fault, cause: Arc::new(error) });
        response
    }
}

impl Call {
    /// A listing: whole when it is short, and made while it is sent when it is not.
    fn answer_in_pages<T: Serialize + Send + 'static>(self, result: Result<Pages<T>, ApiError>) -> Response {
        let mut pages = match result {
            Ok(pages) => pages,
            Err(error) => return self.answer::<()>(StatusCode::OK, Err(error)),
        };
        let mut first = Vec::new();
        for page in pages.by_ref() {
            first.extend(page);
            if first.len() >= PAGE {
                return array(first, pages);
            }
        }
        self.answer(StatusCode::OK, Ok(first))
    }
}

/// A JSON array of which the rest comes while it is sent. What cannot be written ends the answer early: half an array is no JSON, and so
/// nobody takes it for a whole one.
fn array<T: Serialize + Send + 'static>(first: Vec<T>, rest: Pages<T>) -> Response {
    let pages = std::iter::once(first).chain(rest).filter(|page| !page.is_empty());
    let pieces = pages.enumerate().map(|(number, page)| {
        let mut bytes = serde_json::to_vec(&page)?;
        // Between two pages stands a comma instead of both brackets.
        bytes.pop();
        if let (true, Some(bracket)) = (number > 0, bytes.first_mut()) {
            *bracket = b',';
        }
        Ok::<_, serde_json::Error>(Bytes::from(bytes))
    });
    let pieces = pieces.chain(std::iter::once_with(|| Ok(Bytes::from_static(b"]"))));
    let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (headers, Body::from_stream(futures_util::stream::iter(pieces))).into_response()
}

impl axum::extract::FromRequestParts<Arc<SelfService>> for Call {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        service: &Arc<SelfService>,
    ) -> Result<Self, Self::Rejection> {
        let trace_id = Extension::<TraceId>::from_request_parts(parts, service).await.map_err(IntoResponse::into_response)?;
        let filter = Query::<Filter>::from_request_parts(parts, service).await;
        Ok(Self { service: Arc::clone(service), headers: parts.headers.clone(), filter, trace_id: trace_id.0 })
    }
}

/// A JSON body. Read as bytes, so that every refusal has the API's own shape, whatever the `Content-Type`.
fn body<T: DeserializeOwned>(bytes: Result<Bytes, BytesRejection>) -> Result<T, ApiError> {
    let wrong = |message: String| ApiError::field("Request", "body", message);
    let bytes = bytes.map_err(|_| wrong("the body is too large, or was cut off".to_owned()))?;
    let reader = &mut serde_json::Deserializer::from_slice(&bytes);
    serde_path_to_error::deserialize(reader).map_err(|e| wrong(format!("{}: {}", e.path(), e.inner())))
}

async fn clients(call: Call) -> Response {
    let result = call.caller().and_then(|caller| call.service.client_pages(&caller, call.client_filter()?));
    call.answer_in_pages(result)
}

async fn client(call: Call, Path(id): Path<String>) -> Response {
    let result = call.caller().and_then(|caller| call.service.client(&caller, &id, call.client_filter()?));
    call.answer(StatusCode::OK, result)
}

async fn create_client(call: Call, bytes: Result<Bytes, BytesRejection>) -> Response {
    let result = async { call.service.create_client(&call.caller()?, body(bytes)?).await }.await;
    call.answer(StatusCode::CREATED, result)
}

async fn update_client(call: Call, Path(id): Path<String>, bytes: Result<Bytes, BytesRejection>) -> Response {
    let result = async { call.service.update_client(&call.caller()?, &id, body(bytes)?).await }.await;
    call.answer(StatusCode::OK, result)
}

async fn deactivate_client(call: Call, Path(id): Path<String>) -> Response {
    let result = async { call.service.deactivate_client(&call.caller()?, &id).await }.await;
    call.answer(StatusCode::OK, result)
}

async fn keys(call: Call, Path(id): Path<String>) -> Response {
    let result = call.caller().and_then(|caller| call.service.keys(&caller, &id));
    call.answer(StatusCode::OK, result)
}

async fn post_keys(call: Call, Path(id): Path<String>, bytes: Result<Bytes, BytesRejection>) -> Response {
    let result = async { call.service.put_keys(&call.caller()?, &id, body(bytes)?).await }.await;
    call.answer(StatusCode::CREATED, result)
}

async fn put_keys(call: Call, Path(id): Path<String>, bytes: Result<Bytes, BytesRejection>) -> Response {
    let result = async { call.service.put_keys(&call.caller()?, &id, body(bytes)?).await }.await;
    call.answer(StatusCode::OK, result)
}

async fn delete_keys(call: Call, Path(id): Path<String>) -> Response {
    let result = async { call.service.delete_keys(&call.caller()?, &id).await }.await;
    call.answer(StatusCode::OK, result.map(|()| serde_json::json!({"keys": []})))
}

async fn scopes(call: Call) -> Response {
    let result = call.caller().and_then(|caller| {
        let filter = call.filter()?;
        match &filter.scope {
            Some(name) => call.service.scope(&caller, name).and_then(json),
            None => call.service.scopes(&caller, filter.inactive).and_then(json),
        }
    });
    call.answer(StatusCode::OK, result)
}

/// One scope or many: two shapes at one path.
fn json(value: impl Serialize) -> Result<serde_json::Value, ApiError> {
    serde_json::to_value(value).map_err(|e| ApiError::field("Request", "body", e.to_string()))
}

async fn public_scopes(call: Call) -> Response {
    let result = call.filter().map(|filter| call.service.public_scopes(filter.accessible_for_all));
    call.answer(StatusCode::OK, result)
}

async fn create_scope(call: Call, bytes: Result<Bytes, BytesRejection>) -> Response {
    let result = async { call.service.create_scope(&call.caller()?, body(bytes)?).await }.await;
    call.answer(StatusCode::CREATED, result)
}

async fn update_scope(call: Call, bytes: Result<Bytes, BytesRejection>) -> Response {
    let result = async { call.service.update_scope(&call.caller()?, call.scope()?, body(bytes)?).await }.await;
    call.answer(StatusCode::OK, result)
}

async fn deactivate_scope(call: Call) -> Response {
    let result = async { call.service.deactivate_scope(&call.caller()?, call.scope()?).await }.await;
    call.answer(StatusCode::OK, result)
}

async fn accesses(call: Call) -> Response {
    let result = call.caller().and_then(|caller| {
        let filter = call.filter()?;
        call.service.access_pages(&caller, filter.scope.as_deref(), filter.consumer_orgno.as_deref(), filter.inactive)
    });
    call.answer_in_pages(result)
}

async fn granted(call: Call) -> Response {
    let result = call.caller().and_then(|caller| call.service.granted(&caller));
    call.answer(StatusCode::OK, result)
}

async fn grant(call: Call, Path(org): Path<String>) -> Response {
    let result = async { call.service.set_access(&call.caller()?, call.scope()?, &org, AccessState::Approved).await }.await;
    call.answer(StatusCode::OK, result)
}

async fn withdraw(call: Call, Path(org): Path<String>) -> Response {
    let result = async { call.service.set_access(&call.caller()?, call.scope()?, &org, AccessState::Denied).await }.await;
    call.answer(StatusCode::OK, result)
}

async fn rotate_secret(call: Call, Path(id): Path<String>) -> Response {
    let result = async { call.service.rotate_secret(&call.caller()?, &id).await }.await;
    call.answer(StatusCode::OK, result)
}

async fn description(State(_): Service) -> Response {
    Json(crate::selfservice::openapi::document()).into_response()
}

/// A known path, called in a way that nobody knows: refused in the API's own shape.
async fn method_not_allowed(State(service): Service, Extension(trace_id): Extension<TraceId>) -> Response {
    let error = ApiError::Method;
    let body = error.body(service.ctx.clock.now(), &trace_id.0);
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}

async fn organisations(call: Call) -> Response {
    let result = call.caller().and_then(|caller| call.service.organisations(&caller));
    call.answer(StatusCode::OK, result)
}

async fn put_organisation(call: Call, Path(org): Path<String>, bytes: Result<Bytes, BytesRejection>) -> Response {
    let result = async { call.service.put_organisation(&call.caller()?, &org, body(bytes)?).await }.await;
    call.answer(StatusCode::OK, result)
}
