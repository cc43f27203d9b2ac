//! Unmodified SDKs and small programs through the agent and `exec`: Google's and Azure's identity libraries, Python, Node, Go, Java.

use std::path::Path;
use std::process::{Command, Output};

use crate::aws::present;
use crate::support::agent::Agent;
use crate::support::clouds::{self, CLIENT, GOOGLE_TOKEN};
use crate::support::{Lab, PROGRAM, RESOURCE, SCOPE, stderr, stdout};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/agent_sdks.py");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples");

/// A program without any cloud's variables, in a home of its own.
fn clean(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", home).current_dir(home);
    for (name, value) in std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "LANG" || name == "PYENV_ROOT") {
        command.env(name, value);
    }
    command
}

#[track_caller]
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", stdout(output), stderr(output));
    stdout(output).trim().to_owned()
}

fn with_clouds(lab: &Lab) -> std::path::PathBuf {
    let file = lab.folder.join("clouds.toml");
    std::fs::write(&file, clouds::settings(lab, &clouds::start())).unwrap();
    file
}

#[test]
fn googles_library_finds_the_agent_as_metadata_server_and_through_each_kind_of_file() {
    if !present("python3", &["-c", "import google.auth, requests"]) {
        return;
    }
    let lab = Lab::start();
    let settings = with_clouds(&lab);
    let mut start = lab.skybru(&["agent", "--listen", "127.0.0.1:0", "--json", "--token-files", "tokens", "--google", "both"]);
    start.env("SKYBRU_CONFIG", &settings);
    let agent = Agent::start(start);
    let address = agent.url("");
    let host = address.trim_start_matches("http://");

    let mut machine = clean("python3", &lab.folder);
    machine.args([SCRIPT, "google"]).env("GCE_METADATA_HOST", host).env("GCE_METADATA_IP", host);
    let found = printed(&machine.output().unwrap());
    assert_eq!(found, format!("google.auth.compute_engine.credentials 123456 {GOOGLE_TOKEN}"));

    let file = lab.folder.join("google.json");
    let token_file = lab.folder.join("tokens/both.jwt").display().to_string();
    for source in [vec!["agent", "--agent", &address], vec!["executable"], vec!["file", "--token-file", &token_file]] {
        let mut write = lab.skybru(&[&["credentials", "both", "--format", "google-file", "--source"], &source[..]].concat());
        write.env("SKYBRU_CONFIG", &settings);
        std::fs::write(&file, printed(&write.output().unwrap())).unwrap();
        let mut library = clean("python3", &lab.folder);
        library.args([SCRIPT, "google"]).env("GOOGLE_APPLICATION_CREDENTIALS", &file).env("GOOGLE_CLOUD_PROJECT", "p");
        library.env("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1");
        let found = printed(&library.output().unwrap());
        assert!(found.starts_with("google.auth.") && found.ends_with(GOOGLE_TOKEN), "{source:?}: {found}");
    }
}

#[test]
fn azures_library_finds_the_agent_as_managed_identity() {
    if !present("python3", &["-c", "import azure.identity"]) {
        return;
    }
    let lab = Lab::start();
    let settings = with_clouds(&lab);
    let mut start = lab.skybru(&["agent", "--listen", "127.0.0.1:0", "--json"]);
    start.env("SKYBRU_CONFIG", &settings);
    let agent = Agent::start(start);
    let ask = |which: &[&str], app_service: bool| {
        let mut library = clean("python3", &lab.folder);
        library.arg(SCRIPT).args(which);
        if app_service {
            library.env("IDENTITY_ENDPOINT", agent.url("/azure/both/msi")).env("IDENTITY_HEADER", agent.authorization());
        } else {
            library.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", agent.url("/azure/both"));
        }
        library.output().unwrap()
    };
    assert_eq!(printed(&ask(&["azure-default"], true)).split('.').count(), 3);
    assert_eq!(printed(&ask(&["azure-managed", CLIENT], true)).split('.').count(), 3);
    assert_eq!(printed(&ask(&["azure-managed", CLIENT], false)).split('.').count(), 3);
    let other = ask(&["azure-managed", "22222222-2222-4333-8444-555555555555"], true);
    assert!(!other.status.success(), "never another identity");
}

#[test]
fn a_command_under_exec_needs_no_word_of_skybru() {
    if !present("python3", &["-c", "import google.auth, requests, azure.identity"]) {
        return;
    }
    let lab = Lab::start();
    let settings = with_clouds(&lab);
    for which in ["google", "azure-default"] {
        let mut command = clean(PROGRAM, &lab.folder);
        command.env("SKYBRU_CONFIG", &settings).args(["exec", "both", "--", "python3", SCRIPT, which]);
        let found = printed(&command.output().unwrap());
        assert!(found.ends_with(GOOGLE_TOKEN) || found.split('.').count() == 3, "{found}");
    }
}

/// The few lines in docs/examples, in every language that is installed.
#[test]
fn the_examples_get_a_token() {
    let lab = Lab::start();
    let agent = Agent::of(&lab, &[]);
    run_examples(&lab, &agent, [("CLIENT", "demo"), ("SCOPE", SCOPE), ("RESOURCE", RESOURCE)]);
}

/// The same where nobody wrote any settings: what Nais injects is enough. Only the lab's own authority has to be named.
#[test]
fn the_examples_get_a_token_in_a_nais_pod() {
    let lab = Lab::start();
    let settings: toml::Value = toml::from_str(&std::fs::read_to_string(lab.get("/demo/config_file")).unwrap()).unwrap();
    let issuer = lab.get("/issuers/maskinporten");
    let home = tempfile::tempdir().unwrap();
    let mut pod = crate::support::program(home.path(), &["agent", "--listen", "127.0.0.1:0", "--json"]);
    pod.env("MASKINPORTEN_CLIENT_ID", settings["clients"]["provider"]["client-id"].as_str().unwrap())
        .env("MASKINPORTEN_CLIENT_JWK", std::fs::read_to_string(lab.folder.join("provider.jwk")).unwrap())
        .env("MASKINPORTEN_WELL_KNOWN_URL", format!("{issuer}.well-known/oauth-authorization-server"))
        .env("MASKINPORTEN_ISSUER", issuer)
        .env("MASKINPORTEN_TOKEN_ENDPOINT", format!("{issuer}token"))
        .env("MASKINPORTEN_SCOPES", "idporten:dcr.write")
        .env("SKYBRU_CLIENTS__MASKINPORTEN__CA_FILE", lab.get("/ca_file"));
    let agent = Agent::start(pod);
    run_examples(&lab, &agent, [("CLIENT", "maskinporten"), ("SCOPE", "idporten:dcr.write"), ("RESOURCE", "")]);
}

fn run_examples(lab: &Lab, agent: &Agent, variables: [(&str, &str); 3]) {
    for (program, check, run) in [
        ("python3", "--version", vec!["python/token.py"]),
        ("node", "--version", vec!["node/token.mjs"]),
        ("go", "version", vec!["run", "go/token.go"]),
        ("java", "-version", vec!["java/Token.java"]),
    ] {
        if !present(program, &[check]) {
            continue;
        }
        let mut command = clean(program, &lab.folder);
        command.current_dir(EXAMPLES).args(run).env("TOKEN_ENDPOINT", agent.url("/api/v1/token")).env("GO111MODULE", "off");
        let length: usize = printed(&command.envs(variables).output().unwrap()).parse().unwrap();
        assert!(length > 500, "{program}: {length}");
    }
}
