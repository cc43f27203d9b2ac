//! Bearer tokens as Azure's services read them: signature, issuer, tenant, audience, times (E-14, E-65, D-72).

use jiff::Timestamp;
use serde_json::{Map, Value};
use skybru_protocol::jose::{Algorithm, JwkSet, Jws, VerifyingKey};

use super::AzureError;
use crate::entra::Resource;

/// Who calls, proven by an access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `oid`.
    pub principal_id: String,
    /// `appid`.
    pub client_id: String,
}

/// What is wrong with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFault {
    /// No signed token with the claims that a service needs.
    Malformed,
    /// Its key is unknown, or its signature does not hold.
    Signature,
    /// Another directory gave it.
    Issuer(String),
    /// It is for another service.
    Audience(String),
    /// It is over, or has not begun.
    Lifetime {
        /// Its `exp`.
        expires: i64,
    },
}

/// What a service takes.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The id of the directory that the resource belongs to.
    pub tenant: &'a str,
    /// The service.
    pub resource: Resource,
    /// The storage account, whose own host is an audience too.
    pub account: Option<&'a str>,
}

/// Reads a token and proves it.
pub fn verify(text: &str, keys: &JwkSet, expected: Expected<'_>, now: i64) -> Result<Caller, TokenFault> {
    let jws = Jws::parse(text).map_err(|_| TokenFault::Malformed)?;
    let claims: Map<String, Value> = serde_json::from_slice(jws.payload()).map_err(|_| TokenFault::Malformed)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).ok_or(TokenFault::Malformed);
    let time = |name: &str| claims.get(name).and_then(Value::as_i64).ok_or(TokenFault::Malformed);
    let key = jws.header().kid.as_deref().and_then(|kid| keys.find(kid)).ok_or(TokenFault::Signature)?;
    let key = VerifyingKey::from_jwk(key).map_err(|_| TokenFault::Signature)?;
    if jws.header().alg != Algorithm::RS256.name() {
        return Err(TokenFault::Signature);
    }
    key.verify(Algorithm::RS256, jws.signing_input().as_bytes(), jws.signature()).map_err(|_| TokenFault::Signature)?;
    let issuer = text("iss")?;
    if issuer != format!("https://sts.windows.net/{}/", expected.tenant) || text("tid")? != expected.tenant {
        return Err(TokenFault::Issuer(issuer.to_owned()));
    }
    let audience = text("aud")?;
    if Resource::of_audience(audience) != Some(expected.resource) || !is_for_account(audience, expected.account) {
        return Err(TokenFault::Audience(audience.to_owned()));
    }
    let expires = time("exp")?;
    // Access tokens are Azure's own: no allowance for clocks.
    if now >= expires || now < time("nbf")? {
        return Err(TokenFault::Lifetime { expires });
    }
    Ok(Caller { principal_id: text("oid")?.to_owned(), client_id: text("appid")?.to_owned() })
}

/// An audience with an account's own host is good for that account only.
fn is_for_account(audience: &str, account: Option<&str>) -> bool {
    let host = audience.strip_prefix("https://").unwrap_or_default();
    match host.split_once('.') {
        Some((name, rest)) if rest.contains("core.windows.net") && name != "management" => account == Some(name),
        _ => true,
    }
}

impl TokenFault {
    /// As storage says it.
    pub fn of_storage(&self) -> AzureError {
        let detail = match self {
            Self::Malformed => "Authentication scheme Bearer is not supported: the token is malformed.",
            Self::Signature => "Signature validation failed. Signature verification failed.",
            Self::Issuer(_) => "Issuer validation failed. Issuer did not match.",
            Self::Audience(_) => "Audience validation failed. Audience did not match.",
            Self::Lifetime { .. } => "Lifetime validation failed. The token is expired.",
        };
        AzureError::invalid_authentication(if matches!(self, Self::Audience(_)) { "D-72" } else { "E-65" }, detail)
    }

    /// As Resource Manager says it.
    pub fn of_management(&self, now: i64) -> AzureError {
        let time =
            |seconds: i64| Timestamp::from_second(seconds).unwrap_or_default().strftime("%-m/%-d/%Y %-I:%M:%S %p").to_string();
        match self {
            Self::Malformed | Self::Signature => {
                AzureError::new("E-13", "InvalidAuthenticationToken", 401, "The access token is invalid.")
            }
            Self::Issuer(issuer) => {
                let text = format!(
                    "The access token is from the wrong issuer '{issuer}'. It must match the tenant associated with this subscription."
                );
                AzureError::new("E-13", "InvalidAuthenticationTokenTenant", 401, text)
            }
            Self::Audience(audience) => {
                let text = format!(
                    "The access token has been obtained for wrong audience or resource '{audience}'. It should exactly match with one \
                     of the allowed audiences 'https://management.core.windows.net/','https://management.core.windows.net',\
                     'https://management.azure.com/','https://management.azure.com'."
                );
                AzureError::new("D-72", "InvalidAuthenticationTokenAudience", 401, text)
            }
            Self::Lifetime { expires } => {
                let text = format!(
                    "The access token expiry UTC time '{}' is earlier than current UTC time '{}'.",
                    time(*expires),
                    time(now)
                );
                AzureError::new("E-13", "ExpiredAuthenticationToken", 401, text)
            }
        }
    }
}
