//! What a token says: taken apart, verified against its issuer's published keys, each claim explained in a sentence.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use skybru_core::{Clock, IssuerUrl};
use skybru_protocol::jose::{JwkSet, Jws, JwsError, VerifyingKey};

use crate::http::Http;
use crate::token::IssuerMetadata;

/// A token taken apart. Contains no signature, so it cannot be used as the token.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// The header as sent.
    pub header: Map<String, Value>,
    /// The claims as sent.
    pub claims: Map<String, Value>,
    /// Each claim with a sentence, in the order in which people look for them.
    pub explanations: Vec<Explanation>,
    /// Whether it is valid at this time.
    pub time: Validity,
    /// Whether the issuer signed it.
    pub signature: Signature,
}

/// One claim and what it means.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The claim's name.
    pub claim: String,
    /// Its value.
    pub value: Value,
    /// What it means, in one sentence.
    pub sentence: String,
}

/// Whether a token is valid at this time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Validity {
    /// It is, for so many seconds more.
    Valid {
        /// Seconds until `exp`.
        seconds_left: i64,
    },
    /// It was, so many seconds ago.
    Expired {
        /// Seconds since `exp`.
        seconds_ago: i64,
    },
    /// It will be, in so many seconds; or a clock is wrong.
    NotYet {
        /// Seconds until `iat` or `nbf`.
        seconds_ahead: i64,
    },
    /// It has no `exp`, or none that is a number.
    Unknown,
}

/// Whether the issuer signed a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Signature {
    /// The issuer's key with this id did.
    Verified {
        /// The key.
        kid: String,
        /// The algorithm.
        alg: String,
    },
    /// Not by the key that it names.
    Wrong {
        /// The key.
        kid: String,
    },
    /// The issuer publishes no such key (D-05).
    UnknownKey {
        /// The key that the token names, if it names one.
        kid: Option<String>,
        /// The keys that the issuer publishes.
        published: Vec<String>,
    },
    /// It could not be checked.
    NotChecked {
        /// Why not, with its causes.
        reason: String,
        /// What to do about it, where that is known.
        hint: Option<String>,
    },
}

