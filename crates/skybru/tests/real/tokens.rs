//! Tokens of the lab's Skyporten that it would never give out, made with its own key.

use serde_json::{Value, json};
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey};

use crate::support::{Lab, RESOURCE, SCOPE, SUBJECT};

/// The issuer's key, read from the lab's folder.
pub(crate) fn issuer_key(lab: &Lab) -> SigningKey {
    SigningKey::from_text(&std::fs::read_to_string(lab.folder.join("issuer-key.jwk")).unwrap(), None).unwrap()
}

/// A key of the same name that the issuer does not have.
pub(crate) fn other_key() -> SigningKey {
    SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256).unwrap()
}

/// The claims of a good token of the demonstration's consumer.
#[expect(clippy::disallowed_methods, reason = "the lab runs by the real clock")]
pub(crate) fn claims(lab: &Lab) -> Value {
    let now = jiff::Timestamp::now().as_second();
    json!({
        "iss": lab.get("/issuers/skyporten"), "sub": SUBJECT, "aud": RESOURCE, "scope": SCOPE, "iat": now, "exp": now + 120, "jti": "made"
    })
}

/// A token with these changes.
pub(crate) fn token(key: &SigningKey, mut claims: Value, changes: &Value) -> String {
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    key.sign(Some("JWT"), &claims).unwrap()
}
