//! Why a token request is refused: one variant a reason, with Maskinporten's code and words.
//!
//! The texts are those that the live service has been seen to send; a known client matches two of them by substring.

use skybru_core::scope::ScopeError;
use skybru_core::{KeyId, OrgNumber, ScopeName};
use skybru_protocol::assertion::AssertionError;
use skybru_protocol::details::DetailsError;
use skybru_protocol::oauth::{ErrorBody, OAuthCode, TokenFormError, description};
use skybru_signer::SignError;
use skybru_store::StoreError;

use crate::certificates::CertificateProblem;
use crate::delegation::DelegationError;
use crate::details::DetailsFault;

/// A refusal, or a fault of ours.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// `grant_type` is another one.
    #[error("Unsupported grant type")]
    UnsupportedGrantType,
    /// A parameter is absent.
    #[error("Missing parameter: {0}")]
    MissingParameter(&'static str),
    /// The form cannot be read.
    #[error(transparent)]
    Form(#[from] TokenFormError),
    /// The body is too large, or not a form.
    #[error("{0}")]
    Body(&'static str),
    /// The assertion does not hold.
    #[error("{}", assertion_text(.0))]
    Assertion(#[from] AssertionError),
    /// A claim has a value that means nothing here.
    #[error("Invalid assertion. Invalid parameter value.")]
    Claim {
        /// Which claim.
        name: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// No such client, or deactivated.
    #[error("Invalid assertion. Client authentication failed. Client not found.")]
    ClientNotFound,
    /// The client has keys, and the assertion names none.
    #[error(
        "Invalid assertion. Client authentication failed. Invalid JWT. The client requires pre-registered jwk and no key identifier (kid) provided"
    )]
    KeyNotNamed,
    /// The client has no key of this name.
    #[error("Invalid assertion. Client authentication failed. Unknown key identifier (kid) for client.")]
    KeyUnknown,
    /// The key is older than a year.
    #[error("Invalid assertion. Client authentication failed. Expired key.")]
    KeyExpired(KeyId),
    /// `x5c` is not an array of certificates.
    #[error("Invalid assertion. Client authentication failed. Invalid JWT header x5c.")]
    CertificateHeader(#[source] CertificateProblem),
    /// A certificate that is not trusted here, has expired, is revoked, or is none of an organisation.
    #[error("Invalid assertion. Client authentication failed. The JWT is signed with an invalid certificate.")]
    CertificateUntrusted(#[source] CertificateProblem),
    /// A trusted certificate of another organisation.
    #[error(
        "Invalid assertion. Client authentication failed. Invalid JWT. Invalid organization number for client. Does not match certificate orgno."
    )]
    CertificateOrganisation,
    /// Used before.
    #[error("Validation of JWT Bearer grant failed. Grant is used before.")]
    Replayed,
    /// The scope claim cannot be read.
    #[error("Invalid assertion. Invalid parameter value.")]
    ScopeSyntax(#[from] ScopeError),
    /// Scopes that the client may not ask for.
    #[error("Token request contains invalid scopes for client, {}", join(.0))]
    ScopeNotOnClient(Vec<ScopeName>),
    /// The scope is not for Maskinporten clients.
    #[error("Token request contains scopes not allowed for maskinporten")]
    ScopeNotForMaskinporten(ScopeName),
    /// More than one scope, and this issuer is set to refuse that.
    #[error("Token request contains several scopes; ask for one token per scope")]
    SeveralScopes,
    /// `consumer_org` names the client itself, or the scope cannot be delegated.
    #[error("Validation of JWT claim failed: The combination consumer_org in claim and delegation scope on client is invalid")]
    ConsumerOrgClaim,
    /// No access.
    #[error("Consumer has not been granted access to the scope {0}.")]
    NoAccess(ScopeName),
    /// No delegation.
    #[error("Consumer {consumer} has not delegated access to the scope {scope} to supplier {supplier}.")]
    NoDelegation {
        /// Who would have to delegate.
        consumer: OrgNumber,
        /// What.
        scope: ScopeName,
        /// To whom.
        supplier: OrgNumber,
    },
    /// Authorization details that are unknown, malformed, or not so.
    #[error(transparent)]
    Details(#[from] DetailsError),
    /// A source of delegations cannot answer, so nothing is allowed.
    #[error("the source of delegations failed")]
    Delegations(#[from] DelegationError),
    /// The registry of systems and consents cannot answer, so nothing is allowed.
    #[error("the registry of systems and consents failed")]
    DetailsAway(#[from] DetailsFault),
    /// The log of used assertions cannot answer, so nothing is allowed.
    #[error("the log of used assertions failed")]
    Store(#[from] StoreError),
    /// One request too many.
    #[error("Too many requests from this {limit}; try again in {seconds} s")]
    TooOften {
        /// `client` or `organisation`.
        limit: &'static str,
        /// When it may come again.
        seconds: u64,
    },
    /// Signing failed.
    #[error("signing failed")]
    Signing(#[from] SignError),
}

const AUTHENTICATION: &str = "Invalid assertion. Client authentication failed.";

fn assertion_text(error: &AssertionError) -> String {
    let reason = match error {
        AssertionError::Malformed(_) | AssertionError::Lifetime(_) => {
            return "Invalid assertion. Invalid parameter value.".to_owned();
        }
        AssertionError::Audience { .. } => "Invalid JWT claim aud.",
        AssertionError::Algorithm(_) | AssertionError::Signature => "Invalid JWT signature.",
        AssertionError::Expired { .. } | AssertionError::Old { .. } => "JWT is expired.",
        AssertionError::Future { .. } => "Issue time is after now.",
    };
    format!("{AUTHENTICATION} {reason}")
}

fn join(scopes: &[ScopeName]) -> String {
    scopes.iter().map(ScopeName::as_str).collect::<Vec<_>>().join(", ")
}

impl From<CertificateProblem> for GrantError {
    fn from(problem: CertificateProblem) -> Self {
        use skybru_protocol::certificate::CertificateError;
        match &problem {
            CertificateProblem::Contents(CertificateError::Header(_) | CertificateError::Unreadable { .. }) => {
                Self::CertificateHeader(problem)
            }
            _ => Self::CertificateUntrusted(problem),
        }
    }
}

impl GrantError {
    /// The word in `error`, which also decides the status.
    pub fn code(&self) -> OAuthCode {
        match self {
            Self::UnsupportedGrantType => OAuthCode::UnsupportedGrantType,
            Self::MissingParameter(_)
            | Self::Form(_)
            | Self::Body(_)
            | Self::Assertion(AssertionError::Malformed(_) | AssertionError::Lifetime(_))
            | Self::Claim { .. }
            | Self::ScopeSyntax(_)
            | Self::ConsumerOrgClaim
            | Self::Details(_) => OAuthCode::InvalidRequest,
            Self::Assertion(_)
            | Self::ClientNotFound
            | Self::KeyNotNamed
            | Self::KeyUnknown
            | Self::KeyExpired(_)
            | Self::CertificateHeader(_)
            | Self::CertificateUntrusted(_)
            | Self::CertificateOrganisation
            | Self::Replayed => OAuthCode::InvalidGrant,
            Self::ScopeNotOnClient(_) | Self::ScopeNotForMaskinporten(_) | Self::SeveralScopes => OAuthCode::InvalidScope,
            Self::NoAccess(_) | Self::NoDelegation { .. } => OAuthCode::Forbidden,
            Self::Store(_) | Self::Delegations(_) | Self::DetailsAway(_) => OAuthCode::TemporarilyUnavailable,
            // Hardware or a key service that does not answer may do so in a moment.
            Self::TooOften { .. } => OAuthCode::TooManyRequests,
            Self::Signing(error) if error.is_temporary() => OAuthCode::TemporarilyUnavailable,
            Self::Signing(_) => OAuthCode::ServerError,
        }
    }

    /// Maskinporten's own code, where it has one.
    pub fn mp_code(&self) -> Option<&'static str> {
        match self {
            Self::Assertion(error) => match error {
                AssertionError::Malformed(_) | AssertionError::Lifetime(_) => Some("MP-011"),
                AssertionError::Audience { .. } => Some("MP-110"),
                AssertionError::Algorithm(_) | AssertionError::Signature => Some("MP-124"),
                AssertionError::Expired { .. } | AssertionError::Old { .. } => Some("MP-130"),
                AssertionError::Future { .. } => None,
            },
            Self::Claim { .. } | Self::ScopeSyntax(_) => Some("MP-011"),
            Self::Replayed => Some("MP-012"),
            Self::ClientNotFound => Some("MP-100"),
            Self::KeyNotNamed | Self::KeyUnknown | Self::CertificateUntrusted(_) => Some("MP-120"),
            Self::KeyExpired(_) => Some("MP-121"),
            Self::CertificateOrganisation => Some("MP-122"),
            Self::CertificateHeader(_) => Some("MP-123"),
            Self::ScopeNotOnClient(_) => Some("MP-200"),
            Self::ScopeNotForMaskinporten(_) => Some("MP-201"),
            Self::NoAccess(_) => Some("MP-250"),
            Self::NoDelegation { .. } => Some("MP-251"),
            Self::Details(DetailsError::Type) => Some("MP-301"),
            Self::Details(DetailsError::Fields) => Some("MP-302"),
            Self::Details(DetailsError::Values(_)) => Some("MP-303"),
            Self::UnsupportedGrantType
            | Self::MissingParameter(_)
            | Self::Form(_)
            | Self::Body(_)
            | Self::SeveralScopes
            | Self::ConsumerOrgClaim
            | Self::Delegations(_)
            | Self::DetailsAway(_)
            | Self::Store(_)
            | Self::TooOften { .. }
            | Self::Signing(_) => None,
        }
    }

    /// Whether the fault is ours, so that the caller learns nothing of its cause.
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Signing(_) | Self::Delegations(_) | Self::DetailsAway(_))
    }

    /// The body on the wire. `issuer` and `trace_id` go into it as Maskinporten does it.
    pub fn body(&self, issuer: &skybru_core::IssuerUrl, trace_id: &str) -> ErrorBody {
        let text = if self.is_fault() { "The request could not be completed.".to_owned() } else { self.to_string() };
        ErrorBody {
            error: self.code().as_str().to_owned(),
            error_description: Some(format!("{} (trace_id: {trace_id})", description(&text))),
            error_uri: self.mp_code().map(|code| issuer.endpoint(&format!("errors/{code}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skybru_protocol::certificate::CertificateError;
    use std::fmt::Write as _;

    /// Every reason with its status, code and text: the table that reviewers read.
    #[test]
    fn every_refusal_has_its_code_and_words() {
        let scope: ScopeName = "entur:skyporten.demo".parse().unwrap();
        let org: OrgNumber = "991825827".parse().unwrap();
        let all = [
            GrantError::UnsupportedGrantType,
            GrantError::MissingParameter("assertion"),
            GrantError::Form(TokenFormError::Repeated("assertion")),
            GrantError::Body("The body is too large"),
            GrantError::Assertion(AssertionError::Malformed("…".into())),
            GrantError::Assertion(AssertionError::Audience { expected: String::new(), found: vec![] }),
            GrantError::Assertion(AssertionError::Algorithm("none".into())),
            GrantError::Assertion(AssertionError::Signature),
            GrantError::Assertion(AssertionError::Expired { exp: 0, ago: 1 }),
            GrantError::Assertion(AssertionError::Future { ahead: 11 }),
            GrantError::Assertion(AssertionError::Old { ago: 200, allowed: 120 }),
            GrantError::Assertion(AssertionError::Lifetime(180)),
            GrantError::Claim { name: "pid", expected: "11 digits" },
            GrantError::ClientNotFound,
            GrantError::KeyNotNamed,
            GrantError::KeyUnknown,
            GrantError::KeyExpired("k".parse().unwrap()),
            CertificateProblem::from(CertificateError::Header("a text")).into(),
            CertificateProblem::Revoked.into(),
            GrantError::CertificateOrganisation,
            GrantError::Replayed,
            GrantError::ScopeSyntax(ScopeError::Empty),
            GrantError::ScopeNotOnClient(vec![scope.clone(), "a:b".parse().unwrap()]),
            GrantError::ScopeNotForMaskinporten(scope.clone()),
            GrantError::SeveralScopes,
            GrantError::ConsumerOrgClaim,
            GrantError::NoAccess(scope.clone()),
            GrantError::NoDelegation { consumer: org, scope, supplier: org },
            DetailsError::Type.into(),
            DetailsError::Fields.into(),
            DetailsError::Values(", system user not found").into(),
            DelegationError::Timeout.into(),
            DetailsFault(String::new()).into(),
            GrantError::Store(StoreError::Closed),
            GrantError::TooOften { limit: "client", seconds: 2 },
            GrantError::Signing(skybru_protocol::jose::SigningKeyError::Library.into()),
            GrantError::Signing(SignError::Away { holder: "the token".to_owned(), source: "gone".into() }),
        ];
        let mut table = String::new();
        for refusal in all {
            let body = refusal.body(&"https://test.maskinporten.no/".parse().unwrap(), "0");
            let text = body.error_description.unwrap_or_default().replace(" (trace_id: 0)", "");
            let code = refusal.mp_code().unwrap_or("-");
            writeln!(table, "{} {:<24} {code:<7} {text}", refusal.code().status(), body.error).unwrap();
        }
        insta::assert_snapshot!("refusals", table);
    }

    #[test]
    fn a_fault_tells_the_caller_nothing() {
        let body = GrantError::Store(StoreError::Closed).body(&"https://a.no".parse().unwrap(), "t");
        assert_eq!(body.error_description.as_deref(), Some("The request could not be completed. (trace_id: t)"));
    }
}
