//! Whether a token that somebody presents to us is good: signature by the issuer's published keys, `iss`, and time.
//!
//! Audience and scope are for the API itself to judge. The keys are kept for an hour; a key id that is not among them is asked for again,
//! at most twice a minute, so that tokens with invented key ids are no way to make us fetch.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use skybru_core::{Ctx, IssuerUrl};
use skybru_protocol::jose::{Algorithm, JwkSet, Jws, VerifyingKey};
use skybru_protocol::json;

use crate::http::{Http, HttpError};
use crate::token::{IssuerMetadata, MetadataError};

const KEEP: SignedDuration = SignedDuration::from_hours(1);
const NOT_AGAIN: SignedDuration = SignedDuration::from_secs(30);
/// Clocks may differ by this many seconds.
const LEEWAY_SECONDS: i64 = 60;

/// Why nothing can be said about any token.
#[derive(Debug, thiserror::Error)]
pub enum IntrospectError {
    /// The issuer's metadata.
    #[error("the issuer's metadata is not usable")]
    Metadata(#[from] MetadataError),
    /// The issuer's keys.
    #[error("the issuer's keys cannot be fetched")]
    Keys(#[from] HttpError),
}

/// The answer about one token.
#[derive(Debug, Clone, PartialEq)]
pub enum Introspection {
    /// It is good now; its claims.
    Active(Map<String, Value>),
    /// It is not; why.
    Inactive(&'static str),
}

struct Held {
    keys: Arc<JwkSet>,
    fetched: Timestamp,
}

/// Tells good tokens of one issuer from others. Share it in an `Arc`.
pub struct Introspector {
    ctx: Ctx,
    http: Http,
    issuer: IssuerUrl,
    held: RwLock<Option<Held>>,
}

impl Introspector {
    /// For tokens of this issuer. Fetches nothing yet.
    pub fn new(ctx: Ctx, http: Http, issuer: IssuerUrl) -> Self {
        Self { ctx, http, issuer, held: RwLock::new(None) }
    }

    /// Looks at a token.
    pub async fn introspect(&self, token: &str) -> Result<Introspection, IntrospectError> {
        let Ok(jws) = Jws::parse(token.trim()) else { return Ok(Introspection::Inactive("token is not a signed JWT")) };
        let header = jws.header();
        if header.alg != "RS256" || header.crit.is_some() {
            return Ok(Introspection::Inactive("token is not signed with RS256"));
        }
        let Some(kid) = header.kid.clone() else { return Ok(Introspection::Inactive("token names no key")) };
        let keys = self.keys(&kid).await?;
        let key = keys.find(&kid).and_then(|key| VerifyingKey::from_jwk(key).ok());
        let Some(key) = key else { return Ok(Introspection::Inactive("token is signed with an unknown key")) };
        if key.verify(Algorithm::RS256, jws.signing_input().as_bytes(), jws.signature()).is_err() {
            return Ok(Introspection::Inactive("token signature does not hold"));
        }
        let Ok(claims) = json::object(jws.payload()) else {
            return Ok(Introspection::Inactive("token claims are not a JSON object"));
        };
        Ok(match self.judge(&claims) {
            Some(why) => Introspection::Inactive(why),
            None => Introspection::Active(claims),
        })
    }

    fn judge(&self, claims: &Map<String, Value>) -> Option<&'static str> {
        let now = self.ctx.clock.unix_seconds();
        let seconds = |name: &str| claims.get(name).and_then(Value::as_i64);
        if claims.get("iss").and_then(Value::as_str) != Some(self.issuer.as_str()) {
            return Some("token is from another issuer");
        }
        let (Some(exp), Some(iat)) = (seconds("exp"), seconds("iat")) else { return Some("token lacks exp or iat") };
        if exp.saturating_add(LEEWAY_SECONDS) <= now {
            return Some("token is expired");
        }
        let starts = [Some(iat), seconds("nbf")].into_iter().flatten().max().unwrap_or(iat);
        (starts > now.saturating_add(LEEWAY_SECONDS)).then_some("token is not valid yet")
    }

    /// The keys, with `kid` among them if the issuer has it.
    async fn keys(&self, kid: &str) -> Result<Arc<JwkSet>, IntrospectError> {
        let now = self.ctx.clock.now();
        let known = {
            let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
            held.as_ref().and_then(|held| {
                let age = now.duration_since(held.fetched);
                let enough = held.keys.find(kid).is_some() && age < KEEP || age < NOT_AGAIN;
                enough.then(|| Arc::clone(&held.keys))
            })
        };
        if let Some(keys) = known {
            return Ok(keys);
        }
        match self.fetch().await {
            Ok(keys) => {
                let keys = Arc::new(keys);
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(Held { keys: Arc::clone(&keys), fetched: now });
                Ok(keys)
            }
            // An issuer that is away for a while does not make its keys wrong.
            Err(error) => {
                let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
                held.as_ref().map(|held| Arc::clone(&held.keys)).ok_or(error)
            }
        }
    }

    async fn fetch(&self) -> Result<JwkSet, IntrospectError> {
        let metadata = IssuerMetadata::fetch(&self.http, &self.issuer).await?;
        // Where Digdir's own issuers have it.
        let url = metadata.jwks_uri.unwrap_or_else(|| self.issuer.endpoint("jwk"));
        Ok(self.http.get_json(&url).await?)
    }
}
