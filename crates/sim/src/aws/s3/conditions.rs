//! Conditions on a request: `If-Match` and its kin.

use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::transfer::timestamp;
use crate::objects::Object as Stored;

/// `If-Match`: holds when absent, or when it names the object.
pub(super) fn fits(condition: Option<&ETagCondition>, object: Option<&Stored>) -> bool {
    condition.is_none() || met(condition, object)
}

/// Whether a condition is there and names the object.
pub(super) fn met(condition: Option<&ETagCondition>, object: Option<&Stored>) -> bool {
    match (condition, object) {
        (Some(ETagCondition::Any), Some(_)) => true,
        (Some(ETagCondition::ETag(etag)), Some(object)) => etag.value() == object.etag,
        _ => false,
    }
}

/// The conditions of a read ([RFC 9110, section 13.2.2](https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2)).
pub(super) fn check_read(
    object: &Stored,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
    (modified_since, unmodified_since): (Option<&Timestamp>, Option<&Timestamp>),
) -> S3Result<()> {
    let modified = timestamp(object.modified);
    if !fits(if_match, Some(object)) || (if_match.is_none() && unmodified_since.is_some_and(|time| modified > *time)) {
        return Err(S3Error::new(S3ErrorCode::PreconditionFailed));
    }
    let unchanged = if_none_match.is_none() && modified_since.is_some_and(|time| modified <= *time);
    if met(if_none_match, Some(object)) || unchanged {
        let mut error = S3Error::new(S3ErrorCode::NotModified);
        error.set_status_code(http::StatusCode::NOT_MODIFIED);
        return Err(error);
    }
    Ok(())
}
