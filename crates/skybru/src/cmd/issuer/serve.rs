//! `skybru issuer serve`: issuers and the self-service API, until stopped.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use skybru_core::OrgNumber;
use skybru_issuer::http::{Limits, issuer_routes, selfservice_routes, serve};
use skybru_issuer::private::{KeyState, Keys, Lifetimes};
use skybru_issuer::selfservice::{Caller, SelfService};
use skybru_issuer::{Issuer, IssuerSettings, KeyRing, Profile};
use skybru_protocol::assertion::TimeRules;
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey};
use skybru_store::LiveRegistry;
use skybru_store::sqlite::SqliteStore;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::super::{Call, Outcome};
use super::certificate::Certificate;
use super::key_folder::KeyFolder;
use crate::lab::files;
use crate::settings::{IssuerOptions, ServerOptions, Settings};
use crate::{administration, cmd};

/// How often keys and certificate are looked at.
const TICK: Duration = Duration::from_secs(5);

/// The longest life that a client may ask for its tokens.
const LONGEST_TOKEN_SECONDS: u32 = 7200;

/// Arguments of `issuer serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {}

/// Everything that runs.
struct Server {
    options: ServerOptions,
    data: std::path::PathBuf,
    lifetimes: Lifetimes,
    issuers: Vec<Arc<Issuer>>,
    certificate: Option<Arc<Certificate>>,
}

pub(super) async fn run(call: &Call, _: ServeArgs) -> Result<Outcome> {
    let settings = call.settings()?;
    let options = settings.server()?.clone();
    let data = settings.beside(&options.data);
    std::fs::create_dir_all(&data).with_context(|| format!("setting server.data: cannot make the folder {}", data.display()))?;
    let stopped = cmd::up::stop_signal()?;

    let database = data.join("skybru.db");
    let store = SqliteStore::open(&database, Arc::clone(&call.system.ctx.clock));
    let store = Arc::new(store.with_context(|| format!("cannot open {}", database.display()))?);
    let registry = Arc::new(LiveRegistry::load(store.clone()).await.context("cannot read the registry")?);

    let certificate = certificate(&settings, &options)?;
    let lifetimes = lifetimes(&options);
    let mut server = Server { options, data, lifetimes, issuers: Vec::new(), certificate };
    let ring = server.keys(call.system.ctx.clock.now(), &[])?;
    let mut listeners = Vec::new();
    for (name, issuer) in &settings.options.issuers {
        let issuer_settings = issuer_settings(name, issuer)?;
        let key = format!("issuers.{name}.listen");
        listeners.push((server.listen(&key, &issuer.listen).await?, issuer_settings.url.to_string()));
        let issuer = Issuer::new(issuer_settings, ring.clone(), registry.clone(), store.clone(), call.system.ctx.clone());
        server.issuers.push(Arc::new(issuer));
    }
    // Tokens for the API come from the issuer that is meant for APIs.
    let of_apis = server.issuers.iter().find(|issuer| issuer.profile() == Profile::Maskinporten).or(server.issuers.first());
    let of_apis = of_apis.context("setting issuers: none is there; add [issuers.NAME] with url, profile and listen")?.clone();
    let service = Arc::new(SelfService::new(of_apis.clone()));
    let api = server.listen("server.api-listen", &server.options.api_listen.clone()).await?;
    let api_url = server.options.api_url.clone().unwrap_or_else(|| {
        let scheme = if server.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://localhost:{}/api/v1", api.local_addr().map_or(0, |address| address.port()))
    });
    server.bootstrap(&service, &registry, &of_apis, &api_url).await.context("cannot set the operator up")?;

    let stop = CancellationToken::new();
    let tls = server.certificate.as_ref().map(Certificate::config);
    let mut running = Vec::new();
    let mut shown = Vec::new();
    for (issuer, (listener, url)) in server.issuers.iter().zip(listeners) {
        shown.push(json!({"url": url, "profile": issuer.profile().name(), "listen": listener.local_addr()?}));
        let serving = serve(listener, tls.clone(), issuer_routes(issuer.clone()), Limits::default(), stop.clone());
        running.push(tokio::spawn(serving));
    }
    running.push(tokio::spawn(serve(api, tls, selfservice_routes(service), Limits::default(), stop.clone())));
    announce(call, &shown, &api_url, &server.data.join("operator.toml"))?;

    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => break,
            () = tokio::time::sleep(TICK) => server.tick(call.system.ctx.clock.now()),
        }
    }
    call.printer.say("stopping: running requests may finish");
    stop.cancel();
    for one in running {
        let _ = one.await;
    }
    Ok(Outcome::Done)
}

