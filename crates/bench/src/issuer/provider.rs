//! The server that the issuer is compared with: npm's `oidc-provider`, installed beside this program.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

const PACKAGE: &str = include_str!("../../oidc-provider/package.json");
const SERVER: &str = include_str!("../../oidc-provider/server.mjs");

/// The folder with the server, ready to be started with Node. `None`, loudly, where that cannot be.
pub(super) fn install() -> Result<Option<PathBuf>> {
    if !runs("node") || !runs("npm") {
        return Ok(skipped("Node.js with npm is not installed"));
    }
    let folder = std::env::current_exe().context("where is this program?")?.with_file_name("oidc-provider");
    let manifest = folder.join("package.json");
    let is_there = folder.join("node_modules").is_dir() && fs::read_to_string(&manifest).is_ok_and(|known| known == PACKAGE);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("server.mjs"), SERVER)?;
    if !is_there {
        fs::write(&manifest, PACKAGE)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--silent"]).current_dir(&folder).stdin(Stdio::null());
        if !npm.status().context("running npm")?.success() {
            return Ok(skipped("npm could not install it; is the registry within reach?"));
        }
    }
    Ok(Some(folder))
}

fn runs(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[expect(clippy::print_stderr, reason = "somebody must notice")]
fn skipped(why: &str) -> Option<PathBuf> {
    eprintln!("\n!! SKIPPED: the comparison with oidc-provider: {why}\n");
    None
}
