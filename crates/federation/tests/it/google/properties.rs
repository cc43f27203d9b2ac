//! Whatever comes in, nothing panics and nothing hangs, and what is refused is refused with a rule.

use proptest::prelude::*;
use serde_json::{Value, json};
use skybru_federation::google::policy::{Access, Binding, BindingCondition, Policy};
use skybru_federation::google::{Caller, LintInput, Mapping, PoolMember, Provider, Setup, lint, reach};

use super::case::{Case, NOW, mapping, provider, sign};

fn any_claims() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~æøå]{0,12}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Expressions that are mostly CEL.
fn any_expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("assertion".to_owned()),
        Just("assertion.a".to_owned()),
        Just("assertion.b[0]".to_owned()),
        Just("assertion['c']".to_owned()),
        Just("'x'".to_owned()),
        Just("1".to_owned()),
        Just("-9223372036854775808".to_owned()),
        Just("1.5e300".to_owned()),
        Just("b'\\xff'".to_owned()),
        Just("true".to_owned()),
        Just("null".to_owned()),
    ];
    leaf.prop_recursive(5, 40, 3, |inner| {
        let operator = prop::sample::select(vec!["+", "-", "*", "/", "%", "==", "<", "&&", "||", "in"]);
        let function = prop::sample::select(vec!["size", "string", "int", "double", "type", "timestamp", "duration", "bool"]);
        let member = prop::sample::select(vec![
            "lowerAscii()",
            "split('')",
            "join(',')",
            "extract('{x}b')",
            "matches('(a+)+$')",
            "size()",
            "x.y",
            "split('a')",
        ]);
        let looped = prop::sample::select(vec!["all", "exists", "exists_one", "map", "filter"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (function, inner.clone()).prop_map(|(function, a)| format!("{function}({a})")),
            (inner.clone(), member).prop_map(|(a, member)| format!("{a}.{member}")),
            (inner.clone(), looped, inner.clone()).prop_map(|(a, looped, b)| format!("{a}.{looped}(assertion, {b})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{{a}: {b}}}")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("{a}[{b}]")),
        ]
    })
}

fn with(subject: &str, condition: &str) -> Provider {
    Provider {
        attribute_mapping: mapping(&[("google.subject", subject)]),
        attribute_condition: Some(condition.to_owned()),
        ..provider()
    }
}

proptest! {
    #[test]
    fn mapping_and_condition_never_panic(subject in any_expression(), condition in any_expression(), claims in any_claims()) {
        let given = with(&subject, &condition);
        if let Ok(mapping) = Mapping::compile(&given) {
            if let Ok(attributes) = mapping.apply(&claims) {
                prop_assert!(!attributes.subject.is_empty() && attributes.subject.len() <= 127);
                let _ = mapping.check_condition(&claims, &attributes);
            }
            let bound = Policy { bindings: vec![Binding { role: "roles/storage.objectViewer".to_owned(), members: vec![super::case::set("*")], condition: None }], ..Policy::default() };
            let _ = reach(&bound, "storage.objects.get", &[given]);
        }
    }

    #[test]
    fn any_text_is_an_expression_or_is_refused(text in "\\PC{0,200}", claims in any_claims()) {
        if let Ok(mapping) = Mapping::compile(&with(&text, "true")) {
            let _ = mapping.apply(&claims);
        }
    }

    #[test]
    fn the_doctor_never_panics(subject in any_expression(), condition in any_expression(), claims in any_claims(), file in any_claims(), text in "\\PC{0,80}") {
        let given = with(&subject, &condition);
        let token = if claims.is_object() { sign(&Case::good().header, &claims) } else { text.clone() };
        let setup = Setup { file: Some(&file), provider: Some(&given), ..Setup::default() };
        let input = LintInput { token_text: Some(&token), now: Some(NOW), setup, ..LintInput::default() };
        for finding in lint(input) {
            prop_assert!(!finding.what.is_empty() && !finding.fix.is_empty());
        }
        let _ = PoolMember::parse(&format!("principalSet://iam.googleapis.com/{text}"));
    }

    /// A member that is read and written is the same.
    #[test]
    fn members_survive_a_round_trip(number in "[0-9]{1,12}", pool in "[a-z]{4,8}", name in "[a-z_]{1,8}", value in "[ -~]{1,20}") {
        let text = format!("principalSet://iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools/{pool}/attribute.{name}/{value}");
        prop_assert_eq!(PoolMember::parse(&text).unwrap().to_string(), text);
    }

    /// What lets in an organisation when it is evaluated was foreseen.
    #[test]
    fn nobody_gets_in_whom_the_proof_left_out(
        expression in prop::sample::select(vec![
            "assertion.consumer.ID", "assertion.sub", "assertion.scope", "assertion.scope + assertion.consumer.ID",
            "'x' + assertion.sub", "assertion.client_id + '::' + assertion.consumer.ID",
        ]),
        condition in prop::sample::select(vec![
            "true", "assertion.sub.startsWith('0192:917422575')", "assertion.consumer.ID == '0192:991825827'",
            "assertion.consumer.ID in ['0192:917422575']", "attribute.a.startsWith('x0192:9')",
        ]),
        organisation in prop::sample::select(vec!["917422575", "991825827", "311046349"]),
        scope in "[a-z:;0-9]{1,8}",
        bound in prop::sample::select(vec!["917422575", "991825827", "311046349"]),
    ) {
        let claims = |number: &str| json!({
            "sub": format!("0192:{number};{scope}"), "scope": scope, "client_id": "c", "consumer": {"ID": format!("0192:{number}")},
        });
        let given = Provider {
            attribute_mapping: mapping(&[("google.subject", "'s'"), ("attribute.a", expression)]),
            attribute_condition: Some(condition.to_owned()),
            ..provider()
        };
        let compiled = Mapping::compile(&given).unwrap();
        let value = compiled.apply(&claims(bound)).unwrap().others["attribute.a"].clone();
        let member = super::case::set(&format!("attribute.a/{value}"));
        let policy = super::case::policy("roles/storage.objectViewer", &member);
        let attributes = compiled.apply(&claims(organisation)).unwrap();
        let gets_in = compiled.check_condition(&claims(organisation), &attributes).is_ok() && {
            let access = Access { permission: "storage.objects.get", resource: "", kind: "", now: NOW };
            policy.allows(&Caller::Federated(attributes.identity(&given)), access)
        };
        let foreseen = reach(&policy, "storage.objects.get", &[given]).remove(0).organisations;
        if gets_in {
            prop_assert!(foreseen.include(organisation.parse().unwrap()), "{foreseen:?} {expression} {condition}");
        }
    }

    #[test]
    fn conditions_of_bindings_never_panic(expression in any_expression(), text in "\\PC{0,60}") {
        for expression in [expression.replace("assertion", "resource"), text] {
            let condition = Some(BindingCondition { expression, ..BindingCondition::default() });
            let binding = Binding { role: "roles/owner".to_owned(), members: vec!["allUsers".to_owned()], condition };
            let policy = Policy { version: 3, bindings: vec![binding], etag: None };
            let access = Access { permission: "x.y.z", resource: "r", kind: "s/k", now: NOW };
            if policy.check().is_err() {
                prop_assert!(!policy.allows(&Caller::Anonymous, access));
            }
        }
    }
}
