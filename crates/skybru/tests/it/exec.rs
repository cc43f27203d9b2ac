//! `skybru exec` and `skybru credentials` for Google and Azure: what a command gets, and what it must not inherit.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::clouds::{self, CLIENT, GOOGLE_TOKEN, PROVIDER, TENANT};
use crate::support::{Lab, SUBJECT, stderr, stdout};

/// The program with a target `both`.
fn skybru(lab: &Lab, arguments: &[&str]) -> Command {
    let file = lab.folder.join("clouds.toml");
    if !file.exists() {
        std::fs::write(&file, clouds::settings(lab, &clouds::start())).unwrap();
    }
    let mut command = lab.skybru(arguments);
    command.env("SKYBRU_CONFIG", file);
    command
}

#[test]
fn a_command_gets_what_each_cloud_needs_and_no_key_of_anybody_else() {
    let lab = Lab::start();
    let mut command = skybru(
        &lab,
        &[
            "exec",
            "both",
            "--",
            "sh",
            "-c",
            "env; cat $GOOGLE_APPLICATION_CREDENTIALS; echo; cat $CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
        ],
    );
    command.env("AZURE_CLIENT_SECRET", "old-secret").env("GOOGLE_API_KEY", "old-key").env("GOOGLE_CLOUD_PROJECT", "mine");
    let run = command.output().unwrap();
    assert!(run.status.success(), "{}", stderr(&run));
    let said = stderr(&run);
    assert!(said.contains("left out of the command's environment: GOOGLE_API_KEY, AZURE_CLIENT_SECRET"), "{said}");
    let out = stdout(&run);
    for line in [
        &format!("AZURE_CLIENT_ID={CLIENT}"),
        &format!("AZURE_TENANT_ID={TENANT}"),
        "IDENTITY_ENDPOINT=http://127.0.0.1:",
        "IDENTITY_HEADER=",
        "AZCOPY_AUTO_LOGIN_TYPE=MSI",
        "GOOGLE_CLOUD_PROJECT=mine",
        "STORAGE_EMULATOR_HOST=http://127.0.0.1:",
        GOOGLE_TOKEN,
    ] {
        assert!(out.contains(line), "{line} is not in {out}");
    }
    assert!(
        !out.contains("old-") && !out.contains("AZURE_FEDERATED_TOKEN_FILE"),
        "a token of two minutes is no file (E-70): {out}"
    );
    let file: Value = serde_json::from_str(out.lines().find(|line| line.starts_with('{')).unwrap()).unwrap();
    assert_eq!(file["audience"], format!("//iam.googleapis.com/{PROVIDER}"));
    let url = file["credential_source"]["url"].as_str().unwrap();
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/google/both/subject-token"), "{url}");
}

