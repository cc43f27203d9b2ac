//! The token exchange, G-20 to G-47.

use serde_json::json;
use skybru_federation::DocumentProblem;
use skybru_federation::google::{Reason, State, Wording};

use super::case::{AUDIENCE, Case, ISSUER, NOW, PROVIDER, SCOPE, other_jwk, public_jwk, sign_ec, workforce_provider};

const CANNOT_CONNECT: &str = "Error connecting to the given credential's issuer.";
const UNKNOWN_TARGET: &str = "The target service indicated by the \"audience\" parameters is invalid. This might either be because the pool or provider is disabled or deleted or because it doesn't exist.";
const NO_AUDIENCE: &str = "Invalid value for \"audience\". This value should be the full resource name of the Identity Provider. See https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token for the list of possible formats.";

#[test]
fn a_good_token_becomes_the_consumer_in_the_pool() {
    let exchanged = Case::good().accepted();
    let pool = "iam.googleapis.com/projects/100000000001/locations/global/workloadIdentityPools/skyporten";
    assert_eq!(
        exchanged.identity.members(),
        [
            format!("principal://{pool}/subject/0192:917422575"),
            format!("principalSet://{pool}/attribute.clientaccess/client::0192:917422575::entur:skyporten.demo"),
            format!("principalSet://{pool}/attribute.maskinportenscope/entur:skyporten.demo"),
            format!("principalSet://{pool}/*"),
        ]
    );
    assert_eq!(exchanged.expires_in, Some(118));
}

#[test]
fn g_20_rs256_and_es256_are_taken_and_nothing_else() {
    for alg in ["RS384", "RS512"] {
        Case::but(|case| case.header["alg"] = alg.into()).is_refused(
            "G-39",
            "invalid_grant",
            "Unable to verify the ID Token signature.",
        );
    }
    let ec = |alg: &str| {
        Case::but(|case| {
            let (token, key) = sign_ec(alg, "ec", &case.claims);
            case.token = Some(token);
            case.keys = vec![serde_json::to_value(key).unwrap()];
        })
    };
    ec("ES256").accepted();
    ec("ES384").is_refused("G-39", "invalid_grant", "Unable to verify the ID Token signature.");
}

#[test]
fn g_21_the_issuer_is_compared_byte_for_byte() {
    for iss in ["https://sky.example.no/", "https://Sky.example.no", "http://sky.example.no", "sky.example.no"] {
        let text = format!("The issuer in ID Token {iss} does not match the expected one in config: {ISSUER}.");
        Case::claiming(&json!({"iss": iss})).is_refused("G-37", "invalid_grant", &text);
    }
}

#[test]
fn g_22_a_token_may_live_eleven_years() {
    let exchanged = Case::claiming(&json!({"exp": NOW + 11 * 365 * 86400})).accepted();
    assert_eq!(exchanged.expires_in, Some(3598));
}

#[test]
fn g_23_clocks_may_differ_by_a_minute() {
    let stale = |iat: i64| format!("ID Token issued at {iat} is stale to sign-in.");
    Case::claiming(&json!({"iat": NOW + 60})).accepted();
    Case::claiming(&json!({"iat": NOW + 119, "exp": NOW + 400})).is_refused("G-38", "invalid_grant", &stale(NOW + 119));
    let exchanged = Case::claiming(&json!({"iat": NOW - 300, "exp": NOW - 59})).accepted();
    assert_eq!(exchanged.expires_in, Some(59), "observed, odd as it is");
    Case::claiming(&json!({"iat": NOW - 300, "exp": NOW - 61})).is_refused("G-38", "invalid_grant", &stale(NOW - 300));
    Case::claiming(&json!({"iat": NOW - 40_000})).accepted();
}

#[test]
fn g_24_the_access_token_lives_as_long_as_the_token_less_two_seconds() {
    let left = |seconds: i64| Case::claiming(&json!({"exp": NOW + seconds}));
    assert_eq!(left(30).accepted().expires_in, Some(28));
    assert_eq!(left(4000).accepted().expires_in, Some(3598));
    let silent = left(2).accepted();
    assert_eq!((silent.expires_in, silent.expires), (None, NOW + 2));
    let error = left(1).run().unwrap_err().error;
    assert_eq!((error.rule, error.status), ("G-24", 500));
}

#[test]
fn g_25_one_of_several_audiences_is_enough() {
    Case::claiming(&json!({"aud": ["x", AUDIENCE]})).accepted();
    let text = "The audience in ID Token [x, y] does not match the expected audience.";
    Case::claiming(&json!({"aud": ["x", "y"]})).is_refused("G-36", "invalid_grant", text);
}

