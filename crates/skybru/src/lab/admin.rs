//! The provider's administrator at AWS: signed calls of IAM and S3, as the `aws` CLI would make them.
//!
//! The lab sets its demonstration up through the front door, so that what it shows is what anybody else can do.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use skybru_core::{Ctx, Secret};

/// The account's root key, and where its AWS answers.
pub(crate) struct AwsAdmin {
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Secret,
    /// Of temporary keys.
    pub(crate) session_token: Option<Secret>,
    pub(crate) ctx: Ctx,
}

impl AwsAdmin {
    /// Calls IAM. That something is there already is fine: the lab may have been set up before.
    pub(crate) async fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let (status, text) = self.iam_answer(action, parameters).await?;
        if status >= 300 && !text.contains("EntityAlreadyExists") {
            bail!("IAM refused {action}: {text}");
        }
        Ok(text)
    }

    /// Calls IAM: status and answer, whatever they are.
    pub(crate) async fn iam_answer(&self, action: &str, parameters: &[(&str, &str)]) -> Result<(u16, String)> {
        let mut form = vec![("Action", action), ("Version", "2010-05-08")];
        form.extend_from_slice(parameters);
        let body = form.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&");
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        self.send("iam", "POST", "/", &headers, body.into_bytes()).await
    }

    /// Makes a bucket, or puts an object. `path` begins with a slash.
    pub(crate) async fn put(&self, path: &str, body: &[u8]) -> Result<()> {
        let (status, text) = self.send("s3", "PUT", path, &[], body.to_vec()).await?;
        if status >= 300 && !text.contains("BucketAlready") {
            bail!("S3 refused PUT {path}: {text}");
        }
        Ok(())
    }

    async fn send(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<(u16, String)> {
        let url = format!("{}{path}", self.endpoint);
        let key = {
            let session = self.session_token.as_ref().map(|token| token.expose().to_owned());
            Credentials::new(&self.access_key_id, self.secret_access_key.expose(), session, None, "skybru").into()
        };
        let mut settings = SigningSettings::default();
        if service == "s3" {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let now = Duration::from_secs(u64::try_from(self.ctx.clock.unix_seconds()).unwrap_or_default());
        let params = SigningParams::builder()
            .identity(&key)
            .region(&self.region)
            .name(service)
            .time(SystemTime::UNIX_EPOCH + now)
            .settings(settings)
            .build()
            .context("a request to AWS cannot be signed")?;
        let request = SignableRequest::new(method, &url, headers.iter().copied(), SignableBody::Bytes(&body))?;
        let (instructions, _) = sign(request, &params.into())?.into_parts();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        let mut request = client.request(method.parse()?, &url).body(body);
        for (name, value) in headers.iter().copied().chain(instructions.headers()) {
            request = request.header(name, value);
        }
        let answer = request.send().await.with_context(|| format!("{} does not answer", self.endpoint))?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }
}

/// Percent-encoded for a form.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
