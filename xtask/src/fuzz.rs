//! `cargo xtask fuzz`: libFuzzer over the inputs from outside, with the pinned compiler.
//!
//! What cargo-fuzz does beyond this needs a nightly compiler: sanitizers. Coverage comes from a pass of LLVM that the stable compiler has
//! too, and a panic, an overflow, an endless loop or too much memory is found without a sanitizer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

/// Counts which ways are taken, and tells libFuzzer what was compared with what.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// A machine may be of another kind, but fuzzing is for those that continuous integration has.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// One input may take so many seconds and so many MiB.
const PATIENCE: &str = "-timeout=5";
const MEMORY: &str = "-rss_limit_mb=1024";

/// The largest input that is tried: larger than any limit that a parser has.
const LARGEST: &str = "-max_len=65536";

#[expect(clippy::print_stderr, reason = "this is its purpose")]
pub(crate) fn run(only: Option<&str>, seconds: u32) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").canonicalize().context("there is no folder fuzz")?;
    let all = targets(&folder)?;
    if let Some(only) = only {
        ensure!(all.iter().any(|target| target == only), "there is no target {only:?}: expected one of {}", all.join(", "));
    }
    if cfg!(not(all(target_arch = "x86_64", target_os = "linux"))) {
        eprintln!("!! SKIPPED: fuzzing is for {TRIPLE}");
        return Ok(());
    }
    let start = Instant::now();
    let programs = build(&folder)?;
    eprintln!("{} targets built in {} s", all.len(), start.elapsed().as_secs());
    let mut broken = Vec::new();
    for target in all.iter().filter(|target| only.is_none_or(|only| only == *target)) {
        eprintln!("-- {target}: {seconds} s");
        if !fuzz(&folder, &programs.join(target), target, seconds)? {
            broken.push(target.as_str());
        }
    }
    if broken.is_empty() { Ok(()) } else { bail!("{} broke: the inputs are in fuzz/artifacts", broken.join(", ")) }
}

/// The names of all targets.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.join("fuzz_targets")).context("cannot read fuzz/fuzz_targets")? {
        let path = entry?.path();
        names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Builds all targets, with the versions of dependencies that the workspace has. Gives the folder with the programs.
fn build(folder: &Path) -> Result<PathBuf> {
    fs::copy(folder.join("../Cargo.lock"), folder.join("Cargo.lock")).context("cannot copy Cargo.lock")?;
    let built = folder.join("target");
    let mut command = Command::new("cargo");
    command.args(["build", "--quiet", "--profile", "fuzz", "--bins", "--target", TRIPLE]);
    command.current_dir(folder).env("CARGO_TARGET_DIR", &built).env("RUSTFLAGS", COVERAGE);
    ensure!(command.status().context("cannot run cargo")?.success(), "the fuzz targets do not compile");
    Ok(built.join(TRIPLE).join("fuzz"))
}

/// Whether nothing broke. What is found on the way is kept below `target`, and tried first the next time.
fn fuzz(folder: &Path, program: &Path, target: &str, seconds: u32) -> Result<bool> {
    let (found, artifacts) = (folder.join("target/corpus").join(target), folder.join("artifacts").join(target));
    fs::create_dir_all(&found).and_then(|()| fs::create_dir_all(&artifacts)).context("cannot make folders below fuzz")?;
    let mut command = Command::new(program);
    command.arg(format!("-max_total_time={seconds}")).args([PATIENCE, MEMORY, LARGEST, "-print_final_stats=1", "-verbosity=0"]);
    command.arg(format!("-artifact_prefix={}/", artifacts.display())).arg(&found).arg(folder.join("corpus").join(target));
    let status = command.status().with_context(|| format!("cannot run {}", program.display()))?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A target without an entry, seeds or a line in the manifest would never run.
    #[test]
    fn each_fuzz_target_has_a_program_and_seeds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let all = targets(&folder).unwrap();
        assert!(all.len() >= 6, "{all:?}");
        for target in all {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
            assert!(fs::read_dir(folder.join("corpus").join(&target)).unwrap().count() > 0, "{target}");
        }
    }
}
