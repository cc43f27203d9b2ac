//! `skybru kit`: what a consumer needs, as one signed file without secrets.
//!
//! The file is a compact JWS with the provider's public key in its header. The signature proves that the holder of that key wrote exactly
//! this; it does not prove who that is. Whoever imports a kit says whose key it is, by a key file or by its thumbprint, learned on another
//! way than the file itself.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use skybru_client::azure::Resource;
use skybru_core::{IssuerUrl, OrgId, ScopeSet};
use skybru_protocol::base64url;
use skybru_protocol::jose::{Algorithm, Jwk, Jws, VerifyingKey};
use toml_edit::{DocumentMut, InlineTable, Item, Table, value};

use super::{Call, Outcome};
use crate::lab::files;
use crate::settings::{Cloud, Settings};
use crate::wire;

/// The only version there is.
const VERSION: u32 = 1;

/// What the header says that this is.
const TYPE: &str = "skybru-kit+jwt";

/// Arguments of `kit`.
#[derive(Debug, Args)]
pub(crate) struct KitArgs {
    #[command(subcommand)]
    command: KitCommand,
}

#[derive(Debug, Subcommand)]
enum KitCommand {
    /// Make a kit of a target's public facts, signed by a client's key
    Create(CreateArgs),
    /// Take a kit over as a target, once it has been checked
    Import(ImportArgs),
}

/// Arguments of `kit create`.
#[derive(Debug, Args)]
struct CreateArgs {
    /// One of `targets` in the settings
    target: String,
    /// Whose key signs: one of `clients` in the settings
    #[arg(long, value_name = "CLIENT")]
    client: String,
    /// For whom it is (may be repeated)
    #[arg(long = "consumer", value_name = "ORGNO")]
    consumers: Vec<OrgId>,
    /// The last day on which it may be imported (UTC), such as 2027-06-30; that is no end of the access itself
    #[arg(long, value_name = "DATE")]
    expires: Option<Date>,
}

/// Arguments of `kit import`.
#[derive(Debug, Args)]
struct ImportArgs {
    /// The kit
    file: PathBuf,
    /// A file with the provider's public key (JWK)
    #[arg(long, value_name = "FILE", conflicts_with = "thumbprint")]
    key: Option<PathBuf>,
    /// The thumbprint of the provider's key, as the provider told it on another way than the kit came
    #[arg(long)]
    thumbprint: Option<String>,
    /// Whose tokens open it: one of `clients` in the settings [default: the only one at the kit's issuer]
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Name the target so [default: as the kit does]
    #[arg(long)]
    name: Option<String>,
    /// Only check
    #[arg(long)]
    dry_run: bool,
    /// Accept it although the check fails: access may be on its way
    #[arg(long)]
    unchecked: bool,
    /// Replace the target of this name
    #[arg(long)]
    replace: bool,
    /// Send tokens to this address, which the kit names in place of the cloud's own (may be repeated)
    #[arg(long = "allow-endpoint", value_name = "URL")]
    endpoints: Vec<String>,
}

/// The payload.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kit {
    version: u32,
    name: String,
    issuer: IssuerUrl,
    scope: ScopeSet,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    /// Unix seconds.
    created: i64,
    /// The last day (UTC) on which it may be imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<Date>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    consumers: Vec<OrgId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aws: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    google: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    azure: Option<Map<String, Value>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: Algorithm,
    typ: String,
    jwk: Jwk,
}

/// Members that name another address than the cloud's own: tokens would go there.
const ADDRESSES: [&str; 3] = ["endpoint", "file-endpoint", "authority"];

pub(crate) async fn run(call: &Call, args: KitArgs) -> Result<Outcome> {
    match args.command {
        KitCommand::Create(args) => create(call, &args).await,
        KitCommand::Import(args) => Box::pin(import(call, args)).await,
    }
}