#[test]
fn g_27_the_parameters_are_named() {
    let with = |name: &'static str, value: &str| Case::but(|case| drop(case.form.insert(name, value.to_owned())));
    with("subject_token_type", "urn:ietf:params:oauth:token-type:id_token").accepted();
    with("grant_type", "client_credentials").is_refused("G-27", "unsupported_grant_type", "Unsupported grant type.");
    with("subject_token_type", "x").is_refused("G-27", "invalid_request", "Invalid value of subject_token_type in request.");
    with("subject_token", "").is_refused("G-27", "invalid_request", "Missing required parameter: subject_token");
}

#[test]
fn g_28_options_are_read_however_often_they_are_encoded() {
    let workforce = |options: &str| {
        Case::but(|case| {
            case.provider = Some(workforce_provider());
            case.pool.as_mut().unwrap().name = "locations/global/workforcePools/ansattporten".parse().unwrap();
            case.form.insert("audience", case.provider.as_ref().unwrap().name.audience());
            case.form.insert("options", options.to_owned());
            case.claims["aud"] = "testclient".into();
            case.claims["name"] = "NEPE SKRAVLETE".into();
            case.claims["authorization_details"] = json!([{"reportees": [{"ID": "0192:311046349"}]}]);
        })
    };
    workforce(r#"{"userProject":"100000000001"}"#).accepted();
    workforce("%7B%22userProject%22%3A%22100000000001%22%7D").accepted();
    workforce("{").is_refused("G-28", "invalid_request", "Invalid value of options in request.");
    let required = "The userProject option is required to exchange a workforce credential without client authentication.";
    workforce("").is_refused("G-68", "invalid_request", required);
    let mut with_client = workforce("");
    with_client.client_authenticated = true;
    with_client.accepted();
}

#[test]
fn g_31_a_condition_that_is_false_refuses() {
    let text = "The given credential is rejected by the attribute condition.";
    let with = |condition: &str| Case::with_provider(|provider| provider.attribute_condition = Some(condition.to_owned()));
    with("assertion.scope == 'entur:skyporten.demo' && google.subject.startsWith('0192:')").accepted();
    with("attribute.maskinportenscope == 'entur:other'").is_refused("G-31", "unauthorized_client", text);
    // What cannot be evaluated does not hold.
    with("assertion.absent == 'x'").is_refused("G-31", "unauthorized_client", text);
    with("assertion.scope").is_refused("G-31", "unauthorized_client", text);
}

#[test]
fn g_32_g_46_a_subject_that_is_not_there_refuses() {
    let text = "Could not obtain a value for google.subject from the given credential.";
    Case::without_claim("consumer").is_refused("G-32", "unauthorized_client", text);
    let subject = Case::but(|case| {
        drop(case.claims.as_object_mut().unwrap().remove("sub"));
        case.provider.as_mut().unwrap().attribute_mapping.insert("google.subject".to_owned(), "assertion.sub".to_owned());
    });
    subject.is_refused("G-32", "unauthorized_client", text);
    Case::without_claim("sub").accepted();
}

#[test]
fn g_33_what_is_not_there_or_not_in_use_has_one_text() {
    let refused = |change: fn(&mut Case)| Case::but(change).is_refused("G-33", "invalid_target", UNKNOWN_TARGET);
    refused(|case| case.provider = None);
    refused(|case| case.pool = None);
    refused(|case| case.provider.as_mut().unwrap().disabled = true);
    refused(|case| case.pool.as_mut().unwrap().disabled = true);
    refused(|case| case.provider.as_mut().unwrap().state = State::Deleted);
    refused(|case| case.pool.as_mut().unwrap().state = State::Deleted);
    refused(|case| {
        let by_id = format!("//iam.googleapis.com/{}", PROVIDER.replace("100000000001", "skybru-lab"));
        case.form.insert("audience", by_id);
    });
}

#[test]
fn g_34_an_audience_that_names_no_provider_is_told_so() {
    for wrong in [
        format!("https://iam.googleapis.com/{PROVIDER}"),
        PROVIDER.to_owned(),
        format!("//iam.googleapis.com///iam.googleapis.com/{PROVIDER}"),
        format!("//iam.googleapis.com/{PROVIDER}/"),
        "x".to_owned(),
    ] {
        Case::but(|case| drop(case.form.insert("audience", wrong))).is_refused("G-34", "invalid_request", NO_AUDIENCE);
    }
}

#[test]
fn g_35_only_access_tokens_are_given() {
    let case = Case::but(|case| drop(case.form.insert("requested_token_type", "x".to_owned())));
    case.is_refused("G-35", "invalid_request", "Invalid value of requested_token_type in request.");
}

#[test]
fn g_36_an_audience_that_is_not_allowed_is_quoted() {
    let text = "The audience in ID Token [https://other.example.no] does not match the expected audience.";
    Case::claiming(&json!({"aud": "https://other.example.no"})).is_refused("G-36", "invalid_grant", text);
    let text = "The audience in ID Token [] does not match the expected audience.";
    Case::without_claim("aud").is_refused("G-36", "invalid_grant", text);
}

#[test]
fn g_3_without_allowed_audiences_the_provider_itself_is_the_audience() {
    let default = |aud: String| {
        Case::but(|case| {
            case.provider.as_mut().unwrap().oidc.allowed_audiences.clear();
            case.claims["aud"] = aud.into();
        })
    };
    default(format!("//iam.googleapis.com/{PROVIDER}")).accepted();
    default(format!("https://iam.googleapis.com/{PROVIDER}")).accepted();
    assert_eq!(default(AUDIENCE.to_owned()).run().unwrap_err().error.rule, "G-36");
    // With a list, the defaults are no longer taken.
    let named = Case::claiming(&json!({"aud": format!("//iam.googleapis.com/{PROVIDER}")}));
    assert_eq!(named.run().unwrap_err().error.rule, "G-36");
}

#[test]
fn g_37_a_missing_issuer_is_null_and_the_old_words_are_kept() {
    let text = format!("The issuer in ID Token null does not match the expected one in config: {ISSUER}.");
    Case::without_claim("iss").is_refused("G-37", "invalid_grant", &text);
    let old = format!("The issuer in ID Token https://x.no does not match the expected ones: {ISSUER}");
    let case = Case::but(|case| {
        case.claims["iss"] = "https://x.no".into();
        case.wording = Wording::Legacy;
    });
    case.is_refused("G-37", "invalid_grant", &old);
}

#[test]
fn g_38_without_times_a_token_is_stale() {
    Case::without_claim("iat").is_refused("G-38", "invalid_grant", "ID Token issued at null is stale to sign-in.");
    let text = format!("ID Token issued at {NOW} is stale to sign-in.");
    Case::without_claim("exp").is_refused("G-38", "invalid_grant", &text);
    assert_eq!(Case::claiming(&json!({"iat": 1.5})).run().unwrap_err().error.rule, "G-38");
}

#[test]
fn g_39_a_signature_that_does_not_hold_is_told_so() {
    let case = Case::but(|case| case.keys = vec![other_jwk("test-key-1")]);
    case.is_refused("G-39", "invalid_grant", "Unable to verify the ID Token signature.");
}

#[test]
fn g_40_every_trouble_with_keys_and_documents_has_one_text() {
    let refused = |change: fn(&mut Case)| Case::but(change).is_refused("G-40", "invalid_grant", CANNOT_CONNECT);
    refused(|case| case.header["kid"] = "unknown".into());
    refused(|case| drop(case.header.as_object_mut().unwrap().remove("kid")));
    refused(|case| case.keys.clear());
    refused(|case| {
        let (token, _) = sign_ec("ES256", "test-key-1", &case.claims);
        case.token = Some(token);
    });
    refused(|case| {
        case.unavailable = Some(DocumentProblem::Unavailable { url: ISSUER.to_owned(), reason: "status 500".to_owned() });
    });
    refused(|case| case.discovery["issuer"] = "https://other.example.no".into());
    refused(|case| drop(case.discovery.as_object_mut().unwrap().remove("jwks_uri")));
}

#[test]
fn g_45_uploaded_keys_are_the_only_keys() {
    let uploaded = |keys: &serde_json::Value| {
        Case::but(|case| {
            case.provider.as_mut().unwrap().oidc.jwks_json = Some(json!({"keys": [keys]}).to_string());
            case.unavailable = Some(DocumentProblem::Unavailable { url: ISSUER.to_owned(), reason: "not asked".to_owned() });
        })
    };
    uploaded(&public_jwk()).accepted();
    let decision = uploaded(&other_jwk("old-key")).run().unwrap_err();
    assert_eq!((decision.error.rule, decision.error.description.as_str()), ("G-40", CANNOT_CONNECT));
    let reason = Reason::UploadedKeys { kid: Some("test-key-1".to_owned()), available: vec!["old-key".to_owned()] };
    assert_eq!(*decision.reason, reason);
}

#[test]
fn g_41_a_subject_of_more_than_127_bytes_is_refused() {
    let with = |bytes: usize| {
        Case::but(|case| {
            case.claims["consumer"]["ID"] = "x".repeat(bytes).into();
        })
    };
    with(127).accepted();
    let text = "The size of mapped attribute google.subject exceeds the 127 bytes limit. Either modify your attribute mapping or the incoming assertion to produce a mapped attribute that is less than 127 bytes.";
    with(128).is_refused("G-41", "invalid_request", text);
}

#[test]
fn g_43_what_is_no_token_is_not_parsed() {
    for wrong in ["x", "a.b.c", "eyJhbGciOiJub25lIn0.W10.", &format!("Bearer {}", Case::good().token())] {
        let case = Case::but(|case| case.token = Some(wrong.to_owned()));
        assert_eq!(case.run().unwrap_err().error.rule, "G-43", "{wrong}");
    }
}

#[test]
fn g_44_a_scope_is_required() {
    let case = Case::but(|case| drop(case.form.remove("scope")));
    assert_eq!(case.run().unwrap_err().error.rule, "G-44");
}

#[test]
fn g_15_two_scopes_are_one_text_with_a_blank() {
    let two = format!("{SCOPE} entur:other");
    let exchanged = Case::claiming(&json!({"scope": two})).accepted();
    assert_eq!(exchanged.identity.attributes["clientaccess"], format!("client::0192:917422575::{two}"));
}

/// P-1, P-2 and P-3 at Google: RS256 and a key id; typ is not looked at.
#[test]
fn p_1_p_2_p_3_the_common_header_is_taken_and_another_typ_too() {
    Case::but(|case| case.header["typ"] = "JWT".into()).accepted();
    Case::but(|case| case.header["typ"] = "at+jwt".into()).accepted();
    Case::but(|case| drop(case.header.as_object_mut().unwrap().remove("kid"))).is_refused(
        "G-40",
        "invalid_grant",
        CANNOT_CONNECT,
    );
}

/// P-6: 127 bytes are Google's limit, the least of the three.
#[test]
fn p_6_a_subject_of_127_bytes_is_the_longest_that_every_cloud_takes() {
    let mapped = |length: usize| {
        Case::but(|case| {
            let mapping = &mut case.provider.as_mut().unwrap().attribute_mapping;
            mapping.insert("google.subject".to_owned(), "assertion.sub".to_owned());
            case.claims["sub"] = "s".repeat(length).into();
        })
    };
    mapped(127).accepted();
    assert_eq!(mapped(128).run().unwrap_err().error.rule, "G-41");
}

/// G-26: no limit for the token is documented, so none is invented; `options` have one.
#[test]
fn g_26_a_long_token_is_taken_and_long_options_are_not() {
    Case::claiming(&json!({"more": "x".repeat(12_000)})).accepted();
    let long = Case::but(|case| drop(case.form.insert("options", format!("{{\"userProject\":\"{}\"}}", "p".repeat(4096)))));
    assert_eq!(long.run().unwrap_err().error.error, "invalid_request");
}

/// G-42 and G-30: a flat error with a status of its own.
#[test]
fn g_42_too_many_exchanges_are_told_so() {
    let error = skybru_federation::google::StsError::throttled();
    assert_eq!((error.status, error.error, error.rule), (429, "quota_exceeded", "G-42"));
    assert!(error.description.contains("throttled due to rate limit: sts.googleapis.com/requests"));
}

/// G-5.
#[test]
fn g_5_an_organisation_lets_its_projects_trust_the_issuers_that_it_lists() {
    use skybru_federation::google::org_policy::IssuerRule;
    let rule = |rule: &serde_json::Value| serde_json::from_value::<IssuerRule>(rule.clone()).unwrap().check(ISSUER);
    assert!(rule(&json!({"values": {"allowedValues": [ISSUER]}})).is_ok() && rule(&json!({"allowAll": true})).is_ok());
    assert!(rule(&json!({"values": {"deniedValues": ["https://other.example.no"]}})).is_ok());
    for refused in [
        json!({"values": {"allowedValues": [format!("{ISSUER}/")]}}),
        json!({"denyAll": true}),
        json!({}),
        json!({"values": {"deniedValues": [ISSUER]}}),
    ] {
        let error = rule(&refused).unwrap_err();
        assert_eq!(
            (error.code, error.status, error.message.as_str()),
            (400, "FAILED_PRECONDITION", "Precondition check failed."),
            "{refused}"
        );
        assert_eq!(error.violation.unwrap(), "Org Policy violated for value: 'https://sky.example.no'.");
    }
}
