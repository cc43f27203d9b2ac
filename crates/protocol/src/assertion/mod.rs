//! The assertion that a client signs and presents, in stages of trust.
//!
//! ```text
//! text ──parse──► UnverifiedAssertion ──addressed_to──► AddressedAssertion ──verify──► VerifiedAssertion ──record──► UnusedAssertion
//! ```
//!
//! Each stage is built only by the step before it. Nothing of the first two may be believed, so they show only what is needed to
//! find the key; only the last one can become a token. The rules are those of Maskinporten's JWT grant, on top of
//! [RFC 7523, section 3](https://www.rfc-editor.org/rfc/rfc7523#section-3).

mod claims;
mod times;

use aws_lc_rs::digest;
use skybru_core::{ClientId, IssuerUrl};

pub use self::claims::{AssertionClaims, MAX_RESOURCES, claimed_org};
pub use self::times::{MAX_LIFETIME_SECONDS, SKEW_SECONDS, TimeRules};
use crate::jose::{Algorithm, Header, Jws, VerifyingKey, VerifyingKeyError};
use crate::json;

/// Why an assertion does not become a verified one. Who turns these into Maskinporten's codes is the issuer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// Not a JWT, or a claim has the wrong type.
    #[error("{0}")]
    Malformed(String),
    /// `aud` is not this issuer, byte for byte.
    #[error("aud is {found:?}, expected {expected:?}")]
    Audience {
        /// The issuer.
        expected: String,
        /// What the assertion says.
        found: Vec<String>,
    },
    /// The header says something else than RS256, RS384 or RS512, or has `crit`.
    #[error("algorithm {0:?} is not allowed here; use RS256, RS384 or RS512")]
    Algorithm(String),
    /// The signature does not hold.
    #[error("the signature does not hold with the registered key")]
    Signature,
    /// `exp` has passed.
    #[error("exp {exp} passed {ago} seconds ago")]
    Expired {
        /// The claim.
        exp: i64,
        /// Seconds since.
        ago: i64,
    },
    /// `iat` (or `nbf`) lies in the future.
    #[error("iat or nbf lies {ahead} seconds in the future")]
    Future {
        /// Seconds until.
        ahead: i64,
    },
    /// `iat` lies too far back.
    #[error("iat lies {ago} seconds back, more than {allowed}")]
    Old {
        /// Seconds since.
        ago: i64,
        /// The limit.
        allowed: i64,
    },
    /// `exp - iat` is too long.
    #[error("exp - iat is {0} seconds, more than {MAX_LIFETIME_SECONDS}")]
    Lifetime(i64),
}

/// What arrived on the wire, taken apart. Nothing in it may be trusted, so nothing in it can be read.
#[derive(Debug)]
pub struct UnverifiedAssertion {
    jws: Jws,
    audiences: Vec<String>,
    claims: AssertionClaims,
}

/// It says that it is meant for this issuer. Shows just what is needed to find the key that would prove it.
#[derive(Debug)]
pub struct AddressedAssertion(UnverifiedAssertion);

/// Signature, audience and times held. Only [`AddressedAssertion::verify`] builds one.
#[derive(Debug)]
pub struct VerifiedAssertion {
    claims: AssertionClaims,
    fingerprint: Fingerprint,
}

/// It was recorded now, for the first time. Only this can be exchanged for a token.
#[derive(Debug)]
pub struct UnusedAssertion(VerifiedAssertion);

/// What makes an assertion the same as another: the client and its `jti`, or without `jti` the signed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl UnverifiedAssertion {
    /// Takes the text apart and gives its claims their types. A repeated member is refused.
    pub fn parse(text: &str) -> Result<Self, AssertionError> {
        let jws = Jws::parse(text).map_err(|e| AssertionError::Malformed(e.to_string()))?;
        json::object(jws.header_bytes()).map_err(|e| AssertionError::Malformed(format!("header: {e}")))?;
        let claims = json::object(jws.payload()).map_err(|e| AssertionError::Malformed(format!("claims: {e}")))?;
        let audiences = claims::strings(&claims, "aud", 10)?;
        Ok(Self { jws, audiences, claims: AssertionClaims::read(&claims)? })
    }

    /// Checks that `aud` contains the issuer, byte for byte: a trailing slash more or less is another issuer.
    pub fn addressed_to(self, issuer: &IssuerUrl) -> Result<AddressedAssertion, AssertionError> {
        if self.audiences.iter().any(|audience| audience == issuer.as_str()) {
            Ok(AddressedAssertion(self))
        } else {
            Err(AssertionError::Audience { expected: issuer.to_string(), found: self.audiences })
        }
    }
}

