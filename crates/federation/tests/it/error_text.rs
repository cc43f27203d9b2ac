//! Every text that a rule quotes, old wording and new, points somewhere: D-99. The issuer's codes are here too.

use skybru_federation::aws::{Rules, Wording};
use skybru_federation::{Speaker, explain_error};

use crate::case::{Case, NO_KEY, NOT_A_JWT, NOT_AUTHORIZED, NOT_VALIDATED};

/// Text, the speaker's rule, and the likeliest mistake (none: the catalogue has none of its own).
type Row = (&'static str, &'static str, Option<&'static str>);

#[track_caller]
fn is_explained(speaker: Speaker, rows: &[Row]) {
    for (text, rule, mistake) in rows {
        let said = explain_error(text);
        let Some(explanation) = said.iter().find(|explanation| explanation.speaker == speaker) else {
            panic!("nobody knows {text:?}");
        };
        assert_eq!((explanation.rule, explanation.mistakes.first()), (*rule, mistake.as_ref()), "{text}");
        assert_eq!(said.len(), 1, "{text:?} is claimed by several: {said:?}");
    }
}

#[test]
fn d_99_each_text_of_aws_points_to_its_rule_and_likeliest_mistake() {
    is_explained(
        Speaker::Aws,
        &[
            (NO_KEY, "A-32", Some("D-01")),
            (NOT_VALIDATED, "A-36", Some("D-22")),
            ("Incorrect token audience", "A-41", Some("D-22")),
            (NOT_A_JWT, "A-30", Some("D-19")),
            (NOT_AUTHORIZED, "A-62", Some("D-25")),
            ("OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint", "A-49", Some("D-30")),
            ("No OpenIDConnect provider found in your account for https://sky.example.no/", "A-48", Some("D-20")),
            ("Token expired: current date/time 1 must be before the expiration date/time 0", "A-42", Some("D-13")),
            ("Token issued in the future: 1", "A-43", Some("D-13")),
            (
                "Token not yet valid: current date/time 1 must be after or equal to the not-before date/time 2",
                "A-44",
                Some("D-13"),
            ),
            ("Missing a required claim: aud", "A-37", Some("D-18")),
            ("Claim is not allowed to be empty: aud", "A-39", Some("D-18")),
            ("Missing a required claim: iat", "A-37", Some("D-11")),
            ("Missing a required claim: sub", "A-37", None),
            ("Invalid timestamp in token claims.", "A-45", Some("D-11")),
            ("Token audience contains more than one audience while authorized party is not present", "A-40", Some("D-10")),
            ("Unknown error validating third-party token", "A-38", None),
            ("principal_tags passed in claim is not in correct format.", "A-75", Some("D-31")),
            ("Provided Token is not a Login With Amazon token", "A-55", None),
            (
                "1 validation error detected: Value '0192:1' at 'roleSessionName' failed to satisfy constraint: …",
                "A-23",
                Some("D-28"),
            ),
            (
                "1 validation error detected: Value '100' at 'durationSeconds' failed to satisfy constraint: …",
                "A-60",
                Some("D-29"),
            ),
            ("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", "A-61", Some("D-29")),
            ("1 validation error detected: Value at 'webIdentityToken' failed to satisfy constraint: …", "A-60", Some("D-19")),
            ("Invalid principal in policy: \"FEDERATED\":\"arn:aws:iam::1:oidc-provider/x\"", "A-18", Some("D-27")),
            ("Could not connect to openid configuration of provider: https://sky.example.no", "A-17", Some("D-03")),
            ("Please check .well-known/openid-configuration of provider: https://sky.example.no is valid", "A-17", Some("D-01")),
            ("Provider with url https://sky.example.no already exists.", "A-12", None),
            ("OpenIDConnect Provider not found for arn arn:aws:iam::1:oidc-provider/x", "A-14", Some("D-20")),
            ("OpenId connect Provider arn:aws:iam::1:oidc-provider/x cannot be found.", "A-14", Some("D-20")),
            ("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100", "A-15", None),
            ("Thumbprint list must contain fewer than 5 entries.", "A-8", None),
            (
                "An error occurred (RegionDisabledException) when calling the AssumeRoleWithWebIdentity operation",
                "D-34",
                Some("D-34"),
            ),
            ("The security token included in the request is invalid.", "A-65", Some("D-36")),
            (
                "User: x is not authorized to perform: s3:GetObject on resource: \"y\" because no identity-based policy allows",
                "D-32",
                Some("D-32"),
            ),
            ("An error occurred (AccessDenied) when calling the GetObject operation: Access Denied", "D-32", Some("D-32")),
            ("OpenIdIdpCommunicationError: …", "A-7", Some("D-03")),
            (
                "An error occurred (IDPCommunicationError) when calling the AssumeRoleWithWebIdentity operation",
                "A-52",
                Some("D-03"),
            ),
            ("Thumbprint list must contain at least one entry.", "A-9", None),
            (
                "An error occurred (InvalidInput) when calling the CreateOpenIDConnectProvider operation: Unknown",
                "A-3",
                Some("D-20"),
            ),
            (
                "An error occurred (ValidationError) when calling the CreateOpenIDConnectProvider operation: Invalid Open ID Connect Provider URL",
                "A-2",
                Some("D-20"),
            ),
            (
                "1 validation error detected: Value at 'roleArn' failed to satisfy constraint: Member must not be null",
                "A-60",
                None,
            ),
            (
                "An error occurred (PackedPolicyTooLarge): Packed policy consumes 112% of allotted space, please use smaller policy.",
                "A-63",
                None,
            ),
            (
                "An error occurred (MalformedPolicyDocument) when calling the CreateRole operation: This policy contains invalid Json",
                "A-63",
                Some("D-27"),
            ),
            ("Could not find operation AssumeRoleWithWeb for version 2011-06-15", "A-65", None),
            ("The request must contain the parameter RoleName.", "A-65", None),
            ("Request is missing Authentication Token", "A-65", Some("D-35")),
            ("Duplicate tag keys found. Please note that Tag keys are case insensitive.", "A-65", None),
            ("Unsupported version '2' for credential process provider, supported versions: 1", "A-92", Some("D-35")),
            ("Auth token value is not a legal header value", "A-93", Some("D-19")),
            ("An error occurred (IDPRejectedClaim) when calling the AssumeRoleWithWebIdentity operation", "A-55", None),
            ("The bucket you are attempting to access must be addressed using the specified endpoint.", "D-32", Some("D-32")),
        ],
    );
}

#[test]
fn d_17_each_text_of_the_issuer_points_to_its_code() {
    is_explained(
        Speaker::Issuer,
        &[
            ("Invalid assertion. Invalid parameter value.", "MP-011", Some("D-17")),
            ("Validation of JWT Bearer grant failed. Grant is used before.", "MP-012", Some("D-17")),
            ("Invalid assertion. Client authentication failed. Client not found.", "MP-100", Some("D-17")),
            ("Invalid assertion. Client authentication failed. Invalid JWT claim aud.", "MP-110", Some("D-17")),
            (
                "Invalid assertion. Client authentication failed. The JWT is signed with an invalid certificate.",
                "MP-120",
                Some("D-17"),
            ),
            ("Invalid assertion. Client authentication failed. Unknown key identifier (kid) for client.", "MP-120", Some("D-17")),
            (
                "Invalid assertion. Client authentication failed. Invalid JWT. The client requires pre-registered jwk and no key identifier (kid) provided.",
                "MP-120",
                Some("D-17"),
            ),
            ("Invalid assertion. Client authentication failed. Expired key.", "MP-121", Some("D-17")),
            (
                "Invalid assertion. Client authentication failed. Invalid JWT. Invalid organization number for client. Does not match certificate orgno.",
                "MP-122",
                Some("D-17"),
            ),
            ("Invalid assertion. Client authentication failed. Invalid JWT header x5c.", "MP-123", Some("D-17")),
            ("Invalid assertion. Client authentication failed. Invalid JWT signature.", "MP-124", Some("D-17")),
            ("Invalid assertion. Client authentication failed. JWT is expired.", "MP-130", Some("D-13")),
            ("Invalid assertion. Client authentication failed. Issue time is after now.", "MP-130", Some("D-13")),
            (
                "Validation of JWT claim failed: The combination consumer_org in claim and delegation scope on client is invalid",
                "MP-011",
                Some("D-17"),
            ),
            ("Token request contains invalid scopes for client, altinn:serviceowners/read", "MP-200", Some("D-17")),
            ("Token request contains scopes not allowed for maskinporten", "MP-201", Some("D-17")),
            ("Consumer has not been granted access to the scope entur:skyss.1.", "MP-250", Some("D-17")),
            (
                "Consumer 917422575 has not delegated access to the scope entur:skyss.1 to supplier 991825827.",
                "MP-251",
                Some("D-17"),
            ),
            ("Unknown authorization details type", "MP-301", Some("D-17")),
            ("Unknown fields in the authorization details", "MP-302", Some("D-17")),
            ("Invalid authorization details values", "MP-303", Some("D-17")),
            ("Unsupported grant type", "MP-011", Some("D-17")),
            ("Missing parameter: assertion", "MP-011", Some("D-17")),
        ],
    );
}

#[test]
fn d_99_blanks_case_and_what_stands_around_do_not_matter() {
    let in_a_terminal = "\nAn error occurred (InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity operation: Couldn't \
                         retrieve verification key from your\r\nidentity provider, please reference AssumeRoleWithWebIdentity …";
    assert_eq!(explain_error(in_a_terminal), explain_error(NO_KEY));
    assert_eq!(explain_error(&NOT_VALIDATED.to_uppercase()), explain_error(NOT_VALIDATED));
}

#[test]
fn d_99_an_unknown_text_points_nowhere() {
    for unknown in ["", "invalid_grant", "no", "error 42"] {
        assert!(explain_error(unknown).is_empty(), "{unknown}");
    }
}

#[test]
fn d_99_whatever_the_rules_say_is_recognised() {
    let legacy = Rules { wording: Wording::Legacy, ..Rules::default() };
    for rules in [Rules::default(), legacy] {
        let changes: [fn(&mut Case); 6] = [
            |case| case.claims["aud"] = "x".into(),
            |case| case.claims["exp"] = 1.into(),
            |case| case.claims["sub"] = serde_json::Value::Null,
            |case| case.keys.clear(),
            |case| case.providers.clear(),
            |case| case.role = None,
        ];
        for change in changes {
            let mut case = Case::but(change);
            case.rules = rules;
            let text = case.refused().2;
            assert!(!explain_error(&text).is_empty(), "{text}");
        }
    }
}

/// An old assertion that az stored looks like a wrong clock.
#[test]
fn d_70_the_text_about_the_assertions_time_points_to_az_too() {
    let text =
        "ERROR: AADSTS700024: Client assertion is not within its valid time range. Current time: 2023-08-01T11:08:01.5274809Z";
    let said = explain_error(text);
    assert_eq!(said[0].rule, "E-39");
    assert!(said[0].mistakes.contains(&"D-70"), "{said:?}");
}

/// E-36, E-48: numbers that only a real directory gives, and the doctor knows.
#[test]
fn e_34_e_36_e_48_numbers_of_rarer_refusals_are_known() {
    let rule = |text: &str| explain_error(text).first().map(|explanation| (explanation.speaker, explanation.rule));
    let policy =
        "AADSTS7000226: No federated identity credential policy found on application (0d2b6f0a-3f1c-4d7e-9a66-aaaaaaaaaaaa).";
    assert_eq!(rule(policy), Some((Speaker::Azure, "E-36")));
    let client = "AADSTS700021: Client assertion application identifier doesn't match 'client_id' parameter.";
    assert_eq!(rule(client), Some((Speaker::Azure, "E-48")));
    assert_eq!(rule("AADSTS7002131: No matching federated identity record found"), Some((Speaker::Azure, "E-34")));
}

/// W-7: the consumer's error in the guide for Google came from Maskinporten, before any cloud was asked.
#[test]
fn w_7_an_error_of_the_issuers_is_no_error_of_the_clouds() {
    let text = "Invalid assertion. Client authentication failed. Invalid JWT claim aud.";
    let explanations = explain_error(text);
    assert_eq!(explanations[0].speaker, Speaker::Issuer);
    assert!(explanations.iter().all(|explanation| explanation.speaker == Speaker::Issuer), "{explanations:?}");
    assert!(explanations[0].mistakes.contains(&"D-17"));
}
