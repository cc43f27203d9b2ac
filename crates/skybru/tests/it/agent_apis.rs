//! The agent's other doors: Google, Azure, OAuth, files, metrics, and settings that are read again.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::clouds::{self, CLIENT, GOOGLE_TOKEN, TENANT};
use crate::support::{Lab, SCOPE, SUBJECT};

const FLAVOR: (&str, &str) = ("metadata-flavor", "Google");

/// An agent with a target in both clouds and a local client.
fn with_clouds(lab: &Lab, more: &[&str]) -> Agent {
    let file = lab.folder.join("clouds.toml");
    let local = "\n[local-clients.delta]\ntarget = \"both\"\nsecret = { file = \"delta.secret\" }\n";
    std::fs::write(&file, clouds::settings(lab, &clouds::start()) + local).unwrap();
    std::fs::write(lab.folder.join("delta.secret"), "correct horse battery staple\n").unwrap();
    let mut command = lab.skybru(&[&["agent", "--listen", "127.0.0.1:0", "--json"], more].concat());
    command.env("SKYBRU_CONFIG", file);
    Agent::start(command)
}

fn subject_of(token: &str) -> Value {
    let payload = skybru_protocol::base64url::decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&payload).unwrap()["sub"].clone()
}

#[test]
fn googles_libraries_find_a_metadata_server() {
    let lab = Lab::start();
    let agent = with_clouds(&lab, &["--google", "both"]);
    let root = "/computeMetadata/v1";
    let account = format!("{root}/instance/service-accounts/default");
    let (status, token) = agent.get(&format!("{account}/token"), &[FLAVOR]);
    assert_eq!((status, &token["access_token"], &token["token_type"]), (200, &json!(GOOGLE_TOKEN), &json!("Bearer")), "{token}");
    assert!(token["expires_in"].as_i64().unwrap() > 3500);
    let (_, info) = agent.get(&format!("{account}/?recursive=true"), &[FLAVOR]);
    assert_eq!(info["email"], "default");
    assert_eq!(info["scopes"][0], "https://www.googleapis.com/auth/cloud-platform");
    for (path, expected) in [
        (format!("{root}/project/numeric-project-id"), "123456"),
        (format!("{root}/project/project-id"), "123456"),
        (format!("{root}/universe/universe-domain"), "googleapis.com"),
        (format!("{root}/instance/service-accounts/"), "default/\n"),
        (format!("{account}/email"), "default"),
        ("/google/both/computeMetadata/v1/project/project-id".to_owned(), "123456"),
    ] {
        assert_eq!(agent.text(&path, &[FLAVOR]), (200, expected.to_owned()), "{path}");
    }
    let (status, subject) = agent.text("/google/both/subject-token", &[FLAVOR]);
    assert_eq!((status, subject_of(&subject)), (200, json!(SUBJECT)));
    // Another account, an ID token, and everything without the header are not to be had.
    assert_eq!(agent.text(&format!("{root}/instance/service-accounts/other@x/token"), &[FLAVOR]).0, 404);
    assert_eq!(agent.text(&format!("{account}/identity?audience=a"), &[FLAVOR]).0, 404);
    for path in [format!("{account}/token"), "/google/both/subject-token".to_owned()] {
        assert_eq!(agent.text(&path, &[]).0, 403, "{path}");
        assert_eq!(agent.text(&path, &[FLAVOR, ("x-forwarded-for", "10.0.0.1")]).0, 403, "{path}");
        assert_eq!(agent.text(&path, &[FLAVOR, ("host", "metadata.attacker.example")]).0, 403, "{path}");
    }
    let answer = reqwest::Client::builder().no_proxy().build().unwrap();
    let ping = tokio::runtime::Runtime::new().unwrap().block_on(answer.get(agent.url("/")).send()).unwrap();
    assert_eq!(ping.headers()["metadata-flavor"], "Google");
}

