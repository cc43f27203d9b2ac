//! The life of a signing key: prepared → active → retiring → retired.
//!
//! Verifiers cache the key set. So a key may sign only when everybody's cache has run out since it was first seen published, and it may
//! be taken away only when its last token has expired and no cache holds a set without its successor. Time is an argument; nothing here
//! reads a clock.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use skybru_core::KeyId;
use skybru_protocol::jose::Jwk;

/// How long verifiers keep a key set, and how long a token lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// How long verifiers may cache the key set. Digdir documents 24 hours.
    pub cache: SignedDuration,
    /// The longest life of a token.
    pub token: SignedDuration,
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Made, perhaps published, not yet signing.
    Prepared,
    /// Signs.
    Active,
    /// Signs no more; its tokens still verify.
    Retiring,
    /// Out of the key set. Remembered, so that its id is never used for another key (P-3).
    Retired,
}

/// A key and what has happened to it. Each time is set once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its id.
    pub kid: KeyId,
    /// Its public half.
    pub public: Jwk,
    /// The certificates over it, as `x5c` carries them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub x5c: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was first seen published, from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
    /// From when on it signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activated: Option<Timestamp>,
    /// From when on it signs no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Timestamp>,
    /// When it was taken out of the key set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<Timestamp>,
}

impl KeyRecord {
    /// Where it stands.
    pub fn state(&self) -> KeyState {
        match (self.activated, self.replaced) {
            _ if self.retired.is_some() => KeyState::Retired,
            (None, _) => KeyState::Prepared,
            (Some(_), None) => KeyState::Active,
            (Some(_), Some(_)) => KeyState::Retiring,
        }
    }
}

/// Why a key cannot do this now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// No key has been seen published.
    #[error("no key may sign yet: none has been seen published at the issuer's URL")]
    NotPublished,
    /// There is one prepared already.
    #[error("key {0} is prepared already, and one at a time is enough")]
    AlreadyPrepared(KeyId),
    /// There is none to switch to.
    #[error("no key is prepared")]
    NonePrepared,
    /// The prepared key has not been seen published.
    #[error("key {0} is prepared, but has not been seen published")]
    NotSeen(KeyId),
    /// Verifiers may not know it yet.
    #[error("key {kid} may sign from {from}: until then a verifier may still hold a key set without it")]
    TooEarly {
        /// The prepared key.
        kid: KeyId,
        /// From when on.
        from: Timestamp,
    },
    /// Tokens of it may still live.
    #[error("key {kid} may be taken away from {from}: until then its tokens, or key sets without its successor, are about")]
    StillUsed {
        /// The retiring key.
        kid: KeyId,
        /// From when on.
        from: Timestamp,
    },
    /// It signs.
    #[error("key {0} signs: switch to another first")]
    Active(KeyId),
    /// Not here.
    #[error("there is no key {0}")]
    Unknown(String),
    /// It has been here before.
    #[error("key {0} is or was in use: a key id is never used twice (P-3)")]
    Known(KeyId),
    /// A set of keys of two families makes known verifiers give up on all of it.
    #[error("the keys in use are of type {used}, and this one is of type {found}: a key set holds one type only")]
    Family {
        /// In use.
        used: String,
        /// The new one's.
        found: String,
    },
}

/// What an emergency switch breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Breaks {
    /// The key that signs from now on.
    pub kid: KeyId,
    /// Until then verifiers with a cached key set may refuse its tokens.
    pub until: Timestamp,
    /// From when on tokens of the old key are refused: at once for verifiers that fetch the set, at this time for all.
    pub old_tokens_until: Timestamp,
}

/// All keys of an issuer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Keys {
    keys: Vec<KeyRecord>,
    /// When a key set was seen for the first time: from then on verifiers may hold one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_seen: Option<Timestamp>,
}

