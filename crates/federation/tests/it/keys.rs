//! Documents, keys and signatures.

use serde_json::{Value, json};
use skybru_federation::DocumentProblem;
use skybru_federation::aws::{Reason, Rules};

use crate::case::{Case, NO_KEY, NOT_VALIDATED, other_jwk, public_jwk, sign_ec};

fn with_keys(keys: Vec<Value>) -> Case {
    Case::but(|case| case.keys = keys)
}

/// The signing key with one member changed.
fn key_with(member: &str, value: Value) -> Value {
    let mut key = public_jwk();
    key[member] = value;
    key
}

fn without_kid(case: &mut Case) {
    case.header.as_object_mut().unwrap().remove("kid");
}

#[test]
fn a_32_the_text_has_two_blanks() {
    let case = with_keys(vec![]);
    case.is_no_identity("A-32", NO_KEY);
    assert!(case.refused().2.contains("provider,  please"));
}

#[test]
fn a_32_an_unknown_or_empty_kid_finds_no_key() {
    for kid in ["unknown", ""] {
        Case::but(|case| case.header["kid"] = kid.into()).is_no_identity("A-32", NO_KEY);
    }
}

#[test]
fn a_32_a_33_without_kid_there_must_be_exactly_one_usable_key() {
    Case::but(without_kid).accepted();
    let two = Case::but(|case| {
        without_kid(case);
        case.keys.push(other_jwk("second"));
    });
    two.is_no_identity("A-32", NO_KEY);
    let one_for_encryption = Case::but(|case| {
        without_kid(case);
        case.keys.push(key_with("use", "enc".into()));
    });
    one_for_encryption.accepted();
}

#[test]
fn a_33_keys_that_cannot_be_used_are_as_good_as_absent() {
    let mut nameless = public_jwk();
    nameless.as_object_mut().unwrap().remove("kid");
    let certificate = include_str!("../../testdata/rsa2048-certificate.b64");
    let mut certificate_alone = json!({"kty": "RSA", "use": "sig", "kid": "test-key-1"});
    certificate_alone["x5c"] = json!([certificate]);
    let disagreeing = key_with("x5c", json!([include_str!("../../testdata/other-certificate.b64")]));
    for key in [nameless, certificate_alone, disagreeing, key_with("use", "enc".into())] {
        with_keys(vec![key]).is_no_identity("A-32", NO_KEY);
    }
}

#[test]
fn a_33_a_certificate_that_agrees_does_no_harm() {
    with_keys(vec![key_with("x5c", json!([include_str!("../../testdata/rsa2048-certificate.b64")]))]).accepted();
}

#[test]
fn a_33_key_ops_give_the_generic_text() {
    for operation in ["sign", "verify"] {
        with_keys(vec![key_with("key_ops", json!([operation]))]).is_no_identity("A-33", NOT_VALIDATED);
    }
}

#[test]
fn a_33_more_than_a_hundred_keys_of_one_type_are_too_many_for_that_type() {
    let rsa = |count: usize| -> Vec<Value> {
        let mut keys: Vec<Value> = (1..count).map(|n| other_jwk(&format!("k{n}"))).collect();
        keys.push(public_jwk());
        keys
    };
    with_keys(rsa(100)).accepted();
    with_keys(rsa(101)).is_no_identity("A-32", NO_KEY);
    let signed_with_ec = Case::but(|case| {
        let (token, jwk) = sign_ec("ES256", "ec", &case.claims);
        case.token = Some(token);
        case.keys = rsa(101);
        case.keys.push(serde_json::to_value(jwk).unwrap());
    });
    signed_with_ec.accepted();
}

#[test]
fn a_34_the_alg_of_the_key_does_not_matter() {
    for alg in ["RS512", "PS256", "ES256", "nonsense"] {
        with_keys(vec![key_with("alg", alg.into())]).accepted();
    }
}

#[test]
fn a_35_of_two_keys_with_one_kid_the_last_counts() {
    with_keys(vec![other_jwk("test-key-1"), public_jwk()]).accepted();
    with_keys(vec![public_jwk(), other_jwk("test-key-1")]).is_no_identity("A-36", NOT_VALIDATED);
}

#[test]
fn a_36_a_token_that_was_changed_or_signed_by_another_is_not_validated() {
    let case = with_keys(vec![other_jwk("test-key-1")]);
    case.is_no_identity("A-36", NOT_VALIDATED);
    assert_eq!(*case.run().unwrap_err().reason, Reason::Signature);

    let good = Case::good().token();
    let (rest, signature) = good.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    for token in [format!("{rest}.{flipped}{}", &signature[1..]), format!("{rest}.")] {
        Case::but(|case| case.token = Some(token)).is_no_identity("A-36", NOT_VALIDATED);
    }
}

#[test]
fn a_49_a_private_chain_must_match_the_thumbprints() {
    let case = Case::but(|case| case.unavailable = Some(DocumentProblem::Thumbprint { served: Some("ab".repeat(20)) }));
    case.is_no_identity("A-49", "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint");
}

#[test]
fn a_50_three_fields_of_discovery_are_needed_unless_that_is_switched_off() {
    for field in ["response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"] {
        let mut case = Case::but(|case| drop(case.discovery.as_object_mut().unwrap().remove(field)));
        case.is_no_identity("A-50", NO_KEY);
        let Reason::Documents(DocumentProblem::MissingFields(missing)) = *case.run().unwrap_err().reason else {
            panic!("another reason")
        };
        assert_eq!(missing, [field]);
        case.rules = Rules { strict_discovery: false, ..Rules::default() };
        case.accepted();
    }
}

#[test]
fn a_50_issuer_and_jwks_uri_are_needed_in_any_case() {
    for field in ["issuer", "jwks_uri"] {
        let mut case = Case::but(|case| drop(case.discovery.as_object_mut().unwrap().remove(field)));
        case.rules = Rules { strict_discovery: false, ..Rules::default() };
        assert_eq!(case.refused().2, NO_KEY);
    }
    assert_eq!(Case::but(|case| case.discovery["issuer"] = "https://sky.example.no/".into()).refused().2, NO_KEY);
}

#[test]
fn a_51_a_52_documents_that_cannot_be_had_give_the_same_text() {
    let problem = DocumentProblem::Unavailable { url: "https://sky.example.no/jwk".to_owned(), reason: "timeout".to_owned() };
    Case::but(|case| case.unavailable = Some(problem)).is_no_identity("A-51", NO_KEY);
}
