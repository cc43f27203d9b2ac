//! The token's shape, header and claims: A-24 to A-26, A-30, A-31, A-37, A-38, A-45 to A-48.

use serde_json::{Value, json};
use skybru_protocol::base64url;

use crate::case::{
    AUDIENCE, Case, ISSUER, NO_KEY, NOT_A_JWT, NOW, PROVIDER_ARN, SUBJECT, other_jwk, provider, role, sign, sign_ec, sign_text,
};
use skybru_federation::DocumentProblem;

#[test]
fn a_24_a_25_the_answer_names_subject_audience_and_the_providers_arn() {
    let accepted = Case::good().accepted();
    assert_eq!((accepted.subject.as_str(), accepted.audience.as_str()), (SUBJECT, AUDIENCE));
    assert_eq!(accepted.provider, PROVIDER_ARN, "an ARN, although the API's text says iss");
    assert_eq!(accepted.source_identity, None);
}

#[test]
fn a_25_the_packed_size_is_there_without_policies_and_grows_with_the_subject() {
    assert!((24..=26).contains(&Case::good().accepted().packed_policy_size));
    let long = Case::but(|case| {
        case.claims["sub"] = "s".repeat(300).into();
        case.role = Some(crate::case::role(&json!({"StringEquals": {"sky.example.no:aud": AUDIENCE}})));
    });
    assert_eq!(long.accepted().packed_policy_size, 34);
}

#[test]
fn a_26_credentials_live_as_long_as_asked_for_however_short_the_token_lives() {
    assert_eq!(Case::good().accepted().expires(NOW), NOW + 3600, "an hour when nothing is said");
    let case = Case::but(|case| {
        case.claims["exp"] = json!(NOW + 60);
        case.form.insert("DurationSeconds", "7200".to_owned());
        case.role.as_mut().unwrap().max_session_duration = 7200;
    });
    assert_eq!(case.accepted().expires(NOW), NOW + 7200);
}

#[test]
fn a_30_six_algorithms_are_taken() {
    for alg in ["RS256", "RS384", "RS512"] {
        Case::but(|case| case.header["alg"] = alg.into()).accepted();
    }
    for alg in ["ES256", "ES384", "ES512"] {
        let case = Case::but(|case| {
            let (token, jwk) = sign_ec(alg, "ec", &case.claims);
            case.token = Some(token);
            case.keys = vec![serde_json::to_value(jwk).unwrap()];
        });
        case.accepted();
    }
}

#[test]
fn a_30_other_algorithms_make_it_no_jwt() {
    for alg in ["none", "HS256", "HS512", "PS256", "PS512", "EdDSA", "rs256", ""] {
        Case::but(|case| case.header["alg"] = alg.into()).is_no_identity("A-30", NOT_A_JWT);
    }
}

#[test]
fn a_30_what_is_no_token_is_no_jwt() {
    let good = Case::good().token();
    let whole_answer = json!({"access_token": good, "token_type": "Bearer"}).to_string();
    let array = sign_text("[1]");
    for text in [&format!("Bearer {good}"), &format!("\"{good}\""), &format!("{good}\n"), "abcd", "a.b.c", &whole_answer, &array]
    {
        Case::but(|case| case.token = Some(text.to_owned())).is_no_identity("A-30", NOT_A_JWT);
    }
}

#[test]
fn a_31_crit_makes_it_no_jwt() {
    Case::but(|case| case.header["crit"] = json!(["exp"])).is_no_identity("A-31", NOT_A_JWT);
}

#[test]
fn a_37_five_claims_are_required() {
    for name in ["iss", "sub", "aud", "iat", "exp"] {
        Case::without_claim(name).is_no_identity("A-37", &format!("Missing a required claim: {name}"));
    }
}

#[test]
fn a_38_any_length_of_subject_is_taken_and_a_number_becomes_its_digits() {
    let long = "s".repeat(400);
    for (claim, subject) in [(json!("x"), "x"), (json!(""), ""), (json!(long), long.as_str()), (json!(917_422_575), "917422575")]
    {
        let case = Case::but(|case| {
            case.claims["sub"] = claim;
            case.role = Some(crate::case::role(&json!({"StringEquals": {"sky.example.no:sub": subject}})));
        });
        assert_eq!(case.accepted().subject, subject);
    }
}

#[test]
fn a_38_a_null_subject_breaks_aws_itself() {
    let said = Case::claiming(&json!({"sub": null})).refused();
    assert_eq!(said, ("InternalFailure", 500, "Unknown error validating third-party token".to_owned(), "A-38"));
}

#[test]
fn a_45_times_are_integers_or_integers_in_strings() {
    Case::claiming(&json!({"iat": NOW.to_string(), "exp": (NOW + 9).to_string(), "nbf": NOW.to_string()})).accepted();
    for wrong in [json!(1.5), json!(null), json!("soon"), json!("1.5"), json!(true), json!([NOW]), json!(1e300)] {
        for name in ["iat", "exp", "nbf"] {
            let mut claims = json!({});
            claims[name] = wrong.clone();
            Case::claiming(&claims).is_no_identity("A-45", "Invalid timestamp in token claims.");
        }
    }
}

