//! Fetching an issuer's documents as the clouds do: over https, within five seconds, without redirects (A-51, G-40, E-45). Which chains
//! are trusted is AWS's rule where thumbprints are pinned; the others know public roots only.
//!
//! Plain http is for issuers on this machine only. Nothing is cached: in the observations a key set replaced two seconds earlier was
//! already effective.

mod tls;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use skybru_federation::{DocumentProblem, Documents};
use skybru_protocol::jose::JwkSet;
use skybru_protocol::metadata::DiscoveryDocument;

use self::tls::{Outcome, Pins};

/// Discovery and key set together must be there within this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// The largest document that is read.
const LARGEST_DOCUMENT: usize = 1024 * 1024;

/// A fault to inject into every fetch (S-21), to see what a client makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FetchFault {
    /// No answer in time. The simulator does not really wait.
    Timeout,
    /// Status 500.
    ServerError,
    /// Status 200 and a page instead of JSON.
    Html,
    /// Status 302.
    Redirect,
    /// A chain that neither a public root nor a thumbprint vouches for.
    BadChain,
}

/// Fetches documents of issuers.
pub(crate) struct Fetcher {
    /// PEM certificates that are trusted beside the public ones.
    extra_roots: Vec<CertificateDer<'static>>,
    roots: OnceLock<Arc<RootCertStore>>,
    fault: Mutex<Option<FetchFault>>,
}

/// How the documents of one fetch are asked for.
struct Connection {
    client: Client,
    /// What TLS made of the last certificate.
    outcome: Arc<Mutex<Outcome>>,
}

/// What one request for a document came to.
type Fetched<T> = Result<T, DocumentProblem>;

impl Fetcher {
    /// A fetcher that trusts the machine's own roots and these.
    pub(crate) fn new(extra_roots: Vec<CertificateDer<'static>>) -> Self {
        Self { extra_roots, roots: OnceLock::new(), fault: Mutex::new(None) }
    }

    /// From now on every fetch fails in this way, or none does.
    pub(crate) fn set_fault(&self, fault: Option<FetchFault>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// The discovery document of `issuer`, and the key set that it names.
    pub(crate) async fn documents(&self, issuer: &str, thumbprints: &[String]) -> Fetched<Documents> {
        let discovery_url = discovery_url(issuer);
        let fetch = async {
            let connection = self.connection(&discovery_url, Pins::Thumbprints(thumbprints.to_vec()))?;
            let (discovery, _) = self.document::<DiscoveryDocument>(&connection, &discovery_url).await?;
            let Some(jwks_uri) = discovery.jwks_uri.as_deref() else {
                return Err(DocumentProblem::MissingFields(vec!["jwks_uri"]));
            };
            let (keys, _) = self.document::<JwkSet>(&connection, jwks_uri).await?;
            Ok(Documents { discovery, keys })
        };
        match tokio::time::timeout(PATIENCE, fetch).await {
            Ok(fetched) => fetched,
            Err(_) => Err(unavailable(&discovery_url, "no answer within five seconds")),
        }
    }

    /// The same for a cloud that knows public roots only.
    pub(crate) async fn public_documents(&self, issuer: &str) -> Fetched<Documents> {
        self.documents(issuer, &[]).await
    }

    /// The thumbprint that IAM pins when it is given none: of the host that serves the key set.
    ///
    /// An issuer on plain http has no certificate, so there is nothing to pin.
    pub(crate) async fn thumbprint(&self, issuer: &str) -> Fetched<Option<String>> {
        let fetch = async {
            let address = discovery_url(issuer);
            let (discovery, _) = self.document::<DiscoveryDocument>(&self.connection(&address, Pins::Any)?, &address).await?;
            let jwks_uri = discovery.jwks_uri.ok_or(DocumentProblem::MissingFields(vec!["jwks_uri"]))?;
            // A connection of its own, which shows its certificate.
            let (_, outcome) = self.document::<JwkSet>(&self.connection(&jwks_uri, Pins::Any)?, &jwks_uri).await?;
            Ok(outcome.last_thumbprint)
        };
        let fetched = tokio::time::timeout(PATIENCE, fetch).await;
        fetched.unwrap_or_else(|_| Err(unavailable(issuer, "no answer within five seconds")))
    }

    /// For the documents of one fetch. The next fetch connects anew: it may trust another certificate.
    fn connection(&self, address: &str, pins: Pins) -> Fetched<Connection> {
        let (config, outcome) =
            tls::client_config(self.roots(), pins).map_err(|error| unavailable(address, error.to_string()))?;
        // The environment's proxy is the binary's business.
        let client = Client::builder().tls_backend_preconfigured(config).redirect(Policy::none()).no_proxy().timeout(PATIENCE);
        let client = client.build().map_err(|error| unavailable(address, chain(&error)))?;
        Ok(Connection { client, outcome })
    }

    /// Also tells what the host's certificate said, when this was the first document from it.
    async fn document<T: DeserializeOwned>(&self, connection: &Connection, address: &str) -> Fetched<(T, Outcome)> {
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fault) = fault {
            return Err(injected(fault, address));
        }
        let url = checked(address)?;
        let answer = connection.client.get(url).header(http::header::ACCEPT, "application/json").send().await;
        let outcome = std::mem::take(&mut *connection.outcome.lock().unwrap_or_else(PoisonError::into_inner));
        let response = match answer {
            Ok(response) => response,
            Err(_) if outcome.untrusted => return Err(DocumentProblem::Thumbprint { served: outcome.last_thumbprint }),
            Err(error) => return Err(unavailable(address, chain(&error))),
        };
        if response.status() != StatusCode::OK {
            return Err(unavailable(address, format!("status {}", response.status().as_u16())));
        }
        let body = limited_body(response).await.map_err(|reason| unavailable(address, reason))?;
        let document =
            serde_json::from_slice(&body).map_err(|error| unavailable(address, format!("not the JSON it should be: {error}")))?;
        Ok((document, outcome))
    }

