//! What the log asks the database, on its one connection.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};

use futures_util::future::{join, join4};
use skybru_protocol::assertion::Fingerprint;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::log::{Request, WHAT};
use super::within;
use crate::StoreError;
use crate::audit::{Chain, ChainId, Entry, Hash, Head, Link};

/// A connection with its statements, and the chain that is written over it.
pub(super) struct Session {
    pub(super) client: Client,
    /// Everything that a group needs, when nothing in it was used before.
    whole: Statement,
    record: Statement,
    forget: Statement,
    append: Statement,
    concern: Statement,
    head: Statement,
    join: Statement,
    chain: Chain,
}

impl Session {
    /// Begins a chain of this name.
    pub(super) async fn new(client: Client, chain: ChainId) -> Result<Self, StoreError> {
        let failed = |source| StoreError::database(WHAT, source);
        let session = Self {
            // One statement is a transaction of its own, one message there and one back. It does all or nothing: nothing when one of the
            // assertions is there already, and it fails (and so does nothing) when another node records one of them meanwhile.
            whole: client
                .prepare(
                    "WITH batch AS (SELECT NOT EXISTS (SELECT FROM used_assertion WHERE fingerprint = ANY ($1::bytea[])) AS fresh),
                     recorded AS (INSERT INTO used_assertion (fingerprint, forgotten_after)
                         SELECT used.* FROM batch, unnest($1::bytea[], $2::bigint[]) used WHERE fresh),
                     ended AS (INSERT INTO audit_chain (chain, place, hash, joined)
                         SELECT $3::bytea, $4::bigint, $5::bytea, 0 FROM batch WHERE fresh
                         ON CONFLICT (chain) DO UPDATE SET place = excluded.place, hash = excluded.hash),
                     appended AS (INSERT INTO audit (chain, place, at, hash, body)
                         SELECT $3, link.* FROM batch,
                             unnest($6::bigint[], $7::bigint[], $8::bytea[], $9::text[]) link WHERE fresh),
                     concerned AS (INSERT INTO audit_concern (chain, org, at, place)
                         SELECT $3, concern.* FROM batch, unnest($10::text[], $11::bigint[], $12::bigint[]) concern
                         WHERE fresh)
                     SELECT fresh FROM batch",
                )
                .await
                .map_err(failed)?,
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
            chain: Chain::new(chain),
            client,
        };
        Ok(session)
    }

    /// Carries out all of `batch` or none of it, and tells for each whether it changed anything.
    pub(super) async fn write(&mut self, batch: &[Request]) -> Result<Vec<bool>, StoreError> {
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
        if !plain && forgotten.is_empty() {
            let done: Vec<bool> =
                batch.iter().zip(&firsts).map(|(request, first)| *first || matches!(request, Request::Append(_))).collect();
            if self.write_whole(batch, &done, &fingerprints, &until).await? {
                return Ok(done);
            }
        }
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
        let mut recorded = HashSet::with_capacity(rows.len());
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
            let (links, chain) = self.link(batch, &done)?;
            self.append(&links, chain).await?;
            self.chain = chain;
        }
        Ok(done)
    }

    /// The entries of what was `done`, and the chain with them at its end.
    fn link(&self, batch: &[Request], done: &[bool]) -> Result<(Vec<Link>, Chain), StoreError> {
        let entries = batch.iter().zip(done).filter_map(|(request, done)| match request {
            Request::Record { entry, .. } => entry.as_deref().filter(|_| *done),
            Request::Forget { entry, .. } => entry.as_deref(),
            Request::Append(entry) => Some(&**entry),
        });
        let mut chain = self.chain;
        let links = entries.map(|entry| chain.link(entry)).collect::<Result<Vec<_>, _>>()?;
        Ok((links, chain))
    }

    /// Writes a group on the assumption that nothing in it was used before, and tells whether that was so. If not, nothing was written.
    async fn write_whole(
        &mut self,
        batch: &[Request],
        done: &[bool],
        fingerprints: &[&[u8]],
        until: &[i64],
    ) -> Result<bool, StoreError> {
        let (links, chain) = self.link(batch, done)?;
        if links.is_empty() {
            return Ok(false);
        }
        let Columns { places, times, hashes, bodies, orgs, org_times, org_places } = Columns::of(&links);
        let (id, last) = (&chain.id.0[..], &chain.last.0[..]);
        let values: [&(dyn ToSql + Sync); 12] =
            [&fingerprints, &until, &id, &chain.place, &last, &places, &times, &hashes, &bodies, &orgs, &org_times, &org_places];
        let written = async {
            match self.client.query_one(&self.whole, &values).await {
                // Another node was faster with one of them.
                Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(false),
                written => written?.try_get(0),
            }
        };
        let written = within(WHAT, written).await?;
        if written {
            self.chain = chain;
        }
        Ok(written)
    }

    /// Appends, and ends the transaction.
    async fn append(&self, links: &[Link], chain: Chain) -> Result<(), StoreError> {
        let Columns { places, times, hashes, bodies, orgs, org_times, org_places } = Columns::of(links);
        let (id, last) = (&chain.id.0[..], &chain.last.0[..]);
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
    pub(super) async fn join(&mut self, mut entry: Entry) -> Result<(), StoreError> {
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

/// Links, as arrays that become rows again.
struct Columns<'a> {
    places: Vec<i64>,
    times: Vec<i64>,
    hashes: Vec<&'a [u8]>,
    bodies: Vec<&'a str>,
    orgs: Vec<&'a str>,
    org_times: Vec<i64>,
    org_places: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn of(links: &'a [Link]) -> Self {
        let concerns = || links.iter().flat_map(|link| link.concerns.iter().map(move |org| (link, org)));
        Self {
            places: links.iter().map(|link| link.place).collect(),
            times: links.iter().map(|link| link.at).collect(),
            hashes: links.iter().map(|link| &link.hash.0[..]).collect(),
            bodies: links.iter().map(|link| link.body.as_str()).collect(),
            orgs: concerns().map(|(_, org)| org.as_str()).collect(),
            org_times: concerns().map(|(link, _)| link.at).collect(),
            org_places: concerns().map(|(link, _)| link.place).collect(),
        }
    }
}
