//! `skybru issuer serve`: issuers and the self-service API, until stopped.

mod bootstrap;
mod configured;
mod signing;
mod trust;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use skybru_issuer::http::{Limits, issuer_routes, metrics_routes, selfservice_routes, serve};
use skybru_issuer::limits::{RateLimits, Rates};
use skybru_issuer::metrics::Metrics;
use skybru_issuer::selfservice::SelfService;
use skybru_issuer::{Issuer, Profile};
use skybru_store::LiveRegistry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(super) use self::configured::rules;
pub(super) use self::signing::holding;

use self::configured::{certificate, issuer_settings, pace};
use self::signing::Signing;
use super::super::{Call, Outcome};
use super::certificate::Certificate;
use super::stores;
use crate::cmd;
use crate::http::trace::traced;
use crate::settings::{ServerOptions, Settings};

/// Arguments of `issuer serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {}

/// Everything that runs.
struct Server {
    options: ServerOptions,
    data: PathBuf,
    signing: Signing,
    limits: Arc<RateLimits>,
    api_limits: Option<Arc<RateLimits>>,
    metrics: Arc<Metrics>,
    issuers: Vec<Arc<Issuer>>,
    certificate: Option<Arc<Certificate>>,
}

pub(super) async fn run(call: &Call, _: ServeArgs) -> Result<Outcome> {
    let settings = call.settings()?;
    let options = settings.server()?.clone();
    let data = data_folder(&settings)?;
    let stopped = cmd::up::stop_signal()?;

    let stores = stores::open(call, &settings, &options, &data).await?;
    let registry = load_registry(call, &stores, configured::pace(&options)).await?;
    let stores::Stores { ledger, audit, .. } = stores;
    // Other nodes change it, and commands beside a running server do.
    let following = Arc::clone(&registry);
    tokio::spawn(async move { following.follow().await });

    let certificate = certificate(&settings, &options)?;
    let signing = Signing::new(registry.clone(), holding(call, &settings, &data)?, &options)?;
    let (pace, lifetimes) = (pace(&options), signing.rules().lifetimes);
    let (metrics, limits) = (Metrics::shared(), limits(call, &options));
    let mut server = Server {
        options,
        data,
        signing,
        limits: limits.clone(),
        api_limits: None,
        metrics: metrics.clone(),
        issuers: Vec::new(),
        certificate,
    };
    let ring = server.signing.advance(&[], call.system.ctx.clock.now()).await.context("there is no key to sign with")?;
    let mut listeners = Vec::new();
    for (name, issuer) in &settings.options.issuers {
        let issuer_settings = trust::adapt_settings(&issuer.compat, issuer_settings(name, issuer)?);
        let key = format!("issuers.{name}.listen");
        listeners.push((server.listen(&key, &issuer.listen).await?, issuer_settings.url.to_string()));
        let key_set = issuer.key_set.unwrap_or_else(|| issuer_settings.profile.key_set());
        let built = Issuer::new(issuer_settings, ring.clone(), registry.clone(), ledger.clone(), call.system.ctx.clone());
        let built = built
            .with_lifetimes(lifetimes)
            .with_keys_good_for(pace * 2)
            .with_key_set(key_set)
            .with_limits(limits.clone())
            .with_metrics(metrics.clone());
        server.issuers.push(Arc::new(trust::adapt(call, &settings, name, issuer, &registry, built)?));
    }
    // Tokens for the API come from the issuer that is meant for APIs.
    let of_apis = server.issuers.iter().find(|issuer| issuer.profile() == Profile::Maskinporten).or(server.issuers.first());
    let of_apis = of_apis.context("setting issuers: none is there; add [issuers.NAME] with url, profile and listen")?.clone();
    let api_limits = api_limits(call, &server.options);
    server.api_limits = Some(api_limits.clone());
    let api_compat = trust::api_compat(server.options.api_compat);
    let service =
        Arc::new(SelfService::new(of_apis.clone()).with_compat(api_compat).with_audit(audit).with_limits(api_limits.clone()));
    let api = server.listen("server.api-listen", &server.options.api_listen.clone()).await?;
    let api_url = server.options.api_url.clone().unwrap_or_else(|| {
        let scheme = if server.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://localhost:{}/api/v1", api.local_addr().map_or(0, |address| address.port()))
    });
    server.bootstrap(&service, &registry, &of_apis, &api_url).await.context("cannot set the operator up")?;

    let accepted = listener_limits(&server.options)?;
    let stop = CancellationToken::new();
    let tls = server.certificate.as_ref().map(Certificate::config);
    let is_traced = settings.options.telemetry.as_ref().is_some_and(|telemetry| telemetry.otlp_endpoint.is_some());
    let traced = |routes| if is_traced { traced(routes) } else { routes };
    let mut running = Vec::new();
    let mut shown = Vec::new();
    let mut shown_metrics = None;
    for (issuer, (listener, url)) in server.issuers.iter().zip(listeners) {
        shown.push(json!({"url": url, "profile": issuer.profile().name(), "listen": listener.local_addr()?}));
        let serving = serve(listener, tls.clone(), traced(issuer_routes(issuer.clone())), accepted, stop.clone());
        running.push(tokio::spawn(serving));
    }
    running.push(tokio::spawn(serve(api, tls, traced(selfservice_routes(service)), accepted, stop.clone())));
    if let Some(address) = &server.options.metrics_listen {
        let listener = listen_on("server.metrics-listen", address).await?;
        shown_metrics = Some(format!("http://{}/metrics", listener.local_addr()?));
        running.push(tokio::spawn(serve(listener, None, metrics_routes(metrics), accepted, stop.clone())));
    }
    announce(call, &shown, &api_url, shown_metrics.as_deref(), &server.data.join("operator.toml"))?;

    let mut changes = registry.changes();
    let mut ticks = tokio::time::interval(pace);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => break,
            _ = ticks.tick() => server.tick(call.system.ctx.clock.now()).await,
            // Another node, or a command beside it, may have changed the keys: in an emergency nobody waits for the next look.
            Ok(()) = changes.changed() => server.follow_keys().await,
        }
    }
    call.printer.say("stopping: running requests may finish");
    stop.cancel();
    for one in running {
        let _ = one.await;
    }
    server.write_tallies(true).await;
    Ok(Outcome::Done)
}

