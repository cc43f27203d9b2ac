//! Somebody who takes tokens: fetches the key set from whichever node answers, and keeps it for as long as it is told.

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::Value;
use skybru_protocol::jose::{Algorithm, JwkSet, Jws, VerifyingKey};

/// What came of all checks.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub(crate) good: usize,
    /// Tokens that were too old by the time.
    expired: usize,
    fetches: usize,
    /// No node gave out a key set.
    unfetched: usize,
    pub(crate) wrong: Vec<String>,
}

impl Checks {
    pub(crate) fn add(&mut self, other: Self) {
        self.good += other.good;
        self.expired += other.expired;
        self.fetches += other.fetches;
        self.unfetched += other.unfetched;
        self.wrong.extend(other.wrong);
    }
}

impl fmt::Display for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { good, expired, fetches, unfetched, wrong } = self;
        write!(f, "{good} tokens verified, {expired} too old, {fetches} key sets fetched, {unfetched} not, {} wrong", wrong.len())
    }
}

pub(crate) struct Verifier {
    http: reqwest::Client,
    ports: Vec<u16>,
    /// Until when it is kept, and when it was asked for.
    kept: Option<(Instant, Instant, JwkSet)>,
    pub(crate) checks: Checks,
}

impl Verifier {
    pub(crate) fn new(http: reqwest::Client, ports: Vec<u16>) -> Self {
        Self { http, ports, kept: None, checks: Checks::default() }
    }

    /// `first` is the node that is asked first when a key set is needed.
    pub(crate) async fn check(&mut self, token: &str, first: impl FnOnce() -> u16) {
        if self.kept.as_ref().is_none_or(|(until, ..)| *until <= Instant::now()) {
            self.kept = self.fetch(first()).await;
        }
        let Some((_, asked, keys)) = &self.kept else {
            self.checks.unfetched += 1;
            return;
        };
        let jws = Jws::parse(token).unwrap();
        let claims: Value = serde_json::from_slice(jws.payload()).unwrap();
        if claims["exp"].as_i64().unwrap() <= super::now() {
            self.checks.expired += 1;
            return;
        }
        let kid = jws.header().kid.as_deref().unwrap();
        let Some(key) = keys.find(kid) else {
            let known: Vec<_> = keys.keys.iter().filter_map(|key| key.kid.as_deref()).collect();
            self.checks.wrong.push(format!("key {kid} is not among {known:?}, fetched {:?} ago", asked.elapsed()));
            return;
        };
        let key = VerifyingKey::from_jwk(key).unwrap();
        match key.verify(Algorithm::RS256, jws.signing_input().as_bytes(), jws.signature()) {
            Ok(()) => self.checks.good += 1,
            Err(error) => self.checks.wrong.push(format!("{kid}: {error}")),
        }
    }

    async fn fetch(&mut self, first: u16) -> Option<(Instant, Instant, JwkSet)> {
        for port in std::iter::once(first).chain(self.ports.clone()) {
            let asked = Instant::now();
            let url = format!("http://127.0.0.1:{}/jwk", port + 2);
            let Ok(answer) = self.http.get(url).send().await else { continue };
            if !answer.status().is_success() {
                continue;
            }
            let told = answer.headers()["cache-control"].to_str().unwrap().to_owned();
            let seconds = told.split("max-age=").nth(1).and_then(|text| text.parse().ok()).unwrap();
            let Ok(keys) = answer.json().await else { continue };
            self.checks.fetches += 1;
            return Some((asked + Duration::from_secs(seconds), asked, keys));
        }
        None
    }
}
