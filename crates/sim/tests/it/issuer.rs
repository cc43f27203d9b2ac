//! A tiny issuer: two documents, over http or over TLS with a CA of its own, and tokens signed with the test key.

use std::sync::{Arc, Mutex};

use aws_lc_rs::digest;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use skybru_protocol::jose::SigningKey;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const KEY: &str = include_str!("../../../protocol/testdata/rsa2048.jwk");

/// What the issuer publishes. Tests change it while it runs.
#[derive(Debug, Clone)]
pub(crate) struct Documents {
    pub(crate) discovery: Value,
    pub(crate) keys: Value,
}

pub(crate) struct TestIssuer {
    /// The `iss` of its tokens.
    pub(crate) url: String,
    pub(crate) key: SigningKey,
    /// The SHA-1 of its CA; none over http.
    pub(crate) thumbprint: Option<String>,
    /// Its CA; none over http.
    pub(crate) ca_pem: Option<String>,
    pub(crate) documents: Arc<Mutex<Documents>>,
}

/// A server's certificate for this machine, by a CA of its own.
pub(crate) struct Certificate {
    pub(crate) config: Arc<ServerConfig>,
    /// The SHA-1 of the CA.
    pub(crate) thumbprint: String,
    pub(crate) ca_pem: String,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "test CA");
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let leaf_key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&leaf_key, &Issuer::from_params(&ca, &ca_key)).unwrap();
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, ca_certificate.der());
        let thumbprint = hash.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone(), ca_certificate.der().clone()], key)
            .unwrap();
        Self { config: Arc::new(config), thumbprint, ca_pem: ca_certificate.pem() }
    }
}

impl TestIssuer {
    /// On plain http, which the rules allow on this machine only.
    pub(crate) async fn http() -> Self {
        Self::serve("http", None, None).await
    }

    /// Over TLS. The server sends its own certificate and then the CA's, whose thumbprint is to be pinned.
    pub(crate) async fn tls() -> Self {
        let Certificate { config, thumbprint, ca_pem } = Certificate::new();
        Self { ca_pem: Some(ca_pem), ..Self::serve("https", Some(TlsAcceptor::from(config)), Some(thumbprint)).await }
    }

    async fn serve(scheme: &str, tls: Option<TlsAcceptor>, thumbprint: Option<String>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
        let key = SigningKey::from_text(KEY, None).unwrap();
        let documents = Arc::new(Mutex::new(Documents {
            discovery: json!({"issuer": url, "jwks_uri": format!("{url}/jwk"), "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"]}),
            keys: json!({"keys": [key.public_jwk()]}),
        }));
        let published = Arc::clone(&documents);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, documents) = (tls.clone(), Arc::clone(&published));
                tokio::spawn(async move {
                    let answer = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                        let documents = documents.lock().unwrap().clone();
                        let document = match request.uri().path() {
                            "/.well-known/openid-configuration" => Some(documents.discovery),
                            "/jwk" => Some(documents.keys),
                            _ => None,
                        };
                        let status = if document.is_some() { 200 } else { 404 };
                        let body = Full::new(bytes::Bytes::from(document.unwrap_or_default().to_string()));
                        async move { http::Response::builder().status(status).body(body) }
                    });
                    let server = hyper::server::conn::http1::Builder::new();
                    match tls {
                        None => server.serve_connection(TokioIo::new(stream), answer).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => server.serve_connection(TokioIo::new(stream), answer).await,
                            Err(_) => Ok(()),
                        },
                    }
                });
            }
        });
        Self { url, key, thumbprint, ca_pem: None, documents }
    }

    /// The URL as IAM writes it in ARNs and condition keys.
    pub(crate) fn host(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    /// The claims of a good token, at this second.
    pub(crate) fn claims(&self, now: i64) -> Value {
        json!({"iss": self.url, "sub": "0192:917422575;entur:demo", "aud": "https://skyporten.example.no",
            "iat": now, "exp": now + 120, "jti": "1"})
    }

    /// A good token with these claims changed; `null` takes a claim out.
    pub(crate) fn token(&self, now: i64, changes: &Value) -> String {
        let mut claims = self.claims(now);
        let members = claims.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                members.remove(name);
            } else {
                members.insert(name.clone(), value.clone());
            }
        }
        self.key.sign(Some("JWT"), &claims).unwrap()
    }
}
