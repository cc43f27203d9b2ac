//! Who has fetched the key set, and whether a new key was in it.
//!
//! A verifier is known by its network and the program that it says it is; that is enough to tell a cloud from a proxy, and names nobody.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use skybru_core::KeyId;

/// More verifiers than these are not told apart: whoever fetches under ever new names gets no memory from us.
const MOST: usize = 500;

/// How exact a time is kept: a book that is written at every fetch would be written all day.
const GRAIN: SignedDuration = SignedDuration::from_mins(10);

/// What a verifier is called: its network and its program, such as `203.0.113.0/24 python-requests`.
pub fn verifier(address: Option<IpAddr>, user_agent: Option<&str>) -> String {
    let network = match address.map(|address| address.to_canonical()) {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Some(IpAddr::V6(address)) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    };
    let product = user_agent.and_then(|text| text.split(['/', ' ', '(']).find(|part| !part.is_empty())).unwrap_or("-");
    let product: String = product.chars().filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).take(40).collect();
    format!("{network} {product}")
}

/// When a verifier came, and which keys it got.
pub type Fetch = (Timestamp, Arc<[KeyId]>);

/// The fetches that this node has seen since it last wrote them down.
#[derive(Debug, Default)]
pub struct Fetches(Mutex<BTreeMap<String, Fetch>>);

impl Fetches {
    /// A verifier got these keys.
    pub fn note(&self, verifier: String, keys: Arc<[KeyId]>, now: Timestamp) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < MOST || seen.contains_key(&verifier) {
            seen.insert(verifier, (now, keys));
        }
    }

    /// Takes them out.
    pub fn take(&self) -> BTreeMap<String, Fetch> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What one verifier has fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fetched {
    last: Timestamp,
    /// The newest key in what it got.
    newest: KeyId,
}

/// All verifiers that have been seen lately, on any node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Verifiers(BTreeMap<String, Fetched>);

impl Verifiers {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes fetches down. `order` are all keys, the oldest first.
    pub(super) fn note(&mut self, fetches: &BTreeMap<String, Fetch>, order: &[&KeyId]) {
        for (name, (at, keys)) in fetches {
            let Some(newest) = order.iter().rev().copied().find(|kid| keys.contains(kid)) else { continue };
            let is_full = self.0.len() >= MOST;
            match self.0.get_mut(name) {
                Some(known) if known.newest == *newest && at.duration_since(known.last) < GRAIN => {}
                Some(known) => *known = Fetched { last: (*at).max(known.last), newest: newest.clone() },
                None if !is_full => {
                    self.0.insert(name.clone(), Fetched { last: *at, newest: newest.clone() });
                }
                None => {}
            }
        }
    }

    /// Forgets those who have not come for a long time.
    pub(super) fn forget_before(&mut self, time: Timestamp) {
        self.0.retain(|_, fetched| fetched.last >= time);
    }

    /// Those who have come since `since`, but have not got `kid` yet.
    pub fn without(&self, kid: &KeyId, since: Timestamp) -> Vec<String> {
        self.0
            .iter()
            .filter(|(_, fetched)| fetched.newest != *kid && fetched.last >= since)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Each verifier, when it last came, and the newest key that it got.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Timestamp, &KeyId)> {
        self.0.iter().map(|(name, fetched)| (name.as_str(), fetched.last, &fetched.newest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_is_a_network_and_a_program() {
        let name = |address: &str, agent| verifier(Some(address.parse().unwrap()), agent);
        assert_eq!(name("203.0.113.7", Some("python-requests/2.31 (x)")), "203.0.113.0/24 python-requests");
        assert_eq!(name("::ffff:203.0.113.9", Some("Java\r\nX: y/1")), "203.0.113.0/24 JavaX");
        assert_eq!(name("2001:db8:7:8::1", None), "2001:db8:7::/48 -");
        assert_eq!(verifier(None, Some(&"a".repeat(99))), format!("unknown {}", "a".repeat(40)));
    }

    #[test]
    fn memory_is_bounded() {
        let fetches = Fetches::default();
        let kid: KeyId = "a".parse().unwrap();
        let keys: Arc<[KeyId]> = Arc::from([kid.clone()]);
        for number in 0..2000 {
            fetches.note(format!("v{number}"), keys.clone(), Timestamp::UNIX_EPOCH);
        }
        let taken = fetches.take();
        assert_eq!(taken.len(), MOST);
        let mut verifiers = Verifiers::default();
        verifiers.note(&taken, &[&kid]);
        verifiers.note(&BTreeMap::from([("another".to_owned(), (Timestamp::UNIX_EPOCH, keys))]), &[&kid]);
        assert_eq!(verifiers.iter().count(), MOST);
    }
}
