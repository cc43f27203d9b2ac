//! The one place that builds HTTP clients.
//!
//! Every client connects within 5 seconds, is answered within 30, follows no redirect (a token or an assertion must not travel on),
//! reads at most [`MAX_BODY`] of an answer that is not a file, and speaks plain `http` with this machine only. It reads no proxy from
//! the environment: the binary resolves settings.

mod error;
mod json;
mod keys;
mod retry;
mod tls;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use reqwest::{NoProxy, Proxy, Url, redirect};
use serde::de::DeserializeOwned;
use skybru_core::Secret;

pub use error::HttpError;
pub(crate) use error::hint_of;
pub use retry::RetryPolicy;
pub(crate) use retry::{date, fraction, http_date, retry_after};
pub use tls::{CaError, config as tls_config};

/// The longest answer that is read when it is not a file: 1 MiB.
pub const MAX_BODY: usize = 1024 * 1024;

const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(30);

/// `localhost`, which may be asked without TLS: never what a resolver makes of the name ([RFC 6761, section
/// 6.3](https://www.rfc-editor.org/rfc/rfc6761#section-6.3)). The port is the address's own.
const THIS_MACHINE: [SocketAddr; 2] =
    [SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0)];

/// How to reach the world.
#[derive(Clone, Default)]
pub struct HttpOptions {
    /// Certificates (PEM) of a CA that is trusted in addition to the machine's: the lab's, or a company's.
    pub ca_pem: Option<String>,
    /// The address of a web proxy; this machine is always reached without it.
    pub web_proxy: Option<String>,
    /// Hosts that are reached without the proxy too: names, suffixes and address ranges, with commas between, as `NO_PROXY` has them.
    pub no_proxy: Option<String>,
}

/// Why there is no HTTP client.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// The extra CA.
    #[error("the extra CA cannot be used")]
    Ca(#[from] CaError),
    /// The proxy's address.
    #[error("web-proxy is not an address such as http://webproxy.example:8088")]
    Proxy(#[source] reqwest::Error),
    /// The library.
    #[error("the HTTP client cannot be built")]
    Library(#[source] reqwest::Error),
}

/// An HTTP client with the rules of this module. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Http(reqwest::Client);

/// Status, headers and the whole body of an answer.
#[derive(Debug)]
pub struct HttpAnswer {
    /// What was asked, without query.
    pub url: String,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Bytes,
}

impl Http {
    /// Builds a client. Touches neither network nor the machine's certificates.
    pub fn new(options: &HttpOptions) -> Result<Self, HttpSetupError> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::none())
            .http1_only()
            .user_agent(concat!("skybru/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls::config(options.ca_pem.as_deref())?)
            .resolve_to_addrs("localhost", &THIS_MACHINE)
            .no_proxy();
        if let Some(address) = &options.web_proxy {
            let proxy = Proxy::all(address).map_err(HttpSetupError::Proxy)?;
            let mut direct = "localhost,127.0.0.0/8,::1".to_owned();
            if let Some(more) = &options.no_proxy {
                direct.push(',');
                direct.push_str(more);
            }
            builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(&direct)));
        }
        builder.build().map(Self).map_err(HttpSetupError::Library)
    }

    /// Fetches `url`.
    pub async fn get(&self, url: &str) -> Result<HttpAnswer, HttpError> {
        let url = checked(url)?;
        let request = self.0.get(url.clone()).header(header::ACCEPT, "application/json");
        send(&url, request).await
    }

    /// Fetches a JSON document. Any status but 200 is an error.
    pub async fn get_json<T: DeserializeOwned>(&self, url: &str) -> Result<T, HttpError> {
        let answer = self.get(url).await?;
        if answer.status != StatusCode::OK {
            return Err(HttpError::Status { url: answer.url, status: answer.status.as_u16() });
        }
        answer.json()
    }

    /// Fetches `url` with one header more, whose value is a secret: the right to ask a metadata service of this machine.
    pub async fn get_with(&self, url: &str, name: &'static str, value: &Secret) -> Result<HttpAnswer, HttpError> {
        let url = checked(url)?;
        let request = self.0.get(url.clone()).header(header::ACCEPT, "application/json").header(name, value.expose());
        send(&url, request).await
    }

    /// Posts a form. `accept` is the media type that is hoped for.
    pub async fn post_form(&self, url: &str, accept: &str, form: &[(&str, &str)]) -> Result<HttpAnswer, HttpError> {
        let url = checked(url)?;
        let request = self.0.post(url.clone()).header(header::ACCEPT, accept).form(form);
        send(&url, request).await
    }

    /// The client itself, for the library that transfers objects. It has no total time, because files take as long as they take:
    /// whoever uses it must watch that something moves.
    pub(crate) fn for_transfer(&self) -> reqwest::Client {
        self.0.clone()
    }
}

