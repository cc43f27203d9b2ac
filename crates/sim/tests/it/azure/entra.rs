//! The token endpoint: who gets an access token, who does not, and in which words.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::json;
use skybru_federation::entra::Wording;
use skybru_protocol::jose::Jws;
use skybru_sim::FetchFault;
use skybru_sim::control::ControlSettings;

use super::sim::{AUDIENCE, SUBJECT, TestAzure, settings};

#[tokio::test]
async fn e_12_a_good_assertion_becomes_an_access_token() {
    let t = TestAzure::start().await;
    let body = t.exchange(&t.assertion(&json!({}))).await.json();
    assert_eq!((body["token_type"].as_str(), body["expires_in"].as_i64()), (Some("Bearer"), Some(86399)));
    let token = Jws::parse(body["access_token"].as_str().unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(token.payload()).unwrap();
    assert_eq!(claims["oid"], t.principal_id.as_str());
    assert_eq!(claims["appid"], t.client_id.as_str());
    assert_eq!(claims["iss"], format!("https://sts.windows.net/{}/", t.sim.tenant_id()));
    // The key is published, and verifies it.
    let keys = super::sim::read(t.http.get(format!("{}/common/discovery/v2.0/keys", t.sim.authority()))).await.json();
    assert_eq!(keys["keys"][0]["kid"].as_str(), token.header().kid.as_deref());
}

#[tokio::test]
async fn e_15_a_refusal_has_every_member_of_entras() {
    let t = TestAzure::start().await;
    let reply = t.exchange(&t.assertion(&json!({"aud": "https://somebody.else.no"}))).await;
    assert_eq!(reply.status, 401);
    let body = reply.json();
    assert_eq!((body["error"].as_str(), body["error_codes"][0].as_i64()), (Some("invalid_client"), Some(700_212)));
    let text = body["error_description"].as_str().unwrap();
    assert!(
        text.starts_with("AADSTS700212: No matching federated identity record found for presented assertion audience"),
        "{text}"
    );
    for member in ["Trace ID: ", "Correlation ID: ", "Timestamp: 2026-"] {
        assert!(text.contains(member), "{text}");
    }
    assert_eq!(body["error_uri"], "https://login.microsoftonline.com/error?code=700212");
    assert!(body["trace_id"].is_string() && body["correlation_id"].is_string() && body["timestamp"].is_string());
}

/// Each refusal of a single mistake, through the front door.
#[tokio::test]
async fn refusals_come_with_entras_number_and_status() {
    let t = TestAzure::start().await;
    let number = async |claims: serde_json::Value| {
        let reply = t.exchange(&t.assertion(&claims)).await;
        (reply.json()["error_codes"][0].as_i64().unwrap(), reply.status)
    };
    assert_eq!(number(json!({"iss": "https://other.example.no"})).await, (700_211, 401));
    assert_eq!(number(json!({"sub": "0192:889640782;entur:demo"})).await, (700_213, 401));
    assert_eq!(number(json!({"exp": t.now() - 301, "iat": t.now() - 400})).await, (700_024, 401));
    assert_eq!(number(json!({"aud": null})).await, (90014, 400));
    let good = t.assertion(&json!({}));
    let tenant = t.sim.tenant_id();
    let call = async |changes: &[(&str, &str)], tenant: &str| {
        let reply = t.exchange_for(&good, changes, tenant).await;
        (reply.json()["error_codes"][0].as_i64().unwrap(), reply.status)
    };
    assert_eq!(call(&[("client_id", t.principal_id.as_str())], &tenant).await, (700_016, 400));
    assert_eq!(call(&[("scope", "https://storage.azure.com")], &tenant).await, (1_002_012, 400));
    assert_eq!(call(&[], "00000000-0000-0000-0000-000000000000").await, (90002, 400));
    assert_eq!(call(&[("client_assertion", "x")], &tenant).await, (50027, 400));
}

#[tokio::test]
async fn a_revoked_credential_lets_nobody_in_any_more() {
    let t = TestAzure::start().await;
    let path = t.identity("federatedIdentityCredentials/b-reads");
    assert_eq!(t.arm(Method::DELETE, &path, &json!(null)).await.status, 200);
    let reply = t.exchange(&t.assertion(&json!({}))).await;
    assert_eq!(reply.json()["error_codes"][0], 70025);
    assert_eq!(t.arm(Method::DELETE, &path, &json!(null)).await.status, 204);
}

#[tokio::test]
async fn e_8_a_new_credential_is_unknown_until_it_has_spread() {
    let t = TestAzure::with(settings(|settings| settings.control.propagation_delay_seconds = 60), None).await;
    assert_eq!(t.trust("c-reads", &t.issuer.url, "0192:889640782;entur:demo", AUDIENCE).await.status, 201);
    let of_c = json!({"sub": "0192:889640782;entur:demo"});
    assert_eq!(t.exchange(&t.assertion(&of_c)).await.json()["error_codes"][0], 700_213);
    t.clock.advance(SignedDuration::from_mins(1));
    assert_eq!(t.exchange(&t.assertion(&of_c)).await.status, 200);
}

#[tokio::test]
async fn e_30_the_old_wording_can_be_had() {
    let t = TestAzure::with(settings(|settings| settings.rules.wording = Wording::Legacy), None).await;
    let reply = t.exchange(&t.assertion(&json!({"sub": "somebody"}))).await;
    assert_eq!((reply.status, reply.json()["error_codes"][0].as_i64()), (400, Some(70021)));
    assert!(reply.json()["error_description"].as_str().unwrap().contains(".\r\nTrace ID: "));
}

#[tokio::test]
async fn e_45_faults_of_the_issuers_documents() {
    let t = TestAzure::start().await;
    for fault in [FetchFault::Timeout, FetchFault::ServerError, FetchFault::Html, FetchFault::Redirect, FetchFault::BadChain] {
        t.sim.control(ControlSettings { fetch_fault: Some(fault), ..ControlSettings::default() });
        let reply = t.exchange(&t.assertion(&json!({}))).await;
        assert_eq!((reply.status, reply.json()["error_codes"][0].as_i64()), (400, Some(501_661)), "{fault:?}");
    }
    t.sim.control(ControlSettings::default());
    assert_eq!(t.exchange(&t.assertion(&json!({}))).await.status, 200);
}

#[tokio::test]
async fn s_21_the_owner_moves_the_clock() {
    let t = TestAzure::start().await;
    let url = format!("{}/_skybru/control", t.sim.authority());
    let put = async |token: &str, body: serde_json::Value| {
        super::sim::read(t.http.put(&url).bearer_auth(token).json(&body)).await.status
    };
    let (token, late) = (t.token().await, json!({"clock_shift_seconds": 600}));
    assert_eq!(put(&token, late.clone()).await, 401, "B does not");
    assert_eq!(put(t.owner(), json!({"clock": 1})).await, 400);
    assert_eq!(put(t.owner(), late).await, 200);
    assert_eq!(t.exchange(&t.assertion(&json!({}))).await.json()["error_codes"][0], 700_024);
    assert_eq!(put(t.owner(), json!({})).await, 200);
    assert_eq!(t.exchange(&t.assertion(&json!({}))).await.status, 200);
}

#[tokio::test]
async fn e_73_clients_find_the_documents_that_they_look_for() {
    let t = TestAzure::start().await;
    let get = async |path: &str| super::sim::read(t.http.get(format!("{}{path}", t.sim.authority()))).await;
    let tenant = t.sim.tenant_id();
    let document = get(&format!("/{tenant}/v2.0/.well-known/openid-configuration")).await.json();
    assert_eq!(document["token_endpoint"], format!("{}/{tenant}/oauth2/v2.0/token", t.sim.authority()));
    assert!(document["authorization_endpoint"].is_string() && document["issuer"].is_string());
    assert_eq!(get("/nobody/v2.0/.well-known/openid-configuration").await.status, 400);
    let instance =
        get("/common/discovery/instance?api-version=1.1&authorization_endpoint=https://x/common/oauth2/v2.0/authorize").await;
    assert!(instance.json()["tenant_discovery_endpoint"].is_string());
}

#[tokio::test]
async fn state_and_access_tokens_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let t = TestAzure::with(settings(|_| ()), Some(folder.path().to_owned())).await;
    let (token, tenant, client_id) = (t.token().await, t.sim.tenant_id(), t.client_id.clone());
    let TestAzure { sim, issuer, principal_id, .. } = t;
    sim.shutdown().await;
    let mut t = TestAzure::empty(issuer, settings(|_| ()), Some(folder.path().to_owned())).await;
    (t.client_id, t.principal_id) = (client_id, principal_id);
    assert_eq!(t.sim.tenant_id(), tenant);
    assert_eq!(t.get(&token, &t.blob_url("timetables", "line-1.csv")).await.text, "stop,departure\n");
    assert_eq!(t.exchange(&t.assertion(&json!({}))).await.status, 200);
}

