//! What hostile bytes meet: one function an input. The fuzzers in `fuzz/` call them for as long as somebody lets them; a seeded run of
//! mutations calls them in the tests. Each must come back, and what it took must say the same when it is read again.

use serde_json::Value;
use skybru_core::{PersonNumber, ScopeSet};

use crate::assertion::{TimeRules, UnverifiedAssertion};
use crate::certificate::{BusinessCertificate, CertificateChain};
use crate::details::Detail;
use crate::jose::{JwkSet, Jws, VerifyingKey};
use crate::oauth::{TokenForm, description};
use crate::{base64url, json};

/// A compact token, taken apart, and as an assertion.
///
/// # Panics
/// When a token has two spellings.
pub fn jws(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(jws) = Jws::parse(text) {
        assert!(text.starts_with(jws.signing_input()), "what was signed is the text's beginning");
        let again = format!("{}.{}", jws.signing_input(), base64url::encode(jws.signature()));
        assert_eq!(again, text, "one token has one spelling");
    }
    if let Ok(assertion) = UnverifiedAssertion::parse(text)
        && let Ok(issuer) = "https://test.maskinporten.no/".parse()
        && let Ok(addressed) = assertion.addressed_to(&issuer)
    {
        let key: crate::jose::Jwk = serde_json::from_str(KEY).expect("a good key");
        let key = VerifyingKey::from_jwk(&key).expect("a good key");
        let _ = addressed.verify(&key, 1_700_000_000, TimeRules::default());
    }
}

const KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"KSexBRK64-3c_kZ4KBKLrSkDJpkZ9whgacjE32xzKDg","y":"x3h5ZOqsAOWSH7FJimD0YGdms9loUAFVjRqXTnNBUT4"}"#;

/// A key set.
///
/// # Panics
/// When what was read is written as something else.
pub fn jwk_set(data: &[u8]) {
    let Ok(set) = serde_json::from_slice::<JwkSet>(data) else { return };
    for key in &set.keys {
        let _ = key.must_be_public();
        let _ = key.thumbprint();
        if let Ok(verifying) = VerifyingKey::from_jwk(key) {
            assert!(verifying == VerifyingKey::from_jwk(key).expect("as before"));
        }
    }
    let written = serde_json::to_string(&set).expect("what was read can be written");
    // A number with a fraction is read to within its last digit. No member of a key is one; of others' own members some may be.
    if !set.keys.iter().any(|key| key.other.values().any(has_fraction)) {
        assert_eq!(serde_json::from_str::<JwkSet>(&written).ok(), Some(set));
    }
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(values) => values.iter().any(has_fraction),
        Value::Object(members) => members.values().any(has_fraction),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// A token request: the query up to the first NUL, the body after it.
///
/// # Panics
/// When an assertion is printed.
pub fn token_form(data: &[u8]) {
    let split = data.iter().position(|byte| *byte == 0).unwrap_or(0);
    let (query, body) = data.split_at(split);
    if let Ok(form) = TokenForm::parse(query, body)
        && let Some(assertion) = form.assertion.as_ref().filter(|text| text.len() > 3)
    {
        // A long one cannot stand there by chance.
        let shown = format!("{form:?}").replace(&format!("{:?}", form.grant_type), "");
        assert!(assertion.len() < 24 || !shown.contains(assertion.as_str()), "an assertion is never printed");
    }
    let shown = description(&String::from_utf8_lossy(data));
    assert!(shown.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\'));
}

/// An `x5c` header, and a certificate.
pub fn certificate_chain(data: &[u8]) {
    let _ = BusinessCertificate::from_der(data);
    if let Ok(value) = serde_json::from_slice::<Value>(data)
        && let Ok(chain) = CertificateChain::parse(&value)
    {
        let _ = BusinessCertificate::from_der(chain.leaf());
    }
}

/// Scopes, person numbers and authorization details.
///
/// # Panics
/// When what was read is written as something else.
pub fn scope(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(scopes) = text.parse::<ScopeSet>() {
        let written = scopes.to_string();
        assert_eq!(written.parse::<ScopeSet>().ok(), Some(scopes), "what was written is read as the same");
    }
    let _ = text.parse::<PersonNumber>();
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        let _ = Detail::parse(&value, true);
    }
    let _ = json::object(data);
}

#[cfg(test)]
mod smoke {
    use std::path::Path;

    use skybru_core::Randomness;
    use skybru_core::ctx::SeededRandomness;

    /// Bytes that parsers have stumbled over.
    const NASTY: [&[u8]; 14] = [
        b"\x00",
        b"\xff\xfe",
        b"..",
        b".",
        b"=",
        b"\"",
        b"\\u0000",
        b"[[[[[[[[",
        b"{\"a\":",
        b"1e999",
        b"-0",
        b"9223372036854775808",
        b"%00",
        b"&assertion=",
    ];

    fn number(randomness: &SeededRandomness, below: usize) -> usize {
        let mut bytes = [0; 4];
        randomness.fill(&mut bytes);
        usize::try_from(u32::from_le_bytes(bytes)).unwrap() % below.max(1)
    }

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{} has no seeds", folder.display());
        files.iter().map(|file| std::fs::read(file).unwrap()).collect()
    }

    fn mutate(randomness: &SeededRandomness, seeds: &[Vec<u8>], data: &mut Vec<u8>) {
        let at = number(randomness, data.len() + 1);
        match number(randomness, 7) {
            0 if !data.is_empty() => {
                let at = at.min(data.len() - 1);
                data[at] ^= 1 << number(randomness, 8);
            }
            1 => {
                data.truncate(at);
            }
            2 => {
                let nasty = NASTY[number(randomness, NASTY.len())];
                data.splice(at..at, nasty.iter().copied());
            }
            3 if !data.is_empty() => {
                let end = (at + number(randomness, 16)).min(data.len());
                data.drain(at.min(end)..end);
            }
            4 => {
                let end = (at + number(randomness, 64)).min(data.len());
                let part = data[at.min(end)..end].to_vec();
                data.splice(at..at, part);
            }
            5 => {
                let other = &seeds[number(randomness, seeds.len())];
                let from = number(randomness, other.len() + 1);
                data.splice(at.., other[from..].iter().copied());
            }
            _ => {
                let mut byte = [0; 1];
                randomness.fill(&mut byte);
                data.insert(at, byte[0]);
            }
        }
        data.truncate(64 * 1024);
    }

    /// The seeds themselves, and 20 000 mutations of them.
    fn run(name: &str, target: fn(&[u8])) {
        let seeds = seeds(name);
        for seed in &seeds {
            target(seed);
        }
        let randomness = SeededRandomness::new(20_261_125);
        for _ in 0..20_000 {
            let mut data = seeds[number(&randomness, seeds.len())].clone();
            for _ in 0..=number(&randomness, 4) {
                mutate(&randomness, &seeds, &mut data);
            }
            target(&data);
        }
    }

    #[test]
    fn tokens_survive_mutation() {
        run("jws", super::jws);
    }

    #[test]
    fn key_sets_survive_mutation() {
        run("jwk_set", super::jwk_set);
    }

    #[test]
    fn token_forms_survive_mutation() {
        run("token_form", super::token_form);
    }

    #[test]
    fn certificates_survive_mutation() {
        run("certificate_chain", super::certificate_chain);
    }

    #[test]
    fn scopes_and_details_survive_mutation() {
        run("scope", super::scope);
    }
}
