//! From a token to Google's access tokens: what is sent, what is believed, what is thrown away.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};
use skybru_client::google::{
    GoogleCredentialError, GoogleCredentialSource, GoogleExchange, GoogleExchangeError, GoogleTarget, Step,
};
use skybru_core::{Ctx, Secret};

use crate::issuer::{Step as IssuerStep, TestIssuer, access_token, ctx, request};
use crate::{at_once, http, serve};

pub(crate) const FEDERATED: &str = "ya29.federated-secret";
pub(crate) const IMPERSONATED: &str = "ya29.account-secret";
const POOL: &str = "projects/123456/locations/global/workloadIdentityPools/skyporten";
const ACCOUNT: &str = "reader@fjordbuss.iam.gserviceaccount.com";

/// What Google was asked, and what it shall answer instead of the usual.
#[derive(Default)]
struct Seen {
    exchanges: Vec<HashMap<String, String>>,
    impersonations: Vec<(String, String, Value)>,
    /// For STS: status and body.
    script: VecDeque<(u16, Value)>,
    /// For IAM Credentials.
    account_script: VecDeque<(u16, Value)>,
    introspection: Option<(u16, Value)>,
}

#[derive(Clone)]
pub(crate) struct TestGoogle {
    url: String,
    seen: Arc<Mutex<Seen>>,
}

impl TestGoogle {
    pub(crate) async fn start() -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let app = Router::new()
            .route("/v1/token", post(exchange))
            .route("/v1/introspect", post(introspect))
            .route("/v1/projects/-/serviceAccounts/{account}", post(impersonate))
            .with_state(seen.clone());
        Self { url: format!("http://{}", serve(app).await), seen }
    }

    pub(crate) fn target(&self) -> GoogleTarget {
        let provider = format!("{POOL}/providers/test").parse().unwrap();
        GoogleTarget { endpoint: Some(self.url.clone()), ..GoogleTarget::new(provider) }
    }

    fn as_account(&self) -> GoogleTarget {
        GoogleTarget { service_account: Some(ACCOUNT.parse().unwrap()), ..self.target() }
    }

    fn then(&self, status: u16, body: Value) {
        self.seen.lock().unwrap().script.push_back((status, body));
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().exchanges.len()
    }
}

fn answer(answer: (u16, Value)) -> Response {
    (StatusCode::from_u16(answer.0).unwrap(), Json(answer.1)).into_response()
}

