//! Google Cloud KMS: `getPublicKey` and `asymmetricSign` of its REST API
//! (<https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions/asymmetricSign>).
//!
//! The checksums that the API offers beside digests and signatures are not used: every signature is verified, which says more.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use skybru_protocol::jose::{Algorithm, Jwk};

use super::{BearerSource, KmsError, Service, Transport, ask, unwritable};
use crate::SignError;
use crate::digest::fixed_from_der;
use crate::held::jwk_from_spki;

pub(super) struct Google {
    name: String,
    endpoint: String,
    bearer: Arc<dyn BearerSource>,
    transport: Arc<dyn Transport>,
}

#[derive(Deserialize)]
struct PublicKey {
    pem: String,
    algorithm: String,
}

#[derive(Deserialize)]
struct Signature {
    signature: String,
}

impl Google {
    pub(super) fn new(name: &str, bearer: Arc<dyn BearerSource>, transport: Arc<dyn Transport>, endpoint: Option<&str>) -> Self {
        let endpoint = endpoint.unwrap_or("https://cloudkms.googleapis.com").trim_end_matches('/').to_owned();
        Self { name: name.to_owned(), endpoint, bearer, transport }
    }

    async fn call<T: DeserializeOwned>(&self, method: &str, path: &str, body: Vec<u8>) -> Result<T, SignError> {
        let holder = self.holder();
        let bearer = self.bearer.bearer().await.map_err(|source| SignError::Away { holder: holder.clone(), source })?;
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}/v1/{}{path}", self.endpoint, self.name))
            .header(AUTHORIZATION, format!("Bearer {}", bearer.expose()))
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(|error| unwritable(&holder, error))?;
        ask(&*self.transport, &holder, request).await
    }
}

#[async_trait]
impl Service for Google {
    async fn public_key(&mut self) -> Result<Jwk, KmsError> {
        let answer: PublicKey = self.call("GET", "/publicKey", Vec::new()).await?;
        let rsa = answer.algorithm.starts_with("RSA_SIGN_PKCS1_") && answer.algorithm.ends_with("_SHA256");
        if !rsa && answer.algorithm != "EC_SIGN_P256_SHA256" {
            return Err(KmsError::Purpose { found: answer.algorithm });
        }
        let der = SubjectPublicKeyInfoDer::from_pem_slice(answer.pem.as_bytes()).map_err(|_| crate::HeldKeyError::PublicKey)?;
        Ok(jwk_from_spki(&der)?)
    }

    async fn sign(&self, algorithm: Algorithm, digest: &Digest) -> Result<Vec<u8>, SignError> {
        let body = json!({"digest": {"sha256": STANDARD.encode(digest)}}).to_string().into_bytes();
        let answer: Signature = self.call("POST", ":asymmetricSign", body).await?;
        let bytes = STANDARD.decode(&answer.signature).map_err(|error| unwritable(&self.holder(), error))?;
        if algorithm.is_es() {
            return fixed_from_der(&bytes).ok_or_else(|| unwritable(&self.holder(), "the signature is no pair of numbers"));
        }
        Ok(bytes)
    }

    fn holder(&self) -> String {
        format!("Google Cloud KMS ({})", self.name)
    }
}
