//! The provider at IAM: D-16, D-20 to D-22, D-30.

use super::at;
use crate::aws::provider::OidcProvider;
use crate::aws::role::{Role, account_of_arn};
use crate::aws::token::PresentedToken;
use crate::finding::{Finding, Severity, Who};
use crate::lint::other_environment;

pub(super) fn lint(
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

/// D-16, D-20, D-22.
fn lint_audience(provider: &OidcProvider, token: &PresentedToken, findings: &mut Vec<Finding>) {
    let expected = token.iss.strip_prefix("https://").unwrap_or(&token.iss);
    if let Some(finding) = other_environment(&token.iss, &provider.issuer()) {
        findings.push(finding);
    } else if provider.url != expected {
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

/// D-30: the shape always, the value only where AWS looks at it: when the chain is not publicly trusted.
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
