//! The agent: tokens and credentials for the programs of this machine or pod, from one cache.
//!
//! Who may ask: whoever can reach the address, which is loopback or a socket of mode 0600. A browser can reach loopback too, so requests
//! that a page or a proxy made are refused: a `Host` that is not ours, an `Origin`, a `Sec-Fetch-Site`, an `X-Forwarded-For`. Cloud
//! credentials also need the authorization token that only the agent's own user can read.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use skybru_client::aws::AwsCredentialSource;
use skybru_client::introspect::{Introspection, Introspector};
use skybru_client::token::{TokenError, TokenRequest, TokenSource};
use skybru_core::{Clock, Secret};

use super::container::aws_answer;

/// One of `clients` in the settings.
pub(crate) struct AgentClient {
    pub(crate) tokens: Arc<TokenSource>,
    pub(crate) introspector: Introspector,
}

/// What the agent hands out.
pub(crate) struct Agent {
    /// By the name that a request calls its identity provider.
    pub(crate) clients: BTreeMap<String, Arc<AgentClient>>,
    /// By the target's name.
    pub(crate) aws: BTreeMap<String, Arc<AwsCredentialSource>>,
    /// What a request for cloud credentials must carry.
    pub(crate) authorization: Secret,
    /// `Host` headers that mean us; empty on a socket, which no browser reaches.
    pub(crate) hosts: Vec<String>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// All paths.
pub(crate) fn routes(agent: Arc<Agent>) -> Router {
    Router::new()
        .route("/api/v1/token", post(token))
        .route("/api/v1/introspect", post(introspect))
        .route("/aws/{target}", get(aws))
        .layer(axum::middleware::from_fn_with_state(agent.clone(), only_programs_of_this_machine))
        .layer(DefaultBodyLimit::max(64 * 1024))
        .route("/", get(alive))
        .route("/healthz", get(alive))
        .route("/health/live", get(alive))
        .route("/health/ready", get(alive))
        .with_state(agent)
}

async fn alive() -> Json<Value> {
    Json(json!({"status": "UP"}))
}

async fn only_programs_of_this_machine(State(agent): State<Arc<Agent>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let foreign = !agent.hosts.is_empty() && !agent.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host));
    let page = headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site");
    let forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
    if foreign || page || forwarded {
        return refuse(StatusCode::FORBIDDEN, "invalid_request", "this address is for programs of this machine");
    }
    next.run(request).await
}

fn refuse(status: StatusCode, error: &str, description: &str) -> Response {
    let body = Json(json!({"error": error, "error_description": description}));
    (status, [(CACHE_CONTROL, "no-store")], body).into_response()
}

/// A token request as texas takes it, and more: `resource` may be a list, `identity_provider` any client of the settings.
#[derive(Debug, Deserialize)]
struct TokenBody {
    identity_provider: String,
    target: String,
    #[serde(default)]
    resource: Option<OneOrMany>,
    #[serde(default)]
    authorization_details: Option<Value>,
    #[serde(default)]
    skip_cache: Option<Flag>,
    #[serde(default)]
    consumer_org: Option<String>,
}

/// JSON has a list, a form has one text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// JSON has `true`, a form has the text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Text(String),
}

#[derive(Debug, Deserialize)]
struct IntrospectBody {
    identity_provider: String,
    token: String,
}

/// Reads JSON or a form; refusals name the member.
#[expect(clippy::result_large_err, reason = "the error is the answer")]
fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Response> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let value = if kind.starts_with("application/x-www-form-urlencoded") {
        let pairs = url::form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())));
        Value::Object(pairs.collect())
    } else if kind.starts_with("application/json") {
        serde_json::from_slice(body)
            .map_err(|error| refuse(StatusCode::BAD_REQUEST, "invalid_request", &format!("the body is not JSON: {error}")))?
    } else {
        let text = "Content-Type must be application/json or application/x-www-form-urlencoded";
        return Err(refuse(StatusCode::BAD_REQUEST, "invalid_request", text));
    };
    serde_path_to_error::deserialize(value)
        .map_err(|error| refuse(StatusCode::BAD_REQUEST, "invalid_request", &format!("{}: {}", error.path(), error.inner())))
}

