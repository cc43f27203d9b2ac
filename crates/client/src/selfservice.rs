//! The self-service API of an issuer, ours or Digdir's: scopes, accesses, clients and keys.

use std::sync::Arc;

use http::Method;
use serde_json::Value;
use skybru_core::Secret;

use crate::http::{Http, HttpError};
use crate::token::{TokenError, TokenRequest, TokenSource};

/// The API as one of our clients sees it.
pub struct SelfServiceApi {
    http: Http,
    base: String,
    tokens: Arc<TokenSource>,
    request: TokenRequest,
}

/// Why a call did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum ApiCallError {
    /// There is no token to call with.
    #[error("cannot get a token for the self-service API")]
    Token(#[from] TokenError),
    /// The API did not answer.
    #[error("cannot reach the self-service API")]
    Http(#[from] HttpError),
    /// The API said no. The text is the API's own.
    #[error("the self-service API refused (status {status}): {}", messages.join("; "))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What is wrong, one text a fault.
        messages: Vec<String>,
    },
}

impl ApiCallError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Token(error) => error.hint(),
            Self::Http(error) => error.hint(),
            Self::Refused { status: 401 | 403, .. } => Some(
                "the client of the setting registry.client needs administrative scopes such as idporten:scopes.write".to_owned(),
            ),
            Self::Refused { .. } => None,
        }
    }
}

impl SelfServiceApi {
    /// The API under `base` (up to and with `/api/v1`), called with tokens for `request`.
    pub fn new(http: Http, base: &str, tokens: Arc<TokenSource>, request: TokenRequest) -> Self {
        Self { http, base: base.trim_end_matches('/').to_owned(), tokens, request }
    }

    /// The time by the clock that tokens are asked for with.
    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.tokens.now()
    }

    /// One call. `path` begins with a slash and is encoded already; the answer is the API's JSON.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ApiCallError> {
        let token = self.tokens.token(&self.request).await?;
        let bearer: &Secret = &token.token;
        let answer = self.http.call(method, &format!("{}{path}", self.base), bearer, body).await?;
        let status = answer.status.as_u16();
        if answer.status.is_success() {
            // Some deletions answer with nothing.
            return Ok(if answer.body().is_empty() { Value::Null } else { answer.json()? });
        }
        Err(ApiCallError::Refused { status, messages: messages(&answer.json::<Value>().unwrap_or_default()) })
    }
}

/// The messages in Digdir's error body; its `error_description` when it has no list.
fn messages(body: &Value) -> Vec<String> {
    let listed: Vec<String> = body["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|error| error["errorMessage"].as_str())
        .map(str::to_owned)
        .collect();
    if !listed.is_empty() {
        return listed;
    }
    let text = body["error_description"].as_str().or(body["error"].as_str()).unwrap_or("no reason given");
    vec![text.trim_start_matches(", ").to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_reasons_are_read_from_any_of_digdirs_shapes() {
        assert_eq!(messages(&json!({"errors": [{"errorMessage": "a"}, {"errorMessage": "b"}]})), ["a", "b"]);
        assert_eq!(messages(&json!({"error_description": ", a, b"})), ["a, b"]);
        assert_eq!(messages(&Value::Null), ["no reason given"]);
    }
}
