//! `skybru registry client rotate-key`, and the same on the agent's schedule: the key guardian over files of this machine.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use clap::Args;
use http::Method;
use skybru_client::guardian::{Guardian, KeyAge, KeyFile, KeyFiles, Proof, Retirement, Step, key_age, noted_expiry};
use skybru_client::http::Http;
use skybru_client::selfservice::SelfServiceApi;
use skybru_client::token::{ClientIdentity, TokenError, TokenRequest, TokenSource};
use skybru_core::{ClientId, Ctx, IssuerUrl, Secret};
use skybru_federation::{Finding, Severity, Who};
use skybru_protocol::jose::SigningKey;
use skybru_signer::LocalSigner;

use super::{Call, Outcome};
use crate::lab::files;
use crate::settings::Settings;
use crate::wire;

/// A registration lives one year from the day it was posted.
const LIFE_DAYS: i64 = 365;

const DAY: i64 = 24 * 3600;

const MANAGE: &str = "idporten:dcr.write";

/// Arguments of `registry client rotate-key`.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// One of `clients` in the settings, whose key is a file
    client: String,
    /// Prove the new key with a token for this scope [default: the first that the client is registered with]
    #[arg(long)]
    scope: Option<String>,
    /// Leave the old key registered, for processes that still use it; the next rotate-key without this takes it away
    #[arg(long)]
    keep_old: bool,
}

pub(crate) async fn run(call: &Call, args: RotateArgs, actor: Option<&str>) -> Result<Outcome> {
    let settings = call.settings()?;
    let retirement = if args.keep_old { Retirement::Later } else { Retirement::Now };
    let steps = rotate(call, &settings, &args.client, args.scope.as_deref(), actor, retirement, true).await?;
    let (made, retired) = (steps.contains(&Step::Swap), steps.contains(&Step::Retire));
    let (kid, path) = {
        let path = key_file(&settings, &args.client)?;
        (SigningKey::from_text(&files::read(&path)?, None)?.kid().to_string(), path)
    };
    if call.printer.json {
        call.printer.object(&serde_json::json!({"kid": kid, "key_file": path, "rotated": made, "old_key_removed": retired}))?;
        return Ok(Outcome::Done);
    }
    call.printer.say(match (made, retired) {
        (true, true) => "the new key is in use, and the old one is gone",
        (true, false) => "the new key is in use; the old one is still registered: run rotate-key again to take it away",
        (false, true) => "a rotation that was begun earlier is finished: the old key is gone",
        (false, false) => "nothing was left to do: the old key of an earlier rotation is still registered, as --keep-old says",
    });
    call.printer.data(&kid)?;
    Ok(Outcome::Done)
}

/// Rotates the key of a client, or goes on with a rotation that was interrupted. Gives the steps that were done.
async fn rotate(
    call: &Call,
    settings: &Settings,
    name: &str,
    scope: Option<&str>,
    actor: Option<&str>,
    retirement: Retirement,
    loud: bool,
) -> Result<Vec<Step>> {
    let path = key_file(settings, name)?;
    if settings.client(name)?.key.key_id.is_some() {
        bail!(
            "clients.{name}.key.key-id would name the new key by the old one's id: write the id into the key file (as kid of a JWK), and \
             take key-id out of the settings"
        );
    }
    let identity = settings.identity(name, &call.system)?;
    let http = Http::new(&settings.http(name)?)?;
    let api = wire::registry(settings, actor, MANAGE, &call.system)?;
    let request = proof_request(&api, &identity.client_id, scope).await?;
    let proof =
        Token { ctx: call.system.ctx.clone(), http, issuer: identity.issuer, client_id: identity.client_id.clone(), request };
    let files = Beside(path);
    let mut steps = Vec::new();
    let mut guardian = Guardian::new(&files, &api, identity.client_id, &proof, retirement);
    let outcome = guardian
        .run(&mut |step| {
            if loud && *step != Step::Done {
                call.printer.say(words(*step));
            }
            steps.push(*step);
        })
        .await;
    outcome.with_context(|| format!("the key of client {name:?} was not rotated to the end; it still has one that works"))?;
    Ok(steps)
}