/// E-76.
#[test]
fn azures_sdks_find_a_managed_identity_in_both_shapes() {
    let lab = Lab::start();
    let agent = with_clouds(&lab, &["--azure", "both"]);
    let secret = ("x-identity-header", agent.authorization());
    let ask = "api-version=2019-08-01&resource=https%3A%2F%2Fstorage.azure.com";
    let (status, token) = agent.get(&format!("/azure/both/msi?{ask}"), &[secret]);
    assert_eq!((status, &token["client_id"], &token["token_type"]), (200, &json!(CLIENT), &json!("Bearer")), "{token}");
    assert_eq!(token["resource"], "https://storage.azure.com");
    assert!(token["expires_on"].as_str().unwrap().parse::<i64>().unwrap() > 1_700_000_000, "a number as text");
    assert_eq!(agent.get(&format!("/azure/both/msi?{ask}&client_id={CLIENT}"), &[secret]).0, 200);

    let instance = format!("/metadata/identity/oauth2/token?api-version=2018-02-01&{}", &ask[23..]);
    for path in [instance.clone(), format!("/azure/both{instance}")] {
        assert_eq!(agent.get(&path, &[("metadata", "true")]).1["access_token"], token["access_token"], "{path}");
        assert_eq!(agent.get(&path, &[]).0, 400, "{path}");
    }
    // Another identity, no resource, no header or a wrong one.
    for query in [format!("{ask}&client_id={TENANT}"), format!("{ask}&mi_res_id=x"), "api-version=1".to_owned()] {
        assert_eq!(agent.get(&format!("/azure/both/msi?{query}"), &[secret]).0, 400, "{query}");
    }
    for headers in [vec![], vec![("x-identity-header", "wrong")], vec![("metadata", "true")]] {
        assert_eq!(agent.get(&format!("/azure/both/msi?{ask}"), &headers).0, 403, "{headers:?}");
    }
    assert_eq!(agent.get(&format!("/azure/demo/msi?{ask}"), &[secret]).0, 404);
}

#[test]
fn a_connector_that_only_knows_client_credentials_gets_a_token() {
    let lab = Lab::start();
    let agent = with_clouds(&lab, &[]);
    let post = |form: &str, basic: Option<(&str, &str)>| {
        let request = agent.client.post(agent.url("/oauth/token"));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
        agent.send(match basic {
            Some((id, secret)) => request.basic_auth(id, Some(secret)),
            None => request,
        })
    };
    let secret = "correct+horse+battery+staple";
    let by_form = format!("grant_type=client_credentials&client_id=delta&client_secret={secret}&scope={SCOPE}");
    let (status, answer) = post(&by_form, None);
    assert_eq!((status, subject_of(answer["access_token"].as_str().unwrap())), (200, json!(SUBJECT)), "{answer}");
    assert_eq!((&answer["scope"], &answer["token_type"]), (&json!(SCOPE), &json!("Bearer")));
    assert!(answer["expires_in"].is_u64());
    let (status, by_header) = post("grant_type=client_credentials", Some(("delta", secret)));
    assert_eq!((status, &by_header["access_token"]), (200, &answer["access_token"]), "from the cache");

    for (form, basic, error) in [
        ("grant_type=client_credentials", Some(("delta", "wrong")), "invalid_client"),
        ("grant_type=client_credentials", Some(("other", secret)), "invalid_client"),
        ("grant_type=client_credentials", None, "invalid_client"),
        (by_form.as_str(), Some(("delta", secret)), "invalid_client"),
        ("grant_type=password", Some(("delta", secret)), "unsupported_grant_type"),
        ("grant_type=client_credentials&scope=fjordbuss:payroll", Some(("delta", secret)), "invalid_scope"),
        ("grant_type=client_credentials&scope=a&scope=b", Some(("delta", secret)), "invalid_request"),
    ] {
        let (status, answer) = post(form, basic);
        assert_eq!(answer["error"], error, "{form} {answer}");
        assert_eq!(status, if error == "invalid_client" { 401 } else { 400 }, "{form}");
    }
}

