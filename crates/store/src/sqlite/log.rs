//! Used assertions, committed in groups.
//!
//! One thread owns the connection. It takes whatever requests have come in while it was writing and commits them as one transaction;
//! each caller hears its answer after that commit. A commit per token would cost more than the token's signature.
//!
//! `synchronous = NORMAL` in WAL mode: a commit survives the death of the process at any moment. After a power cut the last commits
//! may be lost; the assertions in them have a life of two minutes.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rusqlite::{Connection, Transaction};
use skybru_core::Clock;
use skybru_protocol::assertion::Fingerprint;
use tokio::sync::oneshot;

use crate::StoreError;

/// Records outlive their assertion by this much, so that a clock that is set back does not make an assertion fresh again.
pub(super) const MARGIN_SECONDS: i64 = 600;

/// The most requests in one transaction.
const LARGEST_GROUP: usize = 512;

/// Old records are dropped this often at most.
const SWEEP_SECONDS: i64 = 10;

enum Request {
    Record { assertion: Fingerprint, forgotten_after: i64, answer: oneshot::Sender<Result<bool, StoreError>> },
    Forget { assertion: Fingerprint, answer: oneshot::Sender<Result<bool, StoreError>> },
}

/// The way to the thread. When it is dropped the thread finishes what it has and ends.
pub(super) struct Log(Sender<Request>);

impl Log {
    pub(super) fn start(connection: Connection, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let (sender, receiver) = channel();
        let spawned = thread::Builder::new().name("assertion-log".to_owned()).spawn(move || run(connection, &receiver, &*clock));
        spawned.map(|_| Self(sender)).map_err(|_| StoreError::Closed)
    }

    pub(super) async fn record_once(&self, assertion: Fingerprint, forgotten_after: i64) -> Result<bool, StoreError> {
        self.ask(|answer| Request::Record { assertion, forgotten_after, answer }).await
    }

    pub(super) async fn forget(&self, assertion: Fingerprint) -> Result<(), StoreError> {
        self.ask(|answer| Request::Forget { assertion, answer }).await.map(|_| ())
    }

    async fn ask(&self, request: impl FnOnce(oneshot::Sender<Result<bool, StoreError>>) -> Request) -> Result<bool, StoreError> {
        let (answer, heard) = oneshot::channel();
        self.0.send(request(answer)).map_err(|_| StoreError::Closed)?;
        heard.await.map_err(|_| StoreError::Closed)?
    }
}

fn run(mut connection: Connection, requests: &Receiver<Request>, clock: &dyn Clock) {
    let mut group = Vec::with_capacity(LARGEST_GROUP);
    let mut swept = i64::MIN;
    while let Ok(first) = requests.recv() {
        group.push(first);
        group.extend(requests.try_iter().take(LARGEST_GROUP - 1));
        let now = clock.unix_seconds();
        let sweep_before = (now.saturating_sub(SWEEP_SECONDS) >= swept).then(|| now.saturating_sub(MARGIN_SECONDS));
        let written = write(&mut connection, &group, sweep_before);
        if sweep_before.is_some() && written.is_ok() {
            swept = now;
        }
        answer(&mut group, written);
    }
}

/// One transaction; for each request whether it changed anything.
fn write(connection: &mut Connection, group: &[Request], sweep_before: Option<i64>) -> Result<Vec<bool>, rusqlite::Error> {
    let transaction = connection.transaction()?;
    if let Some(before) = sweep_before {
        transaction.prepare_cached("DELETE FROM used_assertion WHERE forgotten_after < ?1")?.execute([before])?;
    }
    let changed = group.iter().map(|request| change(&transaction, request)).collect::<Result<_, _>>()?;
    transaction.commit()?;
    Ok(changed)
}

fn change(transaction: &Transaction<'_>, request: &Request) -> Result<bool, rusqlite::Error> {
    let rows = match request {
        Request::Record { assertion, forgotten_after, .. } => transaction
            .prepare_cached("INSERT INTO used_assertion (fingerprint, forgotten_after) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute((&assertion.0[..], forgotten_after))?,
        Request::Forget { assertion, .. } => {
            transaction.prepare_cached("DELETE FROM used_assertion WHERE fingerprint = ?1")?.execute([&assertion.0[..]])?
        }
    };
    Ok(rows == 1)
}

fn answer(group: &mut Vec<Request>, written: Result<Vec<bool>, rusqlite::Error>) {
    let written = written.map_err(|source| StoreError::database("recording used assertions", source));
    for (place, request) in group.drain(..).enumerate() {
        let (Request::Record { answer, .. } | Request::Forget { answer, .. }) = request;
        let result = match &written {
            Ok(changed) => changed.get(place).copied().ok_or(StoreError::Closed),
            Err(error) => Err(error.clone()),
        };
        // Nobody may be listening any more: the caller's connection was closed.
        let _ = answer.send(result);
    }
}
