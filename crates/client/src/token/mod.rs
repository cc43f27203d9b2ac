//! Access tokens of Maskinporten, Skyporten and issuers like them: asked for, cached, renewed.
//!
//! Grant: [RFC 7523, section 2.1](https://www.rfc-editor.org/rfc/rfc7523#section-2.1). Not here: the authorization code flow of
//! Ansattporten.

mod assertion;
mod error;
mod metadata;
mod source;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use skybru_core::{ClientId, IssuerUrl, OrgNumber, ScopeSet, Secret};
use skybru_protocol::oauth::TokenAnswer;
use skybru_signer::Signer;

pub use assertion::{Assertion, LIFETIME_SECONDS, sign_assertion};
pub use error::{Refusal, TokenError, code_hint};
pub use metadata::{IssuerMetadata, MetadataError};
pub use source::TokenSource;

/// Who we are at an issuer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientIdentity {
    /// The issuer, byte for byte: it is the assertion's `aud`.
    pub issuer: IssuerUrl,
    /// The client's id there.
    pub client_id: ClientId,
    /// The client's key, wherever it lives.
    pub key: Arc<dyn Signer>,
    /// How the issuer knows the key.
    pub proof: KeyProof,
}

/// How an issuer knows a client's key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyProof {
    /// It is registered: the assertion names it by `kid`.
    #[default]
    Registered,
    /// A business certificate is over it: the assertion carries the chain as `x5c`, and the client has no registered keys.
    Certificate,
}

impl ClientIdentity {
    /// A client whose key is registered.
    pub fn new(issuer: IssuerUrl, client_id: ClientId, key: impl Signer + 'static) -> Self {
        Self { issuer, client_id, key: Arc::new(key), proof: KeyProof::Registered }
    }
}

/// What to ask for.
#[derive(Clone, PartialEq)]
pub struct TokenRequest {
    /// The scopes, in this order: Skyporten's `sub` repeats it.
    pub scopes: ScopeSet,
    /// Audiences ([RFC 8707](https://www.rfc-editor.org/rfc/rfc8707)); every cloud needs exactly one (D-18, P-5).
    pub resources: Vec<String>,
    /// The legal consumer, when we ask as its supplier.
    pub consumer_org: Option<OrgNumber>,
    /// The person that we act for: 11 digits.
    pub pid: Option<String>,
    /// Rich authorization ([RFC 9396](https://www.rfc-editor.org/rfc/rfc9396)): an array of objects.
    pub authorization_details: Option<Value>,
}

impl TokenRequest {
    /// These scopes and nothing more.
    pub fn new(scopes: ScopeSet) -> Self {
        Self { scopes, resources: Vec::new(), consumer_org: None, pid: None, authorization_details: None }
    }

    /// With one more audience.
    #[must_use]
    pub fn with_resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// The request as it is, with its place in the cache looked up once.
    pub fn prepared(self) -> PreparedRequest {
        PreparedRequest { key: self.cache_key(), request: self }
    }

    /// What makes this request another one than the next, for caching.
    fn cache_key(&self) -> String {
        // JSON quotes everything, so no two requests run together.
        serde_json::json!([self.scopes, self.resources, self.consumer_org, self.pid, self.authorization_details]).to_string()
    }
}

/// A [`TokenRequest`] that is made again and again.
#[derive(Clone)]
pub struct PreparedRequest {
    request: TokenRequest,
    key: String,
}

impl fmt::Debug for PreparedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key names the person.
        self.request.fmt(f)
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest")
            .field("scopes", &self.scopes)
            .field("resources", &self.resources)
            .field("consumer_org", &self.consumer_org)
            .field("pid", &self.pid.as_ref().map(|_| "…"))
            .field("authorization_details", &self.authorization_details.as_ref().map(|_| "…"))
            .finish()
    }
}

/// An access token and how long it lives.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The token itself.
    pub token: Secret,
    /// The granted scopes as the issuer wrote them.
    pub scope: String,
    /// When it was asked for, by our clock.
    pub fetched_at: Timestamp,
    /// When it expires, by our clock: a little early rather than late.
    pub expires_at: Timestamp,
}

impl AccessToken {
    /// Whole seconds that it still lives; zero when it has expired.
    pub fn expires_in(&self, now: Timestamp) -> u64 {
        u64::try_from(self.expires_at.duration_since(now).as_secs()).unwrap_or(0)
    }

    /// The issuer's answer as if it came now: for those who print it as JSON. It holds the token in clear.
    pub fn answer(&self, now: Timestamp) -> TokenAnswer {
        TokenAnswer {
            authorization_details: None,
            access_token: self.token.expose().to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: self.expires_in(now),
            scope: self.scope.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_differ_in_anything_are_cached_apart() {
        let base = TokenRequest::new("a:b".parse().unwrap());
        let mut others =
            vec![base.clone(), TokenRequest::new("a:b c:d".parse().unwrap()), base.clone().with_resource("https://a")];
        others.push(TokenRequest { consumer_org: Some("917422575".parse().unwrap()), ..base.clone() });
        others.push(TokenRequest { pid: Some("17912099997".to_owned()), ..base.clone() });
        others.push(TokenRequest { authorization_details: Some(serde_json::json!([{"type": "x"}])), ..base.clone() });
        // Order is part of Skyporten's sub.
        others.push(TokenRequest::new("c:d a:b".parse().unwrap()));
        let keys: std::collections::HashSet<_> = others.iter().map(TokenRequest::cache_key).collect();
        assert_eq!(keys.len(), others.len());
    }

    #[test]
    fn a_request_does_not_print_the_person() {
        let request = TokenRequest { pid: Some("17912099997".to_owned()), ..TokenRequest::new("a:b".parse().unwrap()) };
        assert!(!format!("{request:?} {:?}", request.clone().prepared()).contains("17912099997"));
    }
}
