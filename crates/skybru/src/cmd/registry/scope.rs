//! `skybru registry scope`: scopes of the own prefixes.

use anyhow::Result;
use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};
use skybru_client::selfservice::SelfServiceApi;
use skybru_core::ScopeName;

use super::encoded;

#[derive(Debug, Subcommand)]
pub(super) enum ScopeCommand {
    /// List the own scopes
    List {
        /// Deactivated ones too
        #[arg(long)]
        inactive: bool,
    },
    /// Create one
    Add {
        /// Such as entur:skyporten.demo
        scope: ScopeName,
        /// What it is for
        #[arg(long)]
        description: String,
        /// Everybody may have it
        #[arg(long)]
        open: bool,
        /// Tokens live at most so many seconds
        #[arg(long, value_name = "SECONDS")]
        max_age: Option<u32>,
        /// Consumers may delegate it; the issuer address of who keeps the delegations
        #[arg(long, value_name = "ISSUER")]
        delegation_source: Option<String>,
    },
    /// Deactivate one: nobody gets tokens for it any more
    Remove {
        /// The scope
        scope: ScopeName,
    },
}

pub(super) async fn run(api: &SelfServiceApi, command: ScopeCommand) -> Result<Value> {
    Ok(match command {
        ScopeCommand::List { inactive } => api.call(Method::GET, &format!("/scopes?inactive={inactive}"), None).await?,
        ScopeCommand::Add { scope, description, open, max_age, delegation_source } => {
            let body = json!({
                "prefix": scope.prefix(), "subscope": scope.subscope(), "description": description, "accessible_for_all": open,
                "at_max_age": max_age, "delegation_source": delegation_source, "allowed_integration_types": ["maskinporten"]
            });
            api.call(Method::POST, "/scopes", Some(&body)).await?
        }
        ScopeCommand::Remove { scope } => api.call(Method::DELETE, &format!("/scopes?scope={}", encoded(&scope)), None).await?,
    })
}
