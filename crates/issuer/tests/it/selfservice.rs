//! The self-service API as its clients call it: with a token of the issuer.

use axum::body::Body;
use axum::http::{Method, Request};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::contract;
use crate::harness::{API_SCOPES, Answer, CONSUMER, MASKINPORTEN, NOW, PROVIDER, SCOPE, TestIssuer, get, send};

pub(crate) struct Admin {
    pub(crate) t: TestIssuer,
    pub(crate) token: String,
}

impl Admin {
    pub(crate) async fn of(number: &str) -> Self {
        Self::with(TestIssuer::start().await, number, "idporten:dcr.write idporten:scopes.write").await
    }

    /// A caller of this organisation with these scopes.
    pub(crate) async fn with(t: TestIssuer, number: &str, scopes: &str) -> Self {
        let token = Self::token(&t, number, scopes).await;
        Self { t, token }
    }

    async fn token(t: &TestIssuer, number: &str, scopes: &str) -> String {
        let client = t.register(number, &scopes.split(' ').collect::<Vec<_>>()).await;
        let claims = json!({"iss": client, "aud": MASKINPORTEN, "scope": scopes, "iat": NOW, "exp": NOW + 60});
        let answer = t.ask(&claims).await;
        answer.1["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    }

    /// The same house, another caller.
    pub(crate) async fn become_caller(&mut self, number: &str, scopes: &str) {
        self.token = Self::token(&self.t, number, scopes).await;
    }

    /// The caller, as the API's rules know it.
    pub(crate) fn caller(&self) -> skybru_issuer::selfservice::Caller {
        self.t.service.authenticate(Some(&format!("Bearer {}", self.token))).unwrap()
    }

    /// Calls the API, and holds the answer against its description.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = Request::builder().method(&method).uri(path).header("authorization", format!("Bearer {}", self.token));
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let answer = send(&self.t.api, request.header("content-type", "application/json").body(body).unwrap()).await;
        contract::check(&method, path, &answer);
        answer
    }
}

#[tokio::test]
async fn a_provider_registers_a_scope_and_grants_it() {
    let admin = Admin::of(PROVIDER).await;
    let scope = json!({"prefix": "entur", "subscope": "new/one.read", "description": "d", "name": "", "visibility": "PUBLIC"});
    let created = admin.call(Method::POST, "/api/v1/scopes", scope.clone()).await;
    assert_eq!((created.0, &created.1["name"], &created.1["prefix"]), (201, &json!("entur:new/one.read"), &json!("entur")));
    assert_eq!(admin.call(Method::POST, "/api/v1/scopes", scope).await.0, 409);

    let path = format!("/api/v1/scopes/access/{CONSUMER}?scope=entur%3Anew%2Fone.read");
    let granted = admin.call(Method::PUT, &path, Value::Null).await;
    assert_eq!((granted.0, &granted.1["state"], &granted.1["consumer_orgno"]), (200, &json!("APPROVED"), &json!(CONSUMER)));
    let listed = admin.call(Method::GET, "/scopes/access/?scope=entur:new/one.read", Value::Null).await;
    assert_eq!(listed.1.as_array().map(Vec::len), Some(1), "without the prefix, with the slash, not encoded");
    let withdrawn = admin.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!((withdrawn.0, &withdrawn.1["state"]), (200, &json!("DENIED")));
}

#[tokio::test]
async fn a_wrong_organisation_number_is_exactly_400() {
    let admin = Admin::of(PROVIDER).await;
    let answer = admin.call(Method::PUT, &format!("/api/v1/scopes/access/123456789?scope={SCOPE}"), Value::Null).await;
    assert_eq!(answer.0, 400);
    assert_eq!(
        answer.1["errors"][0]["errorMessage"],
        "123456789 is not an organisation number: the check digit should be 5, not 9"
    );
}

#[tokio::test]
async fn a_foreign_prefix_is_forbidden_and_a_foreign_scope_is_not_there() {
    let admin = Admin::of(CONSUMER).await;
    let scope = json!({"prefix": "entur", "subscope": "mine", "description": "d"});
    assert_eq!(admin.call(Method::POST, "/api/v1/scopes", scope).await.0, 403);
    let grant = format!("/api/v1/scopes/access/{CONSUMER}?scope={SCOPE}");
    assert_eq!(admin.call(Method::PUT, &grant, Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_consumer_registers_a_client_and_its_keys() {
    let admin = Admin::of(CONSUMER).await;
    let client = json!({
        "integration_type": "maskinporten", "application_type": "web", "client_name": "n", "description": "cluster:ns:app",
        "token_endpoint_auth_method": "private_key_jwt", "grant_types": ["urn:ietf:params:oauth:grant-type:jwt-bearer"],
        "scopes": [SCOPE], "redirect_uris": null, "sso_disabled": false
    });
    let created = admin.call(Method::POST, "/api/v1/clients", client).await;
    assert_eq!(created.0, 201, "{}", created.1);
    let path = format!("/api/v1/clients/{}/jwks", created.1["client_id"].as_str().unwrap());
    assert_eq!(admin.call(Method::GET, &path, Value::Null).await, Answer(200, json!({"keys": []})), "never 404 without keys");

    let key = serde_json::to_value(admin.t.key.public_jwk()).unwrap();
    let posted = admin.call(Method::POST, &path, json!({"keys": [key]})).await;
    assert_eq!((posted.0, &posted.1["keys"][0]["exp"]), (201, &json!(NOW + 365 * 24 * 3600)), "digdirator reads exp per key");
    admin.t.clock.advance(SignedDuration::from_secs(100));
    let again = admin.call(Method::PUT, &path, json!({"keys": posted.1["keys"]})).await;
    assert_eq!(
        again.1["keys"][0]["exp"],
        NOW + 100 + 365 * 24 * 3600,
        "posting again renews, and what was read may be sent back"
    );
}

/// The modulus of a key that can be factored, from Project Wycheproof.
const ROCA: &str = "AanFpofbj7KjD4Lf-N2hVMKR7yewSyXhhbirIMTGpfYEhZ_lnt5UoK98DnKIgArXGTu3MaW_HhFw16HGaTDUHqPrId7fe4r11CqRw09yBFuW79V8sYIwHdzCaWflUI6auImYbVfoN9_nD5n8N8SY9DwXw7mwZM9wREPXoDPgOoIWl6q_MPsp7n0zs3Z5ZaiQWOOzl1S9OhwAfSiiOwz6efnXEaxuTEtPd7BjSx7NaFka8Dx9U7YqXy2RFj1O9PjyaDGuRh7YXsX3iMUSP_wSyHQg_c_qHRtKUsNSGCT7OZg0hzm2KphtjnayKJvC64vAbROBR4Ubg6Bxg9IQVZ-QYyE";

#[tokio::test]
async fn keys_that_cannot_be_used_are_refused_with_the_reason() {
    let admin = Admin::of(CONSUMER).await;
    let path = format!("/api/v1/clients/{}/jwks", admin.t.client_id);
    let good = serde_json::to_value(admin.t.key.public_jwk()).unwrap();
    let change = |name: &str, value: Value| {
        let mut key = good.clone();
        key[name] = value;
        json!([key])
    };
    for (keys, reason) in [
        (json!([]), "expected 1 to 5 keys"),
        (json!([good, good]), "two keys have the key id"),
        (change("use", Value::Null), "use must be sig"),
        (change("e", json!("AQ")), "expected an odd exponent"),
        (change("n", json!(ROCA)), "the ROCA weakness"),
        (change("alg", json!("PS256")), "alg must be RS256, RS384 or RS512"),
        (change("kid", json!("a b")), "is not a key id"),
        (change("n", json!("AQAB")), "expected a modulus of 2048 to 8192 bits"),
        (change("d", json!("AQAB")), "private member \"d\""),
    ] {
        let answer = admin.call(Method::POST, &path, json!({"keys": keys})).await;
        let message = answer.1["errors"][0]["errorMessage"].as_str().unwrap_or_default().to_owned();
        assert!(answer.0 == 400 && message.contains(reason), "{message} should contain {reason}");
    }
}

#[tokio::test]
async fn a_client_with_several_faults_hears_of_all_of_them() {
    let admin = Admin::of(CONSUMER).await;
    let client = json!({"integration_type": "idporten", "scopes": ["x:y"], "access_token_lifetime": 0});
    let answer = admin.call(Method::POST, "/clients/", client).await;
    assert_eq!((answer.0, answer.1["errors"].as_array().map(Vec::len)), (400, Some(4)));
    assert!(answer.1["error_description"].as_str().unwrap().starts_with(", client_name is missing, "), "the comma is genuine");
}

#[tokio::test]
async fn strangers_are_kept_out() {
    let admin = Admin::of(CONSUMER).await;
    assert_eq!(get(&admin.t.api, "/api/v1/clients").await.0, 401);
    let small = admin.t.ask(&admin.t.claims()).await.1["access_token"].as_str().unwrap().to_owned();
    let weak = Admin { t: admin.t, token: small };
    let answer = weak.call(Method::GET, "/api/v1/clients", Value::Null).await;
    assert_eq!(answer.0, 403, "a token without the right scope");
    weak.t.clock.advance(SignedDuration::from_secs(121));
    assert_eq!(weak.call(Method::GET, "/api/v1/clients", Value::Null).await.0, 401, "an expired token");
}

#[tokio::test]
async fn another_organisations_client_is_not_there() {
    let admin = Admin::of(PROVIDER).await;
    let path = format!("/api/v1/clients/{}", admin.t.client_id);
    assert_eq!(admin.call(Method::GET, &path, Value::Null).await.0, 404);
    assert_eq!(admin.call(Method::DELETE, &path, Value::Null).await.0, 404);
    assert_eq!(admin.call(Method::GET, &format!("{path}/jwks"), Value::Null).await.0, 404);
}

#[tokio::test]
async fn listings_that_need_no_token_need_none() {
    let admin = Admin::of(PROVIDER).await;
    assert_eq!(get(&admin.t.api, "/api/v1/delegationsources").await, Answer(200, json!([])));
    let all = get(&admin.t.api, "/api/v1/scopes/all?accessible_for_all=true").await;
    assert_eq!(all.1.as_array().map(Vec::len), Some(API_SCOPES.len()));
}