fn announce(call: &Call, issuers: &[serde_json::Value], api: &str, operator: &Path) -> Result<()> {
    if call.printer.json {
        call.printer.object(&json!({"issuers": issuers, "selfservice": api, "operator_config": operator}))?;
        return Ok(());
    }
    for issuer in issuers {
        call.printer.say(&format!("{} ({}) on {}", issuer["url"], issuer["profile"], issuer["listen"]).replace('"', ""));
    }
    call.printer.say(&format!("self-service API at {api}; as its operator: skybru --config {} registry …", operator.display()));
    Ok(())
}

/// How long caches and tokens live here.
pub(super) fn lifetimes(options: &ServerOptions) -> Lifetimes {
    Lifetimes {
        cache: SignedDuration::from_hours(options.key_set_cache_hours.into()),
        token: SignedDuration::from_secs(LONGEST_TOKEN_SECONDS.into()),
    }
}

fn issuer_settings(name: &str, options: &IssuerOptions) -> Result<IssuerSettings> {
    let url: skybru_core::IssuerUrl = options.url.parse().with_context(|| format!("setting issuers.{name}.url"))?;
    let profile = match options.profile.as_str() {
        "maskinporten" => Profile::Maskinporten,
        "skyporten" => Profile::Skyporten { cloud_metadata: true },
        other => bail!("setting issuers.{name}.profile: expected maskinporten or skyporten, found {other:?}"),
    };
    if profile == Profile::Maskinporten && !url.ends_in_slash() {
        bail!("setting issuers.{name}.url: {url} must end in a slash, as Maskinporten's does: known clients add one");
    }
    if profile != Profile::Maskinporten && url.ends_in_slash() {
        bail!("setting issuers.{name}.url: {url} must not end in a slash: clouds take that for another issuer (P-4)");
    }
    if !(1..=LONGEST_TOKEN_SECONDS).contains(&options.token_lifetime_seconds) {
        let found = options.token_lifetime_seconds;
        bail!("setting issuers.{name}.token-lifetime-seconds: expected 1 to {LONGEST_TOKEN_SECONDS}, found {found}");
    }
    Ok(IssuerSettings { url, profile, token_lifetime_seconds: options.token_lifetime_seconds, time_rules: TimeRules::default() })
}

fn certificate(settings: &Settings, options: &ServerOptions) -> Result<Option<Arc<Certificate>>> {
    match (&options.tls_cert, &options.tls_key) {
        (Some(chain), Some(key)) => Ok(Some(Arc::new(
            Certificate::read(settings.beside(chain), settings.beside(key)).context("setting server.tls-cert")?,
        ))),
        (None, None) => Ok(None),
        _ => bail!("settings server.tls-cert and server.tls-key: give both, or neither"),
    }
}

impl Server {
    /// Without TLS only this machine may come in: a proxy stands before it then.
    async fn listen(&self, setting: &str, address: &str) -> Result<TcpListener> {
        let wanted: SocketAddr = address
            .parse()
            .with_context(|| format!("setting {setting}: expected an address such as 127.0.0.1:7401, found {address:?}"))?;
        if self.certificate.is_none() && !wanted.ip().is_loopback() {
            bail!(
                "setting {setting}: {wanted} is open to others, and there is no TLS: set server.tls-cert and server.tls-key, or listen on \
                 127.0.0.1 behind a proxy"
            );
        }
        TcpListener::bind(wanted).await.with_context(|| format!("setting {setting}: cannot listen on {wanted}"))
    }

