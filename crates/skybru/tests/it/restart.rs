//! What survives: a stop, and a kill.

use serde_json::{Value, json};
use skybru_protocol::jose::SigningKey;

use crate::support::{Lab, RESOURCE, SCOPE, free_ports};

/// An assertion of the demonstration's consumer to Skyporten.
#[expect(clippy::disallowed_methods, reason = "the lab runs by the real clock")]
fn assertion(lab: &Lab) -> String {
    let key = SigningKey::from_text(&std::fs::read_to_string(lab.get("/demo/client_jwk_file")).unwrap(), None).unwrap();
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({
        "iss": lab.get("/demo/client_id"), "aud": lab.get("/issuers/skyporten"), "scope": SCOPE, "resource": RESOURCE, "iat": now,
        "exp": now + 100, "jti": "only-once"
    });
    key.sign(Some("JWT"), &claims).unwrap()
}

fn present(lab: &Lab, assertion: &str) -> (u16, Value) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let url = format!("{}/token", lab.get("/issuers/skyporten"));
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion)];
        let answer = lab.http().post(url).form(&form).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    })
}

/// An assertion that became a token is used, even if the process is killed the moment after.
#[test]
fn a_used_assertion_is_refused_after_kill_9_and_restart() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports();
    let lab = Lab::start_in(folder.path(), ports);
    let assertion = assertion(&lab);
    assert_eq!(present(&lab, &assertion).0, 200);
    lab.kill();

    let lab = Lab::start_in(folder.path(), ports);
    let (status, body) = present(&lab, &assertion);
    assert_eq!(status, 400);
    assert!(body["error_uri"].as_str().unwrap().ends_with("/errors/MP-012"), "{body}");
}

#[test]
fn the_lab_finds_itself_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports();
    let lab = Lab::start_in(folder.path(), ports);
    let before = lab.info.clone();
    let token = lab.token(&[]);
    let own = lab.skybru(&["registry", "scope", "add", "fjordbuss:mine", "--description", "x"]).status().unwrap();
    assert!(own.success());
    assert_eq!(lab.stop(), 0, "a stop that was asked for is no failure");

    let lab = Lab::start_in(folder.path(), ports);
    assert_eq!(lab.info, before, "addresses, ids and keys");
    assert!(lab.skybru(&["inspect", &token]).status().unwrap().success(), "a token of before still verifies");
    let scopes = lab.skybru(&["registry", "scope", "list"]).output().unwrap();
    assert!(String::from_utf8(scopes.stdout).unwrap().contains("fjordbuss:mine"));
    assert!(lab.skybru(&["cat", "demo:timetables/line-1.csv"]).status().unwrap().success());
}
