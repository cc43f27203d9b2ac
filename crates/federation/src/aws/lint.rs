//! What is wrong with a set-up, said before AWS says something else: the doctor's rules for AWS.

use skybru_protocol::metadata::DiscoveryDocument;

use super::keys::{DocumentProblem, check_discovery};
use super::policy::{Condition, Effect, Principals, Statement};
use super::provider::OidcProvider;
use super::role::{Role, account_of_arn};
use super::token::PresentedToken;
use crate::finding::{Finding, Severity, Who, difference};

/// What is at hand. What is absent is not looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct LintInput<'a> {
    /// The issuer's discovery document.
    pub discovery: Option<&'a DiscoveryDocument>,
    /// The provider.
    pub provider: Option<&'a OidcProvider>,
    /// The role.
    pub role: Option<&'a Role>,
    /// A token that the consumer got.
    pub token: Option<&'a PresentedToken>,
}

/// Everything that is wrong, the most certain first: each fault on its own, also those that AWS's first error hides.
pub fn lint(input: LintInput<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(document) = input.discovery {
        lint_discovery(document, input.token, &mut findings);
    }
    if let Some(token) = input.token {
        lint_token(token, &mut findings);
    }
    if let (Some(provider), Some(token)) = (input.provider, input.token) {
        lint_provider(provider, token, &mut findings);
    }
    if let Some(role) = input.role {
        lint_trust(role, input.provider, input.token, &mut findings);
    }
    findings
}

fn lint_discovery(document: &DiscoveryDocument, token: Option<&PresentedToken>, findings: &mut Vec<Finding>) {
    let issuer = document.issuer.clone().unwrap_or_default();
    if let Err(DocumentProblem::MissingFields(missing)) = check_discovery(document, &issuer, true) {
        let what = format!(
            "the issuer's discovery document lacks {}; AWS answers \"Couldn't retrieve verification key from your identity provider\"",
            missing.join(", ")
        );
        let fix = "add to the document: \"response_types_supported\":[\"token\"], \"subject_types_supported\":[\"public\"], \"id_token_signing_alg_values_supported\":[\"RS256\"]";
        findings.push(Finding::new("D-01", Who::Issuer, what, fix));
    }
    if let Some(token) = token.filter(|token| token.iss != issuer) {
        let what = format!("the discovery document names another issuer than the token{}", at(&issuer, &token.iss));
        findings.push(Finding::new("D-02", Who::Issuer, what, "make both the same, byte for byte").compared(issuer, &token.iss));
    }
}

/// ` (they differ from character N on)`.
fn at(one: &str, other: &str) -> String {
    difference(one, other).map_or_else(String::new, |place| format!(" (they differ from character {} on)", place + 1))
}

fn lint_token(token: &PresentedToken, findings: &mut Vec<Finding>) {
    if token.kid().is_none() {
        findings.push(Finding::new(
            "D-05",
            Who::Issuer,
            "the token's header has no kid",
            "sign with a kid that stands in the key set",
        ));
    }
    if token.algorithm().name() != "RS256" {
        let what = format!("the token is signed with {}; Entra takes RS256 only", token.algorithm());
        findings.push(Finding::new("D-08", Who::Issuer, what, "sign with RS256").severity(Severity::Warning));
    }
    if token.typ().is_some_and(|typ| typ != "JWT") {
        findings.push(
            Finding::new("D-09", Who::Issuer, "the token's typ is not JWT; Entra refuses it", "write \"typ\":\"JWT\"")
                .severity(Severity::Warning),
        );
    }
    if token.audience.all.len() > 1 || token.audience.all.first() != Some(&token.audience.value) {
        let what = "the token has several audiences, or an azp beside them; AWS compares azp, or refuses";
        findings.push(Finding::new("D-10", Who::Consumer, what, "ask for one resource a token"));
    }
    if token.sub.len() > 127 {
        let what = format!("the subject has {} bytes; Google takes 127", token.sub.len());
        findings.push(Finding::new("D-14", Who::Consumer, what, "ask for one scope a token").severity(Severity::Warning));
    }
    if token.sub.split_once(';').is_some_and(|(_, scopes)| scopes.contains(' ')) {
        let what = "the token carries several scopes, so its subject matches no policy that names one";
        findings.push(
            Finding::new("D-15", Who::Consumer, what, "ask for one scope a token")
                .compared("0192:NNNNNNNNN;prefix:scope", &token.sub),
        );
    }
    if token.iss.ends_with('/') {
        let what = "the issuer ends in a slash; clouds differ in what they make of it";
        findings
            .push(Finding::new("D-20", Who::Issuer, what, "use an issuer without a slash at its end").severity(Severity::Advice));
    }
}

