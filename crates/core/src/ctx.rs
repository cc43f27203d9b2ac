//! Time and randomness as arguments, so that every test is repeatable.
//!
//! The real clock is read in one place, in the binary. Everything else takes a [`Ctx`].

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The only way to learn the time.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Whole seconds since 1970, as tokens carry them.
    fn unix_seconds(&self) -> i64 {
        self.now().as_second()
    }
}

/// The only way to get unpredictable bytes.
pub trait Randomness: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// What an operation needs from outside: a clock and randomness. Cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives unpredictable bytes.
    pub randomness: Arc<dyn Randomness>,
}

impl Ctx {
    /// A context of this clock and this randomness.
    pub fn new(clock: Arc<dyn Clock>, randomness: Arc<dyn Randomness>) -> Self {
        Self { clock, randomness }
    }

    /// A context for tests: the given second, and bytes that follow from `seed`.
    pub fn fixed(unix_seconds: i64, seed: u64) -> (Self, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(unix_seconds));
        (Self::new(clock.clone(), Arc::new(SeededRandomness::new(seed))), clock)
    }
}

/// A clock that stands still until somebody moves it.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that shows this second.
    ///
    /// # Panics
    /// If the second lies outside what [`Timestamp`] can hold (the years -9999 to 9999).
    pub fn at(unix_seconds: i64) -> Self {
        Self(Mutex::new(Timestamp::from_second(unix_seconds).expect("a second within the calendar")))
    }

    /// Moves the clock, forwards or back.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_add(by).unwrap_or(*now);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Another clock, moved by an amount that can be changed while it runs: for simulators, so that a token can be made to expire.
pub struct ShiftedClock {
    base: Arc<dyn Clock>,
    by: Mutex<SignedDuration>,
}

impl ShiftedClock {
    /// The same time as `base`, until [`ShiftedClock::shift`].
    pub fn new(base: Arc<dyn Clock>) -> Self {
        Self { base, by: Mutex::new(SignedDuration::ZERO) }
    }

    /// From now on this clock is `by` ahead of its base (behind, when negative).
    pub fn shift(&self, by: SignedDuration) {
        *self.by.lock().unwrap_or_else(PoisonError::into_inner) = by;
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        let now = self.base.now();
        let by = *self.by.lock().unwrap_or_else(PoisonError::into_inner);
        now.saturating_add(by).unwrap_or(now)
    }
}

/// Bytes that follow from a seed. For tests only: whoever knows the seed knows the bytes.
pub struct SeededRandomness(Mutex<ChaCha20Rng>);

impl SeededRandomness {
    /// The stream that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(ChaCha20Rng::seed_from_u64(seed)))
    }
}

impl Randomness for SeededRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(1_694_222_211);
        assert_eq!(clock.unix_seconds(), clock.unix_seconds());
        clock.advance(SignedDuration::from_secs(-11));
        assert_eq!(clock.unix_seconds(), 1_694_222_200);
    }

    #[test]
    fn a_shifted_clock_follows_its_base() {
        let base = Arc::new(ManualClock::at(1_000));
        let shifted = ShiftedClock::new(base.clone());
        shifted.shift(SignedDuration::from_secs(600));
        base.advance(SignedDuration::from_secs(1));
        assert_eq!(shifted.unix_seconds(), 1_601);
    }
}
