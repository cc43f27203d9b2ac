//! What a trust policy can look at, and how.

use serde_json::{Value, json};
use skybru_federation::aws::Reason;
use skybru_federation::aws::policy::MissReason;

use crate::case::{AUDIENCE, Case, ISSUER, PROVIDER_ARN, SUBJECT, provider, role, role_of};

/// A case whose trust policy has this condition.
fn when(condition: &Value) -> Case {
    Case::but(|case| case.role = Some(role(condition)))
}

/// A case whose trust policy has this principal and no condition.
fn principal(principal: &Value) -> Case {
    Case::but(|case| {
        let statement = json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRoleWithWebIdentity"});
        case.role = Some(role_of(&json!({"Version": "2012-10-17", "Statement": [statement]})));
    })
}

#[test]
fn a_62_the_role_that_is_not_there_gives_the_same_answer_as_the_policy_that_says_no() {
    let absent = Case::but(|case| case.role = None);
    absent.is_not_authorized();
    assert_eq!(*absent.run().unwrap_err().reason, Reason::NoRole);
    when(&json!({"StringEquals": {"sky.example.no:sub": "somebody"}})).is_not_authorized();
}

#[test]
fn a_62_the_doctor_learns_which_condition_failed() {
    let case = when(&json!({"StringEquals": {"sky.example.no:sub": "0192:917422575"}}));
    let Reason::Trust { action, denied, misses } = *case.run().unwrap_err().reason else { panic!("another reason") };
    assert_eq!((action, denied), ("sts:AssumeRoleWithWebIdentity", false));
    let expected = MissReason::Condition {
        operator: "StringEquals".to_owned(),
        key: "sky.example.no:sub".to_owned(),
        expected: vec!["0192:917422575".to_owned()],
        found: Some(vec![SUBJECT.to_owned()]),
    };
    assert_eq!(misses, [expected]);
}

#[test]
fn a_70_only_a_federated_principal_lets_a_web_identity_in() {
    principal(&json!({"Federated": PROVIDER_ARN})).accepted();
    principal(&json!({"Federated": ["arn:aws:iam::123456789012:oidc-provider/other.no", PROVIDER_ARN]})).accepted();
    for other in [
        json!({"AWS": "*"}),
        json!("*"),
        json!({"Service": "ec2.amazonaws.com"}),
        json!({"Federated": "arn:aws:iam::123456789012:oidc-provider/sky.example.no/"}),
        json!({"Federated": "arn:aws:iam::210987654321:oidc-provider/sky.example.no"}),
    ] {
        principal(&other).is_not_authorized();
    }
}

#[test]
fn a_70_assume_role_is_another_action() {
    let statement = json!({"Effect": "Allow", "Principal": {"Federated": PROVIDER_ARN}, "Action": "sts:AssumeRole"});
    Case::but(|case| case.role = Some(role_of(&json!({"Statement": statement})))).is_not_authorized();
}

#[test]
fn a_71_the_prefix_of_a_key_has_the_providers_path_and_slash() {
    for url in ["https://x.no/", "https://x.no/tenant", "https://x.no/tenant/", "https://localhost:7402"] {
        let prefix = url.strip_prefix("https://").unwrap();
        let case = |key: String| {
            Case::but(|case| {
                case.claims["iss"] = url.into();
                case.discovery["issuer"] = url.into();
                case.providers = vec![provider(url, &[AUDIENCE])];
                let mut condition = json!({});
                condition[key] = SUBJECT.into();
                case.role = Some(role_of(&json!({"Version": "2012-10-17", "Statement": {
                    "Effect": "Allow", "Principal": {"Federated": case.providers[0].arn}, "Action": "sts:AssumeRoleWithWebIdentity",
                    "Condition": {"StringEquals": condition},
                }})));
            })
        };
        case(format!("{prefix}:sub")).accepted();
        case(format!("{url}:sub")).is_not_authorized();
        if prefix.contains('/') {
            case("x.no:sub".to_owned()).is_not_authorized();
        }
    }
    // The names of keys, other than their values, do not differ by case.
    when(&json!({"StringEquals": {"SKY.example.no:SUB": SUBJECT}})).accepted();
}

