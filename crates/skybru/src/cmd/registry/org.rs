//! `skybru registry org`: organisations and their prefixes.

use anyhow::Result;
use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};
use skybru_client::selfservice::SelfServiceApi;
use skybru_core::{OrgId, Prefix};

#[derive(Debug, Subcommand)]
pub(super) enum OrgCommand {
    /// List all
    List,
    /// Register one, or change it
    Put {
        /// Nine digits, or 0192: and nine digits
        org: OrgId,
        /// Its name
        #[arg(long)]
        name: String,
        /// A prefix of its own (may be repeated); those left out become free
        #[arg(long = "prefix", value_name = "PREFIX")]
        prefixes: Vec<Prefix>,
    },
}

pub(super) async fn run(api: &SelfServiceApi, command: OrgCommand) -> Result<Value> {
    Ok(match command {
        OrgCommand::List => api.call(Method::GET, "/organisations", None).await?,
        OrgCommand::Put { org, name, prefixes } => {
            let body = json!({"name": name, "prefixes": prefixes});
            api.call(Method::PUT, &format!("/organisations/{}", org.number()), Some(&body)).await?
        }
    })
}
