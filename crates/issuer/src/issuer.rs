//! One issuer: a URL, a profile, keys, and the registry that it shares with others.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use skybru_core::{Ctx, IssuerUrl};
use skybru_protocol::assertion::TimeRules;
use skybru_protocol::jose::JwkSet;
use skybru_protocol::metadata::DiscoveryDocument;
use skybru_store::{Ledger, LiveRegistry};

use crate::certificates::Certificates;
use crate::compat::Compat;
use crate::delegation::Delegations;
use crate::details::{DetailsRegistry, RegistryDetails};
use crate::health::LastReadiness;
use crate::keys::{Fetches, KeyRing, KeySetProfile, Lifetimes};
use crate::limits::RateLimits;
use crate::metrics::Metrics;
use crate::profile::Profile;
use crate::tally::Tally;

/// What an issuer is told at start.
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// The `iss` of every token, exactly as verifiers will compare it.
    pub url: IssuerUrl,
    /// Which national service it behaves like.
    pub profile: Profile,
    /// Seconds that a token lives when neither client nor scope says otherwise. Maskinporten's is 120.
    pub token_lifetime_seconds: u32,
    /// How strictly an assertion's times are taken.
    pub time_rules: TimeRules,
}

/// The longest life of a token, in seconds, where nobody says otherwise: keys are published for so long after they signed.
pub const LONGEST_TOKEN_SECONDS: u32 = 7200;

/// Verifiers are told to keep the key set for a day, where nobody says otherwise.
const KEY_SET_CACHE: Duration = Duration::from_hours(24);

/// Answers token requests. Cheap to share: everything inside is behind an `Arc` or a lock held briefly.
pub struct Issuer {
    pub(crate) settings: IssuerSettings,
    pub(crate) registry: Arc<LiveRegistry>,
    pub(crate) ledger: Ledger,
    pub(crate) ctx: Ctx,
    pub(crate) compat: Compat,
    pub(crate) certificates: Option<Arc<Certificates>>,
    pub(crate) delegations: Arc<Delegations>,
    pub(crate) details: Arc<dyn DetailsRegistry>,
    keys: RwLock<(Arc<KeyRing>, Instant)>,
    /// Keys that nobody has looked at for so long are not to be relied on; `None` where nobody changes them.
    keys_good_for: Option<Duration>,
    key_set: KeySetProfile,
    pub(crate) key_set_cache: Duration,
    pub(crate) longest_token_seconds: u32,
    fetches: Fetches,
    pub(crate) limits: Option<Arc<RateLimits>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: LastReadiness,
    pub(crate) tally: Tally,
}

impl Issuer {
    /// An issuer over a registry and a ledger of used assertions and of what became of them. Both may serve other issuers too: an
    /// assertion is addressed to one issuer, so one ledger can hold them all.
    pub fn new(
        settings: IssuerSettings,
        keys: KeyRing,
        registry: Arc<LiveRegistry>,
        ledger: impl Into<Ledger>,
        ctx: Ctx,
    ) -> Self {
        let key_set = settings.profile.key_set();
        Self {
            settings,
            ledger: ledger.into(),
            ctx,
            compat: Compat::default(),
            certificates: None,
            delegations: Arc::new(Delegations::built_in(Arc::clone(&registry))),
            details: Arc::new(RegistryDetails(Arc::clone(&registry))),
            registry,
            keys: RwLock::new((Arc::new(keys), Instant::now())),
            keys_good_for: None,
            key_set,
            key_set_cache: KEY_SET_CACHE,
            longest_token_seconds: LONGEST_TOKEN_SECONDS,
            fetches: Fetches::default(),
            limits: None,
            metrics: Metrics::shared(),
            readiness: LastReadiness::default(),
            tally: Tally::default(),
        }
    }

    /// The same with other switches.
    #[must_use]
    pub fn with_compat(self, compat: Compat) -> Self {
        Self { compat, ..self }
    }

    /// The same, taking business certificates of these authorities. Without this no certificate is taken.
    #[must_use]
    pub fn with_certificates(self, certificates: Arc<Certificates>) -> Self {
        Self { certificates: Some(certificates), ..self }
    }

    /// The same, asking others for delegations.
    #[must_use]
    pub fn with_delegations(self, delegations: Arc<Delegations>) -> Self {
        Self { delegations, ..self }
    }

    /// The same, asking another registry for systems and consents.
    #[must_use]
    pub fn with_details(self, details: Arc<dyn DetailsRegistry>) -> Self {
        Self { details, ..self }
    }

    /// The same, answering each client and organisation only so often. Issuers that share limits count together.
    #[must_use]
    pub fn with_limits(self, limits: Arc<RateLimits>) -> Self {
        Self { limits: Some(limits), ..self }
    }

    /// The same, counting here.
    #[must_use]
    pub fn with_metrics(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics, ..self }
    }

    /// The same, with another key set than the profile's own: for verifiers that need more, or choke on what it has.
    #[must_use]
    pub fn with_key_set(self, key_set: KeySetProfile) -> Self {
        Self { key_set, ..self }
    }

    /// The same, telling verifiers to keep the key set for so long, and giving no token a longer life than this: what the rules by which
    /// keys come and go rest on.
    #[must_use]
    pub fn with_lifetimes(self, lifetimes: Lifetimes) -> Self {
        let seconds = u32::try_from(lifetimes.token.as_secs()).unwrap_or(LONGEST_TOKEN_SECONDS).max(1);
        Self { key_set_cache: lifetimes.cache.unsigned_abs(), longest_token_seconds: seconds, ..self }
    }

    /// The same, answering neither tokens nor key sets when nobody has given it keys for so long: a node that cannot look at the keys any
    /// more would sign with one that the others have taken away, and publish a set without the one that they sign with.
    #[must_use]
    pub fn with_keys_good_for(self, time: Duration) -> Self {
        Self { keys_good_for: Some(time), ..self }
    }

    /// The `iss` of its tokens.
    pub fn url(&self) -> &IssuerUrl {
        &self.settings.url
    }

    /// Its profile.
    pub fn profile(&self) -> Profile {
        self.settings.profile
    }

    /// The discovery document.
    pub fn metadata(&self) -> DiscoveryDocument {
        self.settings.profile.metadata(&self.settings.url)
    }

    /// The key set as published now.
    pub fn key_set(&self) -> JwkSet {
        self.keys().published(self.key_set).clone()
    }

    /// Who has fetched the key set.
    pub fn fetches(&self) -> &Fetches {
        &self.fetches
    }

    /// The keys in use now.
    pub fn keys(&self) -> Arc<KeyRing> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Signs and publishes with these keys from now on.
    pub fn replace_keys(&self, keys: KeyRing) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = (Arc::new(keys), Instant::now());
    }

    /// Whether the keys were looked at too long ago.
    pub(crate) fn has_old_keys(&self) -> bool {
        let Some(time) = self.keys_good_for else { return false };
        self.keys.read().unwrap_or_else(PoisonError::into_inner).1.elapsed() > time
    }
}
