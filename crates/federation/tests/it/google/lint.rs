//! The doctor's rules for Google, D-40 to D-54, each on its own.

use serde_json::{Value, json};
use skybru_federation::Finding;
use skybru_federation::google::policy::Policy;
use skybru_federation::google::{LintInput, Pool, Provider, Setup, State, lint};
use skybru_protocol::jose::JwkSet;

use super::case::{ACCOUNT, Case, ISSUER, NOW, POOL, PROVIDER, other_jwk, policy, pool, provider, set, workforce_provider};

const MEMBER: &str = "attribute.clientaccess/client::0192:917422575::entur:skyporten.demo";

/// Everything that the doctor may be given, in order.
struct Patient {
    file: Value,
    pool: Pool,
    provider: Provider,
    discovery: Value,
    keys: JwkSet,
    token: String,
    account_policy: Policy,
    resource_policy: Policy,
    executables_allowed: Option<bool>,
}

impl Patient {
    fn healthy() -> Self {
        let case = Case::good();
        Self {
            file: json!({
                "type": "external_account", "audience": format!("//iam.googleapis.com/{PROVIDER}"),
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://sts.googleapis.com/v1/token",
                "credential_source": {"file": "/tmp/token"},
            }),
            pool: pool(),
            provider: provider(),
            discovery: case.discovery.clone(),
            keys: case.key_set(),
            token: case.token(),
            account_policy: policy("roles/iam.workloadIdentityUser", &set(MEMBER)),
            resource_policy: policy("roles/storage.objectViewer", &format!("serviceAccount:{ACCOUNT}")),
            executables_allowed: None,
        }
    }

    fn but(change: impl FnOnce(&mut Self)) -> Self {
        let mut patient = Self::healthy();
        change(&mut patient);
        patient
    }

    fn findings(&self) -> Vec<Finding> {
        let discovery = serde_json::from_value(self.discovery.clone()).unwrap();
        let setup = Setup {
            file: Some(&self.file),
            executables_allowed: self.executables_allowed,
            pool: Some(&self.pool),
            provider: Some(&self.provider),
            service_account: Some(ACCOUNT),
            account_policy: Some(&self.account_policy),
            resource_policy: Some(&self.resource_policy),
            ..Setup::default()
        };
        lint(LintInput {
            discovery: Some(&discovery),
            keys: Some(&self.keys),
            token_text: Some(&self.token),
            now: Some(NOW),
            setup,
        })
    }

    /// The first finding.
    #[track_caller]
    fn has(&self, rule: &str) -> Finding {
        let findings = self.findings();
        assert_eq!(findings.first().map(|finding| finding.rule), Some(rule), "{findings:#?}");
        findings.into_iter().next().unwrap()
    }
}

fn with_claims(claims: &Value) -> Patient {
    Patient::but(|patient| patient.token = Case::claiming(claims).token())
}

#[test]
fn what_is_in_order_has_no_findings() {
    assert_eq!(Patient::healthy().findings(), []);
}

#[test]
fn d_40_the_audience_of_the_exchange() {
    for wrong in [
        format!("//iam.googleapis.com/{}", PROVIDER.replace("100000000001", "skybru-lab")),
        format!("https://iam.googleapis.com/{PROVIDER}"),
        PROVIDER.to_owned(),
        format!("//iam.googleapis.com/{PROVIDER}2"),
    ] {
        let finding = Patient::but(|patient| patient.file["audience"] = wrong.clone().into()).has("D-40");
        assert_eq!(finding.found, Some(wrong));
    }
}

#[test]
fn d_41_what_is_disabled_or_deleted() {
    Patient::but(|patient| patient.pool.disabled = true).has("D-41");
    Patient::but(|patient| patient.provider.state = State::Deleted).has("D-41");
    let finding = Patient::but(|patient| patient.provider.disabled = true).has("D-41");
    assert!(finding.fix.contains("--no-disabled"), "{}", finding.fix);
}