/// The folder for everything that lies in files.
fn data_folder(settings: &Settings) -> Result<PathBuf> {
    let data = settings.beside(&settings.server()?.data);
    std::fs::create_dir_all(&data).with_context(|| format!("setting server.data: cannot make the folder {}", data.display()))?;
    Ok(data)
}

/// The registry of an installation, running or not, for commands that look at it or change it from beside.
pub(super) async fn open_registry(call: &Call, settings: &Settings) -> Result<(Arc<LiveRegistry>, PathBuf)> {
    let data = data_folder(settings)?;
    let stores = stores::open(call, settings, settings.server()?, &data).await?;
    Ok((load_registry(call, &stores, configured::pace(settings.server()?)).await?, data))
}

async fn load_registry(call: &Call, stores: &stores::Stores, stale_after: Duration) -> Result<Arc<LiveRegistry>> {
    let registry = LiveRegistry::load(Arc::clone(&stores.registry)).await.context("cannot read the registry")?;
    Ok(Arc::new(registry.stale_after(stale_after).audited(stores.ledger.clone(), Arc::clone(&call.system.ctx.clock))))
}

fn announce(call: &Call, issuers: &[serde_json::Value], api: &str, metrics: Option<&str>, operator: &Path) -> Result<()> {
    if call.printer.json {
        call.printer.object(&json!({"issuers": issuers, "selfservice": api, "metrics": metrics, "operator_config": operator}))?;
        return Ok(());
    }
    for issuer in issuers {
        call.printer.say(&format!("{} ({}) on {}", issuer["url"], issuer["profile"], issuer["listen"]).replace('"', ""));
    }
    if let Some(metrics) = metrics {
        call.printer.say(&format!("metrics at {metrics}"));
    }
    call.printer.say(&format!("self-service API at {api}; as its operator: skybru --config {} registry …", operator.display()));
    Ok(())
}