impl Agent {
    #[expect(clippy::result_large_err, reason = "the error is the answer")]
    fn client(&self, name: &str) -> Result<&Arc<AgentClient>, Response> {
        self.clients.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.clients.keys().map(String::as_str).collect();
            let text = format!("identity_provider {name:?} is not known here; known: {}", known.join(", "));
            refuse(StatusCode::BAD_REQUEST, "invalid_request", &text)
        })
    }
}

impl TokenBody {
    fn request(self) -> Result<(TokenRequest, bool), String> {
        // texas takes scopes with blanks between; an empty one is refused by the issuer too, but later.
        let scopes = self.target.parse().map_err(|error: skybru_core::scope::ScopeError| format!("target: {error}"))?;
        let mut request = TokenRequest::new(scopes);
        request.resources = match self.resource {
            None => Vec::new(),
            Some(OneOrMany::One(resource)) => vec![resource],
            Some(OneOrMany::Many(resources)) => resources,
        };
        request.authorization_details = match self.authorization_details {
            // A form carries it as text.
            Some(Value::String(text)) => {
                Some(serde_json::from_str(&text).map_err(|error| format!("authorization_details: {error}"))?)
            }
            other => other,
        };
        if request.authorization_details.as_ref().is_some_and(|details| !details.is_array()) {
            return Err("authorization_details: expected an array".to_owned());
        }
        if let Some(org) = &self.consumer_org {
            let org: skybru_core::OrgId = org.parse().map_err(|error| format!("consumer_org: {error}"))?;
            request.consumer_org = Some(org.number());
        }
        let skip = match self.skip_cache {
            None => false,
            Some(Flag::Bool(skip)) => skip,
            Some(Flag::Text(text)) => text.parse().map_err(|_| format!("skip_cache: expected true or false, found {text:?}"))?,
        };
        Ok((request, skip))
    }
}

async fn token(State(agent): State<Arc<Agent>>, headers: HeaderMap, body: Bytes) -> Response {
    let body: TokenBody = match read(&headers, &body) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let client = match agent.client(&body.identity_provider) {
        Ok(client) => client.clone(),
        Err(answer) => return answer,
    };
    let (request, skip_cache) = match body.request() {
        Ok(request) => request,
        Err(text) => return refuse(StatusCode::BAD_REQUEST, "invalid_request", &text),
    };
    let token = if skip_cache { client.tokens.fresh(&request).await } else { client.tokens.token(&request).await };
    match token {
        Ok(token) => {
            let answer = token.answer(agent.clock.now());
            let body = json!({"access_token": answer.access_token, "token_type": "Bearer", "expires_in": answer.expires_in});
            ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
        }
        Err(error) => no_token(&error),
    }
}

/// The issuer's own words with its own status, as texas passes them on.
fn no_token(error: &TokenError) -> Response {
    match error {
        TokenError::Refused { refusal, .. } => {
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_GATEWAY);
            let code = refusal.code.as_deref().map(|code| format!("{code}: ")).unwrap_or_default();
            refuse(status, &refusal.error, &format!("{code}{}", refusal.description))
        }
        other => {
            tracing::warn!(%error, "no token");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "server_error", &other.to_string())
        }
    }
}

async fn introspect(State(agent): State<Arc<Agent>>, headers: HeaderMap, body: Bytes) -> Response {
    let body: IntrospectBody = match read(&headers, &body) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let client = match agent.client(&body.identity_provider) {
        Ok(client) => client.clone(),
        Err(answer) => return answer,
    };
    match client.introspector.introspect(&body.token).await {
        Ok(Introspection::Active(mut claims)) => {
            claims.insert("active".to_owned(), true.into());
            Json(claims).into_response()
        }
        Ok(Introspection::Inactive(why)) => Json(json!({"active": false, "error": why})).into_response(),
        Err(error) => {
            tracing::warn!(%error, "nothing can be said about a token");
            Json(json!({"active": false, "error": error.to_string()})).into_response()
        }
    }
}

async fn aws(State(agent): State<Arc<Agent>>, Path(target): Path<String>, headers: HeaderMap) -> Response {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !agent.authorization.matches(given) {
        return refuse(StatusCode::FORBIDDEN, "invalid_request", "the Authorization header is missing or wrong");
    }
    match agent.aws.get(&target) {
        Some(credentials) => aws_answer(credentials).await,
        None => refuse(StatusCode::NOT_FOUND, "invalid_request", &format!("there is no target {target:?} with AWS credentials")),
    }
}
