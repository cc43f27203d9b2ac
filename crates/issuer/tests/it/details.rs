//! What else a request may carry: authorization details, a person's number, and the switches.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use skybru_issuer::Compat;
use skybru_issuer::compat::{MultiScope, PersonCheck};
use skybru_issuer::selfservice::Caller;
use skybru_store::Record;
use skybru_store::records::{Consent, SystemUser};
use skybru_store::registry::AccessState;

use crate::harness::{CONSUMER, MASKINPORTEN, NOW, PROVIDER, SCOPE, SKYPORTEN, TestIssuer, org};

const PARTY: &str = "310702641";
const CONSENT_ID: &str = "11111111-2222-3333-4444-555555555555";

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn system_user(client: &str, id: &str, external_ref: Option<&str>) -> Record {
    Record::SystemUser(SystemUser {
        id: id.to_owned(),
        system_id: format!("{CONSUMER}_smartcloud"),
        client: client.parse().unwrap(),
        orgno: org(PARTY),
        external_ref: external_ref.map(str::to_owned),
        active: true,
        created: now(),
        last_updated: now(),
    })
}

fn asked(t: &TestIssuer, details: Value) -> Value {
    let mut claims = t.claims();
    claims["authorization_details"] = details;
    claims
}

fn party() -> Value {
    json!({"authority": "iso6523-actorid-upis", "ID": format!("0192:{PARTY}")})
}

#[tokio::test]
async fn a_system_user_is_found_by_client_party_and_reference() {
    let t = TestIssuer::start().await;
    t.record(system_user(&t.client_id, "u-1", Some("branch-7"))).await;
    t.record(system_user(&t.client_id, "u-2", None)).await;
    let wanted = json!([{"type": "urn:altinn:systemuser", "systemuser_org": party(), "externalRef": "branch-7"}]);
    let answer = t.ask(&asked(&t, wanted)).await;
    let expected = json!([{
        "type": "urn:altinn:systemuser", "systemuser_org": party(), "systemuser_id": ["u-1"], "system_id": "889640782_smartcloud",
        "externalRef": "branch-7"
    }]);
    let token = t.open(&answer);
    assert_eq!(token["authorization_details"], expected);
    assert_eq!(answer.1["authorization_details"], expected, "RFC 9396, section 7");
    assert_eq!(token["consumer"]["ID"], "0192:889640782", "the consumer stays the vendor");
}

#[tokio::test]
async fn details_that_are_not_so_are_refused_with_their_codes() {
    let t = TestIssuer::start().await;
    t.record(system_user("somebody-elses-client", "u-1", None)).await;
    let refused = async |details: Value| {
        let answer = t.ask(&asked(&t, details)).await;
        assert_eq!((answer.0, answer.1["error"].as_str()), (400, Some("invalid_request")));
        let (_, code, text) = answer.refusal();
        (code.to_owned(), text)
    };
    let unknown = refused(json!([{"type": "urn:other"}])).await;
    assert_eq!(unknown, ("MP-301".to_owned(), "Unknown authorization details type".to_owned()));
    let fields = json!([{"type": "urn:altinn:systemuser", "systemuser_org": party(), "x": 1}]);
    assert_eq!(refused(fields).await, ("MP-302".to_owned(), "Unknown fields in the authorization details".to_owned()));
    let missing = refused(json!([{"type": "urn:altinn:systemuser", "systemuser_org": party()}])).await;
    assert_eq!(missing, ("MP-303".to_owned(), "Invalid authorization details values, system user not found".to_owned()));
}

#[tokio::test]
async fn a_consent_counts_for_its_receiver_while_it_lasts() {
    let t = TestIssuer::start().await;
    let from = "urn:altinn:person:identifier-no:10850199405";
    t.record(Record::Consent(Consent {
        id: CONSENT_ID.to_owned(),
        from: from.to_owned(),
        to: org(CONSUMER),
        consented: now(),
        valid_to: now().saturating_add(SignedDuration::from_secs(100)).unwrap(),
        rights: json!([{"action": ["consent"], "resource": [{"type": "urn:altinn:resource", "value": "tax"}]}]),
        active: true,
        created: now(),
        last_updated: now(),
    }))
    .await;
    let wanted = |from: &str| json!([{"type": "urn:altinn:consent", "id": CONSENT_ID, "from": from}]);
    let other = t.ask(&asked(&t, wanted("urn:altinn:person:identifier-no:05848998356"))).await;
    assert_eq!(other.refusal().1, "MP-303", "somebody else's consent");
    let detail = t.open(&t.ask(&asked(&t, wanted(from))).await)["authorization_details"][0].clone();
    assert_eq!(detail["to"], json!({"authority": "iso6523-actorid-upis", "ID": "0192:889640782"}));
    assert_eq!((&detail["validTo"], &detail["from"]), (&json!("2023-11-14T22:15:00Z"), &json!(from)));
    t.clock.advance(SignedDuration::from_secs(100));
    let mut late = asked(&t, wanted(from));
    (late["iat"], late["exp"], late["jti"]) = (json!(NOW + 100), json!(NOW + 160), json!("late"));
    assert_eq!(t.ask(&late).await.refusal().1, "MP-303", "it has ended");
}

