//! Keys change a hundred times under three nodes that lag, lose their store and come back, while verifiers cache as long as they may.
//!
//! Time is made by hand, a second a step; the lifetimes are short, so that much happens. Nodes behave as servers do: they follow the
//! registry, look at the keys every five seconds, and answer nothing when the registry is older than five seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use skybru_core::ctx::SeededRandomness;
use skybru_core::{KeyId, Randomness as _};
use skybru_issuer::keys::{EVERYWHERE, Holder, KeyBook, KeyState, Lifetimes, RegistryKeys, RotationRules, SwitchError};
use skybru_protocol::jose::Jwk;
use skybru_store::LiveRegistry;
use skybru_store::memory::MemoryStore;

const CACHE: i64 = 60;
const TOKEN: i64 = 30;
const STALE: i64 = 5;
const TICK: i64 = 5;

fn rules() -> RotationRules {
    let lifetimes = Lifetimes { cache: SignedDuration::from_secs(CACHE), token: SignedDuration::from_secs(TOKEN) };
    RotationRules {
        lifetimes,
        every: Some(SignedDuration::from_secs(180)),
        patience: SignedDuration::ZERO,
        everywhere: EVERYWHERE,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

struct Dice(SeededRandomness);

impl Dice {
    fn below(&self, limit: i64) -> i64 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        i64::from(u32::from_le_bytes(bytes)) % limit
    }
}

struct Node {
    registry: Arc<LiveRegistry>,
    keys: RegistryKeys,
    compared: i64,
    cut_off_until: i64,
    next_tick: i64,
    signs: Option<KeyId>,
    published: Vec<KeyId>,
}

impl Node {
    async fn start(store: &MemoryStore, first_tick: i64) -> Self {
        let registry = Arc::new(LiveRegistry::load(Arc::new(store.clone())).await.unwrap());
        let keys = RegistryKeys::new(Arc::clone(&registry));
        Self { registry, keys, compared: 0, cut_off_until: 0, next_tick: first_tick, signs: None, published: Vec::new() }
    }

    fn answers(&self, now: i64) -> bool {
        now - self.compared < STALE && self.signs.is_some()
    }

    async fn second(&mut self, now: i64, made: &mut u32) {
        if now < self.cut_off_until {
            return;
        }
        self.registry.catch_up().await.unwrap();
        self.compared = now;
        if now < self.next_tick {
            return;
        }
        self.next_tick = now + TICK;
        if self.keys.read().unwrap().needs_key(rules(), at(now)) {
            self.make(now, made).await;
        }
        let served = self.published.clone();
        self.keys
            .change(|book| Ok::<_, std::convert::Infallible>(book.step(&served, &BTreeMap::new(), rules(), at(now))))
            .await
            .unwrap();
        let book = self.keys.read().unwrap();
        self.signs = book.keys.signer().ok().map(|record| record.kid.clone());
        self.published = book.keys.published().map(|record| record.kid.clone()).collect();
    }

    async fn make(&self, now: i64, made: &mut u32) {
        *made += 1;
        let kid: KeyId = format!("key-{made}").parse().unwrap();
        let jwk = Jwk::rsa(kid.as_str(), "RS256", &[0xC5; 256], &[1, 0, 1]);
        let prepare = |book: &mut KeyBook| {
            let first = book.keys.iter().next().is_none();
            book.prepare(jwk, Vec::new(), kid.clone(), Holder::File, at(now))?;
            if first {
                book.served(std::slice::from_ref(&kid), &BTreeMap::new(), rules(), at(now));
            }
            Ok::<_, SwitchError>(())
        };
        self.keys.change(prepare).await.unwrap();
    }
}

#[derive(Default)]
struct Verifier {
    fetched: i64,
    keys: BTreeSet<KeyId>,
}

struct Token {
    kid: KeyId,
    expires: i64,
}

async fn no_verifier_meets_an_unknown_key(seed: u64) -> usize {
    let dice = Dice(SeededRandomness::new(seed));
    let store = MemoryStore::default();
    let mut nodes = vec![Node::start(&store, 1).await, Node::start(&store, 3).await, Node::start(&store, 4).await];
    let mut verifiers: Vec<Verifier> = (0..8).map(|_| Verifier { fetched: -CACHE, ..Verifier::default() }).collect();
    let mut tokens: Vec<Token> = Vec::new();
    let mut signed: BTreeSet<KeyId> = BTreeSet::new();
    let (mut made, mut now, mut checks) = (0, 0, 0);
    while signed.len() <= 100 {
        now += 1;
        assert!(now < 100_000, "keys do not change");
        for node in &mut nodes {
            // Cut off for up to a minute, now and then: long enough to miss a whole step in a key's life.
            if now > 20 && dice.below(60) == 0 {
                node.cut_off_until = now + 1 + dice.below(60);
            }
            node.second(now, &mut made).await;
        }
        let answering: Vec<&Node> = nodes.iter().filter(|node| node.answers(now)).collect();
        let Some(any) = usize::try_from(dice.below(3)).ok().and_then(|place| answering.get(place)) else { continue };
        if let Some(kid) = &any.signs {
            signed.insert(kid.clone());
            tokens.push(Token { kid: kid.clone(), expires: now + TOKEN });
        }
        tokens.retain(|token| token.expires > now);
        for verifier in &mut verifiers {
            if now - verifier.fetched >= CACHE {
                let from = answering[usize::try_from(dice.below(i64::try_from(answering.len()).unwrap())).unwrap()];
                *verifier = Verifier { fetched: now, keys: from.published.iter().cloned().collect() };
            }
            // Any token that lives, from whichever node: the newest most of all.
            let place = if dice.below(2) == 0 {
                tokens.len() - 1
            } else {
                usize::try_from(dice.below(i64::try_from(tokens.len()).unwrap())).unwrap()
            };
            assert!(
                verifier.keys.contains(&tokens[place].kid),
                "seed {seed}, second {now}: a verifier that fetched {} seconds ago does not know {}",
                now - verifier.fetched,
                tokens[place].kid
            );
            checks += 1;
        }
    }
    let book = nodes[0].keys.read().unwrap();
    let retired = book.keys.iter().filter(|record| record.state() == KeyState::Retired).count();
    assert!(retired > 90, "old keys go: {retired}");
    checks
}

#[tokio::test]
async fn a_hundred_rotations_under_three_failing_nodes_and_no_verifier_meets_an_unknown_key() {
    let checks = no_verifier_meets_an_unknown_key(1).await;
    assert!(checks > 10_000, "{checks}");
}
