//! Brings a database up to date. A migration that was released is never edited.

use rusqlite::{Connection, TransactionBehavior};

use crate::StoreError;

macro_rules! migration {
    ($name:literal) => {
        ($name, include_str!(concat!("../../migrations/sqlite/", $name, ".sql")))
    };
}

/// Name and text, in order; the schema's version is how many of them have run.
pub const MIGRATIONS: [(&str, &str); 6] = [
    migration!("0001_create_registry"),
    migration!("0002_create_used_assertion"),
    migration!("0003_create_record"),
    migration!("0004_number_changes"),
    migration!("0005_create_audit"),
    migration!("0006_drop_used_assertion_by_age"),
];

/// Runs what has not run yet, in one transaction that other processes wait for.
pub(super) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    let failed = |source| StoreError::database("migrating the schema", source);
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (_, migration) in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(migration).map_err(failed)?;
    }
    transaction.pragma_update(None, "user_version", known).map_err(failed)?;
    transaction.commit().map_err(failed)
}
