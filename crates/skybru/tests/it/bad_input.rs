//! A tired person's mistakes: each gets one message that says what to do, exit code 2, and nothing else.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::support::{Lab, free_ports, program, stderr, stdout};

/// Runs the program in `folder`, expects failure, and gives what it said.
#[track_caller]
fn fails(folder: &Path, arguments: &[&str]) -> String {
    let output = program(folder, arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}{}", stdout(&output), stderr(&output));
    let text = stderr(&output);
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// A settings file with one change.
fn settings(lab: &Lab, from: &str, to: &str) -> String {
    let text = fs::read_to_string(lab.get("/demo/config_file")).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(lab.folder.join("changed.toml"), text.replacen(from, to, 1)).unwrap();
    "changed.toml".to_owned()
}

#[test]
fn without_settings_it_says_where_they_are_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let text = fails(folder.path(), &["token", "demo"]);
    assert!(
        text.contains("there is no target \"demo\" in the settings") && text.contains("hint: no target is configured"),
        "{text}"
    );
    let text = fails(folder.path(), &["token"]);
    assert!(text.contains("no target was named, and the settings have none"), "{text}");
    let text = fails(folder.path(), &["--config", "nowhere.toml", "token"]);
    assert!(text.contains("cannot read the settings file") && text.contains("nowhere.toml"), "{text}");
}

#[test]
fn wrong_settings_are_named() {
    let lab = Lab::start();
    let said = |from: &str, to: &str, arguments: &[&str]| {
        let file = settings(&lab, from, to);
        fails(&lab.folder, &[&["--config", &file], arguments].concat())
    };
    let token = &["token", "demo"][..];
    assert!(said("client-id = ", "client_id = ", token).contains("setting clients.demo.client_id: unknown field"));
    assert!(said("issuer = \"https://", "issuer = \"", token).contains("must begin with https://"));
    let key = said("file = \"client.jwk\"", "file = \"nothing.jwk\"", token);
    assert!(key.contains("cannot read the private key of client \"demo\"") && key.contains("No such file"), "{key}");
    let key = said("file = \"client.jwk\"", "file = \"ca.pem\"", token);
    assert!(key.contains("this is a public key; the private key is needed to sign"), "{key}");
    let ca = said("ca-file = \"ca.pem\"\n", "", token);
    assert!(ca.contains("hint:") && ca.contains("ca-file"), "{ca}");
    let role = said("arn:aws:iam::123456789012:role/", "arn:aws:iam::role/", &["credentials", "demo"]);
    assert!(role.contains("targets.demo.aws.role-arn"), "{role}");
    assert!(said("[targets.demo]", "[targets.demo", token).contains("is not TOML"));
}

#[test]
fn an_unknown_scope_and_a_wrong_key_are_refused_by_the_issuer_with_a_hint() {
    let lab = Lab::start();
    let refused = |arguments: &[&str]| {
        let output = lab.skybru(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "the answer is no");
        stderr(&output)
    };
    let text = refused(&["token", "demo", "--scope", "fjordbuss:nothing"]);
    assert!(
        text.contains("Token request contains invalid scopes for client, fjordbuss:nothing") && text.contains("hint:"),
        "{text}"
    );
    let file = settings(&lab, "file = \"client.jwk\"", "file = \"outsider.jwk\"");
    let text = refused(&["--config", &file, "token", "demo"]);
    assert!(text.contains("Unknown key identifier (kid) for client") && text.contains("hint:"), "{text}");
}

#[test]
fn an_organisation_number_with_a_wrong_check_digit_is_found_before_anything_is_sent() {
    let lab = Lab::start();
    let output = lab.skybru(&["registry", "access", "grant", "fjordbuss:timetables.read", "0192:123456789"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("the check digit should be 5, not 9"), "{}", stderr(&output));
}

#[test]
fn a_taken_port_and_a_folder_in_use_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports();
    let taken = TcpListener::bind(("127.0.0.1", ports + 1)).unwrap();
    let text = fails(folder.path(), &["up", "--port-base", &ports.to_string()]);
    assert!(text.contains("the lab's ports are taken") && text.contains("--port-base"), "{text}");
    assert!(text.contains(&format!("port {}", ports + 1)), "{text}");
    drop(taken);

    let lab = Lab::start();
    let text = fails(folder.path(), &["up", "--port-base", "0", "--data", lab.folder.to_str().unwrap()]);
    assert!(text.contains("is in use by another skybru"), "{text}");
}

#[test]
fn what_is_no_token_is_not_taken_for_one() {
    let folder = tempfile::tempdir().unwrap();
    assert!(fails(folder.path(), &["inspect", "nonsense"]).contains("this is not a signed token"));
    let key = "{\"kty\":\"RSA\",\"d\":\"very-secret\"}";
    let text = fails(folder.path(), &["inspect", key]);
    assert!(!text.contains("very-secret"), "{text}");
}

#[test]
fn an_expired_token_is_called_expired() {
    let folder = tempfile::tempdir().unwrap();
    let key = skybru_protocol::jose::SigningKey::from_text(include_str!("../../../protocol/testdata/rsa2048.jwk"), None).unwrap();
    let token = key.sign(None, &serde_json::json!({"iss": "https://a.no", "iat": 1, "exp": 2})).unwrap();
    let output = program(folder.path(), &["inspect", "--offline", &token]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("EXPIRED"), "{}", stdout(&output));
}

#[test]
fn addresses_that_mean_nothing_are_explained() {
    let lab = Lab::start();
    let said = |arguments: &[&str]| {
        let output = lab.skybru(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        stderr(&output)
    };
    assert!(said(&["cp", "a.txt", "b.txt"]).contains("one end must be a bucket"));
    assert!(said(&["cp", "demo:timetables/", "."]).contains("add --recursive"));
    assert!(said(&["ls", "ftp://bucket/"]).contains("is not supported: expected TARGET:path"));
    assert!(said(&["ls", "nobody:x"]).contains("there is no target \"nobody\" in the settings; there are: demo"));
}
