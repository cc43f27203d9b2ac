//! Pool and provider, and the keys that verify: D-02, D-06, D-16, D-41 to D-44.

use skybru_protocol::jose::JwkSet;
use skybru_protocol::metadata::DiscoveryDocument;

use super::{Setup, at, update};
use crate::finding::{Finding, Severity, Who};
use crate::google::Wording;
use crate::google::provider::{Provider, State};
use crate::google::sts::select_key;
use crate::google::token::PresentedToken;
use crate::lint::other_environment;

pub(super) fn lint(setup: &Setup<'_>, token: Option<&PresentedToken>, findings: &mut Vec<Finding>) {
    lint_state(setup, findings);
    let Some(provider) = setup.provider else { return };
    if let Err(error) = provider.check(Wording::Current) {
        let what = format!("Google would not take the provider: {}", error.message);
        findings.push(Finding::new(error.rule, Who::Provider, what, update(provider, "…")));
    }
    if let Some(token) = token {
        lint_issuer(provider, token, findings);
        lint_audience(provider, token, findings);
    }
}

/// D-41.
fn lint_state(setup: &Setup<'_>, findings: &mut Vec<Finding>) {
    let mut push = |what: &str, fix: String| findings.push(Finding::new("D-41", Who::Provider, what, fix));
    if let Some(pool) = setup.pool {
        let kind = if pool.name.is_workforce() { "workforce-pools" } else { "workload-identity-pools" };
        let id = pool.name.id();
        if pool.state == State::Deleted {
            push(
                "the pool is deleted; its id is blocked for thirty days",
                format!("gcloud iam {kind} undelete {id} --location=global"),
            );
        } else if pool.disabled {
            push("the pool is disabled", format!("gcloud iam {kind} update {id} --location=global --no-disabled"));
        }
    }
    if let Some(provider) = setup.provider {
        if provider.state == State::Deleted {
            let undelete =
                format!("gcloud iam workload-identity-pools providers undelete {}", super::provider_arguments(provider));
            push("the provider is deleted; its id is blocked for thirty days", undelete);
        } else if provider.disabled {
            push("the provider is disabled", update(provider, "--no-disabled"));
        }
    }
}

/// D-16 for the same issuer in another environment, D-43 for every other difference.
fn lint_issuer(provider: &Provider, token: &PresentedToken, findings: &mut Vec<Finding>) {
    let registered = &provider.oidc.issuer_uri;
    let Some(iss) = token.iss() else {
        let what = "the token has no iss";
        findings
            .push(Finding::new("D-43", Who::Issuer, what, "sign with the issuer's URL as iss").compared(registered, "absent"));
        return;
    };
    if iss == registered {
        return;
    }
    if let Some(finding) = other_environment(iss, registered) {
        findings.push(finding);
        return;
    }
    let what = format!("the provider's issuer URI is not the token's iss{}", at(iss, registered));
    let fix = update(provider, &format!("--issuer-uri={iss}"));
    findings.push(Finding::new("D-43", Who::Provider, what, fix).compared(iss, registered));
}

/// D-42. A token without any is another fault, D-18.
fn lint_audience(provider: &Provider, token: &PresentedToken, findings: &mut Vec<Finding>) {
    let (found, allowed) = (token.audiences(), provider.audiences());
    if found.iter().all(|audience| audience.is_empty()) {
        return;
    }
    if !found.iter().any(|audience| allowed.iter().any(|one| one == audience)) {
        let found = found.join(", ");
        let (what, fix) = if provider.name.pool.is_workforce() {
            ("the token's audience is not the provider's client id".to_owned(), update(provider, &format!("--client-id={found}")))
        } else if provider.oidc.allowed_audiences.is_empty() {
            let what = "the provider names no audience, so Google takes its own name only";
            (what.to_owned(), update(provider, &format!("--allowed-audiences={found}")))
        } else {
            let near = allowed.first().map_or_else(String::new, |one| at(one, &found));
            let what = format!("the token's audience is not among the provider's allowed audiences{near}");
            (what, update(provider, &format!("--allowed-audiences={},{found}", allowed.join(","))))
        };
        findings.push(Finding::new("D-42", Who::Provider, what, fix).compared(allowed.join(", "), found));
    }
}

/// D-02, D-06, D-44: what the signature is verified with, beside what all clouds share.
pub(super) fn lint_keys(
    setup: &Setup<'_>,
    discovery: Option<&DiscoveryDocument>,
    keys: Option<&JwkSet>,
    token: Option<&PresentedToken>,
    findings: &mut Vec<Finding>,
) {
    if let Some(uploaded) = setup.provider.and_then(Provider::uploaded_keys) {
        lint_uploaded(setup, keys, &uploaded, token, findings);
        return;
    }
    if let (Some(discovery), Some(provider), None) = (discovery, setup.provider, token) {
        let (named, registered) = (discovery.issuer.clone().unwrap_or_default(), &provider.oidc.issuer_uri);
        if &named != registered {
            let what = format!("the discovery document names another issuer than the provider{}", at(registered, &named));
            findings
                .push(Finding::new("D-02", Who::Issuer, what, "make both the same, byte for byte").compared(registered, named));
        }
    }
    if let (Some(keys), Some(token)) = (keys, token)
        && let Ok(key) = select_key(token, keys)
        && !verifies(token, &key)
    {
        findings.push(other_key());
    }
}

fn verifies(token: &PresentedToken, key: &skybru_protocol::jose::VerifyingKey) -> bool {
    // What Google does not take is said elsewhere.
    let Some(algorithm) = token.algorithm() else { return true };
    key.verify(algorithm, token.jws().signing_input().as_bytes(), token.jws().signature()).is_ok()
}

fn other_key() -> Finding {
    let what = "the key with the token's kid did not make its signature: the kid was used again, or the token was changed";
    Finding::new("D-06", Who::Issuer, what, "give every key a kid of its own, and never use one again")
}

/// D-44.
fn lint_uploaded(
    setup: &Setup<'_>,
    keys: Option<&JwkSet>,
    uploaded: &JwkSet,
    token: Option<&PresentedToken>,
    findings: &mut Vec<Finding>,
) {
    let Some(provider) = setup.provider else { return };
    let kids = |keys: &JwkSet| keys.keys.iter().filter_map(|key| key.kid.clone()).collect::<Vec<_>>();
    let fix = update(
        provider,
        "--jwk-json-path=FILE, with the issuer's present key set; or without uploaded keys, so that Google fetches them",
    );
    if let Some(token) = token {
        match select_key(token, uploaded) {
            Err(_) => {
                let what = "the keys that were uploaded to the provider lack the token's; Google fetches none beside them";
                let finding = Finding::new("D-44", Who::Provider, what, fix);
                findings.push(finding.compared(token.kid().unwrap_or("a kid"), kids(uploaded).join(", ")));
            }
            Ok(key) if !verifies(token, &key) => findings.push(other_key()),
            Ok(_) => {}
        }
    } else if let Some(published) = keys {
        let missing: Vec<String> = kids(published).into_iter().filter(|kid| !kids(uploaded).contains(kid)).collect();
        if !missing.is_empty() {
            let what =
                "the issuer publishes keys that were not uploaded to the provider; tokens signed with them will be refused";
            let finding = Finding::new("D-44", Who::Provider, what, fix).severity(Severity::Warning);
            findings.push(finding.compared(missing.join(", "), kids(uploaded).join(", ")));
        }
    }
}
