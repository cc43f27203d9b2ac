//! Project Wycheproof: signatures that look right and are not, verified with keys that come as JWK.

use serde_json::Value;
use skybru_protocol::jose::{Algorithm, Jwk, VerifyingKey};

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