impl Server {
    /// Refusals that are counted go into the audit log once a minute.
    async fn write_tallies(&self, all: bool) {
        for issuer in &self.issuers {
            if let Err(error) = issuer.write_tally(all).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, issuer = issuer.url().as_str(), "counted refusals cannot be written down now");
            }
        }
    }

    /// Signs and publishes as the registry says by now.
    async fn follow_keys(&self) {
        match self.signing.changed_ring().await {
            Ok(Some(ring)) => self.issuers.iter().for_each(|issuer| issuer.replace_keys(ring.clone())),
            Ok(None) => {}
            Err(error) => tracing::error!(error = format!("{error:#}"), "the signing keys have changed and cannot be used"),
        }
    }

    /// Looks at keys and certificate. What fails is told and tried again: the server goes on with what it has.
    async fn tick(&self, now: Timestamp) {
        if let Some(certificate) = &self.certificate
            && let Err(error) = certificate.refresh()
        {
            tracing::error!(error = format!("{error:#}"), "the certificate cannot be read again");
        }
        self.limits.forget_idle();
        self.api_limits.iter().for_each(|limits| limits.forget_idle());
        self.write_tallies(false).await;
        if let Err(error) = self.signing.advance(&self.issuers, now).await {
            self.metrics.key_error();
            tracing::error!(error = format!("{error:#}"), "the signing keys cannot go on");
        }
        // What the registry says holds, also when this node could not add to it.
        match self.signing.ring().await {
            Ok(ring) => {
                self.signing.count(&self.metrics, now);
                self.issuers.iter().for_each(|issuer| issuer.replace_keys(ring.clone()));
            }
            Err(error) => {
                self.metrics.key_error();
                tracing::error!(error = format!("{error:#}"), "the signing keys cannot be used");
            }
        }
    }

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
}

/// Metrics hold nothing secret: whoever reaches the address may read them, with or without TLS.
async fn listen_on(setting: &str, address: &str) -> Result<TcpListener> {
    let wanted: SocketAddr = address
        .parse()
        .with_context(|| format!("setting {setting}: expected an address such as 127.0.0.1:9464, found {address:?}"))?;
    TcpListener::bind(wanted).await.with_context(|| format!("setting {setting}: cannot listen on {wanted}"))
}

/// How much each listener puts up with.
fn listener_limits(options: &ServerOptions) -> Result<Limits> {
    let given = options.limits;
    if given.connections == 0 || given.header_seconds == 0 || given.request_seconds == 0 {
        bail!("setting server.limits: connections, header-seconds and request-seconds must be at least 1");
    }
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    Ok(Limits {
        connections: given.connections,
        header_timeout: seconds(given.header_seconds),
        request_timeout: seconds(given.request_seconds),
        drain: seconds(given.drain_seconds),
    })
}

/// What one organisation may ask of the self-service API.
fn api_limits(call: &Call, options: &ServerOptions) -> Arc<RateLimits> {
    let rates = Rates { client: None, organisation: NonZeroU32::new(options.api_requests_per_second) };
    Arc::new(RateLimits::new(rates, Arc::clone(&call.system.ctx.clock)))
}

/// What one client and one organisation may ask; 0 means without limit.
fn limits(call: &Call, options: &ServerOptions) -> Arc<RateLimits> {
    let rates = Rates {
        client: NonZeroU32::new(options.client_requests_per_second),
        organisation: NonZeroU32::new(options.organisation_requests_per_second),
    };
    Arc::new(RateLimits::new(rates, Arc::clone(&call.system.ctx.clock)))
}
