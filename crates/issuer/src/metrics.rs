//! What can be counted, for Prometheus.
//!
//! Labels come from closed sets: never a client, an organisation or a scope. Who asked for what stands in the audit log.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// How a token request ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    profile: &'static str,
    code: &'static str,
}

/// Whose share was used up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limited {
    limit: &'static str,
}

/// Where a key stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

/// The counters of one process.
pub struct Metrics {
    registry: Registry,
    requests: Family<Outcome, Counter>,
    duration: Histogram,
    limited: Family<Limited, Counter>,
    key_set_fetches: Counter,
    keys: Family<InState, Gauge<i64, AtomicI64>>,
    key_age: Gauge<f64, AtomicU64>,
    key_errors: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("skybru");
        let requests = Family::<Outcome, Counter>::default();
        let duration = Histogram::new(exponential_buckets(0.0005, 2.0, 14));
        let limited = Family::<Limited, Counter>::default();
        let key_set_fetches = Counter::default();
        let keys = Family::<InState, Gauge<i64, AtomicI64>>::default();
        let key_age = Gauge::<f64, AtomicU64>::default();
        let key_errors = Counter::default();
        registry.register("build", "The running skybru", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let issuer = registry.sub_registry_with_prefix("issuer");
        issuer.register("token_requests", "Token requests, by profile and by the code they were answered with", requests.clone());
        issuer.register_with_unit("token_duration", "From request to answer", Unit::Seconds, duration.clone());
        issuer.register("limited_requests", "Requests refused because a share was used up", limited.clone());
        issuer.register("key_set_fetches", "How often the key set was fetched", key_set_fetches.clone());
        issuer.register("keys", "Signing keys, by state", keys.clone());
        issuer.register_with_unit("active_key_age", "How long the key that signs has signed", Unit::Seconds, key_age.clone());
        issuer.register("key_errors", "How often the signing keys could not be looked at", key_errors.clone());
        Self { registry, requests, duration, limited, key_set_fetches, keys, key_age, key_errors }
    }
}

impl Metrics {
    /// Counters that issuers share.
    pub fn shared() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// A token request was answered: `code` is `issued`, or the OAuth code of the refusal.
    pub fn token(&self, profile: &'static str, code: &'static str, took: Duration) {
        self.requests.get_or_create(&Outcome { profile, code }).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// A request was one too many.
    pub fn limited(&self, limit: &'static str) {
        self.limited.get_or_create(&Limited { limit }).inc();
    }

    /// Somebody fetched the key set.
    pub fn key_set_fetched(&self) {
        self.key_set_fetches.inc();
    }

    /// How many keys there are, and for how many seconds the active one has signed.
    pub fn keys(&self, states: [(&'static str, i64); 3], active_for: f64) {
        for (state, count) in states {
            self.keys.get_or_create(&InState { state }).set(count);
        }
        self.key_age.set(active_for);
    }

    /// The signing keys could not be looked at.
    pub fn key_error(&self) {
        self.key_errors.inc();
    }

    /// All of it, in the text format that Prometheus reads.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_are_these() {
        let metrics = Metrics::default();
        metrics.token("skyporten", "issued", Duration::from_millis(3));
        metrics.token("skyporten", "invalid_grant", Duration::from_millis(1));
        metrics.limited("client");
        metrics.key_set_fetched();
        metrics.keys([("prepared", 0), ("active", 1), ("retiring", 2)], 60.0);
        metrics.key_error();
        let text = metrics.text();
        for line in [
            r#"skybru_issuer_token_requests_total{profile="skyporten",code="issued"} 1"#,
            r#"skybru_issuer_token_requests_total{profile="skyporten",code="invalid_grant"} 1"#,
            "skybru_issuer_token_duration_seconds_count 2",
            r#"skybru_issuer_limited_requests_total{limit="client"} 1"#,
            "skybru_issuer_key_set_fetches_total 1",
            r#"skybru_issuer_keys{state="retiring"} 2"#,
            "skybru_issuer_active_key_age_seconds 60",
            "skybru_issuer_key_errors_total 1",
            "skybru_build_info{",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
