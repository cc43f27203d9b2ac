//! The lab: issuers, self-service API and simulated clouds on this machine, with a demonstration set up in them.
//!
//! `try` runs it once in a temporary folder; `up` runs it until stopped, in a folder that survives.

mod admin;
pub(crate) mod azure;
mod demo;
pub(crate) mod files;
pub(crate) mod google;
pub(crate) mod organisations;
mod tls;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use skybru_core::{Ctx, IssuerUrl, Secret};
use skybru_issuer::http::{Limits, issuer_routes, selfservice_routes, serve};
use skybru_issuer::selfservice::SelfService;
use skybru_issuer::{Issuer, IssuerSettings, KeyRing, Profile};
use skybru_protocol::assertion::TimeRules;
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey};
use skybru_sim::aws::{AwsSim, AwsSimOptions};
use skybru_sim::azure::AzureSim;
use skybru_sim::control::ControlSettings;
use skybru_sim::google::GoogleSim;
use skybru_store::sqlite::SqliteStore;
use skybru_store::{Ledger, LiveRegistry};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use demo::Demo;

pub(crate) use self::admin::AwsAdmin;
use self::tls::Tls;

/// What a lab is told.
pub(crate) struct LabOptions {
    /// Where everything is kept.
    pub(crate) folder: PathBuf,
    /// The first of its ports; `None` for any that are free.
    pub(crate) port_base: Option<u16>,
    /// Clock and randomness of the issuers.
    pub(crate) ctx: Ctx,
    /// The clouds beside AWS, which is always there.
    pub(crate) clouds: OtherClouds,
    /// Clock, propagation and faults of all simulated clouds, once the demonstration is set up.
    pub(crate) control: ControlSettings,
}

/// The clouds beside AWS that a lab simulates.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OtherClouds {
    pub(crate) google: bool,
    pub(crate) azure: bool,
}

impl OtherClouds {
    pub(crate) const ALL: Self = Self { google: true, azure: true };
}

/// What `up --json` prints.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LabInfo {
    pub(crate) data_dir: PathBuf,
    pub(crate) ca_file: PathBuf,
    pub(crate) selfservice: String,
    pub(crate) issuers: IssuersInfo,
    pub(crate) clouds: CloudsInfo,
    pub(crate) demo: DemoInfo,
}

/// The issuers' URLs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct IssuersInfo {
    pub(crate) maskinporten: String,
    pub(crate) skyporten: String,
}

/// The simulated clouds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CloudsInfo {
    pub(crate) aws: AwsInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) google: Option<google::GoogleInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) azure: Option<azure::AzureInfo>,
}

/// The simulated AWS and its root key, which is good for nothing else.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AwsInfo {
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
}

/// What is set up in the lab.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DemoInfo {
    pub(crate) provider_org: String,
    pub(crate) consumer_org: String,
    pub(crate) scope: String,
    pub(crate) resource: String,
    pub(crate) client_id: String,
    pub(crate) client_jwk_file: PathBuf,
    pub(crate) config_file: PathBuf,
}

/// So often it is looked whether counted refusals are due.
const TALLY_PACE: Duration = Duration::from_secs(5);

const REGION: &str = "eu-north-1";
const ACCOUNT: &str = "123456789012";

/// A running lab.
pub(crate) struct Lab {
    pub(crate) info: LabInfo,
    pub(crate) demo: Demo,
    pub(crate) skyporten: Arc<Issuer>,
    pub(crate) service: Arc<SelfService>,
    /// Also to move its clock.
    pub(crate) aws: AwsSim,
    /// Also to move its clock.
    pub(crate) google: Option<GoogleSim>,
    /// Also to move its clock.
    pub(crate) azure: Option<AzureSim>,
    tls: Tls,
    registry: Arc<LiveRegistry>,
    store: Arc<SqliteStore>,
    ctx: Ctx,
    stop: CancellationToken,
    servers: Vec<JoinHandle<()>>,
    /// Held for as long as the lab runs.
    _lock: std::fs::File,
}

/// The lab's ports, in the order of their numbers.
struct Listeners {
    selfservice: TcpListener,
    maskinporten: TcpListener,
    skyporten: TcpListener,
}

