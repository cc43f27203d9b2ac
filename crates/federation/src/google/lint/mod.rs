//! What is wrong with a set-up, said before Google says something else: the doctor's rules for Google.
//!
//! Google stops at the first fault. Here each is named on its own, in the order in which Google would meet them: the credential file,
//! the token, the provider, the issuer's keys, mapping and condition, the bindings; then what works and should not. The token's own
//! faults are those that all clouds share, and stand in [`crate::lint`].
//!
//! What needs the network stays with the doctor: whether documents can be reached (D-03), the served chain (D-04), whether an API is
//! enabled (D-48).

mod bindings;
mod file;
mod mapping;
mod provider;

use serde_json::Value;
use skybru_protocol::jose::JwkSet;
use skybru_protocol::metadata::DiscoveryDocument;

use super::policy::Policy;
use super::provider::{Pool, Provider};
use super::token::PresentedToken;
use crate::catalogue::Cloud;
use crate::finding::Finding;
use crate::lint::{at, bare_token, lint_documents, lint_token};

/// What Google has been told, and how it is called. What is absent is not looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setup<'a> {
    /// A file of type `external_account` (G-60).
    pub file: Option<&'a Value>,
    /// Whether `GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES` is `1` where the file is used (G-64).
    pub executables_allowed: Option<bool>,
    /// `audience` of the exchange, when there is no file.
    pub audience: Option<&'a str>,
    /// The pool.
    pub pool: Option<&'a Pool>,
    /// The provider.
    pub provider: Option<&'a Provider>,
    /// The service account that is impersonated, by address; without one the federated token itself is used.
    pub service_account: Option<&'a str>,
    /// That account's policy.
    pub account_policy: Option<&'a Policy>,
    /// The policy of the bucket, or of whatever is shared.
    pub resource_policy: Option<&'a Policy>,
    /// What is wanted of it, such as `storage.objects.get`, which it is without a word.
    pub permission: Option<&'a str>,
}

/// A set-up beside token and documents, for Google alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct LintInput<'a> {
    /// The issuer's discovery document.
    pub discovery: Option<&'a DiscoveryDocument>,
    /// The key set behind its `jwks_uri`.
    pub keys: Option<&'a JwkSet>,
    /// A token that the consumer got, as text or as a file holds it.
    pub token_text: Option<&'a str>,
    /// Seconds since 1970; without it no time is judged.
    pub now: Option<i64>,
    /// What Google has been told.
    pub setup: Setup<'a>,
}

/// Everything that is wrong, in the order in which Google would meet it.
pub fn lint(input: LintInput<'_>) -> Vec<Finding> {
    const SCOPE: &[Cloud] = &[Cloud::Google];
    let mut findings = Vec::new();
    lint_call(&input.setup, input.token_text, &mut findings);
    let seen = input.token_text.and_then(|text| lint_token(text, input.now, SCOPE, &mut findings));
    // With uploaded keys nothing is fetched (G-4), and what the issuer publishes does not matter.
    let uploaded = input.setup.provider.is_some_and(|provider| provider.oidc.jwks_json.is_some());
    if !uploaded {
        lint_documents(input.discovery, input.keys, seen.as_ref(), SCOPE, &mut findings);
    }
    lint_setup(&input.setup, input.token_text, (input.discovery, input.keys), input.now, &mut findings);
    findings
}

/// The credential file, and what lies in the token file that it names.
pub(crate) fn lint_call(setup: &Setup<'_>, token_text: Option<&str>, findings: &mut Vec<Finding>) {
    file::lint(setup, token_text, findings);
}

/// Provider, keys, mapping and bindings, beside a token that Google would read.
pub(crate) fn lint_setup(
    setup: &Setup<'_>,
    token_text: Option<&str>,
    (discovery, keys): (Option<&DiscoveryDocument>, Option<&JwkSet>),
    now: Option<i64>,
    findings: &mut Vec<Finding>,
) {
    let presented = token_text.and_then(|text| PresentedToken::parse(&bare_token(text)).ok());
    provider::lint(setup, presented.as_ref(), findings);
    provider::lint_keys(setup, discovery, keys, presented.as_ref(), findings);
    let attributes = setup.provider.and_then(|provider| mapping::lint(provider, presented.as_ref(), findings));
    bindings::lint(setup, attributes.as_ref(), now, findings);
}

/// How gcloud names a provider.
fn provider_arguments(provider: &Provider) -> String {
    let (pool, id) = (&provider.name.pool, &provider.name.provider);
    match pool {
        super::PoolName::Workload { project_number, pool } => {
            format!("{id} --workload-identity-pool={pool} --location=global --project={project_number}")
        }
        super::PoolName::Workforce { pool } => format!("{id} --workforce-pool={pool} --location=global"),
    }
}

/// `gcloud iam … providers update-oidc …`.
fn update(provider: &Provider, change: &str) -> String {
    let kind = if provider.name.pool.is_workforce() { "workforce-pools" } else { "workload-identity-pools" };
    format!("gcloud iam {kind} providers update-oidc {} {change}", provider_arguments(provider))
}

/// Whether this token has several scopes.
fn has_several_scopes(token: &PresentedToken) -> bool {
    let text = |name: &str| token.claims.get(name).and_then(Value::as_str).unwrap_or_default();
    text("scope").trim().contains(' ') || text("sub").split_once(';').is_some_and(|(_, scopes)| scopes.contains(' '))
}
