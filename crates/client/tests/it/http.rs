//! The HTTP client: which failure is which.

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use skybru_client::http::{Http, HttpError, HttpOptions, MAX_BODY};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::{http, serve};

/// A server with a certificate for `name` from a CA of its own; gives the port and the CA's PEM.
pub(crate) async fn tls_server(name: &str) -> (u16, String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new([]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust us hangs up; the next one may.
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").await;
                let _ = stream.shutdown().await;
            }
        }
    });
    (port, ca_pem)
}

fn trusting(ca_pem: &str) -> Http {
    Http::new(&HttpOptions { ca_pem: Some(ca_pem.to_owned()), ..HttpOptions::default() }).unwrap()
}

#[tokio::test]
async fn a_certificate_of_an_unknown_ca_names_the_setting_that_helps() {
    let (port, ca_pem) = tls_server("localhost").await;
    let url = format!("https://localhost:{port}/");
    let error = http().get_json::<Value>(&url).await.unwrap_err();
    assert!(matches!(error, HttpError::UntrustedCertificate { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("ca-file"));
    assert!(!error.may_pass());
    assert!(trusting(&ca_pem).get_json::<Value>(&url).await.is_ok());
}

#[tokio::test]
async fn another_ca_does_not_help() {
    let (port, _) = tls_server("localhost").await;
    let (_, other) = tls_server("localhost").await;
    let error = trusting(&other).get_json::<Value>(&format!("https://localhost:{port}/")).await.unwrap_err();
    assert!(matches!(error, HttpError::UntrustedCertificate { .. }), "{error:?}");
}

#[tokio::test]
async fn a_trusted_ca_does_not_excuse_another_name() {
    let (port, ca_pem) = tls_server("other.example.no").await;
    let error = trusting(&ca_pem).get_json::<Value>(&format!("https://localhost:{port}/")).await.unwrap_err();
    assert!(matches!(error, HttpError::Tls { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("another name"));
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let app = Router::new()
        .route("/", get(async || (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")])))
        .route("/elsewhere", get(async || "{}"));
    let error = http().get_json::<Value>(&format!("http://{}/", serve(app).await)).await.unwrap_err();
    assert!(matches!(error, HttpError::Status { status: 307, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("redirects"));
}

#[tokio::test]
async fn an_endless_answer_ends() {
    let app = Router::new().route("/", get(async || "x".repeat(MAX_BODY + 1)));
    let error = http().get_json::<Value>(&format!("http://{}/", serve(app).await)).await.unwrap_err();
    assert!(matches!(error, HttpError::TooLong { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_not_json_and_what_breaks_off_are_told_apart() {
    let app = Router::new().route("/", get(async || "<html>please log in</html>"));
    let error = http().get_json::<Value>(&format!("http://{}/", serve(app).await)).await.unwrap_err();
    assert!(matches!(&error, HttpError::NotJson { beginning, .. } if beginning.starts_with("<html>")), "{error:?}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await;
    });
    let error = http().get_json::<Value>(&format!("http://{address}/")).await.unwrap_err();
    assert!(matches!(error, HttpError::Interrupted { .. }), "{error:?}");
    assert!(error.may_pass());
}

#[tokio::test]
async fn this_machine_is_reached_without_the_proxy() {
    let app = Router::new().route("/", get(async || "{}"));
    let url = format!("http://{}/", serve(app).await);
    // Nothing listens on port 1: through the proxy it would fail.
    let options = HttpOptions { web_proxy: Some("http://127.0.0.1:1".to_owned()), ..HttpOptions::default() };
    let http = Http::new(&options).unwrap();
    assert!(http.get_json::<Value>(&url).await.is_ok());
    let error = http.get_json::<Value>("https://sky.example.no/").await.unwrap_err();
    assert!(matches!(error, HttpError::Proxy { .. }), "{error:?}");
}

#[tokio::test]
async fn localhost_is_this_machine_by_either_address() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(address).await else { continue };
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/", get(async || "{}"))).await });
        http().get_json::<Value>(&format!("http://localhost:{port}/")).await.unwrap();
    }
}
