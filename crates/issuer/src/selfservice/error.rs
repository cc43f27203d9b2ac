//! Refusals of the API, in the shape of Digdir's.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use skybru_store::{ChangeError, StoreError};
use utoipa::ToSchema;

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// What is wrong and what was expected.
    pub error_message: String,
    /// Whether it belongs to one member of the body.
    pub is_field_error: bool,
    /// The kind of object.
    pub object_name: &'static str,
    /// Which member, if it belongs to one.
    pub field_identifier: Option<&'static str>,
}

impl Problem {
    /// A wrong member.
    pub fn field(object: &'static str, field: &'static str, message: impl Into<String>) -> Self {
        Self { error_message: message.into(), is_field_error: true, object_name: object, field_identifier: Some(field) }
    }
}

/// Why the API says no.
#[derive(Debug, Clone)]
pub enum ApiError {
    /// 400: the request is wrong.
    Invalid(Vec<Problem>),
    /// 401: no token, or not a good one.
    Unauthenticated(String),
    /// 403: a good token that does not allow this.
    Forbidden(String),
    /// 404.
    NotFound(String),
    /// 405: the path knows no such method.
    Method,
    /// 409: it exists already, perhaps deactivated.
    Conflict(String),
    /// 429: the organisation's share is used up; it may come again in so many seconds.
    TooOften(u64),
    /// 503: the store is away; nothing was changed.
    Store(Arc<StoreError>),
}

/// The body on the wire.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErrorResponse)]
pub(crate) struct Body {
    status: u16,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    correlation_id: String,
    errors: Vec<Problem>,
    error: String,
    error_description: String,
}

impl ApiError {
    /// One wrong member.
    pub fn field(object: &'static str, field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![Problem::field(object, field, message)])
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Invalid(_) => 400,
            Self::Unauthenticated(_) => 401,
            Self::Forbidden(_) => 403,
            Self::NotFound(_) => 404,
            Self::Method => 405,
            Self::Conflict(_) => 409,
            Self::TooOften(_) => 429,
            Self::Store(_) => 503,
        }
    }

    pub(crate) fn body(&self, now: Timestamp, correlation_id: &str) -> Body {
        let errors = match self {
            Self::Invalid(problems) => problems.clone(),
            other => vec![Problem {
                error_message: other.to_string(),
                is_field_error: false,
                object_name: "Request",
                field_identifier: None,
            }],
        };
        // The comma in front stands in the live service's answers too.
        let mut joined = String::new();
        for problem in &errors {
            joined.push_str(", ");
            joined.push_str(&problem.error_message);
        }
        let correlation_id = correlation_id.to_owned();
        Body { status: self.status(), timestamp: now, correlation_id, errors, error: joined.clone(), error_description: joined }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(problems) => {
                for (place, problem) in problems.iter().enumerate() {
                    let separator = if place == 0 { "" } else { "; " };
                    write!(f, "{separator}{}", problem.error_message)?;
                }
                Ok(())
            }
            Self::Unauthenticated(text) | Self::Forbidden(text) | Self::NotFound(text) | Self::Conflict(text) => {
                f.write_str(text)
            }
            Self::Method => f.write_str("this path cannot be called with this method"),
            Self::TooOften(seconds) => write!(f, "too many requests from this organisation; try again in {seconds} s"),
            Self::Store(_) => f.write_str("the registry cannot be changed right now"),
        }
    }
}

impl std::error::Error for ApiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(source) => Some(&**source),
            _ => None,
        }
    }
}

impl From<ChangeError<Self>> for ApiError {
    fn from(error: ChangeError<Self>) -> Self {
        match error {
            ChangeError::Refused(refusal) => refusal,
            ChangeError::Registry(problem) => Self::Conflict(problem.to_string()),
            ChangeError::Store(source) => Self::Store(Arc::new(source)),
        }
    }
}
