//! What nais/digdirator calls, in its order, over real HTTP, with the business certificate of its administrative client: a whole life of
//! one exposed scope and one client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use serde_json::{Value, json};
use skybru_issuer::certificates::{Anchor, Certificates, Revocation};
use skybru_issuer::http::Limits;
use skybru_issuer::selfservice::{Caller, ClientFilter};

use crate::contract;
use crate::harness::{Answer, CONSUMER, MASKINPORTEN, NOW, PROVIDER, TestIssuer, org};
use crate::pki::{Authority, Seal, Web};
use crate::wire::{Served, request, start};

/// digdirator, as it looks from outside.
struct Digdirator {
    t: TestIssuer,
    issuer: Served,
    api: Served,
    admin: String,
    chain: Vec<String>,
    tokens: AtomicUsize,
}

impl Digdirator {
    async fn start() -> Self {
        let root = Authority::root("Test Root");
        let between = root.below("Test CA");
        let anchor = Anchor { certificate: root.der.clone(), client_amr: None };
        let trust = Arc::new(Certificates::new(&[anchor], &[], Revocation::Off, 600, Web::silent()).unwrap());
        let t = TestIssuer::adapted(|issuer| issuer.with_certificates(trust.clone())).await;
        let scopes = ["idporten:dcr.write", "idporten:dcr.read", "idporten:scopes.write"];
        let admin = t.register_without_key(PROVIDER, &scopes).await;
        let chain = [between.issue(&Seal::modern("NTRNO-991825827")), between.der, root.der];
        let issuer = start(t.maskinporten.clone(), Limits::default()).await;
        let api = start(t.api.clone(), Limits::default()).await;
        let chain = chain.iter().map(|der| STANDARD.encode(der)).collect();
        Self { t, issuer, api, admin, chain, tokens: AtomicUsize::new(0) }
    }

