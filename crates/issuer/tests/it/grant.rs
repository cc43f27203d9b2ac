//! The rules of the JWT grant, one refusal at a time, and what a good request gets.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use serde_json::{Value, json};
use skybru_issuer::selfservice::{Caller, ScopeInput};
use skybru_protocol::assertion::Fingerprint;
use skybru_store::registry::AccessState;
use skybru_store::{AssertionLog, StoreError};

use crate::harness::{Answer, CONSUMER, MASKINPORTEN, NOW, PROVIDER, SCOPE, SKYPORTEN, TestIssuer, get, org, post, scope_input};

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn a_good_assertion_gets_exactly_four_members() {
    let t = TestIssuer::start().await;
    let answer = t.ask(&t.claims()).await;
    let members: Vec<&String> = answer.1.as_object().unwrap().keys().collect();
    assert_eq!(members, ["access_token", "expires_in", "scope", "token_type"]);
    assert_eq!(
        (&answer.1["token_type"], &answer.1["expires_in"], &answer.1["scope"]),
        (&json!("Bearer"), &json!(120), &json!(SCOPE))
    );
}

#[tokio::test]
async fn a_maskinporten_token_has_the_claims_of_a_live_one() {
    let t = TestIssuer::start().await;
    let mut token = t.open(&t.ask(&t.claims()).await);
    assert_eq!(token["jti"].take().as_str().unwrap().len(), 43);
    assert_eq!(
        token,
        json!({
            "iss": MASKINPORTEN, "scope": SCOPE, "client_id": t.client_id, "client_amr": "private_key_jwt", "token_type": "Bearer",
            "consumer": {"authority": "iso6523-actorid-upis", "ID": "0192:889640782"}, "iat": NOW, "exp": NOW + 120, "jti": null
        })
    );
}

#[tokio::test]
async fn a_skyporten_token_carries_consumer_and_scope_in_its_subject() {
    let t = TestIssuer::start().await;
    let claims = with(with(t.claims(), "aud", json!(SKYPORTEN)), "resource", json!("https://skyporten.example.no"));
    let token = t.open(&t.present(&t.skyporten, &t.sign(&claims)).await);
    assert_eq!(token["sub"], "0192:889640782;entur:skyporten.demo");
    assert_eq!(token["aud"], "https://skyporten.example.no", "one resource: a string (P-5)");
    assert_eq!(token["iss"], SKYPORTEN);
}

#[tokio::test]
async fn several_resources_become_an_array() {
    let t = TestIssuer::start().await;
    let token = t.open(&t.ask(&with(t.claims(), "resource", json!(["https://a.no", "https://b.no"]))).await);
    assert_eq!(token["aud"], json!(["https://a.no", "https://b.no"]));
}

#[tokio::test]
async fn authentication_is_refused_with_maskinportens_codes() {
    let t = TestIssuer::start().await;
    let refused = |answer: Answer| answer.refusal().1.to_owned();
    assert_eq!(refused(t.present(&t.maskinporten, "not.a.token").await), "MP-011");
    assert_eq!(refused(t.ask(&with(t.claims(), "aud", json!("https://test.maskinporten.no"))).await), "MP-110");
    assert_eq!(refused(t.ask(&with(t.claims(), "iss", json!("unknown"))).await), "MP-100");
    assert_eq!(refused(t.ask(&with(with(t.claims(), "iat", json!(NOW - 100)), "exp", json!(NOW - 10))).await), "MP-130");
    let kid = |kid: Value| t.key.sign_with_header(&json!({"alg": "RS256", "kid": kid}), &t.claims()).unwrap();
    let unknown = t.present(&t.maskinporten, &kid(json!("other"))).await.refusal().2;
    assert_eq!(unknown, "Invalid assertion. Client authentication failed. Unknown key identifier (kid) for client.");
    let unnamed = t.present(&t.maskinporten, &kid(Value::Null)).await.refusal().2;
    assert!(unnamed.ends_with("The client requires pre-registered jwk and no key identifier (kid) provided"), "{unnamed}");
    let (head, _) = t.sign(&t.claims()).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(refused(t.present(&t.maskinporten, &format!("{head}.AAAA")).await), "MP-124");
}

