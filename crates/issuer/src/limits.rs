//! How often one client and one organisation may ask.
//!
//! Only proven requests are counted: somebody who merely names a client must not use up its share. What strangers may cost is bounded
//! where connections are accepted.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use skybru_core::{ClientId, Clock, OrgNumber};

/// Requests a second, each with a burst of twice as many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// For each client; no limit when absent.
    pub client: Option<NonZeroU32>,
    /// For each organisation; no limit when absent.
    pub organisation: Option<NonZeroU32>,
}

/// Whose share is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// The client's.
    Client,
    /// Its organisation's.
    Organisation,
}

impl Limit {
    /// The name in messages and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Organisation => "organisation",
        }
    }
}

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, Time, NoOpMiddleware<Nanos>>;

/// Counts requests. Who has not asked for a while costs no memory after [`RateLimits::forget_idle`].
pub struct RateLimits {
    clients: Option<Limiter<ClientId>>,
    organisations: Option<Limiter<OrgNumber>>,
    time: Time,
}

impl RateLimits {
    /// Limits that go by this clock.
    pub fn new(rates: Rates, clock: Arc<dyn Clock>) -> Self {
        let time = Time(clock);
        let quota =
            |rate: NonZeroU32| Quota::per_second(rate).allow_burst(rate.saturating_mul(NonZeroU32::MIN.saturating_add(1)));
        Self {
            clients: rates.client.map(|rate| Limiter::new(quota(rate), DashMapStateStore::default(), time.clone())),
            organisations: rates.organisation.map(|rate| Limiter::new(quota(rate), DashMapStateStore::default(), time.clone())),
            time,
        }
    }

    /// Counts a request. When it is one too many: whose share is used up, and in how many whole seconds it may come again.
    pub fn check(&self, client: &ClientId, organisation: OrgNumber) -> Result<(), (Limit, u64)> {
        if let Some(limiter) = &self.clients {
            limiter.check_key(client).map_err(|wait| (Limit::Client, self.seconds(&wait)))?;
        }
        if let Some(limiter) = &self.organisations {
            limiter.check_key(&organisation).map_err(|wait| (Limit::Organisation, self.seconds(&wait)))?;
        }
        Ok(())
    }

    /// The same for a request that no one client makes, such as one to the self-service API.
    pub fn check_organisation(&self, organisation: OrgNumber) -> Result<(), u64> {
        let Some(limiter) = &self.organisations else { return Ok(()) };
        limiter.check_key(&organisation).map_err(|wait| self.seconds(&wait))
    }

    fn seconds(&self, wait: &governor::NotUntil<Nanos>) -> u64 {
        wait.wait_time_from(self.time.now()).as_secs() + 1
    }

    /// Forgets those who have their whole share again.
    pub fn forget_idle(&self) {
        if let Some(limiter) = &self.clients {
            limiter.retain_recent();
        }
        if let Some(limiter) = &self.organisations {
            limiter.retain_recent();
        }
    }

    /// How many clients are remembered.
    #[cfg(test)]
    fn remembered(&self) -> usize {
        self.clients.as_ref().map_or(0, governor::RateLimiter::len)
    }
}

/// Our clock, as the library wants one.
#[derive(Clone)]
struct Time(Arc<dyn Clock>);

impl GovernorClock for Time {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let since = self.0.now().duration_since(jiff::Timestamp::UNIX_EPOCH);
        Nanos::from(Duration::try_from(since).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use skybru_core::ctx::ManualClock;

    #[test]
    fn a_client_and_its_organisation_have_a_share_each_that_grows_again() {
        let clock = Arc::new(ManualClock::at(1_800_000_000));
        let rates = Rates { client: NonZeroU32::new(2), organisation: NonZeroU32::new(3) };
        let limits = RateLimits::new(rates, clock.clone());
        let org: OrgNumber = "917422575".parse().unwrap();
        let (one, two): (ClientId, ClientId) = ("one".parse().unwrap(), "two".parse().unwrap());
        for _ in 0..4 {
            limits.check(&one, org).unwrap();
        }
        assert_eq!(limits.check(&one, org), Err((Limit::Client, 1)));
        limits.check(&two, org).unwrap();
        limits.check(&two, org).unwrap();
        assert_eq!(limits.check(&two, org), Err((Limit::Organisation, 1)), "six of one organisation");
        limits.check(&two, "889640782".parse().unwrap()).unwrap();
        clock.advance(SignedDuration::from_secs(1));
        limits.check(&one, org).unwrap();
        limits.check(&one, org).unwrap();
        assert_eq!(limits.check(&one, org), Err((Limit::Client, 1)));
        clock.advance(SignedDuration::from_secs(60));
        limits.forget_idle();
        assert_eq!(limits.remembered(), 0);
    }

    #[test]
    fn without_rates_nothing_is_counted() {
        let limits = RateLimits::new(Rates { client: None, organisation: None }, Arc::new(ManualClock::at(0)));
        for _ in 0..1000 {
            limits.check(&"one".parse().unwrap(), "917422575".parse().unwrap()).unwrap();
        }
        assert_eq!(limits.remembered(), 0);
    }
}
