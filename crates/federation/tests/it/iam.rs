//! Providers and roles at IAM: A-2 to A-9, A-12 to A-15, A-18, A-65. The vectors of the observations, through the public API.

use serde_json::json;
use skybru_federation::aws::{AwsError, Edit, Fault, OidcProvider, ProviderInput, Role, RoleInput, Tag};

use crate::case::{ACCOUNT, Case, NOW, PROVIDER_ARN, provider, role};

fn create(url: &str) -> Result<OidcProvider, AwsError> {
    OidcProvider::create(ACCOUNT, ProviderInput { url: url.to_owned(), ..ProviderInput::default() }, NOW)
}

fn said(error: &AwsError) -> (&'static str, u16, &str) {
    (error.code, error.status, error.message.as_str())
}

#[test]
fn a_2_a_url_begins_with_https_and_has_at_most_255_characters() {
    assert!(create(&format!("https://h.no/{}", "p".repeat(242))).is_ok());
    for wrong in ["http://h.no", "h.no", "", &format!("https://h.no/{}", "p".repeat(243))] {
        assert_eq!(create(wrong).unwrap_err().code, "ValidationError", "{wrong}");
    }
}

#[test]
fn a_3_a_slash_at_the_end_makes_another_provider() {
    let (without, with) = (create("https://h.no/path").unwrap(), create("https://h.no/path/").unwrap());
    assert_ne!(without.arn, with.arn);
    assert!(with.arn.ends_with("/path/"));
}

#[test]
fn a_3_the_standard_port_vanishes_and_the_case_stays() {
    assert_eq!(create("https://Sky.Example.no:443/x").unwrap().url, "Sky.Example.no/x");
}

#[test]
fn a_3_queries_and_fragments_are_invalid_input_unknown() {
    for wrong in ["https://h.no?q=1", "https://h.no/#f"] {
        assert_eq!(said(&create(wrong).unwrap_err()), ("InvalidInput", 400, "Unknown"));
    }
}

#[test]
fn a_4_the_arn_has_the_url_without_its_scheme() {
    assert_eq!(create("https://sky.example.no").unwrap().arn, PROVIDER_ARN);
    assert_eq!(create("https://sky.example.no").unwrap().issuer(), "https://sky.example.no");
}

#[test]
fn a_6_client_ids_are_kept_once_and_in_order_and_may_be_none() {
    assert_eq!(provider("https://h.no", &["b", "a", "b"]).client_ids, ["b", "a"]);
    assert!(create("https://h.no").unwrap().client_ids.is_empty());
    let ids: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let input = ProviderInput { url: "https://h.no".to_owned(), client_ids: ids, ..ProviderInput::default() };
    let error = OidcProvider::create(ACCOUNT, input, NOW).unwrap_err();
    let text = "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100";
    assert_eq!(said(&error), ("LimitExceeded", 409, text));
}

#[test]
fn a_8_a_9_thumbprints_are_one_to_five_of_forty_characters() {
    let mut provider = create("https://h.no").unwrap();
    provider.edit(Edit::Thumbprints(vec!["ABCDEF0123".repeat(4), "z".repeat(40), "z".repeat(40)])).unwrap();
    assert_eq!(provider.thumbprints, ["abcdef0123".repeat(4), "z".repeat(40), "z".repeat(40)]);
    provider.edit(Edit::Thumbprints(vec!["a".repeat(40); 5])).unwrap();
    let before = provider.clone();
    for (list, text) in [
        (vec!["a".repeat(40); 6], "Thumbprint list must contain fewer than 5 entries."),
        (vec![], "Thumbprint list must contain at least one entry."),
    ] {
        let error = provider.edit(Edit::Thumbprints(list)).unwrap_err();
        assert_eq!(said(&error), ("InvalidInput", 400, text));
    }
    assert!(provider.edit(Edit::Thumbprints(vec!["a".repeat(39)])).is_err());
    assert_eq!(provider, before, "an edit that is refused changes nothing");
}

#[test]
fn a_12_a_13_a_14_texts_of_what_is_there_and_what_is_not() {
    let mut provider = provider("https://h.no", &["a"]);
    assert_eq!(said(&provider.already_exists()), ("EntityAlreadyExists", 409, "Provider with url https://h.no already exists."));
    provider.edit(Edit::AddClientId("a".to_owned())).unwrap();
    provider.edit(Edit::RemoveClientId("absent".to_owned())).unwrap();
    assert_eq!(provider.client_ids, ["a"]);
    assert_eq!(
        said(&OidcProvider::not_found(PROVIDER_ARN)),
        ("NoSuchEntity", 404, format!("OpenIDConnect Provider not found for arn {PROVIDER_ARN}").as_str())
    );
    assert_eq!(
        said(&OidcProvider::cannot_be_found(PROVIDER_ARN)),
        ("NoSuchEntity", 404, format!("OpenId connect Provider {PROVIDER_ARN} cannot be found.").as_str())
    );
}

