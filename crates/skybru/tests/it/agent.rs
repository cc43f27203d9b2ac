//! `skybru agent`: what programs of this machine get from it, and who gets nothing.

use std::io::{Read as _, Write as _};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::aws::{Aws, Keys};
use crate::support::{Lab, PROGRAM, RESOURCE, SCOPE};

fn ask(more: &Value) -> Value {
    let mut body = json!({"identity_provider": "demo", "target": SCOPE, "resource": RESOURCE});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The shapes are those of texas, so that its users need change nothing but the address.
#[test]
fn an_application_gets_a_token_as_from_texas() {
    let lab = Lab::start();
    let agent = Agent::of(&lab, &[]);
    let (status, answer) = agent.post("/api/v1/token", &ask(&json!({})), &[]);
    assert_eq!(status, 200, "{answer}");
    let members: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(members, ["access_token", "expires_in", "token_type"]);
    assert_eq!(answer["token_type"], "Bearer");
    let again = agent.post("/api/v1/token", &ask(&json!({})), &[]).1;
    assert_eq!(again["access_token"], answer["access_token"], "from the cache");
    let fresh = agent.post("/api/v1/token", &ask(&json!({"skip_cache": true})), &[]).1;
    assert_ne!(fresh["access_token"], answer["access_token"]);

    let form = format!("identity_provider=demo&target={SCOPE}&resource=https%3A%2F%2Fskyporten.example.no&skip_cache=false");
    let request = agent.client.post(agent.url("/api/v1/token")).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(agent.send(request.body(form)).1["access_token"], fresh["access_token"], "a form is as good");
}

#[test]
fn the_seconds_that_a_cached_token_has_left_are_those_of_now() {
    let lab = Lab::start();
    let agent = Agent::of(&lab, &[]);
    let first = agent.post("/api/v1/token", &ask(&json!({})), &[]).1;
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let now = agent.post("/api/v1/token", &ask(&json!({})), &[]).1;
        assert_eq!(now["access_token"], first["access_token"]);
        if now["expires_in"].as_u64().unwrap() < first["expires_in"].as_u64().unwrap() {
            break;
        }
        assert!(Instant::now() < deadline, "{}", now["expires_in"]);
    }
}

/// What was asked before is remembered; that must show in nothing.
#[test]
fn the_same_body_again_gets_what_it_would_get_for_the_first_time() {
    let lab = Lab::start();
    let agent = Agent::of(&lab, &[]);
    let form = format!("identity_provider=demo&target={SCOPE}&resource=https%3A%2F%2Fskyporten.example.no");
    let send = |kind: &str, body: String| {
        agent.send(agent.client.post(agent.url("/api/v1/token")).header("content-type", kind).body(body))
    };
    let first = send("application/x-www-form-urlencoded", form.clone());
    assert_eq!((first.0, &first.1["token_type"]), (200, &json!("Bearer")));
    assert_eq!(send("Application/X-WWW-Form-URLEncoded; charset=utf-8", form.clone()).1["access_token"], first.1["access_token"]);
    for kind in ["text/plain", "application/json", ""] {
        assert_eq!(send(kind, form.clone()).0, 400, "{kind:?}");
    }
    let fresh = agent.post("/api/v1/token", &ask(&json!({"skip_cache": true})), &[]).1;
    let again = send("application/x-www-form-urlencoded", form.clone()).1;
    assert_eq!(again["access_token"], fresh["access_token"], "the newer token");
    for blanks in 0..200 {
        let answer = send("application/json", format!("{}{}", " ".repeat(blanks), ask(&json!({}))));
        assert_eq!((answer.0, &answer.1["access_token"]), (200, &fresh["access_token"]), "{blanks} blanks");
    }
}

#[test]
fn what_is_no_request_for_a_token_is_refused() {
    let lab = Lab::start();
    let agent = Agent::of(&lab, &[]);
    assert_eq!(agent.text("/api/v1/token", &[]).0, 405, "only POST");
    assert_eq!(agent.post("/api/v1/token/", &ask(&json!({})), &[]).0, 404);
    let (status, refused) = agent.post("/api/v1/token", &ask(&json!({"target": "x".repeat(65 * 1024)})), &[]);
    assert_eq!((status, &refused["error"]), (413, &json!("invalid_request")), "{refused}");
}

#[test]
fn a_token_is_introspected() {
    let lab = Lab::start();
    let agent = Agent::of(&lab, &[]);
    let look = |token: &str| agent.post("/api/v1/introspect", &json!({"identity_provider": "demo", "token": token}), &[]);
    let token = lab.token(&[]);
    let (status, claims) = look(&token);
    assert_eq!((status, &claims["active"], &claims["scope"]), (200, &json!(true), &json!(SCOPE)), "{claims}");
    assert_eq!(claims["consumer"]["ID"], "0192:310702641");
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    assert_eq!(look(&forged).1, json!({"active": false, "error": "token signature does not hold"}));
    assert_eq!(look("nonsense").1, json!({"active": false, "error": "token is not a signed JWT"}));
}

#[test]
fn refusals_come_in_the_issuers_words_and_wrong_use_names_the_member() {
    let lab = Lab::start();
    let agent = Agent::of(&lab, &[]);
    let (status, refused) = agent.post("/api/v1/token", &ask(&json!({"target": "fjordbuss:nothing"})), &[]);
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_scope")), "{refused}");
    assert!(refused["error_description"].as_str().unwrap().starts_with("MP-200"), "{refused}");
    for (change, expected) in [
        (json!({"identity_provider": "else"}), "identity_provider \"else\" is not known here"),
        (json!({"target": "no scope"}), "target:"),
        (json!({"authorization_details": "{}"}), "authorization_details: expected an array"),
        (json!({"consumer_org": "123456789"}), "consumer_org:"),
        (json!({"skip_cache": "perhaps"}), "skip_cache: expected true or false"),
        (json!({"target": 3}), "target:"),
    ] {
        let (status, refused) = agent.post("/api/v1/token", &ask(&change), &[]);
        assert_eq!((status, &refused["error"]), (400, &json!("invalid_request")), "{refused}");
        assert!(refused["error_description"].as_str().unwrap().contains(expected), "{refused}");
    }
}

