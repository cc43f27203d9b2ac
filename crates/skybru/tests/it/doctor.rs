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
}

#[test]
fn a_refused_target_is_explained() {
    let lab = Lab::start();
    let ask = |change: (&str, &str)| {
        let output = lab.skybru(&["doctor", "demo", "--json"]).env(change.0, change.1).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        rules(&stdout(&output))
    };
    assert_eq!(ask(("SKYBRU_TARGETS__DEMO__SCOPE", "fjordbuss:nothing")), ["D-17"]);
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
    let nothing = program(folder.path(), &["doctor"]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(2));
    assert!(stderr(&nothing).contains("nothing to look at"), "{}", stderr(&nothing));
}
