//! The identity's credentials against the token: D-60 to D-62, D-65 to D-67.

use crate::entra::assertion::PresentedAssertion;
use crate::entra::credential::{FederatedCredential, Identity, MOST_CREDENTIALS, Matching};
use crate::entra::exchange::is_entra;
use crate::finding::{Finding, Severity, Who, difference};
use crate::lint::{at, other_environment};

/// E-8: a credential is not known everywhere for about this long.
const SETTLING_SECONDS: i64 = 300;

pub(super) fn lint(identity: &Identity, token: Option<&PresentedAssertion>, now: Option<i64>, findings: &mut Vec<Finding>) {
    let credentials = &identity.credentials;
    if credentials.is_empty() {
        let what = format!("the identity {} has no federated credential (AADSTS70025)", identity.name);
        let fix = "az identity federated-credential create --identity-name … --issuer … --subject … --audiences …";
        findings.push(Finding::new("E-35", Who::Provider, what, fix));
        return;
    }
    for credential in credentials {
        lint_one(credential, findings);
    }
    if credentials.len() >= MOST_CREDENTIALS {
        let (severity, more) =
            if credentials.len() > MOST_CREDENTIALS { (Severity::Error, "more than") } else { (Severity::Warning, "all of") };
        let what = format!("the identity uses {more} its {MOST_CREDENTIALS} credentials");
        let fix = "make a second identity for the next consumers";
        findings.push(Finding::new("D-67", Who::Provider, what, fix).severity(severity));
    }
    if let Some(token) = token {
        lint_match(credentials, token, findings);
    }
    let is_new =
        |credential: &&FederatedCredential| now.is_some_and(|now| (0..SETTLING_SECONDS).contains(&(now - credential.created)));
    if let Some(credential) = credentials.iter().find(is_new) {
        let what = format!("the credential {} was made minutes ago; Entra may not know it everywhere yet", credential.name);
        let fix = "wait five minutes and try again; make several one after the other";
        findings.push(Finding::new("D-65", Who::Provider, what, fix).severity(Severity::Advice));
    }
}

/// What can be seen without a token (E-5: nothing of it is looked at when the credential is made).
fn lint_one(credential: &FederatedCredential, findings: &mut Vec<Finding>) {
    let FederatedCredential { name, issuer, .. } = credential;
    if !issuer.starts_with("https://") {
        let what = format!("the issuer of the credential {name} does not begin with https://, so no token ever matches it");
        let finding = Finding::new("D-60", Who::Provider, what, update(name, "--issuer", "https://…"));
        findings.push(finding.compared(format!("https://{}", issuer.trim_start_matches("http://")), issuer));
    } else if issuer.trim() != issuer {
        let what = format!("the issuer of the credential {name} has blanks around it, which are compared too");
        findings.push(
            Finding::new("D-60", Who::Provider, what, update(name, "--issuer", issuer.trim())).compared(issuer.trim(), issuer),
        );
    }
    match &credential.matching {
        Matching::Expression(expression) => {
            let what =
                format!("the credential {name} matches by expression, which Entra allows for GitHub, GitLab and Terraform only");
            let fix = "make one credential for each consumer and scope, with its whole subject";
            findings.push(Finding::new("D-66", Who::Provider, what, fix).compared("0192:NNNNNNNNN;prefix:scope", expression));
        }
        Matching::Subject(subject) if subject.contains('*') => {
            let what = format!("the subject of the credential {name} has a star, which Entra compares as it stands");
            let fix = "make one credential for each consumer and scope, with its whole subject";
            findings.push(Finding::new("D-66", Who::Provider, what, fix).compared("0192:NNNNNNNNN;prefix:scope", subject));
        }
        Matching::Subject(_) => {}
    }
}

fn lint_match(credentials: &[FederatedCredential], token: &PresentedAssertion, findings: &mut Vec<Finding>) {
    if is_entra(&token.issuer) {
        let what = "the token was issued by Entra itself, which does not take its own tokens here";
        findings.push(Finding::new("E-7", Who::Consumer, what, "present the token of the issuer that the credential names"));
        return;
    }
    let of_issuer: Vec<&FederatedCredential> = credentials.iter().filter(|one| one.issuer == token.issuer).collect();
    if of_issuer.is_empty() {
        let Some(nearest) = nearest(credentials.iter(), |one| &one.issuer, &token.issuer) else { return };
        // Said already, and better, by `lint_one`.
        if !nearest.issuer.starts_with("https://") || nearest.issuer.trim() != nearest.issuer {
            return;
        }
        if let Some(finding) = other_environment(&token.issuer, &nearest.issuer) {
            findings.push(finding);
            return;
        }
        let what = format!("no credential names the token's issuer{}", at(&token.issuer, &nearest.issuer));
        let fix = update(&nearest.name, "--issuer", &token.issuer);
        findings.push(Finding::new("D-60", Who::Provider, what, fix).compared(&token.issuer, &nearest.issuer));
        return;
    }
    let of_subject: Vec<&&FederatedCredential> =
        of_issuer.iter().filter(|one| one.subject() == Some(token.subject.as_str())).collect();
    if of_subject.is_empty() {
        let exact = of_issuer.iter().copied().filter(|one| one.subject().is_some_and(|subject| !subject.contains('*')));
        let Some(nearest) = nearest(exact, |one| one.subject().unwrap_or_default(), &token.subject) else { return };
        let subject = nearest.subject().unwrap_or_default();
        let what = if subject.eq_ignore_ascii_case(&token.subject) {
            format!("the credential's subject differs from the token's in upper and lower case{}", at(&token.subject, subject))
        } else if token.subject.starts_with(&format!("{subject};")) {
            "the credential names the organisation only; the token's subject is organisation;scope".to_owned()
        } else {
            format!("no credential names the token's subject{}", at(&token.subject, subject))
        };
        let fix = update(&nearest.name, "--subject", &token.subject);
        findings.push(Finding::new("D-61", Who::Provider, what, fix).compared(&token.subject, subject));
    } else if !has_several_audiences(token) && !of_subject.iter().any(|one| one.audience == token.audience) {
        let audience = &of_subject[0].audience;
        let what = format!("the token is for another audience than the credential's{}", at(audience, &token.audience));
        let fix =
            format!("ask the issuer for a token with: skybru token --resource {audience}, or change the credential's audience");
        findings.push(Finding::new("D-62", Who::Consumer, what, fix).compared(audience, &token.audience));
    }
}

/// D-10 says that already.
fn has_several_audiences(token: &PresentedAssertion) -> bool {
    token.claim("aud").and_then(serde_json::Value::as_array).is_some_and(|several| several.len() != 1)
}

/// The one whose text agrees longest with `wanted`.
fn nearest<'a>(
    credentials: impl Iterator<Item = &'a FederatedCredential>,
    text: impl Fn(&'a FederatedCredential) -> &'a str,
    wanted: &str,
) -> Option<&'a FederatedCredential> {
    credentials.max_by_key(|one| difference(text(one), wanted).unwrap_or(usize::MAX))
}

fn update(name: &str, flag: &str, value: &str) -> String {
    format!("az identity federated-credential update --identity-name … --resource-group … --name {name} {flag} \"{value}\"")
}
