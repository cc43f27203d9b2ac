//! `skybru registry delegation`: which supplier may use a scope in the own name, and who keeps such decisions.

use anyhow::Result;
use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};
use skybru_client::selfservice::SelfServiceApi;
use skybru_core::{OrgId, ScopeName};

use super::encoded;

#[derive(Debug, Subcommand)]
pub(super) enum DelegationCommand {
    /// List delegations by, to, or of scopes of the own organisation
    List {
        /// Of this scope only
        #[arg(long)]
        scope: Option<ScopeName>,
        /// Withdrawn ones too
        #[arg(long)]
        inactive: bool,
    },
    /// Let a supplier use a scope in the own name
    Give {
        /// The scope; it must have a delegation source
        scope: ScopeName,
        /// The supplier
        supplier: OrgId,
        /// In another organisation's name (the issuer's operator)
        #[arg(long, value_name = "ORGNO")]
        consumer: Option<OrgId>,
    },
    /// Take it back
    Revoke {
        /// The scope
        scope: ScopeName,
        /// The supplier
        supplier: OrgId,
        /// In another organisation's name (the issuer's operator)
        #[arg(long, value_name = "ORGNO")]
        consumer: Option<OrgId>,
    },
    /// List who keeps delegations
    Sources,
    /// Register who keeps delegations, by a short name (the issuer's operator)
    PutSource {
        /// Such as altinn
        name: String,
        /// What scopes and tokens name it by: the address of its issuer
        issuer: String,
    },
}

impl DelegationCommand {
    /// Whether it takes the operator.
    pub(super) fn is_operators(&self) -> bool {
        match self {
            Self::Give { consumer, .. } | Self::Revoke { consumer, .. } => consumer.is_some(),
            Self::PutSource { .. } => true,
            Self::List { .. } | Self::Sources => false,
        }
    }
}

pub(super) async fn run(api: &SelfServiceApi, command: DelegationCommand) -> Result<Value> {
    let path = |scope: &ScopeName, supplier: OrgId, consumer: Option<OrgId>| {
        let consumer = consumer.map_or_else(String::new, |org| format!("&consumer_orgno={}", org.number()));
        format!("/delegations/{}?scope={}{consumer}", supplier.number(), encoded(scope))
    };
    Ok(match command {
        DelegationCommand::List { scope, inactive } => {
            let scope = scope.map_or_else(String::new, |scope| format!("&scope={}", encoded(&scope)));
            api.call(Method::GET, &format!("/delegations?inactive={inactive}{scope}"), None).await?
        }
        DelegationCommand::Give { scope, supplier, consumer } => {
            api.call(Method::PUT, &path(&scope, supplier, consumer), None).await?
        }
        DelegationCommand::Revoke { scope, supplier, consumer } => {
            api.call(Method::DELETE, &path(&scope, supplier, consumer), None).await?
        }
        DelegationCommand::Sources => api.call(Method::GET, "/delegationsources", None).await?,
        DelegationCommand::PutSource { name, issuer } => {
            let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
            api.call(Method::PUT, &format!("/delegationsources/{name}"), Some(&json!({"issuer": issuer}))).await?
        }
    })
}
