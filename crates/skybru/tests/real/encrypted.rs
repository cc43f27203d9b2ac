//! A server whose stores take encrypted connections only.

use std::io::Read as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::services::{Certificate, postgres_with, valkey_with};
use crate::support::{free_ports, program, stderr};

/// An authority's certificate, and one that it issued for this machine.
fn authority(name: &str) -> (String, Certificate) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, name);
    let root = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap();
    (root, Certificate { chain: leaf.pem(), key: key.serialize_pem() })
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_are_reached_encrypted_and_only_when_their_authority_is_trusted() {
    let (root, certificate) = authority("the stores' CA");
    let (other, _) = authority("another CA");
    let (Some(database), Some(replay)) = (postgres_with(Some(&certificate)), valkey_with(Some(&certificate))) else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), root).unwrap();
    std::fs::write(folder.path().join("other.pem"), other).unwrap();
    let seal = program(folder.path(), &["issuer", "keys", "seal-key"]).output().unwrap();
    std::fs::write(folder.path().join("seal.key"), seal.stdout).unwrap();
    let port = free_ports();
    let settings = |database_ca: &str, scheme: &str, replay_ca: &str| {
        let text = format!(
            "[server]\ndata = \"data\"\noperator = \"312605031\"\napi-listen = \"127.0.0.1:{port}\"\nseal = {{ key-file = \"seal.key\" }}\n\
             [server.store]\nkind = \"postgres\"\nurl = \"postgresql://skybru@localhost:{}/postgres\"\n{database_ca}\n\
             [server.replay]\nkind = \"valkey\"\nurl = \"{scheme}://localhost:{}/0\"\n{replay_ca}\n\
             [issuers.clouds]\nurl = \"http://localhost:{}\"\nprofile = \"skyporten\"\nlisten = \"127.0.0.1:{}\"\n",
            database.port,
            replay.port,
            port + 2,
            port + 2
        );
        std::fs::write(folder.path().join("skybru.toml"), text).unwrap();
    };
    let (trusted, wrong) = ("ca-file = \"ca.pem\"", "ca-file = \"other.pem\"");
    for (database_ca, scheme, replay_ca, expected) in [
        ("", "rediss", trusted, "server.store.url"),
        (wrong, "rediss", trusted, "server.store.url"),
        (trusted, "redis", "", "server.replay.url"),
        (trusted, "rediss", wrong, "server.replay.url"),
    ] {
        settings(database_ca, scheme, replay_ca);
        let output = program(folder.path(), &["issuer", "serve"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{database_ca} {scheme} {replay_ca}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{database_ca} {scheme} {replay_ca}: {}", stderr(&output));
    }

    settings(trusted, "rediss", trusted);
    let mut server = program(folder.path(), &["issuer", "serve", "--json"]);
    let mut server = server.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (url, begun) = (format!("http://localhost:{}/health/ready", port + 2), Instant::now());
    while !http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
        if server.try_wait().unwrap().is_some() || begun.elapsed() > Duration::from_mins(2) {
            let _ = server.kill();
            let mut text = String::new();
            server.stderr.take().unwrap().read_to_string(&mut text).unwrap();
            panic!("not ready: {text}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.kill().unwrap();
    server.wait().unwrap();
}
