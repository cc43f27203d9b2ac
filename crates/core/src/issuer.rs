//! The URL of an issuer, exactly as it is compared.
//!
//! Issuers are compared byte for byte, never normalised
//! ([OpenID Connect Discovery, section 4.3](https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationValidation)):
//! `https://maskinporten.no/` and `https://maskinporten.no` are different issuers. Rule P-4 says what the clouds can live with.

use std::fmt;
use std::str::FromStr;

/// An issuer: `https://`, a host, perhaps a path; no query, no fragment, no user.
///
/// A port, and `http`, are allowed for `localhost` and the loopback addresses only, because no cloud accepts them elsewhere.
///
/// ```
/// use skybru_core::IssuerUrl;
/// let sky: IssuerUrl = "https://sky.maskinporten.no".parse().unwrap();
/// assert_eq!(sky.endpoint("token"), "https://sky.maskinporten.no/token");
/// assert_eq!(sky.without_scheme(), "sky.maskinporten.no");
/// assert!("sky.maskinporten.no".parse::<IssuerUrl>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssuerUrl(Box<str>);

/// Why a text is not an issuer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuerUrlError {
    /// Something other than `https://` in front.
    #[error("issuer {0:?} must begin with https://")]
    Scheme(String),
    /// No host.
    #[error("issuer {0:?} has no host name")]
    Host(String),
    /// A query, a fragment, a user name, whitespace or a character that URLs do not have.
    #[error("issuer {issuer:?} must not contain {character:?}")]
    Character {
        /// The text as given.
        issuer: String,
        /// The first character at fault.
        character: char,
    },
    /// A port on a host that is not this machine.
    #[error("issuer {0:?} must not have a port: the clouds refuse it (only localhost may)")]
    Port(String),
    /// Longer than any cloud takes.
    #[error("an issuer may be at most 255 characters long")]
    Length,
}

impl IssuerUrl {
    /// The URL as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL without `https://`: how AWS names a provider (A-4) and the prefix of its condition keys (A-71).
    pub fn without_scheme(&self) -> &str {
        self.0.split_once("://").map_or(&*self.0, |(_, rest)| rest)
    }

    /// Whether the URL ends in a slash, as Maskinporten's does and Skyporten's must not.
    pub fn ends_in_slash(&self) -> bool {
        self.0.ends_with('/')
    }

    /// The path after the host, without a slash at its end; empty for most issuers.
    pub fn path(&self) -> &str {
        let rest = self.without_scheme();
        rest.find('/').map_or("", |at| rest[at..].trim_end_matches('/'))
    }

    /// `name` below the issuer, with exactly one slash between.
    pub fn endpoint(&self, name: &str) -> String {
        format!("{}/{}", self.0.trim_end_matches('/'), name.trim_start_matches('/'))
    }

    /// Whether the host is this machine, so that a port and a private certificate are to be expected.
    pub fn is_local(&self) -> bool {
        is_local(host_and_port(self.without_scheme()).0)
    }
}

fn host_and_port(rest: &str) -> (&str, Option<&str>) {
    let authority = rest.split('/').next().unwrap_or("");
    if let Some(end) = authority.find(']') {
        let (host, after) = authority.split_at(end + 1);
        return (host, after.strip_prefix(':'));
    }
    match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    }
}

fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

impl FromStr for IssuerUrl {
    type Err = IssuerUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let given = || text.to_owned();
        if text.len() > 255 {
            return Err(IssuerUrlError::Length);
        }
        let fine = |c: char| {
            c.is_ascii_graphic() && !matches!(c, '?' | '#' | '@' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')
        };
        if let Some(character) = text.chars().find(|c| !fine(*c)) {
            return Err(IssuerUrlError::Character { issuer: given(), character });
        }
        let (rest, secure) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (rest, true),
            (None, Some(rest)) => (rest, false),
            (None, None) => return Err(IssuerUrlError::Scheme(given())),
        };
        let (host, port) = host_and_port(rest);
        if host.is_empty() {
            return Err(IssuerUrlError::Host(given()));
        }
        if !secure && !is_local(host) {
            return Err(IssuerUrlError::Scheme(given()));
        }
        match port {
            Some(port) if !is_local(host) || port.parse::<u16>().is_err() => Err(IssuerUrlError::Port(given())),
            _ => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for IssuerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

crate::text_type!(IssuerUrl);

#[cfg(test)]
mod tests {
    use super::*;

    /// P-4.
    #[test]
    fn the_slash_is_kept_and_counts() {
        let with: IssuerUrl = "https://maskinporten.no/".parse().unwrap();
        let without: IssuerUrl = "https://maskinporten.no".parse().unwrap();
        assert_ne!(with, without);
        assert_eq!(with.endpoint("token"), "https://maskinporten.no/token");
        assert_eq!(without.endpoint("/token"), "https://maskinporten.no/token");
        assert_eq!((with.path(), with.without_scheme()), ("", "maskinporten.no/"));
    }

    /// P-4.
    #[test]
    fn a_port_and_http_are_for_this_machine_only() {
        for fine in ["https://localhost:7402", "http://127.0.0.1:80/", "https://[::1]:7402/tenant"] {
            let issuer: IssuerUrl = fine.parse().unwrap();
            assert!(issuer.is_local(), "{fine}");
        }
        for wrong in
            ["https://sky.example.no:8443", "https://localhost.example.no:1", "https://localhost:99999", "https://localhost:"]
        {
            assert!(matches!(wrong.parse::<IssuerUrl>(), Err(IssuerUrlError::Port(_))), "{wrong}");
        }
        assert!(matches!("http://sky.example.no".parse::<IssuerUrl>(), Err(IssuerUrlError::Scheme(_))));
    }

    /// P-4.
    #[test]
    fn what_the_clouds_refuse_is_refused_here() {
        for wrong in ["https://a.no?x=1", "https://a.no#f", "https://me@a.no", " https://a.no", "https://a.no\n", "https://å.no"]
        {
            assert!(matches!(wrong.parse::<IssuerUrl>(), Err(IssuerUrlError::Character { .. })), "{wrong:?}");
        }
        assert!(matches!("https://".parse::<IssuerUrl>(), Err(IssuerUrlError::Host(_))));
    }

    #[test]
    fn a_path_is_kept_without_its_last_slash() {
        assert_eq!("https://host.no/tenant/a/".parse::<IssuerUrl>().unwrap().path(), "/tenant/a");
    }
}
