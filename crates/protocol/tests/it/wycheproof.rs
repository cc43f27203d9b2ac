//! Project Wycheproof: signatures that look right and are not, verified with keys that come as JWK.

use serde_json::Value;
use skybru_protocol::jose::{Algorithm, Jwk, JwkError, JwkSet, Jws, VerifyingKey};

/// How many vectors of each kind there were, and how many groups had no key that we take.
#[derive(Debug, Default, PartialEq)]
struct Count {
    valid: usize,
    invalid: usize,
    acceptable: usize,
    groups_without_key: usize,
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn run(vectors: &str, algorithm: Algorithm) -> Count {
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let mut count = Count::default();
    for group in vectors["testGroups"].as_array().unwrap() {
        let jwk = if group["keyJwk"].is_null() { &group["publicKeyJwk"] } else { &group["keyJwk"] };
        let key = serde_json::from_value::<Jwk>(jwk.clone()).ok().and_then(|jwk| VerifyingKey::from_jwk(&jwk).ok());
        let Some(key) = key else {
            count.groups_without_key += 1;
            continue;
        };
        for test in group["tests"].as_array().unwrap() {
            let text = |name: &str| hex(test[name].as_str().unwrap());
            let held = key.verify(algorithm, &text("msg"), &text("sig")).is_ok();
            let shown = format!("{algorithm:?} {} {}", test["tcId"], test["comment"]);
            match test["result"].as_str().unwrap() {
                "valid" => {
                    assert!(held, "{shown} is good");
                    count.valid += 1;
                }
                "invalid" => {
                    assert!(!held, "{shown} must be refused");
                    count.invalid += 1;
                }
                // A missing NULL in the algorithm identifier: nobody needs to take it.
                _ => count.acceptable += 1,
            }
        }
    }
    count
}

#[test]
fn rs256_refuses_every_forged_signature() {
    let count = run(include_str!("../../testdata/wycheproof/rsa_signature_2048_sha256_test.json"), Algorithm::RS256);
    assert!(count.valid >= 7 && count.invalid > 200, "{count:?}");
}

#[test]
fn rs384_refuses_every_forged_signature() {
    let count = run(include_str!("../../testdata/wycheproof/rsa_signature_3072_sha384_test.json"), Algorithm::RS384);
    assert!(count.valid >= 7 && count.invalid > 200, "{count:?}");
}

#[test]
fn rs512_refuses_every_forged_signature() {
    let count = run(include_str!("../../testdata/wycheproof/rsa_signature_4096_sha512_test.json"), Algorithm::RS512);
    assert!(count.valid >= 7 && count.invalid > 200, "{count:?}");
}

#[test]
fn es256_refuses_every_forged_signature() {
    let count = run(include_str!("../../testdata/wycheproof/ecdsa_secp256r1_sha256_p1363_test.json"), Algorithm::ES256);
    assert!(count.valid > 50 && count.invalid > 50, "{count:?}");
}

/// Verifies as the parts of skybru that take tokens do: a key is found by its id, must be the only one, public and sound, and says itself for
/// which algorithm it is.
fn accepts(set: &JwkSet, compact: &str) -> bool {
    let verify = || {
        let token = Jws::parse(compact).ok()?;
        let kid = token.header().kid.as_deref()?;
        let mut named = set.keys.iter().filter(|key| key.kid.as_deref() == Some(kid));
        let (Some(jwk), None) = (named.next(), named.next()) else { return None };
        jwk.must_be_public().ok()?;
        let algorithm: Algorithm = jwk.alg.as_deref().filter(|alg| *alg == token.header().alg)?.parse().ok()?;
        let key = VerifyingKey::from_jwk(jwk).ok().filter(|key| jwk.usage.as_deref() == Some("sig") && key.examine().is_ok())?;
        key.verify(algorithm, token.signing_input().as_bytes(), token.signature()).ok()
    };
    verify().is_some()
}

fn groups(vectors: &str) -> Vec<Value> {
    let mut vectors: Value = serde_json::from_str(vectors).unwrap();
    serde_json::from_value(vectors["testGroups"].take()).unwrap()
}

/// Runs whole tokens against a key or a key set. Symmetric keys are for nobody here, so what Wycheproof signs with one is refused.
fn run_tokens(groups: &[Value]) -> (usize, usize) {
    let (mut valid, mut invalid) = (0, 0);
    for group in groups {
        let public = &group["public"];
        let keys = if public["keys"].is_null() { serde_json::json!({ "keys": [public] }) } else { public.clone() };
        let symmetric = keys["keys"].as_array().unwrap().iter().any(|key| key["kty"] == "oct");
        let set: JwkSet = serde_json::from_value(keys).unwrap();
        for test in group["tests"].as_array().unwrap() {
            let good = test["result"] == "valid" && !symmetric;
            assert_eq!(accepts(&set, test["jws"].as_str().unwrap()), good, "{} {}", test["tcId"], test["comment"]);
            if good { valid += 1 } else { invalid += 1 }
        }
    }
    (valid, invalid)
}

#[test]
fn no_tampered_token_is_taken() {
    let counts = run_tokens(&groups(include_str!("../../testdata/wycheproof/json_web_signature_test.json")));
    assert_eq!(counts, (2, 43));
}

#[test]
fn no_key_that_is_wrong_or_weak_verifies_anything() {
    let counts = run_tokens(&groups(include_str!("../../testdata/wycheproof/json_web_key_test.json")));
    assert_eq!(counts, (1, 14));
}

#[test]
fn what_is_wrong_with_a_key_is_said_where_it_is_registered() {
    let groups = groups(include_str!("../../testdata/wycheproof/json_web_key_test.json"));
    let said = |comment: &str| {
        let group = groups.iter().find(|group| group["comment"] == comment).unwrap();
        let jwk: Jwk = serde_json::from_value(group["public"]["keys"][0].clone()).unwrap();
        VerifyingKey::from_jwk(&jwk).and_then(|key| key.examine()).unwrap_err()
    };
    assert_eq!(said("jws_rsa_roca_key"), JwkError::Roca);
    assert_eq!(said("invalid_point"), JwkError::Numbers);
    assert!(said("exponentOne").to_string().contains("\"e\""), "{}", said("exponentOne"));
    assert!(said("keysize_too_small").to_string().contains("2048"));
    assert!(said("wrong_curve").to_string().contains("curve"));
    assert_eq!(said("wrong_kty"), JwkError::Missing("n"));
}
