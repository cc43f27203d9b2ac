//! AWS: IAM identity providers and roles, `AssumeRoleWithWebIdentity`, policies, S3 authorization.

mod catalogue;
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
mod token;
mod trust;
mod web_identity;

pub use catalogue::{Entry as CatalogueEntry, catalogue_entry};
pub use error::{AwsError, Fault};
pub use error_text::explain_error;
pub use keys::{check_discovery, document_error, select_key};
pub use lint::{LintInput, lint};
pub use provider::{Edit, OidcProvider, ProviderInput, Tag};
pub use reach::{Organisations, Reach, ValuePattern, Values, reach, reach_of, shared_statements};
pub use role::{Role, RoleInput, account_of_arn};
pub use token::{Audience, PresentedToken, Timestamps};
pub use trust::{TrustContext, trust_context};
pub use web_identity::{
    Accepted, Decision, Parameters, Reason, Registered, Rules, Wording, after_fetch, assume_role_with_web_identity, before_fetch,
};