fn lint_provider(provider: &OidcProvider, token: &PresentedToken, findings: &mut Vec<Finding>) {
    let expected = token.iss.strip_prefix("https://").unwrap_or(&token.iss);
    if provider.url != expected {
        let what = format!("the provider's URL is not the token's issuer{}", at(expected, &provider.url));
        let fix = format!("aws iam create-open-id-connect-provider --url {}", token.iss);
        findings.push(Finding::new("D-20", Who::Provider, what, fix).compared(expected, &provider.url));
    }
    if !provider.client_ids.contains(&token.audience.value) {
        let what = "the token's audience is not among the provider's client ids";
        let fix = format!(
            "aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {} --client-id {}",
            provider.arn, token.audience.value
        );
        findings
            .push(Finding::new("D-22", Who::Provider, what, fix).compared(&token.audience.value, provider.client_ids.join(", ")));
    }
}

fn lint_trust(role: &Role, provider: Option<&OidcProvider>, token: Option<&PresentedToken>, findings: &mut Vec<Finding>) {
    let document = match role.trust() {
        Ok(document) => document,
        Err(error) => {
            findings.push(Finding::new(
                "D-27",
                Who::Provider,
                format!("the trust policy cannot be read: {}", error.message),
                "mend the JSON",
            ));
            return;
        }
    };
    for statement in document.statements().iter().filter(|statement| statement.effect() == Effect::Allow) {
        lint_principal(role, statement, provider, findings);
        lint_conditions(statement, provider, token, findings);
    }
}

fn lint_principal(role: &Role, statement: &Statement, provider: Option<&OidcProvider>, findings: &mut Vec<Finding>) {
    let wrong_action = statement.actions().is_some_and(|actions| {
        !actions.iter().any(|action| action.eq_ignore_ascii_case("sts:AssumeRoleWithWebIdentity") || action.contains('*'))
    });
    if wrong_action {
        let what = "the statement does not allow sts:AssumeRoleWithWebIdentity";
        findings.push(
            Finding::new("D-27", Who::Provider, what, "set \"Action\": \"sts:AssumeRoleWithWebIdentity\"")
                .compared("sts:AssumeRoleWithWebIdentity", statement.actions().unwrap_or_default().join(", ")),
        );
    }
    let Some(Principals::Listed(listed)) = statement.principal() else {
        findings.push(Finding::new(
            "D-27",
            Who::Provider,
            "the statement names no federated principal; a web identity is none of the others",
            "set \"Principal\": {\"Federated\": \"arn:aws:iam::ACCOUNT:oidc-provider/HOST\"}",
        ));
        return;
    };
    for arn in listed.get("Federated").into_iter().flatten() {
        if account_of_arn(arn).is_some_and(|account| account_of_arn(&role.arn) != Some(account)) {
            let what = "provider and role stand in different accounts";
            findings.push(
                Finding::new("D-21", Who::Provider, what, "create the provider in the role's account").compared(&role.arn, arn),
            );
        }
        if let Some(provider) = provider.filter(|provider| provider.arn != *arn) {
            let what = format!("the trust policy names another provider{}", at(&provider.arn, arn));
            findings.push(
                Finding::new("D-27", Who::Provider, what, format!("set \"Federated\": \"{}\"", provider.arn))
                    .compared(&provider.arn, arn),
            );
        }
    }
}

/// Claims of a custom provider that become condition keys.
const CLAIM_KEYS: [&str; 5] = ["aud", "sub", "oaud", "amr", "email"];

/// Prefixes of keys that AWS fills itself.
const GLOBAL_PREFIXES: [&str; 2] = ["aws:", "sts:"];

fn lint_conditions(
    statement: &Statement,
    provider: Option<&OidcProvider>,
    token: Option<&PresentedToken>,
    findings: &mut Vec<Finding>,
) {
    let mut subject_is_bound = false;
    for condition in statement.conditions() {
        if GLOBAL_PREFIXES.iter().any(|prefix| condition.key.to_lowercase().starts_with(prefix)) {
            continue;
        }
        let (prefix, claim) = split_key(&condition.key, provider);
        let claim = claim.to_lowercase();
        if let Some(provider) = provider.filter(|provider| !provider.url.eq_ignore_ascii_case(prefix)) {
            let what = format!("the condition key does not begin with the provider's URL{}", at(&provider.url, prefix));
            let fix = format!("use \"{}:{claim}\"", provider.url);
            findings.push(
                Finding::new("D-24", Who::Provider, what, fix).compared(format!("{}:{claim}", provider.url), &condition.key),
            );
        }
        if !CLAIM_KEYS.contains(&claim.as_str()) {
            findings.push(unseen_claim(condition, &claim, prefix, token));
            continue;
        }
        let safe = !condition.parsed().holds_when_absent() && !condition.parsed().is_negated();
        if claim == "sub" && safe && !condition.values.iter().any(|value| condition.parsed().has_wildcards() && value == "*") {
            subject_is_bound = true;
        }
        lint_values(condition, &claim, token, findings);
    }
    if !subject_is_bound {
        let what = "the statement does not bind the subject: every consumer of the issuer gets in";
        let subject = token.map_or("0192:NNNNNNNNN;prefix:scope", |token| token.sub.as_str());
        let prefix = provider.map_or("HOST", |provider| provider.url.as_str());
        let fix = format!("add \"StringEquals\": {{\"{prefix}:sub\": \"{subject}\"}}");
        findings.push(Finding::new("D-26", Who::Provider, what, fix).severity(Severity::Warning));
    }
}

