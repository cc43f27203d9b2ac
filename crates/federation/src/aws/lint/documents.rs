//! The issuer's documents and the provider at IAM: D-01, D-02, D-05 to D-07, D-20 to D-22, D-30.

use std::collections::BTreeMap;

use skybru_protocol::jose::{Jwk, JwkSet};
use skybru_protocol::metadata::DiscoveryDocument;

use super::at;
use crate::aws::keys::{check_discovery, select_key};
use crate::aws::provider::OidcProvider;
use crate::aws::role::{Role, account_of_arn};
use crate::aws::token::PresentedToken;
use crate::documents::DocumentProblem;
use crate::finding::{Finding, Severity, Who};

pub(super) fn lint_discovery(document: &DiscoveryDocument, token: Option<&PresentedToken>, findings: &mut Vec<Finding>) {
    let issuer = document.issuer.clone().unwrap_or_default();
    if let Err(DocumentProblem::MissingFields(missing)) = check_discovery(document, &issuer, true) {
        let what = format!(
            "the issuer's discovery document lacks {}; AWS answers \"Couldn't retrieve verification key from your identity provider\"",
            missing.join(", ")
        );
        let fields: Vec<&str> = missing.iter().map(|name| example(name)).collect();
        findings.push(Finding::new("D-01", Who::Issuer, what, format!("add to the document: {}", fields.join(", "))));
    }
    if let Some(token) = token.filter(|token| token.iss != issuer) {
        let what = format!("the discovery document names another issuer than the token{}", at(&issuer, &token.iss));
        findings.push(Finding::new("D-02", Who::Issuer, what, "make both the same, byte for byte").compared(issuer, &token.iss));
    }
}

fn example(field: &str) -> &'static str {
    match field {
        "response_types_supported" => r#""response_types_supported":["id_token"]"#,
        "subject_types_supported" => r#""subject_types_supported":["public"]"#,
        "id_token_signing_alg_values_supported" => r#""id_token_signing_alg_values_supported":["RS256"]"#,
        _ => r#""jwks_uri":"https://ISSUER/jwk""#,
    }
}

pub(super) fn lint_keys(keys: &JwkSet, token: Option<&PresentedToken>, findings: &mut Vec<Finding>) {
    lint_counts(keys, findings);
    for key in &keys.keys {
        lint_members(key, token, findings);
    }
    let Some(token) = token else { return };
    // D-07 says the rest.
    if let Err(DocumentProblem::NoUsableKey { kid, available, reason }) = select_key(keys, token) {
        let what = format!("no key verifies the token: {reason}");
        let fix = "publish the key at least an hour before it signs, and keep it until its last token has expired";
        let finding = Finding::new("D-05", Who::Issuer, what, fix);
        let available = if available.is_empty() { "no key with a kid".to_owned() } else { available.join(", ") };
        findings.push(finding.compared(available, kid.as_deref().unwrap_or("no kid")));
    }
}

/// D-06 and the number of D-07.
fn lint_counts(keys: &JwkSet, findings: &mut Vec<Finding>) {
    let (mut by_kid, mut by_type) = (BTreeMap::<&str, usize>::new(), BTreeMap::<&str, usize>::new());
    for key in &keys.keys {
        *by_type.entry(&key.kty).or_default() += 1;
        if let Some(kid) = &key.kid {
            *by_kid.entry(kid).or_default() += 1;
        }
    }
    for (kid, count) in by_kid.into_iter().filter(|(_, count)| *count > 1) {
        let what = format!("{count} keys have the kid {kid:?}; AWS takes the last, other clouds the first");
        findings.push(Finding::new("D-06", Who::Issuer, what, "give every key a kid of its own, and never use one again"));
    }
    for (kty, count) in by_type.into_iter().filter(|(_, count)| *count > 100) {
        let what = format!("the key set has {count} {kty} keys; AWS uses none of a type that has more than 100");
        findings.push(Finding::new("D-07", Who::Issuer, what, "take retired keys out of the key set"));
    }
}

