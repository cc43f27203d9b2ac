//! A simulator and a client that signs as SDKs do.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use jiff::Timestamp;
use reqwest::Client;
use serde_json::{Value, json};
use skybru_core::ctx::{ManualClock, SeededRandomness};
use skybru_core::{Clock, Ctx, Secret};
use skybru_sim::aws::{AwsSettings, AwsSim, AwsSimOptions};
use skybru_sim::control::ControlSettings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::issuer::TestIssuer;

/// The second at which every test begins, by the simulator's clock. Signatures are made and checked by the real one.
pub(crate) const NOW: i64 = 1_790_000_000;
pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/skyporten-role";
pub(crate) const AUDIENCE: &str = "https://skyporten.example.no";

struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the clients under test sign with the real time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Keys to sign with.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

/// Status and body of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// The text of the first element of this name, unescaped as far as the tests need it.
    #[track_caller]
    pub(crate) fn text(&self, element: &str) -> String {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let found = self.body.split_once(&open).and_then(|(_, rest)| rest.split_once(&close));
        let (text, _) = found.unwrap_or_else(|| panic!("no {element} in {}", self.body));
        text.replace("&quot;", "\"").replace("&apos;", "'").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    }

    /// Status, code and text of a refusal.
    #[track_caller]
    pub(crate) fn refusal(&self) -> (u16, String, String) {
        (self.status, self.text("Code"), self.text("Message"))
    }
}

pub(crate) struct TestSim {
    pub(crate) sim: AwsSim,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) root: Keys,
    client: Client,
}

/// The options of a test; change them before the start.
pub(crate) fn options(clock: &Arc<ManualClock>) -> AwsSimOptions {
    AwsSimOptions {
        port: 0,
        state_dir: None,
        ctx: Ctx::new(clock.clone(), Arc::new(SeededRandomness::new(1))),
        wire_clock: Arc::new(SystemClock),
        account: ACCOUNT.to_owned(),
        region: "eu-north-1".to_owned(),
        root_access_key_id: "AKIAROOT".to_owned(),
        root_secret_access_key: Secret::from("root-secret".to_owned()),
        settings: AwsSettings::default(),
        control: ControlSettings::default(),
        extra_roots_pem: None,
    }
}

impl TestSim {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// The account with its bucket `shared`, and a session whose role may read `in/` alone.
    pub(crate) async fn with_session() -> (Self, Keys) {
        let issuer = TestIssuer::http().await;
        let t = Self::start().await;
        t.set_up(&issuer).await;
        let keys = t.keys(&issuer).await;
        (t, keys)
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut AwsSimOptions)) -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let mut options = options(&clock);
        change(&mut options);
        let root = Keys { id: "AKIAROOT".to_owned(), secret: "root-secret".to_owned(), token: None };
        let client = Client::builder().no_proxy().build().unwrap();
        Self { sim: AwsSim::start(options).await.unwrap(), clock, root, client }
    }

    /// A call of IAM by `keys`.
    pub(crate) async fn iam_as(&self, keys: &Keys, action: &str, parameters: &[(&str, &str)]) -> Answer {
        let form = form(action, "2010-05-08", parameters);
        self.send(Some((keys, "iam")), "POST", "/", &[("content-type", "application/x-www-form-urlencoded")], form.as_bytes())
            .await
    }

    /// A call of IAM by the account, which must succeed.
    pub(crate) async fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> Answer {
        let answer = self.iam_as(&self.root, action, parameters).await;
        assert_eq!(answer.status, 200, "{action}: {}", answer.body);
        answer
    }

    /// A call of STS; unsigned when there are no keys.
    pub(crate) async fn sts(&self, keys: Option<&Keys>, action: &str, parameters: &[(&str, &str)]) -> Answer {
        let form = form(action, "2011-06-15", parameters);
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send(keys.map(|keys| (keys, "sts")), "POST", "/", &headers, form.as_bytes()).await
    }

    /// A request to S3; unsigned when there are no keys.
    pub(crate) async fn s3(&self, keys: Option<&Keys>, method: &str, path: &str, body: &[u8]) -> Answer {
        self.send(keys.map(|keys| (keys, "s3")), method, path, &[], body).await
    }

    /// `AssumeRoleWithWebIdentity`.
    pub(crate) async fn exchange(&self, token: &str) -> Answer {
        let parameters = [("RoleArn", ROLE), ("RoleSessionName", "917422575"), ("WebIdentityToken", token)];
        self.sts(None, "AssumeRoleWithWebIdentity", &parameters).await
    }

    /// The keys that a good token gives.
    pub(crate) async fn keys(&self, issuer: &TestIssuer) -> Keys {
        let answer = self.exchange(&issuer.token(self.clock.unix_seconds(), &json!({}))).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let text = |name| answer.text(name);
        Keys { id: text("AccessKeyId"), secret: text("SecretAccessKey"), token: Some(text("SessionToken")) }
    }

    /// Provider, role, bucket `shared` with an object inside and one outside of what the role may read.
    pub(crate) async fn set_up(&self, issuer: &TestIssuer) {
        let thumbprint = issuer.thumbprint.clone().unwrap_or_else(|| "0".repeat(40));
        let provider =
            [("Url", issuer.url.as_str()), ("ClientIDList.member.1", AUDIENCE), ("ThumbprintList.member.1", thumbprint.as_str())];
        self.iam("CreateOpenIDConnectProvider", &provider).await;
        let host = issuer.host();
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Principal": {"Federated": provider_arn(issuer)}, "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {format!("{host}:aud"): AUDIENCE, format!("{host}:sub"): "0192:917422575;entur:demo"}}}]});
        let role = [("RoleName", "skyporten-role"), ("AssumeRolePolicyDocument", &trust.to_string())];
        self.iam("CreateRole", &role).await;
        self.put_policy(&json!([
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "Resource": "arn:aws:s3:::shared/in/*"},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::shared",
                "Condition": {"StringLike": {"s3:prefix": "in/*"}}},
        ]))
        .await;
        let root = self.root.clone();
        for (method, path) in [("PUT", "/shared"), ("PUT", "/shared/in/a.csv"), ("PUT", "/shared/out/b.csv")] {
            let body: &[u8] = if path == "/shared" { b"" } else { b"hello" };
            assert_eq!(self.s3(Some(&root), method, path, body).await.status, 200, "{method} {path}");
        }
    }

    /// Replaces what the role may do.
    pub(crate) async fn put_policy(&self, statements: &Value) {
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let parameters = [("RoleName", "skyporten-role"), ("PolicyName", "read"), ("PolicyDocument", policy.as_str())];
        self.iam("PutRolePolicy", &parameters).await;
    }

    /// Sends a request, signed as AWS's own SDK for Rust signs it.
    pub(crate) async fn send(
        &self,
        signer: Option<(&Keys, &str)>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let url = format!("{}{path}", self.sim.base_url());
        let mut request = self.client.request(method.parse().unwrap(), &url).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some((keys, service)) = signer {
            for (name, value) in signature(keys, service, method, &url, headers, body) {
                request = request.header(name, value);
            }
        }
        let response = request.send().await.unwrap();
        Answer { status: response.status().as_u16(), body: response.text().await.unwrap() }
    }
}