#[test]
fn a_46_of_repeated_claims_the_last_one_counts() {
    let claims = |first: &str, second: &str| {
        let exp = NOW + 60;
        format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","iat":{NOW},"exp":{exp},"sub":"{first}","sub":"{second}"}}"#)
    };
    let case = |text: String| Case::but(|case| case.token = Some(sign_text(&text)));
    assert_eq!(case(claims("somebody", SUBJECT)).accepted().subject, SUBJECT);
    case(claims(SUBJECT, "somebody")).is_not_authorized();
}

#[test]
fn a_47_a_48_the_issuer_is_compared_exactly() {
    for iss in ["https://sky.example.no/", "https://Sky.example.no", "https://sky.example.no:443", "https://other.no"] {
        let text = format!("No OpenIDConnect provider found in your account for {iss}");
        Case::claiming(&json!({"iss": iss})).is_no_identity("A-48", &text);
    }
    // A-47: without https no provider can match; which text AWS has for it is unconfirmed.
    for iss in ["sky.example.no", "http://sky.example.no"] {
        assert_eq!(Case::claiming(&json!({"iss": iss})).refused().3, "A-48");
    }
}

#[test]
fn a_47_plain_http_is_for_this_machine_alone() {
    let case = |provider_url: &str, iss: &str| {
        Case::but(|case| {
            case.providers = vec![provider(provider_url, &[AUDIENCE])];
            case.claims["iss"] = iss.into();
        })
    };
    assert_ne!(case("https://localhost:7402", "http://localhost:7402").refused().3, "A-48", "gets as far as the documents");
    assert_eq!(case("https://localhost.evil.no", "http://localhost.evil.no").refused().3, "A-48");
}

#[test]
fn a_3_a_48_a_provider_with_a_slash_is_another_one() {
    let case = Case::but(|case| case.providers = vec![provider("https://sky.example.no/", &[AUDIENCE])]);
    case.is_no_identity("A-48", "No OpenIDConnect provider found in your account for https://sky.example.no");
}

#[test]
fn extra_claims_of_skyporten_do_no_harm() {
    let claims = json!({"scope": "entur:skyporten.demo", "client_amr": "private_key_jwt", "token_type": "Bearer", "jti": "x",
        "consumer": {"authority": "iso6523-actorid-upis", "ID": "0192:917422575"}});
    Case::claiming(&claims).accepted();
}

#[test]
fn a_payload_that_is_no_utf_8_is_no_jwt() {
    let header = base64url::encode(json!({"alg": "RS256"}).to_string());
    let token = format!("{header}.{}.AAAA", base64url::encode([0xff, 0xfe]));
    Case::but(|case| case.token = Some(token)).is_no_identity("A-30", NOT_A_JWT);
    let unsigned: Value = json!({"alg": "RS256", "kid": 1});
    Case::but(|case| case.token = Some(sign(&unsigned, &case.claims))).is_no_identity("A-30", NOT_A_JWT);
}

/// P-1 and P-3 at AWS: RS256 and a key id; typ is not looked at (P-2).
#[test]
fn p_1_p_2_p_3_the_common_header_is_taken_and_another_typ_too() {
    Case::but(|case| case.header = json!({"alg": "RS256", "typ": "JWT", "kid": "test-key-1"})).accepted();
    Case::but(|case| case.header["typ"] = "at+jwt".into()).accepted();
    let two = Case::but(|case| {
        case.header = json!({"alg": "RS256", "typ": "JWT"});
        case.keys.push(other_jwk("another"));
    });
    two.is_no_identity("A-32", NO_KEY);
}

/// P-6 and P-7 at AWS: Skyporten's subject as it is; times are whole numbers.
#[test]
fn p_6_p_7_subject_and_times_are_those_of_the_profile() {
    let long = format!("0192:917422575;{}", "s".repeat(127 - 15));
    let case = Case::but(|case| {
        case.claims["sub"] = long.clone().into();
        case.role = Some(role(&json!({"StringEquals": {"sky.example.no:sub": long}})));
    });
    assert_eq!(case.accepted().subject.len(), 127);
    Case::claiming(&json!({"iat": 1_757_590_000.5})).is_no_identity("A-45", "Invalid timestamp in token claims.");
}

/// P-10 at AWS: whatever stands between, the text is the same (A-51).
#[test]
fn p_10_documents_that_cannot_be_had_are_no_documents() {
    let unavailable = DocumentProblem::Unavailable { url: format!("{ISSUER}/jwk"), reason: "status 302".to_owned() };
    Case::but(|case| case.unavailable = Some(unavailable)).is_no_identity("A-51", NO_KEY);
}
