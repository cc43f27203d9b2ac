//! `cp` against `aws s3 cp`, on the same files and the same S3 server in the same run: wall time, CPU time, memory, as ratios.
//!
//! The server is the lab's. Both clients have its two cores, and the server too: what one leaves to it, it can use.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;

/// Ticks per second of the kernel's process accounting.
const TICKS: f64 = 100.0;

const BUCKET: &str = "bench-transfer";

/// Arguments of `transfer`.
#[derive(Debug, Args)]
pub(crate) struct TransferArgs {
    /// Length of the long file, in MiB
    #[arg(long, default_value_t = 2048)]
    mebibytes: u64,
    /// How many small files of 10 KiB
    #[arg(long, default_value_t = 10_000)]
    files: u32,
    /// The aws CLI
    #[arg(long, default_value = "aws")]
    aws: PathBuf,
    /// skybru, built with --release
    #[arg(long, default_value = "target/release/skybru")]
    skybru: PathBuf,
}

/// The lab, killed when dropped.
struct Lab {
    child: Child,
    info: Value,
    folder: tempfile::TempDir,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one run cost.
#[derive(Debug, Clone, Copy)]
struct Cost {
    wall: f64,
    cpu: f64,
    mebibytes: f64,
}

pub(crate) fn run(args: &TransferArgs) -> Result<()> {
    let skybru = fs::canonicalize(&args.skybru).context("skybru: build it with cargo build --release -p skybru")?;
    let lab = start(&skybru)?;
    let folder = lab.folder.path().to_owned();
    let aws = |arguments: &[&str]| {
        let mut command = Command::new(&args.aws);
        let at = &lab.info["clouds"]["aws"];
        command
            .args(arguments)
            .env("AWS_ENDPOINT_URL", at["endpoint"].as_str().unwrap_or_default())
            .env("AWS_ACCESS_KEY_ID", at["access_key_id"].as_str().unwrap_or_default())
            .env("AWS_SECRET_ACCESS_KEY", at["secret_access_key"].as_str().unwrap_or_default())
            .env("AWS_DEFAULT_REGION", at["region"].as_str().unwrap_or_default())
            .current_dir(&folder);
        command
    };
    let sky = |arguments: &[&str]| {
        let mut command = Command::new(&skybru);
        command.args(["--config", "lab/skybru.toml"]).args(arguments).args(["--target", "demo"]).current_dir(&folder);
        command
    };
    prepare(args, &folder, &aws)?;
    let (long, few) = (format!("s3://{BUCKET}/long"), format!("s3://{BUCKET}/small/"));
    let cases: [(&str, [&str; 4], [&str; 4]); 4] = [
        ("long up", ["cp", "long", &long, "-q"], ["s3", "cp", "long", &long]),
        ("long down", ["cp", &long, "long-down", "-q"], ["s3", "cp", &long, "long-down"]),
        ("small up", ["cp", "small", &few, "-r"], ["s3", "cp", "small", &few]),
        ("small down", ["cp", &few, "small-down", "-r"], ["s3", "cp", &few, "small-down"]),
    ];
    println_row("case | wall | CPU | memory | skybru | aws s3 cp");
    println_row("---|---|---|---|---|---");
    for (name, ours, theirs) in cases {
        let many = name.starts_with("small");
        let clean = || {
            let _ = fs::remove_file(folder.join("long-down"));
            let _ = fs::remove_dir_all(folder.join("small-down"));
        };
        clean();
        let own: Vec<&str> = ours.into_iter().filter(|argument| *argument != "-q").collect();
        let mine = measure(&mut sky(&own))?;
        clean();
        let mut other = aws(&theirs);
        other.arg("--quiet");
        if many {
            other.arg("--recursive");
        }
        let its = measure(&mut other)?;
        println_row(&format!(
            "{name} | {:.2} x | {:.2} x | {:.2} x | {:.1} s, {:.1} s CPU, {:.0} MiB | {:.1} s, {:.1} s CPU, {:.0} MiB",
            its.wall / mine.wall,
            its.cpu / mine.cpu,
            its.mebibytes / mine.mebibytes,
            mine.wall,
            mine.cpu,
            mine.mebibytes,
            its.wall,
            its.cpu,
            its.mebibytes
        ));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a table is what this is for")]
fn println_row(row: &str) {
    println!("| {row} |");
}

fn start(skybru: &Path) -> Result<Lab> {
    let folder = tempfile::tempdir()?;
    let mut child = Command::new(skybru)
        .args(["up", "--json", "--data", "lab", "--port-base", "27400"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the lab")?;
    let output = child.stdout.take().context("the lab's output")?;
    let mut text = String::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        text.push_str(&line);
        if line == "}" {
            break;
        }
    }
    let info = serde_json::from_str(&text).context("the lab did not say where it is")?;
    Ok(Lab { child, info, folder })
}

/// A bucket that the lab's role may use, and files whose content nothing can compress.
fn prepare(args: &TransferArgs, folder: &Path, aws: &dyn Fn(&[&str]) -> Command) -> Result<()> {
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::{BUCKET}","arn:aws:s3:::{BUCKET}/*"]}}]}}"#
    );
    let bucket = format!("s3://{BUCKET}");
    let role =
        ["iam", "put-role-policy", "--role-name", "skyporten-timetables", "--policy-name", "bench", "--policy-document", &policy];
    for arguments in [&["s3", "mb", &bucket][..], &role[..]] {
        let output = aws(arguments).output().context("cannot run the aws CLI: name it with --aws")?;
        if !output.status.success() {
            bail!("aws {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = vec![0_u8; 1024 * 1024];
    let mut fill = |block: &mut [u8]| {
        for chunk in block.chunks_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
        }
    };
    let mut long = fs::File::create(folder.join("long"))?;
    for _ in 0..args.mebibytes {
        fill(&mut block);
        long.write_all(&block)?;
    }
    fs::create_dir(folder.join("small"))?;
    for n in 0..args.files {
        fill(&mut block[..10 * 1024]);
        fs::write(folder.join(format!("small/{n:05}")), &block[..10 * 1024])?;
    }
    Ok(())
}

/// Runs the command to its end. Memory is the highest that the kernel saw, of the process itself.
#[expect(clippy::disallowed_methods, reason = "memory is sampled while the process lives; there is nothing to wait for")]
fn measure(command: &mut Command) -> Result<Cost> {
    let before = children_cpu()?;
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0_f64;
    let ended = loop {
        if let Ok(text) = fs::read_to_string(&status)
            && let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))
        {
            peak = peak.max(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0);
        }
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let wall = begun.elapsed().as_secs_f64();
    if !ended.success() {
        let mut words = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            let _ = std::io::Read::read_to_string(&mut stderr, &mut words);
        }
        bail!("{command:?} failed: {words}");
    }
    Ok(Cost { wall, cpu: children_cpu()? - before, mebibytes: peak })
}

/// CPU seconds of all children that have ended.
fn children_cpu() -> Result<f64> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |field: usize| fields.get(field - 3).context("a field of stat")?.parse::<f64>().context("ticks");
    Ok((ticks(16)? + ticks(17)?) / TICKS)
}
