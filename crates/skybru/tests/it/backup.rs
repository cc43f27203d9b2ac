//! What was backed up comes back whole: registry, keys, and the memory of used assertions.

use std::path::Path;

use serde_json::{Value, json};
use skybru_protocol::jose::{Algorithm, JwkSet, Jws, SigningKey, VerifyingKey};

use crate::support::server::{Server, onboard, run, settings};
use crate::support::{program, stderr};

/// An assertion of the reader, by hand: the program never presents one twice.
fn assertion(folder: &Path, issuer: &str) -> String {
    let text = std::fs::read_to_string(folder.join("reader.toml")).unwrap();
    let client = text.lines().find_map(|line| line.strip_prefix("client-id = ")).unwrap().trim_matches('"').to_owned();
    let key = SigningKey::from_text(&std::fs::read_to_string(folder.join("reader.jwk")).unwrap(), None).unwrap();
    let now = jiff_now();
    let claims = json!({"aud": issuer, "iss": client, "scope": "fjordbuss:timetables.read", "resource": "https://skyporten.example.no",
        "iat": now, "exp": now + 100, "jti": format!("backup-{now}")});
    key.sign(Some("JWT"), &claims).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the server runs by the real clock")]
fn jiff_now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn http() -> (tokio::runtime::Runtime, reqwest::Client) {
    (tokio::runtime::Runtime::new().unwrap(), reqwest::Client::builder().no_proxy().build().unwrap())
}

fn post(issuer: &str, assertion: &str) -> Value {
    let (runtime, client) = http();
    let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion)];
    let request = client.post(format!("{issuer}/token")).form(&form);
    runtime.block_on(async { request.send().await.unwrap().json().await.unwrap() })
}

fn key_set(issuer: &str) -> JwkSet {
    let (runtime, client) = http();
    runtime.block_on(async { client.get(format!("{issuer}/jwk")).send().await.unwrap().json().await.unwrap() })
}

#[test]
fn a_restored_issuer_knows_its_clients_its_keys_and_what_was_used() {
    let folder = tempfile::tempdir().unwrap();
    let port = settings(folder.path(), "");
    let issuer = format!("http://localhost:{}", port + 2);
    let server = Server::start(folder.path());
    onboard(folder.path(), port);
    let used = assertion(folder.path(), &issuer);
    let answer = post(&issuer, &used);
    let token = answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();

    // While it runs.
    let refused = program(folder.path(), &["issuer", "backup", "issuer.backup"]).output().unwrap();
    assert!(stderr(&refused).contains("say what the backup is sealed with"), "{}", stderr(&refused));
    std::fs::write(folder.path().join("backup.key"), run(program(folder.path(), &["issuer", "keys", "seal-key"]))).unwrap();
    let seal = ["issuer.backup", "--seal-key-file", "backup.key"];
    run(program(folder.path(), &[&["issuer", "backup"], &seal[..]].concat()));
    let bytes = std::fs::read(folder.path().join("issuer.backup")).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1"), "sealed");
    let again = program(folder.path(), &[&["issuer", "backup"], &seal[..]].concat()).output().unwrap();
    assert!(stderr(&again).contains("never written over another"), "{}", stderr(&again));

    let over = program(folder.path(), &[&["issuer", "restore"], &seal[..]].concat()).output().unwrap();
    assert_eq!(over.status.code(), Some(2));
    assert!(stderr(&over).contains("never brought back over an installation"), "{}", stderr(&over));

    // The machine is lost; the settings and the backup are not.
    server.kill();
    std::fs::rename(folder.path().join("data"), folder.path().join("lost")).unwrap();
    std::fs::write(folder.path().join("wrong.key"), run(program(folder.path(), &["issuer", "keys", "seal-key"]))).unwrap();
    let wrong = program(folder.path(), &["issuer", "restore", "issuer.backup", "--seal-key-file", "wrong.key"]).output().unwrap();
    assert!(stderr(&wrong).contains("another passphrase or key file"), "{}", stderr(&wrong));
    // One byte at the very end was changed: nothing comes back, also of what could be read before it.
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(folder.path().join("changed.backup"), changed).unwrap();
    let changed =
        program(folder.path(), &["issuer", "restore", "changed.backup", "--seal-key-file", "backup.key"]).output().unwrap();
    assert_eq!(changed.status.code(), Some(2));
    assert!(stderr(&changed).contains("it has been changed since"), "{}", stderr(&changed));
    assert_eq!(std::fs::read_dir(folder.path().join("data")).unwrap().count(), 0, "nothing was left behind");
    run(program(folder.path(), &[&["issuer", "restore"], &seal[..]].concat()));
    let _server = Server::start(folder.path());

    let replayed = post(&issuer, &used);
    assert_eq!(replayed["error"], "invalid_grant", "{replayed}");
    assert!(replayed["error_description"].as_str().unwrap().contains("Grant is used before"), "{replayed}");
    let jws = Jws::parse(&token).unwrap();
    let key = key_set(&issuer).find(jws.header().kid.as_deref().unwrap()).cloned().unwrap();
    let key = VerifyingKey::from_jwk(&key).unwrap();
    key.verify(Algorithm::RS256, jws.signing_input().as_bytes(), jws.signature()).unwrap();
    let later = run(program(folder.path(), &["--config", "reader.toml", "token"]));
    assert_eq!(Jws::parse(later.trim()).unwrap().header().kid, jws.header().kid, "it signs with the same key");
}

#[test]
fn the_folder_of_a_private_issuer_comes_back_too() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = |arguments: &[&str]| run(program(folder.path(), &[&["issuer"], arguments].concat()));
    issuer(&["init", "--static", "id", "--url", "https://id.example.no"]);
    std::fs::write(folder.path().join("word"), "correct horse battery staple\n").unwrap();
    issuer(&["backup", "id.backup", "--dir", "id", "--seal-passphrase-file", "word"]);
    issuer(&["restore", "id.backup", "--dir", "back", "--seal-passphrase-file", "word"]);
    for name in ["issuer.toml", "keys.json"] {
        let read = |place: &str| std::fs::read(folder.path().join(place).join(name)).unwrap();
        assert_eq!(read("id"), read("back"), "{name}");
    }
    assert_eq!(issuer(&["keys", "list", "--dir", "id"]), issuer(&["keys", "list", "--dir", "back"]));
}
