//! The trust policy: D-21, D-23 to D-27, D-31.

use super::at;
use crate::aws::policy::{
    Condition, Context, Document, Effect, Operator, Outcome, Principals, Quantifier, Request, Statement, Verdict, evaluate,
};
use crate::aws::provider::OidcProvider;
use crate::aws::role::{Role, account_of_arn};
use crate::aws::session::SessionClaims;
use crate::aws::token::PresentedToken;
use crate::aws::trust::{TrustContext, trust_context};
use crate::finding::{Finding, Who, difference};

const ASSUME: &str = "sts:AssumeRoleWithWebIdentity";
const TAG: &str = "sts:TagSession";

/// Claims of a custom provider that become condition keys (A-72).
const CLAIM_KEYS: [&str; 5] = ["aud", "sub", "oaud", "amr", "email"];

/// Prefixes of keys that AWS fills itself (A-74).
const GLOBAL_PREFIXES: [&str; 2] = ["aws:", "sts:"];

/// What stands in for a subject where none is known.
const SOME_SUBJECT: &str = "0192:NNNNNNNNN;prefix:scope";

/// A policy beside the token that it should let in.
struct Case<'a> {
    provider: Option<&'a OidcProvider>,
    token: Option<&'a PresentedToken>,
    /// What the policy would see, when provider and token are known.
    context: Option<Context>,
    /// What the policy would say.
    verdict: Option<Verdict>,
    variables: bool,
}

impl Case<'_> {
    fn is_let_in(&self) -> bool {
        self.verdict.as_ref().is_some_and(Verdict::is_allowed)
    }

    fn prefix(&self) -> &str {
        self.provider.map_or("HOST", |provider| provider.url.as_str())
    }

    fn subject(&self) -> &str {
        self.token.map_or(SOME_SUBJECT, |token| token.sub.as_str())
    }
}

pub(super) fn lint(
    role: &Role,
    provider: Option<&OidcProvider>,
    token: Option<&PresentedToken>,
    session_name: Option<&str>,
    findings: &mut Vec<Finding>,
) {
    let document = match role.trust() {
        Ok(document) => document,
        Err(error) => {
            let what = format!("the trust policy cannot be read: {}", error.message);
            findings.push(Finding::new("D-27", Who::Provider, what, "mend the JSON"));
            return;
        }
    };
    let case = case(role, &document, provider, token, session_name);
    for statement in document.statements().iter().filter(|statement| statement.effect() == Effect::Allow) {
        lint_action(statement, findings);
        lint_principal(role, statement, provider, findings);
        lint_conditions(statement, &case, findings);
        lint_subject(statement, &case, findings);
    }
    lint_absence(&document, findings);
    if let Some(Verdict { outcome: Outcome::Denied, by: Some((_, place)), .. }) = &case.verdict {
        let what = format!("statement {} of the trust policy denies this token", place + 1);
        findings.push(Finding::new("D-25", Who::Provider, what, "take the statement out, or narrow its conditions"));
    }
}

fn case<'a>(
    role: &Role,
    document: &Document,
    provider: Option<&'a OidcProvider>,
    token: Option<&'a PresentedToken>,
    session_name: Option<&str>,
) -> Case<'a> {
    let context = provider.zip(token).map(|(provider, token)| {
        // Tags in a wrong shape have a finding of their own.
        let session = SessionClaims::read(&token.claims, &role.arn).unwrap_or_default();
        let session_name = session_name.unwrap_or("skybru");
        trust_context(TrustContext { provider, token, session: &session, session_name })
    });
    let verdict = provider.zip(context.as_ref()).map(|(provider, context)| {
        let principal = Some(("Federated", provider.arn.as_str()));
        evaluate([document], &Request { principal, action: ASSUME, resource: None, context })
    });
    Case { provider, token, context, verdict, variables: document.has_variables() }
}

