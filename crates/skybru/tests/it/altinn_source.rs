//! A scope whose delegations an Altinn-like registry keeps: a running server asks it over HTTP, with a bearer token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use serde_json::{Value, json};

use crate::support::server::{Server, registry, run, settings};
use crate::support::{program, stderr};

const SUPPLIER: &str = "889640782";
const CONSUMER: &str = "310702641";
const SCOPE: &str = "fjordbuss:delegated";
const BEARER: &str = "altinn-bearer-of-this-test";

/// What the registry answers, and the questions that it was asked with the right token.
#[derive(Default)]
struct Altinn {
    answer: Mutex<Option<Value>>,
    questions: Mutex<Vec<HashMap<String, String>>>,
}

impl Altinn {
    fn answers(&self, delegations: Value) {
        *self.answer.lock().unwrap() = Some(delegations);
    }

    /// Lets it run on this machine. Gives its address.
    fn start(self: Arc<Self>, runtime: &tokio::runtime::Runtime) -> String {
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = format!("http://{}/accessmanagement/api/v1", listener.local_addr().unwrap());
        let answer = move |headers: HeaderMap, Query(question): Query<HashMap<String, String>>| async move {
            if headers.get("authorization").is_none_or(|value| value != &format!("Bearer {BEARER}")) {
                return Err(StatusCode::UNAUTHORIZED);
            }
            self.questions.lock().unwrap().push(question);
            self.answer.lock().unwrap().clone().map(axum::Json).ok_or(StatusCode::SERVICE_UNAVAILABLE)
        };
        let router = Router::new().route("/accessmanagement/api/v1/maskinporten/delegations", get(answer));
        runtime.spawn(async move { axum::serve(listener, router).await });
        address
    }
}

fn line(consumer: &str, supplier: &str, scope: &str) -> Value {
    json!({"consumer_org": consumer, "supplier_org": supplier, "scopes": [scope], "created": "2026-01-01T00:00:00Z"})
}

/// Registers provider, consumer and supplier; the supplier's settings are in `supplier.toml`.
fn register(folder: &std::path::Path, port: u16) {
    let operator = "data/operator.toml";
    registry(folder, operator, &["org", "put", "314330897", "--name", "Fjordbuss AS", "--prefix", "fjordbuss"]);
    registry(folder, operator, &["org", "put", CONSUMER, "--name", "Innsikt Data AS"]);
    registry(folder, operator, &["org", "put", SUPPLIER, "--name", "Leverandør AS"]);
    let add = |org: &str, name: &str, scope: &str| {
        let key = format!("{name}.jwk");
        let client =
            registry(folder, operator, &["client", "add", "--org", org, "--name", name, "--new-key", &key, "--scope", scope]);
        let text = format!(
            "[clients.{name}]\nissuer = \"http://localhost:{}/\"\nclient-id = {}\nkey = {{ file = \"{key}\" }}\n\
             [targets.data]\nclient = \"{name}\"\nscope = \"{scope}\"\n[registry]\napi = \"http://localhost:{port}/api/v1\"\nclient = \"{name}\"\n",
            port + 1,
            client["client_id"]
        );
        std::fs::write(folder.join(format!("{name}.toml")), text).unwrap();
    };
    add("314330897", "provider", "idporten:scopes.write");
    let source = ["--delegation-source", "https://www.altinn.no/"];
    registry(folder, "provider.toml", &[&["scope", "add", SCOPE, "--description", "Delegated"], &source[..]].concat());
    registry(folder, "provider.toml", &["access", "grant", SCOPE, CONSUMER]);
    add(SUPPLIER, "supplier", SCOPE);
}

#[test]
fn a_source_of_delegations_is_asked_with_its_token_and_believed_to_the_letter() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let altinn = Arc::new(Altinn::default());
    let address = altinn.clone().start(&runtime);
    let port = settings(folder.path(), "");
    let file = folder.path().join("skybru.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let source = format!("{{ url = \"{address}\", token = {{ file = \"altinn-token\" }} }}");
    std::fs::write(folder.path().join("altinn-token"), format!("{BEARER}\n")).unwrap();
    std::fs::write(&file, format!("{text}[issuers.apis.delegation-sources]\n\"https://www.altinn.no/\" = {source}\n")).unwrap();
    let server = Server::start(folder.path());
    register(folder.path(), port);
    let ask = || {
        program(folder.path(), &["--config", "supplier.toml", "token", "--fresh", "--consumer-org", CONSUMER]).output().unwrap()
    };
    let refused = || {
        let output = ask();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        stderr(&output)
    };

    altinn.answers(json!([line(CONSUMER, SUPPLIER, SCOPE)]));
    let token = run(program(folder.path(), &["--config", "supplier.toml", "token", "--consumer-org", CONSUMER]));
    let jws = skybru_protocol::jose::Jws::parse(token.trim()).unwrap();
    let claims: Value = serde_json::from_slice(jws.payload()).unwrap();
    assert_eq!((&claims["consumer"]["ID"], &claims["supplier"]["ID"]), (&json!("0192:310702641"), &json!("0192:889640782")));
    assert_eq!(claims["delegation_source"], "https://www.altinn.no/");
    let asked = altinn.questions.lock().unwrap().pop().unwrap();
    assert_eq!(
        (asked["scope"].as_str(), asked["consumerOrg"].as_str(), asked["supplierOrg"].as_str()),
        (SCOPE, CONSUMER, SUPPLIER)
    );

    // An answer about others, another scope, or nothing lets nobody in.
    for other in [
        json!([]),
        json!([line(SUPPLIER, CONSUMER, SCOPE)]),
        json!([line(CONSUMER, SUPPLIER, "fjordbuss:delegated/other")]),
        json!([line("314330897", SUPPLIER, SCOPE)]),
    ] {
        altinn.answers(other.clone());
        assert!(refused().contains("has not delegated access to the scope"), "{other}");
    }
    // What cannot be read, and silence, are no delegations either.
    altinn.answers(json!({"delegations": [line(CONSUMER, SUPPLIER, SCOPE)]}));
    assert!(!ask().status.success(), "another shape");
    *altinn.answer.lock().unwrap() = None;
    assert!(!ask().status.success(), "503 of the source");
    let log = server.stop();
    assert!(!log.contains(BEARER), "the token is in no log");

    // With another token the source refuses, and so does the issuer.
    std::fs::write(folder.path().join("altinn-token"), "stale").unwrap();
    altinn.answers(json!([line(CONSUMER, SUPPLIER, SCOPE)]));
    let _server = Server::start(folder.path());
    assert!(!ask().status.success(), "the source did not accept the token");
    assert!(!stderr(&ask()).contains("stale"));
}
