//! The set-up of the guide of October 2023, which ended in "Denne integrasjonen fungerer ikke" (it does not work): W-1 to W-3.
//!
//! AWS named one fault. There were four more behind it.

use serde_json::{Value, json};
use skybru_federation::aws::{LintInput, PresentedToken, Setup, lint};

use crate::case::{ACCOUNT, Case, NO_KEY, provider, public_jwk, role_of};

const GUIDE_ISSUER: &str = "https://sky.maskinporten.dev/";
const GUIDE_NOW: i64 = 1_694_222_100;

/// The documents as the guide prints them. Its token shows an `exp` before its `iat`, which the live one cannot have had: AWS would have
/// said so first. Here `iat` is as it must have been.
fn guide() -> Case {
    let discovery: Value = serde_json::from_str(
        r#"{"issuer":"https://sky.maskinporten.dev/","token_endpoint":"https://sky.maskinporten.dev/token",
            "jwks_uri":"https://sky.maskinporten.dev/jwk","token_endpoint_auth_methods_supported":["private_key_jwt"],
            "grant_types_supported":["urn:ietf:params:oauth:grant-type:jwt-bearer"],
            "token_endpoint_auth_signing_alg_values_supported":["RS256","RS384","RS512"]}"#,
    )
    .unwrap();
    Case::but(|case| {
        case.discovery = discovery;
        case.keys = vec![public_jwk()];
        case.claims = json!({
            "aud": "https://entur.org", "sub": "0192:917422575", "scope": "entur:foo.1", "iss": GUIDE_ISSUER,
            "client_amr": "private_key_jwt", "token_type": "Bearer", "exp": 1_694_222_211, "iat": 1_694_222_091,
            "client_id": "abcd1234-1234-abcd-abcd-12341234abcd", "jti": "lwlwlwlw4lwlwlwlwl4lwlw4-lw-lwl4lwl4lwl4lwl4",
            "consumer": {"authority": "iso6523-actorid-upis", "ID": "0192:917422575"},
        });
        case.now = GUIDE_NOW;
        case.providers = vec![provider(GUIDE_ISSUER, &["skyportenpoc"])];
        case.role = Some(role_of(&json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/sky.maskinporten.dev/")},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {"sky.maskinporten.dev:scope": "entur:skyss.1"}},
        }]})));
        case.form.insert("DurationSeconds", "900".to_owned());
        case.form.insert("RoleSessionName", "skyporten-role-session".to_owned());
    })
}

#[test]
fn w_1_w_2_aws_said_that_it_could_not_retrieve_the_key() {
    guide().is_no_identity("A-50", NO_KEY);
}

#[test]
fn w_3_mended_one_by_one_each_fault_uncovers_the_next() {
    let mut case = guide();
    case.discovery["response_types_supported"] = json!(["id_token"]);
    case.discovery["subject_types_supported"] = json!(["public"]);
    case.discovery["id_token_signing_alg_values_supported"] = json!(["RS256"]);
    assert_eq!(case.refused().3, "A-41", "the audience was never registered");
    case.providers = vec![provider(GUIDE_ISSUER, &["https://entur.org"])];
    case.is_not_authorized();
    let trust = |condition: Value| {
        role_of(&json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/sky.maskinporten.dev/")},
            "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition,
        }]}))
    };
    case.role = Some(trust(json!({"StringEquals": {"sky.maskinporten.dev/:scope": "entur:foo.1"}})));
    case.is_not_authorized();
    case.role = Some(trust(json!({"StringEquals": {"sky.maskinporten.dev:sub": "0192:917422575"}})));
    case.is_not_authorized();
    case.role = Some(trust(json!({"StringEquals": {"sky.maskinporten.dev/:sub": "0192:917422575"}})));
    case.accepted();
}

#[test]
fn w_2_w_3_the_lint_names_all_faults_at_once() {
    let case = guide();
    let token = PresentedToken::parse(&case.token()).unwrap();
    let discovery = serde_json::from_value(case.discovery.clone()).unwrap();
    let input = LintInput {
        discovery: Some(&discovery),
        keys: Some(&case.key_set()),
        token: Some(&token),
        now: Some(GUIDE_NOW),
        setup: Setup { provider: case.providers.first(), role: case.role.as_ref(), ..Setup::default() },
        ..LintInput::default()
    };
    let findings = lint(input);
    let rules: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
    // D-02 is advice here: the slash at the end of the issuer.
    assert_eq!(rules, ["D-02", "D-01", "D-22", "D-24", "D-23", "D-26"]);
    let of = |rule: &str| findings.iter().find(|finding| finding.rule == rule).unwrap();
    for field in ["response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"] {
        assert!(of("D-01").what.contains(field) && of("D-01").fix.contains(field));
    }
    assert_eq!((of("D-22").expected.as_deref(), of("D-22").found.as_deref()), (Some("https://entur.org"), Some("skyportenpoc")));
    assert!(of("D-23").what.contains("scope") && of("D-23").fix.contains("sky.maskinporten.dev/:sub"));
    assert_eq!(of("D-24").expected.as_deref(), Some("sky.maskinporten.dev/:scope"));
    assert!(of("D-26").fix.contains("0192:917422575"));
}

/// W-5: what the guide of September 2024 changed is enough, with the document that it prints only where the three lists are not asked for.
#[test]
fn w_5_what_the_later_guide_changed_lets_the_consumer_in() {
    const ISSUER: &str = "https://test.sky.maskinporten.no";
    let mut case = guide();
    case.claims["iss"] = ISSUER.into();
    case.claims["sub"] = "0192:917422575;entur:foo.1".into();
    case.discovery["issuer"] = ISSUER.into();
    case.discovery["jwks_uri"] = format!("{ISSUER}/jwk").into();
    case.providers = vec![provider(ISSUER, &["https://entur.org"])];
    case.role = Some(role_of(&json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/test.sky.maskinporten.no")},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {"test.sky.maskinporten.no:sub": "0192:917422575;entur:foo.1"}},
    }]})));
    case.is_no_identity("A-50", NO_KEY);
    case.rules.strict_discovery = false;
    case.accepted();
}
