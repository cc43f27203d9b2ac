//! The doctor's rules: one fault, one finding. What is right has none.

use serde_json::{Value, json};
use skybru_federation::aws::session::is_session_name;
use skybru_federation::aws::{LintInput, Setup, lint};
use skybru_federation::{Finding, Severity, Who};

use crate::case::{AUDIENCE, Case, ISSUER, NOW, PROVIDER_ARN, SUBJECT, other_jwk, provider, role, role_of, sign_text};

/// What the lint says of everything in a case, and of the call's parameters.
fn findings(case: &Case, change: impl FnOnce(&mut LintInput<'_>)) -> Vec<Finding> {
    let discovery = serde_json::from_value(case.discovery.clone()).unwrap();
    let (keys, token) = (case.key_set(), case.token());
    let mut input = LintInput {
        discovery: Some(&discovery),
        keys: Some(&keys),
        token_text: Some(&token),
        now: Some(NOW),
        setup: Setup {
            provider: case.providers.first(),
            role: case.role.as_ref(),
            session_name: Some("917422575"),
            duration_seconds: Some(3600),
            ..Setup::default()
        },
        ..LintInput::default()
    };
    change(&mut input);
    lint(input)
}

fn rules(case: &Case) -> Vec<&'static str> {
    findings(case, |_| ()).into_iter().map(|finding| finding.rule).collect()
}

/// The only finding of a case.
#[track_caller]
fn only(case: &Case) -> Finding {
    let mut found = findings(case, |_| ());
    assert_eq!(found.iter().map(|finding| finding.rule).collect::<Vec<_>>().len(), 1, "{found:#?}");
    found.remove(0)
}

#[track_caller]
fn only_is(case: &Case, rule: &str, severity: Severity, who: Who) -> Finding {
    let finding = only(case);
    assert_eq!((finding.rule, finding.severity, finding.who), (rule, severity, who), "{finding:#?}");
    finding
}

/// A case whose trust policy has this condition.
fn when(condition: &Value) -> Case {
    Case::but(|case| case.role = Some(role(condition)))
}

#[test]
fn what_is_right_has_no_findings() {
    assert_eq!(findings(&Case::good(), |_| ()), []);
    assert_eq!(lint(LintInput::default()), [], "and nothing comes of nothing");
}

