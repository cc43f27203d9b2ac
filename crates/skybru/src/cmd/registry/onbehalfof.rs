//! `skybru registry onbehalfof`: entries of a client on behalf of others.

use anyhow::Result;
use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};
use skybru_client::selfservice::SelfServiceApi;
use skybru_core::{ClientId, OrgId};

#[derive(Debug, Subcommand)]
pub(super) enum OnBehalfOfCommand {
    /// List a client's entries
    List {
        /// The client's id
        client: ClientId,
        /// Deactivated ones too
        #[arg(long)]
        inactive: bool,
    },
    /// Make one
    Add {
        /// The client's id
        client: ClientId,
        /// The customer
        org: OrgId,
        /// The customer's name
        #[arg(long)]
        name: String,
        /// The entry's id; made by the server when absent
        #[arg(long)]
        id: Option<String>,
        /// Where people can read about it
        #[arg(long, value_name = "URL")]
        uri: Option<String>,
    },
    /// Deactivate one
    Remove {
        /// The client's id
        client: ClientId,
        /// The entry's id
        id: ClientId,
    },
}

pub(super) async fn run(api: &SelfServiceApi, command: OnBehalfOfCommand) -> Result<Value> {
    Ok(match command {
        OnBehalfOfCommand::List { client, inactive } => {
            api.call(Method::GET, &format!("/clients/{client}/onbehalfof?inactive={inactive}"), None).await?
        }
        OnBehalfOfCommand::Add { client, org, name, id, uri } => {
            let body = json!({"onbehalfof": id, "orgno": org.number(), "name": name, "client_uri": uri});
            api.call(Method::POST, &format!("/clients/{client}/onbehalfof"), Some(&body)).await?
        }
        OnBehalfOfCommand::Remove { client, id } => {
            api.call(Method::DELETE, &format!("/clients/{client}/onbehalfof/{id}"), None).await?;
            api.call(Method::GET, &format!("/clients/{client}/onbehalfof"), None).await?
        }
    })
}