async fn create(call: &Call, args: &CreateArgs) -> Result<Outcome> {
    let settings = call.settings()?;
    if let Some(last) = args.expires.filter(|last| has_passed(*last, call)) {
        bail!("--expires {last}: that day has passed already");
    }
    let (name, target) = settings.target(Some(&args.target))?;
    let issuer = settings.client(&target.client)?.issuer.clone();
    let kit = Kit {
        version: VERSION,
        name: name.to_owned(),
        issuer: issuer.parse()?,
        scope: target.scope.parse()?,
        resource: target.resource.clone(),
        created: call.system.ctx.clock.now().as_second(),
        expires: args.expires,
        consumers: args.consumers.clone(),
        aws: facts(target.aws.as_ref())?,
        google: facts(target.google.as_ref())?,
        azure: facts(target.azure.as_ref())?,
    };
    let key = settings.identity(&args.client, &call.system)?.key;
    let header = Header { alg: key.algorithm(), typ: TYPE.to_owned(), jwk: key.public_jwk().clone() };
    let encoded = |value: serde_json::Result<Vec<u8>>| value.map(base64url::encode);
    let mut compact = format!("{}.{}", encoded(serde_json::to_vec(&header))?, encoded(serde_json::to_vec(&kit))?);
    let signature = key.sign(compact.as_bytes()).await?;
    compact.push('.');
    compact.push_str(&base64url::encode(signature));
    call.printer.data(&compact)?;
    call.printer.say(&format!("the key's thumbprint, to be told on another way: {}", header.jwk.thumbprint()?));
    Ok(Outcome::Done)
}

/// Whether a day is over (UTC).
fn has_passed(last: Date, call: &Call) -> bool {
    call.system.ctx.clock.now().to_zoned(TimeZone::UTC).date() > last
}

/// What is set, without files of this machine: they say nothing to another.
fn facts(options: Option<&impl Serialize>) -> Result<Option<Map<String, Value>>> {
    let Some(options) = options else { return Ok(None) };
    let mut members = serde_json::to_value(options)?.as_object().cloned().unwrap_or_default();
    members.retain(|member, content| member != "ca-file" && !content.is_null());
    Ok(Some(members))
}

async fn import(call: &Call, args: ImportArgs) -> Result<Outcome> {
    let text = files::read(&call.system.folder.join(&args.file))?;
    let kit = verified(call, &args, text.trim())?;
    let mut settings = call.settings()?;
    let client = own_client(&settings, &kit, args.client.as_deref())?;
    let name = args.name.clone().unwrap_or_else(|| kit.name.clone());
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
        bail!("{name:?} cannot name a target: give --name with letters, digits, - and _");
    }
    if settings.options.targets.contains_key(&name) && !args.replace {
        bail!("there is a target {name:?} already: add --replace, or --name ANOTHER");
    }
    check_addresses(&kit, &args.endpoints)?;
    let target = as_target(&kit, &client);
    let options = serde_json::from_value(target.clone()).context("the kit's target is not one that skybru knows")?;
    settings.options.targets.insert(name.clone(), options);
    let failures = tried(call, &settings, &name).await?;
    if args.dry_run {
        return Ok(if failures == 0 { Outcome::Done } else { Outcome::No });
    }
    if failures > 0 && !args.unchecked {
        call.printer.say("the kit was not accepted; if access is still to come, add --unchecked");
        return Ok(Outcome::No);
    }
    let file =
        settings.file.clone().context("the settings come from the environment alone: there is no file to write the target to")?;
    let edited = with_target(&files::read(&file)?, &name, &target)?;
    files::write(&file, edited.as_bytes())?;
    call.printer.say(&format!("target {name:?} stands in {}: try `skybru ls {name}:`", file.display()));
    Ok(Outcome::Done)
}

