//! AWS forgives five minutes.

use serde_json::json;

use crate::case::{Case, NOW};

#[test]
fn a_42_a_token_may_have_expired_five_minutes_ago() {
    Case::claiming(&json!({"exp": NOW - 299})).accepted();
    let said = Case::claiming(&json!({"exp": NOW - 301})).refused();
    let text = "Token expired: current date/time 1757589700 must be before the expiration date/time 1757589699";
    assert_eq!(said, ("ExpiredTokenException", 400, text.to_owned(), "A-42"), "what it calls current is now minus 300");
}

#[test]
fn a_43_a_token_may_be_issued_five_minutes_ahead() {
    Case::claiming(&json!({"iat": NOW + 299})).accepted();
    Case::claiming(&json!({"iat": NOW + 301})).is_no_identity("A-43", "Token issued in the future: 1757590301");
}

#[test]
fn a_44_a_token_may_begin_five_minutes_ahead() {
    Case::claiming(&json!({"nbf": NOW + 299})).accepted();
    Case::claiming(&json!({"nbf": NOW + 301})).is_no_identity(
        "A-44",
        "Token not yet valid: current date/time 1757590300 must be after or equal to the not-before date/time 1757590301",
    );
}

#[test]
fn how_long_a_token_lives_does_not_matter() {
    Case::claiming(&json!({"exp": NOW + 11 * 365 * 86_400})).accepted();
    Case::claiming(&json!({"iat": 0})).accepted();
}
