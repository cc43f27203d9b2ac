//! `skybru issuer keys`.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use skybru_issuer::private::{KeyRecord, KeyState, Keys, Lifetimes};

use super::super::{Call, Outcome};
use super::Place;
use super::folder::Folder;

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

pub(super) fn run(call: &Call, args: KeysArgs) -> Result<Outcome> {
    match args.action {
        Action::List { place } => list(call, &Folder::open(call, &place.dir)?),
        Action::Rotate { place, emergency: true, yes } => emergency(call, Folder::open(call, &place.dir)?, yes),
        Action::Rotate { place, .. } => rotate(call, Folder::open(call, &place.dir)?),
        Action::Retire { place, kid } => retire(call, Folder::open(call, &place.dir)?, &kid),
    }
}

fn list(call: &Call, folder: &Folder) -> Result<Outcome> {
    let lifetimes = folder.settings.lifetimes();
    if call.printer.json {
        let rows: Vec<_> = folder.keys.iter().map(|record| json!({"state": record.state(), "key": record})).collect();
        call.printer.object(&json!({"keys": rows}))?;
        return Ok(Outcome::Done);
    }
    for record in folder.keys.iter() {
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

fn rotate(call: &Call, mut folder: Folder) -> Result<Outcome> {
    let now = call.system.ctx.clock.now();
    if folder.keys.iter().all(|record| record.state() != KeyState::Prepared) {
        let kid = folder.prepare(call)?;
        let hours = folder.settings.key_set_cache_hours;
        return done(
            call,
            &json!({"prepared": kid}),
            &format!("prepared {kid}: publish now, and rotate again {hours} hours after that; until then the old key signs"),
        );
    }
    let lifetimes = folder.settings.lifetimes();
    let kid = folder.keys.switch(lifetimes, now)?.kid.to_string();
    folder.save()?;
    done(call, &json!({"active": kid}), &format!("{kid} signs from now on; publish again, so that it stands first"))
}

fn emergency(call: &Call, mut folder: Folder, yes: bool) -> Result<Outcome> {
    let old: Vec<String> = folder.keys.iter().map(|record| record.kid.to_string()).collect();
    if folder.keys.iter().all(|record| record.state() != KeyState::Prepared) {
        if !yes {
            bail!(
                "an emergency switch breaks every verifier that has cached the key set, for up to {} hours: they refuse new tokens, and \
                 go on taking tokens of the lost key. Shorten that by deleting and making anew the provider at each cloud. To do it, add --yes",
                folder.settings.key_set_cache_hours
            );
        }
        folder.prepare(call)?;
    }
    let breaks = folder.keys.clone().emergency(folder.settings.lifetimes(), call.system.ctx.clock.now())?;
    if !yes {
        bail!(
            "with --yes {} signs at once. Until {:.0} verifiers with a cached key set refuse its tokens, and take those of the lost key",
            breaks.kid,
            breaks.until
        );
    }
    folder.keys.emergency(folder.settings.lifetimes(), call.system.ctx.clock.now())?;
    folder.save()?;
    for kid in old.iter().filter(|kid| **kid != breaks.kid.as_str()) {
        folder.forget(kid)?;
    }
    let text = format!(
        "{} signs from now on, and the old keys are gone. Publish at once. Until {:.0} verifiers with a cached key set refuse new tokens",
        breaks.kid, breaks.until
    );
    done(call, &json!(breaks), &text)
}

fn retire(call: &Call, mut folder: Folder, kid: &str) -> Result<Outcome> {
    let record = folder.keys.retire(kid, folder.settings.lifetimes(), call.system.ctx.clock.now())?;
    folder.save()?;
    folder.forget(record.kid.as_str())?;
    done(call, &json!({"retired": record.kid}), &format!("{kid} is gone; publish again"))
}

fn done(call: &Call, object: &serde_json::Value, text: &str) -> Result<Outcome> {
    if call.printer.json {
        call.printer.object(object)?;
    } else {
        call.printer.data(text)?;
    }
    Ok(Outcome::Done)
}