#[test]
fn d_42_an_audience_that_is_not_allowed() {
    let finding = with_claims(&json!({"aud": "https://skyporten.example.no/"})).has("D-42");
    assert!(finding.what.contains("character 29"), "{}", finding.what);
    Patient::but(|patient| patient.provider.oidc.allowed_audiences.clear()).has("D-42");
    Patient::but(|patient| patient.token = Case::without_claim("aud").token()).has("D-18");
}

#[test]
fn d_43_another_spelling_and_d_16_another_issuer() {
    let finding = Patient::but(|patient| patient.provider.oidc.issuer_uri = format!("{ISSUER}/")).has("D-43");
    assert!(finding.what.contains("character 23"), "{}", finding.what);
    Patient::but(|patient| patient.provider.oidc.issuer_uri = "https://test.sky.example.no".to_owned()).has("D-16");
}

#[test]
fn d_44_uploaded_keys_that_are_out_of_date() {
    let upload = |patient: &mut Patient| patient.provider.oidc.jwks_json = Some(json!({"keys": [other_jwk("old")]}).to_string());
    Patient::but(upload).has("D-44");
}

#[test]
fn d_45_a_condition_that_is_false() {
    let with = |condition: &str| Patient::but(|patient| patient.provider.attribute_condition = Some(condition.to_owned()));
    let finding = with("assertion.scope == 'entur:other'").has("D-45");
    assert!(finding.expected.unwrap().contains("entur:skyporten.demo"));
    with("assertion.absent == 'x'").has("D-45");
}

#[test]
fn d_46_a_mapping_that_gives_nothing() {
    let with = |key: &str, expression: &str| {
        Patient::but(|patient| drop(patient.provider.attribute_mapping.insert(key.to_owned(), expression.to_owned())))
    };
    with("google.subject", "assertion.consumer.id").has("D-46");
    with("attribute.maskinportenscope", "assertion.consumer").has("D-46");
}

#[test]
fn d_47_a_binding_that_lets_in_somebody_else() {
    let with =
        |member: String| Patient::but(|patient| patient.account_policy = policy("roles/iam.workloadIdentityUser", &member));
    let finding = with(set("attribute.clientaccess/client::0192:917422575::entur:skyporten.dem")).has("D-47");
    assert!(finding.what.contains("they differ from character"), "{}", finding.what);
    let finding = with(set(MEMBER).replace("principalSet", "principal")).has("D-47");
    assert_eq!(finding.expected, Some(set(MEMBER)));
    with(set("subject/0192:917422575")).has("D-47");
    with(set("attribute.absent/x")).has("D-47");
    Patient::but(|patient| patient.account_policy = Policy::default()).has("D-47");
    Patient::but(|patient| patient.account_policy = policy("roles/iam.serviceAccountUser", &set(MEMBER))).has("D-47");
}

#[test]
fn d_49_a_binding_for_the_whole_pool() {
    let open = |patient: &mut Patient| patient.account_policy = policy("roles/iam.workloadIdentityUser", &set("*"));
    Patient::but(open).has("D-49");
    let conditioned = Patient::but(|patient| {
        open(patient);
        patient.provider.attribute_condition = Some("assertion.consumer.ID == '0192:917422575'".to_owned());
    });
    assert_eq!(conditioned.findings(), []);
}

#[test]
fn d_50_a_service_account_without_a_role_on_the_bucket() {
    Patient::but(|patient| patient.resource_policy = Policy::default()).has("D-50");
}

#[test]
fn d_51_the_form_of_the_token_file() {
    let json_token = || json!({"access_token": Case::good().token()}).to_string();
    let source = |format: Value, token: String| {
        Patient::but(|patient| {
            patient.file["credential_source"] = json!({"file": "/tmp/token", "format": format});
            patient.token = token;
        })
    };
    source(json!({"type": "text"}), json_token()).has("D-51");
    source(json!({"type": "json", "subject_token_field_name": "access_token"}), Case::good().token()).has("D-51");
    source(json!({"type": "json", "subject_token_field_name": "token"}), json_token()).has("D-51");
    source(json!({"type": "json"}), json_token()).has("D-51");
}

