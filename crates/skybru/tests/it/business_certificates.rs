//! A client that proves itself with a business certificate, at a running server that asks others whether it is revoked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use skybru_protocol::jose::SigningKey;
use x509_ocsp::CertStatus;

use crate::pki::{Authority, BELOW, Seal, revoked};
use crate::support::server::{Server, onboard, registry, settings};

const TEST_KEY: &str = include_str!("../../../protocol/testdata/rsa2048.pem");

#[expect(clippy::disallowed_methods, reason = "a real server has the real clock")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|start| &text[start..text.len().min(start + 64)]).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[test]
fn a_certificate_counts_until_its_authority_takes_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let today = now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let (year, month) = (u16::try_from(today.year()).unwrap(), u8::try_from(today.month()).unwrap());
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let place = format!("http://{}", listener.local_addr().unwrap());
    let mut root = Authority::root("Test Root");
    let mut between = root.below_at("Test CA", None, Some(&format!("{place}/authorities")));
    between.days = (year, month, 1, 28);
    if today.day() >= 28 {
        between.days = (year + u16::from(month == 12), month % 12 + 1, 1, 28);
        if today.day() == 28 {
            between.days = (year, month, 1, 28);
        }
    }
    root.days = between.days;
    let between = Arc::new(between);

    // The authority's responder and the root's list, over HTTP.
    let authorities = Arc::new(Mutex::new(root.list(&[])));
    let (status, asked) = (Arc::new(Mutex::new(Some(CertStatus::good()))), Arc::new(AtomicUsize::new(0)));
    let answer = {
        let (between, status, asked) = (between.clone(), status.clone(), asked.clone());
        move |question: Bytes| async move {
            asked.fetch_add(1, Ordering::SeqCst);
            let status = *status.lock().unwrap();
            status.map(|status| between.ocsp(&question, status, false)).ok_or(axum::http::StatusCode::INTERNAL_SERVER_ERROR)
        }
    };
    let of_authorities = authorities.clone();
    let router = Router::new()
        .route("/ocsp", post(answer))
        .route("/list", get(async || axum::http::StatusCode::NOT_FOUND))
        .route("/authorities", get(move || async move { of_authorities.lock().unwrap().clone() }));
    runtime.spawn(async move { axum::serve(listener, router).await });

    std::fs::write(folder.path().join("root.pem"), pem(&root.der)).unwrap();
    std::fs::write(folder.path().join("between.pem"), pem(&between.der)).unwrap();
    let port = settings(folder.path(), "");
    let file = folder.path().join("skybru.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let trust = "[issuers.clouds.certificates]\nanchors = [\"root.pem\"]\nintermediates = [\"between.pem\"]\nrevocation-cache-seconds = 1\n";
    std::fs::write(&file, text + trust).unwrap();
    let _server = Server::start(folder.path());
    onboard(folder.path(), port);
    let arguments = ["client", "add", "--name", "sealed", "--scope", "fjordbuss:timetables.read"];
    let client = registry(folder.path(), "consumer.toml", &arguments);

    let issuer = format!("http://localhost:{}", port + 2);
    let key = SigningKey::from_any_text(TEST_KEY, Some(&"test".parse().unwrap())).unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let seal = Seal {
        revocation: true,
        places: Some((format!("{place}/ocsp"), format!("{place}/list"))),
        years: (2022, 2035),
        ..Seal::old("310702641")
    };
    let leaf = STANDARD.encode(between.issue(&seal));
    let ask = |jti: &str| -> (u16, Value) {
        let iat = now().as_second();
        let claims = json!({"aud": issuer, "iss": client["client_id"], "scope": "fjordbuss:timetables.read", "iat": iat, "exp": iat + 100, "jti": jti});
        let assertion = key.sign_with_header(&json!({"alg": "RS256", "x5c": [leaf]}), &claims).unwrap();
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion.as_str())];
        runtime.block_on(async {
            let answer = http.post(format!("{issuer}/token")).form(&form).send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap())
        })
    };
    let (status_code, body) = ask("good");
    assert_eq!(status_code, 200, "{body}");
    let jws = skybru_protocol::jose::Jws::parse(body["access_token"].as_str().unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(jws.payload()).unwrap();
    assert_eq!(
        (&claims["client_amr"], &claims["sub"]),
        (&json!("virksomhetssertifikat"), &json!("0192:310702641;fjordbuss:timetables.read"))
    );
    assert!(asked.load(Ordering::SeqCst) > 0, "the responder was asked");

    // Taken back: once what was heard is old, nobody gets a token with it.
    let until_refused = |what: &str| {
        let begun = std::time::Instant::now();
        let mut number = 0;
        loop {
            number += 1;
            let (code, body) = ask(&format!("{what} {number}"));
            if code == 400 {
                break body["error_description"].as_str().unwrap().to_owned();
            }
            assert!(begun.elapsed().as_secs() < 20, "{what}: still taken");
        }
    };
    *status.lock().unwrap() = Some(revoked());
    assert!(until_refused("revoked").contains("invalid certificate"));
    *status.lock().unwrap() = Some(CertStatus::good());
    while ask(&format!("again {}", now())).0 != 200 {}
    *authorities.lock().unwrap() = root.list(&[BELOW]);
    assert!(until_refused("revoked with its authority").contains("invalid certificate"));
    *authorities.lock().unwrap() = root.list(&[]);
    while ask(&format!("once more {}", now())).0 != 200 {}
    *status.lock().unwrap() = None;
    assert!(until_refused("silent").contains("invalid certificate"), "nobody can tell, and that is not good enough");
}
