//! A server under measurement: a child process on a core of its own, whose CPU time and memory the kernel counts.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// The core of the server under measurement.
pub(crate) const SERVER_CORE: usize = 0;

/// The core of the load generator, and of databases.
pub(crate) const LOAD_CORE: usize = 1;

/// Ticks per second of the kernel's process accounting: fixed at 100 on Linux for every architecture that Rust runs on.
const TICKS: f64 = 100.0;

/// A child that listens; killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// From its start until it said that it was ready.
    pub(crate) start: Duration,
    /// Kept open: a server that still writes must not find its output closed.
    _output: BufReader<ChildStdout>,
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
        let mut output = BufReader::new(output);
        let mut line = String::new();
        while output.read_line(&mut line)? > 0 {
            if let Some(address) = ready(&line) {
                return Ok(Self { child, address, start: begun.elapsed(), _output: output });
            }
            line.clear();
        }
        bail!("the server stopped before it was ready: {}", child.wait()?)
    }

    /// CPU seconds so far, all threads, user and system. Where the kernel tells them to the nanosecond, a thread that has ended meanwhile is
    /// missing; elsewhere they come in hundredths of a second.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        if let Some(nanoseconds) = self.nanoseconds() {
            #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a run are far below 2^52")]
            return Ok(nanoseconds as f64 / 1e9);
        }
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The command's name may hold blanks; after its bracket the fields are plain, the first of them number 3.
        let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |field: usize| fields.get(field - 3).context("a field of stat")?.parse::<f64>().context("ticks");
        Ok((ticks(14)? + ticks(15)?) / TICKS)
    }

    /// The scheduler's own count, if it keeps one.
    fn nanoseconds(&self) -> Option<u64> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?;
        let of_thread = |folder: &Path| fs::read_to_string(folder.join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok();
        let sum = threads.filter_map(|thread| of_thread(&thread.ok()?.path())).sum::<u64>();
        (sum > 0).then_some(sum)
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

/// Moves this thread, and all that it starts from now on, to one core.
pub(crate) fn stay_on(core: usize) -> Result<()> {
    let thread = fs::read_link("/proc/thread-self").context("which thread is this?")?;
    let id = thread.file_name().context("the thread's number")?;
    let status = Command::new("taskset").args(["-pc", &core.to_string()]).arg(id).stdout(Stdio::null()).status();
    if status.context("running taskset")?.success() { Ok(()) } else { bail!("taskset could not move a thread to core {core}") }
}
