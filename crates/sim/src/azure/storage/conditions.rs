//! Conditional headers (RFC 9110), as storage answers them.

use skybru_federation::azure::AzureError;

use super::items::Item;
use crate::azure::wire::{Request, http_date};

/// What a request wants to do with what is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Read,
    Write,
}

/// Whether the request's conditions hold for what is there.
pub(super) fn check(request: &Request, item: Option<&Item>, wish: Wish) -> Result<(), AzureError> {
    let not_met = || {
        let text = "The condition specified using HTTP conditional header(s) is not met.";
        AzureError::new("E-65", "ConditionNotMet", if wish == Wish::Read { 304 } else { 412 }, text)
    };
    let failed = || AzureError { status: 412, ..not_met() };
    let named = |header: &str, item: &Item| header.split(',').any(|tag| matches!(tag.trim(), "*") || tag.trim() == item.etag);
    if let Some(tags) = request.header("if-match")
        && !item.is_some_and(|item| named(tags, item))
    {
        return Err(failed());
    }
    if let Some(tags) = request.header("if-none-match")
        && let Some(item) = item
        && named(tags, item)
    {
        // A write that must make something new says so in words of its own.
        return Err(if tags.trim() == "*" && wish == Wish::Write {
            AzureError::new("E-65", "BlobAlreadyExists", 409, "The specified blob already exists.")
        } else {
            not_met()
        });
    }
    let Some(item) = item else { return Ok(()) };
    // Times of clients are compared as they were given out: whoever sends another time than ours has not seen this version.
    let seen = |header: &str| request.header(header).map(|given| (given == http_date(item.modified), parse(given)));
    if let Some((same, given)) = seen("if-modified-since")
        && (same || given.is_some_and(|given| item.modified <= given))
    {
        return Err(not_met());
    }
    if let Some((same, given)) = seen("if-unmodified-since")
        && !same
        && given.is_none_or(|given| item.modified > given)
    {
        return Err(failed());
    }
    Ok(())
}

/// Seconds since 1970 of an HTTP date.
fn parse(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp().as_second())
}
