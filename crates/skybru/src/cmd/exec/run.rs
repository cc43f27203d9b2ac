//! Runs the command, hands signals on, and takes its exit code over.

use std::process::ExitStatus;

use anyhow::{Context as _, Result};
use tokio::process::{Child, Command};

use super::environment::Environment;
use crate::cmd::Outcome;

pub(super) async fn run(line: &[String], environment: &Environment<'_>) -> Result<Outcome> {
    let (program, arguments) = line.split_first().context("no command was given")?;
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    for name in environment.removed() {
        command.env_remove(name);
    }
    command.envs(environment.set());
    let mut child = command.spawn().with_context(|| format!("cannot run {program:?}"))?;
    let status = wait(&mut child).await?;
    Ok(Outcome::Code(code(status)))
}

/// The terminal sends Ctrl-C to the command too; we stay until it has decided what to do. A signal that only we got is passed on.
#[cfg(unix)]
async fn wait(child: &mut Child) -> Result<ExitStatus> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut first = signal(SignalKind::user_defined1())?;
    let mut second = signal(SignalKind::user_defined2())?;
    loop {
        let name = tokio::select! {
            status = child.wait() => return Ok(status?),
            _ = interrupt.recv() => continue,
            _ = quit.recv() => continue,
            _ = terminate.recv() => "-TERM",
            _ = hangup.recv() => "-HUP",
            _ = first.recv() => "-USR1",
            _ = second.recv() => "-USR2",
        };
        if let Some(pid) = child.id() {
            Command::new("kill").args([name, &pid.to_string()]).status().await?;
        }
    }
}

#[cfg(not(unix))]
async fn wait(child: &mut Child) -> Result<ExitStatus> {
    Ok(child.wait().await?)
}

/// The command's own code; 128 and the signal's number when a signal ended it, as shells have it.
fn code(status: ExitStatus) -> i32 {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;
        if let Some(signal) = status.signal() {
            return 128 + signal;
        }
    }
    status.code().unwrap_or(2)
}
