//! AWS: IAM identity providers and roles, `AssumeRoleWithWebIdentity`, policies, S3 authorization.

mod error;
mod error_text;
mod keys;
mod lint;
pub mod policy;
mod provider;
mod reach;
mod role;
pub mod s3;
pub mod session;
mod simulate;
mod token;
mod trust;
mod web_identity;

pub use error::{AwsError, Fault};
#[cfg(test)]
pub(crate) use error_text::TEXTS;
pub(crate) use error_text::explain_text;
pub(crate) use keys::unusable_key;
pub use keys::{check_discovery, document_error, select_key};
pub use lint::{LintInput, Setup, lint};
pub(crate) use lint::{lint_call, lint_setup, lint_unexplained};
pub use provider::{Edit, OidcProvider, ProviderInput, Tag};
pub use reach::{Organisations, Reach, ValuePattern, Values, reach, reach_of, shared_statements};
pub use role::{Role, RoleInput, account_of_arn};
pub use simulate::{EvalDecision, Simulated, Simulation, context_keys};
pub use token::{Audience, PresentedToken, Timestamps};
pub use trust::{TrustContext, trust_context};
pub use web_identity::{
    Accepted, Decision, Parameters, Reason, Registered, Rules, Wording, after_fetch, assume_role_with_web_identity, before_fetch,
};