/// Why a token cannot be taken apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// Not a signed token.
    #[error("this is not a signed token")]
    Shape(#[from] JwsError),
    /// Header or payload is no JSON object.
    #[error("the token's {0} is not a JSON object")]
    NotAnObject(&'static str),
}

impl Inspection {
    /// Takes a token apart and explains it, without asking anybody.
    pub fn offline(token: &str, clock: &dyn Clock) -> Result<Self, InspectError> {
        let jws = Jws::parse(token)?;
        let claims = object(jws.payload(), "payload")?;
        let not_checked = Signature::NotChecked { reason: "the issuer was not asked".to_owned(), hint: None };
        Ok(Self {
            header: object(jws.header_bytes(), "header")?,
            explanations: explain(&claims, clock.unix_seconds()),
            time: validity(&claims, clock.unix_seconds()),
            signature: not_checked,
            claims,
        })
    }

    /// Takes a token apart, explains it, and asks the issuer that it names for its keys.
    ///
    /// The issuer is the token's word: that the signature is verified means that *this* issuer signed it, not that one should trust it.
    pub async fn online(http: &Http, token: &str, clock: &dyn Clock) -> Result<Self, InspectError> {
        let mut inspection = Self::offline(token, clock)?;
        let jws = Jws::parse(token)?;
        inspection.signature = match keys_of(http, &inspection.claims).await {
            Ok(keys) => verify(&jws, &keys),
            Err(not_checked) => not_checked,
        };
        Ok(inspection)
    }

    /// The issuer, if it is a possible one.
    pub fn issuer(&self) -> Option<IssuerUrl> {
        self.claims.get("iss")?.as_str()?.parse().ok()
    }
}

fn object(bytes: &[u8], what: &'static str) -> Result<Map<String, Value>, InspectError> {
    serde_json::from_slice(bytes).map_err(|_| InspectError::NotAnObject(what))
}

async fn keys_of(http: &Http, claims: &Map<String, Value>) -> Result<JwkSet, Signature> {
    let not_checked = |reason: String, hint| Signature::NotChecked { reason, hint };
    let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let issuer: IssuerUrl = issuer.parse().map_err(|e: skybru_core::issuer::IssuerUrlError| not_checked(e.to_string(), None))?;
    let metadata = IssuerMetadata::fetch(http, &issuer).await.map_err(|error| not_checked(with_causes(&error), error.hint()))?;
    let jwks_uri = metadata.jwks_uri.ok_or_else(|| not_checked("the issuer's metadata names no keys".to_owned(), None))?;
    http.get_json(&jwks_uri).await.map_err(|error| not_checked(with_causes(&error), error.hint()))
}

fn verify(jws: &Jws, keys: &JwkSet) -> Signature {
    let header = jws.header();
    let not_checked = |reason: String| Signature::NotChecked { reason, hint: None };
    let Some((kid, key)) = header.kid.as_deref().and_then(|kid| Some((kid, keys.find(kid)?))) else {
        let published = keys.keys.iter().filter_map(|key| key.kid.clone()).collect();
        return Signature::UnknownKey { kid: header.kid.clone(), published };
    };
    let Ok(algorithm) = header.alg.parse() else { return not_checked(format!("algorithm {:?} is not known", header.alg)) };
    let key = match VerifyingKey::from_jwk(key) {
        Ok(key) => key,
        Err(error) => return not_checked(format!("the issuer's key {kid:?} is not usable: {error}")),
    };
    match key.verify(algorithm, jws.signing_input().as_bytes(), jws.signature()) {
        Ok(()) => Signature::Verified { kid: kid.to_owned(), alg: header.alg.clone() },
        Err(_) => Signature::Wrong { kid: kid.to_owned() },
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

fn seconds(claims: &Map<String, Value>, name: &str) -> Option<i64> {
    claims.get(name)?.as_i64()
}

fn validity(claims: &Map<String, Value>, now: i64) -> Validity {
    let Some(exp) = seconds(claims, "exp") else { return Validity::Unknown };
    let start = seconds(claims, "nbf").max(seconds(claims, "iat")).unwrap_or(now);
    if exp <= now {
        Validity::Expired { seconds_ago: now.saturating_sub(exp) }
    } else if start > now {
        Validity::NotYet { seconds_ahead: start.saturating_sub(now) }
    } else {
        Validity::Valid { seconds_left: exp.saturating_sub(now) }
    }
}

/// The claims that people look for, first to last; others follow in the token's order.
const ORDER: [&str; 17] = [
    "iss",
    "consumer",
    "supplier",
    "delegation_source",
    "client_id",
    "client_amr",
    "scope",
    "aud",
    "sub",
    "iat",
    "nbf",
    "exp",
    "pid",
    "authorization_details",
    "token_type",
    "jti",
    "azp",
];

fn explain(claims: &Map<String, Value>, now: i64) -> Vec<Explanation> {
    let known = ORDER.into_iter().filter_map(|name| claims.get_key_value(name));
    let others = claims.iter().filter(|(name, _)| !ORDER.contains(&name.as_str()));
    let explanation = |(name, value): (&String, &Value)| Explanation {
        claim: name.clone(),
        value: value.clone(),
        sentence: sentence(name, value, claims, now),
    };
    known.chain(others).map(explanation).collect()
}

fn sentence(name: &str, value: &Value, claims: &Map<String, Value>, now: i64) -> String {
    let text = value.as_str().unwrap_or_default();
    match name {
        "iss" if text.ends_with('/') => {
            "The issuer; its slash at the end counts, and clouds compare it byte for byte.".to_owned()
        }
        "iss" => "The issuer; clouds compare it byte for byte, without a slash at the end.".to_owned(),
        "consumer" => format!("The organisation that the token is issued for: {}.", party(value)),
        "supplier" => format!("The organisation that acts on the consumer's behalf: {}.", party(value)),
        "delegation_source" => "Who holds the consumer's delegation to the supplier.".to_owned(),
        "client_id" => "The client that asked for the token.".to_owned(),
        "client_amr" => match text {
            "private_key_jwt" => "The client proved itself with a registered key.".to_owned(),
            "virksomhetssertifikat" | "CForESeal" | "QCForESeal" => {
                "The client proved itself with its organisation's certificate.".to_owned()
            }
            _ => "How the client proved itself.".to_owned(),
        },
        "scope" => match text.split_ascii_whitespace().count() {
            1 => "What the token gives access to.".to_owned(),
            count => {
                format!("What the token gives access to: {count} scopes, of which most cloud policies match only one (D-15).")
            }
        },
        "aud" => audience(value),
        "sub" => subject(text, claims),
        "iat" => format!("Issued {}.", moment(value, now)),
        "nbf" => format!("Valid from {}.", moment(value, now)),
        "exp" => format!("Expires {}.", moment(value, now)),
        "pid" => "The person whom the client named; the issuer did not log anybody in.".to_owned(),
        "authorization_details" => "What the token gives access to, in detail.".to_owned(),
        "token_type" => "Whoever holds the token can use it.".to_owned(),
        "jti" => "The token's own number; safe to tell to support.".to_owned(),
        "azp" => "The party that the token was issued to; AWS takes it instead of the audience (A-40).".to_owned(),
        "https://aws.amazon.com/tags" => {
            "Session tags for AWS; the role must allow sts:TagSession, or it lets nobody in (A-76).".to_owned()
        }
        _ => "Not a claim that Maskinporten, Skyporten or the clouds look at.".to_owned(),
    }
}

fn party(value: &Value) -> String {
    let id = value["ID"].as_str().unwrap_or("unknown");
    match id.split_once(':') {
        Some(("0192", number)) => format!("Norwegian organisation number {number}"),
        _ => id.to_owned(),
    }
}

fn audience(value: &Value) -> String {
    match value {
        Value::String(text) if text == "unspecified" => {
            "No audience was asked for; clouds refuse such a token: set resource (D-18).".to_owned()
        }
        Value::String(_) => "Who the token is for; the cloud's identity provider must name exactly this.".to_owned(),
        Value::Array(many) if many.len() == 1 => {
            "Who the token is for; the cloud's identity provider must name exactly this.".to_owned()
        }
        Value::Array(many) => format!("{} audiences; AWS refuses more than one (A-40, D-10).", many.len()),
        _ => "Not an audience: it should be a string.".to_owned(),
    }
}

fn subject(text: &str, claims: &Map<String, Value>) -> String {
    let consumer = claims.get("consumer").and_then(|party| party["ID"].as_str()).unwrap_or_default();
    let scope = claims.get("scope").and_then(Value::as_str).unwrap_or_default();
    if !scope.is_empty() && text == format!("{consumer};{scope}") {
        "The consumer and the scope in one: what AWS and Entra policies must match, character by character.".to_owned()
    } else {
        "Who the token is about: what AWS and Entra policies must match, character by character.".to_owned()
    }
}

/// `2026-09-11 11:48:26 UTC, 40 seconds ago`.
fn moment(value: &Value, now: i64) -> String {
    let Some(second) = value.as_i64() else { return "at a time that is no whole number, which AWS refuses (A-45)".to_owned() };
    let Ok(time) = jiff::Timestamp::from_second(second) else { return "at an impossible time".to_owned() };
    let distance = second.saturating_sub(now);
    let relation = if distance > 0 { "from now" } else { "ago" };
    format!("{}, {} {relation}", time.strftime("%Y-%m-%d %H:%M:%S UTC"), span(distance.unsigned_abs()))
}

fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid { seconds_left } => write!(f, "valid for {} more", span(seconds_left.unsigned_abs())),
            Self::Expired { seconds_ago } => write!(f, "expired {} ago", span(seconds_ago.unsigned_abs())),
            Self::NotYet { seconds_ahead } => write!(f, "not valid for another {}", span(seconds_ahead.unsigned_abs())),
            Self::Unknown => f.write_str("without a readable end"),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verified { kid, alg } => write!(f, "verified with the issuer's key {kid} ({alg})"),
            Self::Wrong { kid } => write!(f, "WRONG: not made by the issuer's key {kid}"),
            Self::UnknownKey { kid: Some(kid), published } => {
                write!(f, "not verified: the issuer does not publish key {kid} (it publishes {})", published.join(", "))
            }
            Self::UnknownKey { kid: None, .. } => f.write_str("not verified: the token does not name its key"),
            Self::NotChecked { reason, .. } => write!(f, "not verified: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use skybru_core::ctx::ManualClock;
    use skybru_protocol::jose::SigningKey;

    fn key() -> SigningKey {
        SigningKey::from_text(include_str!("../../protocol/testdata/rsa2048.jwk"), None).unwrap()
    }

    /// The token that Skyporten documents, with its times in order.
    fn token() -> String {
        let claims = json!({"aud": "https://skyporten.example.no", "sub": "0192:917422575;entur:skyporten.demo",
            "scope": "entur:skyporten.demo", "iss": "https://test.sky.maskinporten.no", "client_amr": "private_key_jwt",
            "token_type": "Bearer", "iat": 1_694_222_211, "exp": 1_694_222_331, "client_id": "abcd1234", "jti": "lwlw",
            "consumer": {"authority": "iso6523-actorid-upis", "ID": "0192:917422575"}, "extra": true});
        key().sign(None, &claims).unwrap()
    }

    #[test]
    fn every_claim_gets_a_sentence() {
        let inspection = Inspection::offline(&token(), &ManualClock::at(1_694_222_251)).unwrap();
        let lines: Vec<String> = inspection.explanations.iter().map(|e| format!("{}: {}", e.claim, e.sentence)).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        iss: The issuer; clouds compare it byte for byte, without a slash at the end.
        consumer: The organisation that the token is issued for: Norwegian organisation number 917422575.
        client_id: The client that asked for the token.
        client_amr: The client proved itself with a registered key.
        scope: What the token gives access to.
        aud: Who the token is for; the cloud's identity provider must name exactly this.
        sub: The consumer and the scope in one: what AWS and Entra policies must match, character by character.
        iat: Issued 2023-09-09 01:16:51 UTC, 40 seconds ago.
        exp: Expires 2023-09-09 01:18:51 UTC, 80 seconds from now.
        token_type: Whoever holds the token can use it.
        jti: The token's own number; safe to tell to support.
        extra: Not a claim that Maskinporten, Skyporten or the clouds look at.
        ");
        assert_eq!(inspection.time, Validity::Valid { seconds_left: 80 });
    }

    #[test]
    fn a_token_of_another_time_says_so() {
        let time = |now| Inspection::offline(&token(), &ManualClock::at(now)).unwrap().time;
        assert_eq!(time(1_694_222_331), Validity::Expired { seconds_ago: 0 });
        assert_eq!(time(1_694_222_201), Validity::NotYet { seconds_ahead: 10 });
        assert_eq!(time(1_694_229_531).to_string(), "expired 2 hours ago");
    }

    #[test]
    fn a_signature_is_the_keys_or_wrong_or_of_an_unknown_key() {
        let token = token();
        let jws = Jws::parse(&token).unwrap();
        let set =
            |kid: &str| JwkSet { keys: vec![skybru_protocol::jose::Jwk { kid: Some(kid.to_owned()), ..key().public_jwk() }] };
        let kid = key().kid().to_string();
        assert_eq!(verify(&jws, &set(&kid)), Signature::Verified { kid: kid.clone(), alg: "RS256".to_owned() });
        let unknown = Signature::UnknownKey { kid: Some(kid.clone()), published: vec!["other".to_owned()] };
        assert_eq!(verify(&jws, &set("other")), unknown);
        let (body, _) = token.rsplit_once('.').unwrap();
        let altered = format!("{body}.AAAA");
        assert_eq!(verify(&Jws::parse(&altered).unwrap(), &set(&kid)), Signature::Wrong { kid });
    }

    #[test]
    fn an_inspection_does_not_contain_the_token() {
        let token = token();
        let inspection = Inspection::offline(&token, &ManualClock::at(0)).unwrap();
        let signature = token.rsplit('.').next().unwrap();
        assert!(!format!("{inspection:?}{}", serde_json::to_string(&inspection).unwrap()).contains(signature));
    }
}
