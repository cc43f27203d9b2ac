//! A service account's access token for somebody else: `generateAccessToken` (G-50 to G-55).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ApiError;
use super::policy::{Access, Policy};
use super::principal::Caller;

/// The permission that it takes (G-53).
pub const GET_ACCESS_TOKEN: &str = "iam.serviceAccounts.getAccessToken";
const PREFIX: &str = "https://www.googleapis.com/auth/";
/// What an empty scope means (G-54).
pub const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
const IAM: &str = "https://www.googleapis.com/auth/iam";
/// G-54: seconds that a token lives at most.
const MAX_LIFETIME: i64 = 3600;

/// A service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccount {
    /// The project that it belongs to, by id.
    pub project_id: String,
    /// Its address.
    pub email: String,
    /// Its number.
    pub unique_id: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Switched off: no token is given, and those given are refused (G-7).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
}

/// The request's body (G-50).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct AccessTokenRequest {
    /// Service accounts in between; gcloud sends `null`.
    #[serde(default)]
    pub delegates: Option<Vec<String>>,
    /// What it shall be good for.
    #[serde(default)]
    pub scope: Vec<String>,
    /// Seconds with an `s` behind.
    #[serde(default)]
    pub lifetime: Option<String>,
}

/// What is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedToken {
    /// What it is good for.
    pub scopes: Vec<String>,
    /// When it expires, in seconds since 1970.
    pub expires: i64,
}

impl GrantedToken {
    /// `expireTime`, without fractions, or Google's Python client fails (G-51).
    pub fn expire_time(&self) -> String {
        Timestamp::from_second(self.expires).map_or_else(|_| String::new(), |time| time.to_string())
    }
}

/// Decides on a call. `account` and `policy` are those of the address asked for, if it is there; `caller_scopes` are the token's.
pub fn generate_access_token(
    caller: &Caller,
    caller_scopes: &[String],
    request: &AccessTokenRequest,
    account: Option<(&ServiceAccount, &[&Policy])>,
    now: i64,
) -> Result<GrantedToken, ApiError> {
    if *caller == Caller::Anonymous {
        return Err(ApiError::unauthenticated());
    }
    if !caller_scopes.iter().any(|scope| scope == CLOUD_PLATFORM || scope == IAM) {
        return Err(ApiError::insufficient_scope());
    }
    let lifetime = lifetime(request.lifetime.as_deref())?;
    let scopes = scopes(&request.scope)?;
    // G-53: an absent account and a missing permission are told apart by nobody.
    let denied = || ApiError::permission_denied(GET_ACCESS_TOKEN);
    let (account, policies) = account.ok_or_else(denied)?;
    let resource = format!("projects/{}/serviceAccounts/{}", account.project_id, account.email);
    let access = Access { permission: GET_ACCESS_TOKEN, resource: &resource, kind: "iam.googleapis.com/ServiceAccount", now };
    if request.delegates.as_ref().is_some_and(|delegates| !delegates.is_empty()) || account.disabled {
        // A chain of delegates needs roles/iam.serviceAccountTokenCreator at each link; none is followed here.
        return Err(denied());
    }
    if !policies.iter().any(|policy| policy.allows(caller, access)) {
        return Err(denied());
    }
    Ok(GrantedToken { scopes, expires: now.saturating_add(lifetime) })
}

/// G-54.
fn lifetime(text: Option<&str>) -> Result<i64, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(MAX_LIFETIME) };
    let seconds = text.strip_suffix('s').and_then(|seconds| seconds.split('.').next()?.parse::<i64>().ok());
    match seconds {
        None => Err(ApiError::invalid(
            "G-54",
            format!("Invalid value at 'lifetime' (type.googleapis.com/google.protobuf.Duration), {text:?}"),
        )),
        Some(..=0) => Err(ApiError::invalid("G-54", "Lifetime of access token must be larger then zero.")),
        Some(seconds) if seconds > MAX_LIFETIME => {
            // How it begins is not published.
            let message = "Requested access tokens can not have lifetimes of more than 1 hour. Use the Org Policy Constraint \
                           constraints/iam.allowServiceAccountCredentialLifetimeExtension to allow up to 12 hours.";
            Err(ApiError::invalid("G-54", message))
        }
        Some(seconds) => Ok(seconds),
    }
}

/// G-54: `[""]` is cloud-platform; a scope that Google does not know is refused, in words that are not published.
fn scopes(asked: &[String]) -> Result<Vec<String>, ApiError> {
    if asked.is_empty() {
        return Err(ApiError::invalid("G-54", "Scope required."));
    }
    let known =
        |scope: &str| scope.strip_prefix(PREFIX).is_some_and(|name| !name.is_empty() && !name.contains(char::is_whitespace));
    let also = ["openid", "email", "profile"];
    let mut scopes = Vec::new();
    for scope in asked {
        match scope.as_str() {
            "" => scopes.push(CLOUD_PLATFORM.to_owned()),
            scope if known(scope) || also.contains(&scope) => scopes.push(scope.to_owned()),
            scope => {
                let shown: String = scope.chars().take(100).collect();
                return Err(ApiError::invalid("G-54", format!("Invalid OAuth scope: {shown}")));
            }
        }
    }
    Ok(scopes)
}
