//! The Delta Sharing client, which signs its own assertions from a profile.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::aws::present;
use crate::support::agent::Agent;
use crate::support::{Lab, RESOURCE, SCOPE, stderr, stdout};

/// Runs `delta_road.py`, which checks everything itself and prints a line for each thing proven.
#[test]
fn a_delta_sharing_client_gets_in_with_the_profile() {
    if !present("python3", &["-c", "import delta_sharing"]) {
        return;
    }
    let lab = Lab::start();
    let arguments =
        ["delta-profile", "demo", "--endpoint", "https://sharing.example.no/delta-sharing", "--pem-file", "client.pem"];
    let written = lab.skybru(&arguments).output().unwrap();
    assert!(written.status.success(), "{}", stderr(&written));
    let home = tempfile::tempdir().unwrap();
    // The same share for a client that only knows an id and a secret: the agent stands between.
    let secret = "correct horse battery staple";
    std::fs::write(lab.folder.join("delta.secret"), secret).unwrap();
    let settings = lab.folder.join("delta.toml");
    let own = std::fs::read_to_string(lab.get("/demo/config_file")).unwrap();
    let local = "\n[local-clients.delta]\ntarget = \"demo\"\nsecret = { file = \"delta.secret\" }\n";
    std::fs::write(&settings, own + local).unwrap();
    let mut start = lab.skybru(&["agent", "--listen", "127.0.0.1:0", "--json"]);
    start.env("SKYBRU_CONFIG", &settings);
    let agent = Agent::start(start);
    let mut road = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/delta_road.py"))
        .env("HOME", home.path())
        .env("ISSUER", lab.get("/issuers/skyporten"))
        .env("AUDIENCE", RESOURCE)
        .env("SCOPE", SCOPE)
        .env("CONSUMER", lab.get("/demo/consumer_org"))
        .env("LOCAL_TOKEN_ENDPOINT", agent.url("/oauth/token"))
        .env("LOCAL_SECRET", secret)
        .env("REQUESTS_CA_BUNDLE", lab.folder.join("ca.pem"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    road.stdin.take().unwrap().write_all(&written.stdout).unwrap();
    let output = road.wait_with_output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 6, "{}", stdout(&output));
}

/// What the tired do: no PEM where one is needed, and an address that is none.
#[test]
fn what_a_profile_needs_is_named() {
    let lab = Lab::start();
    let refused = |arguments: &[&str], word: &str| {
        let output = lab.skybru(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
        assert!(stderr(&output).contains(word), "{}", stderr(&output));
    };
    refused(&["delta-profile", "demo", "--endpoint", "https://sharing.example.no"], "--pem-file");
    refused(&["delta-profile", "demo", "--endpoint", "http://sharing.example.no"], "https://");
    refused(&["delta-profile", "nothing", "--endpoint", "https://sharing.example.no"], "nothing");
}