/// The claim is what follows the provider's URL, or else the last colon: a local provider's URL has a colon of its own.
fn split_key<'a>(key: &'a str, provider: Option<&OidcProvider>) -> (&'a str, &'a str) {
    if let Some(provider) = provider {
        if let Some(claim) = key.get(provider.url.len()..).and_then(|rest| rest.strip_prefix(':')) {
            if key[..provider.url.len()].eq_ignore_ascii_case(&provider.url) {
                return (&key[..provider.url.len()], claim);
            }
        }
    }
    key.rsplit_once(':').unwrap_or((key, ""))
}

fn unseen_claim(condition: &Condition, claim: &str, prefix: &str, token: Option<&PresentedToken>) -> Finding {
    let effect =
        if condition.parsed().holds_when_absent() { "so the condition always holds" } else { "so the condition never holds" };
    let what = format!("AWS does not make a condition key of the claim {claim}, {effect}");
    let subject = token.map_or("0192:NNNNNNNNN;prefix:scope", |token| token.sub.as_str());
    let fix = format!("compare the subject, which carries consumer and scope: \"{prefix}:sub\": \"{subject}\"");
    Finding::new("D-23", Who::Provider, what, fix).compared("aud, sub, oaud, amr or email", &condition.key)
}

fn lint_values(condition: &Condition, claim: &str, token: Option<&PresentedToken>, findings: &mut Vec<Finding>) {
    let literal_star = !condition.parsed().has_wildcards() && condition.values.iter().any(|value| value.contains('*'));
    if literal_star {
        let what = format!("{} compares a star literally", condition.operator);
        let fix = "use StringLike, or better: write the whole subject";
        findings.push(Finding::new("D-25", Who::Provider, what, fix).compared("StringLike", &condition.operator));
    }
    let Some(token) = token else { return };
    let found = match claim {
        "sub" => &token.sub,
        "aud" => &token.audience.value,
        _ => return,
    };
    if literal_star || condition.parsed().is_negated() || condition.parsed().has_wildcards() || condition.values.contains(found) {
        return;
    }
    let nearest =
        condition.values.iter().max_by_key(|value| difference(value, found).unwrap_or(usize::MAX)).cloned().unwrap_or_default();
    let what = format!("the condition on {claim} is not what the token says{}", at(&nearest, found));
    let fix = format!("set \"{}\": \"{found}\" if this consumer is to get in", condition.key);
    findings.push(Finding::new("D-25", Who::Provider, what, fix).compared(nearest, found));
}

/// Rules that an error text of AWS points to, the likeliest first. Knows old and new wordings, with one blank or two (D-99).
pub fn explain_error(text: &str) -> &'static [&'static str] {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let known: [(&str, &[&str]); 14] = [
        ("couldn't retrieve verification key", &["D-01", "D-05", "D-03", "D-07", "D-04"]),
        ("doesn't match configured thumbprint", &["D-30", "D-04"]),
        ("no openidconnect provider found", &["D-20", "D-16", "D-21"]),
        ("incorrect token audience", &["D-22", "D-18"]),
        ("web identity token provided could not be validated", &["D-22", "D-18", "D-06", "D-07"]),
        ("not a valid jwt", &["D-19", "D-08"]),
        ("token expired", &["D-13", "D-12"]),
        ("token issued in the future", &["D-13"]),
        ("token not yet valid", &["D-13"]),
        ("missing a required claim: aud", &["D-18"]),
        ("invalid timestamp", &["D-11"]),
        ("more than one audience", &["D-10"]),
        ("principal_tags", &["D-31"]),
        ("not authorized to perform: s3:", &["D-32"]),
    ];
    if let Some((_, rules)) = known.iter().find(|(fragment, _)| text.contains(fragment)) {
        return rules;
    }
    if text.contains("not authorized to perform sts:assumerolewithwebidentity") {
        return &["D-25", "D-23", "D-24", "D-27", "D-21", "D-31", "D-33"];
    }
    if text.contains("rolesessionname") {
        return &["D-28"];
    }
    if text.contains("durationseconds") {
        return &["D-29"];
    }
    &[]
}
