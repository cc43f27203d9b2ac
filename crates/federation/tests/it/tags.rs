//! Session tags, source identity and roles in the token.

use serde_json::{Value, json};

use crate::case::{AUDIENCE, Case, PROVIDER_ARN, ROLE_ARN, SUBJECT, role_of};

const WRONG_TAGS: &str = "principal_tags passed in claim is not in correct format.";

/// A case whose trust policy allows these actions.
fn case(claims: &Value, actions: &Value) -> Case {
    let mut case = Case::claiming(claims);
    case.role = Some(role_of(&json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": {"Federated": PROVIDER_ARN}, "Action": actions,
        "Condition": {"StringEquals": {"sky.example.no:aud": AUDIENCE, "sky.example.no:sub": SUBJECT}},
    }})));
    case
}

fn tagged(tags: &Value) -> Case {
    let claims = json!({"https://aws.amazon.com/tags": {"principal_tags": tags}});
    case(&claims, &json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]))
}

#[test]
fn a_75_nested_tags_carry_the_scope() {
    let claims = json!({"https://aws.amazon.com/tags": {
        "principal_tags": {"scope": ["entur:skyporten.demo"]}, "transitive_tag_keys": ["scope"],
    }});
    let accepted = case(&claims, &json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"])).accepted();
    assert_eq!(accepted.tags, [("scope".to_owned(), "entur:skyporten.demo".to_owned())]);
    assert_eq!(accepted.transitive_tag_keys, ["scope"]);
}

#[test]
fn a_75_flat_tags_do_too() {
    let claims = json!({
        "https://aws.amazon.com/tags/principal_tags/scope": "entur:skyporten.demo",
        "https://aws.amazon.com/tags/transitive_tag_keys": ["scope"],
    });
    let accepted = case(&claims, &json!("sts:*")).accepted();
    assert_eq!(accepted.tags, [("scope".to_owned(), "entur:skyporten.demo".to_owned())]);
    assert_eq!(accepted.transitive_tag_keys, ["scope"]);
}

#[test]
fn a_75_values_are_lists_of_one() {
    for wrong in [json!({"scope": "entur:skyporten.demo"}), json!({"scope": []}), json!({"scope": ["a", "b"]}), json!("scope")] {
        tagged(&wrong).is_no_identity("A-75", WRONG_TAGS);
    }
}

#[test]
fn a_76_keys_and_values_have_their_characters_and_lengths() {
    for fine in ["entur:skyporten.demo", "two words", "æøå 1_.:/=+-@", "", &"v".repeat(256)] {
        tagged(&json!({"k": [fine]})).accepted();
    }
    for wrong in [SUBJECT, "a,b", "line\nend", &"v".repeat(257)] {
        tagged(&json!({"k": [wrong]})).is_no_identity("A-75", WRONG_TAGS);
    }
    for wrong in ["", "aws:x", "AWS:x", "a;b", &"k".repeat(129)] {
        tagged(&json!({wrong: ["v"]})).is_no_identity("A-75", WRONG_TAGS);
    }
    tagged(&json!({"Org": ["v"], "org": ["v"]})).is_no_identity("A-75", WRONG_TAGS);
}

#[test]
fn a_76_fifty_tags_are_the_most() {
    let tags = |count: usize| Value::Object((0..count).map(|n| (format!("k{n}"), json!(["v"]))).collect());
    tagged(&tags(50)).accepted();
    tagged(&tags(51)).is_no_identity("A-75", WRONG_TAGS);
}

#[test]
fn a_76_tags_need_tag_session_in_the_trust_policy() {
    let claims = json!({"https://aws.amazon.com/tags": {"principal_tags": {"scope": ["x"]}}});
    case(&claims, &json!("sts:AssumeRoleWithWebIdentity")).is_not_authorized();
}

#[test]
fn a_76_tags_that_take_too_much_room_are_refused() {
    let tags = Value::Object((0..20).map(|n| (format!("k{n}"), json!(["v".repeat(256)]))).collect());
    let (code, status, text, rule) = tagged(&tags).refused();
    assert_eq!((code, status, rule), ("PackedPolicyTooLarge", 400, "A-63"));
    assert!(text.starts_with("Packed size of session tags consumes "), "{text}");
}

#[test]
fn a_77_a_source_identity_is_a_name_and_needs_its_own_permission() {
    let actions = json!(["sts:AssumeRoleWithWebIdentity", "sts:SetSourceIdentity"]);
    let claims = |value: Value| json!({"https://aws.amazon.com/source_identity": value});
    let accepted = case(&claims("917422575".into()), &actions).accepted();
    assert_eq!(accepted.source_identity.as_deref(), Some("917422575"));
    for wrong in [json!("0192:917422575"), json!("x"), json!(5), json!("x".repeat(65))] {
        assert_eq!(case(&claims(wrong), &actions).refused().3, "A-77");
    }
    case(&claims("917422575".into()), &json!("sts:AssumeRoleWithWebIdentity")).is_not_authorized();
}

#[test]
fn a_77_a_token_may_name_its_roles() {
    let action = json!("sts:AssumeRoleWithWebIdentity");
    let claims = |value: Value| json!({"https://aws.amazon.com/roles": value});
    let two = format!("arn:aws:iam::123456789012:role/other;{ROLE_ARN}");
    for fine in [json!([ROLE_ARN]), json!(ROLE_ARN), json!(two)] {
        case(&claims(fine), &action).accepted();
    }
    for wrong in
        [json!(["arn:aws:iam::123456789012:role/other"]), json!([]), json!("x"), json!(1), json!(ROLE_ARN.to_uppercase())]
    {
        let (code, _, _, rule) = case(&claims(wrong), &action).refused();
        assert_eq!((code, rule), ("InvalidIdentityToken", "A-77"));
    }
}
