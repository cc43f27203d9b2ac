//! `skybru exec`.

mod environment;
mod run;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arc_swap::ArcSwap;
use clap::Args;
use skybru_client::azure::Resource;
use tokio_util::sync::CancellationToken;

use self::environment::Environment;
use super::{Call, Outcome};
use crate::fresh::Keepers;
use crate::http::agent::{Agent, Listener, Measures, Said, Served, routes};
use crate::settings::{Settings, SettingsError};
use crate::wire::Wiring;

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
    let settings = call.settings()?;
    let (name, target) = settings.target(Some(&args.target))?;
    if Settings::clouds(target).is_empty() {
        let problem = "the target is in no cloud: expected aws, google or azure".to_owned();
        return Err(SettingsError::Value { key: format!("targets.{name}"), problem }.into());
    }
    let mut wiring = Wiring::new(&settings, &call.system);
    let served = super::agent::of_target(&mut wiring, &settings, name)?;
    first_credentials(&served).await?;
    let folder = tempfile::Builder::new().prefix("skybru-").tempdir().context("cannot make a folder for the command's files")?;
    let stop = CancellationToken::new();
    let _stopped_when_done = stop.clone().drop_guard();
    let agent = agent(call, served, &stop).await?;
    let mut environment = Environment::new(&call.system, &agent, folder.path(), name);
    environment.add_aws();
    environment.add_google()?;
    environment.add_azure(wiring.tokens(Some(name))?, settings.azure_ca(target)).await?;
    let mut keepers = Keepers::default();
    for file in environment.take_files() {
        keepers.add(file, &call.system.ctx.clock).await?;
    }
    if !environment.removed().is_empty() {
        call.printer.say(&format!("left out of the command's environment: {}", environment.removed().join(", ")));
    }
    let outcome = run::run(&args.command, &environment).await;
    drop(keepers);
    outcome
}

/// Before the command starts: a refusal is told here, in words, and not by whatever the command makes of it.
async fn first_credentials(served: &Served) -> Result<()> {
    for source in served.aws.values() {
        source.credentials().await?;
    }
    for source in served.google.values() {
        source.credentials().await?;
    }
    for source in served.azure.values() {
        source.token(&Resource::storage()).await?;
    }
    Ok(())
}

/// An agent for the command alone, on a free port of this machine.
async fn agent(call: &Call, served: Served, stop: &CancellationToken) -> Result<Arc<Agent>> {
    let listener = Listener::tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let agent = Arc::new(Agent {
        served: ArcSwap::from_pointee(served),
        authorization: super::agent::new_authorization(&*call.system.ctx.randomness),
        hosts: listener.hosts()?,
        clock: Arc::clone(&call.system.ctx.clock),
        measures: Measures::new(),
        said: Said::default(),
    });
    let serving = listener.serve(routes(agent.clone()), stop.clone().cancelled_owned());
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::warn!(error = format!("{error:#}"), "the command's SDK is no longer answered");
        }
    });
    Ok(agent)
}
