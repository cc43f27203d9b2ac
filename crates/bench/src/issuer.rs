//! `skybru-bench issuer`: what a token costs, against the RSA operations that nobody can spare and against another server.
//!
//! The server under measurement has core 0 to itself, the load generator core 1. Every figure that is compared with another comes from
//! the same run; times alone say something about the machine only.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use clap::{Args, ValueEnum as _};
use serde::Serialize;
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey};
use skybru_store::RegistryStore as _;
use skybru_store::sqlite::SqliteStore;

use crate::floor::Floor;
use crate::load::{self, Endpoint, Pace};
use crate::process::{Server, stay_on};
use crate::serve::{Replay, real};
use crate::services;
use crate::work;

const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct IssuerArgs {
    /// Requests in each run; their assertions are signed beforehand and live two minutes
    #[arg(long, default_value_t = 12_000)]
    requests: usize,
    /// Registered clients; repeat for several runs
    #[arg(long, default_values_t = [1, 1_000, 1_000_000])]
    clients: Vec<usize>,
    /// Where used assertions are kept; repeat for several runs
    #[arg(long, default_values = ["memory", "sqlite", "postgres", "valkey"])]
    replay: Vec<Replay>,
    /// Measure each also with the audit log
    #[arg(long)]
    audit: bool,
    /// Connections at once
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Times that everything is measured; the row with the median CPU time is reported
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The folder of the other server (`npm install` done there); left out if absent
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/oidc-provider"))]
    oidc_provider: PathBuf,
    /// One JSON object for each row
    #[arg(long)]
    json: bool,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
struct Row {
    server: String,
    clients: usize,
    /// Tokens per second with every connection busy.
    rate: f64,
    /// CPU microseconds of the server for a token.
    cpu_us: f64,
    /// CPU microseconds of one verify and one sign, just before and after.
    floor_us: f64,
    /// `cpu_us / floor_us`.
    ratio: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// At 80 % of `rate`, sent on time whether answered or not.
    open_p50_ms: f64,
    open_p99_ms: f64,
    /// Resident after the run.
    resident_mib: f64,
    /// From start to ready.
    start_s: f64,
    /// Resident when ready, before the first request.
    ready_mib: f64,
}

struct Bench<'a> {
    args: &'a IssuerArgs,
    folder: &'a Path,
    floor: Floor,
    client: SigningKey,
}

/// Runs all of it.
#[expect(clippy::print_stderr, reason = "progress for people")]
pub(crate) fn run(args: &IssuerArgs) -> Result<()> {
    stay_on(LOAD_CORE)?;
    let folder = tempfile::tempdir()?;
    let issuer = SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256)?;
    let client = SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256)?;
    std::fs::write(folder.path().join("issuer.jwk"), issuer.private_jwk()?.as_bytes())?;
    std::fs::write(folder.path().join("client.jwk"), serde_json::to_vec(&client.public_jwk())?)?;
    let bench = Bench { args, folder: folder.path(), floor: Floor::new(&client, &issuer)?, client };
    let mut rows = Vec::new();
    for clients in &args.clients {
        eprintln!("writing a registry of {clients} clients");
        bench.write_registry(*clients)?;
        for replay in &args.replay {
            rows.push(bench.median(|| bench.skybru(*clients, *replay, false))?);
            if args.audit {
                rows.push(bench.median(|| bench.skybru(*clients, *replay, true))?);
            }
        }
    }
    if args.oidc_provider.join("node_modules").is_dir() {
        rows.push(bench.median(|| bench.oidc_provider())?);
    } else {
        eprintln!("!! oidc-provider left out: run `npm install` in {}", args.oidc_provider.display());
    }
    report(&rows, args.json)
}