#[tokio::test]
async fn a_person_is_echoed_when_the_number_can_be_one() {
    let t = TestIssuer::start().await;
    let mut claims = t.claims();
    for wrong in ["01010199999", "1085019940", "abc"] {
        claims["pid"] = json!(wrong);
        let refused = t.ask(&claims).await;
        assert_eq!(refused.refusal().1, "MP-011", "{wrong}");
        assert!(!refused.1.to_string().contains(wrong), "the number is repeated nowhere");
    }
    claims["pid"] = json!("10850199405");
    assert_eq!(t.open(&t.ask(&claims).await)["pid"], "10850199405");
}

#[tokio::test]
async fn several_scopes_at_skyporten_follow_the_switch() {
    let subject = async |multi_scope: MultiScope| {
        let t = TestIssuer::adapted(|issuer| issuer.with_compat(Compat { multi_scope, ..Compat::default() })).await;
        let other = t.scope("other", |_| (), &[CONSUMER]).await;
        let client = t.register(CONSUMER, &[SCOPE, &other]).await;
        let claims = json!({"iss": client, "aud": SKYPORTEN, "scope": format!("{other} {SCOPE}"), "iat": NOW, "exp": NOW + 60});
        let answer = t.present(&t.skyporten, &t.sign(&claims)).await;
        if answer.0 == 200 { t.open(&answer)["sub"].clone() } else { answer.1["error"].clone() }
    };
    assert_eq!(subject(MultiScope::Join).await, "0192:889640782;entur:other entur:skyporten.demo");
    assert_eq!(subject(MultiScope::First).await, "0192:889640782;entur:other");
    assert_eq!(subject(MultiScope::Reject).await, "invalid_scope");
}

#[tokio::test]
async fn each_switch_changes_what_it_names_and_nothing_else() {
    let start = async |compat: Compat| TestIssuer::adapted(move |issuer| issuer.with_compat(compat)).await;
    let default = Compat::default();

    let t = start(Compat { legacy_aud: true, client_orgno: true, at_jwt: true, ..default }).await;
    let answer = t.ask(&t.claims()).await;
    let token = t.open(&answer);
    assert_eq!((&token["aud"], &token["client_orgno"]), (&json!("unspecified"), &json!(CONSUMER)));
    let jws = skybru_protocol::jose::Jws::parse(answer.1["access_token"].as_str().unwrap()).unwrap();
    assert_eq!(jws.header().typ.as_deref(), Some("at+jwt"));

    let t = start(Compat { forbidden_status: 400, ..default }).await;
    t.service.set_access(&Caller::operator(org(PROVIDER)), SCOPE, CONSUMER, AccessState::Denied).await.unwrap();
    assert_eq!(
        t.ask(&t.claims()).await.refusal(),
        (400, "MP-250", format!("Consumer has not been granted access to the scope {SCOPE}."))
    );

    for (owner_implicit, status) in [(true, 200), (false, 403)] {
        let t = start(Compat { owner_implicit, ..default }).await;
        let client = t.register(PROVIDER, &[SCOPE]).await;
        let claims = json!({"iss": client, "aud": MASKINPORTEN, "scope": SCOPE, "iat": NOW, "exp": NOW + 60});
        assert_eq!(t.ask(&claims).await.0, status, "the owner of the scope, {owner_implicit}");
    }

    let draft = json!([{"type": "urn:altinn:systemuser", "systemuserorg": {"authority": "iso6523-actorid-upis", "id": "0192:310702641"}}]);
    for (rar_aliases, code) in [(true, "MP-303"), (false, "MP-302")] {
        let t = start(Compat { rar_aliases, ..default }).await;
        assert_eq!(t.ask(&asked(&t, draft.clone())).await.refusal().1, code);
    }

    let relaxed = (0..100).map(|n| format!("101201300{n:02}")).find(|text| {
        skybru_core::PersonNumber::parse(text, PersonCheck::From2032).is_ok()
            && text.parse::<skybru_core::PersonNumber>().is_err()
    });
    for (pid, status) in [(PersonCheck::From2032, 200), (PersonCheck::Both, 400)] {
        let t = start(Compat { pid, ..default }).await;
        let mut claims = t.claims();
        claims["pid"] = json!(relaxed);
        assert_eq!(t.ask(&claims).await.0, status);
    }
}
