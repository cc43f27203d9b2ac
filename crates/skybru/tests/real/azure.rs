//! Azure's SDKs for Python, as PyPI has them: azure-identity, the storage clients, and the management clients for the set-up.

use std::process::Command;

use crate::aws::present;
use crate::support::{Lab, stderr, stdout};
use crate::tokens::{claims, issuer_key, token};

/// Runs `azure_road.py`, which checks everything itself and prints a line for each thing proven.
#[test]
fn azures_sdks_walk_the_road_and_meet_the_refusals() {
    let modules = "import azure.identity, azure.storage.blob, azure.storage.filedatalake, azure.storage.fileshare, azure.mgmt.msi, \
                   azure.mgmt.authorization";
    if !present("python3", &["-c", modules]) {
        return;
    }
    let lab = Lab::start();
    let key = issuer_key(&lab);
    let now = claims(&lab)["iat"].as_i64().unwrap();
    let made = |changes: serde_json::Value| token(&key, claims(&lab), &changes);
    let tokens = serde_json::json!({
        "good": lab.token(&[]),
        "wrong_audience": lab.token(&["--resource", "https://somebody.else.example"]),
        "wrong_subject": made(serde_json::json!({"sub": "0192:311046349;fjordbuss:timetables.read"})),
        "expired": made(serde_json::json!({"iat": now - 1000, "exp": now - 400})),
        "unknown_key": token(&crate::tokens::other_key(), claims(&lab), &serde_json::json!({})),
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/azure_road.py");
    let home = tempfile::tempdir().unwrap();
    let output = Command::new("python3")
        .arg(script)
        .env("HOME", home.path())
        .env("LAB", lab.info.to_string())
        .env("TOKENS", tokens.to_string())
        .env("REQUESTS_CA_BUNDLE", lab.info["ca_file"].as_str().unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 23, "{}", stdout(&output));
}
