//! An account at the simulator, and a client that signs as the SDKs do.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use jiff::Timestamp;
use serde_json::json;
use skybru_core::ctx::{ManualClock, SeededRandomness};
use skybru_core::{Clock, Ctx};
use skybru_sim::aws::{AwsSettings, AwsSim, AwsSimOptions};

use crate::issuer::TestIssuer;

pub(crate) const AUDIENCE: &str = "https://skyporten.example.no";
pub(crate) const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/reader";

/// The clock by which requests are signed: S3's signatures are checked against the machine's own.
struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "signatures are checked against real time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// An access key, its secret, and the token of temporary ones.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

/// A status and a body.
pub(crate) struct Answer(pub(crate) u16, pub(crate) String);

impl Answer {
    /// The text of the first element of this name.
    pub(crate) fn element(&self, name: &str) -> Option<&str> {
        let start = self.1.find(&format!("<{name}>"))? + name.len() + 2;
        self.1[start..].split('<').next()
    }

    /// Status, code and text of an error.
    pub(crate) fn error(&self) -> (u16, &str, &str) {
        (self.0, self.element("Code").unwrap_or("-"), self.element("Message").unwrap_or("-"))
    }
}

pub(crate) struct Account {
    pub(crate) sim: AwsSim,
    /// The simulator's clock: tokens and credentials expire by it.
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) issuer: TestIssuer,
    http: reqwest::Client,
}

pub(crate) fn root() -> Key {
    Key { id: "AKIAIOSFODNN7EXAMPLE".to_owned(), secret: "root-secret".to_owned(), token: None }
}

impl Account {
    /// With a provider for `issuer`, the role `reader` for its subject, and a bucket with two files.
    pub(crate) async fn with(issuer: TestIssuer) -> Self {
        let account = Self::bare(issuer, None).await;
        let thumbprint = account.issuer.thumbprint.clone();
        account.create_provider(thumbprint.as_deref()).await;
        let host = account.issuer.host();
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Federated": format!("arn:aws:iam::123456789012:oidc-provider/{host}")},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {format!("{host}:sub"): "0192:917422575;entur:demo", format!("{host}:aud"): AUDIENCE}}
        }]});
        account.iam("CreateRole", &[("RoleName", "reader"), ("AssumeRolePolicyDocument", &trust.to_string())]).await;
        let policy = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/in/*"}
        ]});
        account
            .iam("PutRolePolicy", &[("RoleName", "reader"), ("PolicyName", "read"), ("PolicyDocument", &policy.to_string())])
            .await;
        for (path, body) in [("/data", &b""[..]), ("/data/in/a.csv", b"x;y"), ("/data/out/b.csv", b"x;y")] {
            assert_eq!(account.s3("PUT", path, body, Some(&root())).await.0, 200, "{path}");
        }
        account
    }

    /// Empty, or with what `folder` holds.
    pub(crate) async fn bare(issuer: TestIssuer, folder: Option<&std::path::Path>) -> Self {
        let clock = Arc::new(ManualClock::at(WallClock.unix_seconds()));
        let sim = AwsSim::start(AwsSimOptions {
            port: 0,
            state_dir: folder.map(std::path::Path::to_path_buf),
            ctx: Ctx::new(clock.clone(), Arc::new(SeededRandomness::new(1))),
            wire_clock: Arc::new(WallClock),
            account: "123456789012".to_owned(),
            region: "eu-north-1".to_owned(),
            root_access_key_id: root().id,
            root_secret_access_key: root().secret.into(),
            settings: AwsSettings::default(),
            extra_roots_pem: None,
        });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { sim: sim.await.unwrap(), clock, issuer, http }
    }

    pub(crate) async fn create_provider(&self, thumbprint: Option<&str>) {
        let url = self.issuer.url.clone();
        let mut parameters = vec![("Url", url.as_str()), ("ClientIDList.member.1", AUDIENCE)];
        parameters.extend(thumbprint.map(|thumbprint| ("ThumbprintList.member.1", thumbprint)));
        let answer = self.iam("CreateOpenIDConnectProvider", &parameters).await;
        assert_eq!(answer.0, 200, "{}", answer.1);
    }

    /// A call of IAM as the account itself.
    pub(crate) async fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> Answer {
        self.query("iam", "2010-05-08", action, parameters, Some(&root())).await
    }

    /// A call of the Query protocol.
    pub(crate) async fn query(
        &self,
        service: &str,
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
        key: Option<&Key>,
    ) -> Answer {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", version).extend_pairs(parameters);
        self.send(service, "POST", "/", &[("content-type", "application/x-www-form-urlencoded")], form.finish().as_bytes(), key)
            .await
    }

    /// `AssumeRoleWithWebIdentity`, which nobody signs.
    pub(crate) async fn assume(&self, token: &str) -> Answer {
        let parameters =
            [("RoleArn", ROLE_ARN), ("RoleSessionName", "test"), ("WebIdentityToken", token), ("DurationSeconds", "900")];
        self.query("sts", "2011-06-15", "AssumeRoleWithWebIdentity", &parameters, None).await
    }

    /// A good token of the issuer's, with these claims changed, at the simulator's time.
    pub(crate) fn token(&self, changes: &serde_json::Value) -> String {
        self.issuer.token(self.clock.unix_seconds(), changes)
    }

    /// Credentials for a good token.
    pub(crate) async fn credentials(&self) -> Key {
        let answer = self.assume(&self.token(&json!({}))).await;
        let element = |name| answer.element(name).unwrap_or_else(|| panic!("{}", answer.1)).to_owned();
        Key { id: element("AccessKeyId"), secret: element("SecretAccessKey"), token: Some(element("SessionToken")) }
    }

    /// A request to S3.
    pub(crate) async fn s3(&self, method: &str, path: &str, body: &[u8], key: Option<&Key>) -> Answer {
        self.send("s3", method, path, &[], body, key).await
    }

    async fn send(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        key: Option<&Key>,
    ) -> Answer {
        let url = format!("{}{path}", self.sim.base_url());
        let mut request = self.http.request(method.parse().unwrap(), &url).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(key) = key {
            let identity = Credentials::new(&key.id, &key.secret, key.token.clone(), None, "test").into();
            let mut settings = SigningSettings::default();
            if service == "s3" {
                settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
                settings.percent_encoding_mode = PercentEncodingMode::Single;
                settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            }
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(WallClock.unix_seconds()).unwrap());
            let params =
                SigningParams::builder().identity(&identity).region("eu-north-1").name(service).time(time).settings(settings);
            let signable = SignableRequest::new(method, &url, headers.iter().copied(), SignableBody::Bytes(body)).unwrap();
            let (instructions, _) = sign(signable, &params.build().unwrap().into()).unwrap().into_parts();
            for (name, value) in instructions.headers() {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        // No element that a test looks at holds markup of its own.
        Answer(status, quick_xml::escape::unescape(&text).map_or(text.clone(), Into::into))
    }
}
