//! `skybru-bench issuer`: what a token costs, against the RSA operations that nobody can spare and against another server.
//!
//! The server under measurement has core 0 to itself, the load generator core 1, which it shares with the database if there is one.
//! Everything is measured in turn, round after round, so that whatever else the machine does meets all alike. Figures that are compared
//! come from the same round; times alone say something about the machine only.

mod case;
mod provider;
mod table;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey};
use skybru_store::RegistryStore as _;
use skybru_store::sqlite::SqliteStore;

use crate::floor::Floor;
use crate::process::{LOAD_CORE, stay_on};
use crate::serve::{Replay, real};
use crate::work;
use case::{Case, Services, What};

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct IssuerArgs {
    /// Requests with every connection busy; half as many follow at a fixed rate
    #[arg(long, default_value_t = 4_000)]
    requests: usize,
    /// Registered clients; repeat for several
    #[arg(long, default_values_t = [1, 1_000, 1_000_000])]
    clients: Vec<usize>,
    /// Where used assertions are kept; repeat for several
    #[arg(long, default_values = ["memory", "sqlite", "postgres", "valkey"])]
    replay: Vec<Replay>,
    /// What the issuer signs with; all but the first are measured with the first number of clients only
    #[arg(long, default_values = ["rs256", "es256"])]
    signing: Vec<Signing>,
    /// With the audit log, too; for the first number of clients and the first key
    #[arg(long)]
    audit: bool,
    /// Connections at once
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Times that everything is measured; medians are reported
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Another build of this program, measured in turn with this one
    #[arg(long)]
    before: Option<PathBuf>,
    /// Leave the comparison with oidc-provider out
    #[arg(long)]
    alone: bool,
    /// One JSON object for each measurement
    #[arg(long)]
    json: bool,
}

/// What the issuer signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Signing {
    /// RSA, 2048 bits.
    Rs256,
    /// P-256.
    Es256,
}

impl Signing {
    fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }

    fn key_file(self) -> &'static str {
        match self {
            Self::Rs256 => "rs256.jwk",
            Self::Es256 => "es256.jwk",
        }
    }
}

/// One measurement.
#[derive(Debug, Clone, Serialize)]
struct Row {
    server: String,
    clients: usize,
    signing: Signing,
    round: usize,
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
    /// How much of its core the server had, and the load generator of its own.
    server_busy: f64,
    load_busy: f64,
    /// Resident after the run.
    resident_mib: f64,
    /// From start to ready.
    start_s: f64,
    /// Resident when ready, before the first request.
    ready_mib: f64,
}

/// What all measurements share.
struct Bench<'a> {
    args: &'a IssuerArgs,
    folder: &'a Path,
    rsa: Floor,
    p256: Floor,
    client: SigningKey,
    services: Services,
}

/// Runs all of it.
#[expect(clippy::print_stderr, reason = "progress for people")]
pub(crate) fn run(args: &IssuerArgs) -> Result<()> {
    let begun = Instant::now();
    stay_on(LOAD_CORE)?;
    let folder = tempfile::tempdir()?;
    let client = SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256)?;
    let rsa = SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256)?;
    let p256 = SigningKey::generate_p256()?;
    for (signing, key) in [(Signing::Rs256, &rsa), (Signing::Es256, &p256)] {
        std::fs::write(folder.path().join(signing.key_file()), key.private_jwk()?.as_bytes())?;
    }
    std::fs::write(folder.path().join("client.jwk"), serde_json::to_vec(&client.public_jwk())?)?;
    let provider = if args.alone { None } else { provider::install()? };
    let bench = Bench {
        args,
        folder: folder.path(),
        rsa: Floor::new(&client, &rsa)?,
        p256: Floor::new(&client, &p256)?,
        client,
        services: Services::start(&args.replay)?,
    };
    for clients in &args.clients {
        eprintln!("writing a registry of {clients} clients");
        bench.write_registry(*clients)?;
    }
    bench.introduce_valkey()?;
    let cases = cases(args, provider.as_deref());
    let (mut rows, mut failures) = (Vec::new(), 0);
    for round in 1..=args.rounds.max(1) {
        for case in &cases {
            eprintln!("{:>4} s, round {round}: {case}", begun.elapsed().as_secs());
            match bench.measure(case, round) {
                Ok(row) if args.json => table::print_json(&row)?,
                Ok(row) => rows.push(row),
                Err(error) => {
                    failures += 1;
                    eprintln!("!! {case}: {error:#}");
                }
            }
        }
    }
    if !args.json {
        table::print(&rows);
    }
    ensure!(failures == 0, "{failures} measurements failed");
    Ok(())
}

/// What is measured, in this order in every round.
fn cases(args: &IssuerArgs, provider: Option<&Path>) -> Vec<Case> {
    let first_clients = args.clients.first();
    let mut cases = Vec::new();
    for clients in &args.clients {
        for (place, signing) in args.signing.iter().enumerate() {
            if place > 0 && Some(clients) != first_clients {
                continue;
            }
            for replay in &args.replay {
                let is_audited = args.audit && place == 0 && Some(clients) == first_clients;
                let audits = if is_audited { &[false, true][..] } else { &[false][..] };
                for audit in audits {
                    for program in std::iter::once(None).chain(args.before.as_ref().map(Some)) {
                        let what = What::Skybru { replay: *replay, audit: *audit, program: program.cloned() };
                        cases.push(Case { what, clients: *clients, signing: *signing });
                    }
                }
            }
            if let Some(folder) = provider.filter(|_| Some(clients) == first_clients) {
                cases.push(Case { what: What::Provider { folder: folder.to_owned() }, clients: 1, signing: *signing });
            }
        }
    }
    cases
}

impl Bench<'_> {
    fn database(&self, clients: usize) -> PathBuf {
        self.folder.join(format!("{clients}.db"))
    }

    fn write_registry(&self, clients: usize) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let _entered = runtime.enter();
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

    fn floor(&self, signing: Signing) -> &Floor {
        match signing {
            Signing::Rs256 => &self.rsa,
            Signing::Es256 => &self.p256,
        }
    }
}
