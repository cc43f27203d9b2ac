//! What stands in access tokens of Maskinporten and Skyporten.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use skybru_core::org::AUTHORITY;
use skybru_core::{OrgId, ScopeSet};

/// An organisation as tokens name it: `{"authority":"iso6523-actorid-upis","ID":"0192:NNNNNNNNN"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Who gives out the number.
    pub authority: String,
    /// The number in the authority's form. The member is upper case on the wire.
    #[serde(rename = "ID")]
    pub id: String,
}

impl From<OrgId> for Party {
    fn from(org: OrgId) -> Self {
        Self { authority: AUTHORITY.to_owned(), id: org.to_string() }
    }
}

impl Party {
    /// The organisation, if the authority is the Norwegian register.
    pub fn org(&self) -> Option<OrgId> {
        if self.authority == AUTHORITY { self.id.parse().ok() } else { None }
    }
}

/// One or several audiences: a string when there is one, an array otherwise ([RFC 7519, section
/// 4.1.3](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// None, or several.
    Many(Vec<String>),
}

impl Audience {
    /// The audiences, however written.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl From<Vec<String>> for Audience {
    fn from(mut audiences: Vec<String>) -> Self {
        if audiences.len() == 1 { Self::One(audiences.remove(0)) } else { Self::Many(audiences) }
    }
}

/// The claims of an access token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessTokenClaims {
    /// Who it is for; absent when the request named no resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<Audience>,
    /// Skyporten only: `0192:NNNNNNNNN;scope`, because AWS and Entra can look at nothing else (P-6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The granted scopes.
    pub scope: String,
    /// The issuer.
    pub iss: String,
    /// How the client authenticated, such as `private_key_jwt`.
    pub client_amr: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds since 1970.
    pub exp: i64,
    /// Seconds since 1970.
    pub iat: i64,
    /// The client.
    pub client_id: String,
    /// 32 random bytes in base64url.
    pub jti: String,
    /// The organisation that the token is issued for.
    pub consumer: Party,
    /// The organisation that acts for the consumer, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplier: Option<Party>,
    /// Who holds the delegation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation_source: Option<String>,
    /// The end user that the client names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<String>,
    /// Rich authorization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_details: Option<Value>,
}

/// Skyporten's `sub`: the consumer, a semicolon, the scopes as the `scope` claim has them.
///
/// ```
/// use skybru_protocol::claims::skyporten_subject;
/// let subject = skyporten_subject("0192:917422575".parse().unwrap(), &"entur:skyporten.demo".parse().unwrap());
/// assert_eq!(subject, "0192:917422575;entur:skyporten.demo");
/// ```
pub fn skyporten_subject(consumer: OrgId, scopes: &ScopeSet) -> String {
    format!("{consumer};{scopes}")
}
