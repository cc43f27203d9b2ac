//! `skybru registry`: the self-service API for people.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use skybru_client::selfservice::SelfServiceApi;
use skybru_core::{ClientId, OrgId, Prefix, ScopeName};
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey};

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
    Org(OrgCommand),
    /// Scopes of the own prefixes
    #[command(subcommand)]
    Scope(ScopeCommand),
    /// Who may have the own scopes
    #[command(subcommand)]
    Access(AccessCommand),
    /// Own clients and their keys
    #[command(subcommand)]
    Client(ClientCommand),
}

#[derive(Debug, Subcommand)]
enum OrgCommand {
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

#[derive(Debug, Subcommand)]
enum ScopeCommand {
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
    },
    /// Deactivate one: nobody gets tokens for it any more
    Remove {
        /// The scope
        scope: ScopeName,
    },
}

#[derive(Debug, Subcommand)]
enum AccessCommand {
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

#[derive(Debug, Subcommand)]
enum ClientCommand {
    /// List the own clients
    List {
        /// Deactivated ones too
        #[arg(long)]
        inactive: bool,
    },
    /// Show one
    Show {
        /// Its id
        id: ClientId,
    },
    /// Register one
    Add {
        /// Its name, for people
        #[arg(long)]
        name: String,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
        /// A scope that it may ask for (may be repeated)
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<ScopeName>,
        /// Make a key, write the private half here, and register the public half
        #[arg(long, value_name = "FILE")]
        new_key: Option<PathBuf>,
        /// Another organisation's first client (the issuer's operator)
        #[arg(long, value_name = "ORGNO")]
        org: Option<OrgId>,
    },
    /// Deactivate one: it gets no more tokens
    Remove {
        /// Its id
        id: ClientId,
    },
    /// Show the keys of one
    Keys {
        /// Its id
        id: ClientId,
    },
    /// Register a key beside those that it has, or renew one
    AddKey {
        /// Its id
        id: ClientId,
        /// A private key (JWK or PEM) whose public half is registered; made if the file is not there
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Take a key away
    RemoveKey {
        /// Its id
        id: ClientId,
        /// The key id
        #[arg(long)]
        kid: String,
    },
}

const READ_AND_WRITE_SCOPES: &str = "idporten:scopes.write";
const READ_AND_WRITE_CLIENTS: &str = "idporten:dcr.write";
const OPERATE: &str = "skybru:operator";

pub(crate) async fn run(call: &Call, args: RegistryArgs) -> Result<Outcome> {
    let settings = call.settings()?;
    let scopes = match &args.command {
        RegistryCommand::Org(_) => OPERATE,
        RegistryCommand::Scope(_) | RegistryCommand::Access(_) => READ_AND_WRITE_SCOPES,
        RegistryCommand::Client(ClientCommand::Add { org: Some(_), .. }) => "idporten:dcr.write skybru:operator",
        RegistryCommand::Client(_) => READ_AND_WRITE_CLIENTS,
    };
    let api = wire::registry(&settings, args.actor.as_deref(), scopes, &call.system)?;
    let answer = match args.command {
        RegistryCommand::Org(command) => org(&api, command).await?,
        RegistryCommand::Scope(command) => scope(&api, command).await?,
        RegistryCommand::Access(command) => access(&api, command).await?,
        RegistryCommand::Client(command) => client(&api, command, call).await?,
    };
    print(call, &answer)?;
    Ok(Outcome::Done)
}

async fn org(api: &SelfServiceApi, command: OrgCommand) -> Result<Value> {
    Ok(match command {
        OrgCommand::List => api.call(Method::GET, "/organisations", None).await?,
        OrgCommand::Put { org, name, prefixes } => {
            let body = json!({"name": name, "prefixes": prefixes});
            api.call(Method::PUT, &format!("/organisations/{}", org.number()), Some(&body)).await?
        }
    })
}

async fn scope(api: &SelfServiceApi, command: ScopeCommand) -> Result<Value> {
    Ok(match command {
        ScopeCommand::List { inactive } => api.call(Method::GET, &format!("/scopes?inactive={inactive}"), None).await?,
        ScopeCommand::Add { scope, description, open, max_age } => {
            let body = json!({
                "prefix": scope.prefix(), "subscope": scope.subscope(), "description": description, "accessible_for_all": open,
                "at_max_age": max_age, "allowed_integration_types": ["maskinporten"]
            });
            api.call(Method::POST, "/scopes", Some(&body)).await?
        }
        ScopeCommand::Remove { scope } => api.call(Method::DELETE, &format!("/scopes?scope={}", encoded(&scope)), None).await?,
    })
}

async fn access(api: &SelfServiceApi, command: AccessCommand) -> Result<Value> {
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

async fn client(api: &SelfServiceApi, command: ClientCommand, call: &Call) -> Result<Value> {
    Ok(match command {
        ClientCommand::List { inactive } => api.call(Method::GET, &format!("/clients?inactive={inactive}"), None).await?,
        ClientCommand::Show { id } => api.call(Method::GET, &format!("/clients/{id}"), None).await?,
        ClientCommand::Remove { id } => api.call(Method::DELETE, &format!("/clients/{id}"), None).await?,
        ClientCommand::Keys { id } => api.call(Method::GET, &format!("/clients/{id}/jwks"), None).await?,
        ClientCommand::Add { name, description, scopes, new_key, org } => {
            // The key first: a client without one could not be used, and a file that cannot be written is found out before anything is
            // registered.
            let key = new_key.map(|file| private_key(call, &file)).transpose()?;
            let mut body = json!({
                "client_name": name, "description": description, "integration_type": "maskinporten", "application_type": "web",
                "token_endpoint_auth_method": "private_key_jwt", "scopes": scopes
            });
            if let Some(org) = org {
                body["client_orgno"] = json!(org.number());
            }
            let client = api.call(Method::POST, "/clients", Some(&body)).await?;
            if let Some(key) = key {
                let id = client["client_id"].as_str().context("the API's answer has no client_id")?;
                let keys = json!({"keys": [key.public_jwk()]});
                api.call(Method::POST, &format!("/clients/{id}/jwks"), Some(&keys)).await?;
            }
            client
        }
        ClientCommand::AddKey { id, key } => {
            let key = private_key(call, &key)?;
            let mut keys = registered_keys(api, &id).await?;
            keys.retain(|known| known["kid"] != key.kid().as_str());
            keys.insert(0, serde_json::to_value(key.public_jwk())?);
            api.call(Method::POST, &format!("/clients/{id}/jwks"), Some(&json!({"keys": keys}))).await?
        }
        ClientCommand::RemoveKey { id, kid } => {
            let mut keys = registered_keys(api, &id).await?;
            let before = keys.len();
            keys.retain(|known| known["kid"] != kid.as_str());
            if keys.len() == before {
                bail!("client {id} has no key {kid:?}");
            }
            if keys.is_empty() {
                bail!("{kid:?} is the client's last key: without it the client gets no tokens; add another one first");
            }
            api.call(Method::POST, &format!("/clients/{id}/jwks"), Some(&json!({"keys": keys}))).await?
        }
    })
}

async fn registered_keys(api: &SelfServiceApi, id: &ClientId) -> Result<Vec<Value>> {
    let known = api.call(Method::GET, &format!("/clients/{id}/jwks"), None).await?;
    Ok(known["keys"].as_array().cloned().unwrap_or_default())
}

/// The key in `file`; made and written there, readable by its owner only, if there is no such file.
fn private_key(call: &Call, file: &std::path::Path) -> Result<SigningKey> {
    let path = call.system.folder.join(file);
    if path.exists() {
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        return SigningKey::from_text(&text, None).with_context(|| format!("cannot use the key in {}", path.display()));
    }
    let key = SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256)?;
    crate::lab::files::write_private(&path, key.private_jwk()?.as_bytes())?;
    call.printer.say(&format!("made a new key; its private half is in {} and must stay on this machine", path.display()));
    Ok(key)
}

fn encoded(scope: &ScopeName) -> String {
    url::form_urlencoded::byte_serialize(scope.as_str().as_bytes()).collect()
}

/// JSON as it came, or one line per thing with what people look for.
fn print(call: &Call, answer: &Value) -> Result<()> {
    if call.printer.json {
        return Ok(call.printer.object(answer)?);
    }
    let rows = match answer {
        Value::Array(rows) => rows.iter().collect(),
        Value::Object(members) if members.contains_key("keys") => answer["keys"].as_array().into_iter().flatten().collect(),
        one => vec![one],
    };
    for row in &rows {
        call.printer.data(&line(row))?;
    }
    if rows.is_empty() {
        call.printer.say("none");
    }
    Ok(())
}

fn line(row: &Value) -> String {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let state = if row["active"] == json!(false) { "  (deactivated)" } else { "" };
    if !row["client_id"].is_null() {
        let scopes: Vec<&str> = row["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        return format!("{}  {}  {}{state}", text("client_id"), text("client_name"), scopes.join(" "));
    }
    if !row["consumer_orgno"].is_null() {
        return format!(
            "{}  0192:{}  {}  {}",
            text("scope"),
            text("consumer_orgno"),
            text("state"),
            text("consumer_organization_name")
        );
    }
    if !row["subscope"].is_null() {
        let open = if row["accessible_for_all"] == json!(true) { "  (open to all)" } else { "" };
        return format!("{}  {}{open}{state}", text("name"), text("description"));
    }
    if !row["kid"].is_null() {
        let until = row["exp"].as_i64().and_then(|exp| jiff::Timestamp::from_second(exp).ok());
        return format!("{}  until {}", text("kid"), until.map_or_else(String::new, |until| until.to_string()));
    }
    if !row["prefixes"].is_null() {
        let prefixes: Vec<&str> = row["prefixes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        return format!("0192:{}  {}  {}", text("orgno"), text("name"), prefixes.join(" "));
    }
    row.to_string()
}