/// What a page in a browser, or a proxy that somebody talked into it, would send.
#[test]
fn requests_that_no_program_of_this_machine_makes_get_nothing() {
    let lab = Lab::start();
    let agent = Agent::of(&lab, &[]);
    for header in [
        ("host", "attacker.example.no"),
        ("host", "169.254.170.2"),
        ("origin", "https://attacker.example.no"),
        ("sec-fetch-site", "cross-site"),
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
    ] {
        let (status, answer) = agent.post("/api/v1/token", &ask(&json!({})), &[header]);
        assert_eq!((status, answer["access_token"].is_null()), (403, true), "{header:?}");
    }
    for authorization in [None, Some("wrong"), Some("")] {
        let headers: Vec<(&str, &str)> = authorization.iter().map(|value| ("authorization", *value)).collect();
        assert_eq!(agent.get("/aws/demo", &headers).0, 403, "{authorization:?}");
    }
    assert_eq!(agent.get("/health/ready", &[]).0, 200);
}

#[test]
fn an_sdk_gets_aws_credentials_that_open_what_is_shared() {
    let lab = Lab::start();
    let agent = Agent::of(&lab, &[]);
    let authorization = agent.authorization();
    let (status, found) = agent.get("/aws/demo", &[("authorization", authorization)]);
    assert_eq!(status, 200, "{found}");
    let text = |name: &str| found[name].as_str().unwrap().to_owned();
    let keys = Keys { id: text("AccessKeyId"), secret: text("SecretAccessKey"), token: Some(text("Token")) };
    let aws = Aws::of(&lab);
    assert_eq!(aws.s3(Some(&keys), "GET", "/fjordbuss-data/timetables/line-1.csv", "").0, 200);
    assert_eq!(aws.s3(Some(&keys), "GET", "/fjordbuss-data/payroll/2026.csv", "").0, 403);
    assert_eq!(agent.get("/aws/nothing", &[("authorization", authorization)]).0, 404);
}

/// In a Nais pod the injected variables are enough.
#[test]
fn without_settings_the_injected_variables_make_the_client_maskinporten() {
    let lab = Lab::start();
    let settings: toml::Value = toml::from_str(&std::fs::read_to_string(lab.get("/demo/config_file")).unwrap()).unwrap();
    let id = settings["clients"]["provider"]["client-id"].as_str().unwrap();
    let key = std::fs::read_to_string(lab.folder.join("provider.jwk")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = crate::support::program(folder.path(), &["agent", "--listen", "127.0.0.1:0", "--json"]);
    command
        .env("MASKINPORTEN_CLIENT_ID", id)
        .env("MASKINPORTEN_CLIENT_JWK", key)
        .env("MASKINPORTEN_ISSUER", lab.get("/issuers/maskinporten"))
        .env("MASKINPORTEN_SCOPES", "idporten:dcr.write")
        .env("SKYBRU_CLIENTS__MASKINPORTEN__CA_FILE", lab.get("/ca_file"));
    let agent = Agent::start(command);
    let body = json!({"identity_provider": "maskinporten", "target": "idporten:dcr.write"});
    let (status, answer) = agent.post("/api/v1/token", &body, &[]);
    assert_eq!(status, 200, "{answer}");
}

/// In a pod that declares no scopes there is no target; the scopes on the command line are enough.
#[test]
fn the_only_client_needs_no_target() {
    let lab = Lab::start();
    let settings: toml::Value = toml::from_str(&std::fs::read_to_string(lab.get("/demo/config_file")).unwrap()).unwrap();
    let id = settings["clients"]["provider"]["client-id"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = crate::support::program(folder.path(), &["token", "--scope", "idporten:dcr.write"]);
    let issuer = lab.get("/issuers/maskinporten");
    let output = command
        .env("MASKINPORTEN_CLIENT_ID", id)
        .env("MASKINPORTEN_CLIENT_JWK", std::fs::read_to_string(lab.folder.join("provider.jwk")).unwrap())
        .env("MASKINPORTEN_WELL_KNOWN_URL", format!("{issuer}.well-known/oauth-authorization-server"))
        .env("MASKINPORTEN_TOKEN_ENDPOINT", format!("{issuer}token"))
        .env("SKYBRU_CLIENTS__MASKINPORTEN__CA_FILE", lab.get("/ca_file"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", crate::support::stderr(&output));
    assert_eq!(crate::support::stdout(&output).trim().split('.').count(), 3);
}

#[test]
fn a_socket_is_for_its_user_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let lab = Lab::start();
    let agent = Agent::start(lab.skybru(&["agent", "--socket", "agent.sock", "--json"]));
    assert!(agent.info["address"].as_str().unwrap().ends_with("agent.sock"));
    let path = lab.folder.join("agent.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let body = ask(&json!({})).to_string();
    write!(
        stream,
        "POST /api/v1/token HTTP/1.1\r\nhost: skybru\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("access_token"), "{answer}");
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lab = "[clients.a]\nissuer = \"https://sky.example.no\"\nclient-id = \"a\"\nkey = { file = \"a.jwk\" }\n";
    std::fs::write(folder.path().join("skybru.toml"), lab).unwrap();
    let output = Command::new(PROGRAM).args(["agent", "--listen", "0.0.0.0:7500"]).current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("expected an address of this machine"));
}