impl Lab {
    /// Starts everything and sets the demonstration up, unless the folder has it already.
    pub(crate) async fn start(options: LabOptions) -> Result<Self> {
        let LabOptions { folder, port_base, ctx, clouds, control } = options;
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let folder = folder.canonicalize().with_context(|| format!("cannot use the folder {}", folder.display()))?;
        let lock = lock(&folder)?;
        let tls = Tls::prepare(&folder, ctx.clock.now())?;
        let listeners = listen(port_base).await?;
        let url = |listener: &TcpListener, slash: &str| -> Result<IssuerUrl> {
            Ok(format!("https://localhost:{}{slash}", listener.local_addr()?.port()).parse()?)
        };
        let (maskinporten_url, skyporten_url) = (url(&listeners.maskinporten, "/")?, url(&listeners.skyporten, "")?);
        let selfservice_url = format!("https://localhost:{}/api/v1", listeners.selfservice.local_addr()?.port());

        let database = folder.join("skybru.db");
        let store = SqliteStore::open(&database, &ctx).with_context(|| format!("cannot open {}", database.display()))?;
        let store = Arc::new(store);
        let registry = LiveRegistry::load(store.clone()).await.context("cannot read the registry")?;
        let registry = Arc::new(registry.audited(Ledger::together(store.clone()), Arc::clone(&ctx.clock)));
        let keys = KeyRing::single(signing_key(&folder, "issuer-key.jwk")?);
        let issuer = |url, profile| {
            let settings = IssuerSettings { url, profile, token_lifetime_seconds: 120, time_rules: TimeRules::default() };
            Arc::new(Issuer::new(settings, keys.clone(), registry.clone(), Ledger::together(store.clone()), ctx.clone()))
        };
        let maskinporten = issuer(maskinporten_url, Profile::Maskinporten);
        let skyporten = issuer(skyporten_url, Profile::Skyporten { cloud_metadata: true });
        let service = Arc::new(SelfService::new(maskinporten.clone()).with_audit(store.clone()));

        let (access_key_id, secret) = root_key(&folder, &ctx)?;
        let aws = AwsSim::start(AwsSimOptions {
            port: port_base.map_or(0, |base| base + 11),
            state_dir: Some(folder.join("aws")),
            ctx: ctx.clone(),
            wire_clock: Arc::clone(&ctx.clock),
            account: ACCOUNT.to_owned(),
            region: REGION.to_owned(),
            root_access_key_id: access_key_id.clone(),
            root_secret_access_key: secret.clone(),
            settings: skybru_sim::aws::AwsSettings::default(),
            control: ControlSettings::default(),
            extra_roots_pem: None,
        })
        .await
        .map_err(|error| taken(error.into(), port_base))?;

        let (google, google_info) = if clouds.google {
            google::start(&folder, port_base, &ctx, &tls.ca_pem).await.map(|(sim, info)| (Some(sim), Some(info)))?
        } else {
            (None, None)
        };

        let (azure, azure_info) = if clouds.azure {
            let started = azure::start(&folder, port_base, &ctx, &tls).await.map_err(|error| taken(error, port_base))?;
            (Some(started.0), Some(started.1))
        } else {
            (None, None)
        };

        let stop = CancellationToken::new();
        let config =
            |router, listener| tokio::spawn(serve(listener, Some(tls.config.clone()), router, Limits::default(), stop.clone()));
        tokio::spawn(write_tallies([maskinporten.clone(), skyporten.clone()], stop.clone()));
        let servers = vec![
            config(selfservice_routes(service.clone()), listeners.selfservice),
            config(issuer_routes(maskinporten.clone()), listeners.maskinporten),
            config(issuer_routes(skyporten.clone()), listeners.skyporten),
        ];
        // By name, not by address: the endpoint stands in people's settings.
        let endpoint = aws.base_url().replace("127.0.0.1", "localhost");
        let info = LabInfo {
            ca_file: folder.join("ca.pem"),
            selfservice: selfservice_url,
            issuers: IssuersInfo { maskinporten: maskinporten.url().to_string(), skyporten: skyporten.url().to_string() },
            clouds: CloudsInfo {
                aws: AwsInfo {
                    endpoint,
                    region: REGION.to_owned(),
                    account: ACCOUNT.to_owned(),
                    access_key_id,
                    secret_access_key: secret.expose().to_owned(),
                },
                google: google_info,
                azure: azure_info,
            },
            demo: DemoInfo::none(&folder),
            data_dir: folder,
        };
        let demo = Demo::default();
        let mut lab =
            Self { info, demo, skyporten, service, aws, google, azure, tls, registry, store, ctx, stop, servers, _lock: lock };
        lab.set_up().await.context("cannot set the demonstration up")?;
        lab.control(control);
        Ok(lab)
    }

