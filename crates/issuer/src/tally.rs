//! Refusals that are counted, not written down one by one.
//!
//! Whoever can reach the token endpoint can be refused as often as it likes: a line of the audit log for each would let strangers fill the
//! disk. So the log gets one entry a minute for each kind of refusal, with how often it happened; the ordinary log and the metrics have the
//! rest. The first few refusals of somebody who names a client that exists are written down one by one all the same: they are what its
//! owner wants to see when a key is wrong, or in wrong hands.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use skybru_core::OrgNumber;
use skybru_store::StoreError;
use skybru_store::audit::{Entry, Event};

use crate::issuer::Issuer;

/// Refusals of a kind that are written down one by one before the rest of the minute is counted.
const SINGLE: u64 = 10;

/// The most kinds of a minute; beyond them clients are not told apart.
const MOST: usize = 10_000;

/// How long is counted before it is written down.
const PERIOD: SignedDuration = SignedDuration::from_mins(1);

/// What is counted together.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    /// The OAuth code, and Maskinporten's where there is one.
    pub(crate) code: String,
    /// The client, where one of this name exists.
    pub(crate) client: Option<String>,
    /// Its organisation, where it has proven to be the client.
    pub(crate) consumer: Option<OrgNumber>,
    /// Its supplier, likewise.
    pub(crate) supplier: Option<OrgNumber>,
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    since: Timestamp,
    single: u64,
    count: u64,
}

/// The counts of the minute.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<BTreeMap<Kind, Counted>>);

impl Tally {
    fn change<T>(&self, kind: Kind, now: Timestamp, change: impl FnOnce(&mut Counted) -> T) -> T {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind =
            if kinds.len() < MOST || kinds.contains_key(&kind) { kind } else { Kind { code: kind.code, ..Kind::default() } };
        change(kinds.entry(kind).or_insert(Counted { since: now, single: 0, count: 0 }))
    }

    /// One more of this kind.
    pub(crate) fn count(&self, kind: Kind, now: Timestamp) {
        self.change(kind, now, |counted| counted.count += 1);
    }

    /// Whether this one should be written down by itself; it is counted if not.
    pub(crate) fn is_single(&self, kind: Kind, now: Timestamp) -> bool {
        self.change(kind, now, |counted| {
            let is_single = counted.single < SINGLE;
            *if is_single { &mut counted.single } else { &mut counted.count } += 1;
            is_single
        })
    }

    /// Takes out what has been counted for a minute, or all of it.
    fn take(&self, now: Timestamp, all: bool) -> Vec<(Kind, Counted)> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = |counted: &Counted| all || now.duration_since(counted.since) >= PERIOD;
        kinds.extract_if(.., |_, counted| is_due(counted)).collect()
    }

    fn put_back(&self, kind: Kind, taken: Counted) {
        self.change(kind, taken.since, |counted| {
            counted.since = counted.since.min(taken.since);
            counted.count += taken.count;
        });
    }
}

impl Issuer {
    /// Writes down the refusals that have been counted for a minute; all of them when the issuer is about to stop. Called now and then.
    ///
    /// What cannot be written stays counted. What is not written when the process dies is lost: counts of refusals, nothing else.
    pub async fn write_tally(&self, all: bool) -> Result<(), StoreError> {
        let now = self.ctx.clock.now();
        let mut taken = self.tally.take(now, all).into_iter();
        while let Some((kind, counted)) = taken.next() {
            if counted.count == 0 {
                continue;
            }
            let entry = Entry {
                issuer: Some(self.settings.url.to_string()),
                client: kind.client.clone(),
                consumer: kind.consumer,
                supplier: kind.supplier,
                code: Some(kind.code.clone()),
                count: Some(counted.count),
                since: Some(counted.since),
                ..Entry::new(now, Event::TokenRefused)
            };
            if let Err(error) = self.ledger.note(entry).await {
                // In doubt it may stand there: better counted once too few than told twice.
                if !matches!(error, StoreError::InDoubt { .. }) {
                    self.tally.put_back(kind, counted);
                }
                taken.for_each(|(kind, counted)| self.tally.put_back(kind, counted));
                return Err(error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn kind(client: &str) -> Kind {
        Kind { code: "invalid_grant MP-124".to_owned(), client: Some(client.to_owned()), ..Kind::default() }
    }

    #[test]
    fn the_first_ones_are_single_and_the_rest_of_the_minute_is_counted() {
        let tally = Tally::default();
        let single = (0..25).filter(|second| tally.is_single(kind("a"), at(*second))).count();
        assert_eq!(single, 10);
        assert!(tally.is_single(kind("b"), at(30)), "each client has its own");
        assert!(tally.take(at(59), false).is_empty());
        let taken = tally.take(at(60), false);
        assert_eq!(
            taken.iter().map(|(kind, counted)| (kind.client.as_deref(), counted.count)).collect::<Vec<_>>(),
            [(Some("a"), 15)]
        );
        assert!(tally.is_single(kind("a"), at(60)), "a new minute");
    }

    #[test]
    fn memory_is_bounded_and_nothing_goes_uncounted() {
        let tally = Tally::default();
        for number in 0..12_000 {
            tally.count(kind(&number.to_string()), at(0));
        }
        let taken = tally.take(at(0), true);
        assert_eq!(taken.len(), MOST + 1);
        assert_eq!(taken.iter().map(|(_, counted)| counted.count).sum::<u64>(), 12_000);
    }

    #[test]
    fn what_could_not_be_written_is_counted_on() {
        let tally = Tally::default();
        tally.count(kind("a"), at(0));
        let taken = tally.take(at(60), false).remove(0);
        tally.count(kind("a"), at(61));
        tally.put_back(taken.0, taken.1);
        let again = tally.take(at(61), false).remove(0).1;
        assert_eq!((again.count, again.since), (2, at(0)));
    }
}
