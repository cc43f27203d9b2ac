//! From a token to Entra's access tokens: what is sent, what is believed, what is thrown away.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};
use skybru_client::azure::{AzureCredentialSource, AzureExchange, AzureExchangeError, AzureTarget, Resource};
use skybru_core::{Ctx, Secret};

use crate::issuer::{TestIssuer, access_token, ctx, key, request};
use crate::{at_once, http, serve};

pub(crate) const TENANT: &str = "8a6f1b1e-0c2d-4f63-9a53-7c5d2f1e0b11";
pub(crate) const CLIENT: &str = "11111111-2222-4333-8444-555555555555";
const PRINCIPAL: &str = "99999999-2222-4333-8444-555555555555";

#[derive(Default)]
struct Seen {
    forms: Vec<(String, HashMap<String, String>)>,
    script: VecDeque<(u16, Value)>,
}

#[derive(Clone)]
pub(crate) struct TestEntra {
    url: String,
    seen: Arc<Mutex<Seen>>,
}

impl TestEntra {
    pub(crate) async fn start(script: impl IntoIterator<Item = (u16, Value)>) -> Self {
        let seen = Arc::new(Mutex::new(Seen { script: script.into_iter().collect(), ..Seen::default() }));
        let app = Router::new().route("/{tenant}/oauth2/v2.0/token", post(answer)).with_state(seen.clone());
        Self { url: format!("http://{}", serve(app).await), seen }
    }

    pub(crate) fn target(&self) -> AzureTarget {
        let (tenant, client) = (TENANT.parse().unwrap(), CLIENT.parse().unwrap());
        AzureTarget { authority: Some(self.url.clone()), ..AzureTarget::new(tenant, client, "fjordbuss".parse().unwrap()) }
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().forms.len()
    }
}

/// E-14.
fn claims(audience: &str) -> Value {
    json!({"aud": audience, "iss": format!("https://sts.windows.net/{TENANT}/"), "appid": CLIENT, "oid": PRINCIPAL,
        "sub": PRINCIPAL, "tid": TENANT, "idtyp": "app", "ver": "1.0"})
}

fn granted(claims: &Value) -> (u16, Value) {
    let token = key().sign(None, claims).unwrap();
    (200, json!({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token}))
}

async fn answer(
    State(seen): State<Arc<Mutex<Seen>>>,
    Path(tenant): Path<String>,
    Form(form): Form<HashMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let mut seen = seen.lock().unwrap();
    let resource = form["scope"].trim_end_matches("/.default").to_owned();
    seen.forms.push((tenant, form));
    let (status, body) = seen.script.pop_front().unwrap_or_else(|| granted(&claims(&resource)));
    (StatusCode::from_u16(status).unwrap(), Json(body))
}

/// E-15.
fn refusal(status: u16, error: &str, code: u32, text: &str) -> (u16, Value) {
    let description = format!("AADSTS{code}: {text} Trace ID: 3f2504e0 Correlation ID: c0ffee Timestamp: 2026-01-01 00:00:00Z");
    (status, json!({"error": error, "error_description": description, "error_codes": [code], "trace_id": "3f2504e0"}))
}

fn exchanger(ctx: &Ctx) -> AzureExchange {
    AzureExchange::new(ctx.clone(), http()).with_retry(at_once())
}

pub(crate) fn source(ctx: &Ctx, issuer: &TestIssuer, target: AzureTarget) -> Arc<AzureCredentialSource> {
    Arc::new(AzureCredentialSource::new(ctx.clone(), issuer.source(ctx), request(), exchanger(ctx), target))
}

fn token() -> Secret {
    Secret::from(access_token(1))
}

/// E-10.
#[tokio::test]
async fn e_10_the_token_is_the_client_assertion() {
    let entra = TestEntra::start([]).await;
    let (ctx, _) = ctx();
    let got = exchanger(&ctx).exchange(&token(), &entra.target(), &Resource::storage()).await.unwrap();
    let (tenant, form) = entra.seen.lock().unwrap().forms[0].clone();
    assert_eq!(tenant, TENANT);
    assert_eq!(form["client_id"], CLIENT);
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["scope"], "https://storage.azure.com/.default");
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_eq!(form["client_assertion"], access_token(1));
    assert_eq!(got.principal_id, PRINCIPAL);
    assert_eq!(got.expires_at.to_string(), "2023-11-14T23:13:19Z");
}

