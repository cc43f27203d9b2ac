//! Several nodes over PostgreSQL: how soon what is done at one is seen at the others, and that keys change with no leader.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skybru_protocol::jose::SigningKey;

use crate::fault::node::{Node, Shared};
use crate::fault::{now, onboard, told, wait_for_tokens};
use crate::services::{postgres, valkey};
use crate::support::free_ports;

/// Registrations that are timed.
const CHANGES: usize = 200;

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap()
}

async fn start(shared: &Shared<'_>, http: &reqwest::Client, count: usize) -> Vec<Node> {
    let mut nodes = Vec::new();
    for place in 0..count {
        let mut node = Node::new(&format!("node-{place}"), shared, place == 0).await;
        node.start();
        node.wait_until_ready(http).await;
        nodes.push(node);
    }
    wait_for_tokens(&nodes[0]).await;
    nodes
}

/// A token for the self-service API, as the operator gets it.
async fn operator_token(shared: &Shared<'_>, http: &reqwest::Client) -> String {
    let settings: toml::Table = std::fs::read_to_string(shared.folder.join("data/operator.toml")).unwrap().parse().unwrap();
    let id = settings["clients"]["operator"]["client-id"].as_str().unwrap();
    let key = SigningKey::from_text(&std::fs::read_to_string(shared.folder.join("data/operator.jwk")).unwrap(), None).unwrap();
    let issuer = format!("http://localhost:{}/", shared.port + 1);
    let claims =
        json!({"aud": issuer, "iss": id, "scope": "idporten:dcr.write", "iat": now(), "exp": now() + 100, "jti": "nodes"});
    let assertion = key.sign(None, &claims).unwrap();
    let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &assertion)];
    let url = format!("http://127.0.0.1:{}/token", shared.port + 1);
    let answer: Value = http.post(url).form(&form).send().await.unwrap().json().await.unwrap();
    answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

async fn kids(http: &reqwest::Client, node: &Node) -> BTreeSet<String> {
    let answer = http.get(format!("http://127.0.0.1:{}/jwk", node.port + 2)).send().await;
    let Ok(answer) = answer else { return BTreeSet::new() };
    let set: Value = answer.json().await.unwrap_or_default();
    let keys = set["keys"].as_array().cloned().unwrap_or_default();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// `p` of a thousand.
fn share(sorted: &[Duration], p: usize) -> Duration {
    sorted[(sorted.len() * p / 1000).min(sorted.len() - 1)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_and_a_lost_key_are_known_at_the_other_node_within_a_second() {
    let (Some(database), Some(replay)) = (postgres(), valkey()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let shared = Shared {
        folder: folder.path(),
        port: free_ports(),
        database: database.port,
        replay: replay.port,
        more: "api-requests-per-second = 0",
    };
    let http = client();
    let nodes = start(&shared, &http, 2).await;
    onboard(&nodes[0]);
    let token = operator_token(&shared, &http).await;

    let mut delays = Vec::new();
    for number in 0..CHANGES {
        let (here, there) = (&nodes[number % 2], &nodes[(number + 1) % 2]);
        let body = json!({"client_name": format!("n{number}"), "description": "d", "integration_type": "maskinporten",
            "application_type": "web", "token_endpoint_auth_method": "private_key_jwt", "scopes": [],
            "grant_types": ["urn:ietf:params:oauth:grant-type:jwt-bearer"]});
        let url = |node: &Node, more: &str| format!("http://127.0.0.1:{}/api/v1/clients{more}", node.port);
        let made = http.post(url(here, "")).bearer_auth(&token).json(&body).send().await.unwrap();
        let (status, made): (_, Value) = (made.status(), made.json().await.unwrap());
        assert_eq!(status, 201, "{made}");
        let begun = Instant::now();
        let one = url(there, &format!("/{}", made["client_id"].as_str().unwrap()));
        while !http.get(&one).bearer_auth(&token).send().await.unwrap().status().is_success() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the change did not arrive");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        delays.push(begun.elapsed());
    }
    delays.sort_unstable();
    let (half, most, longest) = (share(&delays, 500), share(&delays, 990), share(&delays, 1000));
    let _ =
        writeln!(std::io::stderr(), "{CHANGES} registrations at another node: p50 {half:?}, p99 {most:?}, longest {longest:?}");
    assert!(most < Duration::from_secs(1), "p99 {most:?}");

    // Both nodes publish and sign with the new key alone, without having been told anything but by the database.
    let mut delays = Vec::new();
    for round in 0..5 {
        let said = told(&nodes[round % 2], &["--json", "issuer", "keys", "rotate", "--emergency", "--yes"]);
        let begun = Instant::now();
        let kid = serde_json::from_str::<Value>(&said).unwrap()["kid"].as_str().unwrap().to_owned();
        for node in &nodes {
            while kids(&http, node).await != BTreeSet::from([kid.clone()]) {
                assert!(begun.elapsed() < Duration::from_secs(20), "the lost key is still there");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        delays.push(begun.elapsed());
    }
    let _ = writeln!(std::io::stderr(), "emergency rotations at all nodes after {delays:?}");
    delays.sort_unstable();
    assert!(delays[2] < Duration::from_secs(1), "{delays:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_with_no_leader_whichever_node_is_left() {
    let (Some(database), Some(replay)) = (postgres(), valkey()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let more = "[server.lifetimes]\nkey-set-cache = \"1s\"\nlongest-token = \"5s\"\nrotate = \"1s\"\nrotate-wait = \"0s\"\npace = \"500ms\"";
    let shared = Shared { folder: folder.path(), port: free_ports(), database: database.port, replay: replay.port, more };
    let http = client();
    let mut nodes = Vec::new();
    for place in 0..3 {
        let mut node = Node::new(&format!("node-{place}"), &shared, place == 0).await;
        node.start();
        node.wait_until_ready(&http).await;
        nodes.push(node);
    }
    // Any one that is left goes on.
    for left in [vec![0, 1, 2], vec![1, 2], vec![0, 2], vec![1]] {
        for (place, node) in nodes.iter_mut().enumerate() {
            node.kill();
            if left.contains(&place) {
                node.start();
            }
        }
        for place in &left {
            nodes[*place].wait_until_ready(&http).await;
        }
        let node = &nodes[left[0]];
        let (before, begun) = (kids(&http, node).await, Instant::now());
        let mut seen = BTreeSet::new();
        while seen.difference(&before).count() < 3 {
            seen.extend(kids(&http, node).await);
            assert!(begun.elapsed() < Duration::from_mins(2), "keys do not change with {left:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let book: Value = serde_json::from_str(&told(&nodes[1], &["--json", "issuer", "keys", "list"])).unwrap();
    let keys: Vec<&Value> = book["keys"].as_array().unwrap().iter().map(|key| &key["key"]).collect();
    let time = |key: &Value, what: &str| key[what].as_str().map(|text| text.parse::<jiff::Timestamp>().unwrap());
    let signed: Vec<&&Value> = keys.iter().filter(|key| time(key, "activated").is_some()).collect();
    assert!(signed.len() > 8, "{} keys signed", signed.len());
    for (one, next) in signed.iter().zip(&signed[1..]) {
        assert_eq!(time(one, "replaced"), time(next, "activated"), "one key signs at a time, and always one");
    }
    for key in &signed[1..] {
        let (made, signs) = (time(key, "created").unwrap(), time(key, "activated").unwrap());
        assert!(signs.duration_since(made) >= jiff::SignedDuration::from_millis(2500), "{key}");
    }
}
