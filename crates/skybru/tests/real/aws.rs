//! Running the `aws` CLI in a home of its own.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::{Lab, stderr, stdout};

/// Whether `program` can be run; loud when it cannot.
#[expect(clippy::disallowed_methods, reason = "a test program reads its own environment")]
pub(crate) fn present(program: &str, arguments: &[&str]) -> bool {
    if Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(std::env::var("REAL_PARTS_REQUIRED").is_err(), "{program} is missing, and here it must be there");
    // Past the test harness, which would swallow what a passing test prints.
    let _ = writeln!(
        std::io::stderr(),
        "\n!!!!!! SKIPPED: {program} {arguments:?} cannot be run on this machine; this test has proven nothing !!!!!!\n"
    );
    false
}

/// Whether tests are wanted that take minutes and mind a busy machine; loud when they are not.
#[expect(clippy::disallowed_methods, reason = "a test program reads its own environment")]
pub(crate) fn long_tests_wanted(what: &str) -> bool {
    let wanted = std::env::var("LONG_TESTS").is_ok();
    if !wanted {
        let _ = writeln!(std::io::stderr(), "\n!!!!!! SKIPPED: {what} takes minutes; set LONG_TESTS=1 to run it !!!!!!\n");
    }
    wanted
}

/// Who runs the CLI.
pub(crate) enum Identity<'a> {
    /// The owner of the account.
    Root,
    /// Nobody: the call needs no signature.
    Nobody,
    /// Whoever this token says, in this role.
    Token { token: &'a str, role: &'a str },
    /// The profile of this name in a configuration file.
    Profile { file: &'a Path, name: &'a str },
}

/// `aws ARGUMENTS` against the lab. Each call has a home of its own: the CLI keeps web-identity credentials in a cache that does not look at
/// the token.
pub(crate) fn aws(lab: &Lab, identity: &Identity<'_>, arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new("aws");
    command.args(arguments).env_clear().env("HOME", home.path()).env("AWS_DEFAULT_REGION", "eu-north-1").env("AWS_PAGER", "");
    for (name, value) in std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "PYENV_ROOT" || name == "LANG") {
        command.env(name, value);
    }
    command.env("AWS_ENDPOINT_URL", lab.get("/clouds/aws/endpoint")).env("AWS_MAX_ATTEMPTS", "1");
    // Version 1 of the CLI would fetch an audience that looks like a URL and send what it finds there.
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    std::fs::write(home.path().join(".aws/config"), "[default]\ncli_follow_urlparam = false\n").unwrap();
    match identity {
        Identity::Root => {
            command.env("AWS_ACCESS_KEY_ID", lab.get("/clouds/aws/access_key_id"));
            command.env("AWS_SECRET_ACCESS_KEY", lab.get("/clouds/aws/secret_access_key"));
        }
        Identity::Nobody => {}
        Identity::Token { token, role } => {
            let file = home.path().join("token");
            // No line feed at the end: the CLI would send it along.
            std::fs::write(&file, token).unwrap();
            command.env("AWS_WEB_IDENTITY_TOKEN_FILE", file).env("AWS_ROLE_ARN", role).env("AWS_ROLE_SESSION_NAME", "real-test");
        }
        Identity::Profile { file, name } => {
            command.env("AWS_CONFIG_FILE", file).env("AWS_PROFILE", name).env_remove("AWS_ENDPOINT_URL");
        }
    }
    command.output().unwrap()
}

/// A call that must succeed; its output.
#[track_caller]
pub(crate) fn works(lab: &Lab, identity: &Identity<'_>, arguments: &[&str]) -> String {
    let output = aws(lab, identity, arguments);
    assert!(output.status.success(), "aws {arguments:?}: {}", stderr(&output));
    stdout(&output)
}

/// A call that must fail; what the CLI said.
#[track_caller]
pub(crate) fn refused(lab: &Lab, identity: &Identity<'_>, arguments: &[&str]) -> String {
    let output = aws(lab, identity, arguments);
    assert!(!output.status.success(), "aws {arguments:?} was let through: {}", stdout(&output));
    stderr(&output)
}