async fn exchange(State(seen): State<Arc<Mutex<Seen>>>, Form(form): Form<HashMap<String, String>>) -> Response {
    let mut seen = seen.lock().unwrap();
    seen.exchanges.push(form);
    let usual = json!({"access_token": FEDERATED, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer", "expires_in": 118});
    answer(seen.script.pop_front().unwrap_or((200, usual)))
}

async fn introspect(State(seen): State<Arc<Mutex<Seen>>>, body: Bytes) -> Response {
    assert!(String::from_utf8_lossy(&body).contains(FEDERATED));
    let usual = json!({"active": true, "username": format!("principal://iam.googleapis.com/{POOL}/subject/0192:917422575")});
    answer(seen.lock().unwrap().introspection.clone().unwrap_or((200, usual)))
}

async fn impersonate(
    State(seen): State<Arc<Mutex<Seen>>>,
    Path(account): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let mut seen = seen.lock().unwrap();
    let bearer = headers["authorization"].to_str().unwrap().to_owned();
    seen.impersonations.push((account, bearer, body));
    let usual = json!({"accessToken": IMPERSONATED, "expireTime": "2023-11-14T23:13:20Z"});
    let date = [("date", crate::http_date(crate::NOW))];
    (date, answer(seen.account_script.pop_front().unwrap_or((200, usual)))).into_response()
}

fn exchanger(ctx: &Ctx) -> GoogleExchange {
    GoogleExchange::new(ctx.clone(), http()).with_retry(at_once())
}

pub(crate) fn source(ctx: &Ctx, issuer: &TestIssuer, target: GoogleTarget) -> Arc<GoogleCredentialSource> {
    Arc::new(GoogleCredentialSource::new(ctx.clone(), issuer.source(ctx), request(), exchanger(ctx), target))
}

fn token() -> Secret {
    Secret::from(access_token(1))
}

/// G-27.
#[tokio::test]
async fn g_27_the_exchange_names_the_provider_and_carries_the_token() {
    let google = TestGoogle::start().await;
    let (ctx, _) = ctx();
    let credentials = exchanger(&ctx).exchange(&token(), &google.target()).await.unwrap();
    let form = google.seen.lock().unwrap().exchanges[0].clone();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:token-exchange");
    assert_eq!(form["audience"], format!("//iam.googleapis.com/{POOL}/providers/test"));
    assert_eq!(form["scope"], "https://www.googleapis.com/auth/cloud-platform");
    assert_eq!(form["requested_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(form["subject_token_type"], "urn:ietf:params:oauth:token-type:jwt");
    assert_eq!(form["subject_token"], access_token(1));
    assert!(!form.contains_key("options"));
    assert!(credentials.access_token.matches(FEDERATED));
    assert_eq!(credentials.expires_at.to_string(), "2023-11-14T22:15:18Z");
    assert!(credentials.principal.as_ref().unwrap().ends_with("/subject/0192:917422575"));
}

/// G-50, G-52.
#[tokio::test]
async fn g_50_a_service_account_is_acted_as_with_the_federated_token() {
    let google = TestGoogle::start().await;
    let (ctx, _) = ctx();
    let credentials = exchanger(&ctx).exchange(&token(), &google.as_account()).await.unwrap();
    let seen = google.seen.lock().unwrap();
    assert_eq!(seen.exchanges[0]["scope"], "https://www.googleapis.com/auth/iam");
    let (account, bearer, body) = &seen.impersonations[0];
    assert_eq!(account, &format!("{ACCOUNT}:generateAccessToken"));
    assert_eq!(bearer, &format!("Bearer {FEDERATED}"));
    let expected = json!({"delegates": null, "scope": ["https://www.googleapis.com/auth/cloud-platform"], "lifetime": "3600s"});
    assert_eq!(body, &expected);
    assert!(credentials.access_token.matches(IMPERSONATED));
    assert_eq!(credentials.principal.as_deref(), Some(ACCOUNT));
    assert_eq!(credentials.expires_at.to_string(), "2023-11-14T23:13:20Z");
}

/// G-68.
#[tokio::test]
async fn g_68_a_workforce_identity_names_the_project_that_pays() {
    let google = TestGoogle::start().await;
    let provider = "locations/global/workforcePools/acme/providers/ansattporten".parse().unwrap();
    let target = GoogleTarget { provider, workforce_user_project: Some("42".to_owned()), ..google.target() };
    let username = "principal://iam.googleapis.com/locations/global/workforcePools/acme/subject/x";
    google.seen.lock().unwrap().introspection = Some((200, json!({"active": true, "username": username})));
    let (ctx, _) = ctx();
    exchanger(&ctx).exchange(&token(), &target).await.unwrap();
    assert_eq!(google.seen.lock().unwrap().exchanges[0]["options"], r#"{"userProject":"42"}"#);
}

#[tokio::test]
async fn a_refusal_reaches_the_user_word_for_word() {
    let google = TestGoogle::start().await;
    let text = "The given credential is rejected by the attribute condition.";
    google.then(400, json!({"error": "unauthorized_client", "error_description": text}));
    let (ctx, _) = ctx();
    let error = exchanger(&ctx).exchange(&token(), &google.target()).await.unwrap_err();
    assert!(matches!(&error, GoogleExchangeError::Refused { step: Step::Exchange, status: 400, .. }), "{error:?}");
    assert!(error.to_string().contains(text) && error.hint().unwrap().contains("D-45"));
    assert_eq!(google.count(), 1, "a verdict is not asked for twice");
}

/// G-53, G-55.
#[tokio::test]
async fn g_53_a_refused_service_account_is_told_apart_from_a_refused_token() {
    let google = TestGoogle::start().await;
    let details = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}]);
    let body = json!({"error": {"code": 403, "message": "IAM Service Account Credentials API has not been used",
        "status": "PERMISSION_DENIED", "details": details}});
    google.seen.lock().unwrap().account_script.push_back((403, body));
    let (ctx, _) = ctx();
    let error = exchanger(&ctx).exchange(&token(), &google.as_account()).await.unwrap_err();
    assert!(matches!(&error, GoogleExchangeError::Refused { step: Step::Impersonation, .. }));
    assert!(error.hint().unwrap().contains("D-48"));
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let google = TestGoogle::start().await;
    google.then(500, json!({"error": "internal"}));
    google.then(429, json!({"error": "quota_exceeded", "error_description": "throttled"}));
    let (ctx, _) = ctx();
    assert!(exchanger(&ctx).exchange(&token(), &google.target()).await.is_ok());
    assert_eq!(google.count(), 3);
}

#[tokio::test]
async fn an_access_token_of_anybody_else_is_thrown_away() {
    let other_pool =
        "principal://iam.googleapis.com/projects/999/locations/global/workloadIdentityPools/skyporten/subject/0192:917422575";
    let other_org = format!("principal://iam.googleapis.com/{POOL}/subject/0192:889640782");
    for username in [other_pool, other_org.as_str(), "serviceAccount:x@y.iam.gserviceaccount.com", ""] {
        let google = TestGoogle::start().await;
        google.seen.lock().unwrap().introspection = Some((200, json!({"active": true, "username": username})));
        let (ctx, _) = ctx();
        let error = exchanger(&ctx).exchange(&token(), &google.as_account()).await.unwrap_err();
        assert!(matches!(error, GoogleExchangeError::OtherPrincipal { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains(FEDERATED));
        assert!(google.seen.lock().unwrap().impersonations.is_empty());
    }
    let google = TestGoogle::start().await;
    google.seen.lock().unwrap().introspection = Some((200, json!({"active": false})));
    let (ctx, _) = ctx();
    let error = exchanger(&ctx).exchange(&token(), &google.target()).await.unwrap_err();
    assert!(matches!(error, GoogleExchangeError::Answer { .. }));
}

/// G-62: Google may answer that question to its own clients only.
#[tokio::test]
async fn an_sts_that_does_not_say_who_we_are_is_no_refusal() {
    let google = TestGoogle::start().await;
    google.seen.lock().unwrap().introspection = Some((401, json!({"error": "invalid_client"})));
    let (ctx, _) = ctx();
    let credentials = exchanger(&ctx).exchange(&token(), &google.target()).await.unwrap();
    assert_eq!(credentials.principal, None);
}

#[tokio::test]
async fn an_answer_that_is_no_token_is_not_repeated() {
    for body in [
        json!({"access_token": FEDERATED}),
        json!({"access_token": FEDERATED, "token_type": "N_A",
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "expires_in": 5}),
        json!([FEDERATED]),
    ] {
        let google = TestGoogle::start().await;
        google.then(200, body);
        let (ctx, _) = ctx();
        let error = exchanger(&ctx).exchange(&token(), &google.target()).await.unwrap_err();
        assert!(matches!(error, GoogleExchangeError::Answer { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains(FEDERATED));
    }
}

/// G-24: an access token lives no longer than the token, so each renewal takes a young one.
#[tokio::test]
async fn g_24_access_tokens_are_fetched_once_and_renewed_with_young_tokens() {
    let (issuer, google) = (TestIssuer::start([]).await, TestGoogle::start().await);
    let (ctx, clock) = ctx();
    let source = source(&ctx, &issuer, google.target());
    let all = join_all((0..100).map(|_| source.credentials())).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!((issuer.count(), google.count()), (1, 1));
    clock.advance(SignedDuration::from_secs(55));
    source.credentials().await.unwrap();
    assert_eq!(google.count(), 1);
    clock.advance(SignedDuration::from_secs(35));
    source.credentials().await.unwrap();
    assert_eq!((issuer.count(), google.count()), (2, 2));
    assert_eq!(google.seen.lock().unwrap().exchanges[1]["subject_token"], access_token(2));
}

#[tokio::test]
async fn the_last_good_access_token_serves_until_it_ends() {
    let (issuer, google) = (TestIssuer::start([]).await, TestGoogle::start().await);
    let (ctx, clock) = ctx();
    let source = source(&ctx, &issuer, google.as_account());
    source.credentials().await.unwrap();
    for _ in 0..6 {
        issuer.then(IssuerStep::Fail(503, None));
    }
    clock.advance(SignedDuration::from_mins(56));
    assert!(source.credentials().await.unwrap().access_token.matches(IMPERSONATED));
    clock.advance(SignedDuration::from_mins(5));
    assert!(matches!(source.credentials().await, Err(GoogleCredentialError::Token(_))), "an expired one is no success");
}

/// G-38.
#[tokio::test]
async fn g_38_a_token_that_google_finds_stale_is_replaced_once() {
    let (issuer, google) = (TestIssuer::start([]).await, TestGoogle::start().await);
    let text = "ID Token issued at 1700000000 is stale to sign-in.";
    google.then(400, json!({"error": "invalid_grant", "error_description": text}));
    let (ctx, _) = ctx();
    source(&ctx, &issuer, google.target()).credentials().await.unwrap();
    assert_eq!((issuer.count(), google.count()), (2, 2));
}