/// D-07: what stands in a key beside its numbers (A-33, G-4). It is an error for the key that must verify the token, else a warning.
fn lint_members(key: &Jwk, token: Option<&PresentedToken>, findings: &mut Vec<Finding>) {
    let kid = key.kid.as_deref().unwrap_or("without kid");
    let needed = token.is_some_and(|token| token.kid() == key.kid.as_deref());
    let mut push = |severity, what: String, fix: &str| {
        findings.push(Finding::new("D-07", Who::Issuer, what, fix).severity(severity));
    };
    if key.other.contains_key("key_ops") {
        let severity = if needed { Severity::Error } else { Severity::Warning };
        push(
            severity,
            format!("key {kid:?} has key_ops, with which AWS refuses every signature of it"),
            "publish it without key_ops",
        );
    }
    if key.usage.as_deref() == Some("enc") {
        let severity = if needed { Severity::Error } else { Severity::Warning };
        push(severity, format!("key {kid:?} has \"use\":\"enc\"; it verifies nothing"), "publish it with \"use\":\"sig\"");
    }
    if let Some(member) = ["x5c", "x5t", "x5t#S256", "x5u"].into_iter().find(|member| key.other.contains_key(*member)) {
        let what =
            format!("key {kid:?} has {member}; AWS compares a certificate with the numbers, Google refuses to take the key");
        push(Severity::Warning, what, "publish kty, use, alg, kid, n and e only");
    }
}

pub(super) fn lint_provider(
    provider: &OidcProvider,
    token: Option<&PresentedToken>,
    role: Option<&Role>,
    private_chain: Option<&str>,
    findings: &mut Vec<Finding>,
) {
    let accounts = role.and_then(|role| Some((account_of_arn(&role.arn)?, account_of_arn(&provider.arn)?)));
    if let Some((ours, theirs)) = accounts.filter(|(ours, theirs)| ours != theirs) {
        let what = "the provider stands in another account than the role";
        let fix = format!("in account {ours}: aws iam create-open-id-connect-provider --url {}", provider.issuer());
        findings.push(Finding::new("D-21", Who::Provider, what, fix).compared(ours, theirs));
    }
    match token {
        Some(token) => lint_audience(provider, token, findings),
        None if provider.client_ids.is_empty() => {
            let what = "the provider has no client ids, so every token is refused";
            let fix = add_client_id(provider, "AUDIENCE");
            findings.push(Finding::new("D-22", Who::Provider, what, fix));
        }
        None => {}
    }
    lint_thumbprints(provider, private_chain, findings);
}

/// D-20, D-22.
fn lint_audience(provider: &OidcProvider, token: &PresentedToken, findings: &mut Vec<Finding>) {
    let expected = token.iss.strip_prefix("https://").unwrap_or(&token.iss);
    if provider.url != expected {
        let what = format!("the provider's URL is not the token's issuer{}", at(expected, &provider.url));
        let fix = format!("aws iam create-open-id-connect-provider --url {}", token.iss);
        findings.push(Finding::new("D-20", Who::Provider, what, fix).compared(expected, &provider.url));
    }
    if !provider.client_ids.contains(&token.audience.value) {
        let what = "the token's audience is not among the provider's client ids";
        let fix = add_client_id(provider, &token.audience.value);
        findings
            .push(Finding::new("D-22", Who::Provider, what, fix).compared(&token.audience.value, provider.client_ids.join(", ")));
    }
}

fn add_client_id(provider: &OidcProvider, audience: &str) -> String {
    format!(
        "aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {} --client-id {audience}",
        provider.arn
    )
}

/// D-30: the shape always, the value only where AWS looks at it: when the chain is not publicly trusted (A-10).
fn lint_thumbprints(provider: &OidcProvider, private_chain: Option<&str>, findings: &mut Vec<Finding>) {
    let update = |thumbprint: &str| {
        format!(
            "aws iam update-open-id-connect-provider-thumbprint --open-id-connect-provider-arn {} --thumbprint-list {thumbprint}",
            provider.arn
        )
    };
    if let Some(wrong) = provider.thumbprints.iter().find(|print| !print.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        let what = "a thumbprint is not hexadecimal: IAM keeps it, but it matches no certificate (A-8)";
        let found = Finding::new("D-30", Who::Provider, what, update("SHA1-OF-THE-LAST-CERTIFICATE")).severity(Severity::Warning);
        findings.push(Finding { found: Some(wrong.clone()), ..found });
    }
    let Some(served) = private_chain.map(|served| served.replace(':', "").to_lowercase()) else { return };
    if !provider.thumbprints.contains(&served) {
        let what = "the issuer's certificate chain is private, and its last certificate is not among the provider's thumbprints";
        findings
            .push(Finding::new("D-30", Who::Provider, what, update(&served)).compared(&served, provider.thumbprints.join(", ")));
    }
}
