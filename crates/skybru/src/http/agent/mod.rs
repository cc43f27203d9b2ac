//! The agent: tokens and credentials for the programs of this machine or pod, from one cache, in the shapes that texas and each cloud's
//! libraries ask for.
//!
//! Who may ask: whoever can reach the address, which is loopback or a socket of mode 0600. A browser can reach loopback too, so requests
//! that a page or a proxy made are refused: a `Host` that is not ours, an `Origin`, a `Sec-Fetch-Site`, an `X-Forwarded-For`. What a
//! library can send is asked for besides: AWS and Azure the authorization token that only the agent's own user can read, Google its
//! `Metadata-Flavor`. No answer is a redirect.

mod aws;
mod azure;
mod front;
mod google;
mod known;
mod listener;
mod measure;
mod oauth;
mod texas;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CACHE_CONTROL, FORWARDED, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use skybru_client::aws::AwsCredentialSource;
use skybru_client::azure::AzureCredentialSource;
use skybru_client::google::GoogleCredentialSource;
use skybru_client::introspect::Introspector;
use skybru_client::token::{TokenRequest, TokenSource};
use skybru_core::{Clock, Secret};

pub(crate) use front::Front;
pub(crate) use listener::Listener;
pub(crate) use measure::Measures;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The longest body that is read, in bytes.
const LARGEST: usize = 64 * 1024;

/// How long the log is silent about a target after it told of it.
const SILENCE: SignedDuration = SignedDuration::from_mins(1);

/// One of `clients` in the settings.
pub(crate) struct AgentClient {
    pub(crate) tokens: Arc<TokenSource>,
    pub(crate) introspector: Introspector,
}

/// The tokens of a target.
#[derive(Clone)]
pub(crate) struct TargetTokens {
    pub(crate) tokens: Arc<TokenSource>,
    pub(crate) request: TokenRequest,
}

/// A program that only knows client credentials.
pub(crate) struct LocalClient {
    pub(crate) secret: Secret,
    /// What it may have.
    pub(crate) tokens: TargetTokens,
}

/// What the agent hands out, by the settings of now.
#[derive(Default)]
pub(crate) struct Served {
    /// By the name that a request calls its identity provider.
    pub(crate) clients: BTreeMap<String, Arc<AgentClient>>,
    /// By the target's name.
    pub(crate) aws: BTreeMap<String, Arc<AwsCredentialSource>>,
    /// By the target's name.
    pub(crate) google: BTreeMap<String, Arc<GoogleCredentialSource>>,
    /// By the target's name.
    pub(crate) azure: BTreeMap<String, Arc<AzureCredentialSource>>,
    /// The target that stands for the machine's own Google identity.
    pub(crate) machine_google: Option<String>,
    /// The target that stands for the machine's own Azure identity.
    pub(crate) machine_azure: Option<String>,
    /// By the client id that they present.
    pub(crate) local_clients: BTreeMap<String, Arc<LocalClient>>,
    /// Requests that were understood before.
    pub(crate) known: known::Known,
}

/// The agent.
pub(crate) struct Agent {
    /// Replaced as a whole when the settings are read again.
    pub(crate) served: ArcSwap<Served>,
    /// What a request for AWS's or Azure's credentials must carry.
    pub(crate) authorization: Secret,
    /// `Host` headers that mean us; empty on a socket, which no browser reaches.
    pub(crate) hosts: Vec<String>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) measures: Measures,
    pub(crate) said: Said,
}

/// When it was said last, by target, that a library got no credentials.
#[derive(Default)]
pub(crate) struct Said(Mutex<BTreeMap<String, Timestamp>>);

impl Said {
    /// Whether it is time to say it again. Libraries ask in bursts.
    fn is_due(&self, target: &str, now: Timestamp) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = said.get(target).is_none_or(|last| now.duration_since(*last) >= SILENCE);
        if due {
            said.insert(target.to_owned(), now);
        }
        due
    }
}

impl Agent {
    /// An error with its causes and hint, for a library that shows it to its user. Some do not (AWS's for Node and Java tell of no more
    /// than a chain that failed), so it goes to the log too.
    fn told(&self, target: &str, error: impl std::error::Error + Send + Sync + 'static) -> String {
        let text = crate::report::on_one_line(&error.into());
        if self.said.is_due(target, self.clock.now()) {
            tracing::warn!(asked_for = target, "{text}");
        }
        text
    }
}

/// All paths.
pub(crate) fn routes(agent: Arc<Agent>) -> Front {
    let others = Router::new()
        .route(front::TOKEN, post(texas::token))
        .route("/api/v1/token/exchange", post(texas::exchange))
        .route("/api/v1/introspect", post(texas::introspect))
        .route("/oauth/token", post(oauth::token))
        .route("/aws/{target}", get(aws::credentials))
        .route("/google/{target}/subject-token", get(google::subject_token))
        .route("/google/{target}/computeMetadata/v1/{*path}", get(google::metadata_of))
        .route("/computeMetadata/v1/", get(google::top))
        .route("/computeMetadata/v1/{*path}", get(google::metadata))
        .route("/azure/{target}/msi", get(azure::app_service))
        .route("/azure/{target}/metadata/identity/oauth2/token", get(azure::instance_of))
        .route("/metadata/identity/oauth2/token", get(azure::instance))
        .layer(from_fn_with_state(agent.clone(), only_programs_of_this_machine))
        .layer(from_fn_with_state(agent.clone(), measure::measured))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(agent.clone())
        .merge(probes(agent.clone()));
    Front::new(agent, others)
}

/// Health and metrics only: safe for a network that probes from outside.
pub(crate) fn probes(agent: Arc<Agent>) -> Router {
    Router::new()
        .route("/", get(alive))
        .route("/healthz", get(alive))
        .route("/health/live", get(alive))
        .route("/health/ready", get(alive))
        .route("/metrics", get(measure::metrics))
        .with_state(agent)
}

/// Google's libraries tell a metadata server by the header, and ask no more than `/` for it.
async fn alive() -> Response {
    ([("metadata-flavor", "Google")], Json(json!({"status": "UP"}))).into_response()
}

async fn only_programs_of_this_machine(State(agent): State<Arc<Agent>>, request: Request, next: Next) -> Response {
    match agent.stranger(request.headers()) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}

impl Agent {
    /// The answer to a page, to a proxy, and to whoever means another host.
    fn stranger(&self, headers: &HeaderMap) -> Option<Response> {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let foreign = !self.hosts.is_empty() && !self.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host));
        let page = headers.contains_key(ORIGIN) || headers.contains_key(SEC_FETCH_SITE);
        let forwarded = headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(FORWARDED);
        (foreign || page || forwarded)
            .then(|| refuse(StatusCode::FORBIDDEN, "invalid_request", "this address is for programs of this machine"))
    }
}

fn refuse(status: StatusCode, error: &str, description: &str) -> Response {
    let body = Json(json!({"error": error, "error_description": description}));
    (status, [(CACHE_CONTROL, "no-store")], body).into_response()
}

fn no_store(body: Value) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