impl Keys {
    /// All of them, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &KeyRecord> {
        self.keys.iter()
    }

    /// Those that belong into the key set: all but the retired. The active one stands first, because some verifiers try only the first.
    pub fn published(&self) -> impl Iterator<Item = &KeyRecord> {
        let active = |record: &&KeyRecord| record.state() == KeyState::Active;
        let other = |record: &&KeyRecord| matches!(record.state(), KeyState::Prepared | KeyState::Retiring);
        self.keys.iter().filter(active).chain(self.keys.iter().filter(other))
    }

    /// The key that signs.
    pub fn signer(&self) -> Result<&KeyRecord, KeysError> {
        self.find(KeyState::Active).ok_or(KeysError::NotPublished)
    }

    fn find(&self, state: KeyState) -> Option<&KeyRecord> {
        self.keys.iter().find(|record| record.state() == state)
    }

    /// Adds a key that will sign one day.
    pub fn prepare(&mut self, kid: KeyId, public: Jwk, x5c: Vec<String>, now: Timestamp) -> Result<(), KeysError> {
        if let Some(prepared) = self.find(KeyState::Prepared) {
            return Err(KeysError::AlreadyPrepared(prepared.kid.clone()));
        }
        if self.keys.iter().any(|record| record.kid == kid) {
            return Err(KeysError::Known(kid));
        }
        if let Some(other) = self.published().find(|record| record.public.kty != public.kty) {
            return Err(KeysError::Family { used: other.public.kty.clone(), found: public.kty });
        }
        self.keys.push(KeyRecord { kid, public, x5c, created: now, seen: None, activated: None, replaced: None, retired: None });
        Ok(())
    }

    /// Notes that the key set was fetched from outside and held these keys.
    ///
    /// The very first key signs at once: nobody can have cached a key set of an issuer that had none. Where another issuer's keys were
    /// seen before, it waits like any other.
    pub fn seen<'a>(&mut self, kids: impl IntoIterator<Item = &'a str>, now: Timestamp) {
        let first = self.first_seen.is_none();
        for kid in kids {
            if let Some(record) = self.keys.iter_mut().find(|record| record.kid.as_str() == kid) {
                record.seen.get_or_insert(now);
                if first && record.state() == KeyState::Prepared {
                    record.activated = Some(now);
                }
            }
            self.first_seen.get_or_insert(now);
        }
    }

    /// Puts certificates beside a key.
    pub fn certify(&mut self, kid: &KeyId, x5c: Vec<String>) {
        if let Some(record) = self.keys.iter_mut().find(|record| record.kid == *kid) {
            record.x5c = x5c;
        }
    }

    /// Lets the prepared key sign from now on.
    pub fn switch(&mut self, lifetimes: Lifetimes, now: Timestamp) -> Result<&KeyRecord, KeysError> {
        let prepared = self.find(KeyState::Prepared).ok_or(KeysError::NonePrepared)?;
        let seen = prepared.seen.ok_or_else(|| KeysError::NotSeen(prepared.kid.clone()))?;
        let from = after(seen, lifetimes.cache);
        if now < from {
            return Err(KeysError::TooEarly { kid: prepared.kid.clone(), from });
        }
        self.replace(now);
        self.signer()
    }

    /// Lets the prepared key sign at once and takes the old ones out of the set, because one of them is in wrong hands.
    pub fn emergency(&mut self, lifetimes: Lifetimes, now: Timestamp) -> Result<Breaks, KeysError> {
        let kid = self.find(KeyState::Prepared).ok_or(KeysError::NonePrepared)?.kid.clone();
        self.replace(now);
        for record in self.keys.iter_mut().filter(|record| record.state() == KeyState::Retiring) {
            record.retired = Some(now);
        }
        let until = after(now, lifetimes.cache);
        Ok(Breaks { kid, until, old_tokens_until: until })
    }

    fn replace(&mut self, now: Timestamp) {
        for record in &mut self.keys {
            match record.state() {
                KeyState::Active => record.replaced = Some(now),
                KeyState::Prepared => record.activated = Some(now),
                KeyState::Retiring | KeyState::Retired => {}
            }
        }
    }

    /// When a retiring key may be taken away.
    pub fn may_go(record: &KeyRecord, lifetimes: Lifetimes) -> Option<Timestamp> {
        record.replaced.map(|replaced| after(after(replaced, lifetimes.token), lifetimes.cache))
    }

    /// Takes a key out of the key set, and returns its id. Its private half may be destroyed.
    pub fn retire(&mut self, kid: &str, lifetimes: Lifetimes, now: Timestamp) -> Result<KeyId, KeysError> {
        let record = self.keys.iter_mut().find(|record| record.kid.as_str() == kid);
        let record = record.ok_or_else(|| KeysError::Unknown(kid.to_owned()))?;
        match (record.state(), Self::may_go(record, lifetimes)) {
            (KeyState::Active, _) => Err(KeysError::Active(record.kid.clone())),
            (KeyState::Retiring, Some(from)) if now < from => Err(KeysError::StillUsed { kid: record.kid.clone(), from }),
            (KeyState::Retired, _) => Err(KeysError::Unknown(kid.to_owned())),
            (KeyState::Prepared | KeyState::Retiring, _) => {
                record.retired = Some(now);
                Ok(record.kid.clone())
            }
        }
    }
}

