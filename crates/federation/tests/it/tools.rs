//! What tools read on the consumer's machine.

use std::collections::BTreeMap;

use skybru_federation::tools::{AwsConfigError, Variables, lint_aws_config, lint_environment};
use skybru_federation::{Finding, Severity};

fn environment(variables: &[(&str, &str)]) -> Vec<Finding> {
    let all: BTreeMap<String, String> = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    lint_environment(Variables::new(&all))
}

#[track_caller]
fn rules(variables: &[(&str, &str)], expected: &[&str]) {
    let found: Vec<&str> = environment(variables).iter().map(|finding| finding.rule).collect();
    assert_eq!(found, expected, "{variables:?}");
}

#[track_caller]
fn config(text: &str, expected: &[&str]) {
    let found = lint_aws_config(text, None).unwrap();
    assert_eq!(found.iter().map(|finding| finding.rule).collect::<Vec<_>>(), expected, "{text}");
}

const TEMPORARY: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "ASIAX"), ("AWS_SECRET_ACCESS_KEY", "hunter2"), ("AWS_SESSION_TOKEN", "t")];
const STATIC: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIAX"), ("AWS_SECRET_ACCESS_KEY", "hunter2")];

#[test]
fn a_machine_without_variables_has_no_traps() {
    rules(&[], &[]);
    rules(&TEMPORARY, &[]);
    rules(&[("AWS_ACCESS_KEY_ID", "")], &[]);
}

#[test]
fn d_35_the_static_key_wins_over_everything_else() {
    rules(&[&TEMPORARY[..], &[("AWS_WEB_IDENTITY_TOKEN_FILE", "f"), ("AWS_ROLE_ARN", "r")]].concat(), &["D-35"]);
    rules(&[&TEMPORARY[..], &[("AWS_PROFILE", "p")]].concat(), &["D-35"]);
    rules(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "f")], &["D-35"]);
}

#[test]
fn d_36_a_key_that_was_left_behind() {
    rules(&STATIC, &["D-36"]);
    rules(&TEMPORARY[..2], &["D-36"]);
    rules(&[&STATIC[..], &TEMPORARY[2..]].concat(), &["D-36"]);
    for finding in environment(&STATIC) {
        assert!(!format!("{finding:?}").contains("hunter2"));
    }
}

#[test]
fn a_93_the_containers_address_is_https_or_on_this_machine_and_its_token_is_one_line() {
    let full = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    let token = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
    rules(&[(full, "http://127.0.0.1:1/c"), (token, "t")], &[]);
    rules(&[(full, "http://169.254.170.23/v1/credentials"), (token, "t")], &[]);
    rules(&[(full, "http://agent.example.no/c"), (token, "t")], &["D-35"]);
    rules(&[(full, "http://localhost:1/c")], &["D-35"]);
    rules(&[(full, "http://localhost:1/c"), (token, "t\n")], &["D-19"]);
    let beside = [(full, "http://localhost:1/c"), (token, "t"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "f"), ("AWS_ROLE_ARN", "r")];
    rules(&beside, &["D-35"]);
}

#[test]
fn a_94_a_95_where_calls_go_and_in_which_region() {
    rules(&[("AWS_REGION", "eu-north-1")], &["A-95"]);
    rules(&[("AWS_REGION", "eu-north-1"), ("AWS_DEFAULT_REGION", "eu-north-1")], &[]);
    rules(&[("AWS_ENDPOINT_URL", "http://localhost:1")], &["A-94"]);
    rules(&[("AWS_ENDPOINT_URL", "http://localhost:1"), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")], &[]);
}

#[test]
fn e_70_to_e_76_azures_variables_belong_together() {
    let token = ("AZURE_FEDERATED_TOKEN_FILE", "f");
    let (tenant, client) = (("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c"));
    rules(&[token, tenant, client], &[]);
    rules(&[token, tenant], &["E-71"]);
    rules(&[tenant, client], &["E-71"]);
    rules(&[token, tenant, client, ("AZURE_CLIENT_SECRET", "hunter2")], &["E-71"]);
    rules(&[token, tenant, client, ("AZURE_AUTHORITY_HOST", "http://localhost:1")], &["E-72"]);
    rules(&[("IDENTITY_ENDPOINT", "http://localhost:1")], &["E-76"]);
}

#[test]
fn g_70_to_g_73_what_googles_tools_read_and_what_they_do_not() {
    rules(&[("GOOGLE_APPLICATION_CREDENTIALS", "f"), ("GCE_METADATA_HOST", "localhost:1")], &["G-73", "G-73"]);
    let files = [("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "a"), ("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "b")];
    rules(&files, &["G-70"]);
    rules(&[("CLOUDSDK_AUTH_TOKEN_HOST", "https://sts.example.no")], &["G-71"]);
    rules(&[("STORAGE_EMULATOR_HOST", "http://localhost:1")], &["G-73"]);
}

#[test]
fn a_90_to_a_92_profiles_of_the_configuration_file() {
    config("[profile good]\ncredential_process = /usr/bin/skybru credentials timetables\nregion = eu-north-1\n", &[]);
    config("[default]\nweb_identity_token_file=/t\nrole_arn=arn:aws:iam::1:role/r\n# note\n", &[]);
    config("[default]\nweb_identity_token_file=/t\n", &["D-35"]);
    config("[profile a]\nweb_identity_token_file=/t\nrole_arn=r\nsource_profile=x\n", &["D-35"]);
    config("[profile a]\ncredential_process = ~/bin/skybru credentials demo | tee log\n", &["D-35", "D-35"]);
    config("[a]\ncredential_process = skybru credentials demo\n", &["D-35"]);
    config("[profile a]\nrole_session_name = 0192:917422575\nduration_seconds = 60\n", &["D-28", "D-29"]);
    config("[profile a]\naws_access_key_id = AKIA\ncredential_process = x\n", &["D-36"]);
    config("[profile a]\ns3 =\n  max_concurrent_requests = 20\n[sso-session x]\nsso_region = y\n", &[]);
}

#[test]
fn a_91_a_token_file_and_a_helper_in_one_profile() {
    config("[profile a]\nweb_identity_token_file=/t\nrole_arn=r\ncredential_process=x\n", &["D-35"]);
}

#[test]
fn a_configuration_that_the_tools_could_not_read_names_its_line() {
    assert_eq!(lint_aws_config("[default]\nnonsense\n", None), Err(AwsConfigError::Line { line: 2 }));
    assert_eq!(lint_aws_config("region = x\n", None), Err(AwsConfigError::Homeless { line: 1 }));
    let error = lint_aws_config("[profile a]\n[profile b]\n", Some("c")).unwrap_err();
    assert_eq!(error.to_string(), "there is no profile \"c\"; there are: a, b");
}

#[test]
fn one_profile_is_looked_at_when_it_is_named() {
    let text = "[profile a]\nweb_identity_token_file=/t\n[profile b]\nregion=x\n";
    assert_eq!(lint_aws_config(text, Some("b")).unwrap(), []);
    assert_eq!(lint_aws_config(text, Some("a")).unwrap()[0].severity, Severity::Error);
}
