//! The issuer's documents: D-01, D-02, D-05 to D-07.

use std::collections::BTreeMap;

use skybru_protocol::jose::{Jwk, JwkSet};
use skybru_protocol::metadata::DiscoveryDocument;

use super::effect::{self, Effects, judged};
use super::{SeenToken, at};
use crate::aws::{check_discovery, unusable_key};
use crate::catalogue::Cloud;
use crate::documents::DocumentProblem;
use crate::finding::{Finding, Severity, Who};

pub(super) fn lint_discovery(
    document: &DiscoveryDocument,
    token: Option<&SeenToken>,
    scope: &[Cloud],
    findings: &mut Vec<Finding>,
) {
    let issuer = document.issuer.clone().unwrap_or_default();
    if let Err(DocumentProblem::MissingFields(missing)) = check_discovery(document, &issuer, true) {
        let what = format!(
            "the issuer's discovery document lacks {}; AWS answers \"Couldn't retrieve verification key from your identity provider\"",
            missing.join(", ")
        );
        let fields: Vec<&str> = missing.iter().map(|name| example(name)).collect();
        let finding = Finding::new("D-01", Who::Issuer, what, format!("add to the document: {}", fields.join(", ")));
        findings.push(judged(finding, effect::NO_LISTS, scope));
    }
    if let Some(token_issuer) = token.and_then(|token| token.text("iss")).filter(|named| *named != issuer) {
        let what = format!("the discovery document names another issuer than the token{}", at(&issuer, token_issuer));
        let finding = Finding::new("D-02", Who::Issuer, what, "make both the same, byte for byte");
        findings.push(judged(finding.compared(issuer, token_issuer), effect::OTHER_ISSUER, scope));
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

pub(super) fn lint_keys(keys: &JwkSet, token: Option<&SeenToken>, scope: &[Cloud], findings: &mut Vec<Finding>) {
    lint_counts(keys, scope, findings);
    for key in &keys.keys {
        lint_members(key, token, scope, findings);
    }
    let Some(token) = token else { return };
    // D-07 says the rest.
    if let Some(DocumentProblem::NoUsableKey { kid, available, reason }) = unusable_key(keys, &token.alg, token.kid.as_deref()) {
        let what = format!("no key verifies the token: {reason}");
        let fix = "publish the key at least an hour before it signs, and keep it until its last token has expired";
        let available = if available.is_empty() { "no key with a kid".to_owned() } else { available.join(", ") };
        let finding = Finding::new("D-05", Who::Issuer, what, fix).compared(available, kid.as_deref().unwrap_or("no kid"));
        findings.push(judged(finding, effect::UNKNOWN_KEY, scope));
    }
}

/// D-06 and the number of D-07.
fn lint_counts(keys: &JwkSet, scope: &[Cloud], findings: &mut Vec<Finding>) {
    let (mut by_kid, mut by_type) = (BTreeMap::<&str, usize>::new(), BTreeMap::<&str, usize>::new());
    for key in &keys.keys {
        *by_type.entry(&key.kty).or_default() += 1;
        if let Some(kid) = &key.kid {
            *by_kid.entry(kid).or_default() += 1;
        }
    }
    for (kid, count) in by_kid.into_iter().filter(|(_, count)| *count > 1) {
        let what = format!("{count} keys have the kid {kid:?}; AWS takes the last, other clouds the first");
        let finding = Finding::new("D-06", Who::Issuer, what, "give every key a kid of its own, and never use one again");
        findings.push(judged(finding, effect::SAME_KID, scope));
    }
    for (kty, count) in by_type.into_iter().filter(|(_, count)| *count > 100) {
        let what = format!("the key set has {count} {kty} keys; AWS uses none of a type that has more than 100");
        let finding = Finding::new("D-07", Who::Issuer, what, "take retired keys out of the key set");
        findings.push(judged(finding, effect::MANY_KEYS, scope));
    }
}

/// D-07: what stands in a key beside its numbers (A-33, G-4). For a key that does not verify the token it is a warning.
fn lint_members(key: &Jwk, token: Option<&SeenToken>, scope: &[Cloud], findings: &mut Vec<Finding>) {
    let kid = key.kid.as_deref().unwrap_or("without kid");
    let needed = token.is_some_and(|token| token.kid == key.kid);
    let mut push = |what: String, fix: &str, effects: Effects| {
        let finding = judged(Finding::new("D-07", Who::Issuer, what, fix), effects, scope);
        let severity = if needed { finding.severity } else { finding.severity.min(Severity::Warning) };
        findings.push(finding.severity(severity));
    };
    if key.other.contains_key("key_ops") {
        let what = format!("key {kid:?} has key_ops, with which AWS refuses every signature of it");
        push(what, "publish it without key_ops", effect::KEY_OPERATIONS);
    }
    if key.usage.as_deref() == Some("enc") {
        let what = format!("key {kid:?} has \"use\":\"enc\"; it verifies nothing");
        push(what, "publish it with \"use\":\"sig\"", effect::KEY_FOR_ENCRYPTION);
    }
    if let Some(member) = ["x5c", "x5t", "x5t#S256", "x5u"].into_iter().find(|member| key.other.contains_key(*member)) {
        let what =
            format!("key {kid:?} has {member}; AWS compares a certificate with the numbers, Google refuses to take the key");
        push(what, "publish kty, use, alg, kid, n and e only", effect::KEY_CERTIFICATE);
    }
}
