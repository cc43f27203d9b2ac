//! `skybru issuer keys`.

use std::sync::Arc;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use skybru_core::KeyId;
use skybru_issuer::keys::{Holder, KeyBook, KeyRecord, KeyState, Keys, RegistryKeys, RotationRules, SwitchError};
use skybru_signer::seal::Seal;
use skybru_signer::{Signer, x5c};

use super::super::{Call, Outcome};
use super::Place;
use super::folder::Folder;
use super::holding::Holding;
use super::key_folder::KeyFolder;
use super::serve;

/// Arguments of `issuer keys`.
#[derive(Debug, Args)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show every key, where it stands, and when it may go on
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Prepare the next key; or, when one is prepared and every cache has run out, let it sign
    Rotate {
        #[command(flatten)]
        place: Place,
        /// Take a key that is there already: a file, `pkcs11:…`, or the name of a key in a cloud's key service
        #[arg(long, value_name = "NAME")]
        key: Option<String>,
        /// A key is in wrong hands: switch now and take the old keys away, whatever breaks
        #[arg(long)]
        emergency: bool,
        /// Yes, break what --emergency says that it breaks
        #[arg(long, requires = "emergency")]
        yes: bool,
    },
    /// Take a key away that no token needs any more
    Retire {
        #[command(flatten)]
        place: Place,
        /// The key's id
        kid: String,
    },
    /// Print a new key file to seal keys with, as `age-keygen` makes it
    SealKey,
}

/// Keys of a private issuer, or those that servers share.
enum Opened {
    Folder { keys: KeyFolder, rules: RotationRules },
    Server { keys: RegistryKeys, holding: Holding, rules: RotationRules, bits: u32 },
}

impl Opened {
    /// The folder, if there is a private issuer in it; else the installation that the settings describe.
    async fn open(call: &Call, place: &Place) -> Result<Self> {
        let path = call.system.folder.join(&place.dir);
        let settings = call.settings()?;
        if Folder::is_one(&path) || settings.options.server.is_none() {
            let Folder { settings, keys } = Folder::open(call, &place.dir)?;
            return Ok(Self::Folder { keys, rules: settings.rules() });
        }
        let server = settings.server()?;
        let (registry, data) = serve::open_registry(call, &settings).await?;
        let holding = serve::holding(call, &settings, &data)?;
        Ok(Self::Server { keys: RegistryKeys::new(registry), holding, rules: serve::rules(server)?, bits: server.key_bits })
    }

    fn rules(&self) -> RotationRules {
        match self {
            Self::Folder { rules, .. } | Self::Server { rules, .. } => *rules,
        }
    }

    /// What the operator does so that the world sees a change.
    fn publishing(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "publish now",
            Self::Server { .. } => "running servers publish it within seconds",
        }
    }

    fn book(&self) -> Result<KeyBook> {
        match self {
            Self::Folder { keys, .. } => Ok(keys.book.clone()),
            Self::Server { keys, .. } => Ok(keys.read()?),
        }
    }

    /// Changes the book. Files of keys that have gone are deleted after it was written.
    async fn change<T>(&mut self, decide: impl FnOnce(&mut KeyBook) -> Result<T, SwitchError>) -> Result<T> {
        let folder = match self {
            Self::Server { keys, .. } => return keys.change(decide).await.map_err(refused),
            Self::Folder { keys, .. } => keys,
        };
        let before: Vec<KeyId> = folder.book.holders.keys().cloned().collect();
        let old: Vec<KeyId> = folder.book.keys.published().map(|record| record.kid.clone()).chain(before).collect();
        let answer = decide(&mut folder.book)?;
        folder.save()?;
        let left: Vec<KeyId> = folder.book.keys.published().map(|record| record.kid.clone()).collect();
        for kid in old.iter().filter(|kid| !left.contains(kid)) {
            folder.holding.forget(kid)?;
        }
        Ok(answer)
    }

    async fn prepare(&mut self, call: &Call, key: Option<&str>) -> Result<KeyId> {
        let now = call.system.ctx.clock.now();
        match self {
            Self::Folder { keys, .. } => match key {
                None => keys.prepare(now),
                Some(name) => {
                    let (signer, holder) = keys.holding.adopt(name, &call.system.folder, false).await?;
                    keys.take(&*signer, holder, now)
                }
            },
            Self::Server { keys, holding, bits, .. } => {
                let (signer, holder) = if let Some(name) = key {
                    holding.adopt(name, &call.system.folder, true).await?
                } else {
                    let (signer, holder) = holding.make_sealed(*bits)?;
                    (Arc::new(signer) as Arc<dyn Signer>, holder)
                };
                if signer.algorithm().is_es() {
                    bail!("--key: the national services' clients take RSA keys only");
                }
                add(keys, &*signer, holder, now).await
            }
        }
    }
}