impl AddressedAssertion {
    /// The client that it claims to come from.
    pub fn claimed_client(&self) -> &ClientId {
        &self.0.claims.client
    }

    /// The header: which key it claims to be signed with.
    pub fn header(&self) -> &Header {
        self.0.jws.header()
    }

    /// Checks algorithm, signature and times, in this order.
    ///
    /// `now` is in seconds since 1970.
    pub fn verify(self, key: &VerifyingKey, now: i64, rules: TimeRules) -> Result<VerifiedAssertion, AssertionError> {
        let Self(UnverifiedAssertion { jws, claims, .. }) = self;
        let header = jws.header();
        let refused = || AssertionError::Algorithm(header.alg.chars().take(20).collect());
        let algorithm: Algorithm = header.alg.parse().map_err(|_| refused())?;
        if !algorithm.is_rs() || header.crit.is_some() {
            return Err(refused());
        }
        key.verify(algorithm, jws.signing_input().as_bytes(), jws.signature()).map_err(|error| match error {
            VerifyingKeyError::WrongAlgorithm => refused(),
            VerifyingKeyError::BadSignature => AssertionError::Signature,
        })?;
        rules.check(&claims, now)?;
        let fingerprint = fingerprint(&claims, jws.signing_input());
        Ok(VerifiedAssertion { claims, fingerprint })
    }
}

impl VerifiedAssertion {
    /// The claims, proven to come from the client.
    pub fn claims(&self) -> &AssertionClaims {
        &self.claims
    }

    /// Under which it is recorded as used.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// From this second on it would be refused anyway, so the record of it may go.
    pub fn forgotten_after(&self) -> i64 {
        self.claims.exp.saturating_add(SKEW_SECONDS)
    }

    /// The last step. `recorded` is the answer of the log of used assertions: whether this call was the first to record it.
    ///
    /// `None` when it was used before.
    pub fn into_unused(self, recorded: bool) -> Option<UnusedAssertion> {
        recorded.then_some(UnusedAssertion(self))
    }
}

impl UnusedAssertion {
    /// The claims, proven and used for the first time.
    pub fn claims(&self) -> &AssertionClaims {
        &self.0.claims
    }

    /// Under which it was recorded.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint
    }
}