#[tokio::test]
async fn a_clock_wrong_by_an_hour_is_told_apart_by_direction() {
    let t = TestIssuer::start().await;
    let at = |shift: i64| with(with(t.claims(), "iat", json!(NOW + shift)), "exp", json!(NOW + shift + 60));
    assert_eq!(
        t.ask(&at(-3600)).await.refusal(),
        (400, "MP-130", "Invalid assertion. Client authentication failed. JWT is expired.".into())
    );
    let ahead = t.ask(&at(3600)).await.refusal().2;
    assert_eq!(ahead, "Invalid assertion. Client authentication failed. Issue time is after now.");
}

#[tokio::test]
async fn a_key_is_refused_a_year_after_it_was_posted() {
    let t = TestIssuer::start().await;
    t.clock.advance(SignedDuration::from_hours(365 * 24));
    let later = NOW + 365 * 24 * 3600;
    let claims = with(with(t.claims(), "iat", json!(later)), "exp", json!(later + 60));
    assert_eq!(
        t.ask(&claims).await.refusal(),
        (400, "MP-121", "Invalid assertion. Client authentication failed. Expired key.".into())
    );
}

#[tokio::test]
async fn a_second_use_is_refused_and_a_refused_one_was_no_use() {
    let t = TestIssuer::start().await;
    let provider = Caller::operator(org(PROVIDER));
    t.service.set_access(&provider, SCOPE, CONSUMER, AccessState::Denied).await.unwrap();
    assert_eq!(t.ask(&t.claims()).await.refusal().1, "MP-250");
    t.service.set_access(&provider, SCOPE, CONSUMER, AccessState::Approved).await.unwrap();
    assert_eq!(t.ask(&t.claims()).await.0, 200, "the refusal did not burn the assertion");
    let again = t.ask(&t.claims()).await;
    assert_eq!(again.refusal(), (400, "MP-012", "Validation of JWT Bearer grant failed. Grant is used before.".into()));
}

#[tokio::test]
async fn a_hundred_at_once_are_one_success() {
    let t = Arc::new(TestIssuer::start().await);
    let assertion = t.sign(&t.claims());
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let (t, assertion) = (t.clone(), assertion.clone());
            tokio::spawn(async move { t.present(&t.maskinporten, &assertion).await.0 })
        })
        .collect();
    let mut granted = 0;
    for call in calls {
        granted += usize::from(call.await.unwrap() == 200);
    }
    assert_eq!(granted, 1);
}

#[tokio::test]
async fn scopes_are_all_or_nothing() {
    let t = TestIssuer::start().await;
    let answer = t.ask(&with(t.claims(), "scope", json!("entur:skyporten.demo entur:other a:b"))).await;
    assert_eq!(answer.refusal(), (400, "MP-200", "Token request contains invalid scopes for client, entur:other, a:b".into()));
    assert_eq!(answer.1["error"], "invalid_scope");
    assert_eq!(t.ask(&with(t.claims(), "scope", Value::Null)).await.refusal().1, "MP-011");
}

#[tokio::test]
async fn withdrawn_access_is_refused_at_once() {
    let t = TestIssuer::start().await;
    let provider = Caller::operator(org(PROVIDER));
    t.service.set_access(&provider, SCOPE, CONSUMER, AccessState::Denied).await.unwrap();
    let refusal = t.ask(&t.claims()).await;
    assert_eq!(refusal.refusal(), (403, "MP-250", format!("Consumer has not been granted access to the scope {SCOPE}.")));
    assert_eq!(refusal.1["error_uri"], "https://test.maskinporten.no/errors/MP-250");
}

#[tokio::test]
async fn a_deactivated_scope_and_a_deactivated_client_get_nothing() {
    let t = TestIssuer::start().await;
    t.service.deactivate_scope(&Caller::operator(org(PROVIDER)), SCOPE).await.unwrap();
    assert_eq!(t.ask(&t.claims()).await.refusal().1, "MP-200");
    t.service.deactivate_client(&Caller::operator(org(CONSUMER)), &t.client_id).await.unwrap();
    assert_eq!(t.ask(&t.claims()).await.refusal().1, "MP-100");
}

