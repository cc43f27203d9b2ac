//! Three nodes, PostgreSQL and Valkey under load, while nodes, stores and wires are killed, stopped and cut at random, and keys change all the
//! time. Afterwards the audit log must prove: no assertion became two tokens, and no token left that is not written down. And no verifier
//! that keeps the key set as long as it is told met a key that it could not find.
//!
//! Twenty seconds, and on a busy machine as many more as it takes until enough has happened; `FAULT_SECONDS` makes it longer,
//! `FAULT_ROTATIONS` goes on until the keys have changed so often. `FAULT_SEED` repeats a run's choices.

pub(crate) mod node;
mod proxy;
mod verifier;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skybru_core::Randomness as _;
use skybru_core::ctx::SeededRandomness;
use skybru_protocol::jose::SigningKey;

use self::node::{Node, Shared};
use self::proxy::Wire;
use self::verifier::{Checks, Verifier};
use crate::services::{Service, postgres, valkey};
use crate::support::{RESOURCE, SCOPE, free_ports, stderr, stdout};

/// Requests under way at once.
const WORKERS: usize = 8;

/// Verifiers at work at once.
const VERIFIERS: usize = 4;

/// One client asks for everything here. Keys live for seconds: prepared for at least 1.75, kept for eleven.
const SETTINGS: &str = "client-requests-per-second = 0\norganisation-requests-per-second = 0\n\
     [server.lifetimes]\nkey-set-cache = \"1s\"\nlongest-token = \"10s\"\nrotate = \"1s\"\nrotate-wait = \"0s\"\npace = \"250ms\"";

struct Dice(SeededRandomness);

impl Dice {
    /// One of `all`.
    fn of<T: Copy>(&self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }

    fn below(&self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % limit
    }
}

#[expect(clippy::disallowed_methods, reason = "the test's own switches")]
fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[expect(clippy::disallowed_methods, reason = "real servers have the real clock")]
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// What callers saw.
#[derive(Default)]
struct Seen {
    /// By the assertion's `jti`: the `jti` of each token that came of it.
    tokens: HashMap<String, Vec<String>>,
    statuses: BTreeMap<u16, usize>,
    unanswered: usize,
    /// The keys that signed.
    kids: BTreeSet<String>,
    /// The last tokens, for verifiers.
    recent: Vec<String>,
}

impl Seen {
    /// How often another key signed than before.
    fn rotations(&self) -> usize {
        self.kids.len().saturating_sub(1)
    }
}

struct Load {
    http: reqwest::Client,
    ports: Vec<u16>,
    issuer: String,
    client: String,
    key: SigningKey,
    seen: Mutex<Seen>,
    is_over: AtomicBool,
}

impl Load {
    fn assertion(&self, jti: &str) -> String {
        let now = now();
        let claims = json!({
            "aud": self.issuer, "iss": self.client, "scope": SCOPE, "resource": RESOURCE,
            "iat": now, "exp": now + 120, "jti": jti
        });
        self.key.sign(None, &claims).unwrap()
    }

