//! The token endpoint's form, answer and errors.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The grant of [RFC 7523, section 2.1](https://www.rfc-editor.org/rfc/rfc7523#section-2.1).
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What a token request carries. Unknown parameters are ignored
/// ([RFC 6749, section 3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TokenForm {
    /// `grant_type`.
    pub grant_type: Option<String>,
    /// `assertion`.
    pub assertion: Option<String>,
}

/// Why a token request cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFormError {
    /// A parameter stands twice: RFC 6749, section 3.2 forbids it.
    #[error("Parameter {0} is given more than once")]
    Repeated(&'static str),
}

impl TokenForm {
    /// Reads `application/x-www-form-urlencoded` text: a body, or the query of a URL.
    ///
    /// Some clients put the parameters into the query and send no body (Altinn Studio's operator), some do not encode the colons of
    /// the grant type; both are read.
    ///
    /// ```
    /// use skybru_protocol::oauth::{JWT_BEARER, TokenForm};
    /// let form = TokenForm::parse(b"", b"grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=x").unwrap();
    /// assert_eq!((form.grant_type.as_deref(), form.assertion.as_deref()), (Some(JWT_BEARER), Some("x")));
    /// assert!(TokenForm::parse(b"assertion=x", b"assertion=y").is_err(), "which one should count?");
    /// ```
    pub fn parse(query: &[u8], body: &[u8]) -> Result<Self, TokenFormError> {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(query).chain(form_urlencoded::parse(body)) {
            let (slot, name) = match &*name {
                "grant_type" => (&mut form.grant_type, "grant_type"),
                "assertion" => (&mut form.assertion, "assertion"),
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return Err(TokenFormError::Repeated(name));
            }
        }
        Ok(form)
    }
}

impl fmt::Debug for TokenForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An assertion is a credential until it has been used.
        f.debug_struct("TokenForm")
            .field("grant_type", &self.grant_type)
            .field("assertion", &self.assertion.as_ref().map(|_| "…"))
            .finish()
    }
}

/// The successful answer. Exactly four members: known clients fail on a fifth, which is there only for those who asked for details.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenAnswer {
    /// The token itself.
    pub access_token: String,
    /// Always `Bearer`, with this capital: one client reads it as a case-sensitive enumeration.
    pub token_type: String,
    /// Whole seconds that the token still lives.
    pub expires_in: u64,
    /// The granted scopes with single blanks between.
    #[serde(default)]
    pub scope: String,
    /// What was granted of the details that were asked for ([RFC 9396, section 7](https://www.rfc-editor.org/rfc/rfc9396#section-7)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_details: Option<Value>,
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAnswer").field("expires_in", &self.expires_in).field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// The machine-readable reason of a refusal ([RFC 6749, section 5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OAuthCode {
    /// A parameter is missing, repeated or malformed.
    InvalidRequest,
    /// Client authentication failed (used at protected resources only; the grant itself says `invalid_grant`).
    InvalidClient,
    /// The assertion does not hold.
    InvalidGrant,
    /// The scope is unknown, malformed, or not for this client.
    InvalidScope,
    /// Another grant type than the supported ones.
    UnsupportedGrantType,
    /// Maskinporten's own: authenticated, but without access. Not in the RFC.
    Forbidden,
    /// A fault on our side.
    ServerError,
    /// Try again later.
    TemporarilyUnavailable,
    /// The caller asks too often ([RFC 6585, section 4](https://www.rfc-editor.org/rfc/rfc6585#section-4)). The RFC of OAuth has no word for
    /// it; clients know this one.
    TooManyRequests,
}

impl OAuthCode {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidScope => "invalid_scope",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::Forbidden => "forbidden",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable | Self::TooManyRequests => "temporarily_unavailable",
        }
    }

    /// The HTTP status that goes with it.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest | Self::InvalidGrant | Self::InvalidScope | Self::UnsupportedGrantType => 400,
            Self::InvalidClient => 401,
            Self::Forbidden => 403,
            Self::ServerError => 500,
            Self::TemporarilyUnavailable => 503,
            Self::TooManyRequests => 429,
        }
    }
}

/// The body of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// An [`OAuthCode`], as text because other issuers use other words.
    pub error: String,
    /// For people. Printable ASCII without `"` and `\`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_description: Option<String>,
    /// Issuer + `errors/` + Maskinporten's code, such as `MP-121`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_uri: Option<String>,
}

impl ErrorBody {
    /// The code at the end of `error_uri`, such as `MP-250`.
    pub fn mp_code(&self) -> Option<&str> {
        self.error_uri.as_deref()?.rsplit('/').next().filter(|code| code.starts_with("MP-"))
    }
}

/// Text as `error_description` may carry it: other characters become `?`.
pub fn description(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') && c != '"' && c != '\\' { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_has_exactly_four_members_in_maskinportens_order() {
        let answer = TokenAnswer {
            access_token: "t".into(),
            token_type: "Bearer".into(),
            expires_in: 119,
            scope: "difitest:test1".into(),
            authorization_details: None,
        };
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            r#"{"access_token":"t","token_type":"Bearer","expires_in":119,"scope":"difitest:test1"}"#
        );
    }

    #[test]
    fn unknown_parameters_are_ignored_and_known_ones_may_stand_once() {
        let form = TokenForm::parse(b"", b"a=1&grant_type=x&a=2&assertion=y&consumer_org=1").unwrap();
        assert_eq!((form.grant_type.as_deref(), form.assertion.as_deref()), (Some("x"), Some("y")));
        assert_eq!(TokenForm::parse(b"", b"grant_type=x&grant_type=x"), Err(TokenFormError::Repeated("grant_type")));
    }

    #[test]
    fn a_form_does_not_print_the_assertion() {
        let form = TokenForm::parse(b"", b"assertion=very.secret.thing").unwrap();
        assert!(!format!("{form:?}").contains("very"));
    }

    #[test]
    fn descriptions_are_printable_ascii() {
        assert_eq!(description("Ikke \"gjør\"\n det\\"), "Ikke ?gj?r?? det?");
    }
}
