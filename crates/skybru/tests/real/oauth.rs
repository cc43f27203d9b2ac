//! OAuth and JOSE libraries that know nothing of Maskinporten: Authlib, `PyJWT` and joserfc from PyPI, openid-client and jose from npm.

use std::path::Path;
use std::process::Command;

use crate::aws::present;
use crate::support::{Lab, RESOURCE, SCOPE, SUBJECT, stderr, stdout};

/// Runs a road that checks everything itself and prints a line for each thing proven.
fn walk(mut road: Command, lines: usize) {
    let lab = Lab::start();
    let home = tempfile::tempdir().unwrap();
    let output = road
        .env("HOME", home.path())
        .env("SKYPORTEN", lab.get("/issuers/skyporten"))
        .env("MASKINPORTEN", lab.get("/issuers/maskinporten"))
        .env("CLIENT_ID", lab.get("/demo/client_id"))
        .env("CLIENT_JWK", lab.get("/demo/client_jwk_file"))
        .env("SCOPE", SCOPE)
        .env("RESOURCE", RESOURCE)
        .env("SUBJECT", SUBJECT)
        .env("CA_FILE", lab.folder.join("ca.pem"))
        .env("NODE_EXTRA_CA_CERTS", lab.folder.join("ca.pem"))
        .env("REQUESTS_CA_BUNDLE", lab.folder.join("ca.pem"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert_eq!(stdout(&output).lines().count(), lines, "{}", stdout(&output));
}

/// RFC 7523 and RFC 6750 by Authlib, RFC 7517 and RFC 7519 by `PyJWT` and joserfc.
#[test]
fn libraries_for_python_get_a_token_and_verify_it() {
    if !present("python3", &["-c", "import authlib, joserfc, jwt"]) {
        return;
    }
    let mut road = Command::new("python3");
    road.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/oauth_road.py"));
    walk(road, 5);
}

/// OpenID Connect Discovery and RFC 8414 by openid-client, RFC 7519 by jose. They lie where `.ci/run` puts them.
#[test]
fn libraries_for_node_get_a_token_and_verify_it() {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/node");
    if !present("node", &[&packages.join("packages.mjs").display().to_string()]) {
        return;
    }
    let mut road = Command::new("node");
    road.arg(packages.join("oauth_road.mjs"));
    walk(road, 4);
}
