//! `skybru registry client`: own clients and their keys.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};
use skybru_client::selfservice::SelfServiceApi;
use skybru_core::{ClientId, OrgId, ScopeName};
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey};

use super::super::Call;

#[derive(Debug, Subcommand)]
pub(super) enum ClientCommand {
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
        #[arg(long, value_name = "FILE", required_unless_present = "of")]
        key: Option<PathBuf>,
        /// The key of one of `clients` in the settings, wherever it is kept: in a file, in hardware, in a cloud's key service
        #[arg(long, value_name = "CLIENT", conflicts_with = "key")]
        of: Option<String>,
    },
    /// Give one of `clients` in the settings its next key: registered, proven, put in place, and only then the old one goes
    RotateKey(crate::cmd::rotate::RotateArgs),
    /// Take a key away
    RemoveKey {
        /// Its id
        id: ClientId,
        /// The key id
        #[arg(long)]
        kid: String,
    },
}

pub(super) async fn run(api: &SelfServiceApi, command: ClientCommand, call: &Call) -> Result<Value> {
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
        ClientCommand::AddKey { id, key, of } => {
            let public = public_key(call, key.as_deref(), of.as_deref())?;
            let mut keys = registered_keys(api, &id).await?;
            keys.retain(|known| known["kid"] != public["kid"]);
            keys.insert(0, public);
            api.call(Method::POST, &format!("/clients/{id}/jwks"), Some(&json!({"keys": keys}))).await?
        }
        // Was taken care of before: it is more than a call of the API.
        ClientCommand::RotateKey(_) => Value::Null,
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

/// The public half of the key in `file`, or of that of a client in the settings.
fn public_key(call: &Call, file: Option<&std::path::Path>, of: Option<&str>) -> Result<Value> {
    if let Some(file) = file {
        return Ok(serde_json::to_value(private_key(call, file)?.public_jwk())?);
    }
    let identity = call.settings()?.identity(of.context("give --key or --of")?, &call.system)?;
    let mut public = serde_json::to_value(identity.key.public_jwk())?;
    // By this id assertions will name it.
    public["kid"] = json!(identity.key.kid().as_str());
    Ok(public)
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
