//! Maskinporten and Skyporten share clients, keys and scopes. They differ in metadata and in the token's subject.

use skybru_core::{IssuerUrl, ScopeSet};
use skybru_protocol::claims::skyporten_subject;
use skybru_protocol::details::{CONSENT, SYSTEM_USER};
use skybru_protocol::metadata::DiscoveryDocument;
use skybru_protocol::oauth::JWT_BEARER;

use crate::compat::MultiScope;
use crate::keys::KeySetProfile;

/// Which of the national services an issuer behaves like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// For APIs: no subject, [RFC 8414](https://www.rfc-editor.org/rfc/rfc8414) metadata. Its issuer ends in a slash.
    Maskinporten,
    /// For clouds: the subject carries consumer and scope, and the metadata is that of OpenID Connect. Its issuer must not end in a slash.
    Skyporten {
        /// Whether the metadata has the fields that AWS needs (A-50, D-01). Without them this is the issuer of the guide that ends in an
        /// error nobody could explain; only for showing that.
        cloud_metadata: bool,
    },
}

impl Profile {
    /// The name in settings and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Maskinporten => "maskinporten",
            Self::Skyporten { .. } => "skyporten",
        }
    }

    /// Maskinporten shows certificates; what clouds read has six members a key and no more (P-9).
    pub const fn key_set(self) -> KeySetProfile {
        match self {
            Self::Maskinporten => KeySetProfile::Certificates,
            Self::Skyporten { .. } => KeySetProfile::Cloud,
        }
    }

    /// The token's `sub`, if it has one: the consumer's number as the `consumer` claim has it, a semicolon, the scope.
    pub fn subject(self, consumer: &str, scopes: &ScopeSet, several: MultiScope) -> Option<String> {
        match (self, several, scopes.iter().next()) {
            (Self::Maskinporten, _, _) => None,
            (Self::Skyporten { .. }, MultiScope::First, Some(first)) => Some(skyporten_subject(consumer, first)),
            (Self::Skyporten { .. }, _, _) => Some(skyporten_subject(consumer, scopes)),
        }
    }

    /// The discovery document.
    pub fn metadata(self, issuer: &IssuerUrl) -> DiscoveryDocument {
        let list = |values: &[&str]| Some(values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
        let base = DiscoveryDocument {
            issuer: Some(issuer.to_string()),
            token_endpoint: Some(issuer.endpoint("token")),
            jwks_uri: Some(issuer.endpoint("jwk")),
            token_endpoint_auth_methods_supported: list(&["private_key_jwt"]),
            grant_types_supported: list(&[JWT_BEARER]),
            token_endpoint_auth_signing_alg_values_supported: list(&["RS256", "RS384", "RS512"]),
            ..DiscoveryDocument::default()
        };
        match self {
            Self::Maskinporten => {
                DiscoveryDocument { authorization_details_types_supported: list(&[SYSTEM_USER, CONSENT]), ..base }
            }
            Self::Skyporten { cloud_metadata: false } => base,
            Self::Skyporten { cloud_metadata: true } => DiscoveryDocument {
                response_types_supported: list(&["token"]),
                subject_types_supported: list(&["public"]),
                id_token_signing_alg_values_supported: list(&["RS256"]),
                claims_supported: list(&[
                    "iss",
                    "sub",
                    "aud",
                    "exp",
                    "iat",
                    "jti",
                    "scope",
                    "client_id",
                    "client_amr",
                    "consumer",
                ]),
                ..base
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The document that Digdir publishes for Skyporten, to the letter.
    #[test]
    fn without_the_cloud_fields_the_document_is_the_published_one() {
        let issuer = "https://test.sky.maskinporten.no".parse().unwrap();
        let document = Profile::Skyporten { cloud_metadata: false }.metadata(&issuer);
        assert_eq!(
            serde_json::to_value(document).unwrap(),
            serde_json::json!({
                "issuer": "https://test.sky.maskinporten.no",
                "token_endpoint": "https://test.sky.maskinporten.no/token",
                "jwks_uri": "https://test.sky.maskinporten.no/jwk",
                "token_endpoint_auth_methods_supported": ["private_key_jwt"],
                "grant_types_supported": ["urn:ietf:params:oauth:grant-type:jwt-bearer"],
                "token_endpoint_auth_signing_alg_values_supported": ["RS256", "RS384", "RS512"]
            })
        );
    }

    /// A-50, D-01, P-8.
    #[test]
    fn with_them_it_has_what_aws_needs() {
        let issuer = "https://sky.example.no".parse().unwrap();
        let document = Profile::Skyporten { cloud_metadata: true }.metadata(&issuer);
        assert_eq!(document.id_token_signing_alg_values_supported.as_deref(), Some(&["RS256".to_owned()][..]));
        assert!(document.response_types_supported.is_some() && document.subject_types_supported.is_some());
    }

    #[test]
    fn maskinportens_endpoints_have_one_slash() {
        let document = Profile::Maskinporten.metadata(&"https://maskinporten.no/".parse().unwrap());
        assert_eq!(document.token_endpoint.as_deref(), Some("https://maskinporten.no/token"));
        assert_eq!(document.issuer.as_deref(), Some("https://maskinporten.no/"));
    }
}
