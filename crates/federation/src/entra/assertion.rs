//! A presented assertion, before anything about it is believed: header, claims and times as Entra reads them.

use serde_json::{Map, Value};
use skybru_protocol::jose::{Algorithm, Jws};

use super::Wording;
use super::error::{EntraError, seven_digits};
use super::request::missing_field;

/// Clocks may differ by this much (E-27). The number is unconfirmed: "about five minutes".
pub(super) const SKEW_SECONDS: i64 = 300;

/// An assertion whose shape Entra accepts. Its signature has not been looked at.
#[derive(Debug, Clone)]
pub struct PresentedAssertion {
    pub(super) jws: Jws,
    pub(super) claims: Map<String, Value>,
    /// The issuer.
    pub issuer: String,
    /// The subject.
    pub subject: String,
    /// The audience: a text, or the only member of a list. Several are kept with commas between, and match nothing.
    pub audience: String,
}

impl PresentedAssertion {
    /// Reads an assertion without comparing its times with a clock.
    pub fn parse(text: &str, wording: Wording) -> Result<Self, EntraError> {
        let malformed = || EntraError::invalid_request("E-40", 50027, "JWT token is invalid or malformed.");
        let jws = Jws::parse(text).map_err(|_| malformed())?;
        check_header(&jws, wording)?;
        let claims: Map<String, Value> = serde_json::from_slice(jws.payload()).map_err(|_| malformed())?;
        let required = |name: &str| match claims.get(name) {
            None | Some(Value::Null) => Err(missing_field(name)),
            Some(value) => Ok(value),
        };
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let issuer = text(required("iss")?).ok_or_else(malformed)?;
        let audience = match required("aud")? {
            Value::String(one) => one.clone(),
            // E-26 is unconfirmed: a list of one counts as the one, more can match no credential, for each has one audience (E-2).
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            _ => return Err(malformed()),
        };
        let subject = text(required("sub")?).ok_or_else(malformed)?;
        required("exp")?;
        for name in ["exp", "nbf", "iat"] {
            if claims.get(name).is_some_and(|value| !value.is_number()) {
                return Err(malformed());
            }
        }
        Ok(Self { jws, claims, issuer, subject, audience })
    }

    /// E-27, E-39.
    pub fn check_times(&self, now: i64) -> Result<(), EntraError> {
        let expiry = self.seconds("exp").unwrap_or_default();
        let from = self.seconds("nbf").or_else(|| self.seconds("iat")).unwrap_or(expiry);
        if now <= expiry.saturating_add(SKEW_SECONDS) && now >= from.saturating_sub(SKEW_SECONDS) {
            return Ok(());
        }
        let text = format!(
            "Client assertion is not within its valid time range. Current time: {}, assertion valid from {}, expiry time of \
             assertion {}. Review the documentation at \
             https://docs.microsoft.com/azure/active-directory/develop/active-directory-certificate-credentials .",
            seven_digits(now),
            seven_digits(from),
            seven_digits(expiry)
        );
        Err(EntraError::invalid_client("E-39", 700_024, text))
    }

    /// A time in whole seconds. A fraction is cut off (unconfirmed; the other clouds refuse it).
    #[expect(clippy::cast_possible_truncation, reason = "a float becomes the nearest integer or the largest")]
    pub fn seconds(&self, name: &str) -> Option<i64> {
        let number = self.claims.get(name)?.as_number()?;
        number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds as i64))
    }

    /// The key id in the header.
    pub fn kid(&self) -> Option<&str> {
        self.jws.header().kid.as_deref()
    }

    /// The algorithm in the header, if it is one that keys are looked up for.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.jws.header().alg.parse().ok()
    }

    /// A claim.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }
}

/// E-20, E-21, E-41 to E-43. `typ` before `alg` is an inference (E-28); that an absent `typ` is taken is unconfirmed.
fn check_header(jws: &Jws, wording: Wording) -> Result<(), EntraError> {
    let header = jws.header();
    if header.typ.as_deref().is_some_and(|typ| typ != "JWT" && typ != "http://openid.net/specs/jwt/1.0") {
        let text = match wording {
            Wording::Current => "Invalid JWT header type specified. Allowed types: 'JWT','http://openid.net/specs/jwt/1.0'",
            Wording::Legacy => "Invalid JWT header type specified, must be 'JWT' or 'http://openid.net/specs/jwt/1.0'.",
        };
        return Err(EntraError::invalid_request("E-42", 5_002_727, text));
    }
    // The only list that was seen on this path, in 2021. The one of 2023, 'RS256,RS384,RS512' with invalid_client, belongs to
    // certificates. HS256 stands in it, and can have no key here: it ends at E-46.
    if !["RS256", "HS256"].contains(&header.alg.as_str()) {
        let alg: String = header.alg.chars().take(40).collect();
        let text = format!(
            "Invalid JWT token. '{alg}' is not a supported signature algorithm. Supported signing algorithms are: 'RS256, HS256'"
        );
        return Err(EntraError::invalid_request("E-41", 5_002_738, text));
    }
    let has_thumbprint = || {
        let header: Map<String, Value> = serde_json::from_slice(jws.header_bytes()).unwrap_or_default();
        header.contains_key("x5t") || header.contains_key("x5t#S256")
    };
    if header.kid.as_deref().is_none_or(str::is_empty) && !has_thumbprint() {
        let text = "Invalid JWT token. No certificate SHA-1 thumbprint, certificate SHA-256 thumbprint, nor keyId specified in \
                    token header.";
        return Err(EntraError::invalid_client("E-43", 5_002_723, text));
    }
    Ok(())
}
