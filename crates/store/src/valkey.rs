//! Used assertions in Valkey or Redis, for several nodes.
//!
//! Each fingerprint is a key that is set only if it is absent, and that expires by itself ten minutes after its assertion. Requests go in
//! pipelines: what has come in while the last one was on its way makes up the next.
//!
//! **What is relied on.** Such a server acknowledges before its data are safe, and says nothing about what it lost. So:
//!
//! - With `appendonly yes` and `appendfsync always` nothing that was acknowledged is lost when the server dies; with `everysec` (the
//!   default) up to a second; without either everything. A failover loses what the replica had not received; with `replicas = N` a
//!   record counts only when N replicas have it (`WAIT`).
//! - Whatever the setting: each server has an id that changes when it is restarted or another one takes over. The id stands among the
//!   data. When it does not fit, assertions that could have been used before are refused with 503 until they expire. An assertion that
//!   lives two minutes and is made from then on passes after about fifteen seconds.
//! - A server that throws keys away when memory is short (`maxmemory-policy` other than `noeviction`) is refused at once, and so is a
//!   replica.
//! - Every doubt (no answer in time, a connection that breaks) is an error: the issuer answers 503.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo as _, TlsCertificates, Value};
use skybru_core::{Clock, Secret};
use skybru_protocol::assertion::Fingerprint;

use crate::group::{Backend, Group};
use crate::{AssertionLog, DOUBT_SECONDS, MARGIN_SECONDS, StoreError};

const WHAT: &str = "recording used assertions";

/// Connecting, and each answer, take no longer.
const ANSWER: Duration = Duration::from_secs(2);

/// Keys begin with this, so that others may use the server, too.
const PREFIX: &str = "skybru:used:";

/// The id of the server to which the records were written.
const SERVER: &str = "skybru:server";

/// Until when it is not known which assertions were used, in seconds since 1970.
const DOUBTFUL: &str = "skybru:doubtful-until";

/// How to reach the server.
#[derive(Clone)]
pub struct ValkeyOptions {
    /// `redis://host:port/0`, or `rediss://` for TLS; without a password.
    pub url: String,
    /// The user, if not the default one.
    pub user: Option<String>,
    /// The password, if the server wants one.
    pub password: Option<Secret>,
    /// Certificates (PEM) to trust instead of the machine's own.
    pub ca_pem: Option<Vec<u8>>,
    /// So many replicas must have a record before it counts.
    pub replicas: u32,
}

/// Why a server is not good enough.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("the Valkey URL holds a password: give it as a file or a variable")]
    PasswordInUrl,
    #[error("the server is a replica")]
    Replica,
    #[error("the server throws keys away when memory is short: set maxmemory-policy noeviction")]
    Evicts,
    #[error("the server does not tell its run_id")]
    Nameless,
    #[error("only {found} replicas have the record, {wanted} are wanted")]
    Replicas { found: i64, wanted: u32 },
    #[error("an answer that was not expected")]
    Answer,
}

fn failed(source: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::database(WHAT, source)
}

enum Request {
    Record { assertion: Fingerprint, forgotten_after: i64 },
    Forget { assertion: Fingerprint },
    Look { assertion: Fingerprint },
}

/// The log of used assertions in Valkey or Redis.
pub struct ValkeyLog {
    group: Group<Request>,
    doubtful_until: Arc<AtomicI64>,
}

impl ValkeyLog {
    /// Connects, and looks whether the server is fit for this.
    pub async fn open(options: ValkeyOptions, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let info = options.url.as_str().into_connection_info().map_err(failed)?;
        if info.redis_settings().password().is_some() {
            return Err(failed(Unfit::PasswordInUrl));
        }
        let mut login = info.redis_settings().clone();
        if let Some(user) = &options.user {
            login = login.set_username(user);
        }
        if let Some(password) = &options.password {
            login = login.set_password(password.expose());
        }
        let info = info.set_redis_settings(login);
        let client = match options.ca_pem {
            Some(pem) => Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem) }),
            None => Client::open(info),
        };
        let doubtful_until = Arc::new(AtomicI64::new(0));
        let mut backend = Server {
            client: client.map_err(failed)?,
            connection: None,
            replicas: options.replicas,
            clock,
            doubtful_until: Arc::clone(&doubtful_until),
        };
        backend.connection = Some(backend.connect().await?);
        Ok(Self { group: Group::start(backend, WHAT), doubtful_until })
    }
}

#[async_trait]
impl AssertionLog for ValkeyLog {
    async fn record_once(&self, assertion: Fingerprint, forgotten_after: i64) -> Result<bool, StoreError> {
        let until = self.doubtful_until.load(Ordering::Relaxed);
        if forgotten_after <= until {
            return Err(StoreError::Doubtful { until });
        }
        self.group.ask(Request::Record { assertion, forgotten_after }).await
    }

