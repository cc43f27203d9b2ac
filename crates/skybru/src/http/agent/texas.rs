//! Tokens and introspection, with the paths and shapes of texas, so that its users need another address and nothing else.

use std::sync::Arc;

use axum::Json;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use skybru_client::introspect::Introspection;
use skybru_client::token::{TokenError, TokenRequest};

use super::{Agent, AgentClient, LARGEST, refuse};

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
    let wrong = |text: &str| refuse(StatusCode::BAD_REQUEST, "invalid_request", text);
    if kind.starts_with("application/x-www-form-urlencoded") {
        let pairs = url::form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())));
        let form = Value::Object(pairs.collect());
        serde_path_to_error::deserialize(form).map_err(|error| wrong(&format!("{}: {}", error.path(), error.inner())))
    } else if kind.starts_with("application/json") {
        let mut json = serde_json::Deserializer::from_slice(body);
        serde_path_to_error::deserialize(&mut json).map_err(|error| match error.inner().classify() {
            serde_json::error::Category::Data => wrong(&format!("{}: {}", error.path(), error.inner())),
            _ => wrong(&format!("the body is not JSON: {}", error.inner())),
        })
    } else {
        Err(wrong("Content-Type must be application/json or application/x-www-form-urlencoded"))
    }
}

#[expect(clippy::result_large_err, reason = "the error is the answer")]
fn client(agent: &Agent, name: &str) -> Result<Arc<AgentClient>, Response> {
    let served = agent.served.load();
    served.clients.get(name).cloned().ok_or_else(|| {
        let known: Vec<&str> = served.clients.keys().map(String::as_str).collect();
        let text = format!("identity_provider {name:?} is not known here; known: {}", known.join(", "));
        refuse(StatusCode::BAD_REQUEST, "invalid_request", &text)
    })
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

/// What texas answers with.
#[derive(Serialize)]
struct TokenAnswer<'a> {
    access_token: &'a str,
    expires_in: u64,
    token_type: &'a str,
}

pub(super) async fn token(State(agent): State<Arc<Agent>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST).await else {
        let text = format!("the body cannot be read: expected at most {LARGEST} bytes");
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", &text);
    };
    let body: TokenBody = match read(&parts.headers, &body) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let client = match client(&agent, &body.identity_provider) {
        Ok(client) => client,
        Err(answer) => return answer,
    };
    let (request, skip_cache) = match body.request() {
        Ok(request) => request,
        Err(text) => return refuse(StatusCode::BAD_REQUEST, "invalid_request", &text),
    };
    // Fetching is a large future, and seldom needed.
    let token = if skip_cache { Box::pin(client.tokens.fresh(&request)).await } else { client.tokens.token(&request).await };
    match token {
        Ok(token) => {
            let expires_in = token.expires_in(agent.clock.now());
            let body = TokenAnswer { access_token: token.token.expose(), expires_in, token_type: "Bearer" };
            ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
        }
        Err(error) => no_token(&error),
    }
}

/// Exchanging a user's token is for `TokenX` and ID-porten, which are no issuers of this agent's.
pub(super) async fn exchange() -> Response {
    let text = "token exchange takes a user's token of ID-porten or TokenX; this agent has clients of Maskinporten's kind only: ask \
                /api/v1/token";
    refuse(StatusCode::BAD_REQUEST, "invalid_request", text)
}

/// The issuer's own words with its own status, as texas passes them on.
pub(super) fn no_token(error: &TokenError) -> Response {
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

pub(super) async fn introspect(State(agent): State<Arc<Agent>>, headers: HeaderMap, body: Bytes) -> Response {
    let body: IntrospectBody = match read(&headers, &body) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let client = match client(&agent, &body.identity_provider) {
        Ok(client) => client,
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