    /// One more issuer on a port of its own: the Skyporten of 2023, whose metadata lacks what AWS needs.
    pub(crate) async fn start_old_skyporten(&mut self) -> Result<Arc<Issuer>> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port()).parse()?;
        let profile = Profile::Skyporten { cloud_metadata: false };
        let settings = IssuerSettings { url, profile, token_lifetime_seconds: 120, time_rules: TimeRules::default() };
        let keys = KeyRing::clone(&self.skyporten.keys());
        let issuer =
            Arc::new(Issuer::new(settings, keys, self.registry.clone(), Ledger::together(self.store.clone()), self.ctx.clone()));
        let serving =
            serve(listener, Some(self.tls.config.clone()), issuer_routes(issuer.clone()), Limits::default(), self.stop.clone());
        self.servers.push(tokio::spawn(serving));
        Ok(issuer)
    }

    /// The lab's certificate authority, PEM.
    pub(crate) fn ca_pem(&self) -> &str {
        &self.tls.ca_pem
    }

    /// The administrator of the provider's AWS account.
    fn admin(&self) -> AwsAdmin {
        let aws = &self.info.clouds.aws;
        AwsAdmin {
            endpoint: aws.endpoint.clone(),
            region: aws.region.clone(),
            access_key_id: aws.access_key_id.clone(),
            secret_access_key: Secret::from(aws.secret_access_key.clone()),
            session_token: None,
            ctx: self.ctx.clone(),
        }
    }

    /// Moves the clocks of all simulated clouds, slows their changes down, injects faults (S-21).
    fn control(&self, settings: ControlSettings) {
        self.aws.control(settings);
        if let Some(google) = &self.google {
            google.control(settings);
        }
        if let Some(azure) = &self.azure {
            azure.control(settings);
        }
    }

    /// Lets running requests finish.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        for server in self.servers {
            let _ = server.await;
        }
        self.aws.shutdown().await;
        if let Some(google) = self.google {
            google.shutdown().await;
        }
        if let Some(azure) = self.azure {
            azure.shutdown().await;
        }
    }
}

impl DemoInfo {
    fn none(folder: &Path) -> Self {
        use organisations::{CONSUMER, PROVIDER, RESOURCE, SCOPE};
        Self {
            provider_org: PROVIDER.id(),
            consumer_org: CONSUMER.id(),
            scope: SCOPE.to_owned(),
            resource: RESOURCE.to_owned(),
            client_id: String::new(),
            client_jwk_file: folder.join("client.jwk"),
            config_file: folder.join("skybru.toml"),
        }
    }
}

/// Refusals that are counted go into the audit log once a minute. Those of the last minute are lost when the lab stops.
async fn write_tallies(issuers: [Arc<Issuer>; 2], stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(TALLY_PACE)).await.is_some() {
        for issuer in &issuers {
            if let Err(error) = issuer.write_tally(false).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "counted refusals cannot be written down now");
            }
        }
    }
}

/// Two labs in one folder would each believe they know everything.
fn lock(folder: &Path) -> Result<std::fs::File> {
    let path = folder.join("lock");
    let file = std::fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    if file.try_lock().is_err() {
        bail!("the folder {} is in use by another skybru: stop that one, or name another folder with --data", folder.display());
    }
    Ok(file)
}

async fn listen(port_base: Option<u16>) -> Result<Listeners> {
    let bind = async |offset: u16| -> Result<TcpListener> {
        let port = port_base.map_or(0, |base| base + offset);
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        bound.with_context(|| format!("port {port} on this machine cannot be used")).map_err(|error| taken(error, port_base))
    };
    Ok(Listeners { selfservice: bind(0).await?, maskinporten: bind(1).await?, skyporten: bind(2).await? })
}

/// Adds what to do when a port is taken.
fn taken(error: anyhow::Error, port_base: Option<u16>) -> anyhow::Error {
    let in_use = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
    };
    match port_base {
        Some(base) if error.chain().any(in_use) => {
            let other = if base < 60_000 { base + 100 } else { 7400 };
            error.context(format!("the lab's ports are taken: stop the program that has them, or try --port-base {other}"))
        }
        _ => error,
    }
}

/// The issuers' key, made on first use. It stays the same, so that tokens of before a restart still verify.
fn signing_key(folder: &Path, name: &str) -> Result<SigningKey> {
    let path = folder.join(name);
    if path.is_file() {
        return SigningKey::from_text(&files::read(&path)?, None)
            .with_context(|| format!("cannot use the key in {}", path.display()));
    }
    let key = SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256)?;
    files::write_private(&path, key.private_jwk()?.as_bytes())?;
    Ok(key)
}

/// The simulated account's root key: random, so that nothing on this machine can guess it; kept, so that profiles go on working.
fn root_key(folder: &Path, ctx: &Ctx) -> Result<(String, Secret)> {
    let path = folder.join("aws-root-key.json");
    if !path.is_file() {
        let mut bytes = [0; 30];
        ctx.randomness.fill(&mut bytes);
        let secret = skybru_protocol::base64url::encode(bytes);
        let mut id = [0; 16];
        ctx.randomness.fill(&mut id);
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let id: String = id.iter().map(|byte| char::from(alphabet[usize::from(*byte) % 32])).collect();
        let key = serde_json::json!({"access_key_id": format!("AKIA{id}"), "secret_access_key": secret});
        files::write_private(&path, key.to_string().as_bytes())?;
    }
    let key: serde_json::Value =
        serde_json::from_str(&files::read(&path)?).with_context(|| format!("cannot read {}", path.display()))?;
    let member = |name: &str| key[name].as_str().map(str::to_owned).with_context(|| format!("{} lacks {name}", path.display()));
    Ok((member("access_key_id")?, member("secret_access_key")?.into()))
}
