//! The consumer's tools against a lab.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Lab, RESOURCE, SCOPE, SUBJECT, stderr, stdout};

#[test]
fn a_consumer_gets_a_token_and_has_it_explained() {
    let lab = Lab::start();
    let token = lab.token(&[]);
    assert_eq!(token.split('.').count(), 3, "stdout is the token alone");

    let answer = lab.skybru(&["token", "demo", "--json"]).output().unwrap();
    let answer: Value = serde_json::from_str(&stdout(&answer)).unwrap();
    assert_eq!((answer["token_type"].as_str(), answer["scope"].as_str()), (Some("Bearer"), Some(SCOPE)));

    let inspected = lab.skybru(&["inspect", &token, "--json"]).output().unwrap();
    assert!(inspected.status.success(), "{}", stderr(&inspected));
    let inspected: Value = serde_json::from_str(&stdout(&inspected)).unwrap();
    assert_eq!(inspected["signature"]["state"], "verified");
    assert_eq!((&inspected["claims"]["sub"], &inspected["claims"]["aud"]), (&SUBJECT.into(), &RESOURCE.into()));
}

#[test]
fn a_pasted_token_is_cleaned_and_says_so() {
    let lab = Lab::start();
    let pasted = format!("Bearer {}\n\n", lab.token(&[]));
    let inspected = lab.skybru(&["inspect", &pasted]).output().unwrap();
    assert!(inspected.status.success());
    assert!(stderr(&inspected).contains("took off the word Bearer"), "{}", stderr(&inspected));

    let forged = lab.token(&[]).replace(".ey", ".eyJ");
    let inspected = lab.skybru(&["inspect", &forged]).output().unwrap();
    assert!(!inspected.status.success(), "a changed token is not verified");
}

#[test]
fn credentials_come_in_the_forms_that_aws_tools_read() {
    let lab = Lab::start();
    let process = lab.skybru(&["credentials", "demo"]).output().unwrap();
    assert!(process.status.success(), "{}", stderr(&process));
    let process: Value = serde_json::from_str(&stdout(&process)).unwrap();
    assert_eq!(process["Version"], 1, "an integer (A-92)");
    assert!(process["AccessKeyId"].as_str().unwrap().starts_with("ASIA"));
    for member in ["SecretAccessKey", "SessionToken", "Expiration"] {
        assert!(process[member].is_string(), "{member}");
    }
    let env = stdout(&lab.skybru(&["credentials", "demo", "--format", "env"]).output().unwrap());
    assert!(env.starts_with("unset ") && env.contains("\nexport AWS_SESSION_TOKEN='"), "{}", env.len());
}

