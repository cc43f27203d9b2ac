//! Reading and writing the registry.

use rusqlite::{Connection, TransactionBehavior, params_from_iter};

use crate::live::Snapshot;
use crate::rows::{self, Reader, Value, broken};
use crate::{Change, Registry, StoreError};

fn reading(source: rusqlite::Error) -> StoreError {
    StoreError::database("reading the registry", source)
}

fn writing(source: rusqlite::Error) -> StoreError {
    StoreError::database("writing the registry", source)
}

/// Reads everything.
pub(super) fn load(connection: &mut Connection) -> Result<Snapshot, StoreError> {
    // One transaction, so that what is read belongs together.
    let transaction = connection.transaction().map_err(reading)?;
    let mut registry = Registry::default();
    let clients: i64 = transaction.query_row("SELECT count(*) FROM client", [], |row| row.get(0)).map_err(reading)?;
    registry.reserve_clients(usize::try_from(clients).unwrap_or(0));
    let mut apply = |change: Option<Change>| match change {
        Some(change) => registry.apply(change).map_err(|problem| broken("registry", "", problem)),
        None => Ok(()),
    };
    let mut reader = Reader::default();
    for query in &rows::QUERIES {
        let mut statement = transaction.prepare(query.sql).map_err(reading)?;
        let mut rows = statement.query([]).map_err(reading)?;
        while let Some(row) = rows.next().map_err(reading)? {
            let mut columns = Vec::with_capacity(query.columns);
            for column in 0..query.columns {
                let text = row.get_ref(column).map_err(reading)?.as_str();
                columns.push(text.map_err(|problem| broken("registry", query.sql, problem))?);
            }
            apply((query.take)(&mut reader, &columns)?)?;
        }
    }
    apply(reader.finish())?;
    Ok(Snapshot { registry, sequence: head(&transaction)?.unsigned_abs() })
}

/// The number of the last change.
pub(super) fn head(connection: &Connection) -> Result<i64, StoreError> {
    connection.query_row("SELECT sequence FROM registry_head", [], |row| row.get(0)).map_err(reading)
}

/// Writes all changes, or none. Refuses when `after` is not the number of the last change any more.
pub(super) fn commit(connection: &mut Connection, after: i64, changes: &[Change]) -> Result<i64, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(writing)?;
    if head(&transaction)? != after {
        return Err(StoreError::Overtaken);
    }
    for change in changes {
        for statement in rows::statements(change)? {
            let values = statement.values.iter().map(|value| match value {
                Value::Text(text) => rusqlite::types::ToSqlOutput::from(text.as_ref()),
                Value::Number(number) => rusqlite::types::ToSqlOutput::from(*number),
            });
            let mut prepared = transaction.prepare_cached(statement.sql).map_err(writing)?;
            prepared.execute(params_from_iter(values)).map_err(writing)?;
        }
    }
    let sequence = after + i64::try_from(changes.len()).unwrap_or(i64::MAX);
    transaction.execute("UPDATE registry_head SET sequence = ?1", [sequence]).map_err(writing)?;
    transaction.commit().map_err(writing)?;
    Ok(sequence)
}
