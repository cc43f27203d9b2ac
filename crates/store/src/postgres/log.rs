//! Used assertions and audit entries, committed in groups on a connection of their own.
//!
//! **What is relied on.** A commit is durable as the server is set up: with `fsync` and `synchronous_commit` on (PostgreSQL's defaults)
//! it survives the death of the machine. After a failover to a standby that was not synchronous the last commits may be missing. The
//! server's identity and timeline tell: when they change, assertions that could have been used before are refused until they expire.
//! Once is once over all nodes, because the fingerprint is a primary key.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{join, join4};
use skybru_core::Ctx;
use skybru_protocol::assertion::Fingerprint;
use tokio_postgres::{Client, Statement};

use super::connect::Connector;
use super::within;
use crate::audit::{Chain, ChainId, Entry, Event, Hash, Head, Link};
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

struct Session {
    client: Client,
    record: Statement,
    forget: Statement,
    append: Statement,
    concern: Statement,
    head: Statement,
    join: Statement,
    chain: Chain,
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
        let session = Session {
            record: client
                .prepare(
                    "INSERT INTO used_assertion (fingerprint, forgotten_after) SELECT * FROM unnest($1::bytea[], $2::bigint[])
                     ON CONFLICT DO NOTHING RETURNING fingerprint",
                )
                .await
                .map_err(failed)?,
            forget: client.prepare("DELETE FROM used_assertion WHERE fingerprint = ANY ($1::bytea[])").await.map_err(failed)?,
            append: client
                .prepare(
                    "INSERT INTO audit (chain, place, at, hash, body)
                     SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bytea[], $5::text[])",
                )
                .await
                .map_err(failed)?,
            concern: client
                .prepare(
                    "INSERT INTO audit_concern (chain, org, at, place)
                     SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::bigint[])",
                )
                .await
                .map_err(failed)?,
            head: client
                .prepare(
                    "INSERT INTO audit_chain (chain, place, hash, joined) VALUES ($1, $2, $3, 0)
                     ON CONFLICT (chain) DO UPDATE SET place = excluded.place, hash = excluded.hash",
                )
                .await
                .map_err(failed)?,
            // Never waits for a row, so that two nodes that note each other do not wait for each other.
            join: client
                .prepare(
                    "UPDATE audit_chain SET joined = place WHERE chain IN
                         (SELECT chain FROM audit_chain WHERE joined < place AND chain <> $1 FOR UPDATE SKIP LOCKED)
                     RETURNING chain, place, hash",
                )
                .await
                .map_err(failed)?,
            chain: Chain::new(ChainId(id)),
            client,
        };
        Ok(session)
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

impl Session {
    async fn write(&mut self, batch: &[Request]) -> Result<Vec<bool>, StoreError> {
        let mut fresh: HashMap<Fingerprint, i64> = HashMap::with_capacity(batch.len());
        let mut forgotten: Vec<&[u8]> = Vec::new();
        let mut firsts = vec![false; batch.len()];
        for (place, request) in batch.iter().enumerate() {
            match request {
                Request::Record { assertion, forgotten_after, .. } => {
                    if let Slot::Vacant(slot) = fresh.entry(*assertion) {
                        slot.insert(*forgotten_after);
                        firsts[place] = true;
                    }
                }
                Request::Forget { assertion, .. } => forgotten.push(&assertion.0),
                Request::Append(_) => {}
            }
        }
        // Sorted, so that two nodes with the same assertions wait for each other in one order.
        let mut fresh: Vec<(Fingerprint, i64)> = fresh.into_iter().collect();
        fresh.sort_unstable();
        let fingerprints: Vec<&[u8]> = fresh.iter().map(|(fingerprint, _)| &fingerprint.0[..]).collect();
        let until: Vec<i64> = fresh.iter().map(|(_, until)| *until).collect();

        let failed = |source| StoreError::database(WHAT, source);
        let plain = forgotten.is_empty() && batch.iter().all(|request| matches!(request, Request::Record { entry: None, .. }));
        let record = async { self.client.query(&self.record, &[&fingerprints, &until]).await };
        let rows = if plain {
            // One statement is a transaction of its own.
            within(WHAT, record).await?
        } else {
            let begin = async {
                self.client.batch_execute("BEGIN").await?;
                if forgotten.is_empty() { Ok(0) } else { self.client.execute(&self.forget, &[&forgotten]).await }
            };
            if forgotten.is_empty() {
                // Sent together: the answer to the first need not be waited for.
                within(WHAT, async {
                    let (opened, rows) = join(begin, record).await;
                    opened.and(rows)
                })
                .await?
            } else {
                within(WHAT, begin).await?;
                within(WHAT, record).await?
            }
        };
        let mut recorded = std::collections::HashSet::with_capacity(rows.len());
        for row in &rows {
            let fingerprint: &[u8] = row.try_get(0).map_err(failed)?;
            recorded.insert(fingerprint.to_vec());
        }
        let done: Vec<bool> = batch
            .iter()
            .zip(&firsts)
            .map(|(request, first)| match request {
                Request::Record { assertion, .. } => *first && recorded.contains(&assertion.0[..]),
                Request::Forget { .. } | Request::Append(_) => true,
            })
            .collect();
        if !plain {
            let entries = batch.iter().zip(&done).filter_map(|(request, done)| match request {
                Request::Record { entry, .. } => entry.as_deref().filter(|_| *done),
                Request::Forget { entry, .. } => entry.as_deref(),
                Request::Append(entry) => Some(&**entry),
            });
            let mut chain = self.chain;
            let links = entries.map(|entry| chain.link(entry)).collect::<Result<Vec<_>, _>>()?;
            self.append(&links, chain).await?;
            self.chain = chain;
        }
        Ok(done)
    }

