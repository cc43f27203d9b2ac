//! Azure Key Vault and Managed HSM: `GET key` and `sign` of the REST API
//! (<https://learn.microsoft.com/rest/api/keyvault/keys/sign/sign>).

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest::Digest;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use skybru_protocol::base64url;
use skybru_protocol::jose::{Algorithm, Jwk};

use super::{BearerSource, KmsError, Service, Transport, ask, unwritable};
use crate::SignError;

const API_VERSION: &str = "7.4";

pub(super) struct Azure {
    vault: String,
    key: String,
    bearer: Arc<dyn BearerSource>,
    transport: Arc<dyn Transport>,
}

#[derive(Deserialize)]
struct Bundle {
    key: Key,
    attributes: Attributes,
}

#[derive(Deserialize)]
struct Key {
    /// The key's address, with its version.
    kid: String,
    /// `RSA`, `RSA-HSM`, `EC`, `EC-HSM`, `oct-HSM`.
    kty: String,
    #[serde(rename = "key_ops", default)]
    operations: Vec<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Attributes {
    enabled: bool,
}

#[derive(Deserialize)]
struct Signature {
    value: String,
}

impl Azure {
    pub(super) fn new(vault: &str, key: &str, bearer: Arc<dyn BearerSource>, transport: Arc<dyn Transport>) -> Self {
        Self { vault: vault.trim_end_matches('/').to_owned(), key: key.to_owned(), bearer, transport }
    }

    async fn call<T: DeserializeOwned>(&self, method: &str, path: &str, body: Vec<u8>) -> Result<T, SignError> {
        let holder = self.holder();
        let bearer = self.bearer.bearer().await.map_err(|source| SignError::Away { holder: holder.clone(), source })?;
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}/keys/{}{path}?api-version={API_VERSION}", self.vault, self.key))
            .header(AUTHORIZATION, format!("Bearer {}", bearer.expose()))
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(|error| unwritable(&holder, error))?;
        ask(&*self.transport, &holder, request).await
    }
}

#[async_trait]
impl Service for Azure {
    async fn public_key(&mut self) -> Result<Jwk, KmsError> {
        let Bundle { key, attributes } = self.call("GET", "", Vec::new()).await?;
        if !attributes.enabled || !key.operations.iter().any(|operation| operation == "sign") {
            let found = if attributes.enabled { key.operations.join(", ") } else { "nothing: it is disabled".to_owned() };
            return Err(KmsError::Purpose { found });
        }
        // The vault lets a key change under its name; the version keeps to the one whose public half is known here.
        let version = key.kid.rsplit_once("/keys/").map(|(_, version)| version.to_owned());
        self.key = version.filter(|version| version.split('/').count() == 2).ok_or(crate::HeldKeyError::PublicKey)?;
        let kty = key.kty.trim_end_matches("-HSM").to_owned();
        let empty = Jwk::rsa("", "", &[], &[]);
        Ok(Jwk { kty, n: key.n, e: key.e, crv: key.crv, x: key.x, y: key.y, ..empty })
    }

    async fn sign(&self, algorithm: Algorithm, digest: &Digest) -> Result<Vec<u8>, SignError> {
        let body = json!({"alg": algorithm.name(), "value": base64url::encode(digest)}).to_string().into_bytes();
        let answer: Signature = self.call("POST", "/sign", body).await?;
        base64url::decode(answer.value.trim_end_matches('=')).map_err(|error| unwritable(&self.holder(), error))
    }

    fn holder(&self) -> String {
        format!("Azure Key Vault ({}/keys/{})", self.vault, self.key)
    }
}
