//! Brings a database up to date. A migration that was released is never edited.
//!
//! **Rolling upgrades.** Nodes of two versions work on one database while they are replaced one after the other. The first new node
//! migrates. Therefore a migration only adds: tables, columns with a default, indexes. Old nodes go on with the columns that they name,
//! and may start again: each migration says from which schema on a program can work with its result. Something is taken away in a
//! later release, when no node needs it, by a migration that names a higher number there; older programs then refuse to start.

use deadpool_postgres::ClientWrapper;

use super::within;
use crate::StoreError;

/// One step.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The file's name without `.sql`; the same as the one for SQLite.
    pub name: &'static str,
    /// What it does.
    pub sql: &'static str,
    /// The oldest schema whose programs can work with the result.
    pub works_from: i64,
}

macro_rules! migration {
    ($name:literal, works_from $from:literal) => {
        Migration { name: $name, sql: include_str!(concat!("../../migrations/postgres/", $name, ".sql")), works_from: $from }
    };
}

/// In order; the schema's number is how many of them have run.
pub const MIGRATIONS: [Migration; 6] = [
    migration!("0001_create_registry", works_from 1),
    migration!("0002_create_used_assertion", works_from 1),
    migration!("0003_create_record", works_from 1),
    migration!("0004_number_changes", works_from 4),
    migration!("0005_create_audit", works_from 4),
    migration!("0006_drop_used_assertion_by_age", works_from 4),
];

/// "skybru" in ASCII: every node takes this lock before it looks at the schema.
const LOCK: i64 = 0x736b_7962_7275;

/// Runs what has not run yet, in one transaction, while other nodes wait.
pub(super) async fn run(client: &mut ClientWrapper, migrations: &[Migration]) -> Result<(), StoreError> {
    const WHAT: &str = "migrating the schema";
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let transaction = within(WHAT, client.transaction()).await?;
    // Building an index on much data takes its time, and so may the node that holds the lock.
    let failed = |source| StoreError::database(WHAT, source);
    transaction.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").await.map_err(failed)?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await.map_err(failed)?;
    transaction
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS schema_migration (
                 place BIGINT PRIMARY KEY, name TEXT NOT NULL, works_from BIGINT NOT NULL,
                 applied TIMESTAMPTZ NOT NULL DEFAULT now())",
        )
        .await
        .map_err(failed)?;
    let row = transaction
        .query_one("SELECT coalesce(max(place), 0), coalesce(max(works_from), 0) FROM schema_migration", &[])
        .await
        .map_err(failed)?;
    let (found, works_from): (i64, i64) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
    if known < works_from {
        return Err(StoreError::Newer { found, known });
    }
    if known < found {
        tracing::warn!(found, known, "the database has a newer schema, which this version can work with");
    }
    for (place, migration) in (1_i64..).zip(migrations).filter(|(place, _)| *place > found) {
        transaction.batch_execute(migration.sql).await.map_err(failed)?;
        transaction
            .execute(
                "INSERT INTO schema_migration (place, name, works_from) VALUES ($1, $2, $3)",
                &[&place, &migration.name, &migration.works_from],
            )
            .await
            .map_err(failed)?;
        tracing::info!(migration = migration.name, "the schema was changed");
    }
    transaction.commit().await.map_err(failed)
}
