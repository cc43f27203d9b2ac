//! The registry's tables, its numbered changes, and the ear for them.

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_postgres::{ClientWrapper, Object};
use futures_util::TryStreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio_postgres::types::ToSql;

use super::connect::Connector;
use super::{POLL, within};
use crate::live::{Since, Snapshot, Turn};
use crate::rows::{self, Reader, Value, broken};
use crate::{Change, Registry, StoreError};

/// So many changes are kept; a node that lags further reads everything anew.
const KEPT: i64 = 100_000;

/// The channel on which nodes tell each other.
const CHANNEL: &str = "skybru_registry";

/// Reads everything, as of one moment.
pub(super) async fn load(client: &mut ClientWrapper) -> Result<Snapshot, StoreError> {
    const WHAT: &str = "reading the registry";
    let failed = |source| StoreError::database(WHAT, source);
    let transaction = client.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead);
    let transaction = within(WHAT, transaction.read_only(true).start()).await?;
    transaction.batch_execute("SET LOCAL statement_timeout = '10min'").await.map_err(failed)?;
    let head = transaction.query_one("SELECT sequence FROM registry_head", &[]).await.map_err(failed)?;
    let sequence: i64 = head.try_get(0).map_err(failed)?;
    let mut registry = Registry::default();
    let mut apply = |change: Option<Change>| match change {
        Some(change) => registry.apply(change).map_err(|problem| broken("registry", "", problem)),
        None => Ok(()),
    };
    let mut reader = Reader::default();
    for query in &rows::QUERIES {
        let rows = transaction.query_raw(query.sql, std::iter::empty::<&(dyn ToSql + Sync)>()).await.map_err(failed)?;
        let mut rows = std::pin::pin!(rows);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let columns: Vec<&str> =
                (0..query.columns).map(|column| row.try_get(column)).collect::<Result<_, _>>().map_err(failed)?;
            apply((query.take)(&mut reader, &columns)?)?;
        }
    }
    apply(reader.finish())?;
    Ok(Snapshot { registry, sequence: sequence.unsigned_abs() })
}

/// What happened after `sequence`; nothing when it cannot be told any more, and everything must be read anew.
pub(super) async fn changes_after(client: &ClientWrapper, sequence: u64) -> Result<Option<Since>, StoreError> {
    const WHAT: &str = "reading changes of the registry";
    let after = i64::try_from(sequence).unwrap_or(i64::MAX);
    // One statement sees one moment: the head, and every change up to it.
    let rows = within(
        WHAT,
        client.query(
            "SELECT head.sequence, change.sequence, change.body FROM registry_head head
             LEFT JOIN registry_change change ON change.sequence > $1 ORDER BY change.sequence",
            &[&after],
        ),
    )
    .await?;
    let failed = |source| StoreError::database(WHAT, source);
    let mut changes = Vec::with_capacity(rows.len());
    let mut expected = after;
    let mut head = 0;
    for row in &rows {
        head = row.try_get::<_, i64>(0).map_err(failed)?;
        let Some(place) = row.try_get::<_, Option<i64>>(1).map_err(failed)? else { continue };
        if place != expected + 1 {
            return Ok(None);
        }
        expected = place;
        match serde_json::from_str(row.try_get(2).map_err(failed)?) {
            Ok(change) => changes.push(change),
            // Written by a newer node. What this version does not know it cannot use; its number counts all the same.
            Err(error) if error.to_string().starts_with("unknown variant") => {
                tracing::warn!(sequence = place, %error, "a change that this version does not know");
            }
            Err(error) => return Err(broken("registry_change", &place.to_string(), error)),
        }
    }
    // Behind the last change kept, or ahead of a database that was put back from a copy.
    Ok((expected == head).then(|| Since { changes, sequence: head.unsigned_abs() }))
}

/// The right to write, held as a lock on the head's row until the transaction ends.
pub(super) struct PostgresTurn {
    connection: Option<Object>,
    sequence: i64,
}