#[test]
fn signals_reach_the_command_and_its_end_is_ours() {
    let lab = Lab::start();
    let script = "trap 'exit 42' TERM; trap 'echo again' HUP; echo ready; while :; do sleep 0.05; done";
    let mut command = skybru(&lab, &["exec", "both", "--", "sh", "-c", script]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let kill = |signal: &str| Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    kill("-HUP");
    assert_eq!(lines.next().unwrap().unwrap(), "again");
    kill("-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(42));
}

/// G-65, G-66: data and nothing else, whatever happens.
#[test]
fn an_executable_source_prints_the_token_or_a_failure_and_no_word_more() {
    let lab = Lab::start();
    let printed = skybru(&lab, &["credentials", "both", "--format", "google-executable"]).output().unwrap();
    assert_eq!(stderr(&printed), "");
    let printed: Value = serde_json::from_str(&stdout(&printed)).unwrap();
    assert_eq!((&printed["version"], &printed["success"]), (&json!(1), &json!(true)));
    let payload = skybru_protocol::base64url::decode(printed["id_token"].as_str().unwrap().split('.').nth(1).unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap()["sub"], SUBJECT);
    assert!(printed["expiration_time"].is_i64());

    let mut wrong = skybru(&lab, &["-v", "credentials", "both", "--format", "google-executable"]);
    let failed = wrong.env("SKYBRU_TARGETS__BOTH__SCOPE", "fjordbuss:nothing").output().unwrap();
    assert_eq!((failed.status.code(), stderr(&failed).as_str()), (Some(0), ""));
    let failed: Value = serde_json::from_str(&stdout(&failed)).unwrap();
    assert_eq!(failed["success"], false);
    assert!(failed["message"].as_str().unwrap().contains("MP-200"), "{failed}");
}

#[test]
fn credentials_come_in_the_forms_of_each_cloud() {
    let lab = Lab::start();
    let data = |arguments: &[&str]| -> Value {
        let printed = skybru(&lab, &[&["credentials", "both"], arguments].concat()).output().unwrap();
        assert!(printed.status.success(), "{}", stderr(&printed));
        serde_json::from_str(&stdout(&printed)).unwrap()
    };
    assert_eq!(data(&["--format", "azure"])["tenant"], TENANT);
    assert_eq!(data(&["--cloud", "azure", "--json"])["resource"], "https://storage.azure.com");
    let management = data(&["--cloud", "azure", "--format", "json", "--resource", "https://management.azure.com/.default"]);
    assert_eq!(management["resource"], "https://management.azure.com");
    assert_eq!(data(&["--cloud", "google"])["access_token"], GOOGLE_TOKEN);
    let file = data(&["--format", "google-file", "--source", "agent"]);
    assert_eq!(file["credential_source"]["url"], "http://127.0.0.1:7500/google/both/subject-token");
    let file = data(&["--format", "google-file"]);
    let command = file["credential_source"]["executable"]["command"].as_str().unwrap();
    assert!(command.ends_with("credentials both --format google-executable"), "{command}");
    let ran = Command::new("sh").args(["-c", command]).current_dir("/").output().unwrap();
    assert!(stdout(&ran).contains("\"success\":true"), "{}", stdout(&ran));

    let which = skybru(&lab, &["credentials", "both"]).output().unwrap();
    assert_eq!(which.status.code(), Some(2));
    assert!(stderr(&which).contains("--cloud"), "{}", stderr(&which));
    let none = skybru(&lab, &["credentials", "both", "--format", "aws-process"]).output().unwrap();
    assert!(stderr(&none).contains("targets.both.aws: missing"), "{}", stderr(&none));
}

/// E-72. Whatever the user's variables name stays trusted, and the lab's own authority is added, under every name that is set.
#[test]
fn certificates_are_added_to_those_that_the_user_named() {
    let lab = Lab::start();
    let mine = lab.folder.join("mine.pem");
    std::fs::write(&mine, "-----BEGIN CERTIFICATE-----\nTUlORQ==\n-----END CERTIFICATE-----\n").unwrap();
    let names = [
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_FILE",
        "NODE_EXTRA_CA_CERTS",
        "AWS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    ];
    let ca = std::fs::read_to_string(lab.get("/ca_file")).unwrap();
    let shown = |name: &str, set: bool| {
        let mut command = lab.skybru(&["exec", "demo-azure", "--", "sh", "-c", &format!("cat ${{{name}:-/dev/null}}")]);
        for name in names {
            if set {
                command.env(name, &mine);
            } else {
                command.env_remove(name);
            }
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        stdout(&output)
    };
    for name in names {
        let both = shown(name, true);
        assert!(both.contains("TUlORQ==") && both.contains(ca.trim()), "{name}: {both}");
    }
    let node = shown("NODE_EXTRA_CA_CERTS", false);
    assert_eq!(node.trim(), ca.trim(), "Node reads it beside its own");
    assert_eq!(shown("AWS_CA_BUNDLE", false), "", "what nobody set needs no file");
    let python = shown("REQUESTS_CA_BUNDLE", false);
    assert!(python.contains(ca.trim()), "{python}");
    if std::path::Path::new("/etc/ssl/certs/ca-certificates.crt").exists() {
        assert!(python.len() > 50_000, "Python would trust nobody else: the machine's own are in it");
    }
}
