//! Google Cloud: workload and workforce identity pools, the token exchange, service accounts, allow policies.

pub mod access;
pub mod cel;
mod error;
mod error_text;
mod lint;
mod mapping;
mod names;
pub mod org_policy;
pub mod policy;
mod principal;
mod provider;
mod reach;
pub mod roles;
pub mod service_account;
mod sts;
mod token;

pub use error::{ApiError, ErrorInfo, StsError};
#[cfg(test)]
pub(crate) use error_text::TEXTS;
pub(crate) use error_text::explain_text;
pub use lint::{LintInput, Setup, lint};
pub(crate) use lint::{lint_call, lint_setup};
pub use mapping::{Attributes, MAX_SUBJECT_BYTES, Mapping, MappingError, MappingRefusal};
pub use names::{NameError, PoolName, ProviderName, RESOURCE_HOST};
pub use principal::{Caller, FederatedIdentity, PoolMember, PoolPart};
pub use provider::{Oidc, Pool, Provider, SOFT_DELETED_DAYS, State, WebSso};
pub use reach::{MemberReach, reach};
pub use sts::{
    ACCESS_TOKEN_TYPE, Decision, ExchangeRequest, Exchanged, Reason, Registered, after_fetch, before_fetch, exchange, map,
    select_key,
};
pub use token::{PresentedToken, SKEW_SECONDS};

/// Which of Google's texts are used where they have changed (G-37, G-4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wording {
    /// Seen in 2026.
    #[default]
    Current,
    /// Seen before.
    Legacy,
}
