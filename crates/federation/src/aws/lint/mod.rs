//! What is wrong with what AWS has been told: the doctor's rules for AWS, beside those that all clouds share.
//!
//! AWS stops at the first fault and often does not name it. Here each fault is named on its own, also those that AWS's first error
//! hides: the guide of 2023 had four, and nobody saw the other three behind the first.

mod call;
mod provider;
mod trust;

use skybru_protocol::jose::JwkSet;
use skybru_protocol::metadata::DiscoveryDocument;

use super::provider::OidcProvider;
use super::role::Role;
use super::token::PresentedToken;
use crate::catalogue::Cloud;
use crate::finding::{Finding, Who};
use crate::lint::{SeenToken, at, bare_token, has_errors, lint_documents, lint_seen, lint_token};

/// What AWS has been told, and how it is called. What is absent is not looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setup<'a> {
    /// The provider.
    pub provider: Option<&'a OidcProvider>,
    /// The role.
    pub role: Option<&'a Role>,
    /// `RoleSessionName` of the call.
    pub session_name: Option<&'a str>,
    /// `DurationSeconds` of the call.
    pub duration_seconds: Option<u32>,
    /// SHA-1 in hexadecimal of the last certificate of a chain that is *not* publicly trusted.
    pub private_chain: Option<&'a str>,
}

/// A set-up beside token and documents, for AWS alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct LintInput<'a> {
    /// The issuer's discovery document.
    pub discovery: Option<&'a DiscoveryDocument>,
    /// The key set behind its `jwks_uri`.
    pub keys: Option<&'a JwkSet>,
    /// A token that the consumer got, if AWS would read it.
    pub token: Option<&'a PresentedToken>,
    /// The same as text or as a file holds it, also when AWS would not read it (D-11, D-18, D-19). Without `token` this is read.
    pub token_text: Option<&'a str>,
    /// Seconds since 1970; without it no time is judged.
    pub now: Option<i64>,
    /// What AWS has been told.
    pub setup: Setup<'a>,
}

/// Everything that is wrong, in the order in which AWS would meet it: the call, the token, the documents, the provider, the trust
/// policy.
pub fn lint(input: LintInput<'_>) -> Vec<Finding> {
    const SCOPE: &[Cloud] = &[Cloud::Aws];
    let mut findings = Vec::new();
    lint_call(&input.setup, &mut findings);
    let parsed = match (input.token, input.token_text) {
        (None, Some(text)) => PresentedToken::parse(&bare_token(text)).ok(),
        _ => None,
    };
    let presented = input.token.or(parsed.as_ref());
    let seen = match (input.token, input.token_text) {
        (Some(token), _) => {
            let seen = SeenToken::from(token);
            lint_seen(&seen, input.now, SCOPE, &mut findings);
            Some(seen)
        }
        (None, Some(text)) => {
            let before = findings.len();
            let seen = lint_token(text, input.now, SCOPE, &mut findings);
            lint_unexplained(text, before, &mut findings);
            seen
        }
        (None, None) => None,
    };
    lint_documents(input.discovery, input.keys, seen.as_ref(), SCOPE, &mut findings);
    lint_setup(&input.setup, presented, &mut findings);
    findings
}

/// The parameters of the call.
pub(crate) fn lint_call(setup: &Setup<'_>, findings: &mut Vec<Finding>) {
    call::lint(setup, findings);
}

/// The provider and the role, beside a token that AWS would read.
pub(crate) fn lint_setup(setup: &Setup<'_>, presented: Option<&PresentedToken>, findings: &mut Vec<Finding>) {
    if let Some(provider) = setup.provider {
        provider::lint(provider, presented, setup.role, setup.private_chain, findings);
    }
    if let Some(role) = setup.role {
        trust::lint(role, setup.provider, presented, setup.session_name, findings);
    }
    if let (Some(provider), Some(presented)) = (setup.provider, presented) {
        trust::lint_tags(setup.role, provider, presented, findings);
    }
}

/// A token that AWS does not read and that no rule of all clouds explains is explained by AWS's own.
pub(crate) fn lint_unexplained(text: &str, before: usize, findings: &mut Vec<Finding>) {
    let Err(error) = PresentedToken::parse(&bare_token(text)) else { return };
    if error.rule == "A-31" {
        let what = "the token's header has crit, which AWS refuses";
        findings.push(Finding::new("A-31", Who::Issuer, what, "sign without crit"));
    } else if !has_errors(findings.get(before..).unwrap_or_default()) {
        let what = format!("AWS does not read the token: {}", error.message);
        findings.push(Finding::new(error.rule, Who::Issuer, what, "compare the token's claims with the rule"));
    }
}

impl From<&PresentedToken> for SeenToken {
    fn from(token: &PresentedToken) -> Self {
        Self {
            alg: token.algorithm().name().to_owned(),
            kid: token.kid().map(str::to_owned),
            typ: token.typ().map(str::to_owned),
            has_crit: false,
            claims: token.claims.clone(),
        }
    }
}
