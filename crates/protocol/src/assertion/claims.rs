//! What an assertion says: each claim with its type, none believed yet.

use std::fmt;

use serde_json::{Map, Value};
use skybru_core::{ClientId, OrgNumber};

use super::AssertionError;
use crate::claims::Pid;

/// How many resources one assertion may name.
pub const MAX_RESOURCES: usize = 10;

/// The claims of an assertion; who reads them knows at which stage of trust. Printing them shows no person.
#[derive(Clone, PartialEq)]
pub struct AssertionClaims {
    /// The client.
    pub client: ClientId,
    /// Seconds since 1970.
    pub iat: i64,
    /// Seconds since 1970.
    pub exp: i64,
    /// Seconds since 1970.
    pub nbf: Option<i64>,
    /// The client's own mark of this assertion.
    pub jti: Option<String>,
    /// The scopes as sent; their grammar is looked at after authentication.
    pub scope: Option<String>,
    /// The resources, whether sent as string or array.
    pub resources: Vec<String>,
    /// A person's identity number.
    pub pid: Option<Pid>,
    /// The legal consumer, when a supplier asks.
    pub consumer_org: Option<String>,
    /// A registration made on behalf of another.
    pub on_behalf_of: Option<String>,
    /// Rich authorization details as sent.
    pub authorization_details: Option<Value>,
}

impl AssertionClaims {
    /// Gives the claims their types; what is wrong is named by its claim.
    pub(super) fn read(claims: &Claims) -> Result<Self, AssertionError> {
        let required =
            |name, value: Option<i64>| value.ok_or_else(|| AssertionError::Malformed(format!("claim {name} is missing")));
        let client = string(claims, "iss")?.ok_or_else(|| AssertionError::Malformed("claim iss is missing".to_owned()))?;
        let read = Self {
            client: client.parse().map_err(|e: skybru_core::id::IdError| AssertionError::Malformed(format!("claim iss: {e}")))?,
            iat: required("iat", seconds(claims, "iat")?)?,
            exp: required("exp", seconds(claims, "exp")?)?,
            nbf: seconds(claims, "nbf")?,
            jti: string(claims, "jti")?,
            scope: string(claims, "scope")?,
            resources: strings(claims, "resource", MAX_RESOURCES)?,
            pid: string(claims, "pid")?.map(Pid::from),
            consumer_org: string(claims, "consumer_org")?,
            on_behalf_of: string(claims, "iss_onbehalfof")?,
            authorization_details: claims.get("authorization_details").filter(|value| !value.is_null()).cloned(),
        };
        for resource in &read.resources {
            if !is_absolute_uri(resource) {
                return Err(AssertionError::Malformed(
                    "claim resource: expected an absolute URI such as https://api.example.no".to_owned(),
                ));
            }
        }
        Ok(read)
    }
}

impl fmt::Debug for AssertionClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("AssertionClaims");
        shown.field("client", &self.client).field("iat", &self.iat).field("exp", &self.exp).field("scope", &self.scope);
        shown.field("resources", &self.resources).field("consumer_org", &self.consumer_org).finish_non_exhaustive()
    }
}

type Claims = Map<String, Value>;

fn wrong(name: &str, expected: &str) -> AssertionError {
    AssertionError::Malformed(format!("claim {name}: expected {expected}"))
}

fn string(claims: &Claims, name: &str) -> Result<Option<String>, AssertionError> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= 8192 => Ok(Some(text.clone())),
        Some(_) => Err(wrong(name, "a string")),
    }
}

/// A string or an array of strings.
pub(super) fn strings(claims: &Claims, name: &str, most: usize) -> Result<Vec<String>, AssertionError> {
    let expected = || wrong(name, &format!("a string or an array of at most {most} strings"));
    match claims.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(values)) if values.len() <= most => {
            values.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(expected)).collect()
        }
        Some(_) => Err(expected()),
    }
}

/// Seconds since 1970, integer or fraction: clients send both. A fraction is cut.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked one line above")]
fn seconds(claims: &Claims, name: &str) -> Result<Option<i64>, AssertionError> {
    let expected = || wrong(name, "seconds since 1970");
    let value = match claims.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_f64().ok_or_else(expected)?,
        Some(_) => return Err(expected()),
    };
    if (0.0..=253_402_300_799.0).contains(&value) { Ok(Some(value as i64)) } else { Err(expected()) }
}

/// Scheme, colon, something: [RFC 8707, section 2](https://www.rfc-editor.org/rfc/rfc8707#section-2) asks for an absolute URI.
fn is_absolute_uri(text: &str) -> bool {
    text.len() <= 2048
        && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}'))
        && text.split_once(':').is_some_and(|(scheme, rest)| {
            !rest.is_empty()
                && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        })
}

/// The organisation that a claim names: nine digits, or the ISO 6523 form that some clients send.
pub fn claimed_org(text: &str) -> Option<OrgNumber> {
    text.strip_prefix("0192:").unwrap_or(text).parse().ok()
}
