//! An issuer without a server, end to end: keys, two documents on a static site, provider and role at AWS, a token, the file. And the
//! errors on the way.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::aws::{Aws, Keys, element};
use crate::support::site::Site;
use crate::support::{Lab, program, stderr, stdout};

const ROLE: &str = "arn:aws:iam::123456789012:role/from-my-own-issuer";
const AUDIENCE: &str = "my-client-id";

/// Runs `skybru issuer …`, which must succeed, and gives what it printed.
#[track_caller]
fn issuer(folder: &Path, arguments: &[&str]) -> String {
    let output = program(folder, &[&["issuer"], arguments].concat()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output).trim().to_owned()
}

/// Runs it, and expects this exit code.
#[track_caller]
fn refused(folder: &Path, code: i32, arguments: &[&str]) -> String {
    let output = program(folder, &[&["issuer"], arguments].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}{}", stdout(&output), stderr(&output));
    stderr(&output)
}

struct Private {
    folder: tempfile::TempDir,
    site: Site,
}

impl Private {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::start(folder.path());
        issuer(folder.path(), &["init", "--static", "id", "--url", &site.url]);
        Self { folder, site }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn publish(&self) -> String {
        issuer(self.path(), &["publish", "site", "--dir", "id", "--ca-file", self.site.ca_file.to_str().unwrap()])
    }

    fn mint(&self, subject: &str, audience: &str) -> String {
        issuer(self.path(), &["mint", "--dir", "id", "--subject", subject, "--audience", audience])
    }

    fn host(&self) -> &str {
        self.site.url.trim_start_matches("https://")
    }
}

