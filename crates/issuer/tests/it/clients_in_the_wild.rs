//! Requests as public Maskinporten clients send them, byte for byte where it matters.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::harness::{MASKINPORTEN, NOW, SCOPE, SKYPORTEN, TestIssuer, post, send};

const FORM: &str = "application/x-www-form-urlencoded";

/// navikt/maskinporten-client (Kotlin): no `jti`, the body joined from strings, colons not encoded.
#[tokio::test]
async fn navikt_maskinporten_client_sends_no_jti_and_an_unencoded_body() {
    let t = TestIssuer::start().await;
    let claims = json!({"aud": MASKINPORTEN, "iss": t.client_id, "scope": SCOPE, "iat": NOW, "exp": NOW + 120, "resource": "https://a.no"});
    let body = format!("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion={}", t.sign(&claims));
    assert_eq!(post(&t.maskinporten, "/token", FORM, body).await.0, 200);
}

/// nais/digdirator (Go): `aud` as an array of one, `nbf`, a life of exactly 120 seconds.
#[tokio::test]
async fn digdirator_sends_the_audience_as_an_array() {
    let t = TestIssuer::start().await;
    let claims = json!({
        "aud": [MASKINPORTEN], "iss": t.client_id, "scope": SCOPE, "iat": NOW, "nbf": NOW, "exp": NOW + 120, "jti": "5f6e"
    });
    assert_eq!(t.ask(&claims).await.0, 200);
}

/// nais/texas (Rust): half a minute of life, `resource` as a string; presents the same assertion again after a 5xx.
#[tokio::test]
async fn texas_sends_a_short_life_and_a_string_resource() {
    let t = TestIssuer::start().await;
    let claims = json!({
        "aud": MASKINPORTEN, "iss": t.client_id, "scope": SCOPE, "iat": NOW, "nbf": NOW, "exp": NOW + 30, "jti": "t", "resource": "https://api.no"
    });
    assert_eq!(t.open(&t.ask(&claims).await)["aud"], "https://api.no");
}

/// felleslosninger/skyporten-examples (Azure page): `resource` as an array, no `typ`, a life of 100 seconds.
#[tokio::test]
async fn skyporten_examples_send_the_resource_as_an_array_and_no_typ() {
    let t = TestIssuer::start().await;
    let claims = json!({
        "aud": SKYPORTEN, "iss": t.client_id, "scope": SCOPE, "iat": NOW, "exp": NOW + 100, "jti": "s", "resource": ["https://sky.no"]
    });
    let assertion = t.key.sign(None, &claims).unwrap();
    assert_eq!(t.open(&t.present(&t.skyporten, &assertion).await)["aud"], "https://sky.no");
}

/// Altinn Studio's operator (Go): the grant in the query string, an empty body.
#[tokio::test]
async fn altinn_studio_sends_the_grant_in_the_query() {
    let t = TestIssuer::start().await;
    let assertion = t.sign(&t.claims());
    let path = format!("/token?grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}");
    let request = Request::post(path).header("content-type", FORM).body(Body::empty()).unwrap();
    assert_eq!(send(&t.maskinporten, request).await.0, 200);
}

/// Altinn/altinn-apiclient-maskinporten (C#): ten seconds of life.
#[tokio::test]
async fn altinn_apiclient_sends_ten_seconds_of_life() {
    let t = TestIssuer::start().await;
    let claims = json!({"aud": MASKINPORTEN, "iss": t.client_id, "scope": SCOPE, "iat": NOW - 9, "exp": NOW + 1, "jti": "a"});
    assert_eq!(t.ask(&claims).await.0, 200);
}

/// felleslosninger/jwt-grant-generator (Java): the clock is read twice, so the life may be 121 seconds.
#[tokio::test]
async fn jwt_grant_generator_may_be_a_second_too_long() {
    let t = TestIssuer::start().await;
    let claims = |exp: i64| json!({"aud": MASKINPORTEN, "iss": t.client_id, "scope": SCOPE, "iat": NOW, "exp": NOW + exp});
    assert_eq!(t.ask(&claims(121)).await.0, 200);
    assert_eq!(t.ask(&claims(180)).await.refusal().1, "MP-011");
}

/// ks-no/fiks-maskinporten-client-dotnet (C#): both `kid` and `x5c`, a `Charset` header, a charset in the content type.
#[tokio::test]
async fn fiks_dotnet_sends_key_id_and_certificate_together() {
    let t = TestIssuer::start().await;
    let header = json!({"alg": "RS256", "kid": t.key.kid(), "x5c": ["MIIB"]});
    let assertion = t.key.sign_with_header(&header, &t.claims()).unwrap();
    let body = format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}");
    let request = Request::post("/token")
        .header("content-type", "application/x-www-form-urlencoded; charset=UTF-8")
        .header("Charset", "utf-8")
        .header("consumer_org", "889640782")
        .body(Body::from(body))
        .unwrap();
    assert_eq!(send(&t.maskinporten, request).await.0, 200);
}

/// Altinn/MaskinportenTokenGenerator (C#) adds `sub`; webmaxru/maskinporten signs PS256 when its key says so, which must fail.
#[tokio::test]
async fn a_subject_is_ignored_and_pss_is_refused() {
    let t = TestIssuer::start().await;
    let mut claims = t.claims();
    claims["sub"] = json!(t.client_id);
    assert_eq!(t.ask(&claims).await.0, 200);
    let header = json!({"alg": "PS256", "kid": t.key.kid()});
    claims["jti"] = json!("two");
    let assertion = t.key.sign_with_header(&header, &claims).unwrap();
    assert_eq!(t.present(&t.maskinporten, &assertion).await.refusal().1, "MP-124");
}

/// Tools that read a token from a file send its line feed along: refused as unreadable, not as a wrong signature.
#[tokio::test]
async fn a_line_break_in_the_assertion_is_malformed() {
    let t = TestIssuer::start().await;
    let body = format!("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion={}%0A", t.sign(&t.claims()));
    assert_eq!(post(&t.maskinporten, "/token", FORM, body).await.refusal().1, "MP-011");
}
