//! SDKs of three clouds and the aws CLI for longer than two lives of their credentials, while the issuer goes away in three ways.

use std::process::Command;

use crate::aws::{long_tests_wanted, present};
use crate::support::{PROGRAM, free_ports, stderr, stdout};

/// Credentials that live for 20 seconds; silent for six, away for three.
#[test]
fn sdks_of_three_clouds_read_on_through_renewals_a_restart_and_short_cuts() {
    endure([20, 6, 3]);
}

/// Credentials that live for a minute; a cut of twenty seconds of each kind.
#[test]
fn sdks_of_three_clouds_read_on_through_renewals_a_restart_and_cuts_of_twenty_seconds() {
    if long_tests_wanted("the endurance test") {
        endure([60, 20, 20]);
    }
}

/// Runs `endurance.py`, which ends in an error when any user of the credentials met one.
fn endure(seconds: [u32; 3]) {
    let modules = "import boto3, google.cloud.storage, azure.identity, azure.storage.blob";
    if !present("python3", &["-c", modules]) || !present("aws", &["--version"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/endurance.py");
    let mut command = Command::new("python3");
    command.args([script, PROGRAM]).arg(folder.path()).arg(free_ports().to_string());
    command.args(seconds.map(|seconds| seconds.to_string())).arg("outer").env("HOME", folder.path());
    // As on a machine of a company with an authority of its own: exec must add to these, not lose them.
    let bundle = "/etc/ssl/certs/ca-certificates.crt";
    if std::path::Path::new(bundle).exists() {
        for name in ["REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"] {
            command.env(name, bundle);
        }
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 9, "{}", stdout(&output));
}
