//! The `aws` CLI: set-up as the owner of the account, and everything that a consumer does and may not do.

use std::fs;

use serde_json::{Value, json};

use crate::aws::{Identity, aws, present, refused, works};
use crate::support::{Lab, PROGRAM, RESOURCE, ROLE_ARN, SUBJECT, stderr, stdout};
use crate::tokens::{claims, issuer_key, other_key, token};

const NOT_VALIDATED: &str = "An error occurred (InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity operation: The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements.";
const NOT_AUTHORIZED: &str = "An error occurred (AccessDenied) when calling the AssumeRoleWithWebIdentity operation: Not authorized to perform sts:AssumeRoleWithWebIdentity";

/// from nothing to files in both directions, with the commands of Skyporten's own guide.
#[test]
fn the_whole_guide_works_with_the_real_cli() {
    if !present("aws", &["--version"]) {
        return;
    }
    let lab = Lab::start();
    let host = lab.get("/issuers/skyporten").trim_start_matches("https://").to_owned();
    let provider = format!("arn:aws:iam::123456789012:oidc-provider/{host}");
    let root = Identity::Root;
    // The demonstration has this provider already; the guide begins without.
    works(&lab, &root, &["iam", "delete-open-id-connect-provider", "--open-id-connect-provider-arn", &provider]);
    let url = lab.get("/issuers/skyporten");
    // Without a thumbprint: IAM fetches it itself.
    let create = [
        "iam",
        "create-open-id-connect-provider",
        "--url",
        url,
        "--client-id-list",
        RESOURCE,
        "--query",
        "OpenIDConnectProviderArn",
    ];
    assert_eq!(works(&lab, &root, &create).trim(), format!("{provider:?}"));
    assert!(refused(&lab, &root, &create).contains("EntityAlreadyExists"), "A-12");

    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {format!("{host}:sub"): SUBJECT, format!("{host}:aud"): RESOURCE}}
        }]
    });
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::exchange/in/*"},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::exchange",
             "Condition": {"StringLike": {"s3:prefix": ["in/", "in/*"]}}}
        ]
    });
    let (trust, policy) = (trust.to_string(), policy.to_string());
    let create = ["iam", "create-role", "--role-name", "writer", "--assume-role-policy-document", &trust, "--query", "Role.Arn"];
    assert_eq!(works(&lab, &root, &create).trim(), "\"arn:aws:iam::123456789012:role/writer\"");
    let put = ["iam", "put-role-policy", "--role-name", "writer", "--policy-name", "in", "--policy-document", &policy];
    works(&lab, &root, &put);
    works(&lab, &root, &["s3", "mb", "s3://exchange"]);

    let token = lab.token(&[]);
    let role = "arn:aws:iam::123456789012:role/writer";
    let assume =
        ["sts", "assume-role-with-web-identity", "--role-arn", role, "--role-session-name", "s1", "--web-identity-token", &token];
    let answer: Value = serde_json::from_str(&works(&lab, &Identity::Nobody, &assume)).unwrap();
    assert_eq!(answer["SubjectFromWebIdentityToken"], SUBJECT);
    assert_eq!((&answer["Provider"], &answer["Audience"]), (&json!(provider), &json!(RESOURCE)), "A-25");
    assert!(answer["Credentials"]["AccessKeyId"].as_str().unwrap().starts_with("ASIA"));

    let consumer = Identity::Token { token: &token, role };
    let (file, back) = (lab.folder.join("out.csv"), lab.folder.join("back.csv"));
    // Large enough for a multipart upload.
    let content = "linje;tid\n".repeat(1_000_000);
    fs::write(&file, &content).unwrap();
    works(&lab, &consumer, &["s3", "cp", file.to_str().unwrap(), "s3://exchange/in/æøå og mellomrom.csv"]);
    assert!(works(&lab, &consumer, &["s3", "ls", "s3://exchange/in/"]).contains("æøå og mellomrom.csv"));
    works(&lab, &consumer, &["s3", "cp", "s3://exchange/in/æøå og mellomrom.csv", back.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(back).unwrap(), content);
    let outside = refused(&lab, &consumer, &["s3", "cp", file.to_str().unwrap(), "s3://exchange/out.csv"]);
    assert!(outside.contains("(AccessDenied)") && outside.contains("is not authorized to perform: s3:PutObject"), "{outside}");

    works(&lab, &root, &["iam", "delete-role-policy", "--role-name", "writer", "--policy-name", "in"]);
    assert!(
        refused(&lab, &consumer, &["s3", "ls", "s3://exchange/in/"]).contains("AccessDenied"),
        "what is taken away is gone at once"
    );
}

/// each with AWS's own code and text, as the user of the CLI sees it.
#[test]
fn refusals_reach_the_user_in_awss_words() {
    if !present("aws", &["--version"]) {
        return;
    }
    let lab = Lab::start();
    let assume = |token: &str| {
        let arguments = [
            "sts",
            "assume-role-with-web-identity",
            "--role-arn",
            ROLE_ARN,
            "--role-session-name",
            "s1",
            "--web-identity-token",
            token,
        ];
        aws(&lab, &Identity::Nobody, &arguments)
    };
    let said = |token: &str| {
        let output = assume(token);
        assert!(!output.status.success(), "{}", stdout(&output));
        stderr(&output).trim().to_owned()
    };
    let key = issuer_key(&lab);
    let made = |changes: Value| token(&key, claims(&lab), &changes);
    let now = claims(&lab)["iat"].as_i64().unwrap();
    assert!(assume(&made(json!({}))).status.success(), "the made token is good, so what follows is refused for its change");

    assert_eq!(said(&made(json!({"aud": "https://somebody.else"}))), NOT_VALIDATED, "wrong audience (A-41)");
    assert_eq!(said(&made(json!({"sub": SUBJECT.to_uppercase()}))), NOT_AUTHORIZED, "wrong subject (A-62)");
    let expired = said(&made(json!({"iat": now - 1000, "exp": now - 400})));
    assert!(expired.starts_with("An error occurred (ExpiredTokenException) when calling the AssumeRoleWithWebIdentity operation: Token expired: current date/time "), "A-42: {expired}");
    let unknown = said(&token(&other_key(), claims(&lab), &json!({})));
    assert!(unknown.ends_with("Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"), "A-32: {unknown}");
    let same_name = skybru_protocol::jose::SigningKey::from_text(&other_key().private_jwk().unwrap(), Some(key.kid())).unwrap();
    assert_eq!(said(&token(&same_name, claims(&lab), &json!({}))), NOT_VALIDATED, "wrong signature (A-36)");
    assert!(
        said(&made(json!({"iat": now + 400, "exp": now + 500}))).ends_with(&format!("Token issued in the future: {}", now + 400)),
        "A-43"
    );
    assert!(
        said(&made(json!({"aud": [RESOURCE, "https://b"]})))
            .ends_with("Token audience contains more than one audience while authorized party is not present"),
        "A-40"
    );
    assert!(
        said(&made(json!({"iss": "https://nobody.example"})))
            .ends_with("No OpenIDConnect provider found in your account for https://nobody.example"),
        "A-48"
    );
    assert!(said("not.a.token").contains("The ID Token provided is not a valid JWT."), "A-30");

    let provider =
        format!("arn:aws:iam::123456789012:oidc-provider/{}", lab.get("/issuers/skyporten").trim_start_matches("https://"));
    works(&lab, &Identity::Root, &["iam", "delete-open-id-connect-provider", "--open-id-connect-provider-arn", &provider]);
    let deleted = said(&made(json!({})));
    assert!(deleted.contains("No OpenIDConnect provider found in your account for"), "deleted provider: {deleted}");
}

/// The error that the published guide ends in: the provider's issuer lacks what AWS needs. A wrong thumbprint has its own text.
#[test]
fn thumbprints_and_credentials_are_checked() {
    if !present("aws", &["--version"]) {
        return;
    }
    let lab = Lab::start();
    let provider =
        format!("arn:aws:iam::123456789012:oidc-provider/{}", lab.get("/issuers/skyporten").trim_start_matches("https://"));
    let wrong = "0123456789012345678901234567890123456789";
    let update = [
        "iam",
        "update-open-id-connect-provider-thumbprint",
        "--open-id-connect-provider-arn",
        &provider,
        "--thumbprint-list",
        wrong,
    ];
    works(&lab, &Identity::Root, &update);
    let token = lab.token(&[]);
    let consumer = Identity::Token { token: &token, role: ROLE_ARN };
    let said = refused(&lab, &consumer, &["s3", "ls", "s3://fjordbuss-data/timetables/"]);
    assert!(said.contains("OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint"), "{said}");
    let unsigned = refused(&lab, &Identity::Nobody, &["iam", "list-roles", "--no-sign-request"]);
    assert!(unsigned.contains("MissingAuthenticationToken"), "{unsigned}");
}

/// a profile whose credentials come from skybru.
#[test]
fn a_profile_with_credential_process_works() {
    if !present("aws", &["--version"]) {
        return;
    }
    let lab = Lab::start();
    let config = lab.folder.join("aws-config");
    let settings = lab.get("/demo/config_file");
    let endpoint = lab.get("/clouds/aws/endpoint");
    let text = format!(
        "[profile demo]\nregion = eu-north-1\nendpoint_url = {endpoint}\ncredential_process = {PROGRAM} --config {settings} credentials demo\n"
    );
    fs::write(&config, text).unwrap();
    let profile = Identity::Profile { file: &config, name: "demo" };
    assert!(works(&lab, &profile, &["s3", "ls"]).contains("fjordbuss-data"));
    assert!(works(&lab, &profile, &["s3", "ls", "s3://fjordbuss-data/timetables/"]).contains("line-1.csv"));
    let who = works(&lab, &profile, &["sts", "get-caller-identity", "--query", "Arn", "--output", "text"]);
    assert!(who.starts_with("arn:aws:sts::123456789012:assumed-role/skyporten-timetables/"), "{who}");
    let denied = refused(&lab, &profile, &["s3", "cp", "s3://fjordbuss-data/payroll/2026.csv", "-"]);
    assert!(denied.contains("Forbidden") || denied.contains("AccessDenied"), "{denied}");

    let withdrawn = lab.skybru(&["registry", "access", "revoke", "fjordbuss:timetables.read", "310702641"]).status().unwrap();
    assert!(withdrawn.success());
    let said = refused(&lab, &profile, &["s3", "ls"]);
    assert!(said.contains("Consumer has not been granted access to the scope"), "the user learns why: {said}");
}

/// the CLI's own exchange, with a token file that skybru wrote; and `exec`, which renews by itself.
#[test]
fn web_identity_files_and_exec_work() {
    if !present("aws", &["--version"]) {
        return;
    }
    let lab = Lab::start();
    let token = lab.token(&[]);
    let consumer = Identity::Token { token: &token, role: ROLE_ARN };
    assert!(works(&lab, &consumer, &["s3", "ls"]).contains("fjordbuss-data"));
    assert!(works(&lab, &consumer, &["s3", "cp", "s3://fjordbuss-data/timetables/line-1.csv", "-"]).contains("Bergen"));

    let run = lab
        .skybru(&["exec", "demo", "--", "aws", "s3", "cp", "s3://fjordbuss-data/timetables/line-1.csv", "-"])
        .output()
        .unwrap();
    assert!(stdout(&run).contains("Voss,08:35"), "{}", stderr(&run));
    let run =
        lab.skybru(&["exec", "demo", "--", "aws", "s3", "cp", "s3://fjordbuss-data/payroll/2026.csv", "-"]).output().unwrap();
    assert_eq!(run.status.code(), Some(1), "the command's own code");
}

/// What scripts ask about buckets, objects and policies before they do anything; the words of what is not set are S3's.
#[test]
fn the_cli_asks_about_buckets_objects_and_policies() {
    if !present("aws", &["--version"]) {
        return;
    }
    let lab = Lab::start();
    let bucket = works(&lab, &Identity::Root, &["s3api", "list-buckets", "--query", "Buckets[0].Name", "--output", "text"]);
    let bucket = bucket.trim();
    let of_bucket = |call: &'static str, query: &'static str| {
        let arguments = ["s3api", call, "--bucket", bucket, "--query", query, "--output", "text"];
        works(&lab, &Identity::Root, &arguments).trim().to_owned()
    };
    assert_eq!(of_bucket("get-bucket-versioning", "Status"), "None");
    assert_eq!(of_bucket("get-bucket-acl", "Grants[0].Permission"), "FULL_CONTROL");
    assert_eq!(of_bucket("get-public-access-block", "PublicAccessBlockConfiguration.BlockPublicPolicy"), "True");
    assert_eq!(of_bucket("list-object-versions", "Versions[0].[VersionId, IsLatest]"), "null\tTrue");
    let said = refused(&lab, &Identity::Root, &["s3api", "get-bucket-cors", "--bucket", bucket]);
    assert!(said.contains("(NoSuchCORSConfiguration)") && said.contains("The CORS configuration does not exist"), "{said}");

    let key = of_bucket("list-objects-v2", "Contents[0].Key");
    let object = ["--bucket", bucket, "--key", &key];
    works(
        &lab,
        &Identity::Root,
        &[&["s3api", "put-object-tagging"], &object[..], &["--tagging", "TagSet=[{Key=org,Value=1}]"]].concat(),
    );
    let tags = works(&lab, &Identity::Root, &[&["s3api", "get-object-tagging"], &object[..], &["--output", "text"]].concat());
    assert_eq!(tags.trim(), "TAGSET\torg\t1");

    // The simulator of policies agrees with what the consumer may then do.
    let arn = format!("arn:aws:s3:::{bucket}/timetables/line-1.csv");
    let simulate =
        ["iam", "simulate-principal-policy", "--policy-source-arn", ROLE_ARN, "--resource-arns", &arn, "--action-names"];
    let decide = ["s3:GetObject", "s3:PutObject", "--query", "EvaluationResults[].EvalDecision", "--output", "text"];
    let said = works(&lab, &Identity::Root, &[&simulate[..], &decide].concat());
    assert_eq!(said.trim(), "allowed\timplicitDeny");
    let said = refused(&lab, &Identity::Root, &["sts", "decode-authorization-message", "--encoded-message", "abc"]);
    assert!(said.contains("InvalidAuthorizationMessageException"), "{said}");
}
