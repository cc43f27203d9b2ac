//! Measures skybru against its promises, in ratios from one run. Ships nothing; `cargo xtask bench` starts it.

mod agent;
mod cold;
mod floor;
mod http;
mod issuer;
mod load;
mod process;
mod product;
mod serve;
#[expect(clippy::unwrap_used, dead_code, reason = "shared with tests")]
#[path = "../../store/tests/support/mod.rs"]
mod services;
mod signer;
mod transfer;
mod work;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "skybru-bench", about = "Measures skybru against its promises")]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// What a token costs the issuer
    Issuer(issuer::IssuerArgs),
    /// What a cached token costs the agent
    Agent(agent::AgentArgs),
    /// `skybru credentials` from nothing, against the shell recipe
    Cold(cold::ColdArgs),
    /// The least that an axum server can do (started by the others)
    #[command(hide = true)]
    Bare {
        /// Length of the answer's token
        #[arg(long)]
        bytes: usize,
    },
    /// What it costs that a signing key may live anywhere
    Signer(signer::SignerArgs),
    /// `cp` against the aws CLI
    Transfer(transfer::TransferArgs),
    /// The server under measurement (started by the others)
    #[command(hide = true)]
    Serve(serve::ServeArgs),
}

fn main() -> Result<()> {
    match Cli::parse().bench {
        Bench::Issuer(args) => issuer::run(&args),
        Bench::Agent(args) => agent::run(&args),
        Bench::Cold(args) => cold::run(&args),
        Bench::Bare { bytes } => {
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(http::bare::serve(bytes))
        }
        Bench::Signer(args) => signer::run(&args),
        Bench::Transfer(args) => transfer::run(&args),
        Bench::Serve(args) => tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve::run(args)),
    }
}
