//! A tired person's mistakes: each ends in one message that says what to do, with the doctor's rule.

use std::process::Output;

use crate::support::{Lab, stderr};

fn credentials(lab: &Lab, variable: &str, value: &str) -> Output {
    lab.skybru(&["credentials", "demo"]).env(variable, value).output().unwrap()
}

#[test]
fn each_mistake_ends_in_one_message_that_names_the_fix_and_the_rule() {
    let lab = Lab::start();
    for (mistake, variable, value, words, rule) in [
        ("wrong key", "SKYBRU_CLIENTS__DEMO__KEY__FILE", "outsider.jwk", "does not know this key", "D-17"),
        ("wrong scope", "SKYBRU_TARGETS__DEMO__SCOPE", "fjordbuss:nothing", "add the scope to the client", "D-17"),
        ("no access yet", "SKYBRU_TARGETS__DEMO__CLIENT", "outsider", "fjordbuss:timetables.read", "D-17"),
        ("wrong client", "SKYBRU_CLIENTS__DEMO__CLIENT_ID", "0429aed4-82f0-11ee-b962-0242ac120002", "check client-id", "D-16"),
        ("wrong audience", "SKYBRU_TARGETS__DEMO__RESOURCE", "https://other.example.no", "set resource", "D-22"),
        (
            "a role of others",
            "SKYBRU_TARGETS__DEMO__AWS__ROLE_ARN",
            "arn:aws:iam::123456789012:role/payroll",
            "trust policy",
            "D-25",
        ),
    ] {
        let output = credentials(&lab, variable, value);
        let text = stderr(&output);
        assert_eq!(
            (output.status.code(), output.stdout.len()),
            (Some(1), 0),
            "{mistake}: the answer is no, and nothing else: {text}"
        );
        let hints: Vec<&str> = text.lines().filter(|line| line.starts_with("hint: ")).collect();
        assert_eq!(hints.len(), 1, "{mistake}: {text}");
        assert!(hints[0].contains(words) && hints[0].contains(rule), "{mistake}: {text}");
    }
    let issuer = format!("{}/", lab.get("/issuers/skyporten"));
    let output = credentials(&lab, "SKYBRU_CLIENTS__DEMO__ISSUER", &issuer);
    assert!(stderr(&output).contains("slash") && stderr(&output).contains("D-17"), "{}", stderr(&output));
}

/// A token pasted where a name belongs is told off, and not repeated: it would stand in logs and terminals.
#[test]
fn a_token_in_place_of_a_name_is_not_repeated() {
    let lab = Lab::start();
    let token = lab.token(&[]);
    let cut = token[..token.len() / 2].to_owned();
    let bearer = format!("Bearer {token}");
    for arguments in [
        ["doctor", "--token", &token],
        ["doctor", "--token", &cut],
        ["doctor", "--token", &bearer],
        ["doctor", "--offline", &token],
        ["token", "--fresh", &token],
        ["credentials", "--format=json", &token],
    ] {
        let output = lab.skybru(&arguments).output().unwrap();
        let text = stderr(&output);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{text}");
        assert!(!text.contains(&token[60..120]), "{text}");
        assert!(arguments[0] != "doctor" || text.contains("--token -"), "{text}");
    }
}
