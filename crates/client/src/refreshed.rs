//! A value that is fetched once for all who ask, kept, and renewed a little before it expires.
//!
//! * Many callers at once cause one fetch; all of them get its outcome, good or bad.
//! * From the time of renewal on, one caller fetches while the others go on with the old value.
//! * When a renewal fails, the old value serves until it really expires.
//! * A caller that goes away in the middle of its fetch leaves nothing behind: the next one fetches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::{SignedDuration, Timestamp};
use skybru_core::Ctx;
use tokio::sync::{Mutex, MutexGuard};

use crate::http::fraction;

/// After a failed renewal, the old value serves this long before the next try.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// See the module.
pub(crate) struct Refreshed<T, E> {
    held: RwLock<Option<Held<T>>>,
    /// Fetches that have ended, well or badly.
    ended: AtomicU64,
    /// Held while fetching. Inside: how the last fetch failed, if it did.
    flight: Mutex<Option<E>>,
}

struct Held<T> {
    value: Arc<T>,
    renew_at: Timestamp,
    expires_at: Timestamp,
}

/// What a fetch brings: a value and the times between which it is to be renewed.
pub(crate) struct Fetched<T> {
    pub(crate) value: T,
    pub(crate) renew_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl<T, E: Clone> Refreshed<T, E> {
    pub(crate) fn new() -> Self {
        Self { held: RwLock::new(None), ended: AtomicU64::new(0), flight: Mutex::new(None) }
    }

    /// The value, fetched with `fetch` when there is none or it is time.
    pub(crate) async fn get<F>(&self, ctx: &Ctx, fetch: F) -> Result<Arc<T>, E>
    where
        F: AsyncFnOnce() -> Result<Fetched<T>, E>,
    {
        let seen = self.ended.load(Ordering::Acquire);
        let now = ctx.clock.now();
        match self.look(now) {
            Some((value, false)) => return Ok(value),
            Some((value, true)) => {
                let Ok(flight) = self.flight.try_lock() else { return Ok(value) };
                // Somebody may have renewed it between the look and the lock.
                if let Some((value, false)) = self.look(now) {
                    return Ok(value);
                }
                return match self.fetch(flight, fetch).await {
                    Ok(value) => Ok(value),
                    Err(error) => self.serve_stale(ctx, error),
                };
            }
            None => {}
        }
        let flight = self.flight.lock().await;
        if self.ended.load(Ordering::Acquire) != seen {
            // A fetch ended while this caller waited: its outcome is this caller's too.
            if let Some((value, _)) = self.look(ctx.clock.now()) {
                return Ok(value);
            }
            if let Some(error) = &*flight {
                return Err(error.clone());
            }
        }
        self.fetch(flight, fetch).await
    }

    /// Fetches now, whatever is held; the old value is replaced only on success.
    pub(crate) async fn fresh<F>(&self, fetch: F) -> Result<Arc<T>, E>
    where
        F: AsyncFnOnce() -> Result<Fetched<T>, E>,
    {
        let flight = self.flight.lock().await;
        self.fetch(flight, fetch).await
    }

    /// When the held value expires, for choosing whom to forget.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|held| held.expires_at)
    }

    /// The value if it has not expired, and whether it should be renewed.
    fn look(&self, now: Timestamp) -> Option<(Arc<T>, bool)> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let held = held.as_ref().filter(|held| now < held.expires_at)?;
        Some((held.value.clone(), now >= held.renew_at))
    }

    async fn fetch<F>(&self, mut flight: MutexGuard<'_, Option<E>>, fetch: F) -> Result<Arc<T>, E>
    where
        F: AsyncFnOnce() -> Result<Fetched<T>, E>,
    {
        let outcome = fetch().await.map(|fetched| {
            let value = Arc::new(fetched.value);
            let held = Held { value: value.clone(), renew_at: fetched.renew_at, expires_at: fetched.expires_at };
            *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
            value
        });
        *flight = outcome.as_ref().err().cloned();
        self.ended.fetch_add(1, Ordering::AcqRel);
        outcome
    }

    fn serve_stale(&self, ctx: &Ctx, error: E) -> Result<Arc<T>, E> {
        let now = ctx.clock.now();
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        match held.as_mut().filter(|held| now < held.expires_at) {
            Some(held) => {
                held.renew_at = now.saturating_add(PAUSE).unwrap_or(now);
                Ok(held.value.clone())
            }
            None => Err(error),
        }
    }
}

/// How much is left at least, on average, so that a network that is away for twenty seconds is back before the end.
const LEAST: SignedDuration = SignedDuration::from_secs(45);

/// When to renew something that lives from `from` to `until`: with 15 to 25 % of its life left, but never more than `most` before the
/// end, so that clients that started together do not renew together. What lives for two minutes is renewed about 45 seconds ahead; what
/// lives less than that, in the second half of its life.
pub(crate) fn renewal(ctx: &Ctx, from: Timestamp, until: Timestamp, most: SignedDuration) -> Timestamp {
    let life = until.duration_since(from);
    let share = 0.15 + 0.10 * fraction(&*ctx.randomness);
    let mut ahead = life.mul_f64(share);
    if ahead > most {
        // Keep the jitter: between 60 and 100 % of the most.
        ahead = most.mul_f64(share * 4.0);
    }
    // 75 to 125 % of the least, by the same jitter.
    ahead = ahead.max(LEAST.mul_f64(share * 5.0).min(life / 2));
    until.saturating_sub(ahead).unwrap_or(until)
}

/// A time by another's clock, by ours: as far from the question as it was from the answer over there. A machine whose clock is hours
/// behind must not keep credentials for hours too long.
pub(crate) fn by_our_clock(theirs: Timestamp, their_now: Option<Timestamp>, asked_at: Timestamp) -> Timestamp {
    match their_now {
        Some(their_now) => asked_at.saturating_add(theirs.duration_since(their_now)).unwrap_or(asked_at),
        None => theirs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_two_hours_behind_keeps_nothing_for_too_long() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let (asked_at, their_now) = (at(10_000), at(17_200));
        assert_eq!(by_our_clock(at(20_800), Some(their_now), asked_at), at(13_600), "an hour from now, here as there");
        assert_eq!(by_our_clock(at(20_800), None, asked_at), at(20_800));
    }

    #[test]
    fn renewal_lies_within_the_last_quarter_or_minute_and_differs_from_client_to_client() {
        let at = |seed, life| {
            let (ctx, _) = Ctx::fixed(0, seed);
            let from = Timestamp::UNIX_EPOCH;
            let until = Timestamp::from_second(life).unwrap();
            renewal(&ctx, from, until, SignedDuration::from_mins(5)).as_millisecond()
        };
        for seed in 0..50 {
            assert!((63_000..=87_000).contains(&at(seed, 120)), "{}", at(seed, 120));
            assert!((10_000..=10_000).contains(&at(seed, 20)), "{}", at(seed, 20));
            let hour = at(seed, 3600);
            assert!((3_300_000..=3_420_000).contains(&hour), "{hour}");
        }
        assert_ne!(at(1, 120), at(2, 120));
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_leaves_the_way_free() {
        let (ctx, _) = Ctx::fixed(0, 1);
        let cell = Refreshed::<u32, ()>::new();
        let mut gone = Box::pin(cell.get(&ctx, async || std::future::pending().await));
        assert!(futures_util::poll!(&mut gone).is_pending());
        drop(gone);
        let later = Timestamp::from_second(100).unwrap();
        let value = cell.get(&ctx, async || Ok(Fetched { value: 7, renew_at: later, expires_at: later })).await;
        assert_eq!(*value.unwrap(), 7);
    }
}
