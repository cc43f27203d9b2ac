//! Whoever changes the log is found out, on both databases.

use std::sync::Arc;

use skybru_core::Ctx;
use skybru_store::audit::{self, AuditStore, Entry, Event, Journal};
use skybru_store::postgres::PostgresStore;
use skybru_store::sqlite::SqliteStore;

use crate::postgres::{create, ctx};
use crate::support::postgres;

async fn fill(journal: &dyn Journal, from: usize) {
    for n in from..from + 20 {
        let entry = Entry { jti: Some(n.to_string()), ..Entry::new(ctx().clock.now(), Event::TokenIssued) };
        journal.append(entry).await.unwrap();
    }
}

/// What somebody with access to the database could do, and what verification must say. Of the second chain, which is read in its place.
const FORGERIES: [(&str, &str); 6] = [
    ("UPDATE audit SET body = replace(body, '\"jti\":\"25\"', '\"jti\":\"99\"')", "its hash does not hold"),
    ("DELETE FROM audit WHERE body LIKE '%\"jti\":\"25\"%'", "entries were removed or moved"),
    ("DELETE FROM audit WHERE body LIKE '%\"jti\":\"39\"%'", "entries were removed from the end"),
    ("UPDATE audit SET at = at + 1 WHERE body LIKE '%\"jti\":\"25\"%'", "its time was changed"),
    (
        "UPDATE audit SET body = (SELECT b.body FROM audit b WHERE b.body LIKE '%\"jti\":\"26\"%') WHERE body LIKE '%\"jti\":\"25\"%'",
        "its hash does not hold",
    ),
    (
        "DELETE FROM audit WHERE body LIKE '%\"jti\":\"5\"%' OR body LIKE '%\"jti\":\"1_\"%' OR body LIKE '%\"jti\":\"_\"%'
             OR (body LIKE '%chains_joined%' AND body NOT LIKE '%heads%')",
        "gone",
    ),
];

async fn says(store: &dyn AuditStore) -> String {
    match audit::verify(store, &[]).await.unwrap() {
        Ok(verified) => format!("{} entries hold", verified.entries),
        Err(broken) => broken.problem,
    }
}

#[tokio::test]
async fn every_forgery_in_sqlite_is_found() {
    for (forgery, expected) in FORGERIES {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("skybru.db");
        let open = |seed| Arc::new(SqliteStore::open(&file, &Ctx::fixed(1_800_000_000, seed).0).unwrap());
        fill(&*open(1), 0).await;
        let store = open(2);
        fill(&*store, 20).await;
        assert_eq!(says(&*store).await, "42 entries hold");
        rusqlite::Connection::open(&file).unwrap().execute_batch(forgery).unwrap();
        let found = says(&*store).await;
        assert!(found.contains(expected), "{forgery}: {found}");
    }
}

#[tokio::test]
async fn every_forgery_in_postgres_is_found() {
    let Some(server) = postgres() else { return };
    for (place, (forgery, expected)) in FORGERIES.into_iter().enumerate() {
        let options = create(&server, &format!("forgery{place}")).await;
        fill(&PostgresStore::open(options.clone(), &ctx()).await.unwrap(), 0).await;
        let store = PostgresStore::open(options, &ctx()).await.unwrap();
        fill(&store, 20).await;
        assert!(says(&store).await.ends_with("entries hold"), "{}", says(&store).await);
        store.connection().await.unwrap().batch_execute(forgery).await.unwrap();
        let found = says(&store).await;
        assert!(found.contains(expected), "{forgery}: {found}");
    }
}
