//! `skybru issuer keys`.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use skybru_issuer::private::{KeyRecord, KeyState, Keys, Lifetimes};

use super::super::{Call, Outcome};
use super::Place;
use super::folder::Folder;
use super::key_folder::KeyFolder;

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
}

/// Keys of a private issuer, or of one that a server runs.
struct Opened {
    keys: KeyFolder,
    lifetimes: Lifetimes,
    cache_hours: u32,
    /// What the operator does so that the world sees a change.
    publishing: &'static str,
}

impl Opened {
    fn open(call: &Call, place: &Place) -> Result<Self> {
        let path = call.system.folder.join(&place.dir);
        if Folder::is_one(&path) || !KeyFolder::exists(&path) {
            let Folder { settings, keys } = Folder::open(call, &place.dir)?;
            let (lifetimes, cache_hours) = (settings.lifetimes(), settings.key_set_cache_hours);
            return Ok(Self { keys, lifetimes, cache_hours, publishing: "publish now" });
        }
        let settings = call.settings()?;
        let server = settings.server()?;
        let lifetimes = super::serve::lifetimes(server);
        let keys = KeyFolder::open(path, server.key_bits)?;
        let publishing = "the running server publishes it within seconds";
        Ok(Self { keys, lifetimes, cache_hours: server.key_set_cache_hours, publishing })
    }
}

pub(super) fn run(call: &Call, args: KeysArgs) -> Result<Outcome> {
    match args.action {
        Action::List { place } => list(call, &Opened::open(call, &place)?),
        Action::Rotate { place, emergency: true, yes } => emergency(call, Opened::open(call, &place)?, yes),
        Action::Rotate { place, .. } => rotate(call, Opened::open(call, &place)?),
        Action::Retire { place, kid } => retire(call, Opened::open(call, &place)?, &kid),
    }
}

fn list(call: &Call, folder: &Opened) -> Result<Outcome> {
    let lifetimes = folder.lifetimes;
    if call.printer.json {
        let rows: Vec<_> = folder.keys.keys.iter().map(|record| json!({"state": record.state(), "key": record})).collect();
        call.printer.object(&json!({"keys": rows}))?;
        return Ok(Outcome::Done);
    }
    for record in folder.keys.keys.iter() {
        call.printer.data(&format!("{}  {}", record.kid, standing(record, lifetimes)))?;
    }
    Ok(Outcome::Done)
}

/// Where a key stands, and what happens to it next.
fn standing(record: &KeyRecord, lifetimes: Lifetimes) -> String {
    match (record.state(), record.seen) {
        (KeyState::Prepared, None) => "prepared: publish it".to_owned(),
        (KeyState::Prepared, Some(seen)) => {
            let from = seen.saturating_add(lifetimes.cache).unwrap_or(seen);
            format!("prepared: seen published {seen:.0}, may sign from {from:.0}")
        }
        (KeyState::Active, _) => format!("active since {:.0}", record.activated.unwrap_or(record.created)),
        (KeyState::Retiring, _) => match Keys::may_go(record, lifetimes) {
            Some(from) => format!("retiring: may be taken away from {from:.0}"),
            None => "retiring".to_owned(),
        },
    }
}

fn rotate(call: &Call, mut folder: Opened) -> Result<Outcome> {
    let now = call.system.ctx.clock.now();
    if folder.keys.keys.iter().all(|record| record.state() != KeyState::Prepared) {
        let kid = folder.keys.prepare(call.system.ctx.clock.now())?;
        let hours = folder.cache_hours;
        return done(
            call,
            &json!({"prepared": kid}),
            &format!(
                "prepared {kid}: {}, and rotate again {hours} hours after that; until then the old key signs",
                folder.publishing
            ),
        );
    }
    let lifetimes = folder.lifetimes;
    let kid = folder.keys.keys.switch(lifetimes, now)?.kid.to_string();
    folder.keys.save()?;
    done(call, &json!({"active": kid}), &format!("{kid} signs from now on: {}", folder.publishing))
}

fn emergency(call: &Call, mut folder: Opened, yes: bool) -> Result<Outcome> {
    let old: Vec<String> = folder.keys.keys.iter().map(|record| record.kid.to_string()).collect();
    if folder.keys.keys.iter().all(|record| record.state() != KeyState::Prepared) {
        if !yes {
            bail!(
                "an emergency switch breaks every verifier that has cached the key set, for up to {} hours: they refuse new tokens, and \
                 go on taking tokens of the lost key. Shorten that by deleting and making anew the provider at each cloud. To do it, add --yes",
                folder.cache_hours
            );
        }
        folder.keys.prepare(call.system.ctx.clock.now())?;
    }
    let breaks = folder.keys.keys.clone().emergency(folder.lifetimes, call.system.ctx.clock.now())?;
    if !yes {
        bail!(
            "with --yes {} signs at once. Until {:.0} verifiers with a cached key set refuse its tokens, and take those of the lost key",
            breaks.kid,
            breaks.until
        );
    }
    folder.keys.keys.emergency(folder.lifetimes, call.system.ctx.clock.now())?;
    folder.keys.save()?;
    for kid in old.iter().filter(|kid| **kid != breaks.kid.as_str()) {
        folder.keys.forget(kid)?;
    }
    let text = format!(
        "{} signs from now on, and the old keys are gone. ({}.) Until {:.0} verifiers with a cached key set refuse new tokens",
        breaks.kid, folder.publishing, breaks.until
    );
    done(call, &json!(breaks), &text)
}

fn retire(call: &Call, mut folder: Opened, kid: &str) -> Result<Outcome> {
    let record = folder.keys.keys.retire(kid, folder.lifetimes, call.system.ctx.clock.now())?;
    folder.keys.save()?;
    folder.keys.forget(record.kid.as_str())?;
    done(call, &json!({"retired": record.kid}), &format!("{kid} is gone: {}", folder.publishing))
}

fn done(call: &Call, object: &serde_json::Value, text: &str) -> Result<Outcome> {
    if call.printer.json {
        call.printer.object(object)?;
    } else {
        call.printer.data(text)?;
    }
    Ok(Outcome::Done)
}
