//! What stands in access tokens of Maskinporten and Skyporten.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use skybru_core::OrgId;
use skybru_core::org::AUTHORITY;

/// An organisation as tokens name it: `{"authority":"iso6523-actorid-upis","ID":"0192:NNNNNNNNN"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Who gives out the number.
    pub authority: String,
    /// The number in the authority's form. The member is upper case on the wire.
    #[serde(rename = "ID")]
    pub id: String,
    /// Names out of a European organisation's seal; Norwegian ones have none here.
    #[serde(rename = "commonName", default, skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    /// See `common_name`.
    #[serde(rename = "organizationName", default, skip_serializing_if = "Option::is_none")]
    pub organization_name: Option<String>,
    /// See `common_name`.
    #[serde(rename = "organizationalUnitName", default, skip_serializing_if = "Option::is_none")]
    pub organizational_unit_name: Option<String>,
    /// See `common_name`.
    #[serde(rename = "countryName", default, skip_serializing_if = "Option::is_none")]
    pub country_name: Option<String>,
}

impl From<OrgId> for Party {
    fn from(org: OrgId) -> Self {
        Self::new(AUTHORITY, org.to_string())
    }
}

impl Party {
    /// A party without names.
    pub fn new(authority: &str, id: String) -> Self {
        Self {
            authority: authority.to_owned(),
            id,
            common_name: None,
            organization_name: None,
            organizational_unit_name: None,
            country_name: None,
        }
    }

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

/// A person's number as it was sent; whether it is one is not known here. It is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pid(String);

impl Pid {
    /// The text as sent. Every call is a place to look at in review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Pid {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pid(…)")
    }
}

/// The authority that a European organisation's seal names its number by.
pub const ETSI_AUTHORITY: &str = "etsi-en-319-412";

/// The claims of an access token. Printing them shows no person.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
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
    /// The client's owner: a claim of before 2025.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_orgno: Option<String>,
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
    pub pid: Option<Pid>,
    /// Rich authorization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_details: Option<Value>,
}

impl fmt::Debug for AccessTokenClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("AccessTokenClaims");
        shown.field("iss", &self.iss).field("sub", &self.sub).field("aud", &self.aud).field("scope", &self.scope);
        shown.field("client_id", &self.client_id).field("consumer", &self.consumer.id).field("exp", &self.exp);
        shown.finish_non_exhaustive()
    }
}

/// Skyporten's `sub`: the consumer, a semicolon, the scopes as the `scope` claim has them.
///
/// ```
/// use skybru_protocol::claims::skyporten_subject;
/// let subject = skyporten_subject("0192:917422575", &"entur:skyporten.demo");
/// assert_eq!(subject, "0192:917422575;entur:skyporten.demo");
/// ```
pub fn skyporten_subject(consumer: &str, scopes: &impl fmt::Display) -> String {
    format!("{consumer};{scopes}")
}
