//! When a registered key ends: one year after it was posted. The second is noted in the key's own file, as the API tells it.

use jiff::Timestamp;
use serde_json::{Map, Value};

/// From so many days before the end on, people are warned.
pub const WARN_BEFORE_DAYS: i64 = 30;

const DAY: i64 = 24 * 3600;

/// How near the end a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAge {
    /// It has more than [`WARN_BEFORE_DAYS`] days.
    Young,
    /// So many whole days are left.
    Ending {
        /// Days.
        days: i64,
    },
    /// It has ended.
    Ended,
}

/// How near its end the key is at `now`.
pub fn key_age(exp: Timestamp, now: Timestamp) -> KeyAge {
    let left = exp.as_second().saturating_sub(now.as_second());
    match left {
        left if left <= 0 => KeyAge::Ended,
        left if left < WARN_BEFORE_DAYS * DAY => KeyAge::Ending { days: left / DAY },
        _ => KeyAge::Young,
    }
}

/// The JWK with `exp` in it. What is no JWK is given back as it is.
pub(super) fn with_exp(jwk: &str, exp: Option<i64>) -> String {
    match (serde_json::from_str::<Map<String, Value>>(jwk), exp) {
        (Ok(mut members), Some(exp)) => {
            members.insert("exp".to_owned(), exp.into());
            Value::Object(members).to_string()
        }
        _ => jwk.to_owned(),
    }
}

/// The `exp` in a JWK.
pub(super) fn exp_of(jwk: &str) -> Option<Timestamp> {
    let members: Map<String, Value> = serde_json::from_str(jwk).ok()?;
    Timestamp::from_second(members.get("exp")?.as_i64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_told_from_thirty_days_before() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let exp = at(365 * DAY);
        assert_eq!(key_age(exp, at(335 * DAY)), KeyAge::Young);
        assert_eq!(key_age(exp, at(335 * DAY + 1)), KeyAge::Ending { days: 29 });
        assert_eq!(key_age(exp, at(365 * DAY - 1)), KeyAge::Ending { days: 0 });
        assert_eq!(key_age(exp, at(365 * DAY)), KeyAge::Ended);
    }

    #[test]
    fn the_end_is_noted_in_the_file_and_does_no_harm_there() {
        let jwk = include_str!("../../../protocol/testdata/rsa2048.jwk");
        let noted = with_exp(jwk, Some(1_800_000_000));
        assert_eq!(exp_of(&noted), Timestamp::from_second(1_800_000_000).ok());
        let key = |text: &str| skybru_protocol::jose::SigningKey::from_text(text, None).unwrap().public_jwk();
        assert_eq!(key(jwk), key(&noted));
        assert_eq!((exp_of(jwk), exp_of("-----BEGIN PRIVATE KEY-----")), (None, None));
    }
}