/// The kit, once its signature has been found to be that of the key that was named.
fn verified(call: &Call, args: &ImportArgs, compact: &str) -> Result<Kit> {
    let jws = Jws::parse(compact).context("the file is no kit: expected one compact JWS")?;
    let header: Header = serde_json::from_slice(jws.header_bytes()).context("the kit's header is not that of a kit")?;
    if header.typ != TYPE {
        bail!("the file is signed, but is no kit: its typ is {:?}, expected {TYPE:?}", header.typ);
    }
    let thumbprint = header.jwk.thumbprint()?;
    let expected = match (&args.key, &args.thumbprint) {
        (Some(file), _) => {
            let text = files::read(&call.system.folder.join(file))?;
            let key: Jwk = serde_json::from_str(&text).with_context(|| format!("{} is no public JWK", file.display()))?;
            key.thumbprint()?
        }
        (None, Some(thumbprint)) => thumbprint.clone(),
        (None, None) => bail!(
            "whose key is {thumbprint}? A signature tells only that its holder wrote this: ask the provider on another way than the kit \
             came, and give --thumbprint {thumbprint}, or --key FILE with the provider's public key"
        ),
    };
    if expected != thumbprint {
        bail!("the kit is signed by the key {thumbprint}, but {expected} was expected: do not use it");
    }
    let key = VerifyingKey::from_jwk(&header.jwk)?;
    let checked = key.verify(header.alg, jws.signing_input().as_bytes(), jws.signature());
    checked.context("the kit's signature does not hold: it was changed after it was signed, or damaged")?;
    let version: Value = serde_json::from_slice(jws.payload()).context("the kit's content is no JSON")?;
    if version["version"] != json!(VERSION) {
        bail!("the kit is of version {}, and this skybru knows version {VERSION} alone", version["version"]);
    }
    let kit: Kit = serde_json::from_slice(jws.payload())
        .context("the kit says something that this skybru does not know, so it is not used")?;
    if let Some(last) = kit.expires.filter(|last| has_passed(*last, call)) {
        bail!("the kit expired: {last} was the last day to import it; ask the provider for a new one");
    }
    Ok(kit)
}

/// The client whose tokens open it. A kit of an issuer at which we are nobody is refused.
fn own_client(settings: &Settings, kit: &Kit, named: Option<&str>) -> Result<String> {
    let at_issuer = |client: &str| settings.client(client).is_ok_and(|client| client.issuer == kit.issuer.as_str());
    if let Some(name) = named {
        let issuer = &settings.client(name)?.issuer;
        if !at_issuer(name) {
            bail!("the kit is for tokens of {}, but client {name:?} is one of {issuer}", kit.issuer);
        }
        return Ok(name.to_owned());
    }
    let mine: Vec<&String> = settings.options.clients.keys().filter(|name| at_issuer(name)).collect();
    match mine[..] {
        [only] => Ok(only.clone()),
        [] => bail!(
            "the kit is for tokens of {}, at which no client of the settings is registered: is that issuer meant? Register a client there, \
             and add it as clients.NAME",
            kit.issuer
        ),
        _ => bail!("several clients of the settings are registered at {}: name one with --client", kit.issuer),
    }
}

