//! `skybru agent`.

mod served;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use arc_swap::ArcSwap;
use clap::Args;
use serde_json::json;
use skybru_core::{Randomness, Secret};
use skybru_protocol::base64url;
use tokio_util::sync::CancellationToken;

pub(super) use self::served::of_target;
use self::served::{Chosen, of_settings};
use super::{Call, Outcome, rotate};
use crate::fresh::{Content, FreshFile, Keepers};
use crate::http::agent::{Agent, Listener, Measures, Said, probes, routes};
use crate::lab::files;
use crate::settings::Settings;
use crate::wire::Wiring;

/// How often the agent looks after its clients' keys.
#[cfg(unix)]
const KEY_ROUND: std::time::Duration = std::time::Duration::from_hours(12);

/// Arguments of `agent`.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// The address to listen on: this machine's only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7500", env = "BIND_ADDRESS")]
    listen: SocketAddr,
    /// Listen on a socket instead, which only this user can open
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    socket: Option<PathBuf>,
    /// Another address, for health and metrics alone, which others may reach
    #[arg(long, value_name = "ADDRESS", env = "PROBE_BIND_ADDRESS")]
    probe_listen: Option<SocketAddr>,
    /// Write the authorization token for cloud credentials to this file [default: printed]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Keep each target's token fresh in FOLDER/TARGET.jwt
    #[arg(long, value_name = "FOLDER")]
    token_files: Option<PathBuf>,
    /// The target that stands for this machine's Google identity [default: the only one]
    #[arg(long, value_name = "TARGET")]
    google: Option<String>,
    /// The target that stands for this machine's Azure identity [default: the only one]
    #[arg(long, value_name = "TARGET")]
    azure: Option<String>,
}

/// A secret that nobody can guess.
pub(super) fn new_authorization(randomness: &dyn Randomness) -> Secret {
    let mut bytes = [0; 32];
    randomness.fill(&mut bytes);
    Secret::from(base64url::encode(bytes))
}

pub(crate) async fn run(call: &Call, args: AgentArgs) -> Result<Outcome> {
    let settings = call.settings()?;
    if settings.options.clients.is_empty() {
        bail!("there is no client in the settings, so the agent has nothing to hand out");
    }
    let stopped = super::up::stop_signal()?;
    let listener = match &args.socket {
        Some(path) => Listener::socket(&call.system.folder.join(path))?,
        None => Listener::tcp(args.listen).await?,
    };
    let authorization = new_authorization(&*call.system.ctx.randomness);
    let chosen = Chosen { google: args.google.clone(), azure: args.azure.clone() };
    let mut wiring = Wiring::new(&settings, &call.system);
    let served = of_settings(&mut wiring, &settings, &call.system, &chosen)?;
    let agent = Arc::new(Agent {
        served: ArcSwap::from_pointee(served),
        authorization: authorization.clone(),
        hosts: listener.hosts()?,
        clock: Arc::clone(&call.system.ctx.clock),
        measures: Measures::new(),
        said: Said::default(),
    });
    agent.measures.loaded.set(call.system.ctx.clock.unix_seconds());
    if let Some(path) = &args.token_file {
        files::write_private(&call.system.folder.join(path), authorization.expose().as_bytes())?;
    }
    let keepers = keep_files(call, &args, &settings, &mut wiring).await?;
    let stop = CancellationToken::new();
    if let Some(address) = args.probe_listen {
        tokio::spawn(answer_probes(Listener::for_probes(address).await?, agent.clone(), stop.clone()));
    }
    announce(call, &args, &settings, &agent, &listener.shown()?)?;
    let served = listener.serve(routes(agent.clone()), stopped);
    tokio::select! {
        outcome = served => outcome?,
        failed = reload_when_told(call, &args, &agent, &chosen, keepers) => return Err(failed),
    }
    stop.cancel();
    Ok(Outcome::Done)
}

async fn answer_probes(listener: Listener, agent: Arc<Agent>, stop: CancellationToken) {
    if let Err(error) = listener.serve(probes(agent), stop.cancelled_owned()).await {
        tracing::warn!(error = format!("{error:#}"), "health and metrics are no longer answered");
    }
}

/// On SIGHUP the settings are read again. What cannot be used leaves the old ones in force. Ends only when signals cannot be had.
#[cfg(unix)]
async fn reload_when_told(call: &Call, args: &AgentArgs, agent: &Agent, chosen: &Chosen, mut keepers: Keepers) -> anyhow::Error {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => return error.into(),
    };
    let mut rounds = tokio::time::interval(KEY_ROUND);
    loop {
        tokio::select! {
            told = hangup.recv() => if told.is_none() {
                return anyhow::anyhow!("this system sends no more signals");
            },
            _ = rounds.tick() => if !look_after_keys(call, agent).await {
                continue;
            },
        }
        match reload(call, args, agent, chosen).await {
            Ok(new) => {
                drop(std::mem::replace(&mut keepers, new));
                call.printer.say("the settings were read again");
            }
            Err(error) => {
                agent.measures.failed_reloads.inc();
                let why = crate::report::on_one_line(&error);
                call.printer.say(&format!("the settings cannot be read again, the old ones stay: {why}"));
            }
        }
    }
}

