//! Used assertions and audit entries, committed in groups.
//!
//! One thread owns the connection. It takes whatever requests have come in while it was writing and commits them as one transaction;
//! each caller hears its answer after that commit. A commit per token would cost more than the token's signature.
//!
//! On a busy machine every waking of a thread costs, too. So the first caller of a group lets the runtime's other tasks go first, and
//! wakes the thread when they have joined the group; the answers of a group come back to one task, which hands them out.
//!
//! `synchronous = NORMAL` in WAL mode: a commit survives the death of the process at any moment. After a power cut the last commits
//! may be lost; the assertions in them have a life of two minutes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rusqlite::{Connection, Transaction};
use skybru_core::Ctx;
use skybru_protocol::assertion::Fingerprint;
use tokio::sync::oneshot;

use crate::audit::{Chain, ChainId, Entry, Event, Hash, Head, Link};
use crate::{MARGIN_SECONDS, StoreError};

/// Old records of one piece of the table are dropped this often at most.
const SWEEP_SECONDS: i64 = 1;

/// So many pieces the table has. Neighbours are dropped together: their pages are written once.
const PIECES: u8 = 64;

/// So many first bytes of fingerprints belong to one piece.
const PIECE_WIDTH: u8 = u8::MAX / PIECES + 1;

const WHAT: &str = "recording used assertions";

/// One thing to do.
pub(super) enum Request {
    Record { assertion: Fingerprint, forgotten_after: i64, entry: Option<Box<Entry>> },
    Look { assertion: Fingerprint },
    Forget { assertion: Fingerprint, entry: Option<Box<Entry>> },
    Append(Box<Entry>),
}

/// Whether something was changed.
type Answer = Result<bool, StoreError>;

struct Waiting {
    request: Request,
    answer: oneshot::Sender<Answer>,
}

/// Answers on their way to their callers. They arrive when this is dropped, whoever drops it.
struct Answers(Vec<(oneshot::Sender<Answer>, Answer)>);

impl Drop for Answers {
    fn drop(&mut self) {
        for (caller, answer) in self.0.drain(..) {
            // Nobody may be listening any more: the caller's connection was closed.
            let _ = caller.send(answer);
        }
    }
}

/// Wakes the thread when it is dropped, so that a group is written also when its first caller has gone away.
struct Wake<'a>(&'a Sender<Leader>, Option<Leader>);

/// Where a group's answers go.
type Leader = oneshot::Sender<Answers>;

impl Drop for Wake<'_> {
    fn drop(&mut self) {
        if let Some(leader) = self.1.take() {
            // If the thread is gone, so are the requests: their callers hear that.
            let _ = self.0.send(leader);
        }
    }
}

/// The way to the thread. When it is dropped the thread finishes what it has and ends.
pub(super) struct Log {
    requests: Sender<Waiting>,
    wake: Sender<Leader>,
    /// Whether somebody is about to wake the thread.
    is_led: Arc<AtomicBool>,
}

impl Log {
    pub(super) fn start(connection: Connection, ctx: Ctx) -> Result<Self, StoreError> {
        let ((requests, asked), (wake, woken)) = (channel(), channel());
        let is_led = Arc::new(AtomicBool::new(false));
        let incoming = Incoming { asked, woken, is_led: Arc::clone(&is_led) };
        let spawned = thread::Builder::new().name("assertion-log".to_owned()).spawn(move || run(connection, &incoming, &ctx));
        spawned.map(|_| Self { requests, wake, is_led }).map_err(|_| StoreError::Closed)
    }

    pub(super) async fn ask(&self, request: Request) -> Result<bool, StoreError> {
        let (answer, heard) = oneshot::channel();
        self.requests.send(Waiting { request, answer }).map_err(|_| StoreError::Closed)?;
        // After the request was sent: whoever is to wake the thread wakes it for this one, too.
        if !self.is_led.swap(true, Ordering::AcqRel) {
            let (leader, answers) = oneshot::channel();
            let wake = Wake(&self.wake, Some(leader));
            tokio::task::yield_now().await;
            drop(wake);
            drop(answers.await);
        }
        heard.await.map_err(|_| StoreError::Closed)?
    }
}

/// The thread's end of it.
struct Incoming {
    asked: Receiver<Waiting>,
    woken: Receiver<Leader>,
    is_led: Arc<AtomicBool>,
}

impl Incoming {
    /// Waits for a group. It is empty when the one before it took all of it along.
    fn next(&self, group: &mut Vec<Waiting>) -> Option<Leader> {
        let leader = self.woken.recv().ok()?;
        // Before the requests are taken: who comes too late for this group must find that nobody leads the next one.
        self.is_led.swap(false, Ordering::AcqRel);
        group.extend(self.asked.try_iter());
        Some(leader)
    }
}

fn run(mut connection: Connection, incoming: &Incoming, ctx: &Ctx) {
    let mut group = Vec::new();
    let mut sweep = Sweep { piece: 0, swept: i64::MIN };
    let mut id = [0; 16];
    ctx.randomness.fill(&mut id);
    let mut chain = Chain::new(ChainId(id));
    while let Some(leader) = incoming.next(&mut group) {
        if group.is_empty() {
            continue;
        }
        let written = write(&mut connection, &group, chain, &mut sweep, ctx);
        let written = written.map(|(changed, longer)| {
            // Only what was committed counts: after a failure the next group goes on from where the last good one ended.
            chain = longer;
            changed
        });
        let answers = group.drain(..).enumerate().map(|(place, Waiting { answer, .. })| {
            let result = match &written {
                Ok(changed) => changed.get(place).copied().ok_or(StoreError::Closed),
                Err(error) => Err(error.clone()),
            };
            (answer, result)
        });
        // If the first caller has gone away, they are handed out here.
        let _ = leader.send(Answers(answers.collect()));
    }
}

