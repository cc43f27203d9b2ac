//! A token of its own in a temporary folder; keys made in it by OpenSC's `pkcs11-tool`.
//!
//! SoftHSM reads its configuration from the environment when it is initialised, once for a process: so there is one token, and one test
//! after the other inside one function.

use std::path::Path;
use std::process::Command;

use cryptoki::context::Pkcs11;
use serde_json::json;
use skybru_core::Secret;
use skybru_protocol::jose::{Algorithm, Jws, VerifyingKey};
use skybru_signer::pkcs11::{Pkcs11Error, Pkcs11Signer, Pkcs11Uri};
use skybru_signer::{Signer, sign_token};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

#[expect(clippy::print_stderr, reason = "a skipped test must be heard")]
/// Whether the parts are here. In continuous integration they must be.
fn present() -> bool {
    let tools = ["softhsm2-util", "pkcs11-tool"].iter().all(|tool| Command::new(tool).arg("--help").output().is_ok());
    let present = tools && Path::new(MODULE).exists();
    #[expect(clippy::disallowed_methods, reason = "tests may look")]
    let required = std::env::var("REAL_PARTS_REQUIRED").is_ok();
    assert!(present || !required, "softhsm2 or opensc is missing");
    if !present {
        eprintln!("\n!! SKIPPED: softhsm2 and opensc are not installed (apt install softhsm2 opensc)\n");
    }
    present
}

fn run(folder: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).env("SOFTHSM2_CONF", folder.join("softhsm2.conf")).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn token(folder: &Path) {
    std::fs::create_dir(folder.join("tokens")).unwrap();
    let conf =
        format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", folder.join("tokens").display());
    std::fs::write(folder.join("softhsm2.conf"), conf).unwrap();
    run(folder, "softhsm2-util", &["--init-token", "--free", "--label", "skybru", "--so-pin", "1234", "--pin", "4711"]);
    let make = |kind: &str, label: &str, id: &str| {
        let module = ["--module", MODULE, "--token-label", "skybru", "--login", "--pin", "4711", "--keypairgen"];
        run(folder, "pkcs11-tool", &[&module[..], &["--key-type", kind, "--label", label, "--id", id]].concat());
    };
    make("rsa:2048", "issuer-1", "01");
    make("rsa:3072", "issuer-2", "02");
    make("EC:prime256v1", "private-1", "03");
}

fn uri(rest: &str) -> Pkcs11Uri {
    format!("pkcs11:token=skybru;{rest}?module-path={MODULE}").parse().unwrap()
}

async fn open(rest: &str, pin: &str) -> Result<Pkcs11Signer, Pkcs11Error> {
    Pkcs11Signer::open(uri(rest), Some(Secret::from(pin.to_owned())), None).await
}

async fn works(signer: &Pkcs11Signer) {
    let token = sign_token(signer, Some("JWT"), &json!({"sub": "a"})).await.unwrap();
    let jws = Jws::parse(&token).unwrap();
    let key = VerifyingKey::from_jwk(signer.public_jwk()).unwrap();
    key.verify(signer.algorithm(), jws.signing_input().as_bytes(), jws.signature()).unwrap();
}

/// Started again below with the variable set: a test process may not change its own environment without `unsafe`.
#[test]
fn keys_in_softhsm_sign() {
    if !present() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    token(folder.path());
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "softhsm::inside", "--ignored", "--nocapture"])
        .env("SOFTHSM2_CONF", folder.path().join("softhsm2.conf"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the token that keys_in_softhsm_sign makes; that test runs it"]
async fn inside() {
    let first = open("object=issuer-1", "4711").await.unwrap();
    works(&first).await;
    works(&open("id=%02", "4711").await.unwrap()).await;
    let curve = open("object=private-1", "4711").await.unwrap();
    assert_eq!(curve.algorithm(), Algorithm::ES256);
    works(&curve).await;

    // Many callers at once share a few sessions.
    let first = std::sync::Arc::new(first);
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let signer = first.clone();
            tokio::spawn(async move { works(&signer).await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }

    // Another user of the module ends it for the whole process: every session is lost, and the next signature must find its way back.
    Pkcs11::new(MODULE).unwrap().finalize().unwrap();
    works(&first).await;
    works(&curve).await;

    assert!(matches!(open("object=issuer-9", "4711").await, Err(Pkcs11Error::Key { found: 0 })));
    let other = format!("pkcs11:token=other;object=issuer-1?module-path={MODULE}").parse().unwrap();
    let error = Pkcs11Signer::open(other, None, None).await.unwrap_err();
    assert!(error.to_string().contains("there are: skybru"), "{error}");
    assert!(!format!("{first:?}").contains("4711"));
    // The last session gone, nobody is logged in, and a wrong PIN is noticed.
    drop((first, curve));
    let error = open("object=issuer-1", "0000").await.unwrap_err();
    assert!(matches!(error, Pkcs11Error::Pin), "{error}");
}