#[test]
fn files_are_listed_copied_and_printed() {
    let lab = Lab::start();
    let listed = stdout(&lab.skybru(&["ls", "demo:timetables/"]).output().unwrap());
    assert!(listed.trim_end().ends_with("timetables/line-1.csv"), "{listed}");
    let listed = stdout(&lab.skybru(&["ls", "s3://fjordbuss-data/timetables/", "--json"]).output().unwrap());
    let object: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(object["size"], 39);

    let copied = lab.skybru(&["cp", "demo:timetables/line-1.csv", "."]).output().unwrap();
    assert!(copied.status.success(), "{}", stderr(&copied));
    let content = fs::read_to_string(lab.folder.join("line-1.csv")).unwrap();
    assert_eq!(stdout(&lab.skybru(&["cat", "demo:timetables/line-1.csv"]).output().unwrap()), content);

    let refused = lab.skybru(&["cat", "demo:payroll/2026.csv"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "the answer is no");
    assert!(stderr(&refused).contains("is not authorized to perform: s3:GetObject"), "in S3's words: {}", stderr(&refused));
}

#[test]
fn a_prefix_is_kept_alike_and_nothing_is_deleted_that_may_not_be() {
    let lab = Lab::start();
    let dry = lab.skybru(&["sync", "demo:timetables", "here", "--dry-run"]).output().unwrap();
    assert!(stdout(&dry).starts_with("copy s3://fjordbuss-data/timetables/line-1.csv to "), "{}", stderr(&dry));
    assert!(!lab.folder.join("here").exists());
    for (said, nothing_new) in [("copied 1 file, 39 B; 0 unchanged", false), ("copied 0 files, 0 B; 1 unchanged", true)] {
        let synced = lab.skybru(&["sync", "demo:timetables", "here"]).output().unwrap();
        assert!(synced.status.success() && stderr(&synced).contains(said), "again: {nothing_new}, {}", stderr(&synced));
    }
    let copied = lab.skybru(&["cp", "-r", "demo:timetables", "csv", "--exclude", "*.csv"]).output().unwrap();
    assert!(stderr(&copied).contains("copied 0 files"), "{}", stderr(&copied));

    let empty = lab.skybru(&["sync", "demo:timetables/mistyped", "here", "--delete"]).output().unwrap();
    assert_eq!(empty.status.code(), Some(2));
    assert!(stderr(&empty).contains("--delete-all") && lab.folder.join("here/line-1.csv").exists(), "{}", stderr(&empty));

    let removed = lab.skybru(&["rm", "demo:timetables/line-1.csv"]).output().unwrap();
    assert_eq!(removed.status.code(), Some(1), "the answer is no");
    assert!(stderr(&removed).contains("s3:DeleteObject"), "{}", stderr(&removed));
    let dry = lab.skybru(&["rm", "-r", "demo:timetables", "--dry-run"]).output().unwrap();
    assert_eq!(stdout(&dry).trim(), "delete s3://fjordbuss-data/timetables/line-1.csv");
    let whole = lab.skybru(&["rm", "-r", "demo:"]).output().unwrap();
    assert_eq!(whole.status.code(), Some(2), "a whole bucket is not deleted by leaving out a word");
}

#[test]
fn exec_passes_the_code_on_and_hands_out_no_secret_by_environment() {
    let lab = Lab::start();
    let run = lab.skybru(&["exec", "demo", "--", "sh", "-c", "env; exit 7"]).env("AWS_PROFILE", "mine").output().unwrap();
    assert_eq!(run.status.code(), Some(7));
    let environment = stdout(&run);
    assert!(environment.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:"), "{environment}");
    assert!(!environment.contains("AWS_PROFILE") && !environment.contains("AWS_SECRET_ACCESS_KEY"), "{environment}");

    let missing = lab.skybru(&["exec", "demo", "--", "no-such-program"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).contains("cannot run \"no-such-program\""));
}

/// A-93: who asks without the token that the command was given, or by another name, gets nothing.
#[test]
fn the_commands_credentials_are_for_the_command_alone() {
    let lab = Lab::start();
    let ask = r#"
        ask() { curl -s -o /dev/null -w '%{http_code} ' "$@" "$AWS_CONTAINER_CREDENTIALS_FULL_URI"; }
        ask -H "Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN"
        ask
        ask -H "Authorization: wrong"
        ask -H "Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN" -H "Host: attacker.example"
    "#;
    let run = lab.skybru(&["exec", "demo", "--", "sh", "-c", ask]).stderr(Stdio::inherit()).output().unwrap();
    assert_eq!(stdout(&run).trim(), "200 403 403 403");
}

#[test]
fn settings_tell_where_they_come_from() {
    let lab = Lab::start();
    let shown = lab.skybru(&["config", "show", "--origin"]).env("SKYBRU_TARGETS__DEMO__SCOPE", "a:b").output().unwrap();
    let shown = stdout(&shown);
    assert!(shown.contains("targets.demo.scope = \"a:b\"    # variable SKYBRU_TARGETS__DEMO__SCOPE"), "{shown}");
    assert!(shown.contains("skybru.toml"), "{shown}");
    let completions = lab.skybru(&["completions", "bash"]).output().unwrap();
    assert!(stdout(&completions).contains("credentials"));
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let skybru = |arguments: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_skybru")).args(arguments).current_dir(folder.path()).output().unwrap()
    };
    let page = stdout(&skybru(&["man", "issuer", "mint"]));
    assert!(page.contains(".TH") && page.contains("mint"), "{page}");
    let wrong = skybru(&["man", "isuer"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("it has: try, up, token"), "{}", stderr(&wrong));

    assert!(skybru(&["man", "--dir", "pages"]).status.success());
    for page in ["skybru.1", "skybru-doctor.1", "skybru-issuer-mint.1"] {
        assert!(folder.path().join("pages").join(page).is_file(), "{page}");
    }
}
