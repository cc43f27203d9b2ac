//! The audience.

use serde_json::json;
use skybru_federation::aws::{Reason, Rules, Wording};

use crate::case::{AUDIENCE, Case, NOT_VALIDATED, role};

/// A case without a condition on the audience, so that only the provider judges it.
fn case(claims: &serde_json::Value) -> Case {
    let mut case = Case::claiming(claims);
    case.role = Some(role(&json!({"StringLike": {"sky.example.no:sub": "0192:917422575;*"}})));
    case
}

#[test]
fn a_39_an_empty_list_is_an_error_and_an_empty_text_is_not_registered() {
    case(&json!({"aud": []})).is_no_identity("A-39", "Claim is not allowed to be empty: aud");
    case(&json!({"aud": []})).is_no_identity("A-39", "Claim is not allowed to be empty: aud");
    case(&json!({"aud": ""})).is_no_identity("A-41", NOT_VALIDATED);
}

#[test]
fn a_40_a_list_of_one_is_taken() {
    assert_eq!(case(&json!({"aud": [AUDIENCE]})).accepted().audience, AUDIENCE);
}

#[test]
fn a_40_several_audiences_are_refused_even_if_all_are_registered() {
    let mut case = case(&json!({"aud": [AUDIENCE, "https://second.no"]}));
    case.providers = vec![crate::case::provider(crate::case::ISSUER, &[AUDIENCE, "https://second.no"])];
    case.is_no_identity("A-40", "Token audience contains more than one audience while authorized party is not present");
}

#[test]
fn a_40_azp_takes_the_place_of_aud() {
    let accepted = case(&json!({"azp": AUDIENCE, "aud": ["x", "y"]})).accepted();
    assert_eq!(accepted.audience, AUDIENCE, "A-25: and is shown in the answer");
    case(&json!({"azp": "client", "aud": AUDIENCE})).is_no_identity("A-41", NOT_VALIDATED);
    case(&json!({"azp": "", "aud": AUDIENCE})).is_no_identity("A-41", NOT_VALIDATED);
}

#[test]
fn a_41_an_audience_that_is_not_registered_is_refused_in_todays_or_yesterdays_words() {
    let mut case = case(&json!({"aud": "https://entur.org"}));
    case.is_no_identity("A-41", NOT_VALIDATED);
    let Reason::Audience { found, registered } = *case.run().unwrap_err().reason else { panic!("another reason") };
    assert_eq!((found.as_str(), registered), ("https://entur.org", vec![AUDIENCE.to_owned()]), "the doctor knows more");

    case.rules = Rules { wording: Wording::Legacy, ..Rules::default() };
    case.is_no_identity("A-41", "Incorrect token audience");
}

#[test]
fn a_6_a_provider_without_client_ids_takes_no_token() {
    let mut case = case(&json!({}));
    case.providers[0].client_ids.clear();
    case.is_no_identity("A-41", NOT_VALIDATED);
}

#[test]
fn audiences_are_compared_byte_for_byte() {
    for aud in ["https://skyporten.example.no/", "https://Skyporten.example.no", "HTTPS://skyporten.example.no"] {
        case(&json!({"aud": aud})).is_no_identity("A-41", NOT_VALIDATED);
    }
}
