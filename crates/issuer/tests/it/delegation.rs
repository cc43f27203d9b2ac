//! Acting for others: delegation, suppliers, and a client's own entries.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use skybru_issuer::Compat;
use skybru_issuer::delegation::{DelegationError, DelegationQuestion, DelegationSource, Delegations};
use skybru_issuer::selfservice::{Caller, ScopeInput};
use skybru_store::records::{Delegation, OnBehalfOf};
use skybru_store::registry::{AccessState, Client};
use skybru_store::{Change, LiveRegistry, Record};

use crate::harness::{CONSUMER, MASKINPORTEN, NOW, PROVIDER, SCOPE, SKYPORTEN, TestIssuer, org};

const SUPPLIER: &str = "310702641";
const ALTINN: &str = "https://tt02.altinn.no/";

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn delegation(scope: &str, active: bool) -> Record {
    Record::Delegation(Delegation {
        consumer_orgno: org(CONSUMER),
        supplier_orgno: org(SUPPLIER),
        scope: scope.parse().unwrap(),
        active,
        created: now(),
        last_updated: now(),
    })
}

fn delegable(input: &mut ScopeInput) {
    input.delegation_source = Some(ALTINN.to_owned());
}

fn claims(client: &str, scope: &str, consumer: &str) -> Value {
    json!({"iss": client, "aud": MASKINPORTEN, "scope": scope, "iat": NOW, "exp": NOW + 60, "consumer_org": consumer})
}

#[tokio::test]
async fn a_delegated_token_names_consumer_supplier_and_source() {
    let t = TestIssuer::start().await;
    let scope = t.scope("delegable", delegable, &[CONSUMER]).await;
    let supplier = t.register(SUPPLIER, &[&scope]).await;
    t.record(delegation(&scope, true)).await;
    let token = t.open(&t.ask(&claims(&supplier, &scope, CONSUMER)).await);
    assert_eq!(token["consumer"]["ID"], "0192:889640782");
    assert_eq!(token["supplier"], json!({"authority": "iso6523-actorid-upis", "ID": "0192:310702641"}));
    assert_eq!(token["delegation_source"], ALTINN);

    t.record(delegation(&scope, false)).await;
    let again =
        json!({"iss": supplier, "aud": MASKINPORTEN, "scope": scope, "iat": NOW, "exp": NOW + 61, "consumer_org": CONSUMER});
    assert_eq!(t.ask(&again).await.refusal().1, "MP-251", "withdrawn");
}

#[tokio::test]
async fn a_delegated_skyporten_token_has_the_consumer_in_its_subject() {
    let t = TestIssuer::start().await;
    let scope = t.scope("delegable", delegable, &[CONSUMER]).await;
    let supplier = t.register(SUPPLIER, &[&scope]).await;
    t.record(delegation(&scope, true)).await;
    let mut asked = claims(&supplier, &scope, &format!("0192:{CONSUMER}"));
    asked["aud"] = json!(SKYPORTEN);
    let token = t.open(&t.present(&t.skyporten, &t.sign(&asked)).await);
    assert_eq!(token["sub"], "0192:889640782;entur:delegable");
    assert_eq!(token["supplier"]["ID"], "0192:310702641");
}

#[tokio::test]
async fn without_naming_a_consumer_a_supplier_asks_for_itself_and_has_no_access() {
    let t = TestIssuer::start().await;
    let scope = t.scope("delegable", delegable, &[CONSUMER]).await;
    let supplier = t.register(SUPPLIER, &[&scope]).await;
    t.record(delegation(&scope, true)).await;
    let asked = json!({"iss": supplier, "aud": MASKINPORTEN, "scope": scope, "iat": NOW, "exp": NOW + 60});
    assert_eq!(t.ask(&asked).await.refusal().1, "MP-250");
}

#[tokio::test]
async fn each_of_several_scopes_must_be_delegated() {
    let t = TestIssuer::start().await;
    let one = t.scope("one", delegable, &[CONSUMER]).await;
    let two = t.scope("two", delegable, &[CONSUMER]).await;
    let supplier = t.register(SUPPLIER, &[&one, &two]).await;
    t.record(delegation(&one, true)).await;
    let refused = t.ask(&claims(&supplier, &format!("{one} {two}"), CONSUMER)).await;
    let text = "Consumer 889640782 has not delegated access to the scope entur:two to supplier 310702641.";
    assert_eq!(refused.refusal(), (403, "MP-251", text.to_owned()));
}

