//! Reading the audit log.

use async_trait::async_trait;
use rusqlite::{Connection, Params, Row};

use super::SqliteStore;
use crate::StoreError;
use crate::audit::{AuditQuery, AuditStore, ChainId, Hash, Head, Recorded};

fn failed(source: rusqlite::Error) -> StoreError {
    StoreError::database("reading the audit log", source)
}

fn recorded(row: &Row<'_>) -> Result<Recorded, rusqlite::Error> {
    Ok(Recorded { chain: ChainId(row.get(0)?), place: row.get(1)?, at: row.get(2)?, hash: Hash(row.get(3)?), body: row.get(4)? })
}

fn read(connection: &Connection, query: &str, values: impl Params) -> Result<Vec<Recorded>, StoreError> {
    let mut statement = connection.prepare_cached(query).map_err(failed)?;
    let rows = statement.query_map(values, recorded).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

#[async_trait]
impl AuditStore for SqliteStore {
    async fn entries(&self, query: &AuditQuery) -> Result<Vec<Recorded>, StoreError> {
        let query = query.clone();
        self.blocking(move |connection| {
            let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
            let (at, chain, place) =
                query.after.map_or((i64::MIN, Vec::new(), 0), |after| (after.at, after.chain.0.to_vec(), after.place));
            match query.org {
                None => read(
                    connection,
                    "SELECT chain, place, at, hash, body FROM audit WHERE at >= ?1 AND (at, chain, place) > (?2, ?3, ?4)
                     ORDER BY at, chain, place LIMIT ?5",
                    (query.since, at, chain, place, limit),
                ),
                Some(org) => read(
                    connection,
                    "SELECT a.chain, a.place, a.at, a.hash, a.body
                     FROM audit_concern c JOIN audit a ON a.chain = c.chain AND a.place = c.place
                     WHERE c.org = ?6 AND c.at >= ?1 AND (c.at, c.chain, c.place) > (?2, ?3, ?4)
                     ORDER BY c.at, c.chain, c.place LIMIT ?5",
                    (query.since, at, chain, place, limit, org.as_str()),
                ),
            }
        })
        .await
    }

    async fn in_chains(&self, after: Option<(ChainId, i64)>, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        self.blocking(move |connection| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let (chain, place) = after.map_or((Vec::new(), 0), |(chain, place)| (chain.0.to_vec(), place));
            let query =
                "SELECT chain, place, at, hash, body FROM audit WHERE (chain, place) > (?1, ?2) ORDER BY chain, place LIMIT ?3";
            read(connection, query, (chain, place, limit))
        })
        .await
    }

    async fn heads(&self) -> Result<Vec<Head>, StoreError> {
        self.blocking(|connection| {
            let mut statement =
                connection.prepare("SELECT chain, place, hash FROM audit_chain ORDER BY chain").map_err(failed)?;
            let rows = statement
                .query_map([], |row| Ok(Head { chain: ChainId(row.get(0)?), place: row.get(1)?, hash: Hash(row.get(2)?) }))
                .map_err(failed)?;
            rows.collect::<Result<_, _>>().map_err(failed)
        })
        .await
    }
}