impl Bench<'_> {
    fn median(&self, mut measure: impl FnMut() -> Result<Row>) -> Result<Row> {
        let mut rows = (0..self.args.rounds.max(1)).map(|_| measure()).collect::<Result<Vec<_>>>()?;
        rows.sort_by(|a, b| a.ratio.total_cmp(&b.ratio));
        Ok(rows.swap_remove(rows.len() / 2))
    }

    fn database(&self, clients: usize) -> PathBuf {
        self.folder.join(format!("{clients}.db"))
    }

    fn write_registry(&self, clients: usize) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let store = SqliteStore::open(&self.database(clients), &real())?;
        let mut changes = Vec::new();
        for change in work::registry(clients, &self.client)? {
            changes.push(change?);
            if changes.len() == 10_000 {
                runtime.block_on(store.commit(&changes))?;
                changes.clear();
            }
        }
        runtime.block_on(store.commit(&changes))?;
        Ok(())
    }

    fn skybru(&self, clients: usize, replay: Replay, audit: bool) -> Result<Row> {
        const URL: &str = "https://bench.example.no";
        let replay_name = replay.to_possible_value().context("a name")?.get_name().to_owned();
        let database = self.database(clients);
        let mut command = vec![
            std::env::current_exe()?.display().to_string(),
            "serve".to_owned(),
            format!("--database={}", database.display()),
            "--key=issuer.jwk".to_owned(),
            format!("--replay={replay_name}"),
            format!("--url={URL}"),
        ];
        // Stopped when the row is done. They share the load generator's core.
        let _service = match replay {
            Replay::Memory | Replay::Sqlite => None,
            Replay::Postgres => {
                let service = services::postgres().context("PostgreSQL is not installed")?;
                command.push(format!("--server=postgresql://skybru@127.0.0.1:{}/postgres", service.port));
                Some(service)
            }
            Replay::Valkey => {
                let service = services::valkey().context("neither Valkey nor Redis is installed")?;
                command.push(format!("--server=redis://127.0.0.1:{}/0", service.port));
                Some(service)
            }
        };
        if audit {
            command.push("--audit".to_owned());
        }
        let name = format!("skybru, {replay_name}{}", if audit { " + audit" } else { "" });
        let server = Server::start(&command, self.folder, SERVER_CORE)?;
        if replay == Replay::Valkey {
            // A Valkey that was never seen before is doubted for a while: measured is what comes after.
            std::thread::park_timeout(std::time::Duration::from_secs(16));
        }
        let endpoint = Endpoint { address: server.address, host: "bench.example.no".to_owned(), path: "/token".to_owned() };
        let grants = |requests| work::grants(&self.client, URL, clients, requests, real().clock.unix_seconds());
        self.measure(name, clients, &server, &endpoint, grants)
    }

    fn oidc_provider(&self) -> Result<Row> {
        const URL: &str = "http://127.0.0.1";
        let client = work::client_id(0);
        let script = self.args.oidc_provider.join("server.mjs").display().to_string();
        let command = ["node".to_owned(), script, URL.to_owned(), "issuer.jwk".to_owned(), "client.jwk".to_owned(), client];
        let server = Server::start(&command, self.folder, SERVER_CORE)?;
        let endpoint = Endpoint { address: server.address, host: "127.0.0.1".to_owned(), path: "/token".to_owned() };
        let requests = |requests| work::client_credentials(&self.client, URL, requests, real().clock.unix_seconds());
        self.measure("oidc-provider".to_owned(), 1, &server, &endpoint, requests)
    }

    fn measure(
        &self,
        name: String,
        clients: usize,
        server: &Server,
        endpoint: &Endpoint,
        bodies: impl Fn(usize) -> Result<Vec<Bytes>>,
    ) -> Result<Row> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        #[expect(clippy::cast_precision_loss, reason = "bytes far below 2^52")]
        let ready = server.resident()? as f64 / f64::from(1 << 20);
        let send = |bodies: &[Bytes], pace| runtime.block_on(load::run(endpoint, bodies, self.args.connections, pace));
        // Interpreters compile on the way, caches fill: not part of what is measured.
        send(&bodies(self.args.requests / 6)?, Pace::Closed)?;
        let prepared = bodies(self.args.requests)?;
        let before = self.floor.measure(1_000)?;
        let cpu = server.cpu_seconds()?;
        let closed = send(&prepared, Pace::Closed)?;
        let cpu = server.cpu_seconds()? - cpu;
        let floor = f64::midpoint(before, self.floor.measure(1_000)?);
        let open = send(&bodies(self.args.requests / 2)?, Pace::Open(closed.rate() * 0.8))?;
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let (cpu, resident) = (cpu / closed.answered as f64, server.resident()? as f64 / f64::from(1 << 20));
        Ok(Row {
            server: name,
            clients,
            rate: closed.rate(),
            cpu_us: cpu * 1e6,
            floor_us: floor * 1e6,
            ratio: cpu / floor,
            p50_ms: closed.milliseconds(0.5),
            p99_ms: closed.milliseconds(0.99),
            open_p50_ms: open.milliseconds(0.5),
            open_p99_ms: open.milliseconds(0.99),
            resident_mib: resident,
            start_s: server.start.as_secs_f64(),
            ready_mib: ready,
        })
    }
}

/// What a registered client takes, over the process with one client.
fn bytes_a_client(row: &Row, rows: &[Row]) -> String {
    let base = rows.iter().find(|base| base.clients == 1 && base.server == row.server);
    match base.filter(|_| row.clients >= 100_000) {
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        Some(base) => format!("{:.0}", (row.ready_mib - base.ready_mib) * f64::from(1 << 20) / row.clients as f64),
        None => String::new(),
    }
}

#[expect(clippy::print_stdout, reason = "this is its purpose")]
fn report(rows: &[Row], json: bool) -> Result<()> {
    if json {
        for row in rows {
            println!("{}", serde_json::to_string(row)?);
        }
        return Ok(());
    }
    println!(
        "| server, replay | clients | tokens/s | CPU µs | verify + sign µs | CPU ratio | p50 ms | p99 ms | at 80 %: p50 | p99 | MiB | start s | bytes a client |"
    );
    println!("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |");
    for row in rows {
        println!(
            "| {} | {} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} | {:.2} | {} |",
            row.server,
            row.clients,
            row.rate,
            row.cpu_us,
            row.floor_us,
            row.ratio,
            row.p50_ms,
            row.p99_ms,
            row.open_p50_ms,
            row.open_p99_ms,
            row.resident_mib,
            row.start_s,
            bytes_a_client(row, rows)
        );
    }
    let other = rows.iter().find(|row| row.server == "oidc-provider");
    for (row, other) in rows.iter().filter(|row| row.server != "oidc-provider").zip(std::iter::repeat(other)) {
        let Some(other) = other else { continue };
        println!(
            "\n{} with {} clients against oidc-provider: {:.2} x its tokens per second, {:.2} x its CPU per token",
            row.server,
            row.clients,
            row.rate / other.rate,
            row.cpu_us / other.cpu_us
        );
    }
    Ok(())
}
