//! `skybru issuer audit …`: is the log what was written, and what does it say?

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;
use skybru_core::OrgNumber;
use skybru_issuer::selfservice::audit_entry;
use skybru_store::audit::{self, AuditQuery, Head, Recorded};

use super::super::{Call, Outcome};
use super::stores;

/// Entries read at a time.
const PAGE: usize = 1000;

/// Arguments of `issuer audit`.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Read the whole log, and name the first entry that was changed, removed, added or moved
    ///
    /// With --json it prints the end of each chain. Kept elsewhere, they prove later that nothing was written anew: give them back with
    /// --kept.
    Verify {
        /// What `verify --json` printed earlier
        #[arg(long, value_name = "FILE")]
        kept: Option<PathBuf>,
    },
    /// Print entries as JSON lines, oldest first
    Export {
        /// Only those made then or later, such as 2026-11-01T00:00:00Z
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        /// Only those that concern this organisation
        #[arg(long, value_name = "ORGNO")]
        org: Option<OrgNumber>,
    },
}

pub(super) async fn run(call: &Call, args: AuditArgs) -> Result<Outcome> {
    let settings = call.settings()?;
    let server = settings.server()?;
    let data = settings.beside(&server.data);
    let store = stores::open_audit(call, &settings, server, &data).await?;
    match args.action {
        Action::Verify { kept } => {
            let kept = kept.map(|file| read_heads(&call.system.folder.join(file))).transpose()?.unwrap_or_default();
            match audit::verify(&*store, &kept).await.context("cannot read the audit log")? {
                Ok(verified) if call.printer.json => {
                    call.printer.object(&json!({"holds": true, "entries": verified.entries, "heads": verified.heads}))?;
                    Ok(Outcome::Done)
                }
                Ok(verified) => {
                    let (entries, chains) = (verified.entries, verified.heads.len());
                    call.printer.data(&format!("the log holds: {entries} entries in {chains} chains"))?;
                    Ok(Outcome::Done)
                }
                Err(broken) => {
                    let (chain, place, problem) = (broken.chain, broken.place, broken.problem);
                    if call.printer.json {
                        call.printer.object(&json!({"holds": false, "chain": chain, "place": place, "problem": problem}))?;
                    } else {
                        call.printer.data(&format!("the log does not hold: entry {place} of chain {chain}: {problem}"))?;
                    }
                    Ok(Outcome::No)
                }
            }
        }
        Action::Export { since, org } => {
            let since = since.map_or(i64::MIN, Timestamp::as_millisecond);
            let mut query = AuditQuery { org, since, after: None, limit: PAGE };
            loop {
                let page = store.entries(&query).await.context("cannot read the audit log")?;
                for entry in &page {
                    call.printer.data(&audit_entry(entry).to_string())?;
                }
                query.after = page.last().map(Recorded::position);
                if page.len() < PAGE {
                    return Ok(Outcome::Done);
                }
            }
        }
    }
}

fn read_heads(file: &std::path::Path) -> Result<Vec<Head>> {
    #[derive(serde::Deserialize)]
    struct Kept {
        heads: Vec<Head>,
    }
    let text = crate::lab::files::read(file)?;
    let kept: Kept = serde_json::from_str(&text)
        .with_context(|| format!("{} is not what `issuer audit verify --json` printed", file.display()))?;
    Ok(kept.heads)
}
