//! Switches of a running server, each held against what it changes on the wire.

use serde_json::{Value, json};
use skybru_protocol::jose::SigningKey;

use crate::support::server::{Server, onboard, settings};
use crate::support::{program, stderr};

#[expect(clippy::disallowed_methods, reason = "a real server has the real clock")]
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

struct Wire {
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
}

impl Wire {
    fn new() -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { runtime: tokio::runtime::Runtime::new().unwrap(), http }
    }

    fn get(&self, url: &str) -> Value {
        self.runtime.block_on(async { self.http.get(url).send().await.unwrap().json().await.unwrap() })
    }

    fn token(&self, issuer: &str, assertion: &str) -> (u16, Value) {
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion)];
        self.runtime.block_on(async {
            let answer = self.http.post(format!("{}/token", issuer.trim_end_matches('/'))).form(&form).send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap())
        })
    }
}

/// Appends to the settings of the issuer for clouds, which stand last.
fn append(folder: &std::path::Path, more: &str) {
    let file = folder.join("skybru.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, text + more).unwrap();
}

fn reader(folder: &std::path::Path) -> (String, SigningKey) {
    let table: toml::Table = std::fs::read_to_string(folder.join("reader.toml")).unwrap().parse().unwrap();
    let id = table["clients"]["reader"]["client-id"].as_str().unwrap().to_owned();
    (id, SigningKey::from_text(&std::fs::read_to_string(folder.join("reader.jwk")).unwrap(), None).unwrap())
}

#[test]
fn metadata_age_and_rounding_follow_their_switches() {
    let wire = Wire::new();
    for strict in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let port = settings(folder.path(), "");
        if strict {
            append(
                folder.path(),
                "[issuers.clouds.compat]\nskyporten-extended = false\nmax-iat-age = 20\nexp-rounding = false\n",
            );
        }
        let _server = Server::start(folder.path());
        onboard(folder.path(), port);
        let issuer = format!("http://localhost:{}", port + 2);
        let metadata = wire.get(&format!("{issuer}/.well-known/openid-configuration"));
        let members: Vec<&String> = metadata.as_object().unwrap().keys().collect();
        // The published document has six members, and no other.
        assert_eq!(members.len() == 6, strict, "{members:?}");
        assert_eq!(metadata["response_types_supported"].is_null(), strict);
        let (id, key) = reader(folder.path());
        let ask = |age: i64, life: i64| -> u16 {
            let iat = now() - age;
            let claims = json!({"aud": issuer, "iss": id, "scope": "fjordbuss:timetables.read", "iat": iat, "exp": iat + life,
                "jti": format!("{age} {life}")});
            wire.token(&issuer, &key.sign(None, &claims).unwrap()).0
        };
        assert_eq!(ask(0, 120), 200);
        assert_eq!(ask(0, 121), if strict { 400 } else { 200 }, "one second more than the clock was read for");
        assert_eq!(ask(0, 122), 400);
        assert_eq!(ask(60, 110), if strict { 400 } else { 200 }, "a minute old");
        assert_eq!(ask(10, 110), 200);
    }
}

#[test]
fn the_self_service_api_answers_each_organisation_only_so_often() {
    let wire = Wire::new();
    let folder = tempfile::tempdir().unwrap();
    let port = settings(folder.path(), "api-requests-per-second = 5");
    let _server = Server::start(folder.path());
    onboard(folder.path(), port);
    let consumer = std::fs::read_to_string(folder.path().join("consumer.toml")).unwrap();
    let consumer = consumer.replace("resource = \"https://skyporten.example.no\"\n", "");
    std::fs::write(folder.path().join("reading.toml"), consumer).unwrap();
    let token = program(folder.path(), &["--config", "reading.toml", "token", "--scope", "idporten:dcr.write"]).output().unwrap();
    let token = String::from_utf8(token.stdout).unwrap();
    let answers: Vec<(u16, Option<String>, Value)> = wire.runtime.block_on(async {
        let mut answers = Vec::new();
        for _ in 0..40 {
            let asked = wire.http.get(format!("http://localhost:{port}/api/v1/clients")).bearer_auth(token.trim());
            let answer = asked.send().await.unwrap();
            let retry = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
            answers.push((answer.status().as_u16(), retry, answer.json().await.unwrap()));
        }
        answers
    });
    let refused: Vec<_> = answers.iter().filter(|(status, ..)| *status == 429).collect();
    assert!(answers[0].0 == 200 && refused.len() > 5, "{} of 40", refused.len());
    let (_, retry, body) = refused[0];
    assert_eq!(retry.as_deref(), Some("1"));
    assert!(body["errors"][0]["errorMessage"].as_str().unwrap().contains("too many requests from this organisation"), "{body}");
    // Strangers use up nobody's share, and other organisations have their own.
    let open = wire.get(&format!("http://localhost:{port}/api/v1/delegationsources"));
    assert!(open.is_array());
}

#[test]
fn a_token_for_a_source_of_delegations_stays_off_the_open_wire() {
    let folder = tempfile::tempdir().unwrap();
    for (source, expected) in [
        ("{ url = \"http://altinn.example.no/\", token = { env = \"NOT_SET\" } }", "a token goes to an https address only"),
        ("{ url = \"https://altinn.example.no/\", token = { env = \"NOT_SET\" } }", "NOT_SET is not set"),
        ("{ url = \"https://altinn.example.no/\", token = \"geheim\" }", "expected an address, or"),
        ("7", "expected an address, or"),
    ] {
        settings(folder.path(), "");
        append(folder.path(), &format!("[issuers.clouds.delegation-sources]\n\"https://www.altinn.no/\" = {source}\n"));
        let output = program(folder.path(), &["issuer", "serve"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(expected) && !stderr(&output).contains("geheim"), "{source}: {}", stderr(&output));
    }
}
