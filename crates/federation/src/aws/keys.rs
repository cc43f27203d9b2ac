//! The issuer's documents as AWS reads them: discovery, and the choice of a key.

use serde_json::Value;
use skybru_protocol::jose::{Jwk, JwkSet, VerifyingKey};
use skybru_protocol::metadata::DiscoveryDocument;

use super::AwsError;
use super::token::PresentedToken;
use crate::documents::DocumentProblem;

/// said of every trouble with documents and keys. The two blanks are AWS's.
const NO_KEY: &str = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements";

/// said of a signature that does not hold, and since 2026 of an audience that is not registered.
pub(crate) const NOT_VALIDATED: &str =
    "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements.";

/// the most keys of one type.
const MAX_KEYS_OF_TYPE: usize = 100;

/// What AWS says of documents that it could not have or use.
pub fn document_error(problem: &DocumentProblem) -> AwsError {
    match problem {
        DocumentProblem::Thumbprint { .. } => {
            AwsError::identity("A-49", "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint")
        }
        DocumentProblem::KeyOperations(_) => AwsError::identity("A-33", NOT_VALIDATED),
        DocumentProblem::Unavailable { .. } => AwsError::identity("A-51", NO_KEY),
        DocumentProblem::MissingFields(_) => AwsError::identity("A-50", NO_KEY),
        DocumentProblem::WrongIssuer { .. } | DocumentProblem::NoUsableKey { .. } => AwsError::identity("A-32", NO_KEY),
    }
}

/// Whether AWS takes a discovery document.
///
/// That the three lists must be there rests on one public source of 2021; `strict: false` leaves them out.
pub fn check_discovery(document: &DiscoveryDocument, issuer: &str, strict: bool) -> Result<(), DocumentProblem> {
    let mut missing = Vec::new();
    if document.jwks_uri.is_none() {
        missing.push("jwks_uri");
    }
    if strict {
        for (name, list) in [
            ("response_types_supported", &document.response_types_supported),
            ("subject_types_supported", &document.subject_types_supported),
            ("id_token_signing_alg_values_supported", &document.id_token_signing_alg_values_supported),
        ] {
            if list.as_ref().is_none_or(Vec::is_empty) {
                missing.push(name);
            }
        }
    }
    if !missing.is_empty() {
        return Err(DocumentProblem::MissingFields(missing));
    }
    if document.issuer.as_deref() != Some(issuer) {
        return Err(DocumentProblem::WrongIssuer { expected: issuer.to_owned(), found: document.issuer.clone() });
    }
    Ok(())
}

/// Chooses the key that must have signed `token`.
pub fn select_key(keys: &JwkSet, token: &PresentedToken) -> Result<VerifyingKey, DocumentProblem> {
    choose(keys, token.algorithm.is_es(), token.kid())
}

/// Why no key of `keys` could verify a token with this header, if so.
pub(crate) fn unusable_key(keys: &JwkSet, alg: &str, kid: Option<&str>) -> Option<DocumentProblem> {
    choose(keys, alg.starts_with("ES"), kid).err()
}

fn choose(keys: &JwkSet, elliptic: bool, token_kid: Option<&str>) -> Result<VerifyingKey, DocumentProblem> {
    let kty = if elliptic { "EC" } else { "RSA" };
    let of_type: Vec<&Jwk> = keys.keys.iter().filter(|key| key.kty == kty).collect();
    let available: Vec<String> = keys.keys.iter().filter_map(|key| key.kid.clone()).collect();
    let kid = token_kid.filter(|kid| !kid.is_empty());
    let none = |reason| DocumentProblem::NoUsableKey { kid: kid.map(str::to_owned), available: available.clone(), reason };
    if of_type.len() > MAX_KEYS_OF_TYPE {
        return Err(none("more than 100 keys of the token's type"));
    }
    let usable: Vec<&Jwk> = of_type.into_iter().filter(|key| key.kid.is_some() && key.usage.as_deref() != Some("enc")).collect();
    let chosen = match (token_kid, usable.as_slice()) {
        (Some(""), _) => return Err(none("the token's kid is empty")),
        // of several with one id the last one counts.
        (Some(kid), _) => usable.iter().rev().find(|key| key.kid.as_deref() == Some(kid)).copied(),
        (None, [only]) => Some(*only),
        (None, _) => return Err(none("the token has no kid, and there is not exactly one usable key")),
    };
    let chosen = chosen.ok_or_else(|| none("no usable key has the token's kid"))?;
    if chosen.other.contains_key("key_ops") {
        return Err(DocumentProblem::KeyOperations(chosen.kid.clone().unwrap_or_default()));
    }
    if chosen.other.get("x5c").is_some_and(|x5c| !certificate_agrees(x5c, chosen)) {
        return Err(none("the key's x5c does not agree with its numbers"));
    }
    VerifyingKey::from_jwk(chosen).map_err(|_| none("the key's numbers cannot be used"))
}

/// a certificate is fine when it holds the key that stands beside it. The modulus is looked for in the certificate's bytes, where
/// it stands as it is in the JWK.
fn certificate_agrees(x5c: &Value, key: &Jwk) -> bool {
    let leaf = x5c.as_array().and_then(|chain| chain.first()).and_then(Value::as_str);
    let number = key.n.as_ref().or(key.x.as_ref());
    let (Some(leaf), Some(number)) = (leaf, number) else { return false };
    let standard: String =
        leaf.chars().filter(|c| !c.is_whitespace() && *c != '=').collect::<String>().replace('+', "-").replace('/', "_");
    let (Ok(certificate), Ok(number)) =
        (skybru_protocol::base64url::decode(&standard), skybru_protocol::base64url::decode(number))
    else {
        return false;
    };
    !number.is_empty() && certificate.windows(number.len()).any(|window| window == number)
}