fn words(step: Step) -> &'static str {
    match step {
        Step::Make => "making the next key",
        Step::Register => "registering it beside the old one",
        Step::Prove => "proving it with a token",
        Step::Keep => "keeping the old one beside its place",
        Step::Swap => "putting it in its place",
        Step::Retire => "taking the old one away at the API",
        Step::Forget => "removing the old one's file",
        Step::Done => "done",
    }
}

/// What to ask for as a proof.
async fn proof_request(api: &SelfServiceApi, client: &ClientId, scope: Option<&str>) -> Result<TokenRequest> {
    if let Some(scope) = scope {
        return Ok(TokenRequest::new(scope.parse().context("--scope")?));
    }
    let client = api.call(Method::GET, &format!("/clients/{client}"), None).await?;
    let first = client["scopes"].as_array().and_then(|scopes| scopes.first()).and_then(|scope| scope.as_str());
    let first = first.context("the client has no scopes: say with --scope what to prove the new key with")?;
    Ok(TokenRequest::new(first.parse()?))
}

/// The file of a client's key. Keys that live elsewhere rotate where they live.
fn key_file(settings: &Settings, name: &str) -> Result<PathBuf> {
    let file = settings.client(name)?.key.file.as_ref();
    let file = file.with_context(|| format!("the key of client {name:?} is no file: only a key file can be rotated here"))?;
    Ok(settings.beside(file))
}

/// The key files: `client.jwk`, `client.jwk.next`, `client.jwk.old`.
struct Beside(PathBuf);

impl Beside {
    fn path(&self, which: KeyFile) -> PathBuf {
        let ending = match which {
            KeyFile::Current => return self.0.clone(),
            KeyFile::Next => ".next",
            KeyFile::Old => ".old",
        };
        let mut path = self.0.clone().into_os_string();
        path.push(ending);
        path.into()
    }

    /// A name in a folder is kept only when the folder is.
    fn sync_folder(&self) -> io::Result<()> {
        let folder = self.0.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        if cfg!(unix) { std::fs::File::open(folder)?.sync_all() } else { Ok(()) }
    }
}