    /// Lets keys go on with their lives, and gives what signs and what is published now. `served` are those that have been published
    /// until now.
    fn keys(&self, now: Timestamp, served: &[String]) -> Result<KeyRing> {
        let mut folder = KeyFolder::open(self.data.clone(), self.options.key_bits)?;
        let before = folder.keys.clone();
        if folder.keys.iter().next().is_none() {
            let kid = folder.prepare(now)?;
            // The first key set of a new issuer: nobody has cached another.
            folder.keys.seen([kid.as_str()], now);
        }
        folder.keys.seen(served.iter().map(String::as_str), now);
        self.advance(&mut folder, now)?;
        if folder.keys != before {
            folder.save()?;
        }
        let active = Arc::new(folder.signer()?);
        let others = folder.keys.iter().map(|record| folder.read(&record.kid).map(Arc::new)).collect::<Result<Vec<_>>>()?;
        Ok(KeyRing::new(active, &others))
    }

    fn advance(&self, folder: &mut KeyFolder, now: Timestamp) -> Result<()> {
        let prepared = folder.keys.iter().any(|record| record.state() == KeyState::Prepared);
        if let Some(days) = self.options.rotate_days.filter(|_| !prepared) {
            // Early enough to be known everywhere when its time comes.
            let age = SignedDuration::from_hours(24 * i64::from(days)) - self.lifetimes.cache;
            let due =
                folder.keys.signer().ok().and_then(|record| record.activated).and_then(|since| since.saturating_add(age).ok());
            if due.is_some_and(|due| due <= now) {
                let kid = folder.prepare(now)?;
                tracing::info!(kid, "the next signing key is prepared");
            }
        }
        if let Ok(record) = folder.keys.switch(self.lifetimes, now) {
            tracing::info!(kid = record.kid.as_str(), "another key signs from now on");
        }
        let gone: Vec<String> = folder
            .keys
            .iter()
            .filter(|record| Keys::may_go(record, self.lifetimes).is_some_and(|from| from <= now))
            .map(|record| record.kid.to_string())
            .collect();
        for kid in gone {
            folder.keys.retire(&kid, self.lifetimes, now)?;
            folder.save()?;
            folder.forget(&kid)?;
            tracing::info!(kid, "a signing key has gone");
        }
        Ok(())
    }

    /// Looks at keys and certificate. What fails is told and tried again: the server goes on with what it has.
    fn tick(&self, now: Timestamp) {
        if let Some(certificate) = &self.certificate
            && let Err(error) = certificate.refresh()
        {
            tracing::error!(error = format!("{error:#}"), "the certificate cannot be read again");
        }
        let served: Vec<String> = self
            .issuers
            .first()
            .map(|issuer| issuer.key_set().keys.into_iter().filter_map(|key| key.kid).collect())
            .unwrap_or_default();
        match self.keys(now, &served) {
            Ok(ring) => {
                for issuer in &self.issuers {
                    issuer.replace_keys(ring.clone());
                }
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "the signing keys cannot be looked at"),
        }
    }

    /// The operator's organisation, its client, and a settings file to use it with.
    async fn bootstrap(&self, service: &SelfService, registry: &LiveRegistry, issuer: &Issuer, api: &str) -> Result<()> {
        let number: OrgNumber = self.options.operator.parse().context("setting server.operator")?;
        let operator = Caller::operator(number);
        let name = &self.options.operator_name;
        administration::organisation(service, registry, &operator, number, name, &administration::PREFIXES).await?;
        administration::scopes(service, &operator).await?;
        let file = self.data.join("operator.jwk");
        let key = if file.is_file() {
            SigningKey::from_text(&files::read(&file)?, None).with_context(|| format!("cannot use {}", file.display()))?
        } else {
            let key = SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256)?;
            files::write_private(&file, key.private_jwk()?.as_bytes())?;
            key
        };
        let description = "skybru: the operator";
        let id = administration::client(service, &operator, name, description, &administration::SCOPES, &key).await?;
        let mut client = json!({"issuer": issuer.url(), "client-id": id, "key": {"file": "operator.jwk"}});
        if let Some(ca_file) = &self.options.ca_file {
            client["ca-file"] = json!(std::path::absolute(ca_file).unwrap_or_else(|_| ca_file.into()));
        }
        let settings = json!({"clients": {"operator": client}, "registry": {"api": api, "client": "operator"}});
        let text = format!(
            "# Written by `skybru issuer serve` at every start: the operator's own client.\n\n{}",
            toml::to_string(&settings).context("the operator's settings cannot be written")?
        );
        files::write(&self.data.join("operator.toml"), text.as_bytes())
    }
}
