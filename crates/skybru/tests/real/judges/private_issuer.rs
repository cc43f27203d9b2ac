//! An issuer that is a folder and a static site, judged by Ceph: `skybru issuer` makes keys, documents and tokens, the aws CLI makes
//! provider and role, exchanges the token and copies a file.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::ceph::{self, Ceph};
use super::issuer::certificate;
use crate::aws::present;
use crate::support::site::Site;
use crate::support::{program, stderr, stdout};

const ROLE: &str = "arn:aws:iam:::role/RoleForCustomOIDCProvider";

/// The aws CLI in a home of its own: it keeps credentials by role, not by token.
struct Cli<'a> {
    ceph: &'a Ceph,
    token: Option<&'a str>,
}

impl Cli<'_> {
    fn run(&self, arguments: &[&str]) -> Output {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new("aws");
        command.args(arguments).env_clear().env("HOME", home.path()).env("AWS_DEFAULT_REGION", "us-east-1").env("AWS_PAGER", "");
        for (name, value) in std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "LANG") {
            command.env(name, value);
        }
        command.env("AWS_ENDPOINT_URL", &self.ceph.endpoint).env("AWS_MAX_ATTEMPTS", "1");
        if let Some(token) = self.token {
            let file = home.path().join("token");
            std::fs::write(&file, token).unwrap();
            command.env("AWS_WEB_IDENTITY_TOKEN_FILE", file).env("AWS_ROLE_ARN", ROLE).env("AWS_ROLE_SESSION_NAME", "laptop");
        } else {
            let keys = self.ceph.keys();
            command.env("AWS_ACCESS_KEY_ID", keys.id).env("AWS_SECRET_ACCESS_KEY", keys.secret);
        }
        command.output().unwrap()
    }

    #[track_caller]
    fn works(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "aws {arguments:?}: {}", stderr(&output));
        stdout(&output)
    }
}

#[track_caller]
fn issuer(folder: &Path, arguments: &[&str]) -> String {
    let output = program(folder, &[&["issuer"], arguments].concat()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output).trim().to_owned()
}

/// Ceph 16 reads a key's certificate and nothing else; anybody can make one over a public key.
fn add_certificate(site: &Site) {
    let path = site.folder.join(".well-known/jwks.json");
    let mut keys: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    keys["keys"][0]["x5c"] = json!([certificate(&keys["keys"][0])]);
    std::fs::write(path, keys.to_string()).unwrap();
}

#[test]
fn a_folder_a_static_site_and_the_aws_cli_are_enough_for_ceph() {
    if !ceph::is_here() || !present("aws", &["--version"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path());
    let ca = site.ca_file.to_str().unwrap();
    issuer(folder.path(), &["init", "--static", "id", "--url", &site.url]);
    issuer(folder.path(), &["publish", "site", "--dir", "id", "--ca-file", ca]);
    add_certificate(&site);
    let ceph = Ceph::start(&site.ca_file);
    let owner = Cli { ceph: &ceph, token: None };

    let host = site.url.trim_start_matches("https://");
    let thumbprint = site.thumbprint();
    let provider = format!("arn:aws:iam:::oidc-provider/{host}");
    let create = [
        "iam",
        "create-open-id-connect-provider",
        "--url",
        &site.url,
        "--client-id-list",
        "my-client-id",
        "--thumbprint-list",
        &thumbprint,
    ];
    assert!(owner.works(&create).contains(&provider));
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["sts:AssumeRoleWithWebIdentity"],
        "Principal": {"Federated": [provider]}, "Condition": {"StringLike": {format!("{host}:sub"): "test-subject-user"}}}]});
    let name = "RoleForCustomOIDCProvider";
    owner.works(&["iam", "create-role", "--role-name", name, "--assume-role-policy-document", &trust.to_string()]);
    let policy =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]}]});
    owner.works(&["iam", "put-role-policy", "--role-name", name, "--policy-name", "p", "--policy-document", &policy.to_string()]);

    let mint = |subject: &str, audience: &str| {
        issuer(folder.path(), &["mint", "--dir", "id", "--subject", subject, "--audience", audience])
    };
    let token = mint("test-subject-user", "my-client-id");
    let consumer = Cli { ceph: &ceph, token: Some(&token) };
    let (file, back) = (folder.path().join("file.txt"), folder.path().join("back.txt"));
    std::fs::write(&file, "what I wanted").unwrap();
    consumer.works(&["s3", "mb", "s3://mine-alone"]);
    consumer.works(&["s3", "cp", "--no-progress", file.to_str().unwrap(), "s3://mine-alone/file.txt"]);
    consumer.works(&["s3", "cp", "--no-progress", "s3://mine-alone/file.txt", back.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(back).unwrap(), "what I wanted");

    for (subject, audience) in [("someone-else", "my-client-id"), ("test-subject-user", "another-client")] {
        let token = mint(subject, audience);
        let output = Cli { ceph: &ceph, token: Some(&token) }.run(&["s3", "ls", "s3://mine-alone"]);
        assert!(!output.status.success(), "{subject} {audience} was let in");
    }
}