impl KeyFiles for Beside {
    fn read(&self, which: KeyFile) -> io::Result<Option<Secret>> {
        match std::fs::read_to_string(self.path(which)) {
            Ok(text) => Ok(Some(Secret::from(text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, which: KeyFile, text: &str) -> io::Result<()> {
        files::write_private(&self.path(which), text.as_bytes()).map_err(io::Error::other)?;
        self.sync_folder()
    }

    fn put_in_place(&self) -> io::Result<()> {
        std::fs::rename(self.path(KeyFile::Next), &self.0)?;
        self.sync_folder()
    }

    fn remove(&self, which: KeyFile) -> io::Result<()> {
        match std::fs::remove_file(self.path(which)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.sync_folder(),
        }
    }
}

/// Proves a key by a token.
struct Token {
    ctx: Ctx,
    http: Http,
    issuer: IssuerUrl,
    client_id: ClientId,
    request: TokenRequest,
}

#[async_trait]
impl Proof for Token {
    async fn prove(&self, key: SigningKey) -> Result<(), TokenError> {
        let identity = ClientIdentity::new(self.issuer.clone(), self.client_id.clone(), LocalSigner::from(key));
        TokenSource::new(self.ctx.clone(), self.http.clone(), identity).fresh(&self.request).await.map(|_| ())
    }
}

/// When the key of each client ends, in Unix seconds, as far as it was noted in its file.
pub(crate) fn key_ends(settings: &Settings) -> Vec<(String, jiff::Timestamp)> {
    let names = settings.options.clients.keys();
    let ends = names.filter_map(|name| {
        let text = std::fs::read_to_string(key_file(settings, name).ok()?).ok()?;
        Some((name.clone(), noted_expiry(&text)?))
    });
    ends.collect()
}

/// What to say of a client's key that is near its end.
pub(crate) fn warning(settings: &Settings, name: &str, now: jiff::Timestamp) -> Option<String> {
    let (_, exp) = key_ends(settings).into_iter().find(|(client, _)| client == name)?;
    let what = match key_age(exp, now) {
        KeyAge::Young => return None,
        KeyAge::Ending { days: 0 } => "ends today".to_owned(),
        KeyAge::Ending { days: 1 } => "ends in 1 day".to_owned(),
        KeyAge::Ending { days } => format!("ends in {days} days"),
        KeyAge::Ended => "has ended".to_owned(),
    };
    Some(format!("the key of client {name:?} {what}: run `skybru registry client rotate-key {name}`"))
}

/// The same as the doctor says it: an error once the key has ended, since no token is to be had with it.
pub(crate) fn ending(settings: &Settings, name: &str, now: jiff::Timestamp) -> Option<Finding> {
    let text = warning(settings, name, now)?;
    let (what, fix) = text.split_once(": ")?;
    let has_ended = key_ends(settings).iter().any(|(client, exp)| client == name && key_age(*exp, now) == KeyAge::Ended);
    let mut finding = Finding::new("D-17", Who::Consumer, what, fix);
    finding.severity = if has_ended { Severity::Error } else { Severity::Warning };
    Some(finding)
}

/// Whether a key that ends at `ends` has lived for `days`. One whose end is not known has never been rotated by us.
fn is_due(ends: Option<jiff::Timestamp>, days: u32, now: jiff::Timestamp) -> bool {
    ends.is_none_or(|ends| ends.as_second().saturating_sub(now.as_second()) <= (LIFE_DAYS - i64::from(days)) * DAY)
}

/// Rotates those keys whose time has come by `key.rotate-days`, and finishes what was begun. Whether a key is another one now.
///
/// The old key stays registered until the next look, so that others who use the same file have time to read it again.
pub(crate) async fn rotate_due(call: &Call, settings: &Settings) -> bool {
    let (now, mut changed) = (call.system.ctx.clock.now(), false);
    for (name, client) in &settings.options.clients {
        let Some(days) = client.key.rotate_days else { continue };
        let Ok(path) = key_file(settings, name) else { continue };
        let has_old = Beside(path.clone()).path(KeyFile::Old).exists();
        let begun = has_old || Beside(path.clone()).path(KeyFile::Next).exists();
        let left = key_ends(settings).into_iter().find(|(client, _)| client == name).map(|(_, exp)| exp);
        if !begun && !is_due(left, days, now) {
            continue;
        }
        let retirement = if has_old { Retirement::Now } else { Retirement::Later };
        match rotate(call, settings, name, None, None, retirement, false).await {
            Ok(steps) => {
                changed |= steps.contains(&Step::Swap);
                tracing::warn!(client = %name, ?steps, "the client's key was rotated");
            }
            Err(error) => tracing::error!(client = %name, error = format!("{error:#}"), "the client's key could not be rotated"),
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use skybru_core::Clock as _;
    use skybru_core::ctx::ManualClock;

    #[test]
    fn a_key_is_rotated_on_its_day_and_not_before() {
        let clock = ManualClock::at(0);
        let ends = Some(jiff::Timestamp::from_second(LIFE_DAYS * DAY).unwrap());
        let mut days = Vec::new();
        for day in 0..=LIFE_DAYS {
            if is_due(ends, 90, clock.now()) {
                days.push(day);
            }
            clock.advance(jiff::SignedDuration::from_hours(24));
        }
        assert_eq!((days.first(), days.last()), (Some(&90), Some(&LIFE_DAYS)));
        assert!(is_due(None, 90, clock.now()), "nobody knows when it was made");
        assert!(!is_due(ends, 400, jiff::Timestamp::UNIX_EPOCH), "never by itself before it ends");
    }

    #[test]
    fn the_files_lie_beside_each_other_and_the_next_takes_the_place_in_one_step() {
        let folder = tempfile::tempdir().unwrap();
        let files = Beside(folder.path().join("client.jwk"));
        assert!(files.read(KeyFile::Current).unwrap().is_none());
        files.write(KeyFile::Current, "1").unwrap();
        files.write(KeyFile::Next, "2").unwrap();
        files.put_in_place().unwrap();
        assert!(files.read(KeyFile::Current).unwrap().unwrap().matches("2"));
        assert!(files.read(KeyFile::Next).unwrap().is_none());
        files.write(KeyFile::Old, "1").unwrap();
        assert!(folder.path().join("client.jwk.old").exists());
        files.remove(KeyFile::Old).unwrap();
        files.remove(KeyFile::Old).unwrap();
    }
}
