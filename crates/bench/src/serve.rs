//! The server under measurement: an issuer over plain HTTP with the chosen store, in a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use skybru_core::{Clock, Ctx, Randomness};
use skybru_issuer::http::{Limits, issuer_routes, serve};
use skybru_issuer::{Issuer, IssuerSettings, KeyRing, Profile};
use skybru_protocol::assertion::TimeRules;
use skybru_protocol::jose::SigningKey;
use skybru_store::memory::MemoryStore;
use skybru_store::postgres::{PostgresOptions, PostgresStore};
use skybru_store::sqlite::SqliteStore;
use skybru_store::valkey::{ValkeyLog, ValkeyOptions};
use skybru_store::{AssertionLog, Ledger, LiveRegistry, RegistryStore};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Where used assertions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Replay {
    /// Forgotten with the process: what everything else is compared with.
    Memory,
    /// One file.
    Sqlite,
    /// A server for several nodes.
    Postgres,
    /// Valkey or Redis.
    Valkey,
}

/// A server for one run.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The database with the registry
    #[arg(long)]
    database: PathBuf,
    /// The issuer's private key
    #[arg(long)]
    key: PathBuf,
    /// Where used assertions are kept
    #[arg(long)]
    replay: Replay,
    /// The issuer's URL
    #[arg(long)]
    url: String,
    /// Where the server of `--replay` is
    #[arg(long)]
    server: Option<String>,
    /// Write the audit log, too
    #[arg(long)]
    audit: bool,
}

struct Real(SystemRandom);

impl Clock for Real {
    #[expect(clippy::disallowed_methods, reason = "a measurement of the real thing has the real clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

impl Randomness for Real {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.fill(bytes).expect("the operating system gives randomness");
    }
}

/// Clock and randomness of the machine.
pub(crate) fn real() -> Ctx {
    Ctx::new(Arc::new(Real(SystemRandom::new())), Arc::new(Real(SystemRandom::new())))
}

/// Serves until killed.
#[expect(clippy::print_stdout, reason = "its parent waits for this line")]
pub(crate) async fn run(args: ServeArgs) -> Result<()> {
    let ctx = real();
    let store = Arc::new(SqliteStore::open(&args.database, &ctx)?);
    let registry = Arc::new(LiveRegistry::load(Arc::clone(&store) as Arc<dyn RegistryStore>).await?);
    let server = || args.server.clone().context("--server");
    let ledger = match args.replay {
        Replay::Memory if args.audit => Ledger::apart(Arc::new(MemoryStore::default()), store),
        Replay::Memory => (Arc::new(MemoryStore::default()) as Arc<dyn AssertionLog>).into(),
        Replay::Sqlite if args.audit => Ledger::together(store),
        Replay::Sqlite => (store as Arc<dyn AssertionLog>).into(),
        Replay::Postgres => {
            let node = "bench".to_owned();
            let options = PostgresOptions { url: server()?, password: None, tls: None, connections: 4, node };
            let log = Arc::new(PostgresStore::open(options, &ctx).await?);
            if args.audit { Ledger::together(log) } else { (log as Arc<dyn AssertionLog>).into() }
        }
        Replay::Valkey => {
            let options = ValkeyOptions { url: server()?, user: None, password: None, ca_pem: None, replicas: 0 };
            let log = Arc::new(ValkeyLog::open(options, ctx.clock.clone()).await?);
            if args.audit { Ledger::apart(log, store) } else { (log as Arc<dyn AssertionLog>).into() }
        }
    };
    let key = SigningKey::from_any_text(&std::fs::read_to_string(&args.key).context("reading the key")?, None)?;
    let settings = IssuerSettings {
        url: args.url.parse()?,
        profile: Profile::Skyporten { cloud_metadata: true },
        token_lifetime_seconds: 120,
        time_rules: TimeRules::default(),
    };
    let issuer = Arc::new(Issuer::new(settings, KeyRing::single(key), registry, ledger, ctx));
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("ready {}", listener.local_addr()?);
    serve(listener, None, issuer_routes(issuer), Limits::default(), CancellationToken::new()).await;
    Ok(())
}
