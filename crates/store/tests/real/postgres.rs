use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use skybru_core::Ctx;
use skybru_store::lock::Locks as _;
use skybru_store::postgres::{MIGRATIONS, Migration, PostgresOptions, PostgresStore};
use skybru_store::{Change, LiveRegistry, RegistryStore as _, StoreError, conformance, sqlite};

use crate::support::{Service, postgres};

pub(crate) fn ctx() -> Ctx {
    static SEED: AtomicU64 = AtomicU64::new(1);
    Ctx::fixed(1_800_000_000, SEED.fetch_add(1, Ordering::Relaxed)).0
}

pub(crate) fn options(server: &Service, database: &str) -> PostgresOptions {
    let url = format!("postgresql://skybru@127.0.0.1:{}/{database}", server.port);
    PostgresOptions { url, password: None, tls: None, connections: 4, node: "test".to_owned() }
}

pub(crate) async fn create(server: &Service, database: &str) -> PostgresOptions {
    let admin = PostgresStore::open(options(server, "postgres"), &ctx()).await.unwrap();
    admin.connection().await.unwrap().batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
    options(server, database)
}

fn organisation(number: &str, name: &str) -> Change {
    let time = "2026-11-01T00:00:00Z";
    let value = serde_json::json!({"put_organisation": {"orgno": number, "name": name, "created": time, "last_updated": time}});
    serde_json::from_value(value).unwrap()
}

#[tokio::test]
async fn the_postgres_store_conforms() {
    let Some(server) = postgres() else { return };
    let store = Arc::new(PostgresStore::open(create(&server, "registry").await, &ctx()).await.unwrap());
    conformance::registry(store.clone()).await;
    conformance::several_nodes(store).await;
}

/// A fresh database equals all migrations in order, and both databases have the same steps.
#[test]
fn both_databases_have_the_same_migrations() {
    let names: Vec<&str> = MIGRATIONS.iter().map(|migration| migration.name).collect();
    let others: Vec<&str> = sqlite::MIGRATIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, others);
    for (place, name) in (1..).zip(&names) {
        assert!(name.starts_with(&format!("{place:04}_")), "{name} stands at place {place}");
    }
}

/// Ten nodes start at once on an empty database.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_together_migrate_once() {
    let Some(server) = postgres() else { return };
    let options = create(&server, "together").await;
    let starts: Vec<_> = (0..10)
        .map(|_| {
            let options = options.clone();
            tokio::spawn(async move { PostgresStore::open(options, &ctx()).await })
        })
        .collect();
    for start in starts {
        start.await.unwrap().unwrap();
    }
    let store = PostgresStore::open(options, &ctx()).await.unwrap();
    let rows = store.connection().await.unwrap().query("SELECT place FROM schema_migration", &[]).await.unwrap();
    assert_eq!(rows.len(), MIGRATIONS.len());
}

/// The next version adds a column and a table; nodes of both versions work side by side, whichever wrote.
#[tokio::test]
async fn an_old_node_works_on_beside_a_new_one() {
    let Some(server) = postgres() else { return };
    let options = create(&server, "rolling").await;
    let old = Arc::new(PostgresStore::open(options.clone(), &ctx()).await.unwrap());
    let old_node = LiveRegistry::load(old.clone()).await.unwrap();

    let place = i64::try_from(MIGRATIONS.len()).unwrap();
    let add = Migration {
        name: "9999_add_things",
        sql: "ALTER TABLE organisation ADD COLUMN kind TEXT NOT NULL DEFAULT 'company'; CREATE TABLE thing (id TEXT PRIMARY KEY)",
        works_from: place,
    };
    let next: Vec<Migration> = MIGRATIONS.iter().copied().chain([add]).collect();
    let new = Arc::new(PostgresStore::open_at(options.clone(), &ctx(), &next).await.unwrap());
    let new_node = LiveRegistry::load(new.clone()).await.unwrap();

    old_node.change(|_| Ok::<_, ()>((vec![organisation("314330897", "old")], ()))).await.unwrap();
    new_node.change(|_| Ok::<_, ()>((vec![organisation("310702641", "new")], ()))).await.unwrap();
    // A kind of change that the old version has never heard of.
    let connection = new.connection().await.unwrap();
    connection
        .batch_execute(
            "BEGIN; UPDATE registry_head SET sequence = sequence + 1;
             INSERT INTO registry_change (sequence, body) SELECT sequence, '{\"put_thing\":{\"id\":\"x\"}}' FROM registry_head; COMMIT",
        )
        .await
        .unwrap();
    for node in [&old_node, &new_node] {
        node.catch_up().await.unwrap();
        assert_eq!(node.read(|registry| registry.organisations().count()), 2);
        assert_eq!(node.sequence(), 3);
    }
    // An old node that is restarted in the middle of the upgrade.
    PostgresStore::open(options.clone(), &ctx()).await.unwrap().load().await.unwrap();

    // Later something is taken away: old programs must not start any more.
    let drop = Migration { name: "9999_drop_things", sql: "DROP TABLE thing", works_from: place + 1 };
    let later: Vec<Migration> = next.iter().copied().chain([drop]).collect();
    PostgresStore::open_at(options.clone(), &ctx(), &later).await.unwrap();
    assert!(matches!(PostgresStore::open(options, &ctx()).await.err(), Some(StoreError::Newer { .. })));
}

