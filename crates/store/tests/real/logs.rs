//! Used assertions, once over all nodes, and refused when in doubt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use skybru_core::Ctx;
use skybru_protocol::assertion::Fingerprint;
use skybru_store::postgres::PostgresStore;
use skybru_store::valkey::{ValkeyLog, ValkeyOptions};
use skybru_store::{AssertionLog, DOUBT_SECONDS, StoreError, conformance};

use crate::postgres::{create, ctx};
use crate::support::{Service, postgres, valkey};

const LATE: i64 = 4_000_000_000;

fn options(server: &Service) -> ValkeyOptions {
    let url = format!("redis://127.0.0.1:{}/0", server.port);
    ValkeyOptions { url, user: None, password: None, ca_pem: None, replicas: 0 }
}

async fn open(server: &Service) -> Result<Arc<ValkeyLog>, StoreError> {
    ValkeyLog::open(options(server), ctx().clock).await.map(Arc::new)
}

#[tokio::test]
async fn the_valkey_log_conforms() {
    let Some(server) = valkey() else { return };
    conformance::assertion_log(open(&server).await.unwrap()).await;
}

#[tokio::test]
async fn the_postgres_log_conforms() {
    let Some(server) = postgres() else { return };
    let options = create(&server, "log").await;
    conformance::assertion_log(Arc::new(PostgresStore::open(options.clone(), &ctx()).await.unwrap())).await;
    let options = create(&server, "audit").await;
    conformance::audit(Arc::new(PostgresStore::open(options.clone(), &ctx()).await.unwrap())).await;
}

