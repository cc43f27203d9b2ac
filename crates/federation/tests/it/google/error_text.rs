//! Error texts of Google are recognised, old wordings and new.

use skybru_federation::{Speaker, explain_error};

#[test]
fn every_text_of_the_catalogue_points_to_its_mistake() {
    for (text, first) in [
        ("The given credential is rejected by the attribute condition.", "D-45"),
        ("Could not obtain a value for google.subject from the given credential.", "D-46"),
        ("The target service indicated by the \"audience\" parameters is invalid. This might either be because", "D-41"),
        (r#"{"error_description":"Invalid value for \"audience\". This value should be the full resource name"}"#, "D-40"),
        ("Invalid value of requested_token_type in request.", "G-35"),
        ("The audience in ID Token [https://x] does not match the expected audience.", "D-42"),
        ("The issuer in ID Token https://a does not match the expected one in config: https://b.", "D-43"),
        ("The issuer in ID Token https://a does not match the expected ones: https://b", "D-43"),
        ("ID Token issued at 1700000000 is stale to sign-in.", "D-13"),
        ("Unable to verify the ID Token signature.", "D-06"),
        ("Error connecting to the given credential's issuer.", "D-05"),
        ("Error connecting to the given credential’s issuer.", "D-05"),
        ("The size of mapped attribute google.subject exceeds the 127 bytes limit. Either modify", "D-14"),
        ("The current count of 500 mapped attribute google.groups exceeds the 400 count limit.", "G-13"),
        ("The size of the entire mapped attributes exceeds the 16 KB limit.", "G-9"),
        ("The request was throttled due to rate limit: sts.googleapis.com/requests.", "G-42"),
        ("Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).", "D-47"),
        ("IAM Service Account Credentials API has not been used in project 1 before or it is disabled.", "D-48"),
        ("Lifetime of access token must be larger then zero.", "G-54"),
        ("… can not have lifetimes of more than 1 hour. Use the Org Policy Constraint", "G-54"),
        ("Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie", "D-50"),
        ("a@b.iam.gserviceaccount.com does not have storage.objects.list access to the Google Cloud Storage bucket.", "D-50"),
        ("Executables need to be explicitly allowed (set GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES to '1') to run.", "D-52"),
        ("Unable to parse subject_token from JSON file '/t' using key 'access_token'", "D-51"),
        ("File '/tmp/token' was not found.", "D-51"),
        ("workforce_pool_user_project should not be set for non-workforce pool credentials", "D-53"),
        ("Org Policy violated for value: 'https://x'.", "G-5"),
        ("Invalid OIDC issuer URI. The scheme must be https.", "G-2"),
        ("Input JWK is not in a valid json format", "G-4"),
        ("Input jwks contains corrupted key material.", "G-4"),
    ] {
        let said = explain_error(text);
        let google = said.iter().find(|said| said.speaker == Speaker::Google).expect(text);
        assert!(google.mistakes.first() == Some(&first) || google.rule == first, "{text}: {google:?}");
    }
}

#[test]
fn other_texts_are_not_googles() {
    for text in ["", "AADSTS700016", "Not authorized to perform sts:AssumeRoleWithWebIdentity", "hello"] {
        assert!(explain_error(text).iter().all(|said| said.speaker != Speaker::Google), "{text}");
    }
}
