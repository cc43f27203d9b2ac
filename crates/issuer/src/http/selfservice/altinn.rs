//! Paths of Altinn's platform, and of the operator who keeps system users and consents.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};

use super::{Call, body};
use crate::selfservice::{ApiError, Caller, SelfService};

pub(super) fn routes() -> Router<Arc<SelfService>> {
    let mut router = Router::new()
        .route("/altinn/admin/clients/{id}", get(client).put(update_client).delete(deactivate_client))
        .route("/altinn/admin/clients/{id}/jwks", get(keys).post(post_keys).put(post_keys))
        .route("/systemusers/{id}", put(put_system_user))
        .route("/consents/{id}", put(put_consent));
    for path in ["/altinn/admin/clients", "/altinn/admin/clients/"] {
        router = router.route(path, get(clients).post(create_client));
    }
    router
}

fn platform(call: &Call) -> Result<Caller, ApiError> {
    call.caller()?.into_altinn()
}

async fn clients(call: Call) -> Response {
    let result = platform(&call).and_then(|caller| call.service.altinn_clients(&caller, call.client_filter()?));
    call.answer(StatusCode::OK, result)
}

async fn client(call: Call, Path(id): Path<String>) -> Response {
    let result = platform(&call).and_then(|caller| call.service.client(&caller, &id, call.client_filter()?));
    call.answer(StatusCode::OK, result)
}

async fn create_client(call: Call, bytes: Result<Bytes, BytesRejection>) -> Response {
    let result = async { call.service.create_altinn_client(&platform(&call)?, body(bytes)?).await }.await;
    call.answer(StatusCode::CREATED, result)
}

async fn update_client(call: Call, Path(id): Path<String>, bytes: Result<Bytes, BytesRejection>) -> Response {
    let result = async { call.service.update_client(&platform(&call)?, &id, body(bytes)?).await }.await;
    call.answer(StatusCode::OK, result)
}

async fn deactivate_client(call: Call, Path(id): Path<String>) -> Response {
    let result = async { call.service.deactivate_client(&platform(&call)?, &id).await }.await;
    match result {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => call.answer::<()>(StatusCode::OK, Err(error)),
    }
}

async fn keys(call: Call, Path(id): Path<String>) -> Response {
    let result = platform(&call).and_then(|caller| call.service.keys(&caller, &id));
    call.answer(StatusCode::OK, result)
}

async fn post_keys(call: Call, Path(id): Path<String>, bytes: Result<Bytes, BytesRejection>) -> Response {
    let result = async { call.service.put_keys(&platform(&call)?, &id, body(bytes)?).await }.await;
    call.answer(StatusCode::CREATED, result)
}

async fn put_system_user(call: Call, Path(id): Path<String>, bytes: Result<Bytes, BytesRejection>) -> Response {
    let result = async { call.service.put_system_user(&call.caller()?, &id, body(bytes)?).await }.await;
    call.answer(StatusCode::OK, result)
}

async fn put_consent(call: Call, Path(id): Path<String>, bytes: Result<Bytes, BytesRejection>) -> Response {
    let result = async { call.service.put_consent(&call.caller()?, &id, body(bytes)?).await }.await;
    call.answer(StatusCode::OK, result)
}