    /// Read at the first use: a simulator that meets only issuers on http never reads them.
    fn roots(&self) -> &Arc<RootCertStore> {
        self.roots.get_or_init(|| {
            let native = rustls_native_certs::load_native_certs();
            for error in &native.errors {
                tracing::warn!(%error, "a part of the machine's trust store cannot be read");
            }
            let mut roots = RootCertStore::empty();
            let (_, ignored) = roots.add_parsable_certificates(native.certs.into_iter().chain(self.extra_roots.iter().cloned()));
            tracing::debug!(trusted = roots.len(), ignored, "read the public roots");
            Arc::new(roots)
        })
    }
}

/// The issuer's URL and the well-known path, with one slash between.
fn discovery_url(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer))
}

/// https, or http on this machine.
fn checked(address: &str) -> Fetched<Url> {
    let url = Url::parse(address).map_err(|error| unavailable(address, error.to_string()))?;
    let host = url.host_str().unwrap_or_default();
    let is_local = host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_local => Ok(url),
        _ => Err(unavailable(address, "only https is fetched")),
    }
}

async fn limited_body(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
        if body.len() + chunk.len() > LARGEST_DOCUMENT {
            return Err(format!("longer than {LARGEST_DOCUMENT} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn injected(fault: FetchFault, address: &str) -> DocumentProblem {
    let reason = match fault {
        FetchFault::Timeout => "no answer within five seconds",
        FetchFault::ServerError => "status 500",
        FetchFault::Html => "not the JSON it should be: expected value at line 1 column 1",
        FetchFault::Redirect => "status 302",
        FetchFault::BadChain => return DocumentProblem::Thumbprint { served: None },
    };
    unavailable(address, reason)
}

fn unavailable(url: &str, reason: impl Into<String>) -> DocumentProblem {
    DocumentProblem::Unavailable { url: url.to_owned(), reason: reason.into() }
}

/// An error with its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        assert!(checked("http://localhost:1/x").is_ok());
        assert!(checked("http://127.0.0.1:1/x").is_ok());
        assert!(checked("http://[::1]:1/x").is_ok());
        assert!(checked("https://sky.example.no/x").is_ok());
        for wrong in ["http://sky.example.no/x", "http://localhost.evil.no/x", "file:///etc/passwd", "x"] {
            assert!(checked(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_slash_at_the_end_of_the_issuer_is_not_doubled() {
        assert_eq!(discovery_url("https://h.no/"), "https://h.no/.well-known/openid-configuration");
        assert_eq!(discovery_url("https://h.no/p"), "https://h.no/p/.well-known/openid-configuration");
    }
}
