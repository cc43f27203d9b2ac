//! The guide of October 2023, which ends in "Denne integrasjonen fungerer ikke" (it does not work), replayed step by step with its own
//! files: the error that it shows, the doctor who names every fault at once, and the faults that come to light one behind the other
//! (W-1 to W-3).

use serde_json::{Value, json};
use skybru_protocol::jose::SigningKey;

use crate::support::aws::{Aws, element};
use crate::support::site::Site;
use crate::support::{Lab, program, stderr, stdout};

const ROLE: &str = "arn:aws:iam::123456789012:role/skyporten-role";
const ERROR: &str = "An error occurred (InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity operation: Couldn't retrieve \
                     verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements";

/// Everything that the guide makes, with a host of this machine in the place of `sky.maskinporten.dev`.
struct Guide {
    lab: Lab,
    aws: Aws,
    site: Site,
    host: String,
    folder: tempfile::TempDir,
}

impl Guide {
    /// The issuer's two documents as the guide prints them.
    fn new() -> Self {
        let lab = Lab::start();
        let folder = tempfile::tempdir().unwrap();
        let site = Site::start(folder.path());
        let host = site.url.trim_start_matches("https://").to_owned();
        let guide = Self { aws: Aws::of(&lab), lab, site, host, folder };
        guide.discovery(&json!({}));
        let keys = json!({"keys": [signing_key().public_jwk()]});
        std::fs::write(guide.site.folder.join("jwk"), keys.to_string()).unwrap();
        guide
    }

    /// The discovery document, with more fields.
    fn discovery(&self, more: &Value) {
        let url = &self.site.url;
        let mut document = json!({
            "issuer": format!("{url}/"),
            "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/jwk"),
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "grant_types_supported": ["urn:ietf:params:oauth:grant-type:jwt-bearer"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS256", "RS384", "RS512"],
        });
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        std::fs::create_dir_all(self.site.folder.join(".well-known")).unwrap();
        std::fs::write(self.site.folder.join(".well-known/openid-configuration"), document.to_string()).unwrap();
    }

    /// "Then save the file with the file name certificate.crt", "then remove the colons".
    fn thumbprint(&self) -> String {
        self.site.thumbprint().to_uppercase()
    }

    /// `create-open-id-connect-provider.json`.
    fn provider(&self) -> Value {
        json!({
            "Url": format!("{}/", self.site.url),
            "ClientIDList": ["skyportenpoc"],
            "ThumbprintList": [self.thumbprint()],
            "Tags": [{"Key": "skyportenpoc", "Value": "created from cli"}],
        })
    }

    fn provider_arn(&self) -> String {
        format!("arn:aws:iam::123456789012:oidc-provider/{}/", self.host)
    }

