//! The self-service API beyond clients and scopes: secrets, entries on behalf of others, suppliers, delegations, Altinn's platform.

use axum::http::Method;
use serde_json::{Value, json};
use skybru_issuer::Issuer;
use skybru_issuer::selfservice::{ApiCompat, Caller, ClientInput, SelfService};
use skybru_store::registry::AccessState;

use crate::harness::{Answer, CONSUMER, MASKINPORTEN, NOW, PROVIDER, SCOPE, TestIssuer, org};
use crate::selfservice::Admin;

const SUPPLIER: &str = "310702641";
const ALL: &str = "idporten:dcr.write idporten:dcr/onbehalfof:write idporten:scopes.write";

fn login_client() -> Value {
    json!({
        "integration_type": "ansattporten", "application_type": "web", "client_name": "n", "description": "d",
        "token_endpoint_auth_method": "client_secret_basic", "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": ["https://app.example.no/callback"], "frontchannel_logout_uri": "https://app.example.no/logout",
        "frontchannel_logout_session_required": true, "refresh_token_lifetime": 600, "scopes": ["openid", "profile"]
    })
}

fn machine_client(scopes: &[&str]) -> Value {
    json!({"integration_type": "maskinporten", "client_name": "n", "description": "d", "scopes": scopes})
}