/// E-62: an application's credential, made at Graph; its tokens live an hour.
#[tokio::test]
async fn e_62_an_application_has_credentials_too() {
    let t = TestAzure::start().await;
    let graph = |path: &str| format!("{}/graph/v1.0/applications{path}", t.sim.authority());
    let post = async |path: &str, body: serde_json::Value| {
        super::sim::read(t.http.post(graph(path)).bearer_auth(t.owner()).json(&body)).await
    };
    let made = post("", json!({"displayName": "reader"})).await.json();
    let id = made["id"].as_str().unwrap();
    let credential = json!({"name": "b-reads", "issuer": t.issuer.url, "subject": SUBJECT, "audiences": [AUDIENCE]});
    assert_eq!(post(&format!("/{id}/federatedIdentityCredentials"), credential.clone()).await.status, 201);
    let app_id = made["appId"].as_str().unwrap();
    let reply = t.exchange_for(&t.assertion(&json!({})), &[("client_id", app_id)], &t.sim.tenant_id()).await;
    assert_eq!(reply.json()["expires_in"], 3599);
    let refused = super::sim::read(t.http.post(graph("")).bearer_auth(t.token().await).json(&credential)).await;
    assert_eq!(refused.status, 401, "a token for storage opens nothing here");
}

/// E-22: documents are fetched at each exchange here, so a new key counts at once; how long Entra keeps the old ones is unconfirmed.
#[tokio::test]
async fn e_22_the_issuers_keys_are_fetched_when_a_token_comes() {
    let t = TestAzure::start().await;
    assert_eq!(t.exchange(&t.assertion(&json!({}))).await.status, 200);
    let none = json!({"keys": []});
    let keys = std::mem::replace(&mut t.issuer.documents.lock().unwrap().keys, none);
    assert_eq!(t.exchange(&t.assertion(&json!({}))).await.json()["error_codes"][0], 700_027);
    t.issuer.documents.lock().unwrap().keys = keys;
    assert_eq!(t.exchange(&t.assertion(&json!({}))).await.status, 200);
}
