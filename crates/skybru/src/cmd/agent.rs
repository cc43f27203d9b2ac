//! `skybru agent`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;
use skybru_client::introspect::Introspector;
use skybru_core::Secret;
use skybru_protocol::base64url;

use super::{Call, Outcome};
use crate::http::agent::{Agent, AgentClient, routes};
use crate::lab::files;
use crate::settings::Settings;
use crate::wire;

/// What texas calls Maskinporten.
const MASKINPORTEN: &str = "maskinporten";

/// Arguments of `agent`.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// The address to listen on: this machine's only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7500", env = "BIND_ADDRESS")]
    listen: SocketAddr,
    /// Listen on a socket instead, which only this user can open
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    socket: Option<PathBuf>,
    /// Write the authorization token for cloud credentials to this file [default: printed]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(crate) async fn run(call: &Call, args: AgentArgs) -> Result<Outcome> {
    let settings = call.settings()?;
    if settings.options.clients.is_empty() {
        bail!("there is no client in the settings, so the agent has nothing to hand out");
    }
    let stopped = super::up::stop_signal()?;
    let mut bytes = [0; 32];
    call.system.ctx.randomness.fill(&mut bytes);
    let authorization = Secret::from(base64url::encode(bytes));
    let listener = match &args.socket {
        Some(path) => Listener::socket(&call.system.folder.join(path))?,
        None => Listener::tcp(args.listen).await?,
    };
    let agent = Agent {
        clients: clients(call, &settings)?,
        aws: targets(call, &settings)?,
        authorization: authorization.clone(),
        hosts: listener.hosts()?,
        clock: Arc::clone(&call.system.ctx.clock),
    };
    if let Some(path) = &args.token_file {
        files::write_private(&call.system.folder.join(path), authorization.expose().as_bytes())?;
    }
    announce(call, &args, &agent, &listener.shown()?)?;
    listener.serve(routes(Arc::new(agent)), stopped).await?;
    Ok(Outcome::Done)
}

/// Each client by its name. Where there is one only, it is what texas calls `maskinporten` too.
fn clients(call: &Call, settings: &Settings) -> Result<BTreeMap<String, Arc<AgentClient>>> {
    let mut clients = BTreeMap::new();
    for name in settings.options.clients.keys() {
        let wired = wire::client(settings, name, &call.system)?;
        let issuer = wired.tokens.identity().issuer.clone();
        let introspector = Introspector::new(call.system.ctx.clone(), wired.http, issuer);
        clients.insert(name.clone(), Arc::new(AgentClient { tokens: wired.tokens, introspector }));
    }
    let only = (clients.len() == 1).then(|| clients.values().next().cloned()).flatten();
    if let Some(only) = only {
        clients.entry(MASKINPORTEN.to_owned()).or_insert(only);
    }
    Ok(clients)
}

fn targets(call: &Call, settings: &Settings) -> Result<BTreeMap<String, Arc<skybru_client::aws::AwsCredentialSource>>> {
    let with_aws = settings.options.targets.iter().filter(|(_, target)| target.aws.is_some());
    with_aws.map(|(name, _)| Ok((name.clone(), wire::aws(settings, Some(name), &call.system)?.credentials))).collect()
}

fn announce(call: &Call, args: &AgentArgs, agent: &Agent, address: &str) -> Result<()> {
    let clients: Vec<&String> = agent.clients.keys().collect();
    if call.printer.json {
        let authorization = args.token_file.is_none().then(|| agent.authorization.expose());
        let targets: Vec<&String> = agent.aws.keys().collect();
        call.printer
            .object(&json!({"address": address, "clients": clients, "aws_targets": targets, "authorization": authorization}))?;
        return Ok(());
    }
    call.printer.say(&format!("the agent answers at {address}"));
    call.printer
        .say(&format!("  tokens: POST {address}/api/v1/token {{\"identity_provider\":{:?},\"target\":\"SCOPE\"}}", clients[0]));
    for target in agent.aws.keys() {
        call.printer.say(&format!("  AWS:    export AWS_CONTAINER_CREDENTIALS_FULL_URI={address}/aws/{target}"));
    }
    match &args.token_file {
        _ if agent.aws.is_empty() => {}
        Some(path) => call.printer.say(&format!("          export AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE={}", path.display())),
        None => call.printer.say(&format!("          export AWS_CONTAINER_AUTHORIZATION_TOKEN={}", agent.authorization.expose())),
    }
    Ok(())
}

/// Where programs ask.
enum Listener {
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Socket(tokio::net::UnixListener, PathBuf),
}

impl Listener {
    /// Tokens for everybody on the network is nobody's wish.
    async fn tcp(address: SocketAddr) -> Result<Self> {
        if !address.ip().is_loopback() {
            bail!(
                "--listen {address}: expected an address of this machine such as 127.0.0.1:7500; the agent has no TLS and no users"
            );
        }
        let listener = tokio::net::TcpListener::bind(address).await;
        listener.map(Self::Tcp).with_context(|| format!("cannot listen on {address}"))
    }

    #[cfg(unix)]
    fn socket(path: &Path) -> Result<Self> {
        use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
        // One that a killed agent left behind; anything else is somebody's file.
        if std::fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket()) {
            std::fs::remove_file(path).with_context(|| format!("cannot take the place of {}", path.display()))?;
        }
        let listener = tokio::net::UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
            .with_context(|| format!("cannot protect {}", path.display()))?;
        Ok(Self::Socket(listener, path.to_path_buf()))
    }

    #[cfg(not(unix))]
    fn socket(path: &Path) -> Result<Self> {
        bail!("--socket {}: this system has none; use --listen", path.display())
    }

    fn shown(&self) -> Result<String> {
        match self {
            Self::Tcp(listener) => Ok(format!("http://{}", listener.local_addr()?)),
            #[cfg(unix)]
            Self::Socket(_, path) => Ok(format!("unix:{}", path.display())),
        }
    }

    fn hosts(&self) -> Result<Vec<String>> {
        match self {
            Self::Tcp(listener) => {
                let address = listener.local_addr()?;
                Ok(vec![address.to_string(), format!("localhost:{}", address.port())])
            }
            #[cfg(unix)]
            Self::Socket(..) => Ok(Vec::new()),
        }
    }

    async fn serve(self, router: axum::Router, stopped: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        match self {
            Self::Tcp(listener) => axum::serve(listener, router).with_graceful_shutdown(stopped).await?,
            #[cfg(unix)]
            Self::Socket(listener, path) => {
                axum::serve(listener, router).with_graceful_shutdown(stopped).await?;
                let _ = std::fs::remove_file(path);
            }
        }
        Ok(())
    }
}