#[tokio::test]
async fn consumer_org_is_for_scopes_that_can_be_delegated_and_for_one_way_at_a_time() {
    let t = TestIssuer::start().await;
    let plain = t.register(CONSUMER, &[SCOPE]).await;
    let words = "Validation of JWT claim failed: The combination consumer_org in claim and delegation scope on client is invalid";
    let refused = t.ask(&claims(&plain, SCOPE, PROVIDER)).await;
    assert_eq!((refused.refusal().2.as_str(), &refused.1["error"]), (words, &json!("invalid_request")));
    assert_eq!(t.ask(&claims(&plain, SCOPE, "123456789")).await.refusal().1, "MP-011", "no organisation number");
    let mut both = claims(&plain, SCOPE, PROVIDER);
    both["iss_onbehalfof"] = json!("x");
    assert_eq!(t.ask(&both).await.refusal().1, "MP-011");
}

/// A client that a supplier registered in its customer's name: the supplier's access counts.
#[tokio::test]
async fn a_suppliers_client_names_both_and_uses_the_suppliers_access() {
    let t = TestIssuer::start().await;
    let id = t.register(CONSUMER, &[SCOPE]).await;
    let client = t.registry.read(|registry| (*registry.client(&id.parse().unwrap()).unwrap().client).clone());
    let change = Change::PutClient(Client { supplier_orgno: Some(org(SUPPLIER)), ..client });
    t.registry.change(|_| Ok::<_, ()>((vec![change], ()))).await.unwrap();
    let asked = json!({"iss": id, "aud": MASKINPORTEN, "scope": SCOPE, "iat": NOW, "exp": NOW + 60});
    assert_eq!(t.ask(&asked).await.refusal().1, "MP-250", "the consumer has access, the supplier has not");
    t.service.set_access(&Caller::operator(org(PROVIDER)), SCOPE, SUPPLIER, AccessState::Approved).await.unwrap();
    let token = t.open(&t.ask(&asked).await);
    assert_eq!((&token["consumer"]["ID"], &token["supplier"]["ID"]), (&json!("0192:889640782"), &json!("0192:310702641")));
    assert_eq!(token["delegation_source"], Value::Null);
}

/// ks-no/fiks-maskinporten-client-dotnet can send `iss_onbehalfof`; the documentation says both that it works and that it does not.
#[tokio::test]
async fn entries_on_behalf_of_others_count_only_when_the_switch_says_so() {
    let entry = |client: &str| {
        Record::OnBehalfOf(OnBehalfOf {
            client: client.parse().unwrap(),
            id: "customer-1".to_owned(),
            orgno: org(SUPPLIER),
            name: "Kunde".to_owned(),
            description: None,
            client_uri: None,
            logo_uri: None,
            active: true,
            created: now(),
            last_updated: now(),
        })
    };
    let asked = |client: &str, id: &str| json!({"iss": client, "aud": MASKINPORTEN, "scope": SCOPE, "iat": NOW, "exp": NOW + 60, "iss_onbehalfof": id});
    let t = TestIssuer::start().await;
    t.record(entry(&t.client_id)).await;
    assert_eq!(t.ask(&asked(&t.client_id, "customer-1")).await.refusal().1, "MP-011", "by default it is refused");

    let t = TestIssuer::adapted(|issuer| issuer.with_compat(Compat { on_behalf_of: true, ..Compat::default() })).await;
    t.record(entry(&t.client_id)).await;
    assert_eq!(t.ask(&asked(&t.client_id, "customer-2")).await.refusal().1, "MP-011", "no such entry");
    let token = t.open(&t.ask(&asked(&t.client_id, "customer-1")).await);
    assert_eq!((&token["consumer"]["ID"], &token["supplier"]["ID"]), (&json!("0192:310702641"), &json!("0192:889640782")));
}

/// A source that cannot answer.
struct Away;

#[async_trait]
impl DelegationSource for Away {
    async fn has_delegated(&self, _: &DelegationQuestion) -> Result<bool, DelegationError> {
        Err(DelegationError::Timeout)
    }
}

#[tokio::test]
async fn if_the_source_cannot_answer_nothing_is_issued_and_the_assertion_is_not_used_up() {
    use skybru_store::memory::MemoryStore;
    let t = TestIssuer::adapted(|issuer| {
        // The registry behind the built-in source is never asked here.
        let empty = futures_lite(LiveRegistry::load(Arc::new(MemoryStore::default())));
        issuer.with_delegations(Arc::new(
            Delegations::built_in(Arc::new(empty)).with_remote("https://tt02.altinn.no", Arc::new(Away)),
        ))
    })
    .await;
    let scope = t.scope("delegable", delegable, &[CONSUMER]).await;
    let supplier = t.register(SUPPLIER, &[&scope]).await;
    for _ in 0..2 {
        let answer = t.ask(&claims(&supplier, &scope, CONSUMER)).await;
        assert_eq!((answer.0, answer.1["error"].as_str()), (503, Some("temporarily_unavailable")));
    }
}

/// Loading from memory never waits.
fn futures_lite<T, E: std::fmt::Debug>(future: impl Future<Output = Result<T, E>>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(done) => done.unwrap(),
        std::task::Poll::Pending => panic!("memory does not wait"),
    }
}