async fn add(keys: &RegistryKeys, signer: &dyn Signer, holder: Holder, now: jiff::Timestamp) -> Result<KeyId> {
    let kid = signer.kid().clone();
    let (public, chain) = (signer.public_jwk().clone(), x5c(signer.certificates()));
    let decide = |book: &mut KeyBook| book.prepare(public, chain, kid.clone(), holder, now).map_err(SwitchError::from);
    keys.change(decide).await.map_err(refused)?;
    Ok(kid)
}

/// Rules that said no are told in their own words.
fn refused(error: skybru_issuer::keys::SharedKeysError<SwitchError>) -> anyhow::Error {
    match error {
        skybru_issuer::keys::SharedKeysError::Refused(error) => error.into(),
        other => other.into(),
    }
}

pub(super) async fn run(call: &Call, args: KeysArgs) -> Result<Outcome> {
    match args.action {
        Action::List { place } => list(call, &Opened::open(call, &place).await?),
        Action::Rotate { place, key, emergency: true, yes } => {
            emergency(call, Opened::open(call, &place).await?, key.as_deref(), yes).await
        }
        Action::Rotate { place, key, .. } => rotate(call, Opened::open(call, &place).await?, key.as_deref()).await,
        Action::Retire { place, kid } => retire(call, Opened::open(call, &place).await?, &kid).await,
        Action::SealKey => {
            call.printer.data(Seal::new_key_file().trim_end())?;
            Ok(Outcome::Done)
        }
    }
}

fn list(call: &Call, opened: &Opened) -> Result<Outcome> {
    let (book, rules, now) = (opened.book()?, opened.rules(), call.system.ctx.clock.now());
    if call.printer.json {
        let row = |record: &KeyRecord| json!({"state": record.state(), "holder": kind(&book.holder(&record.kid)), "key": record});
        let verifiers =
            book.verifiers.iter().map(|(name, last, newest)| json!({"verifier": name, "last": last, "newest": newest}));
        let object = json!({
            "keys": book.keys.iter().map(row).collect::<Vec<_>>(),
            "verifiers": verifiers.collect::<Vec<_>>(),
            "waiting": book.waiting(rules, now),
        });
        call.printer.object(&object)?;
        return Ok(Outcome::Done);
    }
    for record in book.keys.iter() {
        call.printer.data(&format!("{}  {}", record.kid, standing(&book, record, rules, now)))?;
    }
    Ok(Outcome::Done)
}

fn kind(holder: &Holder) -> &'static str {
    match holder {
        Holder::File => "file",
        Holder::Sealed(_) => "sealed",
        Holder::Pkcs11(_) => "pkcs11",
        Holder::Kms(_) => "kms",
    }
}

