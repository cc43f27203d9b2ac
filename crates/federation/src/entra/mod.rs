//! Microsoft Entra: federated identity credentials, and the token that is given for somebody else's.
//!
//! Deliberately missing: client secrets and certificates, and users.

mod assertion;
mod credential;
mod error;
mod error_text;
mod exchange;
mod expression;
mod lint;
mod reach;
mod request;

pub use assertion::PresentedAssertion;
pub use credential::{CredentialInput, FederatedCredential, Identity, IdentityKind, MOST_CREDENTIALS, Matching, Tenant};
pub use error::{EntraError, Trace};
#[cfg(test)]
pub(crate) use error_text::TEXTS;
pub(crate) use error_text::explain_text;
pub use exchange::{
    Accepted, Decision, Directory, MOST_KEYS, Reason, after_fetch, before_fetch, check_discovery, document_error, exchange,
    select_key,
};
pub use lint::{Access, Setup};
pub(crate) use lint::{lint_call, lint_documents, lint_setup, lint_unexplained};
pub use reach::{Reach, organisations, reach};
pub use request::{Resource, TokenRequest, resource_of};

/// Which of Entra's texts are used where they have changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wording {
    /// Seen since 2024: each mismatch has a number of its own (E-31 to E-33).
    #[default]
    Current,
    /// Seen until 2023: one number for all (E-30).
    Legacy,
}

/// Switches of what is not certain about Entra.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// E-30, E-42, E-45, E-46.
    pub wording: Wording,
}
