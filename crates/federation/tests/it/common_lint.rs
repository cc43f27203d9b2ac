//! The rules that all clouds share: each finding says what every cloud makes of it, and is as bad as the clouds in question take it.

use serde_json::json;
use skybru_federation::aws::Setup;
use skybru_federation::catalogue::Cloud;
use skybru_federation::lint::{LintInput, Verdict, bare_token, lint};
use skybru_federation::{Finding, Severity};

use crate::case::{AUDIENCE, Case, NOW, provider};

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
