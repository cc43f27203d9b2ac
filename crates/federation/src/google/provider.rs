//! Pools and providers, as IAM keeps them and as `gcloud … describe --format json` prints them (G-1 to G-9).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skybru_protocol::jose::JwkSet;

use super::mapping::Mapping;
use super::names::{PoolName, ProviderName};
use super::{ApiError, Wording};

/// G-6: days that a deleted pool or provider blocks its id.
pub const SOFT_DELETED_DAYS: i64 = 30;

/// Whether it is there, or only its name still is (G-6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// There.
    #[default]
    Active,
    /// Deleted, and to be had back for thirty days.
    Deleted,
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pool {
    /// Its name.
    pub name: PoolName,
    /// At most 32 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// At most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it is there.
    #[serde(default)]
    pub state: State,
    /// Whether it is switched off (G-7).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// When the last of it vanishes, if it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_time: Option<String>,
    /// The organisation that a workforce pool belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// How long a workforce session lives, such as `7200s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_duration: Option<String>,
}

/// What a provider knows of the issuer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Oidc {
    /// The issuer, byte for byte (G-21).
    pub issuer_uri: String,
    /// Audiences that are taken instead of the provider's own name (G-3). Workload pools only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_audiences: Vec<String>,
    /// Keys that were uploaded, instead of those that the issuer publishes (G-4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_json: Option<String>,
    /// The audience that is taken (G-16). Workforce pools only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// How people sign in (G-16). Workforce pools only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_sso_config: Option<WebSso>,
}

/// How people sign in with a browser (G-16).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebSso {
    /// `CODE` or `ID_TOKEN`.
    #[serde(default)]
    pub response_type: String,
    /// `ONLY_ID_TOKEN_CLAIMS` or `MERGE_USER_INFO_OVER_ID_TOKEN_CLAIMS`.
    #[serde(default)]
    pub assertion_claims_behavior: String,
    /// Scopes to ask for, such as `ansattporten:sjef`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_scopes: Vec<String>,
}

/// A provider: the issuer as registered in a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    /// Its name.
    pub name: ProviderName,
    /// At most 32 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// At most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it is there.
    #[serde(default)]
    pub state: State,
    /// Whether it is switched off (G-7).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// What becomes of claims (G-8).
    #[serde(default)]
    pub attribute_mapping: BTreeMap<String, String>,
    /// Which tokens are taken (G-10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute_condition: Option<String>,
    /// The issuer.
    pub oidc: Oidc,
    /// When the last of it vanishes, if it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_time: Option<String>,
}

impl Pool {
    /// Checks what somebody wants to create or to change it into (G-6).
    pub fn check(&self) -> Result<(), ApiError> {
        check_id(self.name.id(), self.name.is_workforce())?;
        check_texts(self.display_name.as_deref(), self.description.as_deref())
    }

    /// Whether tokens can be exchanged through it.
    pub fn is_usable(&self) -> bool {
        self.state == State::Active && !self.disabled
    }
}

impl Provider {
    /// Checks what somebody wants to create or to change it into (G-2 to G-6, G-8, G-9).
    pub fn check(&self, wording: Wording) -> Result<(), ApiError> {
        check_id(&self.name.provider, false)?;
        check_texts(self.display_name.as_deref(), self.description.as_deref())?;
        check_issuer(&self.oidc.issuer_uri)?;
        if self.oidc.allowed_audiences.len() > 10 {
            return Err(ApiError::invalid("G-3", "At most 10 allowed audiences may be specified."));
        }
        if let Some(long) =
            self.oidc.allowed_audiences.iter().find(|audience| audience.is_empty() || audience.chars().count() > 256)
        {
            let shown: String = long.chars().take(40).collect();
            return Err(ApiError::invalid(
                "G-3",
                format!("Invalid allowed audience {shown:?}: it must have 1 to 256 characters."),
            ));
        }
        if self.name.pool.is_workforce() && self.oidc.client_id.as_ref().is_none_or(String::is_empty) {
            return Err(ApiError::invalid("G-16", "The client ID of the OIDC identity provider must be specified."));
        }
        if let Some(keys) = &self.oidc.jwks_json {
            check_uploaded_keys(keys, wording)?;
        }
        Mapping::compile(self).map(|_| ()).map_err(|error| ApiError::invalid(error.rule(), error.to_string()))
    }