/// Where a key stands, and what happens to it next.
fn standing(book: &KeyBook, record: &KeyRecord, rules: RotationRules, now: jiff::Timestamp) -> String {
    match (record.state(), record.seen) {
        (KeyState::Prepared, None) => "prepared: not seen published yet".to_owned(),
        (KeyState::Prepared, Some(seen)) => match book.waiting(rules, now) {
            Some(waiting) if !waiting.verifiers.is_empty() => {
                let who = waiting.verifiers.join(", ");
                format!("prepared: seen published {seen:.0}; waits for {who}, until {:.0} at most", waiting.until)
            }
            Some(waiting) => format!("prepared: seen published {seen:.0}, may sign from {:.0}", waiting.until),
            None => format!("prepared: seen published {seen:.0}, may sign now"),
        },
        (KeyState::Active, _) => format!("active since {:.0}", record.activated.unwrap_or(record.created)),
        (KeyState::Retiring, _) => match Keys::may_go(record, rules.lifetimes) {
            Some(from) => format!("retiring: may be taken away from {from:.0}"),
            None => "retiring".to_owned(),
        },
        (KeyState::Retired, _) => format!("retired {:.0}", record.retired.unwrap_or(record.created)),
    }
}

async fn rotate(call: &Call, mut opened: Opened, key: Option<&str>) -> Result<Outcome> {
    let (rules, publishing) = (opened.rules(), opened.publishing());
    if opened.book()?.prepared().is_none() {
        let kid = opened.prepare(call, key).await?;
        let hours = rules.lifetimes.cache.as_hours();
        let text =
            format!("prepared {kid}: {publishing}, and rotate again {hours} hours after that; until then the old key signs");
        return done(call, &json!({"prepared": kid}), &text);
    }
    if key.is_some() {
        bail!("--key: another key is prepared already; let it sign, or take it away with `skybru issuer keys retire`");
    }
    let now = call.system.ctx.clock.now();
    let kid = opened.change(|book| book.switch(rules, now)).await?;
    done(call, &json!({"active": kid}), &format!("{kid} signs from now on: {publishing}"))
}

async fn emergency(call: &Call, mut opened: Opened, key: Option<&str>, yes: bool) -> Result<Outcome> {
    let (rules, publishing) = (opened.rules(), opened.publishing());
    if opened.book()?.prepared().is_none() {
        if !yes {
            bail!(
                "an emergency switch breaks every verifier that has cached the key set, for up to {} hours: they refuse new tokens, and \
                 go on taking tokens of the lost key. Shorten that by deleting and making anew the provider at each cloud. To do it, add --yes",
                rules.lifetimes.cache.as_hours()
            );
        }
        opened.prepare(call, key).await?;
    }
    let now = call.system.ctx.clock.now();
    let book = opened.book()?;
    let breaks = book.clone().emergency(rules.lifetimes, now)?;
    // Those that have the new key already lose nothing.
    let ready = book.verifiers.iter().filter(|(_, _, newest)| **newest == breaks.kid).count();
    let known = book.verifiers.iter().count();
    if !yes {
        bail!(
            "with --yes {} signs at once. Until {:.0} verifiers with a cached key set refuse its tokens, and take those of the lost key. \
             Of {known} known verifiers {ready} have fetched it",
            breaks.kid,
            breaks.until
        );
    }
    let breaks = opened.change(|book| Ok(book.emergency(rules.lifetimes, now)?)).await?;
    let text = format!(
        "{} signs from now on, and the old keys are gone. ({publishing}.) Until {:.0} verifiers with a cached key set refuse new tokens",
        breaks.kid, breaks.until
    );
    done(call, &json!(breaks), &text)
}

async fn retire(call: &Call, mut opened: Opened, kid: &str) -> Result<Outcome> {
    let (rules, publishing, now) = (opened.rules(), opened.publishing(), call.system.ctx.clock.now());
    let kid = opened.change(|book| Ok(book.retire(kid, rules.lifetimes, now)?)).await?;
    done(call, &json!({"retired": kid}), &format!("{kid} is gone: {publishing}"))
}

fn done(call: &Call, object: &serde_json::Value, text: &str) -> Result<Outcome> {
    if call.printer.json {
        call.printer.object(object)?;
    } else {
        call.printer.data(text)?;
    }
    Ok(Outcome::Done)
}
