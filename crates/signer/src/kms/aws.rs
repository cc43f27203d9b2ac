//! AWS KMS: `GetPublicKey` and `Sign` of its JSON API (<https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html>).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_lc_rs::digest::Digest;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use skybru_core::Clock;
use skybru_protocol::jose::{Algorithm, Jwk};

use super::{AwsKeySource, KmsError, Service, Transport, ask, unwritable};
use crate::SignError;
use crate::digest::fixed_from_der;
use crate::held::jwk_from_spki;

pub(super) struct Aws {
    arn: String,
    region: String,
    endpoint: String,
    keys: Arc<dyn AwsKeySource>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    public_key: String,
    key_usage: String,
    signing_algorithms: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Signature {
    signature: String,
}

impl Aws {
    pub(super) fn new(
        (arn, region): (&str, &str),
        keys: Arc<dyn AwsKeySource>,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        endpoint: Option<&str>,
    ) -> Self {
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let endpoint =
            endpoint.map_or_else(|| format!("https://kms.{region}.{suffix}"), |url| url.trim_end_matches('/').to_owned());
        Self { arn: arn.to_owned(), region: region.to_owned(), endpoint, keys, transport, clock }
    }

    async fn call<T: DeserializeOwned>(&self, action: &str, body: &Value) -> Result<T, SignError> {
        let holder = self.holder();
        let key = self.keys.key().await.map_err(|source| SignError::Away { holder: holder.clone(), source })?;
        let token = key.session_token.as_ref().map(|token| token.expose().to_owned());
        let identity = Credentials::new(key.access_key_id, key.secret_access_key.expose(), token, None, "skybru").into();
        let now = Duration::from_secs(u64::try_from(self.clock.unix_seconds()).unwrap_or_default());
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("kms")
            .time(SystemTime::UNIX_EPOCH + now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unwritable(&holder, error))?;
        let body = serde_json::to_vec(body).map_err(|error| unwritable(&holder, error))?;
        let url = format!("{}/", self.endpoint);
        let target = format!("TrentService.{action}");
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", &*target)];
        let signable = SignableRequest::new("POST", &url, headers.into_iter(), SignableBody::Bytes(&body));
        let signable = signable.map_err(|error| unwritable(&holder, error))?;
        let (instructions, _) = sign(signable, &params.into()).map_err(|error| unwritable(&holder, error))?.into_parts();
        let mut request = http::Request::post(&url);
        for (name, value) in headers.into_iter().chain(instructions.headers()) {
            request = request.header(name, value);
        }
        let request = request.body(body).map_err(|error| unwritable(&holder, error))?;
        ask(&*self.transport, &holder, request).await
    }
}

#[async_trait]
impl Service for Aws {
    async fn public_key(&mut self) -> Result<Jwk, KmsError> {
        let answer: Described = self.call("GetPublicKey", &json!({"KeyId": self.arn})).await?;
        let algorithms = answer.signing_algorithms.unwrap_or_default();
        let ours = ["RSASSA_PKCS1_V1_5_SHA_256", "ECDSA_SHA_256"];
        if answer.key_usage != "SIGN_VERIFY" || !algorithms.iter().any(|name| ours.contains(&&**name)) {
            return Err(KmsError::Purpose { found: format!("{} ({})", answer.key_usage, algorithms.join(", ")) });
        }
        let der = STANDARD.decode(&answer.public_key).map_err(|_| crate::HeldKeyError::PublicKey)?;
        Ok(jwk_from_spki(&der)?)
    }

    async fn sign(&self, algorithm: Algorithm, digest: &Digest) -> Result<Vec<u8>, SignError> {
        let name = if algorithm.is_es() { "ECDSA_SHA_256" } else { "RSASSA_PKCS1_V1_5_SHA_256" };
        let body =
            json!({"KeyId": self.arn, "Message": STANDARD.encode(digest), "MessageType": "DIGEST", "SigningAlgorithm": name});
        let answer: Signature = self.call("Sign", &body).await?;
        let bytes = STANDARD.decode(&answer.signature).map_err(|error| unwritable(&self.holder(), error))?;
        if algorithm.is_es() {
            return fixed_from_der(&bytes).ok_or_else(|| unwritable(&self.holder(), "the signature is no pair of numbers"));
        }
        Ok(bytes)
    }

    fn holder(&self) -> String {
        format!("AWS KMS ({})", self.arn)
    }
}
