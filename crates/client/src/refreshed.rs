//! A value that is fetched once for all who ask, kept, and renewed a little before it expires.
//!
//! * Many callers at once cause one fetch; all of them get its outcome, good or bad.
//! * From the time of renewal on, one fetch runs behind while all go on with the old value. Who starts it waits for it, but not long: a
//!   network that swallows packets must not hold back a credential that is good.
//! * When a renewal fails or hangs, the old value serves until it really expires.
//! * A caller that goes away in the middle of the first fetch leaves nothing behind: the next one fetches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use skybru_core::Ctx;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tracing::info;

use crate::http::fraction;

/// After a failed renewal, the old value serves this long before the next try.
const PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// How long the caller that starts a renewal waits for it. The SDKs of AWS give an agent one or two seconds.
const PATIENCE: Duration = Duration::from_millis(900);

/// A renewal that takes longer is given up, so that a connection that died without a word is followed by a new one.
const LIMIT: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct Refreshed<T, E> {
    held: RwLock<Option<Held<T>>>,
    /// Fetches that have ended, well or badly.
    ended: AtomicU64,
    /// Held while fetching. Inside: how the last fetch failed, if it did.
    flight: Arc<Mutex<Option<E>>>,
}

struct Held<T> {
    value: Arc<T>,
    renew_at: Timestamp,
    expires_at: Timestamp,
    /// No renewal before this: one has failed.
    paused_until: Timestamp,
}

/// What a fetch brings: a value and the times between which it is to be renewed.
pub(crate) struct Fetched<T> {
    pub(crate) value: T,
    pub(crate) renew_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl<T, E> Refreshed<T, E>
where
    T: Send + Sync + 'static,
    E: Clone + Send + 'static,
{
    pub(crate) fn new() -> Self {
        Self { held: RwLock::new(None), ended: AtomicU64::new(0), flight: Arc::new(Mutex::new(None)) }
    }

    /// The value, fetched with `fetch` when there is none or it is time.
    pub(crate) async fn get<F>(self: &Arc<Self>, ctx: &Ctx, fetch: impl Fn() -> F) -> Result<Arc<T>, E>
    where
        F: Future<Output = Result<Fetched<T>, E>> + Send + 'static,
    {
        self.get_renewed(ctx, |_| false, fetch).await
    }

    /// The same, renewed earlier when the value `is_old` too.
    pub(crate) async fn get_renewed<F>(
        self: &Arc<Self>,
        ctx: &Ctx,
        is_old: impl Fn(&T) -> bool,
        fetch: impl Fn() -> F,
    ) -> Result<Arc<T>, E>
    where
        F: Future<Output = Result<Fetched<T>, E>> + Send + 'static,
    {
        let seen = self.ended.load(Ordering::Acquire);
        if let Some((value, due)) = self.look(ctx.clock.now(), &is_old) {
            if !due {
                return Ok(value);
            }
            if let Ok(flight) = Arc::clone(&self.flight).try_lock_owned() {
                // Somebody may have renewed it between the look and the lock.
                if let Some((value, false)) = self.look(ctx.clock.now(), &is_old) {
                    return Ok(value);
                }
                let renewal = tokio::spawn(Arc::clone(self).renew(ctx.clone(), flight, Box::pin(fetch())));
                // However it ends, what is held now is the answer.
                let _ = tokio::time::timeout(PATIENCE, renewal).await;
            }
            if let Some((value, _)) = self.look(ctx.clock.now(), &is_old) {
                return Ok(value);
            }
        }
        let flight = Arc::clone(&self.flight).lock_owned().await;
        if self.ended.load(Ordering::Acquire) != seen {
            // A fetch ended while this caller waited: its outcome is this caller's too.
            if let Some((value, _)) = self.look(ctx.clock.now(), &is_old) {
                return Ok(value);
            }
            if let Some(error) = &*flight {
                return Err(error.clone());
            }
        }
        // Boxed: what everybody carries about who finds the value here must not be as large as a fetch.
        Box::pin(self.fetch(flight, fetch())).await
    }

    /// Fetches now, whatever is held; the old value is replaced only on success.
    pub(crate) async fn fresh<F>(&self, fetch: F) -> Result<Arc<T>, E>
    where
        F: Future<Output = Result<Fetched<T>, E>>,
    {
        let flight = Arc::clone(&self.flight).lock_owned().await;
        self.fetch(flight, fetch).await
    }

    /// When the held value expires, for choosing whom to forget.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|held| held.expires_at)
    }