impl TestSim {
    /// A request to S3 whose path goes out byte for byte: `reqwest` would resolve `..` before it is sent.
    pub(crate) async fn s3_verbatim(&self, keys: &Keys, method: &str, path: &str, body: &[u8]) -> Answer {
        let base = self.sim.base_url();
        let host = base.strip_prefix("http://").unwrap();
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in signature(keys, "s3", method, &format!("{base}{path}"), &[], body) {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer { status: head.split(' ').nth(1).unwrap().parse().unwrap(), body: body.to_owned() }
    }
}

/// `GetCallerIdentity` as a URL that is good for a minute, as Kubernetes and Vault send it around.
pub(crate) fn presigned_identity(t: &TestSim, keys: &Keys) -> String {
    let identity = Credentials::new(&keys.id, &keys.secret, keys.token.clone(), None, "test").into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(Duration::from_mins(1));
    let time = SystemTime::from(SystemClock.now());
    let params = SigningParams::builder().identity(&identity).region("eu-north-1").name("sts").time(time).settings(settings);
    let path = "/?Action=GetCallerIdentity&Version=2011-06-15";
    let url = format!("{}{path}", t.sim.base_url());
    let request = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::Bytes(b"")).unwrap();
    let (instructions, _) = sign(request, &params.build().unwrap().into()).unwrap().into_parts();
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(instructions.params());
    format!("{path}&{}", query.finish())
}

/// The provider's ARN.
pub(crate) fn provider_arn(issuer: &TestIssuer) -> String {
    format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{}", issuer.host())
}

fn form(action: &str, version: &str, parameters: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action).append_pair("Version", version).extend_pairs(parameters);
    form.finish()
}

fn signature(
    keys: &Keys,
    service: &str,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<(String, String)> {
    let identity = Credentials::new(&keys.id, &keys.secret, keys.token.clone(), None, "test").into();
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let params = SigningParams::builder()
        .identity(&identity)
        .region("eu-north-1")
        .name(service)
        .time(SystemTime::from(SystemClock.now()))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let request = SignableRequest::new(method, url, headers.iter().copied(), SignableBody::Bytes(body)).unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let (headers, _) = instructions.into_parts();
    headers.into_iter().map(|header| (header.name().to_owned(), header.value().to_owned())).collect()
}
