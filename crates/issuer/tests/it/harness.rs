//! An issuer with two organisations, in memory, with a clock that stands still.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use skybru_core::ctx::ManualClock;
use skybru_core::{Ctx, OrgNumber};
use skybru_issuer::http::{issuer_routes, selfservice_routes};
use skybru_issuer::selfservice::{Caller, ClientInput, KeySetInput, OrganisationInput, ScopeInput, SelfService};
use skybru_issuer::{Issuer, IssuerSettings, KeyRing, Profile};
use skybru_protocol::assertion::TimeRules;
use skybru_protocol::jose::{Jws, SigningKey, VerifyingKey};
use skybru_store::memory::MemoryStore;
use skybru_store::registry::AccessState;
use skybru_store::{AssertionLog, Change, LiveRegistry, Record};
use tower::ServiceExt as _;

pub(crate) const NOW: i64 = 1_700_000_000;
pub(crate) const MASKINPORTEN: &str = "https://test.maskinporten.no/";
pub(crate) const SKYPORTEN: &str = "https://test.sky.maskinporten.no";
pub(crate) const OPERATOR: &str = "974761076";
pub(crate) const PROVIDER: &str = "991825827";
pub(crate) const CONSUMER: &str = "889640782";
pub(crate) const SCOPE: &str = "entur:skyporten.demo";

/// Scopes of the self-service API, below `idporten:`. Here everybody may have them.
pub(crate) const API_SCOPES: [&str; 8] =
    ["dcr.read", "dcr.modify", "dcr.write", "dcr/onbehalfof:write", "dcr.supplier", "dcr.altinn", "scopes.read", "scopes.write"];

const KEY: &str = include_str!("../../../protocol/testdata/rsa2048.jwk");

pub(crate) struct TestIssuer {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) key: SigningKey,
    pub(crate) client_id: String,
    pub(crate) service: Arc<SelfService>,
    pub(crate) maskinporten: Router,
    pub(crate) skyporten: Router,
    pub(crate) api: Router,
    pub(crate) registry: Arc<LiveRegistry>,
    ctx: Ctx,
    keys: KeyRing,
}

/// A status and a JSON body.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer(pub(crate) u16, pub(crate) Value);

impl Answer {
    /// Status, MP code and the description without its trace id: what a refusal says.
    pub(crate) fn refusal(&self) -> (u16, &str, String) {
        let code = self.1["error_uri"].as_str().and_then(|uri| uri.rsplit('/').next()).unwrap_or("-");
        let text = self.1["error_description"].as_str().unwrap_or_default();
        (self.0, code, text.split(" (trace_id").next().unwrap_or_default().to_owned())
    }
}

pub(crate) fn org(number: &str) -> OrgNumber {
    number.parse().unwrap()
}

impl TestIssuer {
    pub(crate) async fn start() -> Self {
        Self::adapted(|issuer| issuer).await
    }

    /// Issuers that differ from the usual ones, such as in a switch.
    pub(crate) async fn adapted(adapt: impl Fn(Issuer) -> Issuer) -> Self {
        Self::build(Arc::new(MemoryStore::default()), adapt).await
    }

    pub(crate) async fn with_log(log: Arc<dyn AssertionLog>) -> Self {
        Self::build(log, |issuer| issuer).await
    }

    async fn build(log: Arc<dyn AssertionLog>, adapt: impl Fn(Issuer) -> Issuer) -> Self {
        let (ctx, clock) = Ctx::fixed(NOW, 7);
        let registry = Arc::new(LiveRegistry::load(Arc::new(MemoryStore::default())).await.unwrap());
        let keys = KeyRing::single(SigningKey::from_text(KEY, Some(&"issuer-key".parse().unwrap())).unwrap());
        let issuer = |url: &str, profile| {
            let url = url.parse().unwrap();
            let settings = IssuerSettings { url, profile, token_lifetime_seconds: 120, time_rules: TimeRules::default() };
            Arc::new(adapt(Issuer::new(settings, keys.clone(), registry.clone(), log.clone(), ctx.clone())))
        };
        let maskinporten = issuer(MASKINPORTEN, Profile::Maskinporten);
        let skyporten = issuer(SKYPORTEN, Profile::Skyporten { cloud_metadata: true });
        let service = Arc::new(SelfService::new(maskinporten.clone()));

        let operator = Caller::operator(org(OPERATOR));
        for (number, name, prefixes) in [
            (OPERATOR, "Drift", vec!["idporten", "skybru"]),
            (PROVIDER, "Tilbyder", vec!["entur"]),
            (CONSUMER, "Konsument", vec![]),
        ] {
            let prefixes = prefixes.into_iter().map(str::to_owned).collect();
            service.put_organisation(&operator, number, OrganisationInput { name: name.to_owned(), prefixes }).await.unwrap();
        }
        for name in API_SCOPES {
            let input = ScopeInput { accessible_for_all: true, ..scope_input("idporten", name) };
            service.create_scope(&operator, input).await.unwrap();
        }
        let provider = Caller::operator(org(PROVIDER));
        service.create_scope(&provider, scope_input("entur", "skyporten.demo")).await.unwrap();
        service.set_access(&provider, SCOPE, CONSUMER, AccessState::Approved).await.unwrap();

        let key = SigningKey::from_text(KEY, None).unwrap();
        let mut test = Self {
            clock,
            key,
            client_id: String::new(),
            maskinporten: issuer_routes(maskinporten),
            skyporten: issuer_routes(skyporten),
            api: selfservice_routes(service.clone()),
            service,
            registry,
            ctx,
            keys,
        };
        test.client_id = test.register(CONSUMER, &[SCOPE]).await;
        test
    }

