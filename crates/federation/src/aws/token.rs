//! A presented web identity token, before anything about it is believed: header, claims and times as AWS reads them.

use serde_json::{Map, Value};
use skybru_protocol::jose::{Algorithm, Jws};

use super::AwsError;

/// AWS lets clocks differ by five minutes.
pub(super) const SKEW_SECONDS: i64 = 300;

/// said of everything that is no JWT.
const NOT_A_JWT: &str = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)";

/// The token's times, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the claims")]
pub struct Timestamps {
    pub exp: i64,
    pub iat: i64,
    pub nbf: Option<i64>,
}

/// What the token says about its audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    /// The value that is compared with the provider's client ids: `azp` if the claim is there, else the only `aud`.
    pub value: String,
    /// All of `aud`.
    pub all: Vec<String>,
}

/// A token whose shape AWS accepts. Its signature has not been looked at.
#[derive(Debug, Clone)]
pub struct PresentedToken {
    pub(crate) jws: Jws,
    pub(crate) algorithm: Algorithm,
    pub(crate) claims: Map<String, Value>,
    /// The issuer.
    pub iss: String,
    /// The subject; a number becomes its digits.
    pub sub: String,
    /// The audience.
    pub audience: Audience,
    /// The times.
    pub times: Timestamps,
}

impl PresentedToken {
    /// Reads a token: header, the five required claims, the arity of the audience, the form of the times, and the times against `now`.
    pub fn read(text: &str, now: i64) -> Result<Self, AwsError> {
        let token = Self::parse(text)?;
        token.check_times(now)?;
        Ok(token)
    }

    /// Reads a token without comparing its times with a clock.
    pub fn parse(text: &str) -> Result<Self, AwsError> {
        let not_a_jwt = |rule| AwsError::identity(rule, NOT_A_JWT);
        let jws = Jws::parse(text).map_err(|_| not_a_jwt("A-30"))?;
        if jws.header().crit.is_some() {
            return Err(not_a_jwt("A-31"));
        }
        let algorithm: Algorithm = jws.header().alg.parse().map_err(|_| not_a_jwt("A-30"))?;
        if algorithm.is_ps() {
            return Err(not_a_jwt("A-30"));
        }
        // of repeated members the last one counts, which is what this parser does.
        let claims: Map<String, Value> = serde_json::from_slice(jws.payload()).map_err(|_| not_a_jwt("A-30"))?;
        for name in ["iss", "sub", "aud", "iat", "exp"] {
            if !claims.contains_key(name) {
                return Err(AwsError::identity("A-37", format!("Missing a required claim: {name}")));
            }
        }
        let sub = match &claims["sub"] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(AwsError::new("A-38", "InternalFailure", 500, "Unknown error validating third-party token")),
        };
        let iss = claims["iss"].as_str().ok_or_else(|| not_a_jwt("A-47"))?.to_owned();
        let times = Timestamps {
            exp: seconds(&claims["exp"])?,
            iat: seconds(&claims["iat"])?,
            nbf: claims.get("nbf").map(seconds).transpose()?,
        };
        let audience = audience(&claims)?;
        Ok(Self { jws, algorithm, claims, iss, sub, audience, times })
    }

    /// five minutes either way.
    pub fn check_times(&self, now: i64) -> Result<(), AwsError> {
        let Timestamps { exp, iat, nbf } = self.times;
        if exp < now - SKEW_SECONDS {
            let current = now - SKEW_SECONDS;
            let message = format!("Token expired: current date/time {current} must be before the expiration date/time {exp}");
            return Err(AwsError::new("A-42", "ExpiredTokenException", 400, message));
        }
        if iat > now + SKEW_SECONDS {
            return Err(AwsError::identity("A-43", format!("Token issued in the future: {iat}")));
        }
        if let Some(nbf) = nbf.filter(|nbf| *nbf > now + SKEW_SECONDS) {
            let current = now + SKEW_SECONDS;
            let message = format!(
                "Token not yet valid: current date/time {current} must be after or equal to the not-before date/time {nbf}"
            );
            return Err(AwsError::identity("A-44", message));
        }
        Ok(())
    }

    /// The key id in the header.
    pub fn kid(&self) -> Option<&str> {
        self.jws.header().kid.as_deref()
    }

    /// The algorithm in the header.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The `typ` in the header.
    pub fn typ(&self) -> Option<&str> {
        self.jws.header().typ.as_deref()
    }

    /// A claim.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }
}

///
fn audience(claims: &Map<String, Value>) -> Result<Audience, AwsError> {
    let all: Vec<String> = match &claims["aud"] {
        Value::Array(values) => values.iter().map(text_of).collect(),
        one => vec![text_of(one)],
    };
    if all.is_empty() {
        return Err(AwsError::identity("A-39", "Claim is not allowed to be empty: aud"));
    }
    let value = match (claims.get("azp"), all.as_slice()) {
        (Some(azp), _) => text_of(azp),
        (None, [one]) => one.clone(),
        (None, _) => {
            let message = "Token audience contains more than one audience while authorized party is not present";
            return Err(AwsError::identity("A-40", message));
        }
    };
    Ok(Audience { value, all })
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// an integer, or one in a string.
fn seconds(value: &Value) -> Result<i64, AwsError> {
    let parsed = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    parsed
        .filter(|seconds| seconds.unsigned_abs() < 1 << 52)
        .ok_or_else(|| AwsError::identity("A-45", "Invalid timestamp in token claims."))
}
