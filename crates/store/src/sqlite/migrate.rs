//! Brings a database up to date. A migration that was released is never edited.

use rusqlite::{Connection, TransactionBehavior};

use crate::StoreError;

/// In order; the schema's version is how many of them have run.
const MIGRATIONS: [&str; 3] = [
    include_str!("../../migrations/sqlite/0001_create_registry.sql"),
    include_str!("../../migrations/sqlite/0002_create_used_assertion.sql"),
    include_str!("../../migrations/sqlite/0003_create_record.sql"),
];

/// Runs what has not run yet, in one transaction that other processes wait for.
pub(super) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    let failed = |source| StoreError::Database { what: "migrating the schema", source };
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(migration).map_err(failed)?;
    }
    transaction.pragma_update(None, "user_version", known).map_err(failed)?;
    transaction.commit().map_err(failed)
}
