//! What the agent counts, in the form that Prometheus reads.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::Agent;
use super::front::TOKEN;

/// Which path, and how it ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    path: String,
    status: u16,
}

/// Whose key.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Client {
    client: String,
}

/// The agent's own numbers.
pub(crate) struct Measures {
    registry: Registry,
    requests: Family<Labels, Counter>,
    /// Of `requests`, the one that counts tokens handed out: looked up once.
    tokens: Counter,
    seconds: Histogram,
    key_ends: Family<Client, Gauge>,
    /// When the settings were read last, in Unix seconds.
    pub(crate) loaded: Gauge,
    /// How often reading them again failed.
    pub(crate) failed_reloads: Counter,
}

impl Measures {
    /// All at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("skybru_agent");
        let (requests, loaded, failed_reloads) = (Family::default(), Gauge::default(), Counter::default());
        // From a tenth of a millisecond, which a cached token takes, to what a whole exchange takes.
        let seconds = Histogram::new([0.0001, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0]);
        registry.register("requests", "Requests by path and status", Family::clone(&requests));
        registry.register_with_unit("request_duration", "Time to answer", Unit::Seconds, seconds.clone());
        registry.register_with_unit("settings_loaded", "When the settings were read last", Unit::Seconds, Gauge::clone(&loaded));
        registry.register("failed_reloads", "How often the settings could not be read again", Counter::clone(&failed_reloads));
        let key_ends = Family::default();
        let help = "When the registration of a client's key ends, as noted in its file";
        registry.register_with_unit("client_key_ends", help, Unit::Seconds, Family::clone(&key_ends));
        let tokens = requests.get_or_create_owned(&Labels { path: TOKEN.to_owned(), status: StatusCode::OK.as_u16() });
        Self { registry, requests, tokens, seconds, key_ends, loaded, failed_reloads }
    }

    /// Notes how a request for a token ended, and after how long.
    pub(super) fn token_asked(&self, status: StatusCode, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
        if status == StatusCode::OK {
            self.tokens.inc();
        } else {
            self.requests.get_or_create(&Labels { path: TOKEN.to_owned(), status: status.as_u16() }).inc();
        }
    }

    /// Notes when a client's key ends, in Unix seconds.
    pub(crate) fn key_ends(&self, client: &str, second: i64) {
        self.key_ends.get_or_create(&Client { client: client.to_owned() }).set(second);
    }
}

pub(super) async fn measured(State(agent): State<Arc<Agent>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let started = tokio::time::Instant::now();
    let response = next.run(request).await;
    agent.measures.seconds.observe(started.elapsed().as_secs_f64());
    agent.measures.requests.get_or_create(&Labels { path, status: response.status().as_u16() }).inc();
    response
}

pub(super) async fn metrics(State(agent): State<Arc<Agent>>) -> Response {
    let mut text = String::new();
    // Writing into a string does not fail.
    let _ = encode(&mut text, &agent.measures.registry);
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