fn message(answer: &Answer) -> &str {
    answer.1["errors"][0]["errorMessage"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_secret_is_shown_once_and_goes_with_its_method() {
    let admin = Admin::with(TestIssuer::start().await, CONSUMER, ALL).await;
    let created = admin.call(Method::POST, "/api/v1/clients", login_client()).await;
    assert_eq!(created.0, 201, "{}", created.1);
    let secret = created.1["client_secret"].as_str().unwrap().to_owned();
    assert_eq!(secret.len(), 43);
    assert_eq!((&created.1["sso_disabled"], &created.1["scopes"]), (&json!(true), &json!(["openid", "profile"])), "forced");
    let path = format!("/api/v1/clients/{}", created.1["client_id"].as_str().unwrap());
    assert_eq!(admin.call(Method::GET, &path, Value::Null).await.1["client_secret"], Value::Null);
    let listed = admin.call(Method::GET, "/api/v1/clients", Value::Null).await;
    assert!(!listed.1.to_string().contains(&secret));

    let kept = admin.call(Method::PUT, &path, login_client()).await;
    assert_eq!((kept.0, &kept.1["client_secret"]), (200, &Value::Null), "PUT keeps the secret");
    let rotated = admin.call(Method::POST, &format!("{path}/secret"), Value::Null).await;
    assert!(rotated.1["client_secret"].as_str().is_some_and(|new| new != secret));

    let mut without = login_client();
    without["token_endpoint_auth_method"] = json!("private_key_jwt");
    assert_eq!(admin.call(Method::PUT, &path, without).await.0, 200);
    let none = admin.call(Method::POST, &format!("{path}/secret"), Value::Null).await;
    assert_eq!((none.0, message(&none)), (400, "a client with token_endpoint_auth_method private_key_jwt has no secret"));
    let again = admin.call(Method::PUT, &path, login_client()).await;
    assert!(again.1["client_secret"].as_str().is_some_and(|new| new != secret), "the old one was deleted");
}

#[tokio::test]
async fn combinations_that_would_be_unusable_are_refused() {
    let admin = Admin::with(TestIssuer::start().await, CONSUMER, ALL).await;
    let change = |base: &Value, name: &str, value: Value| {
        let mut client = base.clone();
        client[name] = value;
        client
    };
    let (login, machine) = (login_client(), machine_client(&[]));
    for (client, reason) in [
        (change(&machine, "application_type", json!("native")), "application_type must be web for maskinporten"),
        (
            change(&machine, "token_endpoint_auth_method", json!("client_secret_basic")),
            "must be private_key_jwt for maskinporten",
        ),
        (change(&machine, "grant_types", json!(["authorization_code"])), "grant_types must be"),
        (change(&machine, "access_token_lifetime", json!(7201)), "1 to 7200 seconds"),
        (change(&machine, "refresh_token_lifetime", json!(0)), "refresh_token_lifetime must be at least one second"),
        (change(&machine, "refresh_token_usage", json!("TWICE")), "ONETIME or REUSE"),
        (change(&machine, "integration_type", Value::Null), "integration_type is missing"),
        (change(&machine, "integration_type", json!("eformidling")), "for the operator of the issuer only"),
        (change(&login, "application_type", json!("browser")), "must be none for ansattporten and browser"),
        (change(&login, "redirect_uris", json!([])), "redirect_uris is missing"),
        (change(&login, "redirect_uris", json!(["http://app.example.no/"])), "must be an https address"),
        (change(&login, "redirect_uris", json!(["https://a.no/#x"])), "must be an https address"),
        (change(&login, "frontchannel_logout_uri", json!("https://other.example.no/")), "the host of one of redirect_uris"),
        (change(&login, "integration_type", json!("idporten")), "none"),
        (change(&login, "code_challenge_method", json!("plain")), "S256 or none"),
        (
            json!({"integration_type": "idporten", "client_name": "n", "redirect_uris": ["https://a.no/"], "scopes": [SCOPE]}),
            "cannot stand on",
        ),
    ] {
        let answer = admin.call(Method::POST, "/api/v1/clients", client.clone()).await;
        if reason == "none" {
            assert_eq!(answer.0, 201, "{}", answer.1);
        } else {
            assert!(
                answer.0 == 400 && answer.1["error"].as_str().unwrap().contains(reason),
                "{reason}: {} for {client}",
                answer.1
            );
        }
    }
    let native = json!({
        "integration_type": "idporten", "application_type": "native", "client_name": "n", "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code"], "redirect_uris": ["https://127.0.0.1:*/callback", "no.example.app:/callback"]
    });
    let answer = admin.call(Method::POST, "/api/v1/clients", native).await;
    assert_eq!((answer.0, &answer.1["scopes"]), (201, &json!(["openid", "profile"])), "{}", answer.1);
    let krr = json!({"integration_type": "krr", "client_name": "n", "scopes": ["krr:global/kontaktinformasjon.read"]});
    assert_eq!(admin.call(Method::POST, "/api/v1/clients", krr).await.0, 201);
}

#[tokio::test]
async fn entries_on_behalf_of_others_live_and_end() {
    let admin = Admin::with(TestIssuer::start().await, CONSUMER, ALL).await;
    let base = format!("/api/v1/clients/{}/onbehalfof", admin.t.client_id);
    let entry = json!({"onbehalfof": "kunde-1", "display_name": "Kunde", "orgno": SUPPLIER, "url": "https://kunde.no"});
    let created = admin.call(Method::POST, &base, entry.clone()).await;
    assert_eq!((created.0, &created.1["name"], &created.1["client_uri"]), (201, &json!("Kunde"), &json!("https://kunde.no")));
    assert_eq!(admin.call(Method::POST, &base, entry.clone()).await.0, 409);
    let made = admin.call(Method::POST, &base, json!({"name": "Annen", "orgno": SUPPLIER})).await;
    assert_eq!(made.1["onbehalfof"].as_str().map(str::len), Some(36), "an id is made when none is given");
    let wrong = admin.call(Method::POST, &base, json!({"onbehalfof": "a b", "orgno": "123456789"})).await;
    assert_eq!((wrong.0, wrong.1["errors"].as_array().map(Vec::len)), (400, Some(3)));

    let one = format!("{base}/kunde-1");
    assert_eq!(admin.call(Method::PUT, &one, json!({"name": "Nytt navn", "orgno": SUPPLIER})).await.1["name"], "Nytt navn");
    let misspelt = one.replace("onbehalfof", "onbehalof");
    assert_eq!(admin.call(Method::GET, &misspelt, Value::Null).await.1["orgno"], SUPPLIER, "as the documentation misspells it");
    let client = admin.call(Method::GET, &format!("/api/v1/clients/{}", admin.t.client_id), Value::Null).await;
    assert_eq!(client.1["onbehalfof"].as_array().map(Vec::len), Some(2));
    assert_eq!(admin.call(Method::DELETE, &one, Value::Null).await, Answer(200, Value::Null), "an empty body");
    assert_eq!(admin.call(Method::GET, &one, Value::Null).await.0, 404);
    assert_eq!(admin.call(Method::POST, &base, entry).await.0, 409, "never brought back by creating it again");
    assert_eq!(admin.call(Method::GET, &base, Value::Null).await.1.as_array().map(Vec::len), Some(1));
    assert_eq!(admin.call(Method::GET, &format!("{base}/?inactive=true"), Value::Null).await.1.as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_supplier_registers_clients_for_anybody_and_the_customer_cannot_change_them() {
    let mut admin = Admin::with(TestIssuer::start().await, SUPPLIER, "idporten:dcr.supplier").await;
    let scope = SCOPE;
    admin.t.service.set_access(&Caller::operator(org(PROVIDER)), scope, SUPPLIER, AccessState::Approved).await.unwrap();
    let mut client = machine_client(&[scope]);
    client["client_orgno"] = json!(CONSUMER);
    let created = admin.call(Method::POST, "/api/v1/clients", client.clone()).await;
    assert_eq!((created.0, &created.1["client_orgno"], &created.1["supplier_orgno"]), (201, &json!(CONSUMER), &json!(SUPPLIER)));
    let path = format!("/api/v1/clients/{}", created.1["client_id"].as_str().unwrap());
    assert_eq!(admin.call(Method::GET, "/api/v1/clients", Value::Null).await.1.as_array().map(Vec::len), Some(2));
    client["client_orgno"] = json!(PROVIDER);
    let moved = admin.call(Method::PUT, &path, client).await;
    assert_eq!((moved.0, message(&moved)), (400, "client_orgno cannot be changed"));

    admin.become_caller(CONSUMER, "idporten:dcr.write").await;
    assert_eq!(admin.call(Method::GET, &path, Value::Null).await.0, 404, "it is the supplier's to administer");
    let foreign = json!({"integration_type": "maskinporten", "client_name": "n", "client_orgno": PROVIDER});
    let refused = admin.call(Method::POST, "/api/v1/clients", foreign).await;
    assert_eq!((refused.0, message(&refused)), (400, "client_orgno must be 889640782, the organisation of the caller"));
}

#[tokio::test]
async fn what_each_scope_of_the_api_allows() {
    let mut admin = Admin::with(TestIssuer::start().await, CONSUMER, "idporten:dcr.read").await;
    let client = format!("/api/v1/clients/{}", admin.t.client_id);
    let jwks = format!("{client}/jwks");
    let obo = format!("{client}/onbehalfof");
    let key = json!({"keys": [admin.t.key.public_jwk()]});
    let entry = json!({"name": "n", "orgno": SUPPLIER});
    // Reading and changing a client, its keys, its entries; own scopes; what was granted.
    let mut table = String::new();
    for scope in crate::harness::API_SCOPES {
        admin.become_caller(CONSUMER, &format!("idporten:{scope}")).await;
        let calls = [
            (Method::GET, client.as_str(), Value::Null),
            (Method::PUT, &client, machine_client(&[SCOPE])),
            (Method::GET, &jwks, Value::Null),
            (Method::POST, &jwks, key.clone()),
            (Method::GET, &obo, Value::Null),
            (Method::POST, &obo, entry.clone()),
            (Method::GET, "/api/v1/scopes", Value::Null),
            (Method::POST, "/api/v1/scopes", json!({"prefix": "none", "subscope": "x", "description": "d"})),
            (Method::GET, "/api/v1/scopes/access/all", Value::Null),
            (Method::GET, "/api/v1/altinn/admin/clients", Value::Null),
        ];
        let mut row = format!("{scope:<22}");
        for (method, path, body) in calls {
            let answer = admin.call(method, path, body).await;
            let lacks = answer.0 == 403 && message(&answer).starts_with("the token lacks");
            row.push_str(if lacks { "  -" } else { "  x" });
        }
        table.push_str(&row);
        table.push('\n');
    }
    insta::assert_snapshot!(table, @r"
    dcr.read                x  -  x  -  -  -  -  -  x  -
    dcr.modify              x  x  x  -  x  -  -  -  x  -
    dcr.write               x  x  x  x  x  -  -  -  x  -
    dcr/onbehalfof:write    -  -  -  -  x  x  -  -  -  -
    dcr.supplier            x  x  x  x  -  -  -  -  -  -
    dcr.altinn              -  -  -  -  -  -  -  -  -  x
    scopes.read             -  -  -  -  -  -  x  -  x  -
    scopes.write            -  -  -  -  -  -  x  x  x  -
    ");
}

#[tokio::test]
async fn a_consumer_delegates_and_the_supplier_gets_its_token() {
    let mut admin = Admin::with(TestIssuer::start().await, PROVIDER, "idporten:scopes.write").await;
    let scope =
        json!({"prefix": "entur", "subscope": "shared", "description": "d", "delegation_source": "https://tt02.altinn.no/"});
    assert_eq!(admin.call(Method::POST, "/api/v1/scopes", scope).await.0, 201);
    assert_eq!(
        admin.call(Method::PUT, &format!("/api/v1/scopes/access/{CONSUMER}?scope=entur:shared"), Value::Null).await.0,
        200
    );
    let supplier = admin.t.register(SUPPLIER, &["entur:shared"]).await;
    let ask = |exp: i64| json!({"iss": supplier, "aud": MASKINPORTEN, "scope": "entur:shared", "iat": NOW, "exp": NOW + exp, "consumer_org": CONSUMER});
    assert_eq!(admin.t.ask(&ask(60)).await.refusal().1, "MP-251");

    admin.become_caller(SUPPLIER, "idporten:dcr.write").await;
    let path = format!("/api/v1/delegations/{SUPPLIER}?scope=entur%3Ashared");
    let own = admin.call(Method::PUT, &format!("{path}&consumer_orgno={CONSUMER}"), Value::Null).await;
    assert_eq!((own.0, message(&own)), (403, "only organisation 889640782 can delegate in its name"), "no supplier helps itself");

    admin.become_caller(CONSUMER, "idporten:dcr.write").await;
    assert_eq!(admin.call(Method::PUT, &path, Value::Null).await.1["consumer_org"], CONSUMER);
    assert_eq!(admin.t.ask(&ask(60)).await.0, 200);
    let altinn = format!("/api/v1/maskinporten/delegations?scope=entur:shared&consumerOrg={CONSUMER}&supplierOrg={SUPPLIER}");
    let listed = admin.call(Method::GET, &altinn, Value::Null).await;
    assert_eq!((&listed.1[0]["supplier_org"], &listed.1[0]["scopes"]), (&json!(SUPPLIER), &json!(["entur:shared"])));
    admin.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!(admin.call(Method::GET, "/api/v1/delegations/", Value::Null).await.1, json!([]));
    assert_eq!(admin.t.ask(&ask(59)).await.refusal().1, "MP-251");
    let plain = admin.call(Method::PUT, &format!("/api/v1/delegations/{SUPPLIER}?scope={SCOPE}"), Value::Null).await;
    assert_eq!((plain.0, message(&plain)), (400, "scope entur:skyporten.demo has no delegation_source: it cannot be delegated"));
}

#[tokio::test]
async fn strangers_see_no_delegations_of_others() {
    let mut admin = Admin::with(TestIssuer::start().await, PROVIDER, "idporten:scopes.write").await;
    let scope =
        json!({"prefix": "entur", "subscope": "shared", "description": "d", "delegation_source": "https://tt02.altinn.no/"});
    admin.call(Method::POST, "/api/v1/scopes", scope).await;
    admin.become_caller(CONSUMER, "idporten:dcr.write").await;
    admin.call(Method::PUT, &format!("/api/v1/delegations/{SUPPLIER}?scope=entur:shared"), Value::Null).await;
    for (caller, seen) in [(CONSUMER, 1), (SUPPLIER, 1), (PROVIDER, 1), ("974761076", 0)] {
        admin.become_caller(caller, "idporten:dcr.read").await;
        let listed = admin.call(Method::GET, "/api/v1/delegations", Value::Null).await;
        assert_eq!(listed.1.as_array().map(Vec::len), Some(seen), "{caller}");
    }
}

/// Altinn Studio's operator, which registers clients in the name of those who build applications.
#[tokio::test]
async fn altinns_platform_registers_clients_for_others_and_sees_its_own_only() {
    let mut admin = Admin::with(TestIssuer::start().await, "974761076", "idporten:dcr.altinn").await;
    let base = "/api/v1/altinn/admin/clients";
    let mut client = machine_client(&[SCOPE]);
    assert_eq!(message(&admin.call(Method::POST, base, client.clone()).await), "client_orgno is missing");
    client["client_orgno"] = json!(CONSUMER);
    client["supplier_orgno"] = json!(SUPPLIER);
    assert_eq!(message(&admin.call(Method::POST, base, client.clone()).await), "supplier_orgno must not be set");
    client["supplier_orgno"] = Value::Null;
    let created = admin.call(Method::POST, base, client.clone()).await;
    assert_eq!((created.0, &created.1["client_orgno"]), (201, &json!(CONSUMER)));
    let path = format!("{base}/{}", created.1["client_id"].as_str().unwrap());
    assert_eq!(admin.call(Method::PUT, &path, client).await.0, 200);
    let keys = json!({"keys": [admin.t.key.public_jwk()]});
    assert_eq!(admin.call(Method::POST, &format!("{path}/jwks"), keys).await.0, 201);
    assert_eq!(admin.call(Method::GET, &format!("{path}/jwks"), Value::Null).await.1["keys"].as_array().map(Vec::len), Some(1));
    let others = format!("{base}/{}", admin.t.client_id);
    assert_eq!(admin.call(Method::GET, &others, Value::Null).await.0, 404, "a client that the consumer registered itself");
    assert_eq!(admin.call(Method::GET, base, Value::Null).await.1.as_array().map(Vec::len), Some(1));
    assert_eq!(admin.call(Method::DELETE, &path, Value::Null).await.0, 204);
    assert_eq!(admin.call(Method::GET, base, Value::Null).await.1, json!([]));
    admin.become_caller(CONSUMER, "idporten:dcr.write").await;
    assert_eq!(admin.call(Method::GET, base, Value::Null).await.0, 403);
}

#[tokio::test]
async fn the_operator_keeps_sources_system_users_and_consents() {
    let admin = Admin::with(TestIssuer::start().await, CONSUMER, ALL).await;
    let operator = Caller::operator(org("974761076"));
    let user = "0c9a9f5e-6a57-4d3f-9d1c-2f0f4c7a1b11";
    let system_user = json!({"system": "smart", "client_id": admin.t.client_id, "orgno": SUPPLIER});
    assert_eq!(admin.call(Method::PUT, &format!("/api/v1/systemusers/{user}"), system_user.clone()).await.0, 403);
    let input = serde_json::from_value(system_user).unwrap();
    admin.t.service.put_system_user(&operator, user, input).await.unwrap();
    let consent = json!({"from": "urn:altinn:organization:identifier-no:991825827", "to": CONSUMER, "validTo": "2027-01-01T00:00:00Z", "consentRights": []});
    admin.t.service.put_consent(&operator, user, serde_json::from_value(consent).unwrap()).await.unwrap();
    let source = serde_json::from_value(json!({"issuer": "https://tt02.altinn.no/"})).unwrap();
    admin.t.service.put_delegation_source(&operator, "altinn", source).await.unwrap();
    let listed = admin.call(Method::GET, "/api/v1/delegationsources", Value::Null).await;
    assert_eq!((&listed.1[0]["name"], &listed.1[0]["issuer"]), (&json!("altinn"), &json!("https://tt02.altinn.no/")));

    for (kind, id, granted) in [("urn:altinn:systemuser", "", "system_id"), ("urn:altinn:consent", user, "consentRights")] {
        let mut claims = admin.t.claims();
        claims["jti"] = json!(kind);
        claims["authorization_details"] = if id.is_empty() {
            json!([{"type": kind, "systemuser_org": {"authority": "iso6523-actorid-upis", "ID": format!("0192:{SUPPLIER}")}}])
        } else {
            json!([{"type": kind, "id": id, "from": "urn:altinn:organization:identifier-no:991825827"}])
        };
        let token = admin.t.open(&admin.t.ask(&claims).await);
        assert!(!token["authorization_details"][0][granted].is_null(), "{token}");
    }
}

#[tokio::test]
async fn the_apis_switches_refuse_what_they_name() {
    let t = TestIssuer::start().await;
    let strict = |issuer: Issuer| {
        SelfService::new(std::sync::Arc::new(issuer)).with_compat(ApiCompat { require_scopes: true, strict_unknown_fields: true })
    };
    let service = strict(t.issuer());
    let caller = Caller::operator(org(CONSUMER));
    let create = async |client: Value| {
        let input: ClientInput = serde_json::from_value(client).unwrap();
        service.create_client(&caller, input).await.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(create(machine_client(&[])).await, Err("scopes is missing: a client needs at least one".to_owned()));
    let mut client = machine_client(&[SCOPE]);
    client["created"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(create(client.clone()).await, Ok(()), "what the server itself sends may come back");
    client["colour"] = json!("blue");
    assert_eq!(create(client).await, Err("unknown member colour".to_owned()));
}

#[tokio::test]
async fn a_path_that_is_called_wrongly_is_refused_in_the_apis_shape() {
    let admin = Admin::with(TestIssuer::start().await, CONSUMER, ALL).await;
    let request =
        axum::http::Request::builder().method(Method::PATCH).uri("/api/v1/clients").body(axum::body::Body::empty()).unwrap();
    let answer = crate::harness::send(&admin.t.api, request).await;
    assert_eq!((answer.0, message(&answer)), (405, "this path cannot be called with this method"));
}

/// Everything that a scope can carry comes back as it was given, and nothing that nobody knows.
#[tokio::test]
async fn a_scopes_further_members_are_kept() {
    let admin = Admin::with(TestIssuer::start().await, PROVIDER, ALL).await;
    let scope = json!({
        "prefix": "entur", "subscope": "texts", "description": "d", "description#nn": "k", "descriptions": {"en": "e"},
        "requires_user_consent": true, "token_type": "SELF_CONTAINED", "supports_european_businesses": false, "colour": "blue",
        "authorization_max_lifetime": 30, "at_max_age": 30, "visibility": "PRIVATE"
    });
    let created = admin.call(Method::POST, "/api/v1/scopes", scope.clone()).await;
    for (name, value) in scope.as_object().unwrap() {
        let expected = if name == "colour" { &Value::Null } else { value };
        assert_eq!(&created.1[name], expected, "{name}");
    }
}