/// D-27.
fn lint_action(statement: &Statement, findings: &mut Vec<Finding>) {
    let Some(actions) = statement.actions() else { return };
    // Statements for tags and source identity may stand apart.
    let other = |action: &String| {
        let action = action.to_lowercase();
        action == "sts:tagsession" || action == "sts:setsourceidentity"
    };
    if !names_action(actions, ASSUME) && !actions.iter().all(other) {
        let what = "the statement does not allow sts:AssumeRoleWithWebIdentity";
        let finding = Finding::new("D-27", Who::Provider, what, format!("set \"Action\": \"{ASSUME}\""));
        findings.push(finding.compared(ASSUME, actions.join(", ")));
    }
}

/// D-27: statements for tags and source identity, and none that lets anybody in.
fn lint_absence(document: &Document, findings: &mut Vec<Finding>) {
    let allows = |statement: &Statement| {
        statement.effect() == Effect::Allow && statement.actions().is_none_or(|actions| names_action(actions, ASSUME))
    };
    if document.statements().iter().any(allows) || findings.iter().any(|finding| finding.rule == "D-27") {
        return;
    }
    let named: Vec<String> = document.statements().iter().filter_map(Statement::actions).flatten().cloned().collect();
    let what = "no statement of the trust policy allows sts:AssumeRoleWithWebIdentity, so nobody gets in";
    let finding = Finding::new("D-27", Who::Provider, what, format!("add \"{ASSUME}\" to the statement's \"Action\""));
    findings.push(finding.compared(ASSUME, named.join(", ")));
}

fn names_action(actions: &[String], action: &str) -> bool {
    actions.iter().any(|named| named.eq_ignore_ascii_case(action) || named == "*" || named.eq_ignore_ascii_case("sts:*"))
        || actions
            .iter()
            .any(|named| named.strip_suffix('*').is_some_and(|start| action.to_lowercase().starts_with(&start.to_lowercase())))
}

/// D-21, D-26, D-27.
fn lint_principal(role: &Role, statement: &Statement, provider: Option<&OidcProvider>, findings: &mut Vec<Finding>) {
    if statement.excludes_principal() {
        let what = "the statement allows everybody but those in NotPrincipal";
        findings.push(Finding::new("D-26", Who::Provider, what, "name whom you mean, in Principal"));
        return;
    }
    let listed = match statement.principal() {
        Some(Principals::Listed(listed)) if listed.contains_key("Federated") => listed,
        _ => {
            let arn = provider.map_or("arn:aws:iam::ACCOUNT:oidc-provider/HOST", |provider| provider.arn.as_str());
            let what = "the statement names no federated principal; a web identity is none of the others (A-70)";
            let fix = format!("set \"Principal\": {{\"Federated\": \"{arn}\"}}");
            findings.push(Finding::new("D-27", Who::Provider, what, fix));
            return;
        }
    };
    for arn in listed.get("Federated").into_iter().flatten() {
        // With the provider at hand its own account is looked at, elsewhere.
        let account = account_of_arn(arn).filter(|_| provider.is_none());
        if account.is_some_and(|account| account_of_arn(&role.arn) != Some(account)) {
            let what = "provider and role stand in different accounts";
            let finding = Finding::new("D-21", Who::Provider, what, "create the provider in the role's account");
            findings.push(finding.compared(&role.arn, arn));
        }
        if let Some(provider) = provider.filter(|provider| provider.arn != *arn) {
            let what = format!("the trust policy names another provider{}", at(&provider.arn, arn));
            let fix = format!("set \"Federated\": \"{}\"", provider.arn);
            findings.push(Finding::new("D-27", Who::Provider, what, fix).compared(&provider.arn, arn));
        } else if arn.contains("://") {
            let what = "the provider's ARN has a scheme in it";
            let fix = "write the URL without https:// after oidc-provider/";
            findings.push(Finding::new("D-27", Who::Provider, what, fix).compared("oidc-provider/HOST", arn));
        }
    }
}

