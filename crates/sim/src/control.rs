//! Control of a running simulator: its clock, how slowly changes spread, and faults (S-21).
//!
//! Every simulator answers `GET` and `PUT /_skybru/control` with this page's JSON, to the owner of the account alone. What a `PUT`
//! leaves out goes back to normal.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use skybru_core::Ctx;
use skybru_core::ctx::ShiftedClock;

use crate::FetchFault;

/// Where it is found.
pub const CONTROL_PATH: &str = "/_skybru/control";

/// What can be controlled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlSettings {
    /// How far the cloud's clock is ahead of the real one; behind, when negative.
    pub clock_shift_seconds: i64,
    /// How long a change of who may do what is not yet in force everywhere.
    pub propagation_delay_seconds: u32,
    /// How many exchanges Google's STS takes in a minute before it throttles (G-42); 0 for any number. The other clouds do not look at it.
    pub exchanges_per_minute: u32,
    /// How every fetch of an issuer's documents fails.
    pub fetch_fault: Option<FetchFault>,
    /// No credentials live longer than this, whatever was asked for: for tests of renewal. The real clouds give no less than minutes.
    pub credential_seconds: Option<u32>,
}

/// A body that does not say what to control.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It is no JSON of that shape.
    #[error("the control settings cannot be read")]
    Unreadable(#[from] serde_json::Error),
    /// A member has a value that makes no sense.
    #[error("{member} is {found}: expected {expected}")]
    OutOfRange {
        /// Its name.
        member: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: i64,
    },
}

/// A hundred years: further away no clock, and no token, can be.
const FARTHEST_SECONDS: i64 = 100 * 365 * 24 * 60 * 60;
/// A day: longer no change spreads, and no simulated role gives credentials.
const DAY_SECONDS: i64 = 24 * 60 * 60;

impl ControlSettings {
    /// Whether every member has a sensible value.
    ///
    /// # Errors
    /// Names the first member that has not, and what it may be.
    pub fn check(&self) -> Result<(), ControlError> {
        let within = |member, found: i64, smallest: i64, largest: i64, expected| {
            if (smallest..=largest).contains(&found) { Ok(()) } else { Err(ControlError::OutOfRange { member, expected, found }) }
        };
        let shift = self.clock_shift_seconds;
        within("clock_shift_seconds", shift, -FARTHEST_SECONDS, FARTHEST_SECONDS, "seconds within a hundred years of now")?;
        let delay = self.propagation_delay_seconds.into();
        within("propagation_delay_seconds", delay, 0, DAY_SECONDS, "0 to 86400 seconds, a day")?;
        let exchanges = self.exchanges_per_minute.into();
        within("exchanges_per_minute", exchanges, 0, 1_000_000, "0 (any number) to 1000000")?;
        // Credentials of no time would be dead at birth; without a bound the member is left out.
        let longest = self.credential_seconds.map_or(1, i64::from);
        within("credential_seconds", longest, 1, DAY_SECONDS, "1 to 86400 seconds, or nothing at all for no bound")
    }
}

/// The settings in force, and the clock that they move.
pub struct Control {
    settings: Mutex<ControlSettings>,
    clock: Arc<ShiftedClock>,
}

impl Control {
    /// Normal settings, and the context whose clock they move.
    pub fn new(ctx: &Ctx) -> (Self, Ctx) {
        let clock = Arc::new(ShiftedClock::new(Arc::clone(&ctx.clock)));
        let moved = Ctx::new(clock.clone(), Arc::clone(&ctx.randomness));
        (Self { settings: Mutex::default(), clock }, moved)
    }

    /// What is in force.
    pub fn settings(&self) -> ControlSettings {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts settings in force.
    pub fn set(&self, settings: ControlSettings) {
        self.clock.shift(SignedDuration::from_secs(settings.clock_shift_seconds));
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// Puts in force what a request's body says.
    pub fn set_from(&self, body: &[u8]) -> Result<ControlSettings, ControlError> {
        let settings: ControlSettings = serde_json::from_slice(body)?;
        settings.check()?;
        self.set(settings);
        Ok(settings)
    }

    /// When credentials that are made `now` end, which should end at `expires` (both in seconds since 1970).
    pub fn ends(&self, now: i64, expires: i64) -> i64 {
        self.settings().credential_seconds.map_or(expires, |longest| expires.min(now.saturating_add(i64::from(longest))))
    }

    /// How long a change is not yet in force.
    pub fn propagation_delay(&self) -> Duration {
        Duration::from_secs(self.settings().propagation_delay_seconds.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_cut_short_when_asked() {
        let (control, _) = Control::new(&Ctx::fixed(0, 1).0);
        assert_eq!(control.ends(100, 3_700), 3_700);
        control.set_from(br#"{"credential_seconds": 60}"#).unwrap();
        assert_eq!((control.ends(100, 3_700), control.ends(100, 130)), (160, 130));
    }

    #[test]
    fn a_value_that_makes_no_sense_is_refused_by_name_and_changes_nothing() {
        let (control, _) = Control::new(&Ctx::fixed(0, 1).0);
        control.set_from(br#"{"credential_seconds": 60}"#).unwrap();
        for (body, message) in [
            (
                r#"{"credential_seconds": 0}"#,
                "credential_seconds is 0: expected 1 to 86400 seconds, or nothing at all for no bound",
            ),
            (r#"{"propagation_delay_seconds": 90000}"#, "propagation_delay_seconds is 90000: expected 0 to 86400 seconds, a day"),
            (r#"{"exchanges_per_minute": 4000000000}"#, "exchanges_per_minute is 4000000000: expected 0 (any number) to 1000000"),
            (
                r#"{"clock_shift_seconds": -9223372036854775808}"#,
                "clock_shift_seconds is -9223372036854775808: expected seconds within a hundred years of now",
            ),
            (r#"{"credential_seconds": -1}"#, "the control settings cannot be read"),
            (r#"{"fetch_fault": "sometimes"}"#, "the control settings cannot be read"),
        ] {
            assert_eq!(control.set_from(body.as_bytes()).unwrap_err().to_string(), message);
            assert_eq!(control.settings().credential_seconds, Some(60), "{body}");
        }
    }

    #[test]
    fn what_is_left_out_goes_back_to_normal() {
        let (ctx, _) = Ctx::fixed(1_000, 1);
        let (control, moved) = Control::new(&ctx);
        control.set_from(br#"{"clock_shift_seconds": 600, "fetch_fault": "timeout"}"#).unwrap();
        assert_eq!(moved.clock.unix_seconds(), 1_600);
        assert_eq!(control.settings().fetch_fault, Some(FetchFault::Timeout));
        control.set_from(b"{}").unwrap();
        assert_eq!((moved.clock.unix_seconds(), control.settings()), (1_000, ControlSettings::default()));
        assert!(control.set_from(br#"{"clock": 1}"#).is_err());
    }
}