/// A change is visible on another node in less than a second, also when it lags more than the store remembers, and when nobody tells.
#[tokio::test(flavor = "multi_thread")]
async fn changes_reach_other_nodes_within_a_second() {
    let Some(server) = postgres() else { return };
    let options = create(&server, "follow").await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let store = Arc::new(PostgresStore::open(options.clone(), &ctx()).await.unwrap());
        let node = Arc::new(LiveRegistry::load(store.clone()).await.unwrap());
        let following = Arc::clone(&node);
        tokio::spawn(async move { following.follow().await });
        nodes.push((store, node));
    }
    let mut longest = Duration::ZERO;
    for round in 0..20_u64 {
        let (store, writer) = &nodes[usize::try_from(round % 3).unwrap()];
        if round == 10 {
            // Nobody can tell what happened in between.
            let connection = store.connection().await.unwrap();
            connection
                .batch_execute("DELETE FROM registry_change; UPDATE registry_head SET sequence = sequence + 5")
                .await
                .unwrap();
        }
        writer.change(|_| Ok::<_, ()>((vec![organisation("314330897", &round.to_string())], ()))).await.unwrap();
        let begun = Instant::now();
        for (_, node) in &nodes {
            while node.sequence() < writer.sequence() {
                assert!(begun.elapsed() < Duration::from_secs(10), "the change did not arrive");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let name = node.read(|registry| registry.organisation("314330897".parse().unwrap()).unwrap().name.clone());
            assert_eq!(name, round.to_string());
        }
        longest = longest.max(begun.elapsed());
    }
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    eprintln!("longest way of a change to the other nodes: {longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_has_one_holder_and_goes_with_it() {
    let Some(server) = postgres() else { return };
    let options = create(&server, "locks").await;
    let (one, two) =
        (PostgresStore::open(options.clone(), &ctx()).await.unwrap(), PostgresStore::open(options, &ctx()).await.unwrap());
    let held = one.try_lock("rotation").await.unwrap().unwrap();
    assert!(held.is_held().await);
    assert!(two.try_lock("rotation").await.unwrap().is_none());
    assert!(two.try_lock("another").await.unwrap().is_some());
    let late = two.lock("rotation", Duration::from_millis(300)).await;
    assert!(matches!(late.err(), Some(StoreError::Late { .. })));
    // The holder's session is ended by somebody else: it must learn of it, and the other one gets the lock.
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'";
    two.connection().await.unwrap().batch_execute(kill).await.unwrap();
    let lock = two.lock("rotation", Duration::from_secs(5)).await.unwrap();
    assert!(!held.is_held().await && lock.is_held().await);
    drop(lock);
    one.lock("rotation", Duration::from_secs(5)).await.unwrap();
}

/// A writer that is cut off in the middle leaves nothing behind, and keeps nobody waiting.
#[tokio::test]
async fn a_turn_that_is_dropped_changes_nothing() {
    let Some(server) = postgres() else { return };
    let options = create(&server, "turns").await;
    let store = PostgresStore::open(options, &ctx()).await.unwrap();
    drop(store.turn().await.unwrap());
    let turn = store.turn().await.unwrap();
    assert_eq!(turn.commit(&[organisation("314330897", "a")]).await.unwrap(), 1);
    assert_eq!(store.load().await.unwrap().sequence, 1);
}

#[tokio::test]
async fn a_password_in_the_url_is_refused() {
    let url = "postgresql://skybru:geheim@127.0.0.1/skybru".to_owned();
    let refused =
        PostgresStore::open(PostgresOptions { url, password: None, tls: None, connections: 1, node: "test".to_owned() }, &ctx())
            .await
            .err()
            .unwrap();
    let text = format!("{refused:?}");
    assert!(text.contains("PasswordInUrl") && !text.contains("geheim"), "{text}");
}