#[tokio::test]
async fn a_supplier_without_delegation_is_told_who_must_delegate() {
    let t = TestIssuer::start().await;
    let provider = Caller::operator(org(PROVIDER));
    let input = ScopeInput { delegation_source: Some("https://tt02.altinn.no/".into()), ..scope_input("entur", "delegable") };
    t.service.create_scope(&provider, input).await.unwrap();
    let supplier = t.register("310702641", &["entur:delegable"]).await;
    let claims = |consumer: &str| json!({"iss": supplier, "aud": MASKINPORTEN, "scope": "entur:delegable", "iat": NOW, "exp": NOW + 60, "consumer_org": consumer});
    assert_eq!(t.ask(&claims(CONSUMER)).await.refusal().1, "MP-250", "the consumer has no access yet");
    t.service.set_access(&provider, "entur:delegable", CONSUMER, AccessState::Approved).await.unwrap();
    let refused = t.ask(&claims(CONSUMER)).await;
    let (status, code, text) = refused.refusal();
    assert_eq!(
        (status, code, text.as_str()),
        (403, "MP-251", "Consumer 889640782 has not delegated access to the scope entur:delegable to supplier 310702641.")
    );
    let own = t.ask(&claims("310702641")).await.refusal().2;
    assert!(own.starts_with("Validation of JWT claim failed: The combination consumer_org"), "{own}");
}

#[tokio::test]
async fn the_providers_limit_wins_over_the_clients_wish() {
    let t = TestIssuer::start().await;
    let input = ScopeInput { at_max_age: Some(30), ..scope_input("entur", "skyporten.demo") };
    t.service.update_scope(&Caller::operator(org(PROVIDER)), SCOPE, input).await.unwrap();
    let answer = t.ask(&t.claims()).await;
    assert_eq!(answer.1["expires_in"], 30);
    assert_eq!(t.open(&answer)["exp"], NOW + 30);
}

#[tokio::test]
async fn forms_are_refused_in_the_oauth_shape() {
    let t = TestIssuer::start().await;
    let form = "application/x-www-form-urlencoded";
    let error = |answer: Answer| (answer.0, answer.1["error"].as_str().unwrap_or_default().to_owned());
    let ask = |body: String| post(&t.maskinporten, "/token", form, body);
    assert_eq!(error(ask(String::new()).await), (400, "invalid_request".into()));
    assert_eq!(error(ask("grant_type=client_credentials".into()).await), (400, "unsupported_grant_type".into()));
    assert_eq!(
        error(ask("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer".into()).await),
        (400, "invalid_request".into())
    );
    assert_eq!(error(ask("assertion=a&assertion=b".into()).await), (400, "invalid_request".into()));
    assert_eq!(error(ask("a".repeat(40_000)).await), (400, "invalid_request".into()));
    assert_eq!(error(post(&t.maskinporten, "/token", "application/json", "{}").await), (400, "invalid_request".into()));
    assert_eq!(error(get(&t.maskinporten, "/token").await), (405, "invalid_request".into()));
    assert_eq!(get(&t.maskinporten, "/nothing").await.0, 404);
}

/// A log that cannot answer.
struct Away;

#[async_trait]
impl AssertionLog for Away {
    async fn record_once(&self, _: Fingerprint, _: i64) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }
    async fn is_used(&self, _: Fingerprint) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }
    async fn forget(&self, _: Fingerprint) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }
}

#[tokio::test]
async fn without_the_log_of_used_assertions_nothing_is_issued() {
    let t = TestIssuer::with_log(Arc::new(Away)).await;
    let answer = t.ask(&t.claims()).await;
    assert_eq!((answer.0, answer.1["error"].as_str()), (503, Some("temporarily_unavailable")));
}

#[tokio::test]
async fn documents_are_where_known_clients_look() {
    let t = TestIssuer::start().await;
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/",
        "/.well-known/openid-configuration/",
    ] {
        assert_eq!(get(&t.maskinporten, path).await.1["issuer"], MASKINPORTEN, "{path}");
        assert_eq!(get(&t.skyporten, path).await.1["issuer"], SKYPORTEN, "{path}");
    }
    for path in ["/jwk", "/jwks", "/jwks.json", "/.well-known/jwks.json"] {
        let set = get(&t.skyporten, path).await.1;
        let members: Vec<&String> = set["keys"][0].as_object().unwrap().keys().collect();
        assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"], "P-9, {path}");
    }
    assert_eq!(get(&t.skyporten, "/health").await.1["status"], "UP");
}
