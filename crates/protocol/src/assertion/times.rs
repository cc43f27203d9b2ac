//! When an assertion counts: clocks that differ, a short life, and how old it may be.

use super::{AssertionClaims, AssertionError};

/// Clocks may differ by this many seconds.
pub const SKEW_SECONDS: i64 = 10;

/// `exp - iat` may be at most this.
pub const MAX_LIFETIME_SECONDS: i64 = 120;

/// Switches of the time rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRules {
    /// Take `exp - iat` of 121 too: clients that read the clock twice produce it.
    pub exp_rounding: bool,
    /// The oldest `iat` that is taken, in seconds.
    pub max_iat_age: i64,
}

impl Default for TimeRules {
    fn default() -> Self {
        Self { exp_rounding: true, max_iat_age: 120 }
    }
}

impl TimeRules {
    /// Holds `exp`, `iat` and `nbf` against `now`, in seconds since 1970.
    pub(super) fn check(self, claims: &AssertionClaims, now: i64) -> Result<(), AssertionError> {
        if claims.exp.saturating_add(SKEW_SECONDS) <= now {
            return Err(AssertionError::Expired { exp: claims.exp, ago: now.saturating_sub(claims.exp) });
        }
        for start in [Some(claims.iat), claims.nbf].into_iter().flatten() {
            if start > now.saturating_add(SKEW_SECONDS) {
                return Err(AssertionError::Future { ahead: start.saturating_sub(now) });
            }
        }
        let lifetime = claims.exp.saturating_sub(claims.iat);
        if lifetime > MAX_LIFETIME_SECONDS + i64::from(self.exp_rounding) {
            return Err(AssertionError::Lifetime(lifetime));
        }
        let age = now.saturating_sub(claims.iat);
        if age > self.max_iat_age.saturating_add(SKEW_SECONDS) {
            return Err(AssertionError::Old { ago: age, allowed: self.max_iat_age });
        }
        Ok(())
    }
}
