//! An issuer that does what the test's script says, and remembers what it was sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use skybru_client::token::{ClientIdentity, TokenRequest, TokenSource};
use skybru_core::{Ctx, IssuerUrl};
use skybru_protocol::jose::{Jws, SigningKey};
use skybru_protocol::oauth::TokenForm;
use skybru_signer::LocalSigner;

use crate::{NOW, at_once, http, serve};

/// What the issuer does with one request.
pub(crate) enum Step {
    /// A token that lives so many seconds.
    Token(u64),
    /// A refusal with this code (or none) and text.
    Refuse(Option<&'static str>, &'static str),
    /// A refusal, and the issuer's clock shows this second.
    RefuseAt(Option<&'static str>, &'static str, i64),
    /// This status and no body; perhaps a `Retry-After`.
    Fail(u16, Option<&'static str>),
    /// 200 with this body.
    Body(&'static str),
}

pub(crate) struct Seen {
    script: VecDeque<Step>,
    /// The claims of each assertion.
    pub(crate) assertions: Vec<Value>,
    pub(crate) metadata_requests: usize,
}

#[derive(Clone)]
pub(crate) struct TestIssuer {
    pub(crate) url: IssuerUrl,
    pub(crate) seen: Arc<Mutex<Seen>>,
}

pub(crate) fn key() -> SigningKey {
    SigningKey::from_text(include_str!("../../../protocol/testdata/rsa2048.jwk"), None).unwrap()
}

/// A token for which AWS would find subject and consumer.
pub(crate) fn access_token(number: usize) -> String {
    let claims = json!({"sub": "0192:917422575;entur:skyporten.demo", "consumer": {"authority": "iso6523-actorid-upis",
        "ID": "0192:917422575"}, "jti": number.to_string()});
    key().sign(None, &claims).unwrap()
}

impl TestIssuer {
    /// Begins with these steps; every later request gets a token that lives 120 seconds.
    pub(crate) async fn start(script: impl IntoIterator<Item = Step>) -> Self {
        let seen =
            Arc::new(Mutex::new(Seen { script: script.into_iter().collect(), assertions: Vec::new(), metadata_requests: 0 }));
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/jwk", get(async || Json(json!({"keys": [key().public_jwk()]}))))
            .route("/token", post(token))
            .with_state(seen.clone());
        let address = serve(app).await;
        Self { url: format!("http://{address}").parse().unwrap(), seen }
    }

    pub(crate) fn identity(&self) -> ClientIdentity {
        ClientIdentity::new(self.url.clone(), "client-1".parse().unwrap(), LocalSigner::from(key()))
    }

    pub(crate) fn source(&self, ctx: &Ctx) -> Arc<TokenSource> {
        Arc::new(TokenSource::new(ctx.clone(), http(), self.identity()).with_retry(at_once()))
    }

    pub(crate) fn then(&self, step: Step) {
        self.seen.lock().unwrap().script.push_back(step);
    }

    /// How many assertions came.
    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().assertions.len()
    }

    /// The claim `name` of every assertion.
    pub(crate) fn claims(&self, name: &str) -> Vec<Value> {
        self.seen.lock().unwrap().assertions.iter().map(|claims| claims[name].clone()).collect()
    }
}

pub(crate) fn request() -> TokenRequest {
    TokenRequest::new("entur:skyporten.demo".parse().unwrap()).with_resource("https://skyporten.example.no")
}

pub(crate) fn ctx() -> (Ctx, Arc<skybru_core::ctx::ManualClock>) {
    Ctx::fixed(NOW, 1)
}

async fn metadata(State(seen): State<Arc<Mutex<Seen>>>, headers: axum::http::HeaderMap) -> Json<Value> {
    seen.lock().unwrap().metadata_requests += 1;
    let issuer = format!("http://{}", headers[header::HOST].to_str().unwrap());
    Json(json!({"issuer": issuer, "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwk")}))
}

async fn token(State(seen): State<Arc<Mutex<Seen>>>, body: Bytes) -> Response {
    let form = TokenForm::parse(b"", &body).unwrap();
    let jws = Jws::parse(&form.assertion.unwrap()).unwrap();
    let (step, number) = {
        let mut seen = seen.lock().unwrap();
        seen.assertions.push(serde_json::from_slice(jws.payload()).unwrap());
        (seen.script.pop_front().unwrap_or(Step::Token(120)), seen.assertions.len())
    };
    match step {
        Step::Token(lifetime) => Json(json!({"access_token": access_token(number), "token_type": "Bearer",
            "expires_in": lifetime, "scope": "entur:skyporten.demo"}))
        .into_response(),
        Step::Refuse(code, text) => refusal(code, text),
        Step::RefuseAt(code, text, second) => ([(header::DATE, crate::http_date(second))], refusal(code, text)).into_response(),
        Step::Fail(status, retry_after) => {
            let mut response = StatusCode::from_u16(status).unwrap().into_response();
            if let Some(value) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, value.parse().unwrap());
            }
            response
        }
        Step::Body(body) => body.into_response(),
    }
}

fn refusal(code: Option<&str>, text: &str) -> Response {
    let mut body = json!({"error": "invalid_grant", "error_description": format!("{text} (trace_id: 356666143081bbec)")});
    if let Some(code) = code {
        body["error_uri"] = format!("https://maskinporten.no/errors/{code}").into();
    }
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}