/// Warns of keys that are near their end, and rotates those that shall be. Whether the settings are to be read again.
#[cfg(unix)]
async fn look_after_keys(call: &Call, agent: &Agent) -> bool {
    let Ok(settings) = call.settings() else { return false };
    let changed = rotate::rotate_due(call, &settings).await;
    for (client, exp) in rotate::key_ends(&settings) {
        agent.measures.key_ends(&client, exp.as_second());
        if let Some(warning) = rotate::warning(&settings, &client, call.system.ctx.clock.now()) {
            tracing::warn!("{warning}");
        }
    }
    changed
}

#[cfg(not(unix))]
async fn reload_when_told(_: &Call, _: &AgentArgs, _: &Agent, _: &Chosen, _: Keepers) -> anyhow::Error {
    std::future::pending().await
}

#[cfg(unix)]
async fn reload(call: &Call, args: &AgentArgs, agent: &Agent, chosen: &Chosen) -> Result<Keepers> {
    let settings = call.settings()?;
    let mut wiring = Wiring::new(&settings, &call.system);
    let served = of_settings(&mut wiring, &settings, &call.system, chosen)?;
    let keepers = keep_files(call, args, &settings, &mut wiring).await?;
    agent.served.store(Arc::new(served));
    agent.measures.loaded.set(call.system.ctx.clock.unix_seconds());
    Ok(keepers)
}

/// A file for each target, kept fresh while the agent runs. A target that is refused now must not keep the others from starting.
async fn keep_files(call: &Call, args: &AgentArgs, settings: &Settings, wiring: &mut Wiring<'_>) -> Result<Keepers> {
    let mut keepers = Keepers::default();
    let Some(folder) = args.token_files.as_ref().map(|folder| call.system.folder.join(folder)) else { return Ok(keepers) };
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for name in settings.options.targets.keys() {
        let (tokens, request) = wiring.tokens(Some(name))?;
        let file = FreshFile { path: folder.join(format!("{name}.jwt")), content: Content::Token(tokens, request) };
        if let Err(error) = keepers.add(file, &call.system.ctx.clock).await {
            let why = crate::report::on_one_line(&error);
            call.printer.say(&format!("there is no file for target {name:?} yet, it is tried again: {why}"));
        }
    }
    Ok(keepers)
}

/// What to paste, for each kind of target.
fn announce(call: &Call, args: &AgentArgs, settings: &Settings, agent: &Agent, address: &str) -> Result<()> {
    let served = agent.served.load();
    let clients: Vec<&String> = served.clients.keys().collect();
    if call.printer.json {
        let authorization = args.token_file.is_none().then(|| agent.authorization.expose());
        let names = |targets: Vec<&String>| json!(targets);
        call.printer.object(&json!({
            "address": address,
            "clients": clients,
            "aws_targets": names(served.aws.keys().collect()),
            "google_targets": names(served.google.keys().collect()),
            "azure_targets": names(served.azure.keys().collect()),
            "local_clients": names(served.local_clients.keys().collect()),
            "authorization": authorization,
        }))?;
        return Ok(());
    }
    let say = |text: &str| call.printer.say(text);
    say(&format!("the agent answers at {address}"));
    say(&format!("  tokens: POST {address}/api/v1/token {{\"identity_provider\":{:?},\"target\":\"SCOPE\"}}", clients[0]));
    for name in served.local_clients.keys() {
        say(&format!("  OAuth:  POST {address}/oauth/token with grant_type=client_credentials and client_id={name}"));
    }
    for name in served.aws.keys() {
        say(&format!("  AWS:    export AWS_CONTAINER_CREDENTIALS_FULL_URI={address}/aws/{name}"));
    }
    if !served.aws.is_empty() {
        let (variable, value) = match &args.token_file {
            Some(path) => ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path.display().to_string()),
            None => ("AWS_CONTAINER_AUTHORIZATION_TOKEN", agent.authorization.expose().to_owned()),
        };
        say(&format!("          export {variable}={value}"));
    }
    if let Some(host) = served.machine_google.as_ref().and(address.strip_prefix("http://")) {
        say(&format!("  Google: export GCE_METADATA_HOST={host} GCE_METADATA_ROOT={host} GCE_METADATA_IP={host}"));
    }
    for name in served.google.keys() {
        say(&format!("          or skybru credentials {name} --format google-file --source agent --agent {address}"));
    }
    for name in served.azure.keys() {
        let header = args
            .token_file
            .as_ref()
            .map_or_else(|| agent.authorization.expose().to_owned(), |path| format!("$(cat {})", path.display()));
        say(&format!("  Azure:  export IDENTITY_ENDPOINT={address}/azure/{name}/msi IDENTITY_HEADER={header}"));
    }
    if let Some(folder) = &args.token_files {
        for name in settings.options.targets.keys() {
            say(&format!("  file:   {}", folder.join(format!("{name}.jwt")).display()));
        }
    }
    Ok(())
}