/// Tokens go to the cloud's own addresses, or to this machine, or to what the user allows by name.
fn check_addresses(kit: &Kit, allowed: &[String]) -> Result<()> {
    for (cloud, members) in [("aws", &kit.aws), ("google", &kit.google), ("azure", &kit.azure)] {
        let Some(members) = members else { continue };
        if members.contains_key("ca-file") {
            bail!("the kit names a file of this machine ({cloud}.ca-file), which a kit must not");
        }
        for member in ADDRESSES {
            let Some(address) = members.get(member).and_then(Value::as_str) else { continue };
            let local =
                url::Url::parse(address).is_ok_and(|url| matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")));
            if !local && !allowed.iter().any(|allowed| allowed == address) {
                bail!(
                    "the kit would send tokens to {address} ({cloud}.{member}): if that is meant, add --allow-endpoint {address}"
                );
            }
        }
    }
    Ok(())
}

fn as_target(kit: &Kit, client: &str) -> Value {
    let mut target = json!({"client": client, "scope": kit.scope.to_string()});
    if let Some(resource) = &kit.resource {
        target["resource"] = json!(resource);
    }
    for (cloud, members) in [("aws", &kit.aws), ("google", &kit.google), ("azure", &kit.azure)] {
        if let Some(members) = members {
            target[cloud] = Value::Object(members.clone());
        }
    }
    target
}

/// Issuer, token, exchange: each tried, and told. How many failed.
async fn tried(call: &Call, settings: &Settings, name: &str) -> Result<u32> {
    let (_, target) = settings.target(Some(name))?;
    let mut failures = 0;
    let mut tell = |what: &str, outcome: Result<()>| match outcome {
        Ok(()) => call.printer.say(&format!("ok      {what}")),
        Err(error) => {
            failures += 1;
            call.printer.say(&format!("failed  {what}: {}", crate::report::on_one_line(&error)));
        }
    };
    let wired = wire::client(settings, &target.client, &call.system)?;
    let request = settings.request(name, target, &[], &[])?;
    let token = wired.tokens.fresh(&request).await;
    let what = format!("{} gives client {:?} a token for {}", wired.tokens.identity().issuer, target.client, request.scopes);
    let has_token = token.is_ok();
    tell(&what, token.map(drop).map_err(Into::into));
    if has_token {
        for cloud in Settings::clouds(target) {
            let (what, outcome) = match cloud {
                Cloud::Aws => {
                    let credentials = wire::aws(settings, Some(name), &call.system)?.credentials;
                    ("AWS", credentials.fresh().await.map(drop).map_err(anyhow::Error::from))
                }
                Cloud::Google => {
                    let credentials = wire::google(settings, Some(name), &call.system)?.credentials;
                    ("Google Cloud", credentials.fresh().await.map(drop).map_err(anyhow::Error::from))
                }
                Cloud::Azure => {
                    let credentials = wire::azure(settings, Some(name), &call.system)?.credentials;
                    ("Azure", credentials.fresh(&Resource::storage()).await.map(drop).map_err(anyhow::Error::from))
                }
            };
            tell(&format!("{what} takes the token"), outcome);
        }
    }
    Ok(failures)
}

/// The settings file with the target in it; comments and order stay.
fn with_target(text: &str, name: &str, target: &Value) -> Result<String> {
    let mut document: DocumentMut = text.parse().context("the settings file is not TOML")?;
    let mut table = Table::new();
    for (member, content) in target.as_object().into_iter().flatten() {
        match content {
            Value::Object(members) => {
                let mut inline = InlineTable::new();
                for (member, content) in members {
                    inline.insert(member, plain(content)?);
                }
                table.insert(member, value(inline));
            }
            content => {
                table.insert(member, Item::Value(plain(content)?));
            }
        }
    }
    let targets = document.entry("targets").or_insert_with(|| {
        let mut targets = Table::new();
        targets.set_implicit(true);
        Item::Table(targets)
    });
    let targets = targets.as_table_mut().context("targets in the settings file is no table")?;
    targets.insert(name, Item::Table(table));
    Ok(document.to_string())
}

fn plain(content: &Value) -> Result<toml_edit::Value> {
    match content {
        Value::String(text) => Ok(text.as_str().into()),
        Value::Bool(yes) => Ok((*yes).into()),
        Value::Number(number) => Ok(number.as_i64().context("a number that is no integer")?.into()),
        other => bail!("the kit holds {other} where text, a number or true and false may stand"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_added_and_comments_stay() {
        let before = "# mine\n[clients.demo] # who we are\nissuer = \"x\"\n\n[targets.old]\nclient = \"demo\" # keep\n";
        let target = json!({"client": "demo", "scope": "a:b", "aws": {"role-arn": "r", "duration-seconds": 900}});
        let after = with_target(before, "new", &target).unwrap();
        assert!(after.starts_with(before.trim_end()), "{after}");
        let table: toml::Table = after.parse().unwrap();
        assert_eq!(table["targets"]["new"]["aws"]["duration-seconds"].as_integer(), Some(900));
        assert_eq!(table["targets"]["old"]["client"].as_str(), Some("demo"));
    }

    #[test]
    fn tokens_go_to_no_address_that_was_not_allowed() {
        let kit = |endpoint: &str| Kit {
            version: 1,
            name: "t".to_owned(),
            issuer: "https://sky.maskinporten.no".parse().unwrap(),
            scope: "a:b".parse().unwrap(),
            resource: None,
            created: 0,
            expires: None,
            consumers: Vec::new(),
            aws: json!({"endpoint": endpoint}).as_object().cloned(),
            google: None,
            azure: None,
        };
        check_addresses(&kit("http://localhost:7411"), &[]).unwrap();
        let evil = "https://sts.evil.example";
        assert!(check_addresses(&kit(evil), &[]).unwrap_err().to_string().contains("--allow-endpoint"));
        check_addresses(&kit(evil), &[evil.to_owned()]).unwrap();
        assert!(check_addresses(&kit("http://localhost.evil.example"), &[]).is_err());
    }
}
