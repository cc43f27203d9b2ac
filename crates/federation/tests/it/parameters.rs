//! The call's parameters: A-22, A-23, A-55, A-60, A-61, A-63.

use serde_json::json;
use skybru_federation::aws::{AwsError, Parameters};

use crate::case::{Case, NOT_AUTHORIZED, ROLE_ARN};

#[track_caller]
fn says(name: &'static str, value: &str, text: &str) {
    let case = Case::but(|case| drop(case.form.insert(name, value.to_owned())));
    let text = format!("1 validation error detected: Value {text}");
    assert_eq!(case.refused(), ("ValidationError", 400, text, "A-60"));
}

#[test]
fn a_60_what_is_missing_must_not_be_null() {
    let read = |present: &[(&str, &str)]| {
        let get = |name: &str| present.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Parameters::read(get, Vec::new()).unwrap_err().message
    };
    let null = |name: &str| {
        format!("1 validation error detected: Value at '{name}' failed to satisfy constraint: Member must not be null")
    };
    assert_eq!(read(&[]), null("roleArn"));
    assert_eq!(read(&[("RoleArn", ROLE_ARN)]), null("roleSessionName"));
    assert_eq!(read(&[("RoleArn", ROLE_ARN), ("RoleSessionName", "ab")]), null("webIdentityToken"));
}

#[test]
fn a_60_a_session_name_has_its_pattern() {
    says(
        "RoleSessionName",
        "bad session!!",
        r"'bad session!!' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*",
    );
}

#[test]
fn a_23_an_organisation_id_with_its_colon_is_no_session_name() {
    for wrong in ["0192:917422575", "a/b", "a;b"] {
        let (code, _, text, _) = Case::but(|case| drop(case.form.insert("RoleSessionName", wrong.to_owned()))).refused();
        assert_eq!(code, "ValidationError");
        assert!(text.contains(wrong));
    }
    for fine in ["917422575", "0192-917422575", "a+=,.@-_b", &"x".repeat(64)] {
        Case::but(|case| {
            case.form.insert("RoleSessionName", fine.to_owned());
        })
        .accepted();
    }
}

#[test]
fn a_22_a_60_lengths_have_limits() {
    says(
        "RoleSessionName",
        "x",
        "at 'roleSessionName' failed to satisfy constraint: Member must have length greater than or equal to 2",
    );
    let long = "x".repeat(65);
    says(
        "RoleSessionName",
        &long,
        "at 'roleSessionName' failed to satisfy constraint: Member must have length less than or equal to 64",
    );
    says(
        "RoleArn",
        "arn:aws:iam",
        "at 'roleArn' failed to satisfy constraint: Member must have length greater than or equal to 20",
    );
    says(
        "WebIdentityToken",
        "abc",
        "at 'webIdentityToken' failed to satisfy constraint: Member must have length greater than or equal to 4",
    );
    let huge = "a".repeat(20_001);
    says(
        "WebIdentityToken",
        &huge,
        "at 'webIdentityToken' failed to satisfy constraint: Member must have length less than or equal to 20000",
    );
}

#[test]
fn a_60_a_duration_lies_between_a_quarter_of_an_hour_and_twelve_hours() {
    let constraint = "at 'durationSeconds' failed to satisfy constraint: Member must have value";
    says("DurationSeconds", "100", &format!("'100' {constraint} greater than or equal to 900"));
    says("DurationSeconds", "43201", &format!("'43201' {constraint} less than or equal to 43200"));
    Case::but(|case| drop(case.form.insert("DurationSeconds", "900".to_owned()))).accepted();
}

#[test]
fn a_61_a_role_may_allow_less() {
    let text = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
    let case = Case::but(|case| drop(case.form.insert("DurationSeconds", "3601".to_owned())));
    assert_eq!(case.refused(), ("ValidationError", 400, text.to_owned(), "A-61"));
}

#[test]
fn a_22_ten_managed_policies_are_the_most() {
    let read = |count: usize| -> Result<Parameters, AwsError> {
        let get = |name: &str| match name {
            "RoleArn" => Some(ROLE_ARN.to_owned()),
            "RoleSessionName" => Some("session".to_owned()),
            "WebIdentityToken" => Some("token".to_owned()),
            _ => None,
        };
        Parameters::read(get, vec!["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned(); count])
    };
    assert!(read(10).is_ok());
    assert_eq!(read(11).unwrap_err().code, "ValidationError");
}

#[test]
fn a_55_a_provider_id_is_for_other_kinds_of_tokens() {
    let case = |id: &str| Case::but(|case| drop(case.form.insert("ProviderId", id.to_owned()))).refused();
    assert_eq!(case("www.amazon.com").2, "Provided Token is not a Login With Amazon token");
    assert_eq!((case("graph.facebook.com").0, case("graph.facebook.com").1), ("IDPRejectedClaim", 403));
    assert_eq!((case("sky.example.no").0, case("sky.example.no").2.as_str()), ("AccessDenied", NOT_AUTHORIZED));
}

#[test]
fn a_63_a_session_policy_must_be_one() {
    let policy = |text: String| Case::but(|case| drop(case.form.insert("Policy", text)));
    let fine = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]});
    let accepted = policy(fine.to_string()).accepted();
    assert_eq!(accepted.session_policy, Some(fine.to_string()));
    let (code, status, _, rule) = policy("{}".to_owned()).refused();
    assert_eq!((code, status, rule), ("MalformedPolicyDocument", 400, "A-63"));
}

#[test]
fn a_63_a_policy_and_a_long_subject_may_be_too_much_together() {
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::b/{}", "x".repeat(1800))}]});
    let case = Case::but(|case| {
        case.form.insert("Policy", policy.to_string());
        case.claims["sub"] = "s".repeat(600).into();
        case.role = Some(crate::case::role(&json!({"Null": {"sky.example.no:sub": "false"}})));
    });
    let (code, status, text, _) = case.refused();
    assert_eq!((code, status), ("PackedPolicyTooLarge", 400));
    assert!(
        text.starts_with("Packed policy consumes 1") && text.ends_with("% of allotted space, please use smaller policy."),
        "{text}"
    );
}
