//! `skybru registry`: a provider and a consumer set a share up between them.

use std::process::Output;

use serde_json::Value;

use crate::support::{Lab, stderr, stdout};

fn run(lab: &Lab, arguments: &[&str]) -> Output {
    lab.skybru(&[&["registry"], arguments].concat()).output().unwrap()
}

fn json(lab: &Lab, arguments: &[&str]) -> Value {
    let output = run(lab, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

#[test]
fn a_scope_is_created_granted_used_and_withdrawn() {
    let lab = Lab::start();
    json(&lab, &["scope", "add", "fjordbuss:fares", "--description", "Fares"]);
    let granted = json(&lab, &["access", "grant", "fjordbuss:fares", "0192:310702641"]);
    assert_eq!(granted["state"], "APPROVED");

    // The consumer's organisation registers a client; its administrator is the operator's invention here, so the operator makes one.
    json(&lab, &["--as", "operator", "org", "put", "889640782", "--name", "Ny Konsument"]);
    let organisations = json(&lab, &["--as", "operator", "org", "list"]);
    assert_eq!(organisations.as_array().unwrap().len(), 5);

    // The provider's own client may have the provider's own scope.
    let client = json(&lab, &["client", "add", "--name", "Own reader", "--scope", "fjordbuss:fares", "--new-key", "reader.jwk"]);
    let settings = format!(
        "[clients.reader]\nissuer = \"{}\"\nclient-id = \"{}\"\nkey = {{ file = \"reader.jwk\" }}\nca-file = \"ca.pem\"\n[targets.fares]\nclient = \"reader\"\nscope = \"fjordbuss:fares\"\n",
        lab.get("/issuers/maskinporten"),
        client["client_id"].as_str().unwrap()
    );
    std::fs::write(lab.folder.join("reader.toml"), settings).unwrap();
    let token = |expected: i32| {
        let output = lab.skybru(&["--config", "reader.toml", "token"]).output().unwrap();
        assert_eq!(output.status.code(), Some(expected), "{}", stderr(&output));
        stderr(&output)
    };
    token(0);
    let id = client["client_id"].as_str().unwrap();
    let keys = json(&lab, &["client", "add-key", id, "--key", "second.jwk"]);
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    token(0);

    json(&lab, &["scope", "remove", "fjordbuss:fares"]);
    assert!(token(1).contains("Token request contains invalid scopes for client, fjordbuss:fares"));
    json(&lab, &["client", "remove", id]);
    assert!(token(1).contains("Client not found"));
}

#[test]
fn withdrawn_access_ends_at_once_and_says_who_can_help() {
    let lab = Lab::start();
    json(&lab, &["access", "revoke", "fjordbuss:timetables.read", "310702641"]);
    let output = lab.skybru(&["token", "demo"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "the answer is no");
    let text = stderr(&output);
    assert!(text.contains("Consumer has not been granted access to the scope fjordbuss:timetables.read"), "{text}");
    assert!(text.contains("hint:"), "{text}");
}

#[test]
fn what_one_may_not_do_is_refused_in_words() {
    let lab = Lab::start();
    let foreign = run(&lab, &["scope", "add", "idporten:mine", "--description", "x"]);
    assert_eq!(foreign.status.code(), Some(1));
    assert!(stderr(&foreign).contains("prefix idporten does not belong to organisation 314330897"), "{}", stderr(&foreign));
    let last = run(&lab, &["client", "list"]);
    assert!(stdout(&last).contains("Fjordbuss AS"), "{}", stdout(&last));
    let operator = run(&lab, &["org", "list"]);
    assert_eq!(operator.status.code(), Some(1), "the provider is not the operator");
}
