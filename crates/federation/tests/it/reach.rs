//! Proofs before anything is created: whom a trust policy could ever let in.

use proptest::prelude::*;
use serde_json::{Value, json};
use skybru_core::OrgNumber;
use skybru_federation::aws::{Organisations, Reach, Values, reach, shared_statements};

use crate::case::{AUDIENCE, Case, PROVIDER_ARN, SUBJECT, role, role_of};

const KEY: &str = "sky.example.no:sub";

fn org(number: &str) -> OrgNumber {
    number.parse().unwrap()
}

#[track_caller]
fn only(condition: &Value) -> Reach {
    let mut found = reach(&role(condition)).unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

fn organisations(condition: &Value) -> Organisations {
    only(condition).organisations
}

fn these(numbers: &[&str]) -> Organisations {
    Organisations::Only(numbers.iter().map(|number| org(number)).collect())
}

#[test]
fn a_subject_written_out_lets_in_one_organisation() {
    let found = only(&json!({"StringEquals": {KEY: SUBJECT, "sky.example.no:aud": AUDIENCE}}));
    assert_eq!(found.organisations, these(&["917422575"]));
    assert_eq!(found.provider, PROVIDER_ARN);
    assert!(found.admits(SUBJECT, AUDIENCE));
    assert!(!found.admits(SUBJECT, "https://else.example.no") && !found.admits("0192:889640782;entur:skyporten.demo", AUDIENCE));
    assert_eq!(found.subjects.listed().unwrap().into_iter().collect::<Vec<_>>(), [SUBJECT]);
    assert!(shared_statements(&[found]).is_empty());
}

#[test]
fn a_star_after_the_semicolon_leaves_the_scope_open_and_not_the_organisation() {
    assert_eq!(organisations(&json!({"StringLike": {KEY: "0192:917422575;*"}})), these(&["917422575"]));
    assert_eq!(organisations(&json!({"StringLike": {KEY: "0192:917422575;entur:?"}})), these(&["917422575"]));
}

#[test]
fn a_star_before_the_semicolon_lets_in_any() {
    for open in ["*", "0192:*", "0192:9174*", "*;entur:skyporten.demo", "0192:?????????;entur:demo", "01*"] {
        assert_eq!(organisations(&json!({"StringLike": {KEY: open}})), Organisations::Any, "{open}");
    }
    assert_eq!(organisations(&json!({"StringEquals": {KEY: "0192:*"}})), these(&[]), "literally, which no organisation is");
}

/// One digit left open is still few: only numbers whose check digit is right exist.
#[test]
fn a_question_mark_lets_in_the_numbers_that_exist() {
    assert_eq!(organisations(&json!({"StringLike": {KEY: "0192:91742257?;entur:demo"}})), these(&["917422575"]));
    let several = organisations(&json!({"StringLike": {KEY: "0192:9174225??;entur:demo"}}));
    assert!(several.are_several() && several.include(org("917422575")) && !several.include(org("889640782")));
}

#[test]
fn without_a_condition_on_the_subject_everybody_gets_in() {
    for open in [
        json!({"StringEquals": {"sky.example.no:aud": AUDIENCE}}),
        json!({"StringNotEquals": {KEY: SUBJECT}}),
        json!({"StringEqualsIfExists": {KEY: SUBJECT}}),
        json!({"ForAllValues:StringEquals": {KEY: SUBJECT}}),
        json!({"StringEquals": {"sky.example.no/:sub": SUBJECT}}),
        json!({"StringEquals": {KEY: "${aws:PrincipalTag/subject}"}}),
    ] {
        let found = only(&open);
        assert_eq!((&found.subjects, &found.organisations), (&Values::Any, &Organisations::Any), "{open}");
    }
}

#[test]
fn two_conditions_narrow_each_other() {
    let both =
        json!({"StringLike": {KEY: "0192:*;entur:skyporten.demo"}, "StringEquals": {KEY: [SUBJECT, "0192:889640782;x:y"]}});
    let found = only(&both);
    assert_eq!(found.organisations, these(&["889640782", "917422575"]), "an upper bound");
    assert_eq!(found.subjects.listed().unwrap().into_iter().collect::<Vec<_>>(), [SUBJECT], "and exactly");
}

#[test]
fn two_organisations_in_one_statement_are_told() {
    let two = only(&json!({"StringEquals": {KEY: [SUBJECT, "0192:889640782;entur:skyporten.demo"]}}));
    assert_eq!(shared_statements(std::slice::from_ref(&two)), [&two]);
}

#[test]
fn what_lets_nobody_in_has_no_reach() {
    let statement = |change: Value| {
        let mut statement = json!({"Effect": "Allow", "Principal": {"Federated": PROVIDER_ARN},
            "Action": "sts:AssumeRoleWithWebIdentity"});
        for (name, value) in change.as_object().unwrap() {
            statement[name] = value.clone();
        }
        reach(&role_of(&json!({"Version": "2012-10-17", "Statement": [statement]}))).unwrap().len()
    };
    assert_eq!(statement(json!({})), 1);
    assert_eq!(statement(json!({"Action": "sts:*"})), 1);
    assert_eq!(statement(json!({"Effect": "Deny"})), 0);
    assert_eq!(statement(json!({"Action": "sts:TagSession"})), 0);
}

fn subjects() -> impl Strategy<Value = String> {
    let org = prop::sample::select(vec!["917422575", "889640782", "974761076", "991825827"]);
    let scope = prop::sample::select(vec!["entur:skyporten.demo", "entur:demo", "nav:helse"]);
    (org, scope).prop_map(|(org, scope)| format!("0192:{org};{scope}"))
}

/// A subject with some of its characters replaced by wildcards, or cut off by one.
fn patterns() -> impl Strategy<Value = String> {
    (subjects(), prop::collection::vec((0..30_usize, prop::sample::select(vec!['*', '?'])), 0..4)).prop_map(
        |(subject, changes)| {
            let mut text: Vec<char> = subject.chars().collect();
            for (at, wildcard) in changes {
                if at < text.len() {
                    text[at] = wildcard;
                    if wildcard == '*' && at % 3 == 0 {
                        text.truncate(at + 1);
                    }
                }
            }
            text.into_iter().collect()
        },
    )
}

proptest! {
    /// Whoever AWS would let in is within the reach: the bound may be too wide, never too narrow.
    #[test]
    fn nobody_gets_in_from_outside_the_reach(
        subject in subjects(),
        operator in prop::sample::select(vec![
            "StringEquals", "StringLike", "StringEqualsIgnoreCase", "StringNotEquals", "StringNotLike", "StringLikeIfExists",
            "ForAnyValue:StringLike", "ForAllValues:StringLike",
        ]),
        other in prop::sample::select(vec!["StringLike", "StringEqualsIfExists"]),
        values in prop::collection::vec(patterns(), 1..3),
        more in prop::collection::vec(patterns(), 0..2),
    ) {
        let mut condition = json!({operator: {KEY: values}});
        if !more.is_empty() && operator != other {
            condition[other] = json!({KEY: more});
        }
        let case = Case::but(|case| {
            case.claims["sub"] = subject.clone().into();
            case.role = Some(role(&condition));
        });
        let reaches = reach(case.role.as_ref().unwrap()).unwrap();
        let within = reaches.iter().any(|reach| {
            reach.admits(&subject, AUDIENCE) && reach.organisations.include(org(&subject[5..14]))
        });
        if case.run().is_ok() {
            prop_assert!(within, "{condition} lets in {subject}");
        }
    }
}
