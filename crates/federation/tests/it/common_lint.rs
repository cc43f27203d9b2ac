//! The rules that all clouds share: each finding says what every cloud makes of it, and is as bad as the clouds in question take it.

use serde_json::json;
use skybru_federation::aws::Setup;
use skybru_federation::catalogue::Cloud;
use skybru_federation::lint::{LintInput, SeenToken, SharedResource, Verdict, bare_token, lint, lint_share};
use skybru_federation::{Finding, Severity};

use crate::case::{AUDIENCE, Case, ISSUER, NOW, provider};

fn lint_token(case: &Case) -> Vec<Finding> {
    lint(LintInput { token_text: Some(&case.token()), now: Some(NOW), ..LintInput::default() })
}

fn verdicts(finding: &Finding) -> Vec<(Cloud, Verdict, &'static str)> {
    finding.clouds.iter().map(|effect| (effect.cloud, effect.verdict, effect.rule)).collect()
}

#[test]
fn a_good_token_has_no_findings_for_any_cloud() {
    assert_eq!(lint_token(&Case::good()), []);
    assert_eq!(lint(LintInput::default()), []);
}

#[test]
fn d_08_an_algorithm_is_as_bad_as_the_clouds_in_question_take_it() {
    let case = Case::but(|case| case.header["alg"] = "RS384".into());
    let finding = lint_token(&case).remove(0);
    assert_eq!(finding.severity, Severity::Warning, "one cloud takes it, and nobody said which is meant");
    assert_eq!(
        verdicts(&finding),
        [
            (Cloud::Aws, Verdict::Accepts, "A-30"),
            (Cloud::Google, Verdict::Refuses, "G-20"),
            (Cloud::Azure, Verdict::Refuses, "E-41"),
        ]
    );
    let nobody = Case::but(|case| case.header["alg"] = "PS256".into());
    assert_eq!(lint_token(&nobody)[0].severity, Severity::Error);
}

#[test]
fn d_09_only_entra_minds_the_type_of_an_access_token() {
    let case = Case::but(|case| case.header["typ"] = "at+jwt".into());
    let findings = lint_token(&case);
    let refusing: Vec<Cloud> =
        findings[0].clouds.iter().filter(|effect| effect.verdict == Verdict::Refuses).map(|effect| effect.cloud).collect();
    assert_eq!((findings[0].rule, refusing), ("D-09", vec![Cloud::Azure]));
    let long = Case::but(|case| case.header["typ"] = "http://openid.net/specs/jwt/1.0".into());
    assert_eq!(lint_token(&long), [], "Entra names this one in its own text");
}

#[test]
fn d_16_a_token_of_the_test_environment_at_the_provider_of_production() {
    let provider = provider("https://sky.example.no", &[AUDIENCE]);
    let case = Case::claiming(&json!({"iss": "https://test.sky.example.no"}));
    let input = LintInput {
        token_text: Some(&case.token()),
        aws: Some(Setup { provider: Some(&provider), ..Setup::default() }),
        ..LintInput::default()
    };
    let rules: Vec<&str> = lint(input).iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["D-16"], "and not D-20: the URL is right, for the other environment");
}

#[test]
fn d_19_the_bare_token_is_found_in_whatever_was_written_around_it() {
    let good = Case::good().token();
    for text in [format!("\u{feff}{good}\r\n"), format!("\"Bearer {good}\""), json!({"access_token": good}).to_string()] {
        assert_eq!(bare_token(&text), good);
    }
}

fn share() -> SharedResource<'static> {
    SharedResource {
        issuer: ISSUER,
        scope: "entur:skyporten.demo",
        audience: Some(AUDIENCE),
        consumers: vec![("0192:917422575", Some(NOW + 1))],
        clouds: vec![Cloud::Aws],
    }
}

#[track_caller]
fn share_has(share: &SharedResource<'_>, token: Option<&Case>, expected: &[&str]) {
    let token = token.map(|case| SeenToken::read(&case.token()).unwrap());
    let found = lint_share(share, token.as_ref(), Some(NOW));
    assert_eq!(found.iter().map(|finding| finding.rule).collect::<Vec<_>>(), expected, "{found:#?}");
}

#[test]
fn a_share_that_fits_its_consumers_token_has_no_findings() {
    share_has(&share(), Some(&Case::good()), &[]);
}

#[test]
fn d_02_d_12_d_14_d_18_d_67_a_share_is_looked_at_before_anything_is_created() {
    share_has(&SharedResource { issuer: "https://sky.example.no/", ..share() }, None, &["D-02"]);
    share_has(&SharedResource { audience: None, ..share() }, None, &["D-18"]);
    share_has(&SharedResource { consumers: vec![("917422575", Some(NOW - 1))], ..share() }, None, &["D-12"]);
    let scope = format!("entur:{}", "s".repeat(120));
    share_has(&SharedResource { scope: &scope, clouds: vec![Cloud::Google], ..share() }, None, &["D-14"]);
    let numbers: Vec<String> = (0..21).map(|n| format!("0192:9174225{n:02}")).collect();
    let consumers: Vec<(&str, Option<i64>)> = numbers.iter().map(|number| (number.as_str(), None)).collect();
    share_has(&SharedResource { consumers: consumers.clone(), clouds: vec![Cloud::Azure], ..share() }, None, &["D-67"]);
    share_has(&SharedResource { consumers, ..share() }, None, &[]);
}

#[test]
fn d_16_d_25_d_61_d_62_a_token_that_the_share_is_not_for() {
    let other = Case::claiming(&json!({"sub": "0192:889640782;entur:skyporten.demo"}));
    share_has(&share(), Some(&other), &["D-25"]);
    let azure = SharedResource { clouds: vec![Cloud::Azure], ..share() };
    share_has(&azure, Some(&other), &["D-61"]);
    share_has(&azure, Some(&Case::claiming(&json!({"aud": "x"}))), &["D-62"]);
    share_has(&share(), Some(&Case::claiming(&json!({"iss": "https://test.sky.example.no"}))), &["D-16"]);
    share_has(&share(), Some(&Case::claiming(&json!({"iss": "https://sky.example.no/"}))), &["D-02"]);
}
