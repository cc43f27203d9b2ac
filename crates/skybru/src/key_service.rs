//! Keys in a cloud's key service, reached with the credentials that this program was started with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use skybru_client::http::Http;
use skybru_core::{Clock, KeyId, Secret};
use skybru_signer::kms::{AwsKey, AwsKeySource, BearerSource, Cause, KmsKeyName, KmsSigner};

/// The file with a bearer token for Google's or Azure's key service, kept fresh by somebody else.
const TOKEN_FILE: &str = "SKYBRU_KMS_TOKEN_FILE";

/// Other addresses of the services, as the clouds' own tools call them.
const AWS_ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL"];
const GOOGLE_ENDPOINT: &str = "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS";

/// What it takes to reach a key service.
#[derive(Clone)]
pub(crate) struct KeyService {
    /// The variables that this program was started with.
    pub(crate) env: BTreeMap<String, String>,
    /// What file names in them are relative to.
    pub(crate) folder: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
}

impl KeyService {
    /// The key of this name, its public half fetched.
    pub(crate) async fn open(&self, name: &KmsKeyName, http: Http, kid: Option<&KeyId>) -> Result<KmsSigner> {
        let (known, transport) = (Arc::new(self.clone()), Arc::new(http));
        Ok(match name {
            KmsKeyName::Aws { arn, region } => {
                let endpoint = AWS_ENDPOINTS.iter().find_map(|name| self.get(name));
                KmsSigner::aws((arn, region), known, transport, Arc::clone(&self.clock), endpoint, kid).await?
            }
            KmsKeyName::Google(name) => KmsSigner::google(name, known, transport, self.get(GOOGLE_ENDPOINT), kid).await?,
            KmsKeyName::Azure { vault, key } => KmsSigner::azure(vault, key, known, transport, kid).await?,
        })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn var(&self, name: &str) -> Result<String, Cause> {
        self.get(name).map(str::to_owned).ok_or_else(|| format!("variable {name} is not set").into())
    }
}

#[async_trait]
impl BearerSource for KeyService {
    async fn bearer(&self) -> Result<Secret, Cause> {
        let file = self.folder.join(self.var(TOKEN_FILE)?);
        let text = std::fs::read_to_string(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        Ok(Secret::from(text.trim().to_owned()))
    }
}

#[async_trait]
impl AwsKeySource for KeyService {
    async fn key(&self) -> Result<AwsKey, Cause> {
        Ok(AwsKey {
            access_key_id: self.var("AWS_ACCESS_KEY_ID")?,
            secret_access_key: self.var("AWS_SECRET_ACCESS_KEY")?.into(),
            session_token: self.var("AWS_SESSION_TOKEN").ok().map(Secret::from),
        })
    }
}