    /// A client of `number` with the test key.
    pub(crate) async fn register(&self, number: &str, scopes: &[&str]) -> String {
        let id = self.register_without_key(number, scopes).await;
        let keys = KeySetInput { keys: vec![self.key.public_jwk()] };
        self.service.put_keys(&Caller::operator(org(number)), &id, keys).await.unwrap();
        id
    }

    /// A client of `number` that has to prove itself otherwise.
    pub(crate) async fn register_without_key(&self, number: &str, scopes: &[&str]) -> String {
        let input: ClientInput = serde_json::from_value(json!({
            "client_name": "test", "description": "test", "integration_type": "maskinporten", "scopes": scopes
        }))
        .unwrap();
        self.service.create_client(&Caller::operator(org(number)), input).await.unwrap().client_id
    }

    /// One more issuer over the same registry.
    pub(crate) fn issuer(&self) -> Issuer {
        let url = MASKINPORTEN.parse().unwrap();
        let profile = Profile::Maskinporten;
        let settings = IssuerSettings { url, profile, token_lifetime_seconds: 120, time_rules: TimeRules::default() };
        let log: Arc<dyn AssertionLog> = Arc::new(MemoryStore::default());
        Issuer::new(settings, self.keys.clone(), self.registry.clone(), log, self.ctx.clone())
    }

    /// A scope of the provider's, and who may have it.
    pub(crate) async fn scope(&self, subscope: &str, change: impl FnOnce(&mut ScopeInput), consumers: &[&str]) -> String {
        let provider = Caller::operator(org(PROVIDER));
        let mut input = scope_input("entur", subscope);
        change(&mut input);
        self.service.create_scope(&provider, input).await.unwrap();
        let name = format!("entur:{subscope}");
        for consumer in consumers {
            self.service.set_access(&provider, &name, consumer, AccessState::Approved).await.unwrap();
        }
        name
    }

    /// Puts a record into the registry, past the API.
    pub(crate) async fn record(&self, record: Record) {
        self.registry.change(|_| Ok::<_, ()>((vec![Change::PutRecord(record)], ()))).await.unwrap();
    }

    /// The claims of a good assertion to Maskinporten.
    pub(crate) fn claims(&self) -> Value {
        json!({"iss": self.client_id, "aud": MASKINPORTEN, "scope": SCOPE, "iat": NOW, "exp": NOW + 60, "jti": "one"})
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.key.sign(Some("JWT"), claims).unwrap()
    }

    /// Signs `claims` and presents them to Maskinporten.
    pub(crate) async fn ask(&self, claims: &Value) -> Answer {
        self.present(&self.maskinporten, &self.sign(claims)).await
    }

    pub(crate) async fn present(&self, issuer: &Router, assertion: &str) -> Answer {
        let body = format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}");
        post(issuer, "/token", "application/x-www-form-urlencoded", body).await
    }

    /// The verified payload of a granted token.
    pub(crate) fn open(&self, answer: &Answer) -> Value {
        assert_eq!(answer.0, 200, "{}", answer.1);
        let jws = Jws::parse(answer.1["access_token"].as_str().unwrap()).unwrap();
        let key = VerifyingKey::from_jwk(self.keys.active().public_jwk()).unwrap();
        key.verify("RS256".parse().unwrap(), jws.signing_input().as_bytes(), jws.signature()).unwrap();
        serde_json::from_slice(jws.payload()).unwrap()
    }
}

pub(crate) fn scope_input(prefix: &str, subscope: &str) -> ScopeInput {
    ScopeInput {
        prefix: Some(prefix.to_owned()),
        subscope: Some(subscope.to_owned()),
        description: Some("test".to_owned()),
        ..ScopeInput::default()
    }
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    Answer(status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

pub(crate) async fn post(router: &Router, path: &str, content_type: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(path).header(header::CONTENT_TYPE, content_type).body(body.into()).unwrap();
    send(router, request).await
}

pub(crate) async fn get(router: &Router, path: &str) -> Answer {
    send(router, Request::get(path).body(Body::empty()).unwrap()).await
}