/// Provider, role, and a bucket that the role may read.
fn set_up(aws: &Aws, private: &Private) {
    let thumbprint = issuer(private.path(), &["thumbprint", "--dir", "id"]);
    let provider =
        [("Url", private.site.url.as_str()), ("ClientIDList.member.1", AUDIENCE), ("ThumbprintList.member.1", &thumbprint)];
    aws.iam("CreateOpenIDConnectProvider", &provider);
    let host = private.host();
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": format!("arn:aws:iam::123456789012:oidc-provider/{host}")},
        "Condition": {"StringEquals": {format!("{host}:sub"): "laptop", format!("{host}:aud"): AUDIENCE}}}]});
    aws.iam("CreateRole", &[("RoleName", "from-my-own-issuer"), ("AssumeRolePolicyDocument", &trust.to_string())]);
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::mine/*"}]});
    let parameters = [("RoleName", "from-my-own-issuer"), ("PolicyName", "read"), ("PolicyDocument", &policy.to_string())];
    aws.iam("PutRolePolicy", &parameters);
    assert_eq!(aws.s3(None, "PUT", "/mine", "").0, 200);
    assert_eq!(aws.s3(None, "PUT", "/mine/file.txt", "what I wanted").0, 200);
}

fn keys(answer: &(u16, String)) -> Keys {
    assert_eq!(answer.0, 200, "{}", answer.1);
    let text = |name| element(&answer.1, name);
    Keys { id: text("AccessKeyId"), secret: text("SecretAccessKey"), token: Some(text("SessionToken")) }
}

/// AWS's code for a refusal.
fn code(answer: &(u16, String)) -> String {
    assert_ne!(answer.0, 200, "{}", answer.1);
    element(&answer.1, "Code")
}

#[test]
fn a_folder_and_a_static_site_are_enough_for_aws() {
    let lab = Lab::start();
    let (aws, private) = (Aws::of(&lab), Private::new());
    let text = refused(private.path(), 1, &["mint", "--dir", "id", "--subject", "laptop", "--audience", AUDIENCE]);
    assert!(text.contains("none has been seen published"), "a key that nobody can find signs nothing: {text}");
    assert!(private.publish().contains("may sign"));
    set_up(&aws, &private);

    let credentials = keys(&aws.exchange(ROLE, &private.mint("laptop", AUDIENCE)));
    assert_eq!(aws.s3(Some(&credentials), "GET", "/mine/file.txt", ""), (200, "what I wanted".to_owned()));

    assert_eq!(code(&aws.exchange(ROLE, &private.mint("desktop", AUDIENCE))), "AccessDenied");
    assert_eq!(code(&aws.exchange(ROLE, &private.mint("laptop", "another-client"))), "InvalidIdentityToken");
    let arn = format!("arn:aws:iam::123456789012:oidc-provider/{}", private.host());
    let wrong = [("OpenIDConnectProviderArn", arn.as_str()), ("ThumbprintList.member.1", &"0".repeat(40))];
    aws.iam("UpdateOpenIDConnectProviderThumbprint", &wrong);
    let answer = aws.exchange(ROLE, &private.mint("laptop", AUDIENCE));
    assert!(element(&answer.1, "Message").contains("thumbprint"), "{}", answer.1);
}

#[test]
fn the_documents_are_what_the_clouds_need_and_no_more() {
    let private = Private::new();
    private.publish();
    let read = |name: &str| -> Value { serde_json::from_slice(&std::fs::read(private.site.folder.join(name)).unwrap()).unwrap() };
    let discovery = read(".well-known/openid-configuration");
    assert_eq!(discovery["issuer"], private.site.url);
    for field in ["response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"] {
        assert!(discovery[field].is_array(), "{field}");
    }
    let keys = read(".well-known/jwks.json");
    let mut members: Vec<&String> = keys["keys"][0].as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"], "P-9");
}

#[test]
fn a_site_that_shows_something_else_keeps_the_key_from_signing() {
    let private = Private::new();
    let look = ["publish", "--dir", "id", "--wait", "0", "--ca-file", private.site.ca_file.to_str().unwrap()];
    let text = refused(private.path(), 2, &look);
    assert!(text.contains("does not show the documents") && text.contains("404"), "{text}");
    private.publish();
    let file = private.site.folder.join(".well-known/openid-configuration");
    let mut document: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    document.as_object_mut().unwrap().remove("subject_types_supported");
    std::fs::write(&file, document.to_string()).unwrap();
    let text = refused(private.path(), 2, &look);
    assert!(text.contains("D-01") && text.contains("subject_types_supported"), "{text}");
}

#[test]
fn keys_rotate_no_faster_than_caches_run_out_but_in_an_emergency() {
    let lab = Lab::start();
    let (aws, private) = (Aws::of(&lab), Private::new());
    private.publish();
    set_up(&aws, &private);
    let old = private.mint("laptop", AUDIENCE);
    let rotate = ["keys", "rotate", "--dir", "id"];
    assert!(issuer(private.path(), &rotate).starts_with("prepared"));
    assert!(refused(private.path(), 1, &rotate).contains("has not been seen published"));
    private.publish();
    assert!(refused(private.path(), 1, &rotate).contains("may sign from"), "a cache may still lack it");
    keys(&aws.exchange(ROLE, &private.mint("laptop", AUDIENCE)));

    let emergency = ["keys", "rotate", "--dir", "id", "--emergency"];
    assert!(refused(private.path(), 2, &emergency).contains("verifiers with a cached key set"), "it says first what breaks");
    issuer(private.path(), &[&emergency[..], &["--yes"]].concat());
    private.publish();
    keys(&aws.exchange(ROLE, &private.mint("laptop", AUDIENCE)));
    assert_eq!(code(&aws.exchange(ROLE, &old)), "InvalidIdentityToken", "the lost key is gone");
    let listed: Value = serde_json::from_str(&issuer(private.path(), &["keys", "list", "--dir", "id", "--json"])).unwrap();
    let states: Vec<&str> = listed["keys"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["retired", "active"]);
    assert_eq!(std::fs::read_dir(private.path().join("id/keys")).unwrap().count(), 1, "the lost key's file is gone");
}

#[test]
fn wrong_use_says_what_was_expected() {
    let private = Private::new();
    for (expected, arguments) in [
        ("holds an issuer already", &["init", "--static", "id", "--url", "https://id.example.no"][..]),
        ("ends in a slash", &["init", "--static", "new", "--url", "https://id.example.no/"]),
        ("expected 2048, 3072 or 4096", &["init", "--static", "new", "--url", "https://id.example.no", "--key-bits", "1024"]),
        ("there is no issuer.toml", &["mint", "--subject", "a", "--audience", "b"]),
        ("expected NAME=VALUE", &["mint", "--dir", "id", "--subject", "a", "--audience", "b", "--claim", "x"]),
    ] {
        let text = refused(private.path(), 2, arguments);
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
    private.publish();
    let reserved = ["mint", "--dir", "id", "--subject", "a", "--audience", "b", "--claim", "exp=1"];
    assert!(refused(private.path(), 2, &reserved).contains("claim exp cannot be set"));
    let long = ["mint", "--dir", "id", "--subject", "a", "--audience", "b", "--lifetime", "3600"];
    assert!(refused(private.path(), 2, &long).contains("live at most 600 seconds"));
    let settings = private.path().join("id/issuer.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("lifetime = 3\n{text}")).unwrap();
    assert!(refused(private.path(), 2, &["keys", "list", "--dir", "id"]).contains("unknown field `lifetime`"));
}

/// The bucket's own tools and variables are enough; documents get the type that clouds expect.
#[test]
fn publishing_to_a_bucket_writes_the_same_documents() {
    let lab = Lab::start();
    let (aws, private) = (Aws::of(&lab), Private::new());
    assert_eq!(aws.s3(None, "PUT", "/site", "").0, 200);
    let output = program(private.path(), &["issuer", "publish", "s3://site/oidc", "--dir", "id", "--wait", "0"])
        .env("AWS_ACCESS_KEY_ID", lab.get("/clouds/aws/access_key_id"))
        .env("AWS_SECRET_ACCESS_KEY", lab.get("/clouds/aws/secret_access_key"))
        .env("AWS_REGION", "eu-north-1")
        .env("AWS_ENDPOINT_URL", lab.get("/clouds/aws/endpoint"))
        .output()
        .unwrap();
    assert!(stderr(&output).contains("written to s3://site/oidc"), "{}", stderr(&output));
    let (status, text) = aws.s3(None, "GET", "/site/oidc/.well-known/openid-configuration", "");
    assert_eq!(status, 200, "{text}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["issuer"], private.site.url);
}

/// A key file is what `age-keygen` makes too; what it sealed cannot be used without it.
#[test]
fn private_keys_are_sealed_at_rest_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path());
    let key = issuer(folder.path(), &["keys", "seal-key"]);
    assert!(key.contains("AGE-SECRET-KEY-1"), "an age key file");
    std::fs::write(folder.path().join("seal.key"), key).unwrap();
    issuer(folder.path(), &["init", "--static", "id", "--url", &site.url, "--seal-key-file", "seal.key"]);
    let files: Vec<_> = std::fs::read_dir(folder.path().join("id/keys")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(std::fs::read(&files[0]).unwrap().starts_with(b"age-encryption.org/v1\n"));
    issuer(folder.path(), &["publish", "site", "--dir", "id", "--ca-file", site.ca_file.to_str().unwrap()]);
    let mint = ["mint", "--dir", "id", "--subject", "a", "--audience", "b"];
    issuer(folder.path(), &mint);
    std::fs::write(folder.path().join("seal.key"), issuer(folder.path(), &["keys", "seal-key"])).unwrap();
    assert!(refused(folder.path(), 2, &mint).contains("sealed with another passphrase or key file"));
}

/// RADOS Gateway reads the first key's certificate and nothing else.
#[test]
fn the_key_set_for_ceph_has_a_certificate_at_every_key() {
    let private = Private::new();
    let publish = ["publish", "site", "--dir", "id", "--profile", "ceph", "--ca-file", private.site.ca_file.to_str().unwrap()];
    issuer(private.path(), &publish);
    let read = || -> Value {
        serde_json::from_slice(&std::fs::read(private.site.folder.join(".well-known/jwks.json")).unwrap()).unwrap()
    };
    let first = read();
    assert_eq!(first["keys"][0]["x5c"].as_array().unwrap().len(), 1, "{first}");
    issuer(private.path(), &["keys", "rotate", "--dir", "id"]);
    issuer(private.path(), &publish);
    let both = read();
    assert_eq!(both["keys"].as_array().unwrap().len(), 2);
    assert_eq!(both["keys"][0], first["keys"][0], "the active key stands first, with the same certificate");
    assert!(both["keys"][1]["x5c"][0].is_string());
    private.mint("laptop", AUDIENCE);
}

/// The document behind this command makes its key with OpenSSL, and shows what a wrong audience leads to.
#[test]
fn a_key_that_openssl_made_can_be_brought_along_and_the_documents_error_is_explained() {
    let private = Private::new();
    private.publish();
    let pem = include_str!("../../../signer/testdata/other.pem");
    std::fs::write(private.path().join("private.pem"), pem).unwrap();
    let kid = issuer(private.path(), &["keys", "rotate", "--dir", "id", "--key", "private.pem", "--json"]);
    let kid: Value = serde_json::from_str(&kid).unwrap();
    private.publish();
    issuer(private.path(), &["keys", "rotate", "--dir", "id", "--emergency", "--yes"]);
    private.publish();
    let token = private.mint("test-subject-user", "my-client-id");
    let header = skybru_protocol::jose::Jws::parse(&token).unwrap().header().kid.clone();
    assert_eq!(header.as_deref(), kid["prepared"].as_str());
    assert_eq!(std::fs::read_dir(private.path().join("id/keys")).unwrap().count(), 1, "the old key's file is gone");

    let text =
        "An error occurred (InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity operation: Incorrect token audience";
    let output = program(private.path(), &["doctor", "--error", text]).output().unwrap();
    let said = stdout(&output);
    assert!(said.contains("audience"), "{said}{}", stderr(&output));
}