impl PostgresTurn {
    pub(super) async fn take(connection: Object) -> Result<Box<dyn Turn>, StoreError> {
        const WHAT: &str = "taking the turn to write";
        let mut turn = Self { connection: Some(connection), sequence: 0 };
        let client = turn.client()?;
        within(WHAT, client.batch_execute("BEGIN")).await?;
        let row = within(WHAT, client.query_one("SELECT sequence FROM registry_head FOR UPDATE", &[])).await?;
        turn.sequence = row.try_get(0).map_err(|source| StoreError::database(WHAT, source))?;
        Ok(Box::new(turn))
    }

    fn client(&self) -> Result<&Object, StoreError> {
        self.connection.as_ref().ok_or(StoreError::Closed)
    }
}

impl Drop for PostgresTurn {
    fn drop(&mut self) {
        // Out of the pool and closed: the server rolls the transaction back.
        drop(self.connection.take().map(Object::take));
    }
}

#[async_trait]
impl Turn for PostgresTurn {
    fn sequence(&self) -> u64 {
        self.sequence.unsigned_abs()
    }

    async fn commit(mut self: Box<Self>, changes: &[Change]) -> Result<u64, StoreError> {
        const WHAT: &str = "writing the registry";
        let client = self.client()?;
        let mut sequence = self.sequence;
        for change in changes {
            for statement in rows::statements(change)? {
                execute(client, statement.sql, &statement.values).await?;
            }
            sequence += 1;
            let body = rows::to_json("registry_change", change)?;
            let values = [Value::Number(sequence), Value::from(body)];
            execute(client, "INSERT INTO registry_change (sequence, body) VALUES ($1, $2)", &values).await?;
        }
        execute(client, "UPDATE registry_head SET sequence = $1", &[Value::Number(sequence)]).await?;
        execute(client, "DELETE FROM registry_change WHERE sequence <= $1", &[Value::Number(sequence - KEPT)]).await?;
        within(WHAT, client.execute("SELECT pg_notify($1, $2)", &[&CHANNEL, &sequence.to_string()])).await?;
        // When this fails nobody knows whether it happened; the next look at the head will tell.
        within(WHAT, client.batch_execute("COMMIT")).await.map_err(|error| error.in_doubt(WHAT))?;
        // It has ended: the connection may go back to the pool.
        drop(self.connection.take());
        Ok(sequence.unsigned_abs())
    }
}

async fn execute(client: &ClientWrapper, sql: &str, values: &[Value<'_>]) -> Result<(), StoreError> {
    const WHAT: &str = "writing the registry";
    let values: Vec<&(dyn ToSql + Sync)> = values
        .iter()
        .map(|value| match value {
            Value::Text(text) => text as &(dyn ToSql + Sync),
            Value::Number(number) => number as &(dyn ToSql + Sync),
        })
        .collect();
    let statement = within(WHAT, client.prepare_cached(sql)).await?;
    within(WHAT, client.execute(&statement, &values)).await.map(|_| ())
}

/// Listens for changes, on a connection that is made again whenever it breaks. The receiver sees a new number with every one.
pub(super) fn listen(connector: Arc<Connector>) -> watch::Receiver<u64> {
    let (told, heard) = watch::channel(0);
    tokio::spawn(async move {
        while !told.is_closed() {
            let (ear, mut notifications) = mpsc::unbounded_channel();
            let listening = async {
                let client = connector.connect(Some(ear)).await?;
                within("listening for changes", client.batch_execute(&format!("LISTEN {CHANNEL}"))).await?;
                Ok::<_, StoreError>(client)
            };
            let Ok(client) = listening.await else {
                tokio::time::sleep(POLL).await;
                continue;
            };
            // Something may have happened while nobody listened.
            told.send_modify(|count| *count += 1);
            loop {
                tokio::select! {
                    notification = notifications.recv() => match notification {
                        Some(_) => told.send_modify(|count| *count += 1),
                        None => break,
                    },
                    () = told.closed() => break,
                }
            }
            drop(client);
        }
    });
    heard
}
