//! Requests as public Maskinporten clients send them, byte for byte where it matters.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::harness::{MASKINPORTEN, NOW, SCOPE, SKYPORTEN, TestIssuer, get, post, send};

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

/// entur/sd-skyporten-examples and navikt/skyporten-poc (Python): no `typ`, `resource` as a string, 100 or 60 seconds of life.
#[tokio::test]
async fn skyporten_scripts_read_the_token_out_of_the_answer() {
    let t = TestIssuer::start().await;
    for (life, jti) in [(100, "entur"), (60, "navikt")] {
        let claims = json!({
            "aud": SKYPORTEN, "iss": t.client_id, "iat": NOW, "exp": NOW + life, "jti": jti, "scope": SCOPE, "resource": "https://skyporten.entur.org"
        });
        let assertion = t.key.sign_with_header(&json!({"kid": t.key.kid(), "alg": "RS256"}), &claims).unwrap();
        let token = t.open(&t.present(&t.skyporten, &assertion).await);
        assert_eq!(
            (&token["aud"], &token["sub"]),
            (&json!("https://skyporten.entur.org"), &json!("0192:889640782;entur:skyporten.demo"))
        );
    }
}

/// entur/exploratory-maskinporten-token (Node): asks for the metadata with a slash at the end, at Skyporten too; its library adds `typ`.
#[tokio::test]
async fn exploratory_maskinporten_token_asks_for_metadata_with_a_slash() {
    let t = TestIssuer::start().await;
    for (router, issuer) in [(&t.maskinporten, MASKINPORTEN), (&t.skyporten, SKYPORTEN)] {
        let metadata = get(router, "/.well-known/oauth-authorization-server/").await;
        assert_eq!(metadata.1["issuer"], issuer);
        let claims = json!({"aud": issuer, "iss": t.client_id, "iat": NOW, "exp": NOW + 60, "jti": issuer, "scope": SCOPE, "resource": "https://a.no"});
        let assertion = t.key.sign_with_header(&json!({"alg": "RS256", "typ": "JWT", "kid": t.key.kid()}), &claims).unwrap();
        assert_eq!(t.present(router, &assertion).await.0, 200);
    }
}

/// ks-no/fiks-maskinporten (Kotlin): an unencoded body; reads `expires_in`, and `exp` out of the token; names persons and consumers.
#[tokio::test]
async fn fiks_maskinporten_reads_the_lifetime_twice() {
    let t = TestIssuer::start().await;
    let claims = json!({
        "aud": MASKINPORTEN, "iss": t.client_id, "scope": SCOPE, "iat": NOW, "exp": NOW + 120, "jti": "8d7c", "resource": "https://api.fiks.no",
        "pid": "10850199405"
    });
    let body = format!("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion={}", t.sign(&claims));
    let answer = post(&t.maskinporten, "/token", FORM, body).await;
    let token = t.open(&answer);
    assert_eq!(answer.1["expires_in"].as_i64(), token["exp"].as_i64().map(|exp| exp - NOW));
    assert_eq!(token["pid"], "10850199405");
}

/// danielskovli/maskinporten-authentication-py and its .NET sibling: a key id, 120 seconds.
#[tokio::test]
async fn maskinporten_authentication_sends_the_longest_life() {
    let t = TestIssuer::start().await;
    let claims = json!({"aud": MASKINPORTEN, "iss": t.client_id, "scope": SCOPE, "iat": NOW, "exp": NOW + 120, "jti": "py"});
    assert_eq!(t.ask(&claims).await.0, 200);
}

/// delta-io/delta-sharing (Python): `accept: application/json`, an integer `expires_in`; it may leave the scope out, and is told so.
#[tokio::test]
async fn delta_sharing_needs_an_integer_lifetime_and_a_scope() {
    let t = TestIssuer::start().await;
    let claims = |scope: &str| json!({"aud": MASKINPORTEN, "iss": t.client_id, "scope": scope, "iat": NOW, "exp": NOW + 120, "jti": "d", "resource": "https://share.no"});
    let assertion = t.key.sign_with_header(&json!({"alg": "RS256", "kid": t.key.kid()}), &claims(SCOPE)).unwrap();
    let body = format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}");
    let request =
        Request::post("/token").header("content-type", FORM).header("accept", "application/json").body(Body::from(body)).unwrap();
    let answer = send(&t.maskinporten, request).await;
    assert!(answer.1["expires_in"].is_u64(), "{}", answer.1);
    let mut without = claims("");
    without["jti"] = json!("another");
    without.as_object_mut().unwrap().remove("scope");
    assert_eq!(t.ask(&without).await.refusal().1, "MP-011");
}

/// oslokommune/maskinporten-klient finds two words in the descriptions.
#[tokio::test]
async fn maskinporten_klient_finds_its_words() {
    let t = TestIssuer::start().await;
    let unknown = t.key.sign_with_header(&json!({"alg": "RS256", "kid": "gone"}), &t.claims()).unwrap();
    let answer = t.present(&t.maskinporten, &unknown).await;
    assert!(answer.1["error_description"].as_str().unwrap().contains("Unknown key identifier (kid) for client"));
    t.clock.advance(jiff::SignedDuration::from_hours(365 * 24));
    let late = NOW + 365 * 24 * 3600;
    let claims = json!({"aud": MASKINPORTEN, "iss": t.client_id, "scope": SCOPE, "iat": late, "exp": late + 60});
    assert!(t.ask(&claims).await.1["error_description"].as_str().unwrap().contains("Expired key"));
}

/// webmaxru/maskinporten (TypeScript): authorization details, a life of 100 seconds; reads a number and, of the errors, the text.
#[tokio::test]
async fn webmaxru_sends_details_and_reads_the_text_of_a_refusal() {
    let t = TestIssuer::start().await;
    let claims = json!({
        "aud": MASKINPORTEN, "iss": t.client_id, "scope": SCOPE, "iat": NOW, "exp": NOW + 100, "jti": "w",
        "authorization_details": [{"type": "urn:altinn:systemuser", "systemuser_org": {"authority": "iso6523-actorid-upis", "ID": "0192:310702641"}}]
    });
    let answer = t.ask(&claims).await;
    assert_eq!(answer.refusal().2, "Invalid authorization details values, system user not found");
}

/// navikt/maskinporten-validation (Kotlin), Vault and its heir: what resource servers read of a token, and where they fetch the keys.
#[tokio::test]
async fn resource_servers_find_what_they_require() {
    let t = TestIssuer::start().await;
    let token = t.open(&t.ask(&t.claims()).await);
    for claim in ["client_id", "client_amr", "consumer", "exp", "iat", "jti"] {
        assert!(!token[claim].is_null(), "{claim} is required");
    }
    assert_eq!(token["scope"], SCOPE, "compared as a whole");
    assert_eq!(token.pointer("/consumer/ID"), Some(&json!("0192:889640782")), "user_claim=/consumer/ID");
    let keys = get(&t.maskinporten, "/jwk").await;
    assert!(
        keys.1["keys"].as_array().unwrap().iter().all(|key| key["kty"] == "RSA" && key["kid"].is_string()),
        "one without kid fails the set"
    );
}