impl HttpAnswer {
    /// The body, which may be a credential: not for logs.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        serde_json::from_slice(&self.body).map_err(|source| HttpError::NotJson {
            url: self.url.clone(),
            // An answer that should have been JSON may still hold a token: show no more than tells HTML from text.
            beginning: String::from_utf8_lossy(&self.body).chars().take(16).collect(),
            source,
        })
    }
}

async fn send(url: &Url, request: reqwest::RequestBuilder) -> Result<HttpAnswer, HttpError> {
    let host = host(url);
    let failed = |source| HttpError::from_reqwest(host.clone(), source);
    let mut response = request.timeout(TOTAL).send().await.map_err(failed)?;
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(HttpError::TooLong { host, limit: MAX_BODY });
        }
        body.extend_from_slice(&chunk);
    }
    let mut url = url.clone();
    url.set_query(None);
    Ok(HttpAnswer {
        url: url.into(),
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body: body.freeze(),
    })
}

/// An address that may be asked: `https`, or `http` on this machine.
pub(crate) fn checked(text: &str) -> Result<Url, HttpError> {
    let refused = |reason| HttpError::Address { url: text.chars().take(200).collect(), reason };
    let url = Url::parse(text).map_err(|_| refused("it is not a URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        // The text is not shown: it holds a password.
        return Err(HttpError::Address { url: host(&url), reason: "an address must not carry a user name or password" });
    }
    match (url.scheme(), url.host_str()) {
        (_, None) => Err(refused("it has no host")),
        ("https", _) => Ok(url),
        ("http", Some(host)) if is_loopback(host) => Ok(url),
        ("http", _) => Err(refused("http is for this machine only")),
        _ => Err(refused("it does not begin with https://")),
    }
}

/// Whether the host, as URLs write it, is this machine.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn host(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => "nowhere".to_owned(),
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A proxy's address may carry a password.
        f.debug_struct("HttpOptions")
            .field("ca_pem", &self.ca_pem.as_ref().map(String::len))
            .field("web_proxy", &self.web_proxy.as_ref().map(|_| "…"))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for fine in ["https://sky.maskinporten.no/token", "http://localhost:7411", "http://127.0.0.1:1/", "http://[::1]:1/x"] {
            assert!(checked(fine).is_ok(), "{fine}");
        }
        for wrong in ["http://sts.example.no", "http://localhost.example.no", "ftp://localhost", "localhost:1", "file:///etc", ""]
        {
            assert!(matches!(checked(wrong), Err(HttpError::Address { .. })), "{wrong}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        let error = checked("https://me:hunter2@example.no/").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn a_wrong_ca_file_says_so() {
        let error = |pem: &str| Http::new(&HttpOptions { ca_pem: Some(pem.to_owned()), ..HttpOptions::default() }).unwrap_err();
        assert!(matches!(error(""), HttpSetupError::Ca(CaError::Empty)));
        assert!(matches!(
            error("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
            HttpSetupError::Ca(CaError::Broken(_))
        ));
    }

    #[test]
    fn options_do_not_print_a_proxys_password() {
        let options = HttpOptions { web_proxy: Some("http://me:hunter2@proxy".to_owned()), ..HttpOptions::default() };
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