#[test]
fn a_15_an_account_has_a_hundred_providers_and_a_provider_fifty_tags() {
    assert!(OidcProvider::check_quota(99).is_ok());
    assert_eq!(OidcProvider::check_quota(100).unwrap_err().code, "LimitExceeded");
    let tags = |count: usize| (0..count).map(|n| Tag { key: n.to_string(), value: String::new() }).collect();
    assert!(create("https://h.no").unwrap().edit(Edit::Tag(tags(50))).is_ok());
    assert_eq!(create("https://h.no").unwrap().edit(Edit::Tag(tags(51))).unwrap_err().code, "LimitExceeded");
}

#[test]
fn a_15_a_trust_policy_is_counted_without_its_blanks() {
    let create = |trust_policy: String| {
        let input = RoleInput { name: "r".to_owned(), trust_policy, ..RoleInput::default() };
        Role::create(ACCOUNT, "AROAX".to_owned(), input, NOW, |_| true)
    };
    let policy = role(&json!({"StringEquals": {"sky.example.no:sub": "x"}})).trust_policy;
    assert!(create(format!("{policy}{}", " ".repeat(3000))).is_ok());
    let long = policy.replace("\"x\"", &format!("\"{}\"", "x".repeat(2048)));
    assert_eq!(said(&create(long).unwrap_err()), ("LimitExceeded", 409, "Cannot exceed quota for ACLSizePerRole: 2048"));
}

#[test]
fn a_18_the_provider_comes_before_the_role() {
    let trust_policy = role(&json!({"StringEquals": {"sky.example.no:sub": "x"}})).trust_policy;
    let input = || RoleInput { name: "r".to_owned(), trust_policy: trust_policy.clone(), ..RoleInput::default() };
    assert!(Role::create(ACCOUNT, "AROAX".to_owned(), input(), NOW, |arn| arn == PROVIDER_ARN).is_ok());
    let error = Role::create(ACCOUNT, "AROAX".to_owned(), input(), NOW, |_| false).unwrap_err();
    let text = format!("Invalid principal in policy: \"FEDERATED\":\"{PROVIDER_ARN}\"");
    assert_eq!(said(&error), ("MalformedPolicyDocument", 400, text.as_str()));
}

#[test]
fn a_27_faults_of_aws_itself_are_the_receivers() {
    assert_eq!(AwsError::not_authorized().fault(), Fault::Sender);
    assert_eq!(AwsError::new("A-38", "InternalFailure", 500, "x").fault(), Fault::Receiver);
}

#[test]
fn trust_policies_have_principals_and_sts_actions_and_no_resources() {
    let create = |change: fn(&mut serde_json::Value)| {
        let mut policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Principal": {"Federated": PROVIDER_ARN}, "Action": "sts:AssumeRoleWithWebIdentity"}]});
        change(&mut policy["Statement"][0]);
        let input = RoleInput { name: "r".to_owned(), trust_policy: policy.to_string(), ..RoleInput::default() };
        Role::create(ACCOUNT, "AROAX".to_owned(), input, NOW, |_| true).unwrap_err().message
    };
    assert_eq!(create(|s| s["Action"] = "s3:GetObject".into()), "AssumeRole policy may only specify STS AssumeRole actions.");
    assert_eq!(create(|s| s["Resource"] = "*".into()), "Has prohibited field Resource");
    assert_eq!(create(|s| drop(s.as_object_mut().unwrap().remove("Principal"))), "Missing required field Principal");
}

#[test]
fn state_on_disk_reads_back_the_same() {
    let provider = provider("https://h.no", &["a"]);
    let role = role(&json!({"StringEquals": {"h.no:sub": "x"}}));
    assert_eq!(serde_json::from_value::<OidcProvider>(serde_json::to_value(&provider).unwrap()).unwrap(), provider);
    assert_eq!(serde_json::from_value::<Role>(serde_json::to_value(&role).unwrap()).unwrap(), role);
}

/// Codes that keep the word Exception and codes that drop it.
#[test]
fn a_28_codes_on_the_wire() {
    let expired = Case::but(|case| case.claims["exp"] = (NOW - 301).into());
    assert_eq!(expired.refused().0, "ExpiredTokenException");
    let absent = Case::but(|case| case.providers.clear());
    assert_eq!(absent.refused().0, "InvalidIdentityToken");
    assert_eq!(AwsError::malformed_policy("x").code, "MalformedPolicyDocument");
}
