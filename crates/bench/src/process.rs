//! A server under measurement: a child process on a core of its own, whose CPU time and memory the kernel counts.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Ticks per second of the kernel's process accounting: fixed at 100 on Linux for every architecture that Rust runs on.
const TICKS: f64 = 100.0;

/// A child that listens; killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// From its start until it said that it was ready.
    pub(crate) start: Duration,
}

impl Server {
    /// Starts `command` on `core` and waits for the line `ready ADDRESS` on its standard output.
    pub(crate) fn start(command: &[String], folder: &Path, core: usize) -> Result<Self> {
        Self::start_when(command, folder, core, |line| line.strip_prefix("ready ")?.trim().parse().ok())
    }

    /// Starts `command` on `core` and waits for a line on its standard output in which `ready` finds the address.
    pub(crate) fn start_when(
        command: &[String],
        folder: &Path,
        core: usize,
        ready: impl Fn(&str) -> Option<SocketAddr>,
    ) -> Result<Self> {
        let begun = Instant::now();
        let mut child = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .args(command)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the server: is taskset (util-linux) there?")?;
        let output = child.stdout.take().context("the server's output")?;
        for line in BufReader::new(output).lines() {
            if let Some(address) = ready(&line?) {
                return Ok(Self { child, address, start: begun.elapsed() });
            }
        }
        bail!("the server stopped before it was ready: {}", child.wait()?)
    }

    /// CPU seconds so far, all threads, user and system.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The command's name may hold blanks; after its bracket the fields are plain, the first of them number 3.
        let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |field: usize| fields.get(field - 3).context("a field of stat")?.parse::<f64>().context("ticks");
        Ok((ticks(14)? + ticks(15)?) / TICKS)
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps this process, the load generator, off the server's core.
pub(crate) fn stay_on(core: usize) -> Result<()> {
    let status = Command::new("taskset")
        .args(["-a", "-pc", &core.to_string(), &std::process::id().to_string()])
        .stdout(Stdio::null())
        .status()
        .context("running taskset")?;
    if status.success() { Ok(()) } else { bail!("taskset could not move the load generator to core {core}") }
}
