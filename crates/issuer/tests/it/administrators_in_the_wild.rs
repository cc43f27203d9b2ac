//! Requests to the self-service API as public programs send them.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use skybru_protocol::jose::{RsaSize, SigningKey};

use crate::harness::{CONSUMER, MASKINPORTEN, PROVIDER, SCOPE, TestIssuer, get, send};
use crate::selfservice::Admin;

/// oslokommune/maskinporten-cli (Kotlin): paths without a prefix and with a slash, keys of 4096 bits, 404 for what is not there; its reader of
/// token answers stops at a fifth member.
#[tokio::test]
async fn maskinporten_cli_creates_a_client_with_a_large_key() {
    let admin = Admin::of(CONSUMER).await;
    let client = json!({
        "integration_type": "maskinporten", "application_type": "web", "client_name": "n", "description": "d",
        "token_endpoint_auth_method": "private_key_jwt", "grant_types": ["urn:ietf:params:oauth:grant-type:jwt-bearer"], "scopes": [SCOPE]
    });
    let created = admin.call(Method::POST, "/clients/", client).await;
    assert_eq!(created.0, 201);
    let path = format!("/clients/{}/jwks", created.1["client_id"].as_str().unwrap());
    let large = SigningKey::generate(RsaSize::Bits4096, "RS256".parse().unwrap()).unwrap();
    assert_eq!(admin.call(Method::POST, &path, json!({"keys": [large.public_jwk()]})).await.0, 201);
    assert_eq!(admin.call(Method::GET, "/clients/0c9a9f5e-0000-4000-8000-000000000000", Value::Null).await.0, 404);
    let answer = admin.t.ask(&admin.t.claims()).await;
    assert_eq!(answer.1.as_object().map(serde_json::Map::len), Some(4));
}

/// Its key ids are the client's name and a UUID, so that names with blanks make key ids that are none; they are refused with the reason.
#[tokio::test]
async fn maskinporten_cli_may_make_key_ids_that_are_none() {
    let admin = Admin::of(CONSUMER).await;
    let mut key = serde_json::to_value(admin.t.key.public_jwk()).unwrap();
    key["kid"] = json!("my client-0c9a9f5e-6a57-4d3f-9d1c-2f0f4c7a1b11");
    let answer = admin.call(Method::POST, &format!("/clients/{}/jwks", admin.t.client_id), json!({"keys": [key]})).await;
    assert_eq!(answer.0, 400);
}

/// oslokommune/okdata-maskinporten-api (Python): the token endpoint must begin with the issuer; requires members of a client; shows
/// `errors[].errorMessage` of any refusal; posts back the keys that it read.
#[tokio::test]
async fn okdata_reads_clients_errors_and_keys() {
    let admin = Admin::of(CONSUMER).await;
    let metadata = get(&admin.t.maskinporten, "/.well-known/oauth-authorization-server").await.1;
    assert!(metadata["token_endpoint"].as_str().unwrap().starts_with(MASKINPORTEN));
    let path = format!("/api/v1/clients/{}", admin.t.client_id);
    let client = admin.call(Method::GET, &path, Value::Null).await.1;
    for member in ["client_id", "client_name", "description", "scopes", "active", "created", "last_updated"] {
        assert!(!client[member].is_null(), "{member} is required");
    }
    let refused = admin.call(Method::POST, "/api/v1/clients", json!({"client_name": "n"})).await;
    assert!(refused.1["errors"].as_array().unwrap().iter().all(|error| error["errorMessage"].is_string()));
    let keys = admin.call(Method::GET, &format!("{path}/jwks"), Value::Null).await.1;
    assert_eq!(admin.call(Method::POST, &format!("{path}/jwks"), json!({"keys": keys["keys"]})).await.0, 201);
}

/// bekk/maskinporten-management (Kotlin) and Altinn's PowerShell scripts: accesses, with and without prefix, encoded and not; the scripts put
/// back what they read.
#[tokio::test]
async fn scripts_list_accesses_and_put_back_what_they_read() {
    let admin = Admin::of(PROVIDER).await;
    for path in [
        "/api/v1/scopes/access?scope=entur%3Askyporten.demo".to_owned(),
        format!("/scopes/access/?consumer_orgno={CONSUMER}&scope=entur:skyporten.demo"),
        format!("/scopes/access/?consumer_orgno={CONSUMER}"),
    ] {
        let listed = admin.call(Method::GET, &path, Value::Null).await;
        assert_eq!((&listed.1[0]["scope"], listed.1.as_array().map(Vec::len)), (&json!(SCOPE), Some(1)), "{path}");
    }
    let read = admin.call(Method::GET, "/scopes?scope=entur:skyporten.demo", Value::Null).await.1;
    assert_eq!(read["name"], SCOPE, "one object");
    let put = admin.call(Method::PUT, "/scopes?scope=entur:skyporten.demo", read.clone()).await;
    assert_eq!((put.0, &put.1["owner_orgno"]), (200, &read["owner_orgno"]));
}

/// All clients send `Content-Type: application/json` with an empty body on GET and DELETE: it is not parsed.
#[tokio::test]
async fn an_empty_body_with_a_content_type_is_not_parsed() {
    let admin = Admin::of(PROVIDER).await;
    for (method, path) in [("GET", "/api/v1/clients"), ("DELETE", "/api/v1/scopes?scope=entur%3Askyporten.demo")] {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {}", admin.token));
        let request = request.header("content-type", "application/json").body(Body::empty()).unwrap();
        assert_eq!(send(&admin.t.api, request).await.0, 200, "{method}");
    }
    let t = TestIssuer::start().await;
    assert_eq!(get(&t.api, "/api/v1/scopes/all").await.0, 200, "open listings need no token");
}