/// E-33.
#[tokio::test]
async fn e_33_a_refusal_reaches_the_user_with_its_number_and_the_rule() {
    let text = "No matching federated identity record found for presented assertion subject '0192:917422575;a:b'.";
    let entra = TestEntra::start([refusal(401, "invalid_client", 700_213, text)]).await;
    let (ctx, _) = ctx();
    let error = exchanger(&ctx).exchange(&token(), &entra.target(), &Resource::storage()).await.unwrap_err();
    let shown = error.to_string();
    assert!(shown.contains("AADSTS700213") && shown.contains(text) && shown.contains("trace id 3f2504e0"), "{shown}");
    assert!(!shown.contains("Timestamp"), "{shown}");
    assert!(error.hint().unwrap().contains("D-61"));
    assert_eq!(entra.count(), 1, "a verdict is not asked for twice");
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let busy = (503, json!({"error": "temporarily_unavailable"}));
    let entra = TestEntra::start([busy.clone(), (429, json!({"error": "throttled"}))]).await;
    let (ctx, _) = ctx();
    assert!(exchanger(&ctx).exchange(&token(), &entra.target(), &Resource::storage()).await.is_ok());
    assert_eq!(entra.count(), 3);
}

#[tokio::test]
async fn an_access_token_of_anybody_else_or_for_anything_else_is_thrown_away() {
    let resource = Resource::storage();
    for (claim, value) in [
        ("tid", json!("00000000-0c2d-4f63-9a53-7c5d2f1e0b11")),
        ("appid", json!(PRINCIPAL)),
        ("aud", json!("https://management.azure.com")),
        ("tid", Value::Null),
        ("appid", Value::Null),
    ] {
        let mut claims = claims(resource.as_str());
        claims[claim] = value;
        let answer = granted(&claims);
        let secret = answer.1["access_token"].as_str().unwrap().to_owned();
        let entra = TestEntra::start([answer]).await;
        let (ctx, _) = ctx();
        let error = exchanger(&ctx).exchange(&token(), &entra.target(), &resource).await.unwrap_err();
        assert!(matches!(&error, AzureExchangeError::OtherIdentity { claim: found, .. } if *found == claim), "{error:?}");
        assert!(!format!("{error} {error:?}").contains(&secret));
    }
    let opaque = json!({"token_type": "Bearer", "expires_in": 3599, "access_token": "opaque-secret"});
    let entra = TestEntra::start([(200, opaque)]).await;
    let (ctx, _) = ctx();
    let error = exchanger(&ctx).exchange(&token(), &entra.target(), &resource).await.unwrap_err();
    assert!(matches!(error, AzureExchangeError::Answer { .. }));
    assert!(!format!("{error} {error:?}").contains("opaque-secret"));
}

#[tokio::test]
async fn each_resource_has_its_own_access_token_kept_and_renewed() {
    let (issuer, entra) = (TestIssuer::start([]).await, TestEntra::start([]).await);
    let (ctx, clock) = ctx();
    let source = source(&ctx, &issuer, entra.target());
    let (storage, management) = (Resource::storage(), Resource::management());
    let all = join_all((0..100).map(|_| source.token(&storage))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(source.token(&management).await.unwrap().resource, management);
    assert_eq!((issuer.count(), entra.count()), (1, 2));
    clock.advance(SignedDuration::from_mins(49));
    source.token(&storage).await.unwrap();
    assert_eq!(entra.count(), 2);
    clock.advance(SignedDuration::from_mins(6));
    source.token(&storage).await.unwrap();
    assert_eq!(entra.count(), 3, "five minutes are left, at which SDKs ask");
}

/// E-39.
#[tokio::test]
async fn e_39_a_token_that_entra_finds_expired_is_replaced_once() {
    let text = "Client assertion is not within its valid time range.";
    let entra = TestEntra::start([refusal(401, "invalid_client", 700_024, text)]).await;
    let issuer = TestIssuer::start([]).await;
    let (ctx, _) = ctx();
    source(&ctx, &issuer, entra.target()).token(&Resource::storage()).await.unwrap();
    assert_eq!((issuer.count(), entra.count()), (2, 2));
}
