//! From settings to connections.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use rustls::ClientConfig;
use skybru_core::Secret;
use tokio::sync::mpsc;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Notification, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::ANSWER;
use crate::StoreError;

/// Connecting takes no longer.
const CONNECT: Duration = Duration::from_secs(5);

/// How to reach a database.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgresql://user@host:port/database`, without a password. With `sslmode=require` TLS is a must.
    pub url: String,
    /// The password, if the server wants one.
    pub password: Option<Secret>,
    /// Whom to trust when the connection is encrypted. Without it connections are in the clear.
    pub tls: Option<Arc<ClientConfig>>,
    /// The most connections in the pool. A few more are held for long work.
    pub connections: usize,
    /// What this node is called in the audit log.
    pub node: String,
}

/// Why the settings lead nowhere.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// No PostgreSQL URL.
    #[error("the PostgreSQL URL cannot be read: expected postgresql://user@host:port/database")]
    Url(#[source] tokio_postgres::Error),
    /// A password where others read it.
    #[error("the PostgreSQL URL holds a password: give it as a file or a variable")]
    PasswordInUrl,
    /// TLS asked for, and nobody to trust.
    #[error("the PostgreSQL URL says sslmode=require, and no certificates to trust were given")]
    Tls,
}

/// Opens connections.
pub(super) struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    connections: usize,
}

impl Connector {
    pub(super) fn new(options: PostgresOptions) -> Result<Self, StoreError> {
        let settings = |source| StoreError::database("reading the settings", source);
        let mut config: Config = options.url.parse().map_err(|source| settings(SettingsError::Url(source)))?;
        if config.get_password().is_some() {
            return Err(settings(SettingsError::PasswordInUrl));
        }
        if let Some(password) = &options.password {
            config.password(password.expose());
        }
        match (&options.tls, config.get_ssl_mode()) {
            (None, SslMode::Require) => return Err(settings(SettingsError::Tls)),
            // `prefer` would fall back to the clear when somebody in between says so.
            (Some(_), SslMode::Prefer) => _ = config.ssl_mode(SslMode::Require),
            _ => {}
        }
        if config.get_application_name().is_none() {
            config.application_name("skybru");
        }
        config.connect_timeout(CONNECT).tcp_user_timeout(ANSWER).keepalives_idle(Duration::from_secs(10));
        // The server gives up a little before we do, so that its locks do not outlive our patience.
        config.options(format!(
            "{} -c statement_timeout=4000 -c lock_timeout=4000 -c idle_in_transaction_session_timeout=10000",
            config.get_options().unwrap_or_default()
        ));
        // A replica answers reads and refuses writes: better not to begin there.
        config.target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite);
        let tls = options.tls.map(|tls| MakeRustlsConnect::new(ClientConfig::clone(&tls)));
        Ok(Self { config, tls, connections: options.connections.max(2) })
    }

    pub(super) fn pool(&self) -> Result<Pool, StoreError> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Verified };
        let manager = match &self.tls {
            Some(tls) => Manager::from_config(self.config.clone(), tls.clone(), recycling),
            None => Manager::from_config(self.config.clone(), NoTls, recycling),
        };
        Pool::builder(manager)
            .max_size(self.connections)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts { wait: Some(ANSWER), create: Some(CONNECT), recycle: Some(ANSWER) })
            .build()
            .map_err(|source| StoreError::database("making the pool", source))
    }

    /// A connection outside the pool. It is closed when the client is dropped. Notifications go to `ear`.
    pub(super) async fn connect(&self, ear: Option<mpsc::UnboundedSender<Notification>>) -> Result<Client, StoreError> {
        let connecting = async {
            match &self.tls {
                Some(tls) => connect(&self.config, tls.clone(), ear).await,
                None => connect(&self.config, NoTls, ear).await,
            }
        };
        match tokio::time::timeout(CONNECT, connecting).await {
            Ok(connected) => connected.map_err(|source| StoreError::database("connecting to PostgreSQL", source)),
            Err(_) => Err(StoreError::Late { what: "connecting to PostgreSQL" }),
        }
    }
}

async fn connect<T>(
    config: &Config,
    tls: T,
    ear: Option<mpsc::UnboundedSender<Notification>>,
) -> Result<Client, tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, mut connection) = config.connect(tls).await?;
    tokio::spawn(async move {
        loop {
            match std::future::poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notification(notification))) => {
                    // Nobody listens any more: the client is about to go, too.
                    let _ = ear.as_ref().map(|ear| ear.send(notification));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    tracing::debug!(%error, "a connection to PostgreSQL ended");
                    break;
                }
                None => break,
            }
        }
    });
    Ok(client)
}
