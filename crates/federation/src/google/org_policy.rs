//! What an organisation forbids its projects: issuers that nobody approved (G-5).

use serde::{Deserialize, Serialize};

use super::ApiError;

/// The constraint, as the last part of its name.
pub const ISSUERS: &str = "iam.workloadIdentityPoolProviders";

/// A list constraint on issuers. Where several of its members speak, what denies wins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IssuerRule {
    /// Every issuer may be registered.
    pub allow_all: bool,
    /// None may.
    pub deny_all: bool,
    /// Those that are listed.
    pub values: ListedIssuers,
}

/// Issuers, byte for byte.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListedIssuers {
    /// These may be registered, and no others.
    pub allowed_values: Vec<String>,
    /// These may not.
    pub denied_values: Vec<String>,
}

impl IssuerRule {
    /// G-5: whether a provider with this issuer may be created or changed.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION`, with the issuer in the violation.
    pub fn check(&self, issuer: &str) -> Result<(), ApiError> {
        let has = |list: &[String]| list.iter().any(|one| one == issuer);
        let ListedIssuers { allowed_values, denied_values } = &self.values;
        let allowed = self.allow_all || has(allowed_values) || (allowed_values.is_empty() && !denied_values.is_empty());
        if allowed && !self.deny_all && !has(denied_values) {
            return Ok(());
        }
        Err(ApiError::org_policy_violated(issuer))
    }
}