/// D-23 to D-25.
fn lint_conditions(statement: &Statement, case: &Case<'_>, findings: &mut Vec<Finding>) {
    for condition in statement.conditions() {
        if GLOBAL_PREFIXES.iter().any(|prefix| condition.key.to_lowercase().starts_with(prefix)) {
            lint_value(condition, case, findings);
            continue;
        }
        let (prefix, claim) = split_key(&condition.key, case.provider);
        let claim = claim.to_lowercase();
        let right_prefix = lint_prefix(condition, prefix, &claim, case, findings);
        if !CLAIM_KEYS.contains(&claim.as_str()) {
            findings.push(unseen_claim(condition, &claim, case));
            continue;
        }
        let literal_star = !condition.parsed().has_wildcards() && condition.values.iter().any(|value| value.contains('*'));
        if literal_star && !case.is_let_in() {
            let what = format!("{} compares a star literally", condition.operator);
            let fix = "use StringLike, or better: write the whole subject";
            findings.push(Finding::new("D-25", Who::Provider, what, fix).compared("StringLike", &condition.operator));
        } else if right_prefix {
            lint_value(condition, case, findings);
        }
    }
}

/// D-24: whether the key begins with the provider's URL (A-71).
fn lint_prefix(condition: &Condition, prefix: &str, claim: &str, case: &Case<'_>, findings: &mut Vec<Finding>) -> bool {
    let (expected, what) = match case.provider {
        Some(provider) if provider.url.eq_ignore_ascii_case(prefix) => return true,
        Some(provider) => (
            format!("{}:{claim}", provider.url),
            format!("the condition key does not begin with the provider's URL{}", at(&provider.url, prefix)),
        ),
        None if prefix.contains("://") => (
            condition.key.replacen("https://", "", 1),
            "the condition key has a scheme in it; it begins with the host".to_owned(),
        ),
        None => return true,
    };
    let fix = format!("use \"{expected}\"");
    findings.push(Finding::new("D-24", Who::Provider, what, fix).compared(expected, &condition.key));
    false
}

/// D-25: a condition that keeps this token out. Where another statement lets it in, this one is about somebody else.
fn lint_value(condition: &Condition, case: &Case<'_>, findings: &mut Vec<Finding>) {
    let Some(context) = case.context.as_ref().filter(|_| !case.is_let_in()) else { return };
    // Of AWS's own keys only those can be judged that the call itself fills.
    let Some(found) = context.get(&condition.key) else { return };
    if condition.holds(context, case.variables) {
        return;
    }
    let found = found.join(", ");
    let nearest =
        condition.values.iter().max_by_key(|value| difference(value, &found).unwrap_or(usize::MAX)).cloned().unwrap_or_default();
    let place = if condition.parsed().has_wildcards() { String::new() } else { at(&nearest, &found) };
    let what = format!("{} on {} does not hold for this token{place}", condition.operator, condition.key);
    let fix = format!("set \"{}\": \"{found}\" if this consumer is to get in", condition.key);
    findings.push(Finding::new("D-25", Who::Provider, what, fix).compared(nearest, found));
}

/// D-26: whether the statement is about somebody, or about every consumer that the issuer has.
fn lint_subject(statement: &Statement, case: &Case<'_>, findings: &mut Vec<Finding>) {
    if statement.actions().is_some_and(|actions| !names_action(actions, ASSUME)) {
        return;
    }
    let on_subject = statement.conditions().iter().filter(|condition| {
        let (_, claim) = split_key(&condition.key, case.provider);
        claim.eq_ignore_ascii_case("sub")
    });
    let mut bound = false;
    let mut loose: Option<&Condition> = None;
    for condition in on_subject {
        if binds(condition.parsed()) && !condition.values.iter().any(|value| is_open(condition.parsed(), value)) {
            bound = true;
        } else {
            loose = Some(condition);
        }
    }
    if bound {
        return;
    }
    let what = match loose {
        None => "the statement does not bind the subject: every consumer of the issuer gets in".to_owned(),
        Some(condition) => format!(
            "{} on the subject does not bind it: consumers that nobody named get in ({})",
            condition.operator,
            condition.values.join(", ")
        ),
    };
    let fix = format!("add \"StringEquals\": {{\"{}:sub\": \"{}\"}}", case.prefix(), case.subject());
    findings.push(Finding::new("D-26", Who::Provider, what, fix));
}

