//! What analysts read buckets with: pyarrow's own S3 client, and fsspec's file systems of Google and Azure, as pandas uses them.

use std::process::Command;

use crate::aws::present;
use crate::support::{Lab, ROLE_ARN, stderr, stdout};

/// Runs `analysts_road.py`, which checks everything itself and prints a line for each thing proven.
#[test]
fn analysts_tools_read_what_is_shared_and_write_what_is_theirs() {
    if !present("python3", &["-c", "import pyarrow.fs, gcsfs, adlfs"]) {
        return;
    }
    let lab = Lab::start();
    let home = tempfile::tempdir().unwrap();
    let output = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/analysts_road.py"))
        .env("HOME", home.path())
        .env("LAB", lab.info.to_string())
        .env("TOKEN", lab.token(&[]))
        .env("ROLE_ARN", ROLE_ARN)
        .env("NO_PROXY", "*")
        // With it, gcsfs asks another API about a bucket's kind, over gRPC, which the simulator does not speak.
        .env("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        .env("SSL_CERT_FILE", lab.get("/ca_file"))
        .env("REQUESTS_CA_BUNDLE", lab.get("/ca_file"))
        .env_remove("AWS_PROFILE")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 8, "{}", stdout(&output));
}

/// The same tools with no credentials in the program: `exec` has put them where each of them looks.
#[test]
fn analysts_tools_need_no_word_of_skybru_under_exec() {
    if !present("python3", &["-c", "import pyarrow.fs, gcsfs, adlfs"]) {
        return;
    }
    let lab = Lab::start();
    for (target, tool) in [("demo", "arrow"), ("demo-google", "gcsfs"), ("demo-azure", "adlfs")] {
        let mut command = lab.skybru(&["exec", target, "--", "python3"]);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/analysts_exec.py")).arg(tool);
        let output = command.env("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false").env("NO_PROXY", "*").output().unwrap();
        assert_eq!(stdout(&output), "stop,departure\nBergen,07:10\nVoss,08:35\n", "{tool}: {}", stderr(&output));
    }
}