    /// Appends, and ends the transaction.
    async fn append(&self, links: &[Link], chain: Chain) -> Result<(), StoreError> {
        let id = &chain.id.0[..];
        let places: Vec<i64> = links.iter().map(|link| link.place).collect();
        let times: Vec<i64> = links.iter().map(|link| link.at).collect();
        let hashes: Vec<&[u8]> = links.iter().map(|link| &link.hash.0[..]).collect();
        let bodies: Vec<&str> = links.iter().map(|link| link.body.as_str()).collect();
        let (mut orgs, mut org_times, mut org_places) = (Vec::new(), Vec::new(), Vec::new());
        for link in links {
            for org in &link.concerns {
                orgs.push(org.as_str());
                org_times.push(link.at);
                org_places.push(link.place);
            }
        }
        let last = &chain.last.0[..];
        within(WHAT, async {
            if !links.is_empty() {
                let (append, concern, head, commit) = join4(
                    self.client.execute(&self.append, &[&id, &places, &times, &hashes, &bodies]),
                    self.client.execute(&self.concern, &[&id, &orgs, &org_times, &org_places]),
                    self.client.execute(&self.head, &[&id, &chain.place, &last]),
                    self.client.batch_execute("COMMIT"),
                )
                .await;
                // A COMMIT after a failure says "ROLLBACK", not that it failed: the failure itself must be looked at.
                append.and(concern).and(head)?;
                return commit;
            }
            self.client.batch_execute("COMMIT").await
        })
        .await
    }

    /// Notes the ends of other chains in this one.
    async fn join(&mut self, mut entry: Entry) -> Result<(), StoreError> {
        let failed = |source| StoreError::database(WHAT, source);
        let id = &self.chain.id.0[..];
        within(WHAT, self.client.batch_execute("BEGIN")).await?;
        // Our own row first: nobody who holds another's row waits for it then.
        within(WHAT, self.client.execute("SELECT 1 FROM audit_chain WHERE chain = $1 FOR UPDATE", &[&id])).await?;
        for row in within(WHAT, self.client.query(&self.join, &[&id])).await? {
            let (chain, hash): (&[u8], &[u8]) = (row.try_get(0).map_err(failed)?, row.try_get(2).map_err(failed)?);
            let (Ok(chain), Ok(hash)) = (chain.try_into(), hash.try_into()) else { continue };
            entry.heads.push(Head { chain: ChainId(chain), place: row.try_get(1).map_err(failed)?, hash: Hash(hash) });
        }
        let mut chain = self.chain;
        let links = if entry.heads.is_empty() { Vec::new() } else { vec![chain.link(&entry)?] };
        self.append(&links, chain).await?;
        self.chain = chain;
        Ok(())
    }
}
