//! What an issuer says about itself: where its token endpoint and its keys are.

use std::sync::Arc;

use http::StatusCode;
use skybru_core::IssuerUrl;
use skybru_protocol::metadata::DiscoveryDocument;

use crate::http::{Http, HttpError};

/// The part of an issuer's metadata that a client needs, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerMetadata {
    /// Where tokens are asked for; lies below the issuer.
    pub token_endpoint: String,
    /// Where the public keys are; lies below the issuer. Absent for issuers whose keys nobody needs to fetch.
    pub jwks_uri: Option<String>,
}

/// Why an issuer's metadata is not usable.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MetadataError {
    /// No answer, or none that is metadata.
    #[error("could not fetch the metadata of {issuer}")]
    Http {
        /// Whose.
        issuer: IssuerUrl,
        /// Why not.
        #[source]
        source: Arc<HttpError>,
    },
    /// The document is that of another issuer, be it by one slash.
    #[error("the metadata found at {asked} is that of issuer {found:?}")]
    OtherIssuer {
        /// Whose metadata was asked for.
        asked: IssuerUrl,
        /// Whose it is.
        found: String,
    },
    /// An address in it lies outside the issuer, so an assertion would go to somebody else.
    #[error("the metadata of {issuer} names {address:?}, which does not lie below it")]
    Elsewhere {
        /// Whose metadata.
        issuer: IssuerUrl,
        /// The address.
        address: String,
    },
}

impl MetadataError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Http { source, .. } => match &**source {
                HttpError::Status { status: 404, .. } => {
                    Some("nothing there calls itself an issuer: check the issuer's address".to_owned())
                }
                other => other.hint(),
            },
            Self::OtherIssuer { found, .. } => Some(format!(
                "set issuer to exactly {found:?}: Maskinporten's ends in a slash, Skyporten's does not (MP-110, D-17)"
            )),
            Self::Elsewhere { .. } => None,
        }
    }
}

impl IssuerMetadata {
    /// Fetches the metadata of `issuer`.
    ///
    /// An issuer that ends in a slash, as Maskinporten does, publishes it by RFC 8414; one that does not, as Skyporten, by OpenID
    /// Connect Discovery. The other place is tried on 404.
    pub async fn fetch(http: &Http, issuer: &IssuerUrl) -> Result<Self, MetadataError> {
        let mut places = [".well-known/openid-configuration", ".well-known/oauth-authorization-server"];
        if issuer.ends_in_slash() {
            places.reverse();
        }
        let failed = |source| MetadataError::Http { issuer: issuer.clone(), source: Arc::new(source) };
        let first = http.get(&issuer.endpoint(places[0])).await.map_err(failed)?;
        let answer = if first.status == StatusCode::NOT_FOUND {
            http.get(&issuer.endpoint(places[1])).await.map_err(failed)?
        } else {
            first
        };
        if answer.status != StatusCode::OK {
            return Err(failed(HttpError::Status { url: answer.url, status: answer.status.as_u16() }));
        }
        Self::check(issuer, answer.json().map_err(failed)?)
    }

    fn check(issuer: &IssuerUrl, document: DiscoveryDocument) -> Result<Self, MetadataError> {
        let found = document.issuer.unwrap_or_default();
        if found != issuer.as_str() {
            return Err(MetadataError::OtherIssuer { asked: issuer.clone(), found });
        }
        // A document without a token endpoint leaves it to the convention that all of Digdir's issuers follow.
        let token_endpoint = document.token_endpoint.unwrap_or_else(|| issuer.endpoint("token"));
        for address in [Some(&token_endpoint), document.jwks_uri.as_ref()].into_iter().flatten() {
            must_lie_below(issuer, address)?;
        }
        Ok(Self { token_endpoint, jwks_uri: document.jwks_uri })
    }
}

/// Refuses an address outside the issuer. `https://sky.no.example.org/` is not below `https://sky.no`, so a slash must follow.
pub(super) fn must_lie_below(issuer: &IssuerUrl, address: &str) -> Result<(), MetadataError> {
    let base = issuer.as_str().trim_end_matches('/');
    match address.strip_prefix(base) {
        Some(rest) if rest.starts_with('/') => Ok(()),
        _ => Err(MetadataError::Elsewhere { issuer: issuer.clone(), address: address.chars().take(200).collect() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(issuer: &str, token: Option<&str>) -> DiscoveryDocument {
        DiscoveryDocument {
            issuer: Some(issuer.to_owned()),
            token_endpoint: token.map(str::to_owned),
            ..DiscoveryDocument::default()
        }
    }

    #[test]
    fn another_issuer_by_one_slash_is_another_issuer() {
        let asked: IssuerUrl = "https://test.sky.maskinporten.no/".parse().unwrap();
        let error = IssuerMetadata::check(&asked, document("https://test.sky.maskinporten.no", None)).unwrap_err();
        assert!(matches!(error, MetadataError::OtherIssuer { .. }));
        assert!(error.hint().unwrap().contains("\"https://test.sky.maskinporten.no\""));
    }

    #[test]
    fn the_token_endpoint_must_lie_below_the_issuer() {
        let issuer: IssuerUrl = "https://sky.no".parse().unwrap();
        for wrong in ["https://sky.no.example.org/token", "http://sky.no/token", "https://evil.no/https://sky.no/", "/token"] {
            let refused = IssuerMetadata::check(&issuer, document("https://sky.no", Some(wrong)));
            assert!(matches!(refused, Err(MetadataError::Elsewhere { .. })), "{wrong}");
        }
        let fine = IssuerMetadata::check(&issuer, document("https://sky.no", Some("https://sky.no/oauth/token"))).unwrap();
        assert_eq!(fine.token_endpoint, "https://sky.no/oauth/token");
    }

    #[test]
    fn without_a_token_endpoint_the_convention_holds() {
        let issuer: IssuerUrl = "https://maskinporten.no/".parse().unwrap();
        let metadata = IssuerMetadata::check(&issuer, document("https://maskinporten.no/", None)).unwrap();
        assert_eq!(metadata.token_endpoint, "https://maskinporten.no/token");
    }
}
