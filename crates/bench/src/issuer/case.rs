//! One measurement: a server, what is asked of it, and what that took.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use clap::ValueEnum as _;
use cpu_time::ProcessTime;

use super::{Bench, Row, Signing};
use crate::load::{self, Endpoint, Pace};
use crate::process::{SERVER_CORE, Server};
use crate::serve::{Replay, real};
use crate::services::{self, Service};
use crate::work::{self, Ask};

/// A Valkey that was never seen before is doubted for so long: measured is what comes after.
const DOUBT: Duration = Duration::from_secs(16);

/// A server in one setting.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) what: What,
    pub(super) clients: usize,
    pub(super) signing: Signing,
}

/// Which server.
#[derive(Debug)]
pub(super) enum What {
    /// Ours. `program` is another build than this one.
    Skybru { replay: Replay, audit: bool, program: Option<PathBuf> },
    /// The other one, in this folder.
    Provider { folder: PathBuf },
}

impl What {
    fn name(&self) -> String {
        match self {
            Self::Skybru { replay, audit, program } => {
                let replay = replay.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
                let (audit, before) = (if *audit { " + audit" } else { "" }, if program.is_some() { " (before)" } else { "" });
                format!("skybru, {replay}{audit}{before}")
            }
            Self::Provider { .. } => "oidc-provider".to_owned(),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, clients: {}", self.what.name(), self.signing.name(), self.clients)
    }
}

/// Databases that all measurements share; stopped when dropped.
pub(super) struct Services {
    postgres: Option<Service>,
    valkey: Option<Service>,
    started: Instant,
}

impl Services {
    /// Starts what is needed.
    pub(super) fn start(replay: &[Replay]) -> Result<Self> {
        let postgres = || services::postgres().context("PostgreSQL is not installed");
        let valkey = || services::valkey().context("neither Valkey nor Redis is installed");
        Ok(Self {
            postgres: replay.contains(&Replay::Postgres).then(postgres).transpose()?,
            valkey: replay.contains(&Replay::Valkey).then(valkey).transpose()?,
            started: Instant::now(),
        })
    }

    fn url(&self, replay: Replay) -> Option<String> {
        match replay {
            Replay::Memory | Replay::Sqlite => None,
            Replay::Postgres => Some(format!("postgresql://skybru@127.0.0.1:{}/postgres", self.postgres.as_ref()?.port)),
            Replay::Valkey => Some(format!("redis://127.0.0.1:{}/0", self.valkey.as_ref()?.port)),
        }
    }
}

impl Bench<'_> {
    /// Lets an issuer see Valkey, so that the doubt about what it may have lost is over when it is measured.
    pub(super) fn introduce_valkey(&self) -> Result<()> {
        let Some(clients) = self.args.clients.iter().min().filter(|_| self.services.valkey.is_some()) else { return Ok(()) };
        let what = What::Skybru { replay: Replay::Valkey, audit: false, program: None };
        let begun = Instant::now();
        drop(self.start(&Case { what, clients: *clients, signing: Signing::Rs256 })?);
        std::thread::park_timeout(DOUBT.saturating_sub(begun.elapsed().min(self.services.started.elapsed())));
        Ok(())
    }

    /// The server, where it is asked, and for what.
    fn start(&self, case: &Case) -> Result<(Server, Endpoint, Ask)> {
        let key = case.signing.key_file().to_owned();
        let (command, host, audience) = match &case.what {
            What::Skybru { replay, audit, program } => {
                let program = program.clone().map_or_else(std::env::current_exe, Ok)?;
                let replay_name = replay.to_possible_value().context("a name")?.get_name().to_owned();
                let audience = "https://bench.example.no";
                let mut command = vec![
                    program.canonicalize()?.display().to_string(),
                    "serve".to_owned(),
                    format!("--database={}", self.database(case.clients).display()),
                    format!("--key={key}"),
                    format!("--replay={replay_name}"),
                    format!("--url={audience}"),
                ];
                command.extend(self.services.url(*replay).map(|url| format!("--server={url}")));
                command.extend(audit.then(|| "--audit".to_owned()));
                (command, "bench.example.no", audience)
            }
            What::Provider { folder } => {
                let (script, audience) = (folder.join("server.mjs").display().to_string(), "http://127.0.0.1");
                let client = work::client_id(0);
                let command = vec!["node".to_owned(), script, audience.to_owned(), key, "client.jwk".to_owned(), client];
                (command, "127.0.0.1", audience)
            }
        };
        let server = Server::start(&command, self.folder, SERVER_CORE)?;
        let endpoint = Endpoint { address: server.address, host: host.to_owned(), path: "/token".to_owned() };
        let audience = audience.to_owned();
        let ask = match case.what {
            What::Skybru { .. } => Ask::Grant { audience, clients: case.clients },
            What::Provider { .. } => Ask::ClientCredentials { audience },
        };
        Ok((server, endpoint, ask))
    }

    /// Starts a server, asks it, and stops it.
    pub(super) fn measure(&self, case: &Case, round: usize) -> Result<Row> {
        let (server, endpoint, ask) = self.start(case)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ready = mib(server.resident()?);
        let send = |bodies: &[Bytes], pace| runtime.block_on(load::run(&endpoint, bodies, self.args.connections, pace));
        let bodies = |requests| ask.bodies(&self.client, requests, real().clock.unix_seconds());
        let floor = || self.floor(case.signing).measure(1_000);
        // Interpreters compile on the way, caches fill: not part of what is measured.
        send(&bodies(self.args.requests / 4)?, Pace::Closed)?;
        let prepared = bodies(self.args.requests)?;
        let before = floor()?;
        let (cpu, load) = (server.cpu_seconds()?, ProcessTime::try_now()?);
        let closed = send(&prepared, Pace::Closed)?;
        let (cpu, load) = (server.cpu_seconds()? - cpu, load.try_elapsed()?.as_secs_f64());
        let floor = f64::midpoint(before, floor()?);
        let open = send(&bodies(self.args.requests / 2)?, Pace::Open(closed.rate() * 0.8))?;
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let cpu_of_token = cpu / closed.answered as f64;
        let elapsed = closed.elapsed.as_secs_f64();
        Ok(Row {
            server: case.what.name(),
            clients: case.clients,
            signing: case.signing,
            round,
            rate: closed.rate(),
            cpu_us: cpu_of_token * 1e6,
            floor_us: floor * 1e6,
            ratio: cpu_of_token / floor,
            p50_ms: closed.milliseconds(0.5),
            p99_ms: closed.milliseconds(0.99),
            open_p50_ms: open.milliseconds(0.5),
            open_p99_ms: open.milliseconds(0.99),
            server_busy: cpu / elapsed,
            load_busy: load / elapsed,
            resident_mib: mib(server.resident()?),
            start_s: server.start.as_secs_f64(),
            ready_mib: ready,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes far below 2^52")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
