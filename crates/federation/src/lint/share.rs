//! What is shared, with whom, at which clouds: D-02, D-12, D-14, D-16, D-18, D-22, D-25, D-42, D-61, D-62, D-67.

use std::collections::BTreeSet;

use super::{SeenToken, at, other_environment};
use crate::catalogue::Cloud;
use crate::finding::{Finding, Severity, Who};

/// A share as far as the rules need it.
#[derive(Debug, Clone, Default)]
pub struct SharedResource<'a> {
    /// The issuer whose tokens count.
    pub issuer: &'a str,
    /// The scope that consumers ask for.
    pub scope: &'a str,
    /// The audience of their tokens.
    pub audience: Option<&'a str>,
    /// The consumers' organisations, with or without `0192:`, and until when each may read (seconds since 1970).
    pub consumers: Vec<(&'a str, Option<i64>)>,
    /// Where it is shared.
    pub clouds: Vec<Cloud>,
}

/// E-1: the most federated credentials of one identity.
const MAX_CREDENTIALS: usize = 20;

impl SharedResource<'_> {
    /// The subjects of the tokens that are to get in.
    pub fn subjects(&self) -> BTreeSet<String> {
        let subject = |org: &str| format!("0192:{};{}", org.strip_prefix("0192:").unwrap_or(org), self.scope);
        self.consumers.iter().map(|(org, _)| subject(org)).collect()
    }
}

/// What is wrong with a share before anything is created, and between it and a token. Without `now` no date is judged.
pub fn lint_share(share: &SharedResource<'_>, token: Option<&SeenToken>, now: Option<i64>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut push = |rule, who, what: String, fix: String, severity| {
        findings.push(Finding::new(rule, who, what, fix).severity(severity));
    };
    if share.issuer.ends_with('/') {
        let what = "the issuer ends in a slash; AWS, Google and Entra compare it to the letter".to_owned();
        push("D-02", Who::Provider, what, "write it as the token's iss has it".to_owned(), Severity::Advice);
    }
    if share.audience.is_none() {
        let what = "the share names no audience, so any token of the issuer's would do".to_owned();
        push("D-18", Who::Provider, what, "add audience: https://… of your own".to_owned(), Severity::Error);
    }
    let subjects = share.subjects();
    if let Some(longest) = subjects.iter().max_by_key(|subject| subject.len()).filter(|subject| subject.len() > 127) {
        let severity = if share.clouds.contains(&Cloud::Google) { Severity::Error } else { Severity::Warning };
        let what = format!("the subject {longest} has {} bytes; Google takes 127 in google.subject (G-41)", longest.len());
        push("D-14", Who::Provider, what, "use a shorter scope, or map another claim".to_owned(), severity);
    }
    if share.clouds.contains(&Cloud::Azure) && subjects.len() > MAX_CREDENTIALS {
        let what = format!("{} consumers on one identity; Entra takes {MAX_CREDENTIALS} federated credentials", subjects.len());
        push("D-67", Who::Provider, what, "spread the consumers over several identities".to_owned(), Severity::Error);
    }
    for (org, until) in &share.consumers {
        if until.zip(now).is_some_and(|(until, now)| until < now) {
            let what = format!("the time of {org} has passed; apply takes the access away");
            push("D-12", Who::Provider, what, format!("take {org} out, or write a later until"), Severity::Warning);
        }
    }
    if let Some(token) = token {
        lint_token(share, token, &mut findings);
    }
    findings
}

/// Whether this token would be one of those that the share is for.
fn lint_token(share: &SharedResource<'_>, token: &SeenToken, findings: &mut Vec<Finding>) {
    let issuer = token.text("iss").unwrap_or_default();
    if let Some(finding) = other_environment(issuer, share.issuer) {
        findings.push(finding);
    } else if issuer != share.issuer {
        let what = format!("the token is of another issuer than the share{}", at(share.issuer, issuer));
        let finding = Finding::new("D-02", Who::Provider, what, format!("write issuer: {issuer}"));
        findings.push(finding.compared(share.issuer, issuer));
    }
    let audiences = token.audiences();
    if let Some(audience) = share.audience.filter(|audience| !audiences.contains(audience)) {
        let what = "the token's audience is not the share's".to_owned();
        let finding = Finding::new(audience_rule(share), Who::Consumer, what, format!("ask with: --resource {audience}"));
        findings.push(finding.compared(audience, audiences.join(", ")));
    }
    let subject = token.text("sub").unwrap_or_default();
    let subjects = share.subjects();
    if !subjects.contains(subject) {
        let nearest = subjects
            .iter()
            .max_by_key(|known| known.chars().zip(subject.chars()).take_while(|(one, other)| one == other).count())
            .cloned()
            .unwrap_or_default();
        let what = format!("the token's subject is none of the share's consumers{}", at(&nearest, subject));
        let finding = Finding::new(
            subject_rule(share),
            Who::Provider,
            what,
            "add the organisation to consumers, or ask for the share's scope",
        );
        findings.push(finding.compared(nearest, subject));
    }
}

/// The mistake as the share's first cloud calls it.
fn audience_rule(share: &SharedResource<'_>) -> &'static str {
    match share.clouds.first() {
        Some(Cloud::Google) => "D-42",
        Some(Cloud::Azure) => "D-62",
        _ => "D-22",
    }
}

fn subject_rule(share: &SharedResource<'_>) -> &'static str {
    match share.clouds.first() {
        Some(Cloud::Google) => "D-47",
        Some(Cloud::Azure) => "D-61",
        _ => "D-25",
    }
}
