//! Opens what `[server.store]` and `[server.replay]` name.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use skybru_client::http::tls_config;
use skybru_core::{Ctx, Secret};
use skybru_store::audit::AuditStore;
use skybru_store::postgres::{PostgresOptions, PostgresStore};
use skybru_store::sqlite::SqliteStore;
use skybru_store::valkey::{ValkeyLog, ValkeyOptions};
use skybru_store::{Ledger, RegistryStore};

use super::super::Call;
use crate::settings::{ReplayKind, ReplayOptions, SecretOptions, ServerOptions, Settings, StoreKind, StoreOptions};

/// Connections to a database when nobody says how many: the registry changes seldom.
const CONNECTIONS: usize = 8;

/// Everything that a server writes to.
pub(super) struct Stores {
    pub(super) registry: Arc<dyn RegistryStore>,
    pub(super) ledger: Ledger,
    pub(super) audit: Arc<dyn AuditStore>,
}

/// Opens all of it. `data` is the folder `server.data`.
pub(super) async fn open(call: &Call, settings: &Settings, server: &ServerOptions, data: &Path) -> Result<Stores> {
    let options = server.store.clone().unwrap_or_default();
    let ctx = &call.system.ctx;
    let replay = server.replay.as_ref();
    match options.kind {
        StoreKind::Sqlite => {
            if options.url.is_some() || options.password.is_some() {
                bail!("setting server.store: url and password are for kind = \"postgres\"");
            }
            let file = data.join("skybru.db");
            let store = SqliteStore::open(&file, ctx).with_context(|| format!("cannot open {}", file.display()))?;
            let store = Arc::new(store);
            let ledger = match replay.map(|replay| replay.kind) {
                None | Some(ReplayKind::Sqlite) => Ledger::together(store.clone()),
                Some(ReplayKind::Valkey) => Ledger::apart(valkey(call, settings, replay, ctx).await?, store.clone()),
                Some(ReplayKind::Postgres) => {
                    bail!("setting server.replay.kind: postgres needs server.store.kind = \"postgres\"")
                }
            };
            Ok(Stores { registry: store.clone(), ledger, audit: store })
        }
        StoreKind::Postgres if replay.is_some_and(|replay| replay.kind == ReplayKind::Sqlite) => bail!(
            "setting server.replay.kind: sqlite is a file of one node, and other nodes would accept the same assertion again; use \
             postgres or valkey"
        ),
        StoreKind::Postgres => {
            let store = Arc::new(postgres(call, settings, &options, server.node.as_deref()).await?);
            let ledger = match replay.map(|replay| replay.kind) {
                None | Some(ReplayKind::Postgres | ReplayKind::Sqlite) => Ledger::together(store.clone()),
                Some(ReplayKind::Valkey) => Ledger::apart(valkey(call, settings, replay, ctx).await?, store.clone()),
            };
            Ok(Stores { registry: store.clone(), ledger, audit: store })
        }
    }
}

/// Opens what holds the audit log, for reading beside running servers.
pub(super) async fn open_audit(
    call: &Call,
    settings: &Settings,
    server: &ServerOptions,
    data: &Path,
) -> Result<Arc<dyn AuditStore>> {
    let options = server.store.clone().unwrap_or_default();
    if options.kind == StoreKind::Postgres {
        return Ok(Arc::new(postgres(call, settings, &options, server.node.as_deref()).await?));
    }
    let file = data.join("skybru.db");
    if !file.is_file() {
        bail!("there is no database {}: has `issuer serve` run with these settings?", file.display());
    }
    Ok(Arc::new(SqliteStore::open(&file, &call.system.ctx).with_context(|| format!("cannot open {}", file.display()))?))
}

async fn postgres(call: &Call, settings: &Settings, options: &StoreOptions, node: Option<&str>) -> Result<PostgresStore> {
    let url = options.url.clone().context("setting server.store.url: missing: expected postgresql://user@host:port/database")?;
    let password =
        options.password.as_ref().map(|password| secret(call, settings, "server.store.password", password)).transpose()?;
    let tls = match &options.ca_file {
        Some(file) => {
            let pem = crate::lab::files::read(&settings.beside(file)).context("setting server.store.ca-file")?;
            let mut config = tls_config(Some(&pem)).context("setting server.store.ca-file")?;
            // A database speaks no HTTP, and newer ones hang up on whoever says so.
            config.alpn_protocols.clear();
            Some(Arc::new(config))
        }
        None => None,
    };
    let connections = options.connections.unwrap_or(CONNECTIONS);
    let node = node.or_else(|| call.system.var("HOSTNAME")).unwrap_or("node").to_owned();
    let options = PostgresOptions { url, password, tls, connections, node };
    PostgresStore::open(options, &call.system.ctx).await.context("cannot open the database of server.store.url")
}

async fn valkey(call: &Call, settings: &Settings, options: Option<&ReplayOptions>, ctx: &Ctx) -> Result<Arc<ValkeyLog>> {
    let options = options.context("setting server.replay: missing")?;
    let url = options.url.clone().context("setting server.replay.url: missing: expected redis://host:port/0")?;
    let password =
        options.password.as_ref().map(|password| secret(call, settings, "server.replay.password", password)).transpose()?;
    let ca_pem = options.ca_file.as_ref().map(|file| std::fs::read(settings.beside(file))).transpose();
    let options = ValkeyOptions {
        url,
        user: options.user.clone(),
        password,
        ca_pem: ca_pem.context("setting server.replay.ca-file")?,
        replicas: options.replicas,
    };
    Ok(Arc::new(ValkeyLog::open(options, ctx.clock.clone()).await.context("cannot use the server of server.replay.url")?))
}

/// A secret that the settings point to.
pub(super) fn secret(call: &Call, settings: &Settings, key: &str, options: &SecretOptions) -> Result<Secret> {
    let text = match (&options.file, &options.env) {
        (Some(file), None) => {
            let path = settings.beside(file);
            std::fs::read_to_string(&path).with_context(|| format!("setting {key}: cannot read {}", path.display()))?
        }
        (None, Some(variable)) => {
            call.system.var(variable).with_context(|| format!("setting {key}: the variable {variable} is not set"))?.to_owned()
        }
        _ => bail!("setting {key}: expected either {{ file = \"PATH\" }} or {{ env = \"NAME\" }}"),
    };
    // Editors end files with a newline.
    Ok(Secret::from(text.trim_end_matches(['\r', '\n']).to_owned()))
}