fn failed(source: rusqlite::Error) -> StoreError {
    StoreError::database(WHAT, source)
}

/// One transaction; for each request whether it changed anything, and the chain with what was appended.
fn write(
    connection: &mut Connection,
    group: &[Waiting],
    mut chain: Chain,
    sweep: &mut Sweep,
    ctx: &Ctx,
) -> Result<(Vec<bool>, Chain), StoreError> {
    let transaction = connection.transaction().map_err(failed)?;
    let now = ctx.clock.unix_seconds();
    let forgotten = now.saturating_sub(MARGIN_SECONDS);
    sweep.next(&transaction, now, forgotten).map_err(failed)?;
    let mut changed = Vec::with_capacity(group.len());
    let before = chain.place;
    for Waiting { request, .. } in group {
        let done = change(&transaction, request, forgotten).map_err(failed)?;
        let entry = match request {
            Request::Record { entry, .. } => entry.as_deref().filter(|_| done),
            Request::Look { .. } => None,
            Request::Forget { entry, .. } => entry.as_deref(),
            Request::Append(entry) => Some(&**entry),
        };
        if let Some(entry) = entry {
            if chain.place == 0 {
                append(&transaction, chain.id, &begin(&transaction, &mut chain, ctx)?).map_err(failed)?;
            }
            let link = chain.link(entry)?;
            append(&transaction, chain.id, &link).map_err(failed)?;
        }
        changed.push(done || matches!(request, Request::Append(_)));
    }
    if chain.place > before {
        let mut head = transaction
            .prepare_cached(
                "INSERT INTO audit_chain (chain, place, hash, joined) VALUES (?1, ?2, ?3, 0)
                 ON CONFLICT (chain) DO UPDATE SET place = excluded.place, hash = excluded.hash",
            )
            .map_err(failed)?;
        head.execute((&chain.id.0[..], chain.place, &chain.last.0[..])).map_err(failed)?;
    }
    transaction.commit().map_err(failed)?;
    Ok((changed, chain))
}

/// Drops old records, one piece of the table after the other. After a failure a piece waits for its next turn.
struct Sweep {
    piece: u8,
    swept: i64,
}

impl Sweep {
    fn next(&mut self, transaction: &Transaction<'_>, now: i64, forgotten: i64) -> Result<(), rusqlite::Error> {
        if now.saturating_sub(SWEEP_SECONDS) < self.swept {
            return Ok(());
        }
        let (from, next) = (self.piece * PIECE_WIDTH, (self.piece + 1) % PIECES);
        // The last piece ends behind every fingerprint.
        let end = if next == 0 { vec![u8::MAX; 33] } else { vec![next * PIECE_WIDTH] };
        transaction
            .prepare_cached("DELETE FROM used_assertion WHERE fingerprint >= ?1 AND fingerprint < ?2 AND forgotten_after < ?3")?
            .execute((&[from][..], end, forgotten))?;
        (self.piece, self.swept) = (next, now);
        Ok(())
    }
}

/// Records that are older than `forgotten` count as if they were gone already.
fn change(transaction: &Transaction<'_>, request: &Request, forgotten: i64) -> Result<bool, rusqlite::Error> {
    let rows = match request {
        Request::Record { assertion, forgotten_after, .. } => transaction
            .prepare_cached(
                "INSERT INTO used_assertion (fingerprint, forgotten_after) VALUES (?1, ?2)
                 ON CONFLICT (fingerprint) DO UPDATE SET forgotten_after = excluded.forgotten_after WHERE forgotten_after < ?3",
            )?
            .execute((&assertion.0[..], forgotten_after, forgotten))?,
        Request::Forget { assertion, .. } => {
            transaction.prepare_cached("DELETE FROM used_assertion WHERE fingerprint = ?1")?.execute([&assertion.0[..]])?
        }
        Request::Look { assertion } => {
            let query = "SELECT 1 FROM used_assertion WHERE fingerprint = ?1 AND forgotten_after >= ?2";
            usize::from(transaction.prepare_cached(query)?.exists((&assertion.0[..], forgotten))?)
        }
        Request::Append(_) => 0,
    };
    Ok(rows == 1)
}

/// The first entry of a chain: where the chains before it ended.
fn begin(transaction: &Transaction<'_>, chain: &mut Chain, ctx: &Ctx) -> Result<Link, StoreError> {
    let mut entry = Entry::new(ctx.clock.now(), Event::ChainsJoined);
    let mut join = transaction
        .prepare("UPDATE audit_chain SET joined = place WHERE joined < place RETURNING chain, place, hash")
        .map_err(failed)?;
    let heads = join
        .query_map([], |row| Ok(Head { chain: ChainId(row.get(0)?), place: row.get(1)?, hash: Hash(row.get(2)?) }))
        .map_err(failed)?;
    for head in heads {
        entry.heads.push(head.map_err(failed)?);
    }
    chain.link(&entry)
}

fn append(transaction: &Transaction<'_>, chain: ChainId, link: &Link) -> Result<(), rusqlite::Error> {
    transaction.prepare_cached("INSERT INTO audit (chain, place, at, hash, body) VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
        &chain.0[..],
        link.place,
        link.at,
        &link.hash.0[..],
        &link.body,
    ))?;
    for org in &link.concerns {
        transaction.prepare_cached("INSERT INTO audit_concern (org, at, chain, place) VALUES (?1, ?2, ?3, ?4)")?.execute((
            org.as_str(),
            link.at,
            &chain.0[..],
            link.place,
        ))?;
    }
    Ok(())
}
