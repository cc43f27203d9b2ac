//! Paths about acting for others: entries of a client, delegations and those who keep them.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};

use super::{Call, Service, body};
use crate::selfservice::{ApiError, DelegationFilter, SelfService};

pub(super) fn routes() -> Router<Arc<SelfService>> {
    let mut router = Router::new()
        .route("/delegationsources", get(sources))
        .route("/delegationsources/", get(sources))
        .route("/delegationsources/{name}", put(put_source))
        .route("/delegations", get(delegations))
        .route("/delegations/", get(delegations))
        .route("/maskinporten/delegations", get(delegations))
        .route("/delegations/{orgno}", put(delegate).delete(take_back));
    // The documentation spells it both ways.
    for name in ["onbehalfof", "onbehalof"] {
        router = router
            .route(&format!("/clients/{{id}}/{name}"), get(entries).post(create_entry))
            .route(&format!("/clients/{{id}}/{name}/"), get(entries).post(create_entry))
            .route(&format!("/clients/{{id}}/{name}/{{entry}}"), get(entry).put(update_entry).delete(deactivate_entry));
    }
    router
}

async fn entries(call: Call, Path(id): Path<String>) -> Response {
    let result = call.caller().and_then(|caller| call.service.on_behalf_of(&caller, &id, call.filter()?.inactive));
    call.answer(StatusCode::OK, result)
}

async fn entry(call: Call, Path((id, entry)): Path<(String, String)>) -> Response {
    let result = call.caller().and_then(|caller| call.service.on_behalf_of_one(&caller, &id, &entry));
    call.answer(StatusCode::OK, result)
}

async fn create_entry(call: Call, Path(id): Path<String>, bytes: Result<Bytes, BytesRejection>) -> Response {
    let result = async { call.service.create_on_behalf_of(&call.caller()?, &id, body(bytes)?).await }.await;
    call.answer(StatusCode::CREATED, result)
}

async fn update_entry(call: Call, Path((id, entry)): Path<(String, String)>, bytes: Result<Bytes, BytesRejection>) -> Response {
    let result = async { call.service.update_on_behalf_of(&call.caller()?, &id, &entry, body(bytes)?).await }.await;
    call.answer(StatusCode::OK, result)
}

async fn deactivate_entry(call: Call, Path((id, entry)): Path<(String, String)>) -> Response {
    let result = async { call.service.deactivate_on_behalf_of(&call.caller()?, &id, &entry).await }.await;
    match result {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => call.answer::<()>(StatusCode::OK, Err(error)),
    }
}

async fn sources(State(service): Service) -> Response {
    Json(service.delegation_sources()).into_response()
}

async fn put_source(call: Call, Path(name): Path<String>, bytes: Result<Bytes, BytesRejection>) -> Response {
    let result = async { call.service.put_delegation_source(&call.caller()?, &name, body(bytes)?).await }.await;
    call.answer(StatusCode::OK, result)
}

async fn delegations(call: Call) -> Response {
    let result = call.caller().and_then(|caller| {
        let asked = call.filter()?;
        let filter = DelegationFilter {
            scope: asked.scope.clone(),
            consumer: asked.consumer_orgno.clone(),
            supplier: asked.supplier_orgno.clone(),
            inactive: asked.inactive,
        };
        call.service.delegations(&caller, &filter)
    });
    call.answer(StatusCode::OK, result)
}

async fn delegate(call: Call, Path(supplier): Path<String>) -> Response {
    set(call, supplier, true).await
}

async fn take_back(call: Call, Path(supplier): Path<String>) -> Response {
    set(call, supplier, false).await
}

async fn set(call: Call, supplier: String, active: bool) -> Response {
    let result = async {
        let caller = call.caller()?;
        let missing = || ApiError::field("Delegation", "scope", "the parameter scope is missing");
        let asked = call.filter()?;
        let scope = asked.scope.as_deref().ok_or_else(missing)?;
        call.service.set_delegation(&caller, scope, asked.consumer_orgno.as_deref(), &supplier, active).await
    }
    .await;
    call.answer(StatusCode::OK, result)
}