    /// `web-identity-trust-policy.json`, with this condition.
    fn trust_policy(&self, condition: &Value) -> Value {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Federated": self.provider_arn()},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": condition},
        }]})
    }

    /// The token as the guide shows it, but for its times: there `exp` lies before `iat`.
    fn token(&self) -> String {
        #[expect(clippy::disallowed_methods, reason = "the lab runs by the real clock")]
        let now = jiff::Timestamp::now().as_second();
        let claims = json!({
            "aud": "https://entur.org", "sub": "0192:917422575", "scope": "entur:foo.1", "iss": format!("{}/", self.site.url),
            "client_amr": "private_key_jwt", "token_type": "Bearer", "exp": now + 120, "iat": now,
            "client_id": "abcd1234-1234-abcd-abcd-12341234abcd", "jti": "lwlwlwlw4lwlwlwlwl4lwlw4-lw-lwl4lwl4lwl4lwl4",
            "consumer": {"authority": "iso6523-actorid-upis", "ID": "0192:917422575"},
        });
        let key = signing_key();
        key.sign_with_header(&json!({"alg": "RS256", "kid": key.public_jwk().kid, "typ": "JWT"}), &claims).unwrap()
    }

    /// AWS's code and text for the token, or nothing when it gives credentials.
    fn assume(&self) -> Option<(String, String)> {
        let (status, body) = self.aws.exchange(ROLE, &self.token());
        (status != 200).then(|| (element(&body, "Code"), element(&body, "Message").replace("&apos;", "'")))
    }

    fn set_trust(&self, condition: &Value) {
        let policy = self.trust_policy(condition).to_string();
        self.aws.iam("UpdateAssumeRolePolicy", &[("RoleName", "skyporten-role"), ("PolicyDocument", &policy)]);
    }

    /// The rules that the doctor finds, with these arguments beside the token.
    fn doctor(&self, arguments: &[&str], live: bool) -> (Option<i32>, Vec<String>, Value) {
        std::fs::write(self.folder.path().join("token"), self.token()).unwrap();
        let ca = self.site.ca_file.to_str().unwrap();
        let first = ["doctor", "--json", "--token", "token", "--aws-role", ROLE, "--ca-file", ca];
        let mut command = program(self.folder.path(), &[&first[..], arguments].concat());
        if live {
            command
                .env("AWS_ENDPOINT_URL", self.lab.get("/clouds/aws/endpoint"))
                .env("AWS_ACCESS_KEY_ID", self.lab.get("/clouds/aws/access_key_id"))
                .env("AWS_SECRET_ACCESS_KEY", self.lab.get("/clouds/aws/secret_access_key"));
        }
        let output = command.output().unwrap();
        let found: Value = serde_json::from_str(&stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
        let rules = found["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == "error");
        let rules = rules.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect();
        (output.status.code(), rules, found)
    }
}

fn signing_key() -> SigningKey {
    SigningKey::from_text(include_str!("../../../protocol/testdata/rsa2048.jwk"), None).unwrap()
}

#[test]
fn w_2_w_3_the_guide_ends_in_its_error_and_the_doctor_names_every_fault() {
    let guide = Guide::new();
    let folder = guide.folder.path();
    std::fs::write(folder.join("create-open-id-connect-provider.json"), guide.provider().to_string()).unwrap();
    let condition = json!({format!("{}:scope", guide.host): "entur:skyss.1"});
    std::fs::write(folder.join("web-identity-trust-policy.json"), guide.trust_policy(&condition).to_string()).unwrap();

    let thumbprint = guide.thumbprint();
    let url = format!("{}/", guide.site.url);
    let tag = [("Tags.member.1.Key", "skyportenpoc"), ("Tags.member.1.Value", "created from cli")];
    let provider = [("Url", url.as_str()), ("ClientIDList.member.1", "skyportenpoc"), ("ThumbprintList.member.1", &thumbprint)];
    let answer = guide.aws.iam("CreateOpenIDConnectProvider", &[&provider[..], &tag].concat());
    assert_eq!(element(&answer, "OpenIDConnectProviderArn"), guide.provider_arn(), "with the slash, as the guide prints it");
    let policy = guide.trust_policy(&condition).to_string();
    guide.aws.iam("CreateRole", &[("RoleName", "skyporten-role"), ("AssumeRolePolicyDocument", &policy)]);

    let (code, text) = guide.assume().expect("the guide's last step is refused");
    assert_eq!(code, "InvalidIdentityToken");
    assert_eq!(
        format!("An error occurred ({code}) when calling the AssumeRoleWithWebIdentity operation: {}", text.replace(",  ", ", ")),
        ERROR
    );

    let files = [
        "--aws-provider",
        "create-open-id-connect-provider.json",
        "--aws-trust-policy",
        "web-identity-trust-policy.json",
        "--error",
        ERROR,
    ];
    for (arguments, live) in [(&files[..], false), (&files[4..], true)] {
        let (exit, rules, found) = guide.doctor(arguments, live);
        assert_eq!((exit, rules), (Some(1), ["D-01", "D-22", "D-24", "D-23", "D-26"].map(str::to_owned).to_vec()), "{found:#}");
        assert_eq!(found["explanations"][0]["rule"], "A-32");
    }
}

#[test]
fn w_3_each_mend_uncovers_the_next_fault_until_the_guide_works() {
    let guide = Guide::new();
    let provider = guide.provider();
    let text = |pointer: &str| provider.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    let (url, thumbprint) = (text("/Url"), text("/ThumbprintList/0"));
    let parameters = [("Url", url.as_str()), ("ClientIDList.member.1", "skyportenpoc"), ("ThumbprintList.member.1", &thumbprint)];
    guide.aws.iam("CreateOpenIDConnectProvider", &parameters);
    let policy = guide.trust_policy(&json!({format!("{}:scope", guide.host): "entur:skyss.1"})).to_string();
    guide.aws.iam("CreateRole", &[("RoleName", "skyporten-role"), ("AssumeRolePolicyDocument", &policy)]);
    assert!(guide.assume().unwrap().1.starts_with("Couldn't retrieve verification key"));

    guide.discovery(&json!({
        "response_types_supported": ["id_token"], "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
    }));
    assert!(guide.assume().unwrap().1.starts_with("The web identity token provided could not be validated"), "the audience");
    assert_eq!(guide.doctor(&[], true).1, ["D-22", "D-24", "D-23", "D-26"]);

    let arn = guide.provider_arn();
    let audience = [("OpenIDConnectProviderArn", arn.as_str()), ("ClientID", "https://entur.org")];
    guide.aws.iam("AddClientIDToOpenIDConnectProvider", &audience);
    assert_eq!(guide.assume().unwrap().0, "AccessDenied", "the scope is no condition key");
    assert_eq!(guide.doctor(&[], true).1, ["D-24", "D-23", "D-26"]);

    guide.set_trust(&json!({format!("{}/:scope", guide.host): "entur:foo.1"}));
    assert_eq!(guide.assume().unwrap().0, "AccessDenied", "not with the right prefix and value either");
    assert_eq!(guide.doctor(&[], true).1, ["D-23", "D-26"]);

    guide.set_trust(&json!({format!("{}:sub", guide.host): "0192:917422575"}));
    assert_eq!(guide.assume().unwrap().0, "AccessDenied", "the slash belongs to the key");
    assert_eq!(guide.doctor(&[], true).1, ["D-24"]);

    guide.set_trust(&json!({format!("{}/:sub", guide.host): "0192:917422575"}));
    assert_eq!(guide.assume(), None, "and the guide works");
    let (exit, rules, found) = guide.doctor(&[], true);
    assert_eq!((exit, rules), (Some(0), Vec::new()), "{found:#}");
}