#[test]
fn d_01_a_field_that_discovery_lacks_is_named_with_its_mend() {
    let case = Case::but(|case| drop(case.discovery.as_object_mut().unwrap().remove("subject_types_supported")));
    let finding = only_is(&case, "D-01", Severity::Error, Who::Issuer);
    assert_eq!(finding.fix, r#"add to the document: "subject_types_supported":["public"]"#);
}

#[test]
fn d_02_an_issuer_that_differs_is_shown_to_the_character() {
    let case = Case::but(|case| case.discovery["issuer"] = "https://sky.example.no/".into());
    let finding = only_is(&case, "D-02", Severity::Error, Who::Issuer);
    assert!(finding.what.ends_with("(they differ from character 23 on)"), "{}", finding.what);
}

#[test]
fn d_05_a_kid_that_is_absent_or_not_published() {
    let case = Case::but(|case| case.keys = vec![other_jwk("other")]);
    let finding = only_is(&case, "D-05", Severity::Error, Who::Issuer);
    assert_eq!((finding.expected.as_deref(), finding.found.as_deref()), (Some("other"), Some("test-key-1")));
    let nameless = Case::but(|case| drop(case.header.as_object_mut().unwrap().remove("kid")));
    only_is(&nameless, "D-05", Severity::Error, Who::Issuer);
}

#[test]
fn d_06_two_keys_with_one_kid() {
    let case = Case::but(|case| case.keys.insert(0, other_jwk("test-key-1")));
    only_is(&case, "D-06", Severity::Error, Who::Issuer);
}

#[test]
fn d_07_too_many_keys_or_members_that_clouds_stumble_over() {
    let case = Case::but(|case| case.keys.extend((0..100).map(|n| other_jwk(&format!("k{n}")))));
    assert_eq!(rules(&case), ["D-07", "D-05"], "101 keys, so that none is found");
    let with = |member: &str, value: Value| Case::but(|case| case.keys[0][member] = value);
    only_is(&with("key_ops", json!(["verify"])), "D-07", Severity::Error, Who::Issuer);
    only_is(&with("x5t", json!("abc")), "D-07", Severity::Warning, Who::Issuer);
    assert_eq!(rules(&with("use", json!("enc"))), ["D-07", "D-05"]);
    let beside = Case::but(|case| {
        let mut key = other_jwk("next");
        key["key_ops"] = json!(["verify"]);
        case.keys.push(key);
    });
    only_is(&beside, "D-07", Severity::Warning, Who::Issuer);
}

#[test]
fn d_08_algorithms_that_one_cloud_or_none_takes() {
    let alg = |alg: &str| Case::but(|case| case.header["alg"] = alg.into());
    only_is(&alg("RS384"), "D-08", Severity::Warning, Who::Issuer);
    for refused in ["PS256", "HS256", "none"] {
        only_is(&alg(refused), "D-08", Severity::Error, Who::Issuer);
    }
}

#[test]
fn d_09_typ_of_an_access_token() {
    only_is(&Case::but(|case| case.header["typ"] = "at+jwt".into()), "D-09", Severity::Warning, Who::Issuer);
}

#[test]
fn d_10_several_audiences_or_azp() {
    only_is(&Case::claiming(&json!({"aud": [AUDIENCE, "x"]})), "D-10", Severity::Error, Who::Consumer);
    only_is(&Case::claiming(&json!({"azp": AUDIENCE, "aud": "x"})), "D-10", Severity::Warning, Who::Issuer);
    assert_eq!(rules(&Case::claiming(&json!({"azp": AUDIENCE}))), [""; 0], "azp that is aud does no harm");
}

#[test]
fn d_11_times_that_are_no_whole_numbers() {
    only_is(&Case::without_claim("iat"), "D-11", Severity::Error, Who::Issuer);
    #[expect(clippy::cast_precision_loss, reason = "a second of this century fits")]
    let fraction = NOW as f64 + 0.5;
    only_is(&Case::claiming(&json!({"iat": fraction})), "D-11", Severity::Error, Who::Issuer);
    only_is(&Case::claiming(&json!({"iat": NOW.to_string()})), "D-11", Severity::Warning, Who::Issuer);
}

#[test]
fn d_12_lifetimes_that_are_none_or_too_long() {
    only_is(&Case::claiming(&json!({"exp": NOW + 7200})), "D-12", Severity::Advice, Who::Issuer);
    only_is(&Case::claiming(&json!({"exp": NOW + 59})), "D-12", Severity::Warning, Who::Issuer);
    let as_printed_in_the_guide = Case::claiming(&json!({"iat": NOW + 50, "exp": NOW + 10}));
    only_is(&as_printed_in_the_guide, "D-12", Severity::Warning, Who::Issuer);
}

#[test]
fn d_13_clocks_that_differ() {
    only_is(&Case::claiming(&json!({"iat": NOW + 61, "exp": NOW + 181})), "D-13", Severity::Warning, Who::Issuer);
    let ahead = Case::claiming(&json!({"iat": NOW + 301, "exp": NOW + 400}));
    only_is(&ahead, "D-13", Severity::Error, Who::Issuer);
    let begins = Case::claiming(&json!({"nbf": NOW + 301}));
    only_is(&begins, "D-13", Severity::Error, Who::Issuer);
    let expired = Case::claiming(&json!({"iat": NOW - 500, "exp": NOW - 301}));
    only_is(&expired, "D-13", Severity::Error, Who::Consumer);
    let just_expired = Case::claiming(&json!({"iat": NOW - 500, "exp": NOW - 1}));
    only_is(&just_expired, "D-13", Severity::Warning, Who::Consumer);
    assert_eq!(findings(&expired, |input| input.now = None), [], "without a clock nothing is said");
}

#[test]
fn d_14_a_subject_that_is_too_long_for_one_cloud() {
    for (length, cloud) in [(128, "Google"), (256, "AWS"), (601, "Entra")] {
        let subject = format!("0192:917422575;{}", "s".repeat(length - 15));
        let case = Case::but(|case| {
            case.claims["sub"] = subject.clone().into();
            case.role = Some(role(&json!({"StringEquals": {"sky.example.no:sub": subject}})));
        });
        let finding = only_is(&case, "D-14", Severity::Warning, Who::Consumer);
        assert!(finding.what.contains(cloud), "{}", finding.what);
    }
}

#[test]
fn d_15_several_scopes_in_one_token() {
    let case = Case::claiming(&json!({"sub": "0192:917422575;entur:skyporten.demo entur:other"}));
    assert_eq!(rules(&case), ["D-15", "D-25"], "and the policy does not hold for it");
    only_is(&Case::claiming(&json!({"scope": "a:b c:d"})), "D-15", Severity::Error, Who::Consumer);
}

#[test]
fn d_18_no_audience() {
    only_is(&Case::without_claim("aud"), "D-18", Severity::Error, Who::Consumer);
    for empty in [json!([]), json!(null)] {
        assert_eq!(rules(&Case::claiming(&json!({"aud": empty})))[0], "D-18", "{empty}");
    }
}

#[test]
fn d_19_what_stands_around_a_token_is_named_and_the_token_is_read_all_the_same() {
    let good = Case::good().token();
    for (text, named) in [
        (format!("{good}\n"), "newline"),
        (format!("\u{feff}{good}"), "byte order mark"),
        (format!("Bearer {good}"), "Bearer"),
        (format!("\"{good}\""), "quotation marks"),
        (json!({"access_token": good, "token_type": "Bearer"}).to_string(), "JSON answer"),
    ] {
        let finding = only_is(&Case::but(|case| case.token = Some(text)), "D-19", Severity::Error, Who::Consumer);
        assert!(finding.what.contains(named), "{}", finding.what);
    }
    for nonsense in ["", "a.b", "a.b.c.d.e"] {
        only_is(&Case::but(|case| case.token = Some(nonsense.to_owned())), "D-19", Severity::Error, Who::Consumer);
    }
    only_is(&Case::but(|case| case.token = Some(sign_text("[1]"))), "D-19", Severity::Error, Who::Issuer);
}

#[test]
fn a_token_that_no_doctors_rule_explains_is_explained_by_the_clouds_own() {
    assert_eq!(only(&Case::without_claim("sub")).rule, "A-37");
    assert_eq!(only(&Case::claiming(&json!({"sub": null}))).rule, "A-38");
    assert_eq!(only(&Case::but(|case| case.header["crit"] = json!(["x"]))).rule, "A-31");
}

#[test]
fn d_20_a_provider_of_another_url() {
    let case = Case::but(|case| {
        case.providers = vec![provider("https://sky.example.no/", &[AUDIENCE])];
        case.role = None;
    });
    let finding = only_is(&case, "D-20", Severity::Error, Who::Provider);
    assert_eq!(finding.fix, "aws iam create-open-id-connect-provider --url https://sky.example.no");
}

/// A-16.
#[test]
fn d_21_a_provider_in_another_account() {
    let case = Case::but(|case| {
        case.providers[0].arn = PROVIDER_ARN.replace("123456789012", "210987654321");
    });
    assert_eq!(rules(&case)[0], "D-21");
    let foreign = Case::but(|case| {
        case.providers.clear();
        let text = case.role.as_ref().unwrap().trust_policy.replace("123456789012", "210987654321");
        case.role.as_mut().unwrap().trust_policy = text;
    });
    only_is(&foreign, "D-21", Severity::Error, Who::Provider);
}

#[test]
fn d_22_an_audience_that_is_not_registered() {
    let case = Case::but(|case| case.providers = vec![provider(ISSUER, &["skyportenpoc"])]);
    let finding = only_is(&case, "D-22", Severity::Error, Who::Provider);
    assert!(finding.fix.ends_with("--client-id https://skyporten.example.no"), "{}", finding.fix);
    let empty = provider(ISSUER, &[]);
    let found = lint(LintInput { setup: Setup { provider: Some(&empty), ..Setup::default() }, ..LintInput::default() });
    assert_eq!(found[0].rule, "D-22", "an empty list is wrong for every token");
}

#[test]
fn d_23_a_condition_on_a_claim_that_aws_does_not_look_at() {
    for claim in ["scope", "consumer", "client_id"] {
        let key = format!("sky.example.no:{claim}");
        let case = when(&json!({"StringEquals": {key.clone(): "x", "sky.example.no:sub": SUBJECT}}));
        let finding = only_is(&case, "D-23", Severity::Error, Who::Provider);
        assert!(finding.what.ends_with("so the condition never holds"), "{}", finding.what);
        let hole = when(&json!({"StringEqualsIfExists": {key: "x"}, "StringEquals": {"sky.example.no:sub": SUBJECT}}));
        assert!(only(&hole).what.ends_with("so the condition always holds"));
    }
}

#[test]
fn d_24_a_key_with_a_wrong_prefix() {
    for wrong in ["https://sky.example.no:sub", "sky.example.no/:sub", "sky.other.no:sub"] {
        let finding = only_is(&when(&json!({"StringEquals": {wrong: SUBJECT}})), "D-24", Severity::Error, Who::Provider);
        assert_eq!(finding.fix, "use \"sky.example.no:sub\"");
    }
    let mut case = when(&json!({"StringEquals": {"https://sky.example.no:sub": SUBJECT}}));
    case.providers.clear();
    only_is(&case, "D-24", Severity::Error, Who::Provider);
}

#[test]
fn d_25_values_that_keep_the_token_out() {
    for (wrong, place) in [
        ("0192:917422575;entur:skyporten.Demo", "character 32"),
        ("0192-917422575;entur:skyporten.demo", "character 5"),
        ("0192:917422575", "character 15"),
    ] {
        let finding =
            only_is(&when(&json!({"StringEquals": {"sky.example.no:sub": wrong}})), "D-25", Severity::Error, Who::Provider);
        assert!(finding.what.contains(place), "{}", finding.what);
        assert_eq!(finding.found.as_deref(), Some(SUBJECT));
    }
    let star = only(&when(&json!({"StringEquals": {"sky.example.no:sub": "0192:917422575;*"}})));
    assert_eq!((star.rule, star.what.as_str()), ("D-25", "StringEquals compares a star literally"));
    let pattern = when(&json!({"StringLike": {"sky.example.no:sub": "0192:917422575;nav:*"}}));
    only_is(&pattern, "D-25", Severity::Error, Who::Provider);
    let session = when(&json!({"StringEquals": {"sky.example.no:sub": SUBJECT, "sts:RoleSessionName": "somebody"}}));
    only_is(&session, "D-25", Severity::Error, Who::Provider);
}

#[test]
fn d_25_a_statement_for_somebody_else_is_no_fault_where_another_lets_the_token_in() {
    let statement = |subject: &str| {
        json!({"Effect": "Allow", "Principal": {"Federated": PROVIDER_ARN}, "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {"sky.example.no:sub": subject}}})
    };
    let of = |statements: Value| {
        Case::but(|case| case.role = Some(role_of(&json!({"Version": "2012-10-17", "Statement": statements}))))
    };
    assert_eq!(rules(&of(json!([statement("0192:889640782;entur:skyporten.demo"), statement(SUBJECT)]))), [""; 0]);
    let mut deny = statement(SUBJECT);
    deny["Effect"] = "Deny".into();
    let denied = only(&of(json!([statement(SUBJECT), deny])));
    assert!(denied.rule == "D-25" && denied.what.contains("statement 2 of the trust policy denies"), "{}", denied.what);
}

#[test]
fn d_26_a_policy_that_lets_in_whom_nobody_named() {
    for open in [
        json!({"StringEquals": {"sky.example.no:aud": AUDIENCE}}),
        json!({"ForAllValues:StringEquals": {"sky.example.no:sub": SUBJECT}}),
        json!({"StringEqualsIfExists": {"sky.example.no:sub": SUBJECT}}),
        json!({"StringNotEquals": {"sky.example.no:sub": "somebody"}}),
        json!({"StringLike": {"sky.example.no:sub": "*"}}),
        json!({"StringLike": {"sky.example.no:sub": "0192:*;entur:skyporten.demo"}}),
        json!({"StringLike": {"sky.example.no:sub": [SUBJECT, "*"]}}),
    ] {
        let finding = only_is(&when(&open), "D-26", Severity::Error, Who::Provider);
        assert!(finding.fix.contains(SUBJECT), "{}", finding.fix);
    }
    let any_scope = when(&json!({"StringLike": {"sky.example.no:sub": "0192:917422575;*"}}));
    assert_eq!(rules(&any_scope), [""; 0], "one organisation with any scope is somebody");
}

#[test]
fn d_27_principals_and_actions_that_are_not_for_web_identities() {
    let statement = |change: fn(&mut Value)| {
        Case::but(|case| {
            let mut statement = json!({"Effect": "Allow", "Principal": {"Federated": PROVIDER_ARN},
                "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": {"sky.example.no:sub": SUBJECT}}});
            change(&mut statement);
            case.role = Some(role_of(&json!({"Version": "2012-10-17", "Statement": [statement]})));
        })
    };
    let changes: [fn(&mut Value); 5] = [
        |s| s["Principal"] = json!({"AWS": "*"}),
        |s| s["Principal"] = json!("*"),
        |s| s["Principal"] = json!({"Federated": format!("{PROVIDER_ARN}/")}),
        |s| s["Principal"] = json!({"Federated": PROVIDER_ARN.replace("sky.", "https://sky.")}),
        |s| s["Action"] = json!("sts:AssumeRole"),
    ];
    for change in changes {
        only_is(&statement(change), "D-27", Severity::Error, Who::Provider);
    }
    let unreadable = Case::but(|case| case.role.as_mut().unwrap().trust_policy = "{".to_owned());
    only_is(&unreadable, "D-27", Severity::Error, Who::Provider);
}

#[test]
fn d_26_not_principal_allows_the_rest_of_the_world() {
    let case = Case::but(|case| {
        case.role = Some(role_of(&json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "NotPrincipal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {"sky.example.no:sub": SUBJECT}}}]})));
    });
    only_is(&case, "D-26", Severity::Error, Who::Provider);
}

#[test]
fn d_28_a_session_name_with_illegal_characters() {
    for (wrong, right) in [("0192:917422575", "0192-917422575"), ("a/b;c", "a-b-c"), ("x", "skybru")] {
        let found = findings(&Case::good(), |input| input.setup.session_name = Some(wrong));
        assert_eq!((found[0].rule, found[0].who), ("D-28", Who::Consumer));
        let offered = found[0].fix.rsplit(' ').next().unwrap();
        assert_eq!(offered, right);
        assert!(is_session_name(offered));
    }
}

#[test]
fn d_29_a_duration_that_aws_or_the_role_does_not_allow() {
    for (wrong, right) in [(899, 900), (3601, 3600), (50_000, 3600)] {
        let found = findings(&Case::good(), |input| input.setup.duration_seconds = Some(wrong));
        assert_eq!((found.len(), found[0].rule, found[0].who), (1, "D-29", Who::Consumer));
        assert_eq!(found[0].expected, Some(right.to_string()));
    }
}

#[test]
fn d_30_a_thumbprint_that_does_not_match_a_private_chain() {
    let mut case = Case::good();
    case.providers[0].thumbprints = vec!["ab".repeat(20)];
    let served = |print: &'static str| findings(&case, |input| input.setup.private_chain = Some(print));
    assert_eq!(served("AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB"), [], "however it is written");
    let found = served("cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd");
    assert_eq!((found.len(), found[0].rule), (1, "D-30"));
    case.providers[0].thumbprints = vec!["z".repeat(40)];
    only_is(&case, "D-30", Severity::Warning, Who::Provider);
}

#[test]
fn d_31_session_tags_in_a_wrong_shape_or_not_expected() {
    let tagged = |tags: Value| Case::but(|case| case.claims["https://aws.amazon.com/tags"] = json!({"principal_tags": tags}));
    only_is(&tagged(json!({"scope": "no list"})), "D-31", Severity::Error, Who::Issuer);
    let unexpected = only_is(&tagged(json!({"scope": ["x"]})), "D-31", Severity::Error, Who::Provider);
    assert!(unexpected.fix.contains("\"sts:TagSession\""), "{}", unexpected.fix);
    let mut expected = tagged(json!({"scope": ["x"]}));
    let role = expected.role.as_mut().unwrap();
    role.trust_policy =
        role.trust_policy.replace("\"sts:AssumeRoleWithWebIdentity\"", "[\"sts:AssumeRoleWithWebIdentity\",\"sts:TagSession\"]");
    assert_eq!(rules(&expected), [""; 0]);
}

/// The lint and the decision must not differ: where AWS would refuse the token there is a finding, and where it would take it there is
/// no error but that too many get in.
#[test]
fn the_lint_agrees_with_the_decision() {
    let cases = [
        Case::good(),
        when(&json!({"StringLike": {"sky.example.no:sub": "0192:917422575;*"}})),
        when(&json!({"StringEquals": {"sky.example.no:sub": "x"}})),
        when(&json!({"StringEqualsIgnoreCase": {"sky.example.no:sub": SUBJECT.to_uppercase()}})),
        when(&json!({"ArnLike": {"aws:userid": PROVIDER_ARN}, "StringEquals": {"sky.example.no:sub": SUBJECT}})),
        Case::claiming(&json!({"azp": "x"})),
        Case::claiming(&json!({"aud": ["x", "y"]})),
        Case::claiming(&json!({"exp": NOW - 301})),
        Case::claiming(&json!({"iss": "https://other.no"})),
        Case::but(|case| case.keys.clear()),
        Case::but(|case| case.providers[0].client_ids.clear()),
    ];
    for case in cases {
        let found = findings(&case, |_| ());
        let errors = found.iter().any(|finding| finding.severity == Severity::Error && finding.rule != "D-26");
        assert_eq!(errors, case.run().is_err(), "{found:#?}");
    }
}
