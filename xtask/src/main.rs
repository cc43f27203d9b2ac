//! `cargo xtask`: what continuous integration runs. Ships nothing.

mod fuzz;
mod r#gen;

use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "xtask", about = "Tasks of this repository")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything that must pass before a change lands, in order of speed
    Ci,
    /// Makes the generated pages in docs/reference
    Gen {
        /// Only say which are out of date
        #[arg(long)]
        check: bool,
    },
    /// Fuzzes what comes from outside: all targets, or one. What breaks is kept in fuzz/artifacts
    Fuzz {
        /// One of `fuzz/fuzz_targets`; all when absent
        target: Option<String>,
        /// How long each
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Measures a promise in a release build: `cargo xtask bench issuer --help` tells more
    Bench {
        /// What to measure, and how
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        arguments: Vec<String>,
    },
}

/// A step: its name, its command, and whether its tool may be absent.
struct Step {
    name: &'static str,
    command: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    optional_tool: Option<&'static str>,
}

const STEPS: [Step; 7] = [
    Step { name: "format", command: &["cargo", "fmt", "--all", "--check"], environment: &[], optional_tool: None },
    Step {
        name: "lints",
        command: &["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
        environment: &[],
        optional_tool: None,
    },
    Step { name: "generated pages", command: &["cargo", "xtask", "gen", "--check"], environment: &[], optional_tool: None },
    Step {
        name: "licences and bans",
        command: &["cargo", "deny", "check", "bans", "licenses", "sources"],
        environment: &[],
        optional_tool: Some("cargo-deny"),
    },
    Step {
        name: "tests",
        command: &["cargo", "test", "--workspace", "--locked"],
        environment: &[("INSTA_UPDATE", "no")],
        optional_tool: None,
    },
    Step { name: "fuzzing", command: &["cargo", "xtask", "fuzz", "--seconds", "10"], environment: &[], optional_tool: None },
    Step {
        name: "documentation",
        command: &["cargo", "doc", "--workspace", "--no-deps", "--locked"],
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
        optional_tool: None,
    },
];

fn main() -> Result<()> {
    match Cli::parse().task {
        Task::Ci => ci(),
        Task::Gen { check } => r#gen::run(check),
        Task::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
        Task::Bench { arguments } => bench(&arguments),
    }
}

fn bench(arguments: &[String]) -> Result<()> {
    let mut command = Command::new("cargo");
    command.args(["run", "--release", "--locked", "--quiet", "-p", "skybru-bench", "--"]).args(arguments);
    let status = command.status().context("cannot run cargo")?;
    if status.success() { Ok(()) } else { bail!("the benchmark failed") }
}

#[expect(clippy::print_stderr, reason = "this is its purpose")]
fn ci() -> Result<()> {
    for step in &STEPS {
        if let Some(tool) = step.optional_tool.filter(|tool| !is_installed(tool)) {
            eprintln!("\n!! SKIPPED: {} ({tool} is not installed)\n", step.name);
            continue;
        }
        eprintln!("\n== {}: {}", step.name, step.command.join(" "));
        let start = Instant::now();
        let mut command = Command::new(step.command[0]);
        command.args(&step.command[1..]).envs(step.environment.iter().copied());
        let status = command.status().with_context(|| format!("cannot run {}", step.command[0]))?;
        if !status.success() {
            bail!("{} failed", step.name);
        }
        eprintln!("== {}: fine, {} s", step.name, start.elapsed().as_secs());
    }
    Ok(())
}

fn is_installed(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// The map must show the house as it is.
    #[test]
    fn each_crate_has_a_heading_in_the_architecture() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let map = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
        for folder in fs::read_dir(root.join("crates")).unwrap() {
            let name = folder.unwrap().file_name().into_string().unwrap();
            assert!(map.contains(&format!("### `{name}`")), "ARCHITECTURE.md has no heading for crates/{name}");
        }
    }

    /// Each crate may use only what the map's arrows allow.
    #[test]
    fn no_crate_uses_one_above_it() {
        let order = ["core", "protocol", "signer", "federation", "store", "issuer", "client", "sim", "skybru", "bench"];
        let allowed: [(&str, &[&str]); 10] = [
            ("core", &[]),
            ("protocol", &["core"]),
            ("signer", &["core", "protocol"]),
            ("federation", &["core", "protocol"]),
            ("store", &["core", "protocol"]),
            ("issuer", &["core", "protocol", "signer", "store"]),
            ("client", &["core", "protocol", "signer"]),
            ("sim", &["core", "protocol", "federation"]),
            ("skybru", &["core", "protocol", "signer", "federation", "store", "issuer", "client", "sim"]),
            ("bench", &["core", "protocol", "signer", "store", "issuer", "client", "sim"]),
        ];
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for (name, may_use) in allowed {
            let manifest = fs::read_to_string(root.join("crates").join(name).join("Cargo.toml")).unwrap();
            let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
            for other in order.iter().filter(|other| **other != name) {
                let used = dependencies.lines().any(|line| line.starts_with(&format!("skybru-{other}.")));
                assert!(!used || may_use.contains(other), "crates/{name} uses {other}");
            }
        }
    }

    /// Only `store` names SQL, only modules named `http` name axum.
    #[test]
    fn sql_and_http_stay_in_their_rooms() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("crates");
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let shown = path.strip_prefix(&root).unwrap().display().to_string();
                if path.extension().is_none_or(|extension| extension != "rs") || !shown.contains("/src/") {
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                assert!(!text.contains("rusqlite") || shown.starts_with("store/"), "{shown} names SQL");
                let may_name_axum = shown.contains("/http/") || shown.starts_with("skybru/src/lab/");
                assert!(!text.contains("use axum") || may_name_axum, "{shown} names axum");
            }
        }
    }
}
