//! The operator's handbook says nothing that does not work: its commands run, in order, in an empty folder.
//!
//! Blocks that begin with a comment `# NAME` are files; lines of `console` blocks that begin with `$ ` are commands, and a backslash at
//! the end of a line goes on. Ports are replaced by free ones.

use std::fmt::Write as _;
use std::path::Path;

use crate::support::{free_ports, program, stderr, stdout};

const PAGE: &str = include_str!("../../../../docs/handbook/operate.md");

/// Fenced blocks: their language and their text.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.trim().to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, text)), None) => writeln!(text, "{line}").unwrap(),
            (None, None) => {}
        }
    }
    blocks
}

/// The commands of a console block.
fn commands(text: &str) -> String {
    let mut script = String::new();
    let mut goes_on = false;
    for line in text.lines() {
        let command = if goes_on { Some(line) } else { line.strip_prefix("$ ") };
        let Some(command) = command else { continue };
        goes_on = command.ends_with('\\');
        writeln!(script, "{command}").unwrap();
    }
    script
}

#[test]
fn the_commands_of_the_operators_handbook_work() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_ports();
    let page = (0..5).fold(PAGE.to_owned(), |page, n| page.replace(&format!("844{n}"), &(port + n).to_string()));
    let mut script = "set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n".to_owned();
    for (language, text) in blocks(&page) {
        if language == "console" {
            script.push_str(&commands(&text));
        } else {
            let name = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap();
            std::fs::write(folder.path().join(name), &text).unwrap();
        }
    }
    assert!(script.matches("skybru ").count() > 10, "the page has commands:\n{script}");
    let mut shell = program(folder.path(), &[]);
    let path = Path::new(shell.get_program()).parent().unwrap().to_owned();
    let paths = std::env::join_paths([path.as_path(), "/usr/local/bin".as_ref(), "/usr/bin".as_ref(), "/bin".as_ref()]).unwrap();
    shell = {
        let mut bash = std::process::Command::new("bash");
        bash.args(["-xc", &script]).current_dir(folder.path()).env("PATH", paths).env("HOME", folder.path());
        bash
    };
    let output = shell.output().unwrap();
    let log = std::fs::read_to_string(folder.path().join("serve.log")).unwrap_or_default();
    assert!(output.status.success(), "{}\n{}\nserve.log:\n{log}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("skybru_issuer_token_requests_total"), "the counters were shown: {}", stdout(&output));
}
