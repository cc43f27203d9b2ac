//! The book of an issuer's keys: their lives, who holds the private halves, who has fetched what.
//!
//! Everything here is a pure function of the book and the time. Whoever runs it saves the book before anybody acts on it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use skybru_core::KeyId;
use skybru_protocol::jose::Jwk;

use super::PublishedKey;
use super::fetches::{Fetch, Verifiers};
use super::lifecycle::{Breaks, KeyRecord, KeyState, Keys, KeysError, Lifetimes};

/// Who holds a private half. Its `Debug` tells the kind only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holder {
    /// A file beside the book, named by the key.
    File,
    /// In the book itself: a JWK, sealed in the age format, as base64.
    Sealed(String),
    /// A PKCS#11 URI. It holds no PIN.
    Pkcs11(String),
    /// The name of a key in a cloud's key service.
    Kms(String),
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "Holder::File",
            Self::Sealed(_) => "Holder::Sealed(…)",
            Self::Pkcs11(_) => "Holder::Pkcs11(…)",
            Self::Kms(_) => "Holder::Kms(…)",
        })
    }
}

/// When keys change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationRules {
    /// How long key sets are cached and tokens live.
    pub lifetimes: Lifetimes,
    /// After how long another key signs; never by itself when absent.
    pub every: Option<SignedDuration>,
    /// How much longer than the cache time a switch waits for verifiers that are known, but have not fetched the new key.
    pub patience: SignedDuration,
    /// So long after it was made every node that answers publishes a key: [`EVERYWHERE`] where nobody says otherwise.
    pub everywhere: SignedDuration,
}

/// A switch that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// The key that would sign.
    pub kid: KeyId,
    /// Who has not fetched it. Empty while it is the cache time that is waited for.
    pub verifiers: Vec<String>,
    /// When it is waited for no longer.
    pub until: Timestamp,
}

/// So long after it was made every node that answers publishes a key: one that has not compared its registry with the store for five
/// seconds answers neither key sets nor tokens, nor one that has not looked at its keys for ten.
pub const EVERYWHERE: SignedDuration = SignedDuration::from_secs(15);

/// All keys of an issuer, and what is known about them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KeyBook {
    /// Their lives.
    #[serde(flatten)]
    pub keys: Keys,
    /// Who holds the private halves of those that sign or will sign.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub holders: BTreeMap<KeyId, Holder>,
    /// Who fetches the key set.
    #[serde(default, skip_serializing_if = "Verifiers::is_empty")]
    pub verifiers: Verifiers,
}

impl KeyBook {
    /// Adds a key that will sign one day.
    pub fn prepare(
        &mut self,
        public: Jwk,
        x5c: Vec<String>,
        kid: KeyId,
        holder: Holder,
        now: Timestamp,
    ) -> Result<(), KeysError> {
        self.keys.prepare(kid.clone(), public, x5c, now)?;
        self.holders.insert(kid, holder);
        Ok(())
    }

    /// Who holds a private half. A book of before holders were written down means files.
    pub fn holder(&self, kid: &KeyId) -> Holder {
        self.holders.get(kid).cloned().unwrap_or(Holder::File)
    }

    /// Whether a key should be made now: the very first, or the next one when its time comes.
    ///
    /// It is early enough when the key can be known everywhere on the day on which it shall sign.
    pub fn needs_key(&self, rules: RotationRules, now: Timestamp) -> bool {
        if self.keys.iter().all(|record| record.state() == KeyState::Retired) {
            return true;
        }
        if self.prepared().is_some() {
            return false;
        }
        let since = self.keys.signer().ok().and_then(|record| record.activated);
        let Some((every, since)) = rules.every.zip(since) else { return false };
        let age = every.saturating_sub(rules.lifetimes.cache).max(SignedDuration::ZERO);
        since.saturating_add(age).is_ok_and(|due| due <= now)
    }

    /// The key that will sign next.
    pub fn prepared(&self) -> Option<&KeyRecord> {
        self.keys.iter().find(|record| record.state() == KeyState::Prepared)
    }

    /// Writes down that these keys are served by every node, and who has fetched which.
    pub fn served(&mut self, kids: &[KeyId], fetches: &BTreeMap<String, Fetch>, rules: RotationRules, now: Timestamp) {
        self.keys.seen(kids.iter().map(KeyId::as_str), now);
        let order: Vec<&KeyId> = self.keys.iter().map(|record| &record.kid).collect();
        self.verifiers.note(fetches, &order);
        let long = rules.lifetimes.cache.saturating_mul(3).saturating_add(SignedDuration::from_hours(1));
        self.verifiers.forget_before(now.saturating_sub(long).unwrap_or(Timestamp::MIN));
    }

