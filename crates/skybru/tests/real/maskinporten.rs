//! Clients of Maskinporten that others wrote and that are in the registries: KS's for the JVM, pymaskinporten, and VTFK's for Node.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::aws::present;
use crate::pki::{Authority, Seal};
use crate::support::server::{Server, onboard, registry, settings};
use crate::support::{Lab, SCOPE, stderr, stdout};

/// The private key to which [`Authority::issue`] gives certificates.
const SEALED_KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/testdata/rsa2048.pem");

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real").join(file)
}

/// Runs a road that checks everything itself and prints a line for each thing proven.
fn walk(road: &mut Command, lines: usize) {
    let output = road.env("SCOPE", SCOPE).output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert_eq!(stdout(&output).lines().count(), lines, "{}", stdout(&output));
}

/// As the demonstration's consumer, at the lab's Maskinporten.
fn as_the_labs_consumer<'a>(road: &'a mut Command, lab: &Lab) -> &'a mut Command {
    road.env("MASKINPORTEN", lab.get("/issuers/maskinporten"))
        .env("CLIENT_ID", lab.get("/demo/client_id"))
        .env("CLIENT_JWK", lab.get("/demo/client_jwk_file"))
        .env("SSL_CERT_FILE", lab.folder.join("ca.pem"))
}

/// The JVM with KS's client, where `.ci/run` put it, or nothing after a loud line.
fn java() -> Option<Command> {
    let packages = here("maskinporten/lib/*").display().to_string();
    let mut java = Command::new("java");
    java.args(["-cp", &packages]);
    let there = here("maskinporten/lib").is_dir() && present("java", &["-version"]);
    if !there {
        present("KS's client of Maskinporten (mvn dependency:copy-dependencies)", &[]);
    }
    there.then_some(java)
}

#[test]
fn the_client_of_ks_gets_tokens_with_its_key() {
    let Some(mut java) = java() else { return };
    let lab = Lab::start();
    let store = lab.folder.join("trust.p12");
    let authority = lab.folder.join("ca.pem");
    let mut keytool = Command::new("keytool");
    keytool.args(["-importcert", "-noprompt", "-alias", "lab", "-storetype", "PKCS12", "-storepass", "changeit", "-file"]);
    let imported = keytool.arg(authority).arg("-keystore").arg(&store).output().unwrap();
    assert!(imported.status.success(), "{}", stderr(&imported));
    java.arg(format!("-Djavax.net.ssl.trustStore={}", store.display())).arg("-Djavax.net.ssl.trustStorePassword=changeit");
    walk(as_the_labs_consumer(java.arg(here("maskinporten/KsRoad.java")), &lab), 5);
}

#[test]
fn pymaskinporten_gets_tokens_with_its_key() {
    if !present("python3", &["-c", "import pymaskinporten"]) {
        return;
    }
    let lab = Lab::start();
    let mut python = Command::new("python3");
    walk(as_the_labs_consumer(python.arg(here("maskinporten/pymaskinporten_road.py")), &lab), 5);
}

/// An issuer that trusts an authority, a client of an organisation at it, and that organisation's certificate.
struct Sealed {
    folder: tempfile::TempDir,
    issuer: String,
    client_id: String,
    _server: Server,
}

impl Sealed {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Authority::root("Test Root");
        let between = root.below("Test CA");
        let leaf = between.issue(&Seal { years: (2022, 2035), ..Seal::old("310702641") });
        for (name, der) in [("root", &root.der), ("between", &between.der), ("leaf", &leaf)] {
            let text = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der));
            std::fs::write(folder.path().join(format!("{name}.pem")), text).unwrap();
        }
        let port = settings(folder.path(), "");
        let file = folder.path().join("skybru.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        // Clients send the leaf alone, and this authority answers nothing about revocation.
        let trust =
            "[issuers.apis.certificates]\nanchors = [\"root.pem\"]\nintermediates = [\"between.pem\"]\nrevocation = \"off\"\n";
        std::fs::write(&file, text + trust).unwrap();
        let server = Server::start(folder.path());
        onboard(folder.path(), port);
        let arguments = ["client", "add", "--name", "sealed", "--scope", SCOPE];
        let client = registry(folder.path(), "consumer.toml", &arguments);
        let client_id = client["client_id"].as_str().unwrap().to_owned();
        Self { folder, issuer: format!("http://localhost:{}/", port + 1), client_id, _server: server }
    }

    fn as_its_client<'a>(&self, road: &'a mut Command) -> &'a mut Command {
        road.env("MASKINPORTEN", &self.issuer)
            .env("CLIENT_ID", &self.client_id)
            .env("CERTIFICATE", self.folder.path().join("leaf.pem"))
            .env("PRIVATE_KEY", SEALED_KEY)
    }
}

#[test]
fn the_client_of_ks_gets_a_token_with_a_business_certificate() {
    let Some(mut java) = java() else { return };
    walk(Sealed::start().as_its_client(java.arg(here("maskinporten/KsRoad.java"))), 1);
}

#[test]
fn the_client_of_vtfk_gets_a_token_with_a_business_certificate() {
    if !present("node", &[&here("node/packages.mjs").display().to_string()]) {
        return;
    }
    let mut node = Command::new("node");
    walk(Sealed::start().as_its_client(node.arg(here("node/vtfk_road.cjs"))), 2);
}
