//! A client whose key is in Azure Key Vault, which has one address only: a proxy of the organisation's leads there.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use skybru_protocol::base64url;
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey};

use crate::keys::{is_registered_and_used, told};
use crate::support::Lab;

const VAULT: &str = "skybru-test.vault.azure.net";
const VERSION: &str = "7c0c3a5200004000800000000000000f";

/// The vault, behind its certificate.
struct Vault {
    key: RsaKeyPair,
    tls: Arc<ServerConfig>,
}

/// A proxy that knows the way to the vault and to everything on this machine. Gives its address; trust for the vault goes into `ca_file`.
fn start(ca_file: &std::path::Path) -> String {
    let authority = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = params.self_signed(&authority).unwrap();
    let own = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new([VAULT.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&own, &rcgen::Issuer::from_params(&params, &authority)).unwrap();
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(ca_file).unwrap();
    file.write_all(root.pem().as_bytes()).unwrap();

    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = Arc::new(tls.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], private).unwrap());
    let key = SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256).unwrap();
    let vault = Arc::new(Vault { key: RsaKeyPair::from_pkcs8(key.pkcs8_der().unwrap().as_slice()).unwrap(), tls });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let vault = vault.clone();
            std::thread::spawn(move || lead(stream, &vault));
        }
    });
    address
}

/// Reads a head up to its empty line, byte by byte, so that nothing of what follows is taken.
fn head(stream: &mut impl Read) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

fn lead(mut client: TcpStream, vault: &Vault) {
    let asked = head(&mut client);
    let Some(place) = asked.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()) else { return };
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    if place == format!("{VAULT}:443") {
        return vault.serve(client);
    }
    let port: u16 = place.rsplit(':').next().unwrap().parse().unwrap();
    let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
    });
    let (mut from, mut to) = (server, client);
    let _ = std::io::copy(&mut from, &mut to);
}

impl Vault {
    /// One connection, as long as it is asked.
    fn serve(&self, client: TcpStream) {
        let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(self.tls.clone()).unwrap(), client));
        loop {
            let mut line = String::new();
            if !stream.read_line(&mut line).is_ok_and(|length| length > 0) {
                return;
            }
            let headers = head(&mut stream).to_ascii_lowercase();
            let header = |name: &str| headers.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned);
            let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
            stream.read_exact(&mut body).unwrap();
            let (status, answer) = if header("authorization").as_deref() == Some("bearer the-token") {
                self.answer(&line, &serde_json::from_slice(&body).unwrap_or_default())
            } else {
                (401, json!({"error": {"code": "Unauthorized", "message": "AKV10032: Invalid issuer or token."}}))
            };
            let answer = answer.to_string();
            let head =
                format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
            if stream.get_mut().write_all((head + &answer).as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, line: &str, body: &Value) -> (u16, Value) {
        let key = |kty: &str, curve: Option<&str>| {
            let numbers = RsaPublicKeyComponents::<Vec<u8>>::from(self.key.public_key());
            let (n, e) = (base64url::encode(numbers.n), base64url::encode(numbers.e));
            let kid = format!("https://{VAULT}/keys/client/{VERSION}");
            (
                200,
                json!({"key": {"kid": kid, "kty": kty, "crv": curve, "n": n, "e": e, "key_ops": ["sign", "verify"]},
                "attributes": {"enabled": line.contains("/keys/client")}}),
            )
        };
        if line.starts_with("GET /keys/client?api-version=") || line.starts_with("GET /keys/disabled?api-version=") {
            return key("RSA-HSM", None);
        }
        if line.starts_with("GET /keys/client-p521?api-version=") {
            return key("EC", Some("P-521"));
        }
        if line.starts_with(&format!("POST /keys/client/{VERSION}/sign?api-version=")) && body["alg"] == "RS256" {
            let digest = Digest::import_less_safe(&base64url::decode(body["value"].as_str().unwrap()).unwrap(), &SHA256).unwrap();
            let mut signature = vec![0; self.key.public_modulus_len()];
            self.key.sign_digest(&RSA_PKCS1_SHA256, &digest, &mut signature).unwrap();
            return (
                200,
                json!({"kid": format!("https://{VAULT}/keys/client/{VERSION}"), "value": base64url::encode(signature)}),
            );
        }
        (404, json!({"error": {"code": "KeyNotFound", "message": "A key with (name/id) was not found in this key vault."}}))
    }
}

#[test]
fn a_key_in_azure_key_vault_signs_for_a_client() {
    let lab = Lab::start();
    let trust = lab.folder.join("trust.pem");
    std::fs::copy(lab.get("/ca_file"), &trust).unwrap();
    let proxy = start(&trust);
    std::fs::write(lab.folder.join("bearer"), "the-token\n").unwrap();
    let trust = trust.display().to_string();
    let environment = [
        ("SKYBRU_KMS_TOKEN_FILE", "bearer"),
        ("SKYBRU_CLIENTS__HELD__WEB_PROXY", &*proxy),
        ("SKYBRU_CLIENTS__HELD__CA_FILE", &*trust),
    ];
    let key = |name: &str| format!("{{ kms = \"https://{VAULT}/keys/{name}\" }}");
    is_registered_and_used(&lab, &key("client"), &environment);

    let missing = told(&lab, &key("other"), &environment);
    assert!(missing.contains("KeyNotFound") && missing.contains("/keys/other"), "{missing}");
    let curve = told(&lab, &key("client-p521"), &environment);
    assert!(curve.contains("P-256"), "{curve}");
    let disabled = told(&lab, &key("disabled"), &environment);
    assert!(disabled.contains("it is disabled"), "{disabled}");
    std::fs::write(lab.folder.join("bearer"), "an-old-token\n").unwrap();
    let stale = told(&lab, &key("client"), &environment);
    assert!(stale.contains("AKV10032") && stale.contains("Key Vault Crypto User"), "{stale}");
    assert!(!stale.contains("an-old-token"), "{stale}");
}