    /// Lets the prepared key sign, when every cache has run out and every known verifier has fetched it, or has been waited for.
    pub fn switch(&mut self, rules: RotationRules, now: Timestamp) -> Result<KeyId, SwitchError> {
        if let Some(waiting) = self.waiting(rules, now) {
            // The cache time has its own words.
            if waiting.verifiers.is_empty() {
                self.keys.clone().switch(rules.lifetimes, now)?;
            }
            return Err(SwitchError::Waiting(waiting));
        }
        Ok(self.keys.switch(rules.lifetimes, now)?.kid.clone())
    }

    /// What a switch waits for.
    pub fn waiting(&self, rules: RotationRules, now: Timestamp) -> Option<Waiting> {
        let record = self.prepared()?;
        let seen = record.seen?;
        let after = |time: Timestamp, by| time.saturating_add(by).unwrap_or(Timestamp::MAX);
        let from = after(seen, rules.lifetimes.cache);
        let until = after(from, rules.patience);
        if now < from {
            return Some(Waiting { kid: record.kid.clone(), verifiers: Vec::new(), until: from });
        }
        // Whoever came within one cache time before the key was published may still hold a set without it.
        let since = seen.saturating_sub(rules.lifetimes.cache).unwrap_or(Timestamp::MIN);
        let verifiers = self.verifiers.without(&record.kid, since);
        (now < until && !verifiers.is_empty()).then(|| Waiting { kid: record.kid.clone(), verifiers, until })
    }

    /// What is due now: which key signs from now on, if it is another one, and which have gone.
    ///
    /// `served` are the keys that the node publishes that asks, and `fetches` who has fetched the key set from it.
    pub fn step(
        &mut self,
        served: &[KeyId],
        fetches: &BTreeMap<String, Fetch>,
        rules: RotationRules,
        now: Timestamp,
    ) -> (Option<KeyId>, Vec<KeyId>) {
        let everywhere = |kid: &&KeyId| {
            let record = self.keys.iter().find(|record| record.kid == **kid);
            record.is_some_and(|record| record.created.saturating_add(rules.everywhere).is_ok_and(|from| from <= now))
        };
        let everywhere: Vec<KeyId> = served.iter().filter(everywhere).cloned().collect();
        self.served(&everywhere, fetches, rules, now);
        (self.switch(rules, now).ok(), self.retire_due(rules, now))
    }

    /// Takes every key away whose time is over, and returns them.
    pub fn retire_due(&mut self, rules: RotationRules, now: Timestamp) -> Vec<KeyId> {
        let due = |record: &&KeyRecord| {
            record.state() == KeyState::Retiring && Keys::may_go(record, rules.lifetimes).is_some_and(|from| from <= now)
        };
        let gone: Vec<KeyId> = self.keys.iter().filter(due).map(|record| record.kid.clone()).collect();
        gone.into_iter().filter(|kid| self.retire(kid.as_str(), rules.lifetimes, now).is_ok()).collect()
    }

    /// Takes a key away, and forgets who holds it.
    pub fn retire(&mut self, kid: &str, lifetimes: Lifetimes, now: Timestamp) -> Result<KeyId, KeysError> {
        let kid = self.keys.retire(kid, lifetimes, now)?;
        self.holders.remove(&kid);
        Ok(kid)
    }

    /// Lets the prepared key sign at once and takes the others away.
    pub fn emergency(&mut self, lifetimes: Lifetimes, now: Timestamp) -> Result<Breaks, KeysError> {
        let breaks = self.keys.emergency(lifetimes, now)?;
        self.holders.retain(|kid, _| *kid == breaks.kid);
        Ok(breaks)
    }

    /// What belongs into the key set, the active key first.
    pub fn published(&self) -> Vec<PublishedKey> {
        self.keys.published().map(|record| PublishedKey { jwk: record.public.clone(), x5c: record.x5c.clone() }).collect()
    }
}