#[test]
fn d_52_the_executable() {
    let with = |executable: Value, allowed| {
        Patient::but(|patient| {
            patient.file["credential_source"] = json!({"executable": executable});
            patient.executables_allowed = allowed;
        })
    };
    assert_eq!(with(json!({"command": "/usr/bin/skybru token x"}), Some(true)).findings(), []);
    with(json!({"command": "/usr/bin/skybru token x"}), Some(false)).has("D-52");
    with(json!({"command": "'/my programs/skybru' token x"}), Some(true)).has("D-52");
    with(json!({"command": "/usr/bin/skybru", "timeout_millis": 1000}), Some(true)).has("D-52");
}

#[test]
fn d_53_the_project_that_pays() {
    Patient::but(|patient| patient.file["workforce_pool_user_project"] = "x".into()).has("D-53");
    let workforce = workforce_provider();
    let file = json!({"type": "external_account", "audience": workforce.name.audience()});
    let findings = lint(LintInput { setup: Setup { file: Some(&file), ..Setup::default() }, ..LintInput::default() });
    assert_eq!(findings[0].rule, "D-53");
}

#[test]
fn d_54_a_personal_number_in_every_log() {
    let mut given = workforce_provider();
    given.attribute_mapping.insert("google.subject".to_owned(), "assertion.pid".to_owned());
    let findings = lint(LintInput { setup: Setup { provider: Some(&given), ..Setup::default() }, ..LintInput::default() });
    assert_eq!(findings[0].rule, "D-54");
}

#[test]
fn the_tokens_own_faults() {
    with_claims(&json!({"iat": NOW + 90, "exp": NOW + 400})).has("D-13");
    with_claims(&json!({"iat": NOW - 500, "exp": NOW - 61})).has("D-13");
    with_claims(&json!({"iat": format!("{NOW}")})).has("D-11");
    with_claims(&json!({"exp": NOW + 1})).has("D-12");
    with_claims(&json!({"scope": "entur:skyporten.demo entur:other"})).has("D-15");
    with_claims(&json!({"consumer": {"ID": "x".repeat(128)}})).has("D-14");
    Patient::but(|patient| patient.token = Case::but(|case| case.header["alg"] = "RS512".into()).token()).has("D-08");
    Patient::but(|patient| patient.token = Case::but(|case| case.header["kid"] = "gone".into()).token()).has("D-05");
    Patient::but(|patient| patient.keys = JwkSet { keys: vec![serde_json::from_value(other_jwk("test-key-1")).unwrap()] })
        .has("D-06");
    Patient::but(|patient| patient.discovery["issuer"] = "https://sky.example.no/".into()).has("D-02");
    Patient::but(|patient| patient.token = format!("Bearer {}", patient.token)).has("D-19");
    Patient::but(|patient| patient.token = "x".to_owned()).has("D-19");
}

#[test]
fn d_47_without_impersonation_the_bucket_is_bound_directly() {
    let case = Case::good();
    let (given, token) = (provider(), case.token());
    let look = |member: &str| {
        let bucket = policy("roles/storage.objectViewer", member);
        let setup = Setup { provider: Some(&given), resource_policy: Some(&bucket), ..Setup::default() };
        lint(LintInput { token_text: Some(&token), now: Some(NOW), setup, ..LintInput::default() })
    };
    assert_eq!(look(&set(MEMBER)), []);
    let finding = look(&format!("principal://iam.googleapis.com/{POOL}/subject/0192:991825827")).remove(0);
    assert_eq!(finding.rule, "D-47");
    assert!(finding.fix.contains("roles/storage.objectViewer"), "{}", finding.fix);
}

/// G-64: without the variable no library runs the executable.
#[test]
fn g_64_an_executable_must_be_allowed_where_it_runs() {
    let with = |allowed| {
        Patient::but(|patient| {
            patient.file["credential_source"] = json!({"executable": {"command": "/usr/bin/skybru token x"}});
            patient.executables_allowed = allowed;
        })
    };
    with(Some(false)).has("D-52");
    assert_eq!(with(Some(true)).findings(), []);
}
