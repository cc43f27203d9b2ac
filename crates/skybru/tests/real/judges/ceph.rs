//! Ceph's RADOS Gateway, started and ended by `rgw/gateway.sh`.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use crate::support::aws::Keys;
use crate::support::{free_ports, stderr};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/rgw/gateway.sh");

/// A gateway, gone when dropped.
pub(super) struct Ceph {
    pub(super) endpoint: String,
    folder: tempfile::TempDir,
}

/// Whether it can be started: its programs, and root for the mount namespace. Loud when not.
#[expect(clippy::disallowed_methods, reason = "a test program reads its own environment")]
pub(super) fn is_here() -> bool {
    let answers =
        |program: &str, argument: &str| Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success());
    let programs = ["radosgw", "ceph-mon", "ceph-osd", "ceph"].iter().all(|program| answers(program, "--version"));
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if programs && root {
        return true;
    }
    assert!(std::env::var("REAL_PARTS_REQUIRED").is_err(), "Ceph's gateway is missing, or root, and here both must be there");
    let _ = writeln!(
        std::io::stderr(),
        "\n!!!!!! SKIPPED: Ceph's gateway cannot be run on this machine; this test has proven nothing !!!!!!\n"
    );
    false
}

impl Ceph {
    /// Trusts the issuer's authority beside the machine's.
    pub(super) fn start(ca_file: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_ports();
        let output = Command::new(SCRIPT).arg("start").arg(folder.path()).arg(port.to_string()).arg(ca_file).output().unwrap();
        let ceph = Self { endpoint: format!("http://localhost:{port}"), folder };
        assert!(output.status.success(), "{}", stderr(&output));
        ceph
    }

    /// The administrator's.
    #[expect(clippy::unused_self, reason = "of this gateway")]
    pub(super) fn keys(&self) -> Keys {
        Keys { id: "ADMIN".to_owned(), secret: "ADMINSECRET".to_owned(), token: None }
    }
}

impl Drop for Ceph {
    fn drop(&mut self) {
        let _ = Command::new(SCRIPT).arg("stop").arg(self.folder.path()).status();
    }
}