    /// Whether tokens can be exchanged through it.
    pub fn is_usable(&self) -> bool {
        self.state == State::Active && !self.disabled
    }

    /// The audiences that a token may have (G-3, G-16).
    pub fn audiences(&self) -> Vec<String> {
        if self.name.pool.is_workforce() {
            return self.oidc.client_id.iter().cloned().collect();
        }
        if self.oidc.allowed_audiences.is_empty() {
            self.name.default_audiences().to_vec()
        } else {
            self.oidc.allowed_audiences.clone()
        }
    }

    /// The keys that were uploaded. Then nothing is ever fetched (G-4, G-45).
    pub fn uploaded_keys(&self) -> Option<JwkSet> {
        // What `check` let in can be read; a description from elsewhere might not, and then verifies nothing.
        self.oidc.jwks_json.as_ref().map(|text| serde_json::from_str(text).unwrap_or_default())
    }
}

/// G-2. Plain http counts on this machine only, where a lab may have no TLS.
fn check_issuer(issuer: &str) -> Result<(), ApiError> {
    let invalid = || ApiError::invalid("G-2", "Invalid OIDC issuer URI.");
    let (scheme, rest) = issuer.split_once("://").ok_or_else(invalid)?;
    match scheme {
        "https" => {}
        "http" if is_local(rest) => {}
        "http" => return Err(ApiError::invalid("G-2", "Invalid OIDC issuer URI. The scheme must be https.")),
        _ => return Err(invalid()),
    }
    if rest.is_empty() || rest.starts_with('/') || issuer.contains(char::is_whitespace) || issuer.len() > 2000 {
        return Err(invalid());
    }
    Ok(())
}

fn is_local(rest: &str) -> bool {
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    host == "localhost" || host == "127.0.0.1"
}

/// G-1: the documented form of ids. What Google says to others is unconfirmed.
fn check_id(id: &str, workforce: bool) -> Result<(), ApiError> {
    let (least, most) = if workforce { (6, 63) } else { (4, 32) };
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let shaped = (least..=most).contains(&id.len()) && id.chars().all(legal) && !id.starts_with("gcp-");
    if shaped {
        return Ok(());
    }
    let shown: String = id.chars().take(70).collect();
    let message =
        format!("Invalid id {shown:?}: it must have {least} to {most} characters of [a-z0-9-] and not begin with gcp-.");
    Err(ApiError::invalid("G-1", message))
}

/// G-6.
fn check_texts(display_name: Option<&str>, description: Option<&str>) -> Result<(), ApiError> {
    if display_name.is_some_and(|name| name.chars().count() > 32) {
        return Err(ApiError::invalid("G-6", "The display name cannot exceed 32 characters."));
    }
    if description.is_some_and(|text| text.chars().count() > 256) {
        return Err(ApiError::invalid("G-6", "The description cannot exceed 256 characters."));
    }
    Ok(())
}

/// G-4. Google's documentation refuses certificates beside a key; what was measured in 2026 took them.
fn check_uploaded_keys(text: &str, wording: Wording) -> Result<(), ApiError> {
    let not_json = || ApiError::invalid("G-4", "Input JWK is not in a valid json format");
    let keys: JwkSet = serde_json::from_str(text).map_err(|_| not_json())?;
    for key in &keys.keys {
        match (key.kty.as_str(), key.crv.as_deref()) {
            ("RSA", _) | ("EC", Some("P-256")) => {}
            ("OKP", _) => return Err(ApiError::invalid("G-4", "Input jwks contains corrupted key material.")),
            // What stands between the two sentences is not published.
            _ => return Err(ApiError::invalid("G-4", "Invalid JWKs. Only RSA, EC key types are supported.")),
        }
        if wording == Wording::Legacy && key.other.keys().any(|member| member.starts_with("x5")) {
            return Err(not_json());
        }
        if skybru_protocol::jose::VerifyingKey::from_jwk(key).is_err() {
            return Err(ApiError::invalid("G-4", "Input jwks contains corrupted key material."));
        }
    }
    Ok(())
}
