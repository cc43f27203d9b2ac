//! What is wrong with a set-up, said before AWS says something else: the doctor's rules for AWS.
//!
//! AWS stops at the first fault and often does not name it. Here each fault is named on its own, also those that AWS's first error
//! hides: the guide of 2023 had four, and nobody saw the other three behind the first.
//!
//! What needs the network stays with the doctor: whether documents can be reached (D-03), the served chain (D-04), environment and
//! propagation (D-32 to D-36).

mod call;
mod documents;
mod token;
mod trust;

use skybru_protocol::jose::JwkSet;
use skybru_protocol::metadata::DiscoveryDocument;

use super::provider::OidcProvider;
use super::role::Role;
use super::token::PresentedToken;
use crate::finding::{Finding, Severity, difference};
use token::Seen;

/// What is at hand. What is absent is not looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct LintInput<'a> {
    /// The issuer's discovery document.
    pub discovery: Option<&'a DiscoveryDocument>,
    /// The key set behind its `jwks_uri`.
    pub keys: Option<&'a JwkSet>,
    /// The provider.
    pub provider: Option<&'a OidcProvider>,
    /// The role.
    pub role: Option<&'a Role>,
    /// A token that the consumer got, if AWS would read it.
    pub token: Option<&'a PresentedToken>,
    /// The same as text or as a file holds it, also when AWS would not read it (D-11, D-18, D-19). Without `token` this is read.
    pub token_text: Option<&'a str>,
    /// `RoleSessionName` of the call.
    pub session_name: Option<&'a str>,
    /// `DurationSeconds` of the call.
    pub duration_seconds: Option<u32>,
    /// SHA-1 in hexadecimal of the last certificate of a chain that is *not* publicly trusted.
    pub private_chain: Option<&'a str>,
    /// Seconds since 1970; without it no time is judged.
    pub now: Option<i64>,
}

/// Everything that is wrong, in the order in which AWS would meet it: the call, the token, the documents, the provider, the trust
/// policy.
pub fn lint(input: LintInput<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    call::lint(&input, &mut findings);

    let cleaned = input.token_text.map(|text| token::clean(text, &mut findings));
    let parsed = cleaned.as_ref().and_then(|text| PresentedToken::parse(text).ok());
    let presented = input.token.or(parsed.as_ref());
    match (presented, cleaned.as_deref()) {
        (Some(presented), _) => token::lint(&Seen::of(presented), input.now, &mut findings),
        (None, Some(text)) => token::lint_unreadable(text, input.now, &mut findings),
        (None, None) => {}
    }

    if let Some(document) = input.discovery {
        documents::lint_discovery(document, presented, &mut findings);
    }
    if let Some(keys) = input.keys {
        documents::lint_keys(keys, presented, &mut findings);
    }
    if let Some(provider) = input.provider {
        documents::lint_provider(provider, presented, input.role, input.private_chain, &mut findings);
    }
    if let Some(role) = input.role {
        trust::lint(role, input.provider, presented, input.session_name, &mut findings);
    }
    if let (Some(provider), Some(presented)) = (input.provider, presented) {
        trust::lint_tags(input.role, provider, presented, &mut findings);
    }
    findings
}

/// ` (they differ from character N on)`.
fn at(one: &str, other: &str) -> String {
    difference(one, other).map_or_else(String::new, |place| format!(" (they differ from character {} on)", place + 1))
}

/// Whether something in `findings` keeps the token out.
fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}
