//! A token endpoint for connectors that only know client credentials ([RFC 6749, section
//! 4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4)): a local id and secret in, the target's token out.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Agent, LocalClient, header, refuse, texas};

/// The parameters of the request, each at most once.
#[derive(Default)]
struct Form {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    scope: Option<String>,
}

impl Form {
    fn read(body: &[u8]) -> Result<Self, String> {
        let mut form = Self::default();
        for (name, value) in url::form_urlencoded::parse(body) {
            let slot = match &*name {
                "grant_type" => &mut form.grant_type,
                "client_id" => &mut form.client_id,
                "client_secret" => &mut form.client_secret,
                "scope" => &mut form.scope,
                // What a server does not know it ignores (section 3.2).
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return Err(format!("{name} is there twice"));
            }
        }
        Ok(form)
    }
}

pub(super) async fn token(State(agent): State<Arc<Agent>>, headers: HeaderMap, body: Bytes) -> Response {
    let wrong = |error: &str, text: &str| refuse(StatusCode::BAD_REQUEST, error, text);
    if !header(&headers, CONTENT_TYPE.as_str()).to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        return wrong("invalid_request", "Content-Type must be application/x-www-form-urlencoded");
    }
    let form = match Form::read(&body) {
        Ok(form) => form,
        Err(text) => return wrong("invalid_request", &text),
    };
    let Some(client) = authenticated(&agent, &headers, &form) else {
        let challenge = [(WWW_AUTHENTICATE, "Basic realm=\"skybru agent\"")];
        return (challenge, refuse(StatusCode::UNAUTHORIZED, "invalid_client", "no local client has this id and secret"))
            .into_response();
    };
    if form.grant_type.as_deref() != Some("client_credentials") {
        return wrong("unsupported_grant_type", "grant_type must be client_credentials");
    }
    let scopes = client.tokens.request.scopes.to_string();
    if form.scope.as_deref().is_some_and(|asked| !asked.is_empty() && asked != scopes) {
        return wrong("invalid_scope", &format!("this client gets {scopes:?}; leave scope out, or ask for just that"));
    }
    match client.tokens.tokens.token(&client.tokens.request).await {
        Ok(token) => ([(CACHE_CONTROL, "no-store")], Json(token.answer(agent.clock.now()))).into_response(),
        Err(error) => texas::no_token(&error),
    }
}

/// The local client, by the header or by the form, never by both (section 2.3).
fn authenticated(agent: &Agent, headers: &HeaderMap, form: &Form) -> Option<Arc<LocalClient>> {
    let (id, secret) = match (header(headers, AUTHORIZATION.as_str()), &form.client_secret) {
        ("", Some(secret)) => (form.client_id.clone()?, secret.clone()),
        (basic, None) => basic_credentials(basic)?,
        _ => return None,
    };
    let client = agent.served.load().local_clients.get(&id).cloned()?;
    client.secret.matches(&secret).then_some(client)
}

/// Id and secret are form-encoded before they are put together (section 2.3.1).
fn basic_credentials(value: &str) -> Option<(String, String)> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let plain = |text: &str| {
        let pair = format!("x={text}");
        url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    Some((plain(id)?, plain(secret)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_basic_header_is_decoded_twice() {
        let header = format!("Basic {}", STANDARD.encode("delta%3A1:a%2Bb"));
        assert_eq!(basic_credentials(&header), Some(("delta:1".to_owned(), "a+b".to_owned())));
        for wrong in ["", "Basic", "Bearer x", "Basic !", &format!("Basic {}", STANDARD.encode("no colon"))] {
            assert_eq!(basic_credentials(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_parameter_that_is_there_twice_is_an_error() {
        assert!(Form::read(b"client_id=a&client_id=b").is_err());
        assert!(Form::read(b"anything=a&anything=b&grant_type=client_credentials").is_ok());
    }
}
