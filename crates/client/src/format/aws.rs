//! What AWS's tools read.

use serde::Serialize;
use skybru_core::Secret;

use super::{json, shell, whole_seconds};

use crate::aws::{AwsCredentials, AwsTarget};

/// Variables that would outrank ours, or mix with them, in one SDK or another (A-91, A-94, D-35, D-36): a command that runs with our
/// credentials must not inherit them.
pub const AWS_VARIABLES_TO_REMOVE: [&str; 18] = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_S3",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
];

/// The JSON that a `credential_process` prints (A-92), on one line without a newline.
pub fn aws_process(credentials: &AwsCredentials) -> Secret {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Process<'a> {
        // An integer: a string "1" is refused.
        version: u8,
        access_key_id: &'a str,
        secret_access_key: &'a str,
        session_token: &'a str,
        expiration: String,
        account_id: &'a str,
    }
    json(&Process {
        version: 1,
        access_key_id: &credentials.access_key_id,
        secret_access_key: credentials.secret_access_key.expose(),
        session_token: credentials.session_token.expose(),
        expiration: whole_seconds(credentials.expiration),
        account_id: &credentials.account_id,
    })
}

/// Everything that is known about the credentials, as JSON on one line.
pub fn aws_json(credentials: &AwsCredentials, target: &AwsTarget) -> Secret {
    #[derive(Serialize)]
    struct All<'a> {
        cloud: &'static str,
        access_key_id: &'a str,
        secret_access_key: &'a str,
        session_token: &'a str,
        expiration: String,
        account_id: &'a str,
        role_arn: &'a str,
        assumed_role_arn: &'a str,
        region: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        endpoint: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        subject: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        provider: Option<&'a str>,
    }
    json(&All {
        cloud: "aws",
        access_key_id: &credentials.access_key_id,
        secret_access_key: credentials.secret_access_key.expose(),
        session_token: credentials.session_token.expose(),
        expiration: whole_seconds(credentials.expiration),
        account_id: &credentials.account_id,
        role_arn: target.role.as_str(),
        assumed_role_arn: &credentials.assumed_role_arn,
        region: target.region.as_str(),
        endpoint: target.endpoint.as_deref(),
        subject: credentials.subject.as_deref(),
        provider: credentials.provider.as_deref(),
    })
}

/// The variables for a command that shall use the credentials. [`AWS_VARIABLES_TO_REMOVE`] must be taken out first.
///
/// The region stands twice, because version 1 of the AWS CLI reads only `AWS_DEFAULT_REGION` (A-95).
pub fn aws_environment(credentials: &AwsCredentials, target: &AwsTarget) -> Vec<(&'static str, Secret)> {
    let value = |text: &str| Secret::from(text.to_owned());
    let mut variables = vec![
        ("AWS_ACCESS_KEY_ID", value(&credentials.access_key_id)),
        ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key.clone()),
        ("AWS_SESSION_TOKEN", credentials.session_token.clone()),
        ("AWS_CREDENTIAL_EXPIRATION", Secret::from(whole_seconds(credentials.expiration))),
        ("AWS_REGION", value(target.region.as_str())),
        ("AWS_DEFAULT_REGION", value(target.region.as_str())),
    ];
    if let Some(endpoint) = &target.endpoint {
        // A-94.
        variables.push(("AWS_ENDPOINT_URL", value(endpoint)));
    }
    variables
}

/// Lines for `eval "$(skybru credentials … --format env)"` in a POSIX shell: first `unset`, then one `export` per variable. Ends in a
/// newline.
pub fn aws_shell(credentials: &AwsCredentials, target: &AwsTarget) -> Secret {
    shell(&AWS_VARIABLES_TO_REMOVE, &aws_environment(credentials, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> (AwsCredentials, AwsTarget) {
        let credentials = AwsCredentials {
            access_key_id: "ASIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: Secret::from("s3cr3t/+'x".to_owned()),
            session_token: Secret::from("t0k3n==".to_owned()),
            expiration: "2026-09-11T11:48:26.789Z".parse().unwrap(),
            assumed_role_arn: "arn:aws:sts::123456789012:assumed-role/skyporten-role/0192-917422575".to_owned(),
            account_id: "123456789012".to_owned(),
            subject: Some("0192:917422575;entur:demo".to_owned()),
            provider: None,
        };
        let role = "arn:aws:iam::123456789012:role/skyporten-role".parse().unwrap();
        (credentials, AwsTarget::new(role, "eu-north-1".parse().unwrap()))
    }

    /// A-92: `Version` is the integer 1, the names are these.
    #[test]
    fn a_credential_process_prints_exactly_this() {
        insta::assert_snapshot!(aws_process(&example().0).expose(), @r#"{"Version":1,"AccessKeyId":"ASIAIOSFODNN7EXAMPLE","SecretAccessKey":"s3cr3t/+'x","SessionToken":"t0k3n==","Expiration":"2026-09-11T11:48:26Z","AccountId":"123456789012"}"#);
    }

    #[test]
    fn a_shell_gets_one_word_per_value() {
        let (credentials, mut target) = example();
        target.endpoint = Some("http://localhost:7411".to_owned());
        insta::assert_snapshot!(aws_shell(&credentials, &target).expose(), @r"
        unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN AWS_ROLE_SESSION_NAME AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE AWS_SECURITY_TOKEN AWS_ENDPOINT_URL_STS AWS_ENDPOINT_URL_S3 AWS_IGNORE_CONFIGURED_ENDPOINT_URLS
        export AWS_ACCESS_KEY_ID='ASIAIOSFODNN7EXAMPLE'
        export AWS_SECRET_ACCESS_KEY='s3cr3t/+'\''x'
        export AWS_SESSION_TOKEN='t0k3n=='
        export AWS_CREDENTIAL_EXPIRATION='2026-09-11T11:48:26Z'
        export AWS_REGION='eu-north-1'
        export AWS_DEFAULT_REGION='eu-north-1'
        export AWS_ENDPOINT_URL='http://localhost:7411'
        ");
    }

    #[test]
    fn without_an_endpoint_an_inherited_one_is_taken_out() {
        let (credentials, target) = example();
        let lines = aws_shell(&credentials, &target);
        assert!(lines.expose().lines().next().unwrap().contains(" AWS_ENDPOINT_URL "), "{}", lines.expose());
    }

    #[test]
    fn json_tells_everything() {
        let (credentials, target) = example();
        insta::assert_snapshot!(aws_json(&credentials, &target).expose(), @r#"{"cloud":"aws","access_key_id":"ASIAIOSFODNN7EXAMPLE","secret_access_key":"s3cr3t/+'x","session_token":"t0k3n==","expiration":"2026-09-11T11:48:26Z","account_id":"123456789012","role_arn":"arn:aws:iam::123456789012:role/skyporten-role","assumed_role_arn":"arn:aws:sts::123456789012:assumed-role/skyporten-role/0192-917422575","region":"eu-north-1","subject":"0192:917422575;entur:demo"}"#);
    }
}