    async fn present(&self, jti: &str, assertion: &str, port: u16) {
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion)];
        let answer = self.http.post(format!("http://127.0.0.1:{}/token", port + 2)).form(&form).send().await;
        let Ok(answer) = answer else {
            self.seen.lock().unwrap().unanswered += 1;
            return;
        };
        let status = answer.status().as_u16();
        if status == 503 {
            assert!(answer.headers().contains_key("retry-after"), "a 503 says when to come again");
        }
        let body: Value = answer.json().await.unwrap_or_default();
        let mut seen = self.seen.lock().unwrap();
        *seen.statuses.entry(status).or_default() += 1;
        match (status, body["access_token"].as_str()) {
            (200, Some(token)) => {
                let (kid, token_jti) = kid_and_jti(token);
                seen.tokens.entry(jti.to_owned()).or_default().push(token_jti);
                seen.kids.insert(kid);
                if seen.recent.len() == 200 {
                    seen.recent.remove(0);
                }
                seen.recent.push(token.to_owned());
            }
            (200, None) => seen.unanswered += 1,
            (400 | 503, _) => {}
            other => panic!("{other:?}: {body}"),
        }
    }

    /// Presents new assertions, half of them to two nodes at once, and many again later.
    async fn run(&self, worker: usize, dice: &Dice) {
        let mut old: Vec<(String, String)> = Vec::new();
        let mut count = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            count += 1;
            let jti = format!("{worker}-{count}");
            let assertion = self.assertion(&jti);
            let (one, two) = (dice.of(&self.ports), dice.of(&self.ports));
            if dice.below(2) == 0 {
                tokio::join!(self.present(&jti, &assertion, one), self.present(&jti, &assertion, two));
            } else {
                self.present(&jti, &assertion, one).await;
            }
            old.push((jti, assertion));
            let (jti, assertion) = &old[usize::try_from(dice.below(old.len() as u64)).unwrap()];
            self.present(jti, assertion, two).await;
        }
    }

    /// Checks tokens, the newest and those of a moment ago.
    async fn verify(&self, dice: &Dice) -> Checks {
        let mut verifier = Verifier::new(self.http.clone(), self.ports.clone());
        while !self.is_over.load(Ordering::Relaxed) {
            let token = {
                let seen = self.seen.lock().unwrap();
                let newest = seen.recent.last().filter(|_| dice.below(2) == 0);
                newest.or_else(|| seen.recent.get(usize::try_from(dice.below(200)).unwrap())).cloned()
            };
            if let Some(token) = token {
                verifier.check(&token, || dice.of(&self.ports)).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        verifier.checks
    }
}

fn kid_and_jti(token: &str) -> (String, String) {
    let jws = skybru_protocol::jose::Jws::parse(token).unwrap();
    let claims: Value = serde_json::from_slice(jws.payload()).unwrap();
    (jws.header().kid.clone().unwrap(), claims["jti"].as_str().unwrap().to_owned())
}

/// Breaks something, and mends it again.
async fn break_something(dice: &Dice, nodes: &mut [Node], database: &mut Service, replay: &mut Service, replay_kills: &mut u64) {
    let pause = Duration::from_millis(100 + dice.below(1200));
    let node = usize::try_from(dice.below(nodes.len() as u64)).unwrap();
    match dice.below(10) {
        0..=2 => {
            nodes[node].kill();
            tokio::time::sleep(pause).await;
            nodes[node].start();
        }
        3 => {
            nodes[node].database.set(Wire::Cut);
            tokio::time::sleep(pause).await;
            nodes[node].database.set(Wire::Open);
        }
        4 => {
            nodes[node].replay.set(Wire::Cut);
            tokio::time::sleep(pause).await;
            nodes[node].replay.set(Wire::Open);
        }
        5 => {
            nodes[node].database.set(Wire::Silent);
            tokio::time::sleep(pause * 3).await;
            nodes[node].database.set(Wire::Open);
        }
        6 => {
            nodes[node].replay.set(Wire::Silent);
            tokio::time::sleep(pause * 3).await;
            nodes[node].replay.set(Wire::Open);
        }
        7 => {
            database.kill();
            tokio::time::sleep(pause).await;
            tokio::task::block_in_place(|| database.restart());
        }
        8 => {
            database.freeze(true);
            tokio::time::sleep(pause).await;
            database.freeze(false);
        }
        // A restarted Valkey is doubted for a quarter of a minute: once, or nothing else would be seen.
        _ if *replay_kills == 0 => {
            *replay_kills += 1;
            replay.kill();
            tokio::time::sleep(pause).await;
            tokio::task::block_in_place(|| replay.restart());
        }
        _ => {
            replay.freeze(true);
            tokio::time::sleep(pause).await;
            replay.freeze(false);
        }
    }
    for node in nodes {
        node.watch_over();
    }
}

pub(crate) fn told(node: &Node, arguments: &[&str]) -> String {
    let output = node.command(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}{}", stdout(&output), stderr(&output));
    stdout(&output)
}

/// A Valkey that was never seen before may have forgotten something: for a quarter of a minute nobody gets tokens.
pub(crate) async fn wait_for_tokens(node: &Node) {
    let deadline = Instant::now() + Duration::from_mins(2);
    let token = ["--config", "../data/operator.toml", "--json", "registry", "org", "list"];
    while !node.command(&token).output().unwrap().status.success() {
        assert!(Instant::now() < deadline, "nobody gets tokens");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The consumer's client, registered by the operator. Gives its id.
pub(crate) fn onboard(node: &Node) -> String {
    let registry = |arguments: &[&str]| -> Value {
        let all = [&["--config", "../data/operator.toml", "--json", "registry"], arguments].concat();
        serde_json::from_str(&told(node, &all)).unwrap()
    };
    registry(&["org", "put", "314330897", "--name", "Fjordbuss AS", "--prefix", "fjordbuss"]);
    registry(&["org", "put", "310702641", "--name", "Innsikt Data AS"]);
    let provider = registry(&[
        "client",
        "add",
        "--org",
        "314330897",
        "--name",
        "p",
        "--new-key",
        "provider.jwk",
        "--scope",
        "idporten:scopes.write",
    ]);
    let (apis, api) = (node.port + 1, node.port);
    let id = provider["client_id"].as_str().unwrap();
    std::fs::write(
        node.folder().join("provider.toml"),
        format!(
            "[clients.p]\nissuer = \"http://localhost:{apis}/\"\nclient-id = \"{id}\"\nkey = {{ file = \"provider.jwk\" }}\n\
             [registry]\napi = \"http://localhost:{api}/api/v1\"\nclient = \"p\"\n"
        ),
    )
    .unwrap();
    for arguments in [&["scope", "add", SCOPE, "--description", "Timetables"][..], &["access", "grant", SCOPE, "310702641"][..]] {
        told(node, &[&["--config", "provider.toml", "registry"], arguments].concat());
    }
    let reader = registry(&["client", "add", "--org", "310702641", "--name", "r", "--new-key", "reader.jwk", "--scope", SCOPE]);
    reader["client_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_accepted_twice_and_nothing_issued_that_is_not_written_down() {
    let (Some(mut database), Some(mut replay)) = (postgres(), valkey()) else { return };
    let (length, chosen) = (number("FAULT_SECONDS", 20), number("FAULT_SEED", u64::from(std::process::id())));
    let rotations = usize::try_from(number("FAULT_ROTATIONS", length / 5)).unwrap();
    eprintln!("FAULT_SEED={chosen}");
    let folder = tempfile::tempdir().unwrap();
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(6)).build().unwrap();
    let shared =
        Shared { folder: folder.path(), port: free_ports(), database: database.port, replay: replay.port, more: SETTINGS };
    let mut nodes = Vec::new();
    for (place, name) in ["one", "two", "three"].into_iter().enumerate() {
        let mut node = Node::new(name, &shared, place == 0).await;
        node.start();
        node.wait_until_ready(&http).await;
        nodes.push(node);
    }
    wait_for_tokens(&nodes[0]).await;
    let client = onboard(&nodes[0]);
    let key = std::fs::read_to_string(nodes[0].folder().join("reader.jwk")).unwrap();
    let load = Arc::new(Load {
        http: http.clone(),
        ports: nodes.iter().map(|node| node.port).collect(),
        issuer: format!("http://localhost:{}", shared.port + 2),
        client,
        key: SigningKey::from_text(&key, None).unwrap(),
        seen: Mutex::default(),
        is_over: AtomicBool::new(false),
    });
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let load = Arc::clone(&load);
            let dice = Dice(SeededRandomness::new(chosen.wrapping_mul(1000) + worker as u64));
            tokio::spawn(async move { load.run(worker, &dice).await })
        })
        .collect();
    let verifiers: Vec<_> = (0..VERIFIERS)
        .map(|verifier| {
            let load = Arc::clone(&load);
            let dice = Dice(SeededRandomness::new(chosen.wrapping_mul(1000) + 500 + verifier as u64));
            tokio::spawn(async move { load.verify(&dice).await })
        })
        .collect();
    let dice = Dice(SeededRandomness::new(chosen));
    let (mut broken, mut replay_kills) = (0, 0);
    let (begun, least) = (Instant::now(), Duration::from_secs(length));
    // A busy machine gets more time to let the same happen.
    let most = least * 4 + Duration::from_secs(10) * u32::try_from(rotations).unwrap();
    let is_enough = |broken: usize| {
        let seen = load.seen.lock().unwrap();
        enough(&seen, broken, rotations) || begun.elapsed() > most
    };
    while begun.elapsed() < least || !is_enough(broken) {
        break_something(&dice, &mut nodes, &mut database, &mut replay, &mut replay_kills).await;
        broken += 1;
        tokio::time::sleep(Duration::from_millis(200 + dice.below(800))).await;
    }
    load.is_over.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.unwrap();
    }
    let mut checks = Checks::default();
    for verifier in verifiers {
        checks.add(verifier.await.unwrap());
    }
    for node in &mut nodes {
        node.wait_until_ready(&http).await;
    }
    let seen = load.seen.lock().unwrap();
    prove(&nodes[0], &seen, broken);
    let _ = writeln!(std::io::stderr(), "{} rotations in {:?}; {checks}", seen.rotations(), begun.elapsed());
    assert_eq!(checks.wrong, Vec::<String>::new(), "every token verifies everywhere");
    assert!(enough(&seen, broken, rotations) && checks.good > 100, "too little happened to prove anything");
}