#[test]
fn a_72_five_claims_become_keys() {
    for (operator, key, value) in [
        ("StringEquals", "aud", json!(AUDIENCE)),
        ("StringEquals", "sub", json!(SUBJECT)),
        ("StringEquals", "email", json!("ola@example.no")),
        ("ForAnyValue:StringEquals", "oaud", json!(AUDIENCE)),
        ("ForAnyValue:StringEquals", "amr", json!("otp")),
    ] {
        let condition = json!({operator: {format!("sky.example.no:{key}"): value}});
        let case = Case::but(|case| {
            case.claims["email"] = "ola@example.no".into();
            case.claims["amr"] = json!(["pwd", "otp"]);
            case.role = Some(role(&condition));
        });
        case.accepted();
    }
}

#[test]
fn a_72_aud_is_azp_where_there_is_one_and_oaud_is_what_stood_in_aud() {
    let case = |condition: Value| {
        Case::but(|case| {
            case.claims["azp"] = AUDIENCE.into();
            case.claims["aud"] = json!(["x", "y"]);
            case.role = Some(role(&condition));
        })
    };
    case(json!({"StringEquals": {"sky.example.no:aud": AUDIENCE}})).accepted();
    case(json!({"ForAllValues:StringEquals": {"sky.example.no:oaud": ["x", "y", "z"]}})).accepted();
    case(json!({"StringEquals": {"sky.example.no:aud": "x"}})).is_not_authorized();
}

#[test]
fn a_73_other_claims_are_never_there() {
    for claim in ["scope", "consumer", "client_id", "azp", "iss"] {
        let case = |operator: &str| {
            Case::but(|case| {
                case.claims["scope"] = "entur:skyporten.demo".into();
                case.claims["client_id"] = "entur:skyporten.demo".into();
                case.role = Some(role(&json!({operator: {format!("sky.example.no:{claim}"): "entur:skyporten.demo"}})));
            })
        };
        case("StringEquals").is_not_authorized();
        for hole in ["StringEqualsIfExists", "StringNotEquals", "ForAllValues:StringEquals"] {
            case(hole).accepted();
        }
    }
}

#[test]
fn a_74_what_the_call_and_the_provider_say_can_be_looked_at() {
    for (key, value) in [
        ("sts:RoleSessionName", "917422575"),
        ("aws:PrincipalAccount", "123456789012"),
        ("aws:PrincipalType", "User"),
        ("aws:userid", PROVIDER_ARN),
        ("aws:FederatedProvider", PROVIDER_ARN),
    ] {
        when(&json!({"StringEquals": {key: value}})).accepted();
    }
    when(&json!({"Null": {"aws:PrincipalArn": "true", "sts:SourceIdentity": "true", "sts:RoleAuthorizedByIdp": "true"}}))
        .accepted();
}

#[test]
fn a_74_tags_of_the_request_can_be_looked_at() {
    let case = |value: &str| {
        Case::but(|case| {
            case.claims["https://aws.amazon.com/tags"] =
                json!({"principal_tags": {"scope": ["entur:demo"]}, "transitive_tag_keys": ["scope"]});
            case.role = Some(role_of(&json!({"Version": "2012-10-17", "Statement": {
                "Effect": "Allow", "Principal": {"Federated": PROVIDER_ARN},
                "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
                "Condition": {
                    "StringEquals": {"aws:RequestTag/scope": value},
                    "ForAllValues:StringEquals": {"aws:TagKeys": "scope", "sts:TransitiveTagKeys": "scope"},
                },
            }})));
        })
    };
    case("entur:demo").accepted();
    case("entur:other").is_not_authorized();
}

