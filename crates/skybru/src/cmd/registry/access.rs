//! `skybru registry access`: who may have the own scopes.

use anyhow::Result;
use clap::Subcommand;
use http::Method;
use serde_json::Value;
use skybru_client::selfservice::SelfServiceApi;
use skybru_core::{OrgId, ScopeName};

use super::encoded;

#[derive(Debug, Subcommand)]
pub(super) enum AccessCommand {
    /// List who has access to the own scopes
    List {
        /// To this scope only
        #[arg(long)]
        scope: Option<ScopeName>,
    },
    /// List what others have granted to the own organisation
    Granted,
    /// Grant a scope to an organisation
    Grant {
        /// The own scope
        scope: ScopeName,
        /// The organisation
        org: OrgId,
    },
    /// Withdraw it
    Revoke {
        /// The own scope
        scope: ScopeName,
        /// The organisation
        org: OrgId,
    },
}

pub(super) async fn run(api: &SelfServiceApi, command: AccessCommand) -> Result<Value> {
    let path = |scope: &ScopeName, org: OrgId| format!("/scopes/access/{}?scope={}", org.number(), encoded(scope));
    Ok(match command {
        AccessCommand::List { scope: Some(scope) } => {
            api.call(Method::GET, &format!("/scopes/access?scope={}", encoded(&scope)), None).await?
        }
        AccessCommand::List { scope: None } => api.call(Method::GET, "/scopes/access", None).await?,
        AccessCommand::Granted => api.call(Method::GET, "/scopes/access/all", None).await?,
        AccessCommand::Grant { scope, org } => api.call(Method::PUT, &path(&scope, org), None).await?,
        AccessCommand::Revoke { scope, org } => api.call(Method::DELETE, &path(&scope, org), None).await?,
    })
}
