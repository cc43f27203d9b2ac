//! boto3 and the aws CLI for longer than two lives of their credentials, while the issuer goes away twice.

use std::process::Command;

use crate::aws::{long_tests_wanted, present};
use crate::support::{PROGRAM, free_ports, stderr, stdout};

/// Runs `endurance.py`, twenty times as fast as the clock on the wall. It ends in an error when any user of the credentials met one.
#[test]
fn sdks_read_on_through_renewals_a_restart_and_a_cut() {
    if !long_tests_wanted("the endurance test") || !present("faketime", &["-f", "+0", "python3", "-c", "import boto3"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/endurance.py");
    let output = Command::new("faketime")
        .args(["-f", "+0 x20", "python3", script, PROGRAM])
        .arg(folder.path())
        .args([free_ports().to_string().as_str(), "outer"])
        // Waits take real time; only what the clock shows runs ahead.
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("HOME", folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 3, "{}", stdout(&output));
}