/// With a `jti` the client names the assertion itself, so two texts with one `jti` are one assertion. Without, the signed text is the
/// name: not the signature, whose last character may have several spellings elsewhere. Lengths are mixed in so that no two inputs run
/// together.
fn fingerprint(claims: &AssertionClaims, signing_input: &str) -> Fingerprint {
    let mut hash = digest::Context::new(&digest::SHA256);
    let (kind, text) = match &claims.jti {
        Some(jti) => ("jti", jti.as_str()),
        None => ("jws", signing_input),
    };
    for part in [kind, claims.client.as_str(), text] {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.finish().as_ref());
    Fingerprint(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::SigningKey;
    use serde_json::{Value, json};

    const NOW: i64 = 1_700_000_000;
    const ISSUER: &str = "https://test.maskinporten.no/";

    fn key() -> SigningKey {
        SigningKey::from_text(include_str!("../../testdata/rsa2048.jwk"), None).unwrap()
    }

    /// A good assertion, changed by `change`, through all stages.
    fn verify(change: impl FnOnce(&mut Value)) -> Result<VerifiedAssertion, AssertionError> {
        let mut claims = json!({"iss": "client-1", "aud": ISSUER, "iat": NOW, "exp": NOW + 120, "scope": "a:b"});
        change(&mut claims);
        let key = key();
        let text = key.sign(None, &claims).unwrap();
        let public = VerifyingKey::from_jwk(&key.public_jwk()).unwrap();
        UnverifiedAssertion::parse(&text)?.addressed_to(&ISSUER.parse().unwrap())?.verify(&public, NOW, TimeRules::default())
    }

    #[test]
    fn what_known_clients_send_is_taken() {
        assert!(verify(|_| ()).is_ok(), "no jti, no typ: navikt/maskinporten-client");
        assert!(verify(|c| c["aud"] = json!([ISSUER])).is_ok(), "aud as array: digdirator");
        assert!(verify(|c| c["nbf"] = json!(NOW)).is_ok(), "nbf: texas");
        assert!(verify(|c| c["sub"] = json!("client-1")).is_ok(), "sub: MaskinportenTokenGenerator");
        assert!(verify(|c| c["iat"] = json!(1_700_000_000.5)).is_ok(), "fractions of seconds");
        assert_eq!(verify(|c| c["resource"] = json!("https://a.no")).unwrap().claims().resources, ["https://a.no"]);
        assert_eq!(verify(|c| c["resource"] = json!(["https://a.no", "urn:b"])).unwrap().claims().resources.len(), 2);
    }

    #[test]
    fn the_time_rules_are_those_of_the_contract() {
        let times = |iat: i64, exp: i64| verify(|c| (c["iat"], c["exp"]) = (json!(NOW + iat), json!(NOW + exp))).map(|_| ());
        for fine in [(0, 10), (0, 30), (0, 120), (0, 121), (9, 100), (10, 100), (-9, 60), (-60, 0), (-100, -9), (-119, 1)] {
            assert_eq!(times(fine.0, fine.1), Ok(()), "{fine:?}");
        }
        assert_eq!(times(11, 100), Err(AssertionError::Future { ahead: 11 }));
        assert_eq!(times(0, 122), Err(AssertionError::Lifetime(122)));
        assert_eq!(times(-60, -10), Err(AssertionError::Expired { exp: NOW - 10, ago: 10 }));
        assert!(matches!(verify(|c| c["nbf"] = json!(NOW + 60)), Err(AssertionError::Future { ahead: 60 })));
    }

    #[test]
    fn a_slash_more_or_less_is_another_audience() {
        for wrong in [json!("https://test.maskinporten.no"), json!("https://test.maskinporten.no/token"), json!([]), json!(null)]
        {
            assert!(matches!(verify(|c| c["aud"] = wrong.clone()), Err(AssertionError::Audience { .. })), "{wrong}");
        }
    }

    #[test]
    fn wrong_types_name_the_claim() {
        let message = |name: &str, value: Value| match verify(|c| c[name] = value).unwrap_err() {
            AssertionError::Malformed(message) => message,
            other => panic!("{other:?}"),
        };
        assert_eq!(message("iat", json!("now")), "claim iat: expected seconds since 1970");
        assert_eq!(message("exp", json!(1e300)), "claim exp: expected seconds since 1970");
        assert_eq!(message("exp", json!(null)), "claim exp is missing");
        assert_eq!(message("scope", json!(["a:b"])), "claim scope: expected a string");
        assert_eq!(
            message("resource", json!("not a uri")),
            "claim resource: expected an absolute URI such as https://api.example.no"
        );
    }

    #[test]
    fn none_hmac_pss_and_crit_are_refused() {
        let key = key();
        let public = VerifyingKey::from_jwk(&key.public_jwk()).unwrap();
        let claims = json!({"iss": "client-1", "aud": ISSUER, "iat": NOW, "exp": NOW + 120});
        for header in
            [json!({"alg": "none"}), json!({"alg": "HS256"}), json!({"alg": "PS256"}), json!({"alg": "RS256", "crit": ["x"]})]
        {
            let text = key.sign_with_header(&header, &claims).unwrap();
            let assertion = UnverifiedAssertion::parse(&text).unwrap().addressed_to(&ISSUER.parse().unwrap()).unwrap();
            assert!(
                matches!(assertion.verify(&public, NOW, TimeRules::default()), Err(AssertionError::Algorithm(_))),
                "{header}"
            );
        }
    }

    #[test]
    fn the_fingerprint_follows_client_and_jti_or_else_the_text() {
        let print = |change: fn(&mut Value)| verify(change).unwrap().fingerprint();
        assert_eq!(print(|c| c["jti"] = json!("1")), print(|c| (c["jti"], c["exp"]) = (json!("1"), json!(NOW + 60))));
        assert_ne!(print(|c| c["jti"] = json!("1")), print(|c| c["jti"] = json!("2")));
        assert_ne!(print(|c| c["jti"] = json!("1")), print(|c| (c["jti"], c["iss"]) = (json!("1"), json!("client-2"))));
        assert_eq!(print(|_| ()), print(|_| ()));
        assert_ne!(print(|_| ()), print(|c| c["exp"] = json!(NOW + 60)));
    }

    #[test]
    fn a_person_is_not_printed() {
        let shown = format!("{:?}", verify(|c| c["pid"] = json!("10850199405")).unwrap());
        assert!(!shown.contains("10850199405"), "{shown}");
    }

    #[test]
    fn only_a_first_use_becomes_usable() {
        assert!(verify(|_| ()).unwrap().into_unused(true).is_some());
        assert!(verify(|_| ()).unwrap().into_unused(false).is_none());
    }
}
