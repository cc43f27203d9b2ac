//! Used assertions and audit entries, committed in groups on a connection of their own.
//!
//! **What is relied on.** A commit is durable as the server is set up: with `fsync` and `synchronous_commit` on (PostgreSQL's defaults)
//! it survives the death of the machine. After a failover to a standby that was not synchronous the last commits may be missing. The
//! server's identity and timeline tell: when they change, assertions that could have been used before are refused until they expire.
//! Once is once over all nodes, because the fingerprint is a primary key.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use skybru_core::Ctx;
use skybru_protocol::assertion::Fingerprint;

use super::connect::Connector;
use super::session::Session;
use super::within;
use crate::audit::{ChainId, Entry, Event};
use crate::group::Backend;
use crate::{DOUBT_SECONDS, MARGIN_SECONDS, StoreError};

pub(super) const WHAT: &str = "recording used assertions";

/// Making a connection takes no longer: meanwhile callers are refused.
const CONNECT: Duration = Duration::from_secs(2);

/// Old records are dropped this often.
const SWEEP_SECONDS: i64 = 10;

/// Chains of others are noted this often.
const JOIN_SECONDS: i64 = 60;

/// One thing to do.
pub(super) enum Request {
    Record { assertion: Fingerprint, forgotten_after: i64, entry: Option<Box<Entry>> },
    Forget { assertion: Fingerprint, entry: Option<Box<Entry>> },
    Append(Box<Entry>),
}

/// Writes what comes in groups.
pub(super) struct Writer {
    connector: Arc<Connector>,
    ctx: Ctx,
    node: String,
    session: Option<Session>,
    doubtful_until: Arc<AtomicI64>,
    swept: i64,
    joined: i64,
}

impl Writer {
    pub(super) async fn open(
        connector: Arc<Connector>,
        ctx: Ctx,
        node: String,
        doubtful_until: Arc<AtomicI64>,
    ) -> Result<Self, StoreError> {
        let mut writer = Self { connector, ctx, node, session: None, doubtful_until, swept: 0, joined: 0 };
        writer.session = Some(writer.connect().await?);
        Ok(writer)
    }

    async fn connect(&self) -> Result<Session, StoreError> {
        match tokio::time::timeout(CONNECT, self.begin()).await {
            Ok(session) => session,
            Err(_) => Err(StoreError::Late { what: "connecting to PostgreSQL" }),
        }
    }

    async fn begin(&self) -> Result<Session, StoreError> {
        let client = self.connector.connect(None).await?;
        let failed = |source| StoreError::database(WHAT, source);
        let doubtful_from = self.ctx.clock.unix_seconds() + DOUBT_SECONDS;
        // The timeline is the first part of the name of the file that is written now; it changes when a standby takes over.
        let row = client
            .query_one(
                "INSERT INTO replay_server AS known (one, server, doubtful_until)
                 SELECT 1, system_identifier || ' ' || left(pg_walfile_name(pg_current_wal_lsn()), 8), 0 FROM pg_control_system()
                 ON CONFLICT (one) DO UPDATE SET server = excluded.server, doubtful_until =
                     CASE known.server WHEN excluded.server THEN known.doubtful_until ELSE $1 END
                 RETURNING doubtful_until",
                &[&doubtful_from],
            )
            .await
            .map_err(failed)?;
        self.doubtful_until.store(row.try_get(0).map_err(failed)?, Ordering::Relaxed);
        let mut id = [0; 16];
        self.ctx.randomness.fill(&mut id);
        Session::new(client, ChainId(id)).await
    }

    async fn write(&mut self, batch: &[Request]) -> Result<Vec<bool>, StoreError> {
        let mut session = match self.session.take() {
            Some(session) if !session.client.is_closed() => session,
            _ => self.connect().await?,
        };
        let doubtful_until = self.doubtful_until.load(Ordering::Relaxed);
        if batch
            .iter()
            .any(|request| matches!(request, Request::Record { forgotten_after, .. } if *forgotten_after <= doubtful_until))
        {
            self.session = Some(session);
            return Err(StoreError::Doubtful { until: doubtful_until });
        }
        // Whatever goes wrong from here on may have happened: the session is given up, and the next one asks nobody.
        let done = session.write(batch).await.map_err(|error| error.in_doubt(WHAT))?;
        let now = self.ctx.clock.unix_seconds();
        if now - self.joined >= JOIN_SECONDS {
            session
                .join(Entry { node: Some(self.node.clone()), ..Entry::new(self.ctx.clock.now(), Event::ChainsJoined) })
                .await?;
            self.joined = now;
        }
        self.session = Some(session);
        Ok(done)
    }
}

#[async_trait]
impl Backend for Writer {
    type Request = Request;

    async fn commit(&mut self, batch: &[Request]) -> Result<Vec<bool>, StoreError> {
        self.write(batch).await
    }

    async fn idle(&mut self) {
        let now = self.ctx.clock.unix_seconds();
        if self.session.as_ref().is_none_or(|session| session.client.is_closed()) {
            // Looked at again without being asked, so that the first request finds a connection.
            self.session = self.connect().await.ok();
        }
        let Some(session) = &self.session else { return };
        if now - self.swept < SWEEP_SECONDS {
            return;
        }
        self.swept = now;
        let before = now - MARGIN_SECONDS;
        let sweep = async {
            let old = "DELETE FROM used_assertion WHERE fingerprint IN
                           (SELECT fingerprint FROM used_assertion WHERE forgotten_after < $1 LIMIT 20000 FOR UPDATE SKIP LOCKED)";
            session.client.execute(old, &[&before]).await
        };
        if let Err(error) = within("dropping old assertions", sweep).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "old assertions are still there");
            self.session = None;
        }
    }
}