    async fn forget(&self, assertion: Fingerprint) -> Result<(), StoreError> {
        self.group.ask(Request::Forget { assertion }).await.map(|_| ())
    }

    async fn is_used(&self, assertion: Fingerprint) -> Result<bool, StoreError> {
        self.group.ask(Request::Look { assertion }).await
    }
}

struct Server {
    client: Client,
    connection: Option<MultiplexedConnection>,
    replicas: u32,
    clock: Arc<dyn Clock>,
    doubtful_until: Arc<AtomicI64>,
}

impl Server {
    /// A connection is one server for its whole life: what holds when it begins holds until it ends.
    async fn connect(&self) -> Result<MultiplexedConnection, StoreError> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(ANSWER)).set_response_timeout(Some(ANSWER));
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await.map_err(failed)?;
        let info: String = redis::cmd("INFO").query_async(&mut connection).await.map_err(failed)?;
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
        if field("role") != Some("master") {
            return Err(failed(Unfit::Replica));
        }
        if field("maxmemory").is_some_and(|limit| limit != "0") && field("maxmemory_policy") != Some("noeviction") {
            return Err(failed(Unfit::Evicts));
        }
        let server = field("run_id").ok_or_else(|| failed(Unfit::Nameless))?;
        let (known, until): (Option<String>, Option<i64>) =
            redis::cmd("MGET").arg(SERVER).arg(DOUBTFUL).query_async(&mut connection).await.map_err(failed)?;
        let until = if known.as_deref() == Some(server) {
            until.unwrap_or(0)
        } else {
            let until = self.clock.unix_seconds() + DOUBT_SECONDS;
            tracing::warn!(server, until, "another server, or a restarted one: what it may have lost is refused for a while");
            // Both at once: whoever finds the server known finds the doubt, too.
            redis::cmd("MSET")
                .arg(DOUBTFUL)
                .arg(until)
                .arg(SERVER)
                .arg(server)
                .exec_async(&mut connection)
                .await
                .map_err(failed)?;
            until
        };
        self.doubtful_until.store(until, Ordering::Relaxed);
        Ok(connection)
    }

    async fn write(&self, connection: &mut MultiplexedConnection, batch: &[Request]) -> Result<Vec<bool>, StoreError> {
        let now = self.clock.unix_seconds();
        let mut pipe = redis::pipe();
        for request in batch {
            match request {
                Request::Record { assertion, forgotten_after } => {
                    let seconds = forgotten_after.saturating_sub(now).max(0) + MARGIN_SECONDS;
                    pipe.cmd("SET").arg(key(*assertion)).arg(1).arg("NX").arg("EX").arg(seconds);
                }
                Request::Forget { assertion } => _ = pipe.cmd("DEL").arg(key(*assertion)),
                Request::Look { assertion } => _ = pipe.cmd("EXISTS").arg(key(*assertion)),
            }
        }
        if self.replicas > 0 {
            pipe.cmd("WAIT").arg(self.replicas).arg(1000);
        }
        let answers: Vec<Value> = pipe.query_async(connection).await.map_err(failed)?;
        if self.replicas > 0 {
            match answers.last() {
                Some(Value::Int(found)) if *found >= i64::from(self.replicas) => {}
                Some(Value::Int(found)) => return Err(failed(Unfit::Replicas { found: *found, wanted: self.replicas })),
                _ => return Err(failed(Unfit::Answer)),
            }
        }
        let answer = |(request, answer): (&Request, &Value)| match (request, answer) {
            (Request::Record { .. }, Value::Okay) => Ok(true),
            (Request::Record { .. }, Value::Nil) => Ok(false),
            (Request::Forget { .. } | Request::Look { .. }, Value::Int(count)) => Ok(*count > 0),
            _ => Err(failed(Unfit::Answer)),
        };
        batch.iter().zip(&answers).map(answer).collect()
    }
}

fn key(assertion: Fingerprint) -> Vec<u8> {
    [PREFIX.as_bytes(), &assertion.0].concat()
}

#[async_trait]
impl Backend for Server {
    type Request = Request;

    async fn commit(&mut self, batch: &[Request]) -> Result<Vec<bool>, StoreError> {
        // Taken out: after an error the next batch begins with a new connection, and looks at the server again.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let until = self.doubtful_until.load(Ordering::Relaxed);
        if batch.iter().any(|request| matches!(request, Request::Record { forgotten_after, .. } if *forgotten_after <= until)) {
            self.connection = Some(connection);
            return Err(StoreError::Doubtful { until });
        }
        let done = self.write(&mut connection, batch).await.map_err(|error| error.in_doubt(WHAT))?;
        self.connection = Some(connection);
        Ok(done)
    }

    async fn idle(&mut self) {
        // Looked at again without being asked, so that readiness tells the truth and the first request finds a connection.
        if self.connection.is_none()
            && let Ok(connection) = self.connect().await
        {
            self.connection = Some(connection);
        }
    }
}
