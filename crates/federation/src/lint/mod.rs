//! What is wrong with a token, an issuer's documents and what the clouds have been told about them, before a cloud says something else.
//!
//! A cloud stops at the first fault and often does not name it. Here each fault is named on its own, also those that the first error
//! hides. The rules that all clouds share (D-01 to D-19) are here, once; each says what every cloud makes of it. A cloud's own rules
//! stand beside what it accepts: `aws::lint` and its like.
//!
//! What needs the network stays with the doctor: whether documents can be reached (D-03), the served chain (D-04), environment and
//! propagation (D-33 to D-36).

mod data;
mod documents;
mod effect;
mod environment;
mod share;
mod share_setup;
mod token;

use skybru_protocol::jose::JwkSet;
use skybru_protocol::metadata::DiscoveryDocument;

pub use data::lint_refused_data;
pub use effect::{Effect, Verdict};
pub use environment::other_environment;
pub use share::{SharedResource, lint_share};
pub use share_setup::{SharedSetup, lint_admissions};
pub use token::{SeenToken, Unreadable};

use crate::catalogue::Cloud;
use crate::finding::{Finding, Severity, difference};
use crate::{aws, entra, google};

/// What is at hand. What is absent is not looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct LintInput<'a> {
    /// The issuer's discovery document.
    pub discovery: Option<&'a DiscoveryDocument>,
    /// The key set behind its `jwks_uri`.
    pub keys: Option<&'a JwkSet>,
    /// A token as text, or as a file holds it, with whatever stands around it.
    pub token_text: Option<&'a str>,
    /// Seconds since 1970; without it no time is judged.
    pub now: Option<i64>,
    /// What AWS has been told.
    pub aws: Option<aws::Setup<'a>>,
    /// What Google has been told.
    pub google: Option<google::Setup<'a>>,
    /// What Entra and Azure have been told.
    pub azure: Option<entra::Setup<'a>>,
}

/// Everything that is wrong, in the order in which a cloud would meet it: the call, the token, the documents, the cloud's set-up.
pub fn lint(input: LintInput<'_>) -> Vec<Finding> {
    let asked =
        [(input.aws.is_some(), Cloud::Aws), (input.google.is_some(), Cloud::Google), (input.azure.is_some(), Cloud::Azure)];
    let scope: Vec<Cloud> = asked.into_iter().filter(|(asked, _)| *asked).map(|(_, c)| c).collect();
    let mut findings = Vec::new();
    if let Some(setup) = &input.aws {
        aws::lint_call(setup, &mut findings);
    }
    if let Some(setup) = &input.google {
        google::lint_call(setup, input.token_text, &mut findings);
    }
    if let Some(setup) = &input.azure {
        entra::lint_call(setup, &mut findings);
    }
    let before = findings.len();
    let seen = input.token_text.and_then(|text| lint_token(text, input.now, &scope, &mut findings));
    if let Some(text) = input.token_text.filter(|_| input.aws.is_some()) {
        aws::lint_unexplained(text, before, &mut findings);
    }
    if let Some(text) = input.token_text.filter(|_| input.azure.is_some()) {
        entra::lint_unexplained(text, before, &mut findings);
    }
    let presented = input.token_text.and_then(|text| aws::PresentedToken::parse(&bare_token(text)).ok());
    lint_documents(input.discovery, input.keys, seen.as_ref(), &scope, &mut findings);
    if let Some(setup) = &input.aws {
        aws::lint_setup(setup, presented.as_ref(), &mut findings);
    }
    if let Some(setup) = &input.google {
        google::lint_setup(setup, input.token_text, (input.discovery, input.keys), input.now, &mut findings);
    }
    if let Some(setup) = &input.azure {
        let presented =
            input.token_text.and_then(|text| entra::PresentedAssertion::parse(&bare_token(text), entra::Wording::Current).ok());
        entra::lint_documents(input.discovery, input.keys, presented.as_ref(), &mut findings);
        entra::lint_setup(setup, presented.as_ref(), input.now, &mut findings);
    }
    findings
}

/// The token without what people put around it: blanks, quotation marks, the word Bearer, the whole JSON answer.
pub fn bare_token(text: &str) -> String {
    token::clean(text, &[], &mut Vec::new())
}

/// The token's own faults; the token, if it is one.
pub(crate) fn lint_token(text: &str, now: Option<i64>, scope: &[Cloud], findings: &mut Vec<Finding>) -> Option<SeenToken> {
    let bare = token::clean(text, scope, findings);
    match SeenToken::read(&bare) {
        Ok(seen) => {
            token::lint(&seen, now, scope, findings);
            Some(seen)
        }
        Err(error) => {
            token::lint_unreadable(&error, scope, findings);
            None
        }
    }
}

/// The faults of a token that was read before.
pub(crate) fn lint_seen(token: &SeenToken, now: Option<i64>, scope: &[Cloud], findings: &mut Vec<Finding>) {
    token::lint(token, now, scope, findings);
}

/// The faults of the issuer's documents, and what does not fit between them and the token.
pub(crate) fn lint_documents(
    discovery: Option<&DiscoveryDocument>,
    keys: Option<&JwkSet>,
    token: Option<&SeenToken>,
    scope: &[Cloud],
    findings: &mut Vec<Finding>,
) {
    if let Some(document) = discovery {
        documents::lint_discovery(document, token, scope, findings);
    }
    if let Some(keys) = keys {
        documents::lint_keys(keys, token, scope, findings);
    }
}

/// ` (they differ from character N on)`.
pub(crate) fn at(one: &str, other: &str) -> String {
    difference(one, other).map_or_else(String::new, |place| format!(" (they differ from character {} on)", place + 1))
}

/// Whether something in `findings` keeps the token out.
pub(crate) fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}