/// Why another key does not sign yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwitchError {
    /// The state of the keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Known verifiers have not fetched it.
    #[error(
        "key {} waits for verifiers that have not fetched it: {}; it signs in any case from {}",
        .0.kid, .0.verifiers.join(", "), .0.until
    )]
    Waiting(Waiting),
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;
    const RULES: RotationRules = RotationRules {
        lifetimes: Lifetimes { cache: SignedDuration::from_hours(24), token: SignedDuration::from_mins(10) },
        every: Some(SignedDuration::from_hours(24 * 90)),
        patience: SignedDuration::from_hours(24),
        everywhere: EVERYWHERE,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn kid(text: &str) -> KeyId {
        text.parse().unwrap()
    }

    fn prepare(book: &mut KeyBook, name: &str, now: i64) {
        let public = Jwk::rsa(name, "RS256", &[0x80; 256], &[1, 0, 1]);
        book.prepare(public, Vec::new(), kid(name), Holder::File, at(now)).unwrap();
    }

    fn fetch(book: &mut KeyBook, who: &str, served: &[&str], now: i64) {
        let served: Vec<KeyId> = served.iter().map(|name| kid(name)).collect();
        let fetch = (at(now), served.clone().into());
        book.served(&served, &BTreeMap::from([(who.to_owned(), fetch)]), RULES, at(now));
    }

    #[test]
    fn a_key_is_made_when_there_is_none_and_when_the_next_is_due() {
        let mut book = KeyBook::default();
        assert!(book.needs_key(RULES, at(0)));
        prepare(&mut book, "a", 0);
        fetch(&mut book, "cloud", &["a"], 0);
        assert!(!book.needs_key(RULES, at(88 * 24 * HOUR)));
        assert!(book.needs_key(RULES, at(89 * 24 * HOUR)), "a day early, so that it is known on day 90");
        assert!(!book.needs_key(RotationRules { every: None, ..RULES }, at(999 * 24 * HOUR)));
    }

    #[test]
    fn a_switch_waits_for_verifiers_that_are_known_but_not_for_ever() {
        let mut book = KeyBook::default();
        prepare(&mut book, "a", 0);
        fetch(&mut book, "cloud", &["a"], 0);
        fetch(&mut book, "slow", &["a"], HOUR);
        prepare(&mut book, "b", 2 * HOUR);
        fetch(&mut book, "cloud", &["a", "b"], 2 * HOUR);
        assert!(matches!(book.switch(RULES, at(25 * HOUR)), Err(SwitchError::Keys(KeysError::TooEarly { .. }))));
        let error = book.switch(RULES, at(27 * HOUR)).unwrap_err();
        assert_eq!(
            error,
            SwitchError::Waiting(Waiting { kid: kid("b"), verifiers: vec!["slow".to_owned()], until: at(50 * HOUR) })
        );
        let mut patient = book.clone();
        assert_eq!(patient.switch(RULES, at(50 * HOUR)).unwrap(), kid("b"), "the time bound");
        fetch(&mut book, "slow", &["a", "b"], 28 * HOUR);
        assert_eq!(book.switch(RULES, at(28 * HOUR)).unwrap(), kid("b"), "everybody has it");
    }

    #[test]
    fn keys_go_when_nobody_needs_them_and_their_holders_are_forgotten() {
        let mut book = KeyBook::default();
        prepare(&mut book, "a", 0);
        fetch(&mut book, "cloud", &["a"], 0);
        prepare(&mut book, "b", 0);
        fetch(&mut book, "cloud", &["a", "b"], 0);
        book.switch(RULES, at(24 * HOUR)).unwrap();
        assert_eq!(book.retire_due(RULES, at(48 * HOUR)), []);
        assert_eq!(book.retire_due(RULES, at(48 * HOUR + 600)), [kid("a")]);
        assert_eq!(book.holders.keys().collect::<Vec<_>>(), [&kid("b")]);
        assert_eq!(book.published().len(), 1);
        assert_eq!(book.keys.iter().count(), 2, "a retired key is remembered, so that its id is never used again");
    }

    #[test]
    fn a_book_reads_what_it_wrote_and_what_was_written_before_holders() {
        let mut book = KeyBook::default();
        prepare(&mut book, "a", 0);
        fetch(&mut book, "cloud", &["a"], 0);
        let text = serde_json::to_string(&book).unwrap();
        assert_eq!(serde_json::from_str::<KeyBook>(&text).unwrap(), book);
        let old = serde_json::to_string(&book.keys).unwrap();
        assert_eq!(serde_json::from_str::<KeyBook>(&old).unwrap().holder(&kid("a")), Holder::File);
        assert!(!format!("{:?}", Holder::Sealed("secret".to_owned())).contains("secret"));
    }
}
