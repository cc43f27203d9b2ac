//! `skybru doctor`: from a target, from files, from an error text.

use serde_json::Value;

use crate::support::{Lab, program, stderr, stdout};

/// The rules that were found, in order.
fn rules(text: &str) -> Vec<String> {
    let found: Value = serde_json::from_str(text).unwrap();
    found["findings"].as_array().unwrap().iter().map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_target_that_works_has_no_findings() {
    let lab = Lab::start();
    let output = lab.skybru(&["doctor", "demo"]).output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("nothing wrong was found"));
    assert!(stdout(&output).contains("advice D-04 in localhost"), "no public root vouches for the lab: {}", stdout(&output));
}

#[test]
fn a_refused_target_is_explained() {
    let lab = Lab::start();
    let ask = |change: (&str, &str)| {
        let output = lab.skybru(&["doctor", "demo", "--json"]).env(change.0, change.1).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        rules(&stdout(&output))
    };
    assert_eq!(ask(("SKYBRU_TARGETS__DEMO__SCOPE", "fjordbuss:nothing"))[0], "D-17");
    assert_eq!(ask(("SKYBRU_TARGETS__DEMO__RESOURCE", "https://else.example.no"))[0], "D-22");
}

/// The trust policy of the guide of 2023 looked at the scope, which AWS never shows (D-23), and so bound nobody (D-26).
#[test]
fn a_trust_policy_is_read_against_a_token() {
    let lab = Lab::start();
    std::fs::write(lab.folder.join("token"), lab.token(&[])).unwrap();
    let host = lab.get("/issuers/skyporten").trim_start_matches("https://");
    let policy = |condition: &str| {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Federated":"arn:aws:iam::123456789012:oidc-provider/{host}"}},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{{"StringEquals":{{{condition}}}}}}}]}}"#
        );
        std::fs::write(lab.folder.join("trust.json"), text).unwrap();
        let arguments = [
            "doctor",
            "--json",
            "--offline",
            "--token",
            "token",
            "--aws-trust-policy",
            "trust.json",
            "--aws-role",
            "arn:aws:iam::123456789012:role/r",
        ];
        rules(&stdout(&program(&lab.folder, &arguments).output().unwrap()))
    };
    let found = policy(&format!(r#""{host}:scope": "fjordbuss:timetables.read""#));
    assert!(found.contains(&"D-23".to_owned()) && found.contains(&"D-26".to_owned()), "{found:?}");
    let found = policy(&format!(r#""{host}:sub": "0192:310702641-fjordbuss:timetables.read""#));
    assert!(found.contains(&"D-25".to_owned()), "{found:?}");
    assert_eq!(policy(&format!(r#""{host}:sub": "0192:310702641;fjordbuss:timetables.read""#)), Vec::<String>::new());
    assert!(!stdout(&program(&lab.folder, &["doctor", "--offline", "--token", "token"]).output().unwrap()).contains("eyJ"));
    let shown = program(&lab.folder, &["doctor", "--offline", "--token", "token", "--show-token"]).output().unwrap();
    assert!(stdout(&shown).contains("eyJ"), "only when it is asked for");
    let output = program(&lab.folder, &["doctor", "--offline", "--aws-trust-policy", "trust.json"]).output().unwrap();
    let text = stdout(&output);
    assert!(text.contains("statement 1 can let in 0192:310702641; subjects: 0192:310702641;fjordbuss:timetables.read"), "{text}");
}

#[test]
fn an_error_text_alone_is_enough_for_a_guess() {
    let folder = tempfile::tempdir().unwrap();
    let ask = |text: &str| {
        let output = program(folder.path(), &["doctor", "--json", "--error", text]).output().unwrap();
        rules(&stdout(&output))
    };
    let seed = "An error occurred (InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity operation: Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements";
    assert_eq!(ask(seed)[0], "D-01", "the error that nobody could explain, with one blank as in the guide");
    assert_eq!(ask("Incorrect token audience")[0], "D-22", "the old wording");
    let unknown = program(folder.path(), &["doctor", "--error", "it rains"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(1), "not to know is not the same as to find nothing");
    assert!(stdout(&unknown).contains("no rule explains the error text"));
    let nothing = program(folder.path(), &["doctor"]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(2));
    assert!(stderr(&nothing).contains("nothing to look at"), "{}", stderr(&nothing));
}

/// The texts of findings whose rule this is.
fn texts(text: &str, rule: &str) -> Vec<String> {
    let found: Value = serde_json::from_str(text).unwrap();
    let of_rule = found["findings"].as_array().unwrap().iter().filter(|finding| finding["rule"] == rule);
    of_rule.map(ToString::to_string).collect()
}

#[test]
fn what_the_cloud_itself_says_is_looked_at_when_the_environment_has_keys() {
    let lab = Lab::start();
    let ask = |resource: &str| {
        let output = lab
            .skybru(&["doctor", "demo", "--json"])
            .env("AWS_ACCESS_KEY_ID", lab.get("/clouds/aws/access_key_id"))
            .env("AWS_SECRET_ACCESS_KEY", lab.get("/clouds/aws/secret_access_key"))
            .env("SKYBRU_TARGETS__DEMO__RESOURCE", resource)
            .output()
            .unwrap();
        (output.status.code(), stdout(&output))
    };
    let (code, text) = ask("https://else.example.no");
    assert_eq!((code, rules(&text)[0].as_str()), (Some(1), "D-22"));
    assert!(texts(&text, "D-22")[0].contains("AWS IAM"), "read at the cloud, not guessed: {text}");
    assert!(!rules(&text).contains(&"D-18".to_owned()), "guesses go when something that was seen explains the error: {text}");
    let (code, text) = ask("https://skyporten.example.no");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("\"reach\""), "and the role's trust policy was read: {text}");
    assert!(rules(&text).contains(&"D-33".to_owned()), "the lab's role is seconds old: {text}");
}

#[test]
fn the_environments_traps_are_found_with_the_files_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "not.a.token\n").unwrap();
    let output = program(folder.path(), &["doctor", "--environment", "--json"])
        .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "hunter2")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", &file)
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r")
        .output()
        .unwrap();
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    for rule in ["D-35", "D-36", "D-19"] {
        assert!(rules(&text).contains(&rule.to_owned()), "{rule}: {text}");
    }
    assert!(!text.contains("hunter2"));
}

#[test]
fn an_aws_configuration_file_is_read_as_the_tools_read_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(".aws")).unwrap();
    let config = "[profile demo]\ncredential_process = ~/bin/skybru credentials demo\nrole_session_name = 0192:917422575\n";
    std::fs::write(folder.path().join(".aws/config"), config).unwrap();
    let output = program(folder.path(), &["doctor", "--json", "--aws-config"]).output().unwrap();
    assert_eq!(rules(&stdout(&output)), ["D-28", "D-35"], "{}", stderr(&output));
    let arguments = ["doctor", "--aws-config", ".aws/config", "--aws-profile", "other"];
    let other = program(folder.path(), &arguments).output().unwrap();
    assert_eq!(other.status.code(), Some(2));
    assert!(stderr(&other).contains("there are: demo"), "{}", stderr(&other));
}

#[test]
fn a_share_file_is_looked_at_beside_a_token() {
    let lab = Lab::start();
    std::fs::write(lab.folder.join("token"), lab.token(&[])).unwrap();
    let share = |org: &str| {
        let issuer = lab.get("/issuers/skyporten");
        let text = format!(
            "apiVersion: skybru.dev/v1\nkind: Share\nmetadata: {{ name: timetables }}\nspec:\n  issuer: {issuer}\n  scope: fjordbuss:timetables.read\n  audience: https://skyporten.example.no\n  consumers:\n    - {{ org: \"{org}\", access: read, until: 2099-06-30 }}\n  aws: {{ account: \"123456789012\", region: eu-north-1, bucket: b, prefix: p/ }}\n"
        );
        std::fs::write(lab.folder.join("share.yaml"), text).unwrap();
        let arguments = ["doctor", "share.yaml", "--token", "token", "--json", "--ca-file", lab.get("/ca_file")];
        let output = program(&lab.folder, &arguments).output().unwrap();
        assert!(stderr(&output).is_empty(), "{}", stderr(&output));
        (output.status.code(), rules(&stdout(&output)))
    };
    let (code, found) = share("0192:310702641");
    assert_eq!(code, Some(0), "{found:?}");
    let (code, found) = share("0192:889640782");
    assert_eq!((code, found[0].as_str()), (Some(1), "D-25"));
    let wrong = lab.folder.join("wrong.yaml");
    std::fs::write(&wrong, "apiVersion: v1\nkind: Pod\nspec: {issuer: x, scope: a:b}\n").unwrap();
    let output = program(&lab.folder, &["doctor", "wrong.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("expected apiVersion: skybru.dev/v1"), "{}", stderr(&output));
}

/// A token of somebody's Skyporten, for files that need no lab.
fn write_token(folder: &std::path::Path) {
    let key = skybru_protocol::jose::SigningKey::from_text(include_str!("../../../protocol/testdata/rsa2048.jwk"), None).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the doctor runs by the real clock")]
    let now = jiff::Timestamp::now().as_second();
    let claims = serde_json::json!({
        "iss": "https://sky.example.no", "aud": "https://skyporten.example.no", "sub": "0192:917422575;entur:demo",
        "scope": "entur:demo", "iat": now, "exp": now + 600, "consumer": {"authority": "iso6523-actorid-upis", "ID": "0192:917422575"},
    });
    std::fs::write(folder.join("token"), key.sign(Some("JWT"), &claims).unwrap()).unwrap();
}

/// The rules that the doctor finds in these files, beside the token, and what it printed.
fn offline(folder: &std::path::Path, arguments: &[&str]) -> (Vec<String>, String) {
    let output = program(folder, &[&["doctor", "--json", "--offline", "--token", "token"], arguments].concat()).output().unwrap();
    let text = stdout(&output);
    assert!(!text.is_empty(), "{}", stderr(&output));
    (rules(&text), text)
}

#[test]
fn what_google_has_been_told_is_read_as_gcloud_prints_it() {
    let folder = tempfile::tempdir().unwrap();
    write_token(folder.path());
    let pool = "projects/100000000001/locations/global/workloadIdentityPools/sharing";
    let provider = |issuer: &str| {
        let value = serde_json::json!({
            "name": format!("{pool}/providers/skyporten"), "state": "ACTIVE",
            "attributeMapping": {"google.subject": "assertion.sub", "attribute.org": "assertion.consumer.ID"},
            "attributeCondition": "assertion.scope == 'entur:demo'",
            "oidc": {"issuerUri": issuer, "allowedAudiences": ["https://skyporten.example.no"]},
        });
        std::fs::write(folder.path().join("provider.json"), value.to_string()).unwrap();
    };
    let policy = |member: &str| {
        let member = format!("principalSet://iam.googleapis.com/{pool}/{member}");
        let value = serde_json::json!({"version": 1, "bindings": [{"role": "roles/storage.objectViewer", "members": [member]}]});
        std::fs::write(folder.path().join("policy.json"), value.to_string()).unwrap();
    };
    let files = ["--google-provider", "provider.json", "--google-policy", "policy.json"];
    provider("https://sky.example.no");
    policy("attribute.org/0192:917422575");
    let (found, text) = offline(folder.path(), &files);
    assert_eq!(found, [""; 0], "{text}");
    assert!(text.contains("\"917422575\""), "whom the binding lets in is shown: {text}");
    provider("https://sky.example.no/");
    assert!(offline(folder.path(), &files).0.contains(&"D-43".to_owned()));
    provider("https://sky.example.no");
    policy("attribute.org/917422575");
    assert!(offline(folder.path(), &files).0.contains(&"D-47".to_owned()));
    let file = serde_json::json!({
        "type": "external_account", "audience": format!("//iam.googleapis.com/{}", pool.replace("100000000001", "my-project")),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"executable": {"command": "/opt/my tools/skybru token demo"}},
    });
    std::fs::write(folder.path().join("credentials.json"), file.to_string()).unwrap();
    let (found, text) = offline(folder.path(), &["--credential-file", "credentials.json"]);
    assert!(found.contains(&"D-40".to_owned()) && found.contains(&"D-52".to_owned()), "{text}");
}

#[test]
fn what_entra_has_been_told_is_read_as_az_prints_it() {
    let folder = tempfile::tempdir().unwrap();
    write_token(folder.path());
    let credential = |issuer: &str, subject: &str| {
        let value = serde_json::json!([{
            "name": "timetables", "issuer": issuer, "subject": subject, "audiences": ["https://skyporten.example.no"],
        }]);
        std::fs::write(folder.path().join("credentials.json"), value.to_string()).unwrap();
        offline(folder.path(), &["--entra-credential", "credentials.json"])
    };
    let (found, text) = credential("https://sky.example.no", "0192:917422575;entur:demo");
    assert_eq!(found, [""; 0], "{text}");
    assert_eq!(credential("sky.example.no", "0192:917422575;entur:demo").0[0], "D-60");
    assert_eq!(credential("https://sky.example.no", "0192:917422575").0[0], "D-61");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the program under test looks at the real clock")]
fn a_key_that_ends_within_a_month_is_named_before_it_ends() {
    let lab = Lab::start();
    let file = lab.folder.join("client.jwk");
    let mut key: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let now = jiff::Timestamp::now().as_second();
    for (days, said, severity, code) in
        [(200, None, "", 0), (12, Some("ends in 11 days"), "warning", 1), (-2, Some("has ended"), "error", 1)]
    {
        key["exp"] = (now + days * 86_400 - 60).into();
        std::fs::write(&file, key.to_string()).unwrap();
        let output = lab.skybru(&["doctor", "demo", "--offline", "--json"]).output().unwrap();
        let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        let all = report["findings"].as_array().unwrap();
        let finding = all.iter().find(|finding| finding["where"] == "the client's key");
        assert_eq!((finding.is_some(), output.status.code()), (said.is_some(), Some(code)), "{report}");
        if let (Some(finding), Some(said)) = (finding, said) {
            assert!(finding["what"].as_str().unwrap().contains(said), "{finding}");
            assert!(finding["fix"].as_str().unwrap().contains("rotate-key demo"), "{finding}");
            assert_eq!(finding["severity"], severity, "{finding}");
        }
    }
}

/// D-74 from files: whose lists they are, and what `az storage fs access show` printed of the root, a folder and the path.
#[test]
fn lists_of_a_data_lake_are_read_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &serde_json::Value| std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    let who = "11111111-2222-4333-8444-555555555555";
    write("identity.json", &serde_json::json!({"clientId": "c", "principalId": who, "tenantId": "t", "name": "innsikt"}));
    let list = |named: &str| {
        let acl = format!("user::rwx,user:{who}:{named},group::r-x,mask::rwx,other::---");
        serde_json::json!({"acl": acl, "owner": "$superuser", "group": "$superuser", "permissions": "rwxr-x---+"})
    };
    let ask = |lists: &serde_json::Value| {
        write("lists.json", lists);
        let output = program(
            folder.path(),
            &["doctor", "--offline", "--json", "--entra-identity", "identity.json", "--azure-lists", "lists.json"],
        )
        .output()
        .unwrap();
        let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
        let rules: Vec<String> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| format!("{} {}", finding["rule"].as_str().unwrap(), finding["where"].as_str().unwrap()))
            .collect();
        (output.status.code().unwrap(), rules)
    };
    assert_eq!(ask(&serde_json::json!([list("--x"), list("--x"), list("r--")])), (0, Vec::new()));
    assert_eq!(ask(&serde_json::json!([list("--x"), list("r--"), list("r--")])), (1, vec!["D-74 lists.json".to_owned()]));
    let (code, rules) = ask(&serde_json::json!([list("--x"), list("--x"), list("---")]));
    assert_eq!((code, rules[0].split(' ').next()), (1, Some("E-66")), "{rules:?}");
    write("lists.json", &serde_json::json!({"permissions": "rwx"}));
    let output =
        program(folder.path(), &["doctor", "--offline", "--entra-identity", "identity.json", "--azure-lists", "lists.json"])
            .output()
            .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("lists.json: expected acl and owner, as az storage fs access show prints them"),
        "{}",
        stderr(&output)
    );
}