    /// The value if it has not expired, and whether it should be renewed.
    fn look(&self, now: Timestamp, is_old: impl Fn(&T) -> bool) -> Option<(Arc<T>, bool)> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let held = held.as_ref().filter(|held| now < held.expires_at)?;
        let due = now >= held.paused_until && (now >= held.renew_at || is_old(&held.value));
        Some((held.value.clone(), due))
    }

    async fn fetch<F>(&self, mut flight: OwnedMutexGuard<Option<E>>, fetch: F) -> Result<Arc<T>, E>
    where
        F: Future<Output = Result<Fetched<T>, E>>,
    {
        let outcome = fetch.await.map(|fetched| {
            let Fetched { value, renew_at, expires_at } = fetched;
            let value = Arc::new(value);
            let held = Held { value: value.clone(), renew_at, expires_at, paused_until: Timestamp::MIN };
            *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
            value
        });
        *flight = outcome.as_ref().err().cloned();
        self.ended.fetch_add(1, Ordering::AcqRel);
        outcome
    }

    /// A fetch behind those who go on with the old value.
    async fn renew<F>(self: Arc<Self>, ctx: Ctx, flight: OwnedMutexGuard<Option<E>>, fetch: F)
    where
        F: Future<Output = Result<Fetched<T>, E>>,
    {
        match tokio::time::timeout(LIMIT, self.fetch(flight, fetch)).await {
            Ok(Ok(_)) => return,
            Ok(Err(_)) => {}
            Err(_) => info!(limit = ?LIMIT, "a renewal was given up: no answer"),
        }
        let now = ctx.clock.now();
        if let Some(held) = self.held.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
            held.paused_until = now.saturating_add(PAUSE).unwrap_or(now);
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

    fn lasting(value: u32, renew_at: i64, expires_at: i64) -> Fetched<u32> {
        let at = |second| Timestamp::from_second(second).unwrap();
        Fetched { value, renew_at: at(renew_at), expires_at: at(expires_at) }
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_leaves_the_way_free() {
        let (ctx, _) = Ctx::fixed(0, 1);
        let cell = Arc::new(Refreshed::<u32, ()>::new());
        let mut gone = Box::pin(cell.get(&ctx, std::future::pending));
        assert!(futures_util::poll!(&mut gone).is_pending());
        drop(gone);
        assert_eq!(*cell.get(&ctx, async || Ok(lasting(7, 100, 100))).await.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_hangs_delays_nobody_and_is_given_up() {
        let (ctx, clock) = Ctx::fixed(0, 1);
        let cell = Arc::new(Refreshed::<u32, ()>::new());
        cell.get(&ctx, async || Ok(lasting(1, 50, 100))).await.unwrap();
        clock.advance(SignedDuration::from_secs(60));
        let begun = tokio::time::Instant::now();
        assert_eq!(*cell.get(&ctx, std::future::pending).await.unwrap(), 1);
        assert!(begun.elapsed() < Duration::from_secs(1), "who starts the renewal waits for less than an SDK does");
        let begun = tokio::time::Instant::now();
        assert_eq!(*cell.get(&ctx, async || panic!("one is under way")).await.unwrap(), 1);
        assert!(begun.elapsed().is_zero(), "the others do not wait at all");
        tokio::time::sleep(LIMIT).await;
        assert_eq!(*cell.get(&ctx, async || panic!("not again at once")).await.unwrap(), 1);
        clock.advance(PAUSE);
        assert_eq!(*cell.get(&ctx, async || Ok(lasting(2, 900, 900))).await.unwrap(), 2, "a new connection, a new value");
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_expires_during_its_renewal_is_not_handed_out() {
        let (ctx, clock) = Ctx::fixed(0, 1);
        let cell = Arc::new(Refreshed::<u32, ()>::new());
        cell.get(&ctx, async || Ok(lasting(1, 50, 100))).await.unwrap();
        clock.advance(SignedDuration::from_secs(99));
        let slow = || {
            let clock = clock.clone();
            async move {
                clock.advance(SignedDuration::from_secs(2));
                tokio::time::sleep(Duration::from_secs(2)).await;
                Ok(lasting(2, 900, 900))
            }
        };
        assert_eq!(*cell.get(&ctx, slow).await.unwrap(), 2);
    }
}