/// Operators under which an absent or another subject does not slip through (A-78).
fn binds(operator: Operator) -> bool {
    operator.quantifier() != Quantifier::All && !operator.holds_when_absent() && !operator.is_negated()
}

/// A pattern that leaves open which organisation it is: a star or question mark before the semicolon, or no semicolon at all.
fn is_open(operator: Operator, value: &str) -> bool {
    let organisation = value.split(';').next().unwrap_or_default();
    operator.has_wildcards() && organisation.contains(['*', '?'])
}

/// The claim is what follows the provider's URL, or else the last colon: a local provider's URL has a colon of its own.
fn split_key<'a>(key: &'a str, provider: Option<&OidcProvider>) -> (&'a str, &'a str) {
    let after_url = provider.and_then(|provider| {
        let (prefix, rest) = key.split_at_checked(provider.url.len())?;
        Some((prefix, rest.strip_prefix(':')?)).filter(|_| prefix.eq_ignore_ascii_case(&provider.url))
    });
    after_url.or_else(|| key.rsplit_once(':')).unwrap_or((key, ""))
}

/// D-23.
fn unseen_claim(condition: &Condition, claim: &str, case: &Case<'_>) -> Finding {
    let effect =
        if condition.parsed().holds_when_absent() { "so the condition always holds" } else { "so the condition never holds" };
    let what = format!("AWS does not make a condition key of the claim {claim}, {effect}");
    let fix = format!("compare the subject, which carries consumer and scope: \"{}:sub\": \"{}\"", case.prefix(), case.subject());
    Finding::new("D-23", Who::Provider, what, fix).compared("aud, sub, oaud, amr or email", &condition.key)
}

/// D-31: session tags that AWS would not read, or that the trust policy does not expect (A-75, A-76).
pub(super) fn lint_tags(role: Option<&Role>, provider: &OidcProvider, token: &PresentedToken, findings: &mut Vec<Finding>) {
    let arn = role.map_or("", |role| role.arn.as_str());
    let session = match SessionClaims::read(&token.claims, arn) {
        Ok(session) => session,
        Err(error) if error.rule == "A-75" => {
            let what = format!("the session tags have a wrong shape: {}", error.message);
            let fix = r#"write "https://aws.amazon.com/tags":{"principal_tags":{"KEY":["VALUE"]}}, values of letters, digits, blanks and _.:/=+-@"#;
            findings.push(Finding::new("D-31", Who::Issuer, what, fix));
            return;
        }
        // The roles claim and the source identity.
        Err(error) if role.is_some() => {
            findings.push(Finding::new(error.rule, Who::Issuer, error.message, "mend the claim, or leave it out"));
            return;
        }
        Err(_) => return,
    };
    let Some(document) = role.and_then(|role| role.trust().ok()) else { return };
    let missing = [(session.has_tags(), TAG), (session.source_identity.is_some(), "sts:SetSourceIdentity")];
    for (_, action) in missing.into_iter().filter(|(asked, _)| *asked) {
        let allowed = document.statements().iter().any(|statement| {
            statement.effect() == Effect::Allow && statement.actions().is_none_or(|actions| names_action(actions, action))
        });
        if !allowed {
            let what = format!("the token from {} asks for {action}, which the trust policy does not allow", provider.issuer());
            let fix = format!("set \"Action\": [\"{ASSUME}\", \"{action}\"], or ask the issuer to leave the claim out");
            findings.push(Finding::new("D-31", Who::Provider, what, fix).compared(action, ASSUME));
        }
    }
}
