//! Whoever changes the log is found out, on both databases.

use std::sync::Arc;

use skybru_core::Ctx;
use skybru_protocol::assertion::Fingerprint;
use skybru_store::audit::{self, AuditQuery, AuditStore, Entry, Event, Journal};
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

/// Two nodes that are asked for the same assertions at once: groups that are all new, groups in which some were used before, and groups
/// that another node overtakes.
#[tokio::test(flavor = "multi_thread")]
async fn what_two_nodes_use_at_once_is_noted_once() {
    const ASSERTIONS: u8 = 200;
    let Some(server) = postgres() else { return };
    let options = create(&server, "twonodes").await;
    let mut nodes = Vec::new();
    for _ in 0..2 {
        nodes.push(Arc::new(PostgresStore::open(options.clone(), &ctx()).await.unwrap()));
    }
    let calls: Vec<_> = (0..ASSERTIONS)
        .flat_map(|n| [(0, n), (1, ASSERTIONS - 1 - n), (1, n)])
        .map(|(node, n)| {
            let store = Arc::clone(&nodes[node]);
            tokio::spawn(async move {
                let entry = Entry { jti: Some(format!("token-{n}")), ..Entry::new(ctx().clock.now(), Event::TokenIssued) };
                store.record_and_append(Fingerprint([n; 32]), i64::from(u32::MAX), entry).await.unwrap()
            })
        })
        .collect();
    let mut firsts = 0;
    for call in calls {
        firsts += u32::from(call.await.unwrap());
    }
    assert_eq!(firsts, u32::from(ASSERTIONS));
    let all = nodes[0].entries(&AuditQuery { limit: 1000, ..AuditQuery::default() }).await.unwrap();
    let mut issued: Vec<&str> = all
        .iter()
        .map(|entry| entry.body.as_str())
        .filter_map(|body| body.split("\"jti\":\"").nth(1)?.split('"').next())
        .collect();
    issued.sort_unstable();
    issued.dedup();
    let entries = all.iter().filter(|entry| entry.body.contains("token_issued")).count();
    assert_eq!((issued.len(), entries), (usize::from(ASSERTIONS), usize::from(ASSERTIONS)));
    assert!(says(&*nodes[1]).await.ends_with("entries hold"));
}
