//! What an operator sees of a running issuer: counters, limits, logs.

use std::process::Stdio;

use serde_json::Value;

use crate::support::server::{Server, onboard, run, settings};
use crate::support::{program, stderr, stdout};

#[test]
fn one_client_can_not_use_up_the_issuer_and_the_counters_tell() {
    let folder = tempfile::tempdir().unwrap();
    let port = settings(folder.path(), "metrics-listen = \"127.0.0.1:0\"\nclient-requests-per-second = 1");
    let server = Server::start(folder.path());
    onboard(folder.path(), port);
    let ask = || {
        program(folder.path(), &["--config", "reader.toml", "token", "--fresh"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    };
    let asked: Vec<_> = (0..12).map(|_| ask().unwrap()).collect();
    let answers: Vec<_> = asked.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    let refused: Vec<_> = answers.iter().filter(|output| !output.status.success()).collect();
    assert!(answers.len() > refused.len(), "some get a token");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = server.info["metrics"].as_str().unwrap().to_owned();
    let text = runtime.block_on(async { client.get(url).send().await.unwrap().text().await.unwrap() });
    assert!(text.contains(r#"skybru_issuer_token_requests_total{profile="skyporten",code="issued"}"#), "{text}");
    assert!(text.contains(r#"skybru_issuer_limited_requests_total{limit="client"}"#), "{text}");
    assert!(
        text.contains(r#"skybru_issuer_keys{state="active"} 1"#) || text.contains("skybru_issuer_token_duration_seconds_count")
    );
    assert!(!text.contains("310702641") && !text.contains("fjordbuss"), "no organisation and no scope in the counters");
    for output in refused {
        assert!(stderr(output).contains("status 429"), "{}", stderr(output));
    }
}

#[test]
fn logs_can_be_json_and_hold_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let port = settings(folder.path(), "");
    let mut command = program(folder.path(), &["issuer", "serve", "--json"]);
    command.env("SKYBRU_LOG", "info").env("SKYBRU_LOG_FORMAT", "json");
    let server = Server::begin(command);
    onboard(folder.path(), port);
    let token = run(program(folder.path(), &["--config", "reader.toml", "token"]));
    let log = server.stop();
    let lines: Vec<Value> =
        log.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect();
    let issued = lines.iter().find(|line| line["message"] == "token issued" && line["scope"] == "fjordbuss:timetables.read");
    assert!(issued.is_some_and(|line| line["jti"].is_string()), "{log}");
    let signature = token.trim().rsplit('.').next().unwrap();
    assert!(!log.contains(signature), "no token in the log");

    let output = program(folder.path(), &["config", "show"]).env("SKYBRU_LOG_FORMAT", "xml").output().unwrap();
    assert!(stderr(&output).contains("expected text or json"), "{}{}", stdout(&output), stderr(&output));
}
