//! Public keys of clients.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use skybru_core::{KeyId, OrgNumber};
use skybru_protocol::certificate::{BusinessCertificate, CertificateChain};
use skybru_protocol::jose::{Algorithm, Jwk, VerifyingKey};
use skybru_store::Change;
use skybru_store::registry::ClientKey;
use utoipa::ToSchema;

use super::clients::own_client;
use super::{ApiError, Caller, Right, SelfService};

/// Keys as they come in: they replace all that the client had.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = KeySetRequest)]
pub struct KeySetInput {
    /// One to five public RSA keys as JWK, each with `kid`, `use: "sig"` and `alg`.
    #[schema(value_type = Vec<Object>)]
    pub keys: Vec<Jwk>,
}

/// A key as it goes out. Without `exp` digdirator would post it again and again.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = KeyResponse)]
pub struct KeyView {
    #[serde(flatten)]
    #[schema(ignore)]
    jwk: Jwk,
    /// Seconds since 1970: from then on the key is refused.
    exp: i64,
}

/// A client's keys as they go out.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = KeySetResponse)]
pub struct KeySetView {
    keys: Vec<KeyView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    created: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_updated: Option<Timestamp>,
}

/// A key lives a year from when it was posted; posting it again renews it.
const KEY_LIFETIME: SignedDuration = SignedDuration::from_hours(365 * 24);

/// The most keys of one client.
const MAX_KEYS: usize = 5;

impl KeySetView {
    fn new<'a>(keys: impl Iterator<Item = &'a ClientKey> + Clone) -> Self {
        Self {
            created: keys.clone().map(|key| key.created).min(),
            last_updated: keys.clone().map(|key| key.created).max(),
            keys: keys.map(|key| KeyView { jwk: key.jwk.clone(), exp: key.expires.as_second() }).collect(),
        }
    }
}

impl SelfService {
    /// A client's keys; an empty set when it has none.
    pub fn keys(&self, caller: &Caller, client: &str) -> Result<KeySetView, ApiError> {
        caller.must(Right::ReadClients)?;
        self.registry.read(|registry| {
            let id = &own_client(registry, caller, client, false)?.client_id;
            let known = registry.client(id);
            let keys = known.as_ref().map(|known| known.keys.iter()).unwrap_or_default();
            Ok(KeySetView::new(keys.map(|known| &known.key)))
        })
    }

    /// Replaces a client's keys. Each lives a year from now.
    pub async fn put_keys(&self, caller: &Caller, client: &str, input: KeySetInput) -> Result<KeySetView, ApiError> {
        caller.must(Right::WriteClients)?;
        let now = self.ctx.clock.now();
        let keys = check(&input.keys, now)?;
        self.change(caller, |registry| {
            let client = own_client(registry, caller, client, false)?;
            for key in &keys {
                check_lock(key, client.client_orgno).map_err(|message| ApiError::field("JwksRequest", "keys", message))?;
            }
            let view = KeySetView::new(keys.iter());
            Ok((vec![Change::PutKeys { client: client.client_id.clone(), keys }], view))
        })
        .await
    }

    /// Takes all keys away.
    pub async fn delete_keys(&self, caller: &Caller, client: &str) -> Result<(), ApiError> {
        caller.must(Right::WriteClients)?;
        self.change(caller, |registry| {
            let client = own_client(registry, caller, client, false)?.client_id.clone();
            Ok((vec![Change::PutKeys { client, keys: Vec::new() }], ()))
        })
        .await
    }
}

fn check(keys: &[Jwk], now: Timestamp) -> Result<Vec<ClientKey>, ApiError> {
    let wrong = |message: String| ApiError::field("JwksRequest", "keys", message);
    if keys.is_empty() || keys.len() > MAX_KEYS {
        return Err(wrong(format!("expected 1 to {MAX_KEYS} keys, found {}; use DELETE to remove all", keys.len())));
    }
    let mut checked: Vec<ClientKey> = Vec::with_capacity(keys.len());
    for jwk in keys {
        let key = check_key(jwk, now).map_err(wrong)?;
        if checked.iter().any(|other| other.kid == key.kid) {
            return Err(wrong(format!("two keys have the key id {}", key.kid)));
        }
        checked.push(key);
    }
    Ok(checked)
}

fn check_key(jwk: &Jwk, now: Timestamp) -> Result<ClientKey, String> {
    jwk.must_be_public().map_err(|e| e.to_string())?;
    let kid: KeyId =
        jwk.kid.as_deref().ok_or("a key has no kid")?.parse().map_err(|e: skybru_core::id::IdError| e.to_string())?;
    if jwk.kty != "RSA" {
        return Err(format!("key {kid}: kty must be RSA"));
    }
    if jwk.usage.as_deref() != Some("sig") {
        return Err(format!("key {kid}: use must be sig"));
    }
    let alg = jwk.alg.as_deref().and_then(|alg| alg.parse::<Algorithm>().ok()).filter(|alg| alg.is_rs());
    let alg = alg.ok_or_else(|| format!("key {kid}: alg must be RS256, RS384 or RS512"))?;
    VerifyingKey::from_jwk(jwk).and_then(|key| key.examine()).map_err(|e| format!("key {kid}: {e}"))?;
    // Six members are kept, and the certificate that the key is locked to: clients send back what they read (exp, created).
    let other =
        jwk.other.get("x5c").filter(|x5c| !x5c.is_null()).map(|x5c| ("x5c".to_owned(), x5c.clone())).into_iter().collect();
    let known = Jwk { other, crv: None, x: None, y: None, alg: Some(alg.name().to_owned()), ..jwk.clone() };
    let expires = now.saturating_add(KEY_LIFETIME).unwrap_or(now);
    Ok(ClientKey { kid, jwk: known, created: now, expires })
}

/// A key that comes with a certificate is locked to it: the certificate must be that of this key and of the client's organisation. Whether
/// it is trusted is looked at when the key is used, for that can change.
fn check_lock(key: &ClientKey, owner: OrgNumber) -> Result<(), String> {
    let Some(x5c) = key.jwk.other.get("x5c") else { return Ok(()) };
    let kid = &key.kid;
    let chain = CertificateChain::parse(x5c).map_err(|e| format!("key {kid}: {e}"))?;
    let contents = BusinessCertificate::from_der(chain.leaf()).map_err(|e| format!("key {kid}: {e}"))?;
    let same = VerifyingKey::from_jwk(&key.jwk).is_ok_and(|known| known == contents.key);
    if !same {
        return Err(format!("key {kid}: the certificate is that of another key"));
    }
    if contents.org != Some(owner) {
        return Err(format!("key {kid}: the certificate is not that of organisation {owner}"));
    }
    Ok(())
}