/// Four nodes, the same thousand assertions, in another order on each.
async fn once_over_all(nodes: Vec<Arc<dyn AssertionLog>>) {
    let mut calls = Vec::new();
    for (node, log) in nodes.iter().enumerate() {
        for n in 0..1000_usize {
            let n = if node % 2 == 0 { n } else { 999 - n };
            let mut fingerprint = [0; 32];
            fingerprint[..8].copy_from_slice(&n.to_be_bytes());
            let log = Arc::clone(log);
            calls.push(tokio::spawn(async move { log.record_once(Fingerprint(fingerprint), LATE).await.unwrap() }));
        }
    }
    let mut firsts = 0;
    for call in calls {
        firsts += usize::from(call.await.unwrap());
    }
    assert_eq!(firsts, 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_is_used_once_over_all_nodes() {
    if let Some(server) = postgres() {
        let options = create(&server, "nodes").await;
        let mut nodes: Vec<Arc<dyn AssertionLog>> = Vec::new();
        for _ in 0..4 {
            nodes.push(Arc::new(PostgresStore::open(options.clone(), &ctx()).await.unwrap()));
        }
        once_over_all(nodes).await;
    }
    if let Some(server) = valkey() {
        let mut nodes: Vec<Arc<dyn AssertionLog>> = Vec::new();
        for _ in 0..4 {
            nodes.push(open(&server).await.unwrap());
        }
        once_over_all(nodes).await;
    }
}

/// What must hold when a server goes away: refused in seconds, and the record is still there when it has come back.
async fn a_server_that_goes(log: &dyn AssertionLog, server: &mut Service) {
    assert!(log.record_once(Fingerprint([1; 32]), LATE).await.unwrap());
    server.freeze(true);
    let begun = Instant::now();
    let doubt = log.record_once(Fingerprint([2; 32]), LATE).await;
    assert!(doubt.is_err(), "no answer is no permission");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    server.freeze(false);
    server.kill();
    assert!(log.record_once(Fingerprint([3; 32]), LATE).await.is_err());
    server.restart();
    let deadline = Instant::now() + Duration::from_secs(20);
    let back = loop {
        match log.record_once(Fingerprint([1; 32]), LATE).await {
            Ok(first) => break first,
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(!back, "it was used before the server died");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_a_refusal_and_forgets_nothing() {
    if let Some(mut server) = valkey() {
        let log = open(&server).await.unwrap();
        a_server_that_goes(&*log, &mut server).await;
    }
}

/// Asks until the log has noticed that its server is another one, and expects that it refuses what may have been used before.
async fn doubts(log: &dyn AssertionLog, now: i64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match log.record_once(Fingerprint([7; 32]), now + DOUBT_SECONDS).await {
            Err(StoreError::Doubtful { until }) => break assert_eq!(until, now + DOUBT_SECONDS),
            Err(_) => assert!(Instant::now() < deadline, "it stays away"),
            Ok(_) => panic!("it may have been used before the restart"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    log.record_once(Fingerprint([8; 32]), now + DOUBT_SECONDS + 1).await.unwrap();
}

/// A restarted server may have lost something. Only what cannot have been used before passes, on every node.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_what_may_have_been_used_before_is_refused() {
    let Some(mut server) = valkey() else { return };
    let (ctx, clock) = Ctx::fixed(1_800_000_000, 1);
    let log = ValkeyLog::open(options(&server), ctx.clock.clone()).await.unwrap();
    let other = ValkeyLog::open(options(&server), ctx.clock.clone()).await.unwrap();
    // Long after the server was seen for the first time.
    clock.advance(SignedDuration::from_hours(1));
    let now = ctx.clock.unix_seconds();
    assert!(log.record_once(Fingerprint([6; 32]), now + 1).await.unwrap());
    server.restart();
    doubts(&log, now).await;
    doubts(&other, now).await;
}

/// A standby has taken over: it writes another timeline.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_what_may_have_been_used_before_is_refused() {
    let Some(server) = postgres() else { return };
    let options = create(&server, "failover").await;
    let ctx = ctx();
    let now = ctx.clock.unix_seconds();
    let log = PostgresStore::open(options.clone(), &ctx).await.unwrap();
    let other = PostgresStore::open(options.clone(), &ctx).await.unwrap();
    assert!(log.record_once(Fingerprint([6; 32]), now + 1).await.unwrap());
    let connection = log.connection().await.unwrap();
    let row = connection.query_one("SELECT server FROM replay_server", &[]).await.unwrap();
    let known: String = row.get(0);
    assert!(known.ends_with(" 00000001"), "the system's number and the timeline: {known}");
    connection
        .batch_execute(
            "UPDATE replay_server SET server = 'another 00000000';
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'failover' AND pid <> pg_backend_pid()",
        )
        .await
        .unwrap();
    doubts(&log, now).await;
    doubts(&other, now).await;
}

#[tokio::test]
async fn a_server_that_throws_keys_away_is_refused() {
    let Some(server) = valkey() else { return };
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port)).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let set = |name: &str, value: &str| redis::cmd("CONFIG").arg("SET").arg(name).arg(value).to_owned();
    set("maxmemory", "100mb").exec_async(&mut connection).await.unwrap();
    set("maxmemory-policy", "allkeys-lru").exec_async(&mut connection).await.unwrap();
    let refused = open(&server).await.err().unwrap();
    assert!(format!("{refused:?}").contains("Evicts"), "{refused:?}");
    set("maxmemory-policy", "noeviction").exec_async(&mut connection).await.unwrap();
    let log = open(&server).await.unwrap();

    // One replica is wanted, and there is none.
    let strict = ValkeyLog::open(ValkeyOptions { replicas: 1, ..options(&server) }, ctx().clock).await.unwrap();
    assert!(strict.record_once(Fingerprint([1; 32]), LATE).await.is_err());

    // It becomes somebody's replica: it refuses writes, and so do we.
    redis::cmd("REPLICAOF").arg("127.0.0.1").arg("1").exec_async(&mut connection).await.unwrap();
    assert!(log.record_once(Fingerprint([2; 32]), LATE).await.is_err());
    assert!(log.record_once(Fingerprint([3; 32]), LATE).await.is_err());
}
