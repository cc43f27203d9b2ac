//! Reading the audit log.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::{PostgresStore, within};
use crate::StoreError;
use crate::audit::{AuditQuery, AuditStore, ChainId, Hash, Head, Recorded};
use crate::rows::broken;

const WHAT: &str = "reading the audit log";

fn failed(source: tokio_postgres::Error) -> StoreError {
    StoreError::database(WHAT, source)
}

fn bytes<const N: usize>(row: &Row, column: usize) -> Result<[u8; N], StoreError> {
    let bytes: &[u8] = row.try_get(column).map_err(failed)?;
    bytes.try_into().map_err(|_| broken("audit", "", "a column of another length"))
}

fn recorded(row: &Row) -> Result<Recorded, StoreError> {
    Ok(Recorded {
        chain: ChainId(bytes(row, 0)?),
        place: row.try_get(1).map_err(failed)?,
        at: row.try_get(2).map_err(failed)?,
        hash: Hash(bytes(row, 3)?),
        body: row.try_get(4).map_err(failed)?,
    })
}

#[async_trait]
impl AuditStore for PostgresStore {
    async fn entries(&self, query: &AuditQuery) -> Result<Vec<Recorded>, StoreError> {
        let client = self.connection().await?;
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let after = query.after.map_or((i64::MIN, Vec::new(), 0), |after| (after.at, after.chain.0.to_vec(), after.place));
        let rows = match query.org {
            None => {
                let statement = "SELECT chain, place, at, hash, body FROM audit
                                 WHERE at >= $1 AND (at, chain, place) > ($2, $3::bytea, $4)
                                 ORDER BY at, chain, place LIMIT $5";
                within(WHAT, client.query(statement, &[&query.since, &after.0, &after.1, &after.2, &limit])).await?
            }
            Some(org) => {
                let statement = "SELECT a.chain, a.place, a.at, a.hash, a.body
                                 FROM audit_concern c JOIN audit a ON a.chain = c.chain AND a.place = c.place
                                 WHERE c.org = $6 AND c.at >= $1 AND (c.at, c.chain, c.place) > ($2, $3::bytea, $4)
                                 ORDER BY c.at, c.chain, c.place LIMIT $5";
                let org = org.as_str();
                within(WHAT, client.query(statement, &[&query.since, &after.0, &after.1, &after.2, &limit, &org])).await?
            }
        };
        rows.iter().map(recorded).collect()
    }

    async fn in_chains(&self, after: Option<(ChainId, i64)>, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        let client = self.connection().await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (chain, place) = after.map_or((Vec::new(), 0), |(chain, place)| (chain.0.to_vec(), place));
        let statement = "SELECT chain, place, at, hash, body FROM audit
                         WHERE (chain, place) > ($1::bytea, $2) ORDER BY chain, place LIMIT $3";
        let rows = within(WHAT, client.query(statement, &[&chain, &place, &limit])).await?;
        rows.iter().map(recorded).collect()
    }

    async fn heads(&self) -> Result<Vec<Head>, StoreError> {
        let client = self.connection().await?;
        let rows = within(WHAT, client.query("SELECT chain, place, hash FROM audit_chain ORDER BY chain", &[])).await?;
        let head = |row: &Row| {
            Ok(Head { chain: ChainId(bytes(row, 0)?), place: row.try_get(1).map_err(failed)?, hash: Hash(bytes(row, 2)?) })
        };
        rows.iter().map(head).collect()
    }
}