/// Whether so much has happened that it proves something.
fn enough(seen: &Seen, broken: usize, rotations: usize) -> bool {
    let replayed = seen.statuses.get(&400).copied().unwrap_or_default();
    seen.tokens.len() > 50 && replayed > 50 && broken > 3 && seen.rotations() >= rotations
}

fn prove(node: &Node, seen: &Seen, broken: usize) {
    let verified = told(node, &["issuer", "audit", "verify"]);
    let mut issued: HashMap<String, Vec<String>> = HashMap::new();
    for line in told(node, &["issuer", "audit", "export"]).lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let text = |member: &str| entry[member].as_str().unwrap_or_default().to_owned();
        match entry["event"].as_str() {
            Some("token_issued") => issued.entry(text("assertion")).or_default().push(text("jti")),
            Some("token_withdrawn") => issued.entry(text("assertion")).or_default().retain(|jti| *jti != text("jti")),
            _ => {}
        }
    }
    for (assertion, tokens) in &issued {
        assert!(tokens.len() <= 1, "assertion {assertion} became the tokens {tokens:?}");
    }
    let written: std::collections::HashSet<&String> = issued.values().flatten().collect();
    let mut received = 0;
    for (assertion, tokens) in &seen.tokens {
        assert_eq!(tokens.len(), 1, "assertion {assertion} became the tokens {tokens:?}");
        assert!(written.contains(&tokens[0]), "token {} is not written down", tokens[0]);
        received += 1;
    }
    let _ = writeln!(
        std::io::stderr(),
        "{broken} faults, {received} tokens received, {} written down, {} requests without an answer, statuses {:?}; {}",
        written.len(),
        seen.unanswered,
        seen.statuses,
        verified.trim()
    );
}
