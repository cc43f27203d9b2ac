//! `skybru-bench agent`: what a cached token costs, against the least that an axum server can do.
//!
//! Both servers have core 0 in turn, the load generator core 1, in one run. The ratio that counts is CPU per request: the rate also
//! measures the load generator.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use clap::Args;
use serde::Serialize;

use crate::load::{self, Endpoint, Outcome, Pace};
use crate::process::{Server, stay_on};
use crate::product::{Lab, program};

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// Requests in each round
    #[arg(long, default_value_t = 60_000)]
    requests: usize,
    /// Connections at once
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Rounds; the one with the median CPU time is reported
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Serialize)]
struct Row {
    rate: f64,
    cpu_us: f64,
    p50_ms: f64,
    p99_ms: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    agent: Row,
    bare: Row,
    /// Agent over bare server.
    cpu_ratio: f64,
    rate_ratio: f64,
    idle_mib: f64,
    loaded_mib: f64,
}

pub(crate) fn run(args: &AgentArgs) -> Result<()> {
    let program = program()?;
    let folder = tempfile::tempdir()?;
    let lab = Lab::start(&program, folder.path())?;
    let scope = lab.get("/demo/scope")?;
    let settings = lab.get("/demo/config_file")?.to_owned();
    let line = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<String>>();
    let agent = [program.to_str().context("a path")?, "--config", &settings, "agent", "--listen", "127.0.0.1:0", "--json"];
    let agent = Server::start_when(&line(&agent), folder.path(), 0, |line| {
        line.trim().strip_prefix("\"address\": \"http://")?.split('"').next()?.parse().ok()
    })?;
    let idle = agent.resident()?;
    let form = format!("identity_provider=demo&target={scope}&resource=https%3A%2F%2Fskyporten.example.no");
    stay_on(1)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bodies = vec![Bytes::from(form); args.requests];
    let own = std::env::current_exe()?;
    let bare = Server::start(&line(&[own.to_str().context("a path")?, "bare", "--bytes", "1000"]), folder.path(), 0)?;
    let measure = |server: &Server| -> Result<Row> {
        let host = server.address.to_string();
        let endpoint = Endpoint { address: server.address, host, path: "/api/v1/token".to_owned() };
        runtime.block_on(load::run(&endpoint, &bodies[..args.requests / 10], args.connections, Pace::Closed))?;
        let before = server.cpu_seconds()?;
        let outcome = runtime.block_on(load::run(&endpoint, &bodies, args.connections, Pace::Closed))?;
        Ok(row(&outcome, server.cpu_seconds()? - before))
    };
    let (mut agents, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds.max(1) {
        // In turn, so that whatever else the machine does meets both.
        agents.push(measure(&agent)?);
        bares.push(measure(&bare)?);
    }
    let (agent_row, bare_row) = (median(agents), median(bares));
    let report = Report {
        cpu_ratio: agent_row.cpu_us / bare_row.cpu_us,
        rate_ratio: agent_row.rate / bare_row.rate,
        agent: agent_row,
        bare: bare_row,
        idle_mib: mib(idle),
        loaded_mib: mib(agent.resident()?),
    };
    print(&report, args.json)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn row(outcome: &Outcome, cpu_seconds: f64) -> Row {
    Row {
        rate: outcome.rate(),
        cpu_us: cpu_seconds * 1e6 / outcome.answered as f64,
        p50_ms: outcome.milliseconds(0.5),
        p99_ms: outcome.milliseconds(0.99),
    }
}

fn median(mut rows: Vec<Row>) -> Row {
    rows.sort_by(|a, b| a.cpu_us.total_cmp(&b.cpu_us));
    rows.swap_remove(rows.len() / 2)
}

#[expect(clippy::cast_precision_loss, reason = "memory far below 2^52 bytes")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

#[expect(clippy::print_stdout, reason = "this is its purpose")]
fn print(report: &Report, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(report)?);
        return Ok(());
    }
    println!("| server | requests/s | CPU µs/request | p50 ms | p99 ms |\n|---|---|---|---|---|");
    for (name, row) in [("agent, cached token", &report.agent), ("bare axum", &report.bare)] {
        println!("| {name} | {:.0} | {:.1} | {:.2} | {:.2} |", row.rate, row.cpu_us, row.p50_ms, row.p99_ms);
    }
    println!("\nagent over bare server: {:.2} × CPU, {:.2} × rate", report.cpu_ratio, report.rate_ratio);
    println!("resident memory of the agent: {:.1} MiB idle, {:.1} MiB after the load", report.idle_mib, report.loaded_mib);
    Ok(())
}
