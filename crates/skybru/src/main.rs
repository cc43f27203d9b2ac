//! Share cloud resources between organisations by organisation number, with short-lived tokens only.
//!
//! `main` parses, looks at the world once, runs one command and says how it ended.

mod administration;
mod cli;
mod cmd;
mod fresh;
mod http;
mod key_service;
mod lab;
mod presented;
mod print;
mod report;
mod settings;
mod system;
mod telemetry;
mod wire;

use std::pin::Pin;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use tokio::runtime::Builder;

use crate::cli::{Cli, Command};
use crate::cmd::{Call, Outcome};
use crate::print::Printer;
use crate::system::System;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Ok(Outcome::Code(code)) => ExitCode::from(u8::try_from(code).unwrap_or(2)),
        Err(error) => report::report(&error),
    }
}

fn start(cli: Cli) -> Result<Outcome> {
    let system = System::real().context("cannot see where this program runs")?;
    let printer = Printer::new(&cli.global, &system);
    let call = Call { system, printer, config: cli.global.config };
    let runtime = runtime(&cli.command).context("cannot start the runtime")?;
    let mut traces = None;
    if !matches!(&cli.command, Command::Credentials(args) if args.is_silent()) {
        // Settings that cannot be read are told by the command.
        let serves = matches!(&cli.command, Command::Issuer(args) if args.serves());
        let telemetry = serves.then(|| call.settings().ok()?.options.telemetry).flatten();
        let telemetry = telemetry.as_ref().map(|telemetry| (telemetry, runtime.handle()));
        let var = |name| call.system.var(name);
        traces = telemetry::start(cli.global.verbose, var("SKYBRU_LOG"), var("SKYBRU_LOG_FORMAT"), telemetry)?;
    }
    // Boxed: the runtime's ways to wait are compiled for one future then, not each for all commands.
    let command: Pin<Box<dyn Future<Output = _>>> = Box::pin(run(&call, cli.command, cli.global.verbose > 0));
    let outcome = runtime.block_on(command);
    if let Some(traces) = traces {
        traces.finish();
    }
    // A blocked read of a terminal must not hold the program back.
    runtime.shutdown_background();
    outcome
}

/// Servers use every core. What runs on a consumer's machine waits for the network: one thread is enough for that, and each more would
/// cost memory in a sidecar and hand-overs between threads for each answer. What asks once and ends needs none beside the program's own.
fn runtime(command: &Command) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = match command {
        Command::Credentials(_) | Command::Token(_) => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if matches!(command, Command::Agent(_) | Command::Exec(_)) {
        builder.worker_threads(1);
    }
    builder.enable_all().build()
}

/// `loud`: each file of a transfer is told.
async fn run(call: &Call, command: Command, loud: bool) -> Result<Outcome> {
    match command {
        Command::Try(args) => cmd::try_it::run(call, args).await,
        Command::Up(args) => cmd::up::run(call, args).await,
        Command::Token(args) => cmd::token::run(call, args).await,
        Command::Inspect(args) => cmd::inspect::run(call, args).await,
        Command::Credentials(args) => cmd::credentials::run(call, args).await,
        Command::DeltaProfile(args) => cmd::delta::run(call, args).await,
        Command::Exec(args) => cmd::exec::run(call, args).await,
        Command::Agent(args) => cmd::agent::run(call, args).await,
        Command::Kit(args) => cmd::kit::run(call, args).await,
        Command::Ls(args) => cmd::ls::run(call, args).await,
        Command::Cp(args) => cmd::cp::run(call, args, loud).await,
        Command::Sync(args) => cmd::sync::run(call, args, loud).await,
        Command::Rm(args) => cmd::rm::run(call, args, loud).await,
        Command::Cat(args) => cmd::cat::run(call, args).await,
        Command::Issuer(args) => cmd::issuer::run(call, args).await,
        Command::Registry(args) => cmd::registry::run(call, args).await,
        Command::Doctor(args) => cmd::doctor::run(call, args).await,
        Command::Config(args) => cmd::config::run(call, &args),
        Command::Man(args) => cmd::man::run(call, &args),
        Command::Completions(args) => cmd::completions::run(call, &args),
    }
}