fn after(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3600;
    const LIFETIMES: Lifetimes = Lifetimes { cache: SignedDuration::from_hours(24), token: SignedDuration::from_mins(10) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn prepare(keys: &mut Keys, kid: &str, now: i64) -> Result<(), KeysError> {
        keys.prepare(kid.parse().unwrap(), Jwk::rsa(kid, "RS256", &[0x80; 256], &[1, 0, 1]), Vec::new(), at(now))
    }

    fn signer(keys: &Keys) -> &str {
        keys.signer().unwrap().kid.as_str()
    }

    #[test]
    fn the_first_key_signs_as_soon_as_it_has_been_seen() {
        let mut keys = Keys::default();
        prepare(&mut keys, "a", 0).unwrap();
        assert_eq!(keys.signer().unwrap_err(), KeysError::NotPublished);
        keys.seen(["a"], at(2));
        assert_eq!(signer(&keys), "a");
    }

    /// Another issuer was at this URL before: its key set may be cached.
    #[test]
    fn where_other_keys_were_seen_the_first_waits_like_any() {
        let mut keys = Keys::default();
        prepare(&mut keys, "a", 0).unwrap();
        keys.seen(["other"], at(1));
        keys.seen(["a"], at(2));
        assert_eq!(keys.signer().unwrap_err(), KeysError::NotPublished);
        assert!(matches!(keys.switch(LIFETIMES, at(3)), Err(KeysError::TooEarly { .. })));
        keys.switch(LIFETIMES, at(2 + 24 * HOUR)).unwrap();
        assert_eq!(signer(&keys), "a");
    }

    #[test]
    fn the_next_signs_a_cache_time_after_it_was_seen_and_the_old_one_goes_after_that_again() {
        let mut keys = Keys::default();
        prepare(&mut keys, "a", 0).unwrap();
        keys.seen(["a"], at(0));
        assert_eq!(keys.switch(LIFETIMES, at(1)).unwrap_err(), KeysError::NonePrepared);
        prepare(&mut keys, "b", 10).unwrap();
        assert_eq!(prepare(&mut keys, "c", 11), Err(KeysError::AlreadyPrepared("b".parse().unwrap())));
        assert_eq!(keys.switch(LIFETIMES, at(30 * HOUR)).unwrap_err(), KeysError::NotSeen("b".parse().unwrap()));
        keys.seen(["a", "b"], at(30 * HOUR));
        keys.seen(["a", "b"], at(31 * HOUR));
        assert_eq!(
            keys.switch(LIFETIMES, at(53 * HOUR)).unwrap_err(),
            KeysError::TooEarly { kid: "b".parse().unwrap(), from: at(54 * HOUR) }
        );
        keys.switch(LIFETIMES, at(54 * HOUR)).unwrap();
        assert_eq!(signer(&keys), "b");
        assert_eq!(keys.published().map(|record| record.kid.as_str()).collect::<Vec<_>>(), ["b", "a"], "the active one first");
        assert_eq!(keys.retire("b", LIFETIMES, at(99 * HOUR)).unwrap_err(), KeysError::Active("b".parse().unwrap()));
        assert!(matches!(keys.retire("a", LIFETIMES, at(78 * HOUR)), Err(KeysError::StillUsed { .. })));
        keys.retire("a", LIFETIMES, at(78 * HOUR + 600)).unwrap();
        assert_eq!(keys.retire("a", LIFETIMES, at(99 * HOUR)).unwrap_err(), KeysError::Unknown("a".to_owned()));
    }

    #[test]
    fn an_emergency_says_what_it_breaks() {
        let mut keys = Keys::default();
        prepare(&mut keys, "a", 0).unwrap();
        keys.seen(["a"], at(0));
        assert_eq!(keys.emergency(LIFETIMES, at(5)).unwrap_err(), KeysError::NonePrepared);
        prepare(&mut keys, "b", 10).unwrap();
        let breaks = keys.emergency(LIFETIMES, at(20)).unwrap();
        assert_eq!((breaks.kid.as_str(), breaks.until), ("b", at(20 + 24 * HOUR)));
        assert_eq!(keys.published().map(|record| record.kid.as_str()).collect::<Vec<_>>(), ["b"], "the lost key is gone");
    }

    #[test]
    fn a_key_id_is_never_used_twice_and_a_set_holds_one_type() {
        let mut keys = Keys::default();
        prepare(&mut keys, "a", 0).unwrap();
        keys.seen(["a"], at(0));
        prepare(&mut keys, "b", 1).unwrap();
        keys.retire("b", LIFETIMES, at(2)).unwrap();
        assert_eq!(prepare(&mut keys, "b", 3), Err(KeysError::Known("b".parse().unwrap())));
        let curve = Jwk::p256("c", "ES256", &[1; 32], &[2; 32]);
        let error = keys.prepare("c".parse().unwrap(), curve, Vec::new(), at(4)).unwrap_err();
        assert_eq!(error, KeysError::Family { used: "RSA".to_owned(), found: "EC".to_owned() });
    }

    /// What an operator may do at a moment.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Prepare,
        Publish,
        Switch,
        Retire,
    }

    proptest! {
        /// Whatever is done and whenever: a verifier that keeps a key set for the documented time finds the key of each token that it
        /// is shown while that token lives.
        #[test]
        fn no_verifier_ever_meets_an_unknown_key(
            steps in prop::collection::vec((0..40 * HOUR, prop::sample::select(vec![
                Step::Prepare, Step::Publish, Step::Publish, Step::Switch, Step::Switch, Step::Retire,
            ])), 1..60),
            fetches in prop::collection::vec(0..86_400_i64, 8),
        ) {
            let mut keys = Keys::default();
            let mut now = 0;
            // What the site served, and which key signed, from when on.
            let mut served: Vec<(i64, Vec<String>)> = Vec::new();
            let mut signed: Vec<(i64, String)> = Vec::new();
            for (number, (wait, step)) in steps.into_iter().enumerate() {
                now += wait;
                match step {
                    Step::Prepare => drop(prepare(&mut keys, &format!("k{number}"), now)),
                    Step::Publish => {
                        let kids: Vec<String> = keys.published().map(|record| record.kid.to_string()).collect();
                        if kids.is_empty() {
                            // `publish` refuses to publish nothing.
                            continue;
                        }
                        keys.seen(kids.iter().map(String::as_str), at(now));
                        served.push((now, kids));
                    }
                    Step::Switch => drop(keys.switch(LIFETIMES, at(now))),
                    Step::Retire => {
                        let oldest = keys.iter().find(|record| record.state() != KeyState::Retired).map(|record| record.kid.to_string());
                        drop(oldest.map(|kid| keys.retire(&kid, LIFETIMES, at(now))));
                    }
                }
                if let Ok(record) = keys.signer() {
                    signed.push((now, record.kid.to_string()));
                }
            }
            signed.push((now, String::new()));
            for span in signed.windows(2) {
                let ((from, kid), (to, _)) = (&span[0], &span[1]);
                // A token signed at the beginning and at the end of the span, shown at once and just before it expires.
                for shown in [*from, from + 599, *to, to + 599] {
                    for age in &fetches {
                        // A set fetched up to a day ago; before the first publication there was nothing to cache.
                        let held = served.iter().rev().find(|(since, _)| *since <= shown - age).or(served.first());
                        if let Some((_, kids)) = held {
                            prop_assert!(kids.contains(kid), "{kid} signed from {from}, shown at {shown}, set of {age} s ago");
                        }
                    }
                }
            }
        }
    }
}
