//! `skybru exec`.

use std::collections::BTreeMap;
use std::process::ExitStatus;

use anyhow::{Context as _, Result};
use clap::Args;
use skybru_client::format::AWS_VARIABLES_TO_REMOVE;
use tokio::process::{Child, Command};

use super::{Call, Outcome};
use crate::http::container::Container;
use crate::wire;

/// Arguments of `exec`.
#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// One of `targets` in the settings
    target: String,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) async fn run(call: &Call, args: ExecArgs) -> Result<Outcome> {
    let wired = wire::aws(&call.settings()?, Some(&args.target), &call.system)?;
    // Before the command starts: a refusal is told here, in words, and not by whatever the command makes of it.
    wired.credentials.credentials().await?;
    let container = Container::start(wired.credentials, &*call.system.ctx.randomness).await?;

    let mut environment: BTreeMap<&str, &str> = BTreeMap::new();
    environment.insert("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container.url);
    environment.insert("AWS_CONTAINER_AUTHORIZATION_TOKEN", container.authorization.expose());
    // Version 1 of the AWS CLI reads the second name only.
    environment.insert("AWS_REGION", wired.target.region.as_str());
    environment.insert("AWS_DEFAULT_REGION", wired.target.region.as_str());
    if let Some(endpoint) = &wired.target.endpoint {
        environment.insert("AWS_ENDPOINT_URL", endpoint);
    }
    let (program, arguments) = args.command.split_first().context("no command was given")?;
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    for name in AWS_VARIABLES_TO_REMOVE {
        command.env_remove(name);
    }
    // The files may hold a default profile, which some SDKs ask before the container.
    command.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null").env("AWS_CONFIG_FILE", "/dev/null").envs(environment);
    let mut child = command.spawn().with_context(|| format!("cannot run {program:?}"))?;
    let status = wait(&mut child).await?;
    Ok(Outcome::Code(code(status)))
}

/// The terminal sends Ctrl-C to the command too; we stay until it has decided what to do. A termination that only we got is passed on.
#[cfg(unix)]
async fn wait(child: &mut Child) -> Result<ExitStatus> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(status?),
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {
                if let Some(pid) = child.id() {
                    Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
                }
            }
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