    /// A new token for every call: it keeps none.
    async fn token(&self) -> String {
        let n = self.tokens.fetch_add(1, Ordering::SeqCst);
        let claims = json!({
            "iss": self.admin, "aud": [MASKINPORTEN], "iat": NOW, "nbf": NOW, "exp": NOW + 120, "jti": format!("0c9a9f5e-{n}"),
            "scope": "idporten:dcr.write idporten:dcr.read idporten:scopes.write"
        });
        let header = json!({"alg": "RS256", "typ": "JWT", "x5c": self.chain});
        let assertion = self.t.key.sign_with_header(&header, &claims).unwrap();
        let body = format!("assertion={assertion}&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer");
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let (answer, _) = request(self.issuer.address, "POST", "/token", &headers, &body).await;
        assert_eq!(answer.0, 200, "{}", answer.1);
        answer.1["access_token"].as_str().unwrap().to_owned()
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Answer {
        let authorization = format!("Bearer {}", self.token().await);
        let headers =
            [("Authorization", authorization.as_str()), ("Content-Type", "application/json"), ("Accept", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = format!("/api/v1{path}");
        let (answer, head) = request(self.api.address, method.as_str(), &path, &headers, &body).await;
        contract::check(&method, &path, &answer);
        assert!(answer.0 < 400, "{method} {path}: {} {}", answer.0, answer.1);
        assert!(head.to_ascii_lowercase().contains("content-type: application/json"), "{head}");
        answer
    }
}

const MARK: &str = "cluster:ns:app";

fn scope(active: bool) -> Value {
    json!({
        "accessible_for_all": false, "active": active, "allowed_integration_types": ["maskinporten"], "at_max_age": 30,
        "description": "arbeid - cluster:ns:app", "name": "", "prefix": "entur", "requires_pseudonymous_tokens": false,
        "requires_user_authentication": false, "requires_user_consent": false, "subscope": "arbeid:test.scope",
        "token_type": "SELF_CONTAINED", "visibility": "PUBLIC"
    })
}

fn client() -> Value {
    json!({
        "access_token_lifetime": 3600, "application_type": "web", "authorization_lifetime": 7200, "client_name": "ARBEIDS- OG VELFERDSETATEN",
        "client_uri": "https://www.nav.no", "description": MARK, "frontchannel_logout_session_required": false,
        "grant_types": ["urn:ietf:params:oauth:grant-type:jwt-bearer"], "integration_type": "maskinporten", "post_logout_redirect_uris": null,
        "redirect_uris": null, "refresh_token_usage": "ONETIME", "scopes": ["entur:arbeid:test.scope"], "sso_disabled": false,
        "token_endpoint_auth_method": "private_key_jwt"
    })
}

/// Go's `time.Time` reads RFC 3339 and nothing else.
#[track_caller]
fn is_time(value: &Value) {
    assert!(value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok() && text.contains('T')), "{value}");
}

#[tokio::test]
async fn a_reconcile_from_start_to_finalizer() {
    let d = Digdirator::start().await;

    // 1: the metadata must be JSON, and say where it is from.
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let (answer, head) = request(d.issuer.address, "GET", path, &[], "").await;
        assert!(answer.0 == 200 && head.to_ascii_lowercase().contains("content-type: application/json"), "{head}");
        for member in ["issuer", "jwks_uri", "token_endpoint"] {
            assert!(answer.1[member].as_str().is_some_and(|text| text.starts_with(MASKINPORTEN)), "{member}");
        }
    }
    // 2: without a token.
    let (sources, _) = request(d.api.address, "GET", "/api/v1/delegationsources", &[], "").await;
    assert!(sources.0 == 200 && sources.1.is_array());

    // 3: is the client there already?
    let clients = d.call(Method::GET, "/clients", &Value::Null).await;
    assert!(clients.1.as_array().unwrap().iter().all(|client| client["description"] != MARK));
    // 4, 5: the exposed scope is new.
    assert_eq!(d.call(Method::GET, "/scopes?inactive=true", &Value::Null).await.1.as_array().map(Vec::len), Some(1));
    let made = d.call(Method::POST, "/scopes", &scope(true)).await.1;
    assert_eq!(
        (&made["name"], &made["prefix"], &made["subscope"]),
        (&json!("entur:arbeid:test.scope"), &json!("entur"), &json!("arbeid:test.scope"))
    );
    // 6: and in later rounds it is changed.
    d.call(Method::PUT, "/scopes?scope=entur%3Aarbeid%3Atest.scope", &scope(true)).await;
    // 8: accesses, one by one.
    let access = "/scopes/access?scope=entur%3Aarbeid%3Atest.scope";
    assert_eq!(d.call(Method::GET, access, &Value::Null).await.1, json!([]));
    for (method, state) in
        [(Method::PUT, "APPROVED"), (Method::PUT, "APPROVED"), (Method::DELETE, "DENIED"), (Method::PUT, "APPROVED")]
    {
        let one = format!("/scopes/access/{CONSUMER}?scope=entur%3Aarbeid%3Atest.scope");
        let answer = d.call(method, &one, &Value::Null).await.1;
        assert_eq!(answer["state"], state);
        is_time(&answer["created"]);
        is_time(&answer["last_updated"]);
    }
    let (wrong, _) = {
        let authorization = format!("Bearer {}", d.token().await);
        let path = "/api/v1/scopes/access/123456789?scope=entur%3Aarbeid%3Atest.scope";
        request(d.api.address, "PUT", path, &[("Authorization", &authorization)], "").await
    };
    assert_eq!(wrong.0, 400, "exactly that becomes a condition on the resource");
    // 9: what may the client consume?
    let granted = d.call(Method::GET, "/scopes/access/all", &Value::Null).await.1;
    assert!(granted.is_array());
    let open = d.call(Method::GET, "/scopes/all?accessible_for_all=true", &Value::Null).await.1;
    assert!(open.as_array().unwrap().iter().all(|scope| scope["accessible_for_all"] == true && scope["name"].is_string()));
    // 10: the client, new and then again.
    let id = d.call(Method::POST, "/clients", &client()).await.1["client_id"].as_str().unwrap().to_owned();
    let path = format!("/clients/{id}");
    assert_eq!(d.call(Method::PUT, &path, &client()).await.1["client_id"], id);
    let found = d.call(Method::GET, "/clients", &Value::Null).await.1;
    assert!(
        found
            .as_array()
            .unwrap()
            .iter()
            .any(|client| client["description"] == MARK && client["integration_type"] == "maskinporten")
    );
    // 11, 12: no keys yet, so one is registered; `exp` tells when to post it again.
    let jwks = format!("{path}/jwks");
    assert_eq!(d.call(Method::GET, &jwks, &Value::Null).await.1["keys"], json!([]));
    let key = serde_json::to_value(d.t.key.public_jwk()).unwrap();
    let posted = d.call(Method::POST, &jwks, &json!({"keys": [key]})).await.1;
    assert_eq!((&posted["keys"][0]["kid"], &posted["keys"][0]["exp"]), (&key["kid"], &json!(NOW + 365 * 24 * 3600)));
    assert_eq!(d.call(Method::GET, &jwks, &Value::Null).await.1["keys"][0]["exp"], posted["keys"][0]["exp"]);
    // The application behind the client gets its tokens.
    let claims = json!({"iss": id, "aud": MASKINPORTEN, "scope": "entur:arbeid:test.scope", "iat": NOW, "exp": NOW + 60});
    assert_eq!(d.t.ask(&claims).await.1["expires_in"], 30, "the scope's limit");
    // A client may come without any scope, when none of those that it wants is accessible.
    let mut none = client();
    none["scopes"] = json!([]);
    d.call(Method::PUT, &path, &none).await;
    // 7: the scope is no longer exposed; the answer is the scope itself. Later it is again.
    let closed = d.call(Method::DELETE, "/scopes?scope=entur%3Aarbeid%3Atest.scope", &Value::Null).await.1;
    assert_eq!((&closed["name"], &closed["active"]), (&json!("entur:arbeid:test.scope"), &json!(false)));
    let again = d.call(Method::GET, "/scopes?inactive=true", &Value::Null).await.1;
    assert!(again.as_array().unwrap().iter().any(|scope| scope["subscope"] == "arbeid:test.scope"));
    assert_eq!(d.call(Method::PUT, "/scopes?scope=entur%3Aarbeid%3Atest.scope", &scope(true)).await.1["active"], true);
    // 13: the finalizer.
    d.call(Method::GET, "/clients", &Value::Null).await;
    d.call(Method::DELETE, &path, &Value::Null).await;
    d.call(Method::DELETE, "/scopes?scope=entur%3Aarbeid%3Atest.scope", &Value::Null).await;
    let left = d.call(Method::GET, "/clients", &Value::Null).await.1;
    assert!(left.as_array().unwrap().iter().all(|client| client["client_id"] != id.as_str()));
    assert!(d.tokens.load(Ordering::SeqCst) > 20, "a token for every call");
}

/// An hour's failing reconciles hammer the token endpoint; each assertion is its own.
#[tokio::test]
async fn an_old_certificate_stops_it_and_the_refusal_says_so() {
    let d = Digdirator::start().await;
    d.token().await;
    d.t.clock.advance(SignedDuration::from_hours(2 * 365 * 24));
    let late = NOW + 2 * 365 * 24 * 3600;
    let claims = json!({"iss": d.admin, "aud": [MASKINPORTEN], "iat": late, "exp": late + 120, "scope": "idporten:dcr.read"});
    let header = json!({"alg": "RS256", "typ": "JWT", "x5c": d.chain});
    let assertion = d.t.key.sign_with_header(&header, &claims).unwrap();
    assert_eq!(d.t.present(&d.t.maskinporten, &assertion).await.refusal().1, "MP-120");
    assert!(d.t.service.clients(&Caller::operator(org(PROVIDER)), ClientFilter::default()).is_ok());
}
