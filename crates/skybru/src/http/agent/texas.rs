//! Tokens and introspection, with the paths and shapes of texas, so that its users need another address and nothing else.

use std::sync::Arc;

use axum::Json;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use skybru_client::introspect::Introspection;
use skybru_client::token::{TokenError, TokenRequest};

use super::known::Asked;
use super::{Agent, AgentClient, LARGEST, Served, header, refuse};

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

/// How a body is written.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Form,
    Json,
}

impl Kind {
    #[expect(clippy::result_large_err, reason = "the error is the answer")]
    fn of(headers: &HeaderMap) -> Result<Self, Response> {
        let kind = header(headers, CONTENT_TYPE.as_str());
        let begins = |with: &str| kind.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with));
        if begins("application/x-www-form-urlencoded") {
            Ok(Self::Form)
        } else if begins("application/json") {
            Ok(Self::Json)
        } else {
            let text = "Content-Type must be application/json or application/x-www-form-urlencoded";
            Err(refuse(StatusCode::BAD_REQUEST, "invalid_request", text))
        }
    }
}

/// Reads JSON or a form; refusals name the member.
#[expect(clippy::result_large_err, reason = "the error is the answer")]
fn read<T: DeserializeOwned>(kind: Kind, body: &[u8]) -> Result<T, Response> {
    let wrong = |text: &str| refuse(StatusCode::BAD_REQUEST, "invalid_request", text);
    match kind {
        Kind::Form => {
            let pairs =
                url::form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())));
            let form = Value::Object(pairs.collect());
            serde_path_to_error::deserialize(form).map_err(|error| wrong(&format!("{}: {}", error.path(), error.inner())))
        }
        Kind::Json => {
            let mut json = serde_json::Deserializer::from_slice(body);
            serde_path_to_error::deserialize(&mut json).map_err(|error| match error.inner().classify() {
                serde_json::error::Category::Data => wrong(&format!("{}: {}", error.path(), error.inner())),
                _ => wrong(&format!("the body is not JSON: {}", error.inner())),
            })
        }
    }
}

#[expect(clippy::result_large_err, reason = "the error is the answer")]
fn client(served: &Served, name: &str) -> Result<Arc<AgentClient>, Response> {
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
            // So a form says nothing.
            Some(OneOrMany::One(resource)) if resource.is_empty() => Vec::new(),
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

pub(super) async fn token(State(agent): State<Arc<Agent>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST).await else {
        let text = format!("the body cannot be read: expected at most {LARGEST} bytes");
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", &text);
    };
    let kind = match Kind::of(&parts.headers) {
        Ok(kind) => kind,
        Err(answer) => return answer,
    };
    let known = agent.served.load().known.find(kind, &body);
    let asked = match known {
        Some(asked) => asked,
        // Boxed: it is seldom needed, and large.
        None => match Box::pin(understand(&agent, kind, &body)).await {
            Ok(asked) => asked,
            Err(answer) => return answer,
        },
    };
    match asked.client.tokens.token_again(&asked.request).await {
        Ok(token) => asked.answer(&token, agent.clock.now()),
        Err(error) => no_token(&error),
    }
}

/// What a body asks for. One that wants no cached token is answered at once.
async fn understand(agent: &Agent, kind: Kind, body: &[u8]) -> Result<Arc<Asked>, Response> {
    let wanted: TokenBody = read(kind, body)?;
    let served = agent.served.load_full();
    let client = client(&served, &wanted.identity_provider)?;
    let (request, skip_cache) = wanted.request().map_err(|text| refuse(StatusCode::BAD_REQUEST, "invalid_request", &text))?;
    if !skip_cache {
        let asked = Arc::new(Asked::new(client, request.prepared()));
        served.known.keep(kind, body, &asked);
        return Ok(asked);
    }
    Err(match client.tokens.fresh(&request).await {
        Ok(token) => Asked::new(client, request.prepared()).answer(&token, agent.clock.now()),
        Err(error) => no_token(&error),
    })
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
            refuse(status, &refusal.error, &format!("{code}{}{}", refusal.description, advice(error)))
        }
        other => {
            tracing::warn!(%error, "no token");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "server_error", &format!("{other}{}", advice(error)))
        }
    }
}

/// What to do, behind the issuer's words.
fn advice(error: &TokenError) -> String {
    error.hint().map(|hint| format!(" (hint: {hint})")).unwrap_or_default()
}

pub(super) async fn introspect(State(agent): State<Arc<Agent>>, headers: HeaderMap, body: Bytes) -> Response {
    let kind = match Kind::of(&headers) {
        Ok(kind) => kind,
        Err(answer) => return answer,
    };
    let body: IntrospectBody = match read(kind, &body) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let client = match client(&agent.served.load(), &body.identity_provider) {
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
