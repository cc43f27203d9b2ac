//! `GET /audit`.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::Response;

use super::selfservice::Call;
use crate::selfservice::{ApiError, AuditFilter};

pub(super) async fn entries(call: Call, filter: Result<Query<AuditFilter>, QueryRejection>) -> Response {
    let result = async {
        let Query(filter) = filter.map_err(|e| ApiError::field("Request", "query", e.body_text()))?;
        call.service.audit(&call.caller()?, &filter).await
    }
    .await;
    call.answer(StatusCode::OK, result)
}
