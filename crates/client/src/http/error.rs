//! Why a request got no usable answer.

use std::error::Error;
use std::io;

use rustls::CertificateError;

/// Why a request got no usable answer. The causes follow in `source()`.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address is none that may be asked.
    #[error("{url:?} cannot be asked: {reason}")]
    Address {
        /// The address as given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No connection came about: name, port, network.
    #[error("could not reach {host}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// What the network said.
        #[source]
        source: reqwest::Error,
    },
    /// The proxy on the way does not answer, or leads nowhere.
    #[error("the proxy on the way to {host} does not answer")]
    Proxy {
        /// Host and port behind the proxy.
        host: String,
        /// What the network said.
        #[source]
        source: reqwest::Error,
    },
    /// The server's certificate comes from nobody whom this machine trusts.
    #[error("the certificate of {host} comes from an issuer that is not trusted here")]
    UntrustedCertificate {
        /// Host and port.
        host: String,
        /// What TLS said.
        #[source]
        source: reqwest::Error,
    },
    /// The certificate is trusted but wrong: expired, or for another name; or TLS failed otherwise.
    #[error("no secure connection to {host}")]
    Tls {
        /// Host and port.
        host: String,
        /// What TLS said.
        #[source]
        source: reqwest::Error,
    },
    /// No answer in time.
    #[error("{host} did not answer in time")]
    Timeout {
        /// Host and port.
        host: String,
        /// Which wait ended.
        #[source]
        source: reqwest::Error,
    },
    /// The answer broke off.
    #[error("the answer of {host} broke off")]
    Interrupted {
        /// Host and port.
        host: String,
        /// What the network said.
        #[source]
        source: reqwest::Error,
    },
    /// The answer is longer than any good one.
    #[error("the answer of {host} is longer than {limit} bytes")]
    TooLong {
        /// Host and port.
        host: String,
        /// How much was read, in bytes.
        limit: usize,
    },
    /// An answer, but not the one that was hoped for.
    #[error("{url} answered with status {status}")]
    Status {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The answer is not the JSON that it should be.
    #[error("{url} did not answer with the JSON that was expected (it begins {beginning:?})")]
    NotJson {
        /// What was asked.
        url: String,
        /// The first characters.
        beginning: String,
        /// Where it is wrong.
        #[source]
        source: serde_json::Error,
    },
}

impl HttpError {
    /// Sorts what reqwest says.
    pub(super) fn from_reqwest(host: String, source: reqwest::Error) -> Self {
        let source = source.without_url();
        if is_untrusted(&source) {
            Self::UntrustedCertificate { host, source }
        } else if find_tls(&source).is_some() {
            Self::Tls { host, source }
        } else if source.is_timeout() {
            Self::Timeout { host, source }
        } else if source.is_connect() && is_of_a_tunnel(&source) {
            Self::Proxy { host, source }
        } else if source.is_connect() {
            Self::Unreachable { host, source }
        } else {
            Self::Interrupted { host, source }
        }
    }

    /// Whether the same request may well succeed a little later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Proxy { .. } | Self::Timeout { .. } | Self::Interrupted { .. } => true,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            Self::Address { .. }
            | Self::UntrustedCertificate { .. }
            | Self::Tls { .. }
            | Self::TooLong { .. }
            | Self::NotJson { .. } => false,
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Address { .. } => "use https://; http:// is for this machine (localhost) only".to_owned(),
            Self::Unreachable { host, .. } => {
                format!("check the name {host} and the network (D-03); behind a firewall, set web-proxy to the proxy's address")
            }
            Self::Proxy { .. } => "check the proxy's address and port: web-proxy of the client, or HTTPS_PROXY; NO_PROXY \
                                   names the hosts that are reached without it (D-03)"
                .to_owned(),
            Self::UntrustedCertificate { .. } => UNTRUSTED.to_owned(),
            Self::Tls { source, .. } => match find_tls(source) {
                Some(rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
                    "the certificate has expired: tell its owner, or check this machine's clock".to_owned()
                }
                Some(rustls::Error::InvalidCertificate(
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                )) => "the certificate is for another name: check the host name in the address".to_owned(),
                _ => return None,
            },
            Self::Timeout { .. } => "try again; if it stays, a firewall may be dropping the connection".to_owned(),
            Self::Status { status: 301..=308, .. } => {
                "the server points elsewhere, and redirects are not followed: use the final address".to_owned()
            }
            Self::NotJson { .. } => "is this the right address? a proxy's or a login page may have answered".to_owned(),
            Self::Interrupted { .. } | Self::TooLong { .. } | Self::Status { .. } => return None,
        })
    }
}

const UNTRUSTED: &str = "set ca-file to the PEM file of the CA that issued the certificate (the lab's is ca.pem in its data folder, and \
                         a new lab has a new one)";

/// Whether somewhere in the chain of causes a certificate comes from nobody whom this machine trusts.
fn is_untrusted(error: &(dyn Error + 'static)) -> bool {
    matches!(find_tls(error), Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)))
}

/// Whether a connection failed that should have led through a proxy. The library's type is private, its words are not.
fn is_of_a_tunnel(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.to_string().starts_with("tunnel error") {
            return true;
        }
        next = error.source();
    }
    false
}

/// What to do about a failure that another library wrapped, where that is known.
pub(crate) fn hint_of(error: &(dyn Error + 'static)) -> Option<String> {
    is_untrusted(error).then(|| UNTRUSTED.to_owned())
}

/// The TLS error in a chain of causes. `io::Error` hides its inner error from `source()`, so it is opened by hand.
fn find_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next: Option<&'a (dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