/// A-90, E-70: the libraries send what is in the file, so nothing else may be in it.
#[test]
fn a_file_for_each_target_holds_the_token_and_nothing_else() {
    let lab = Lab::start();
    let _agent = with_clouds(&lab, &["--token-files", "tokens"]);
    for target in ["demo", "both"] {
        let path = lab.folder.join(format!("tokens/{target}.jwt"));
        let token = std::fs::read_to_string(&path).unwrap();
        assert_eq!(subject_of(&token), SUBJECT);
        assert_eq!(token.trim(), token, "no line feed");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn what_the_agent_did_is_counted() {
    let lab = Lab::start();
    let agent = Agent::of(&lab, &["--probe-listen", "127.0.0.1:0"]);
    let body = json!({"identity_provider": "demo", "target": SCOPE, "resource": crate::support::RESOURCE});
    agent.post("/api/v1/token", &body, &[]);
    agent.post("/api/v1/token", &body, &[]);
    agent.post("/api/v1/token", &json!({}), &[]);
    let (status, text) = agent.text("/metrics", &[]);
    assert_eq!(status, 200);
    for line in [
        "skybru_agent_requests_total{path=\"/api/v1/token\",status=\"200\"} 2",
        "skybru_agent_requests_total{path=\"/api/v1/token\",status=\"400\"} 1",
        "skybru_agent_request_duration_seconds_count 3",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

#[test]
fn a_hangup_reads_the_settings_again_and_a_mistake_leaves_the_old_ones() {
    let lab = Lab::start();
    let file = lab.folder.join("changing.toml");
    let settings = std::fs::read_to_string(lab.get("/demo/config_file")).unwrap();
    std::fs::write(&file, &settings).unwrap();
    let mut command = lab.skybru(&["agent", "--listen", "127.0.0.1:0", "--json"]);
    command.env("SKYBRU_CONFIG", &file);
    let mut agent = Agent::start(command);
    let hangup = |agent: &Agent| Command::new("kill").args(["-HUP", &agent.id().to_string()]).status().unwrap();
    let ask = |agent: &Agent, name: &str| {
        let body = json!({"identity_provider": name, "target": SCOPE, "resource": crate::support::RESOURCE});
        agent.post("/api/v1/token", &body, &[]).0
    };
    assert_eq!((ask(&agent, "demo"), ask(&agent, "renamed")), (200, 400));

    std::fs::write(&file, "no toml").unwrap();
    hangup(&agent);
    let said = agent.hears();
    assert!(said.contains("the old ones stay") && said.contains("is not TOML"), "{said}");
    assert_eq!(ask(&agent, "demo"), 200);

    std::fs::write(
        &file,
        settings.replace("[clients.demo", "[clients.renamed").replace("client = \"demo\"", "client = \"renamed\""),
    )
    .unwrap();
    hangup(&agent);
    assert_eq!(agent.hears(), "the settings were read again");
    assert_eq!((ask(&agent, "demo"), ask(&agent, "renamed")), (400, 200));
    assert!(agent.text("/metrics", &[]).1.contains("skybru_agent_failed_reloads_total 1"));
}

/// texas's own shapes: the schemas of its `OpenAPI` document, in JSON Schema.
#[test]
fn answers_fit_texass_schemas() {
    let lab = Lab::start();
    let agent = Agent::of(&lab, &[]);
    let fits = |schema: &Value, answer: &Value| {
        let found: Vec<String> = jsonschema::validator_for(schema).unwrap().iter_errors(answer).map(|e| e.to_string()).collect();
        assert!(found.is_empty(), "{found:?}: {answer}");
    };
    let token = json!({"type": "object", "required": ["access_token", "expires_in", "token_type"], "additionalProperties": false,
        "properties": {"access_token": {"type": "string"}, "expires_in": {"type": "integer", "minimum": 0},
            "token_type": {"enum": ["Bearer"]}}});
    let error = json!({"type": "object", "required": ["error", "error_description"], "additionalProperties": false,
        "properties": {"error": {"enum": ["invalid_request", "invalid_client", "invalid_grant", "unauthorized_client",
            "unsupported_grant_type", "invalid_scope", "server_error", "unsupported_token_type"]},
            "error_description": {"type": "string"}}});
    let introspected = json!({"type": "object", "required": ["active"],
        "properties": {"active": {"type": "boolean"}, "error": {"type": "string"}},
        "if": {"properties": {"active": {"const": false}}}, "then": {"required": ["error"]}});
    let ask = json!({"identity_provider": "demo", "target": SCOPE, "resource": crate::support::RESOURCE, "skip_cache": false});
    let (status, granted) = agent.post("/api/v1/token", &ask, &[]);
    assert_eq!(status, 200);
    fits(&token, &granted);
    for (path, body) in [
        ("/api/v1/token", json!({"identity_provider": "demo", "target": "fjordbuss:nothing"})),
        ("/api/v1/token", json!({"identity_provider": "nobody", "target": SCOPE})),
        ("/api/v1/token", json!({"target": SCOPE})),
        ("/api/v1/token/exchange", json!({"identity_provider": "tokenx", "target": "a", "user_token": "b"})),
    ] {
        let (status, refused) = agent.post(path, &body, &[]);
        assert_eq!(status, 400, "{refused}");
        fits(&error, &refused);
    }
    for token in [granted["access_token"].as_str().unwrap(), "nonsense"] {
        let (status, answer) = agent.post("/api/v1/introspect", &json!({"identity_provider": "demo", "token": token}), &[]);
        assert_eq!(status, 200);
        fits(&introspected, &answer);
    }
}