#[test]
fn a_78_keys_of_one_block_must_all_hold_and_of_its_values_one() {
    when(&json!({"StringEquals": {"sky.example.no:sub": ["x", SUBJECT], "sky.example.no:aud": AUDIENCE}})).accepted();
    when(&json!({"StringEquals": {"sky.example.no:sub": SUBJECT, "sky.example.no:aud": "x"}})).is_not_authorized();
    when(&json!({"StringEquals": {"sky.example.no:sub": SUBJECT}, "StringNotEquals": {"sky.example.no:aud": AUDIENCE}}))
        .is_not_authorized();
}

#[test]
fn a_78_strings_differ_by_case_unless_told_otherwise() {
    let shouted = SUBJECT.to_uppercase();
    when(&json!({"StringEquals": {"sky.example.no:sub": shouted}})).is_not_authorized();
    when(&json!({"StringEqualsIgnoreCase": {"sky.example.no:sub": shouted}})).accepted();
}

#[test]
fn a_79_a_star_is_a_star_only_under_string_like() {
    when(&json!({"StringEquals": {"sky.example.no:sub": "0192:917422575;*"}})).is_not_authorized();
    when(&json!({"StringLike": {"sky.example.no:sub": "0192:917422575;*"}})).accepted();
    when(&json!({"StringLike": {"sky.example.no:sub": "0192:88964078?;*"}})).is_not_authorized();
}

#[test]
fn a_deny_wins_over_every_allow() {
    let allow = json!({"Effect": "Allow", "Principal": {"Federated": PROVIDER_ARN}, "Action": "sts:*"});
    let mut deny = allow.clone();
    deny["Effect"] = "Deny".into();
    deny["Condition"] = json!({"StringLike": {"sky.example.no:sub": "0192:917422575;*"}});
    for statements in [json!([allow, deny]), json!([deny, allow])] {
        let case = Case::but(|case| case.role = Some(role_of(&json!({"Version": "2012-10-17", "Statement": statements}))));
        case.is_not_authorized();
        assert!(matches!(*case.run().unwrap_err().reason, Reason::Trust { denied: true, .. }));
    }
}

#[test]
fn variables_in_conditions_are_filled_from_the_request() {
    let case = |version: &str| {
        Case::but(|case| {
            case.role = Some(role_of(&json!({"Version": version, "Statement": {
                "Effect": "Allow", "Principal": {"Federated": PROVIDER_ARN}, "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringLike": {"sky.example.no:sub": "0192:${sts:RoleSessionName};*"}},
            }})));
        })
    };
    case("2012-10-17").accepted();
    case("2008-10-17").is_not_authorized();
    let arn = "arn:aws:iam::${aws:PrincipalAccount}:oidc-provider/*";
    when(&json!({"ArnLike": {"aws:userid": arn}})).accepted();
    when(&json!({"ArnNotLike": {"aws:userid": arn}})).is_not_authorized();
    assert_eq!(ISSUER, "https://sky.example.no");
}

/// AWS makes nobody bind the subject of an issuer that is not among those that many share. So a policy without a condition is stored,
/// and lets everybody in; the doctor says so (D-26).
#[test]
fn a_19_a_private_issuers_trust_policy_needs_no_condition() {
    let open = principal(&json!({"Federated": PROVIDER_ARN}));
    open.accepted();
    let case = Case::but(|case| {
        case.role.clone_from(&open.role);
        case.claims["sub"] = "0192:889640782;other:scope".into();
    });
    case.accepted();
    let setup =
        skybru_federation::aws::Setup { role: open.role.as_ref(), provider: open.providers.first(), ..Default::default() };
    let findings = skybru_federation::aws::lint(skybru_federation::aws::LintInput { setup, ..Default::default() });
    assert!(findings.iter().any(|finding| finding.rule == "D-26"), "{findings:?}");
}
