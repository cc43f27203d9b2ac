//! Files that others run skybru with, looked at by the programs that read them.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples");

fn analyze() -> bool {
    let found = Command::new("systemd-analyze").arg("--version").output().is_ok();
    if !found {
        let _ = writeln!(std::io::stderr(), "\n!! SKIPPED: systemd-analyze is not installed\n");
    }
    found
}

#[test]
fn systemd_understands_every_line_of_the_units() {
    if !analyze() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["skybru-issuer.service", "skybru-agent.service"] {
        let text = std::fs::read_to_string(Path::new(EXAMPLES).join(name)).unwrap();
        // The program must be there; nothing else is changed.
        let file = folder.path().join(name);
        let text = text.replace("/usr/local/bin/skybru", crate::support::PROGRAM);
        std::fs::write(&file, text.replace("%h/.local/bin/skybru", crate::support::PROGRAM)).unwrap();
        let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        // Units of the machine itself may be told of, too.
        let ours: Vec<&str> = told.lines().filter(|line| line.contains(name)).collect();
        assert!(output.status.success() && ours.is_empty(), "{name}: {told}");
    }
}

#[test]
fn the_container_file_copies_what_is_there() {
    let text = std::fs::read_to_string(Path::new(EXAMPLES).join("Containerfile")).unwrap();
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let toolchain = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../rust-toolchain.toml")).unwrap();
    let image = text.lines().find_map(|line| line.strip_prefix("FROM docker.io/library/rust:")).unwrap();
    let version = image.split('-').next().unwrap();
    assert!(toolchain.contains(&format!("\"{version}")), "the image has Rust {version}: {toolchain}");
    let built = text.lines().find_map(|line| line.strip_prefix("RUN cargo build ")).unwrap();
    let package = built.split("-p ").nth(1).unwrap().trim();
    assert!(manifest.contains(&format!("name = \"{package}\"")), "{package}");
    let profile = if built.contains("--release") { "release" } else { "debug" };
    let copied = text.lines().find_map(|line| line.strip_prefix("COPY --from=build ")).unwrap();
    let (from, to) = copied.split_once(' ').unwrap();
    assert_eq!(from, format!("/src/target/{profile}/{package}"));
    assert!(text.contains(&format!("ENTRYPOINT [\"{to}\"")), "{to}");
    // What the container is told to run exists.
    let command = text.lines().find_map(|line| line.strip_prefix("CMD ")).unwrap();
    let mut arguments: Vec<String> = serde_json::from_str(command).unwrap();
    arguments.push("--help".to_owned());
    assert!(Command::new(crate::support::PROGRAM).args(arguments).output().unwrap().status.success());
}
