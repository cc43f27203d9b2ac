//! Measures skybru against its promises, in ratios from one run. Ships nothing; `cargo xtask bench` starts it.

mod floor;
mod issuer;
mod load;
mod process;
mod serve;
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
    /// The server under measurement (started by the others)
    #[command(hide = true)]
    Serve(serve::ServeArgs),
}

fn main() -> Result<()> {
    match Cli::parse().bench {
        Bench::Issuer(args) => issuer::run(&args),
        Bench::Serve(args) => tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve::run(args)),
    }
}
