//! A presented subject token, before anything about it is believed: header, claims and times as Google reads them.

use serde_json::{Map, Value};
use skybru_protocol::jose::{Algorithm, Jws};

use super::StsError;

/// G-23: Google lets clocks differ by about a minute.
pub const SKEW_SECONDS: i64 = 60;

/// A token that can be read. Nothing about it has been checked.
#[derive(Debug, Clone)]
pub struct PresentedToken {
    jws: Jws,
    /// All claims.
    pub claims: Value,
}

impl PresentedToken {
    /// Takes a token apart.
    ///
    /// # Errors
    /// G-43. Google's words for what is no JWT are unconfirmed.
    pub fn parse(text: &str) -> Result<Self, StsError> {
        let malformed = || StsError::grant("G-43", "Unable to parse the ID Token.");
        let jws = Jws::parse(text).map_err(|_| malformed())?;
        if jws.header().crit.is_some() {
            return Err(malformed());
        }
        let claims: Map<String, Value> = serde_json::from_slice(jws.payload()).map_err(|_| malformed())?;
        Ok(Self { jws, claims: Value::Object(claims) })
    }

    /// The algorithm's name in the header.
    pub fn alg(&self) -> &str {
        &self.jws.header().alg
    }

    /// The algorithm, if it is one that Google takes (G-20).
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.alg().parse().ok().filter(|algorithm| matches!(algorithm, Algorithm::RS256 | Algorithm::ES256))
    }

    /// The key id in the header.
    pub fn kid(&self) -> Option<&str> {
        self.jws.header().kid.as_deref()
    }

    /// The `typ` in the header.
    pub fn typ(&self) -> Option<&str> {
        self.jws.header().typ.as_deref()
    }

    pub(crate) fn jws(&self) -> &Jws {
        &self.jws
    }

    /// The issuer.
    pub fn iss(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// All audiences; Google takes the token when one of them fits (G-25).
    pub fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// A time in whole seconds since 1970; `None` when it is absent or anything but an integer.
    pub fn seconds(&self, name: &str) -> Option<i64> {
        self.claims.get(name).and_then(Value::as_i64).filter(|seconds| seconds.unsigned_abs() < 1 << 52)
    }

    /// G-23, G-38: the four ways to be stale have one text.
    pub(crate) fn check_times(&self, now: i64) -> Result<(), StsError> {
        let (iat, exp) = (self.seconds("iat"), self.seconds("exp"));
        let fresh = iat.is_some_and(|iat| iat <= now.saturating_add(SKEW_SECONDS))
            && exp.is_some_and(|exp| exp >= now.saturating_sub(SKEW_SECONDS));
        if fresh {
            return Ok(());
        }
        let shown = self.claims.get("iat").map_or_else(|| "null".to_owned(), ToString::to_string);
        Err(StsError::grant("G-38", format!("ID Token issued at {shown} is stale to sign-in.")))
    }

    /// What `expires_in` says of a token that is exchanged at `now` (G-24).
    ///
    /// Observed: two seconds less than the token has left, at most 3600; nothing said at two seconds; a fault of Google's own at one. A
    /// token that expired 59 seconds ago, within the tolerance, gave 59: the distance. What zero seconds give is unconfirmed and taken
    /// for one.
    pub(crate) fn expires_in(&self, now: i64) -> Result<Option<u32>, StsError> {
        let left = self.seconds("exp").unwrap_or(now).saturating_sub(now);
        if left < 0 {
            return Ok(u32::try_from(left.saturating_neg()).ok());
        }
        match left {
            0 | 1 => Err(StsError { status: 500, ..StsError::new("G-24", "internal_error", "Internal error encountered.") }),
            2 => Ok(None),
            left if left >= 3600 => Ok(Some(3598)),
            left => Ok(u32::try_from(left - 2).ok()),
        }
    }
}
