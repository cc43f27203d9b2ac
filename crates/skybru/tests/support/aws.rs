//! Signed calls of the simulated AWS, as SDKs make them.

use std::fmt::Write as _;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;

use super::Lab;

/// Keys to sign with.
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

/// The simulated account.
pub(crate) struct Aws {
    endpoint: String,
    root: Keys,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// The text of the first element of this name.
pub(crate) fn element(body: &str, name: &str) -> String {
    let found = body.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
    found.unwrap_or_else(|| panic!("no {name} in {body}")).0.to_owned()
}

impl Aws {
    pub(crate) fn of(lab: &Lab) -> Self {
        let text = |name: &str| lab.get(&format!("/clouds/aws/{name}")).to_owned();
        Self {
            endpoint: text("endpoint"),
            root: Keys { id: text("access_key_id"), secret: text("secret_access_key"), token: None },
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            runtime: tokio::runtime::Runtime::new().unwrap(),
        }
    }

    /// Another service that speaks as AWS does.
    pub(crate) fn at(endpoint: &str, root: Keys) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            root,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            runtime: tokio::runtime::Runtime::new().unwrap(),
        }
    }

    /// A call of IAM by the account, which must succeed.
    pub(crate) fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        let (status, body) = self.send(Some((&self.root, "iam")), "POST", "/", form(action, "2010-05-08", parameters));
        assert_eq!(status, 200, "{action}: {body}");
        body
    }

    /// `AssumeRoleWithWebIdentity`, which nobody signs.
    pub(crate) fn exchange(&self, role: &str, token: &str) -> (u16, String) {
        let parameters = [("RoleArn", role), ("RoleSessionName", "test"), ("WebIdentityToken", token)];
        self.send(None, "POST", "/", form("AssumeRoleWithWebIdentity", "2011-06-15", &parameters))
    }

    /// The same for some seconds.
    pub(crate) fn exchange_for(&self, role: &str, token: &str, seconds: u32) -> (u16, String) {
        let seconds = seconds.to_string();
        let parameters =
            [("RoleArn", role), ("RoleSessionName", "test"), ("WebIdentityToken", token), ("DurationSeconds", &seconds)];
        self.send(None, "POST", "/", form("AssumeRoleWithWebIdentity", "2011-06-15", &parameters))
    }

    /// A request of S3 by `keys`, or by the account.
    pub(crate) fn s3(&self, keys: Option<&Keys>, method: &str, path: &str, body: &str) -> (u16, String) {
        self.send(Some((keys.unwrap_or(&self.root), "s3")), method, path, body.to_owned())
    }

    fn send(&self, signer: Option<(&Keys, &str)>, method: &str, path: &str, body: String) -> (u16, String) {
        let url = format!("{}{path}", self.endpoint);
        let mut request = self.client.request(method.parse().unwrap(), &url);
        let headers = if path == "/" { vec![("content-type", "application/x-www-form-urlencoded")] } else { Vec::new() };
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        if let Some((keys, service)) = signer {
            for (name, value) in signature(keys, service, method, &url, &headers, body.as_bytes()) {
                request = request.header(name, value);
            }
        }
        self.runtime.block_on(async {
            let answer = request.body(body).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    }
}

fn form(action: &str, version: &str, parameters: &[(&str, &str)]) -> String {
    let mut text = format!("Action={action}&Version={version}");
    for (name, value) in parameters {
        let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        write!(text, "&{name}={value}").unwrap();
    }
    text
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
    #[expect(clippy::disallowed_methods, reason = "the simulator checks signatures by the real clock")]
    let time = SystemTime::now();
    let params = SigningParams::builder().identity(&identity).region("eu-north-1").name(service).time(time).settings(settings);
    let request = SignableRequest::new(method, url, headers.iter().copied(), SignableBody::Bytes(body)).unwrap();
    let (instructions, _) = sign(request, &params.build().unwrap().into()).unwrap().into_parts();
    instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
