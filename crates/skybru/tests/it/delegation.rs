//! `skybru registry delegation`, `onbehalfof` and `secret`: a consumer lets a supplier act for it, and takes that back.

use std::process::Output;

use serde_json::Value;

use crate::support::{Lab, stderr, stdout};

const SCOPE: &str = "fjordbuss:shared";
const SUPPLIER: &str = "889640782";
const CONSUMER: &str = "310702641";

fn run(lab: &Lab, arguments: &[&str]) -> Output {
    lab.skybru(&[&["registry"], arguments].concat()).output().unwrap()
}

fn json(lab: &Lab, arguments: &[&str]) -> Value {
    let output = run(lab, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// A supplier whose client has a scope that consumers may delegate.
fn supplier(lab: &Lab) -> String {
    json(lab, &["scope", "add", SCOPE, "--description", "Shared", "--delegation-source", "https://tt02.altinn.no/"]);
    json(lab, &["access", "grant", SCOPE, CONSUMER]);
    json(lab, &["--as", "operator", "org", "put", SUPPLIER, "--name", "Leverandør"]);
    let client = json(
        lab,
        &[
            "--as",
            "operator",
            "client",
            "add",
            "--org",
            SUPPLIER,
            "--name",
            "Supplier",
            "--scope",
            SCOPE,
            "--new-key",
            "supplier.jwk",
        ],
    );
    let id = client["client_id"].as_str().unwrap().to_owned();
    let settings = format!(
        "[clients.supplier]\nissuer = \"{}\"\nclient-id = \"{id}\"\nkey = {{ file = \"supplier.jwk\" }}\nca-file = \"ca.pem\"\n[targets.shared]\nclient = \"supplier\"\nscope = \"{SCOPE}\"\n",
        lab.get("/issuers/maskinporten"),
    );
    std::fs::write(lab.folder.join("supplier.toml"), settings).unwrap();
    id
}

#[test]
fn a_delegation_is_given_used_listed_and_taken_back() {
    let lab = Lab::start();
    supplier(&lab);
    let token = |expected: i32| {
        let output = lab.skybru(&["--config", "supplier.toml", "token", "--consumer-org", CONSUMER]).output().unwrap();
        assert_eq!(output.status.code(), Some(expected), "{}", stderr(&output));
        stderr(&output)
    };
    assert!(token(1).contains("Consumer 310702641 has not delegated access to the scope fjordbuss:shared to supplier 889640782"));
    json(&lab, &["--as", "operator", "delegation", "give", SCOPE, SUPPLIER, "--consumer", CONSUMER]);
    token(0);
    let listed = run(&lab, &["delegation", "list"]);
    assert_eq!(
        stdout(&listed).trim(),
        "fjordbuss:shared  0192:889640782  may act for  0192:310702641",
        "the scope's owner sees it"
    );
    json(&lab, &["--as", "operator", "delegation", "revoke", SCOPE, SUPPLIER, "--consumer", CONSUMER]);
    assert!(token(1).contains("has not delegated"));
    assert!(stdout(&run(&lab, &["delegation", "list", "--inactive"])).contains("(withdrawn)"));
}

#[test]
fn mistakes_are_answered_in_words() {
    let lab = Lab::start();
    let id = supplier(&lab);
    let refused = |arguments: &[&str], code: i32, text: &str| {
        let output = run(&lab, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(text), "{arguments:?}: {}", stderr(&output));
    };
    refused(
        &["delegation", "give", "fjordbuss:timetables.read", SUPPLIER],
        1,
        "has no delegation_source: it cannot be delegated",
    );
    refused(&["delegation", "give", SCOPE, "123456789"], 2, "the check digit should be 5, not 9");
    refused(&["delegation", "give", SCOPE, SUPPLIER, "--consumer", CONSUMER], 1, "skybru:operator");
    refused(&["delegation", "revoke", SCOPE, SUPPLIER], 1, "has not delegated");
    refused(&["secret", "rotate", &id], 1, "is not registered, or is not yours");
    let own = json(&lab, &["client", "add", "--name", "Own", "--scope", SCOPE]);
    let own = own["client_id"].as_str().unwrap();
    refused(&["secret", "rotate", own], 1, "a client with token_endpoint_auth_method private_key_jwt has no secret");
    refused(&["onbehalfof", "add", own, CONSUMER, "--name", "Kunde"], 1, "is delegated by its consumers");
}

#[test]
fn a_client_has_entries_on_behalf_of_others() {
    let lab = Lab::start();
    let client = json(&lab, &["client", "add", "--name", "Shared software", "--scope", "fjordbuss:timetables.read"]);
    let id = client["client_id"].as_str().unwrap();
    json(&lab, &["onbehalfof", "add", id, CONSUMER, "--name", "Kunde", "--id", "kunde-1"]);
    assert_eq!(stdout(&run(&lab, &["onbehalfof", "list", id])).trim(), "kunde-1  0192:310702641  Kunde");
    json(&lab, &["onbehalfof", "remove", id, "kunde-1"]);
    assert!(stdout(&run(&lab, &["onbehalfof", "list", id, "--inactive"])).contains("(deactivated)"));
}
