//! Whatever comes in, nothing panics, and what is refused is refused with a rule.

use proptest::prelude::*;
use serde_json::{Value, json};
use skybru_federation::aws::policy::{Context, Document, Request, evaluate};
use skybru_federation::aws::{LintInput, OidcProvider, PresentedToken, ProviderInput, Setup, lint};
use skybru_federation::explain_error;

use crate::case::{ACCOUNT, Case, NOW, sign};

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[ -~]{0,12}",
        Just("${aws:PrincipalTag/x}".to_owned()),
        Just("${".to_owned()),
        Just("*?*".to_owned()),
        Just("2026-01-01".to_owned()),
        Just("10.0.0.0/8".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z:]{1,6}", inner, 0..3).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Operators, sensible and not.
fn any_operator() -> impl Strategy<Value = String> {
    let names =
        ["StringLike", "StringNotEquals", "NumericLessThan", "DateGreaterThan", "Bool", "IpAddress", "ArnNotLike", "Null", "X"];
    ("(ForAnyValue:|ForAllValues:)?", prop::sample::select(names.to_vec()), "(IfExists)?")
        .prop_map(|(a, b, c)| format!("{a}{b}{c}"))
}

proptest! {
    #[test]
    fn a_policy_of_any_json_never_panics(statement in any_json(), condition in any_json()) {
        for statement in [statement, json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": condition})] {
            let text = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
            if let Ok(document) = Document::parse(&text) {
                let context = Context::default();
                let request = Request { principal: None, action: "s3:GetObject", resource: Some("arn:aws:s3:::b/k"), context: &context };
                let _ = evaluate([&document], &request);
            }
        }
    }

    #[test]
    fn any_condition_over_any_value_never_panics(operator in any_operator(), expected in "\\PC{0,20}", found in "\\PC{0,20}") {
        let text = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*",
            "Condition": {operator: {"a:b": expected}}}}).to_string();
        if let Ok(document) = Document::parse(&text) {
            let mut context = Context::default();
            context.set("a:b", [found]);
            let _ = evaluate([&document], &Request { principal: None, action: "x:y", resource: Some("z"), context: &context });
        }
    }

    #[test]
    fn any_token_gets_an_answer_and_any_text_a_finding(text in "\\PC{0,60}", claim in any_json()) {
        let _ = PresentedToken::read(&text, NOW);
        let _ = explain_error(&text);
        let findings = lint(LintInput { token_text: Some(&text), now: Some(NOW), ..LintInput::default() });
        prop_assert!(!findings.is_empty());
        for name in ["iss", "sub", "aud", "azp", "iat", "exp", "nbf", "amr", "https://aws.amazon.com/tags", "https://aws.amazon.com/roles"] {
            let mut case = Case::good();
            case.claims[name] = claim.clone();
            if let Err(decision) = case.run() {
                prop_assert!(decision.error.rule.starts_with("A-"));
            }
            let token = sign(&case.header, &case.claims);
            let _ = lint(LintInput { token_text: Some(&token), now: Some(i64::MAX),
                setup: Setup { provider: case.providers.first(), role: case.role.as_ref(), ..Setup::default() }, ..LintInput::default() });
        }
    }

    #[test]
    fn any_url_is_taken_or_refused(url in "(https://)?\\PC{0,30}") {
        if let Ok(provider) = OidcProvider::create(ACCOUNT, ProviderInput { url, ..ProviderInput::default() }, NOW) {
            prop_assert!(provider.arn.ends_with(&provider.url));
        }
    }
}
