//! `skybru config show`.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, json};

use super::{Call, Outcome};

/// Arguments of `config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Show each value in effect
    Show {
        /// And where it comes from
        #[arg(long)]
        origin: bool,
    },
}

pub(crate) fn run(call: &Call, args: &ConfigArgs) -> Result<Outcome> {
    let ConfigCommand::Show { origin } = args.command;
    let settings = call.settings()?;
    if call.printer.json {
        let mut shown = Map::new();
        for (key, (value, from)) in &settings.origins {
            let value = if origin { json!({"value": value, "origin": from.to_string()}) } else { json!(value) };
            shown.insert(key.clone(), value);
        }
        call.printer.object(&shown)?;
        return Ok(Outcome::Done);
    }
    for (key, (value, from)) in &settings.origins {
        let from = if origin { format!("    # {from}") } else { String::new() };
        call.printer.data(&format!("{key} = {value:?}{from}"))?;
    }
    if settings.origins.is_empty() {
        call.printer.say("no settings: there is no skybru.toml here, and no SKYBRU_ variable is set");
    }
    Ok(Outcome::Done)
}
