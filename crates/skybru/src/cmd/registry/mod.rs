//! `skybru registry`: the self-service API for people. One file per noun.

mod access;
mod client;
mod delegation;
mod onbehalfof;
mod org;
mod scope;
mod secret;
mod show;

use anyhow::Result;
use clap::{Args, Subcommand};
use skybru_core::ScopeName;

use super::{Call, Outcome};
use crate::wire;

/// Arguments of `registry`.
#[derive(Debug, Args)]
pub(crate) struct RegistryArgs {
    /// Act as this one of `clients` instead of `registry.client`
    #[arg(long = "as", value_name = "CLIENT", global = true)]
    actor: Option<String>,
    #[command(subcommand)]
    command: RegistryCommand,
}

#[derive(Debug, Subcommand)]
enum RegistryCommand {
    /// Organisations and their prefixes (the issuer's operator)
    #[command(subcommand)]
    Org(org::OrgCommand),
    /// Scopes of the own prefixes
    #[command(subcommand)]
    Scope(scope::ScopeCommand),
    /// Who may have the own scopes
    #[command(subcommand)]
    Access(access::AccessCommand),
    /// Own clients and their keys
    #[command(subcommand)]
    Client(client::ClientCommand),
    /// Secrets of clients that may have one
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// Entries of a client on behalf of others
    #[command(subcommand)]
    Onbehalfof(onbehalfof::OnBehalfOfCommand),
    /// Which supplier may use a scope in the own name
    #[command(subcommand)]
    Delegation(delegation::DelegationCommand),
}

const SCOPES: &str = "idporten:scopes.write";
const CLIENTS: &str = "idporten:dcr.write";
const ENTRIES: &str = "idporten:dcr/onbehalfof:write";
const OPERATE: &str = "skybru:operator";

pub(crate) async fn run(call: &Call, args: RegistryArgs) -> Result<Outcome> {
    if let RegistryCommand::Client(client::ClientCommand::RotateKey(rotation)) = args.command {
        return super::rotate::run(call, rotation, args.actor.as_deref()).await;
    }
    let settings = call.settings()?;
    let scopes = match &args.command {
        RegistryCommand::Org(_) => OPERATE,
        RegistryCommand::Scope(_) | RegistryCommand::Access(_) => SCOPES,
        RegistryCommand::Client(client::ClientCommand::Add { org: Some(_), .. }) => "idporten:dcr.write skybru:operator",
        RegistryCommand::Onbehalfof(_) => ENTRIES,
        RegistryCommand::Delegation(command) if command.is_operators() => OPERATE,
        RegistryCommand::Client(_) | RegistryCommand::Secret(_) | RegistryCommand::Delegation(_) => CLIENTS,
    };
    let api = wire::registry(&settings, args.actor.as_deref(), scopes, &call.system)?;
    let answer = match args.command {
        RegistryCommand::Org(command) => org::run(&api, command).await?,
        RegistryCommand::Scope(command) => scope::run(&api, command).await?,
        RegistryCommand::Access(command) => access::run(&api, command).await?,
        RegistryCommand::Client(command) => client::run(&api, command, call).await?,
        RegistryCommand::Secret(command) => return secret::run(&api, command, call).await,
        RegistryCommand::Onbehalfof(command) => onbehalfof::run(&api, command).await?,
        RegistryCommand::Delegation(command) => delegation::run(&api, command).await?,
    };
    show::print(call, &answer)?;
    Ok(Outcome::Done)
}

fn encoded(scope: &ScopeName) -> String {
    url::form_urlencoded::byte_serialize(scope.as_str().as_bytes()).collect()
}
