//! Every text of AWS's that the rules quote points somewhere: D-99.

use skybru_federation::aws::{Rules, Wording, explain_error};

use crate::case::{Case, NO_KEY, NOT_A_JWT, NOT_AUTHORIZED, NOT_VALIDATED};

#[test]
fn d_99_each_text_points_to_its_likeliest_mistake() {
    for (text, rule) in [
        (NO_KEY, "D-01"),
        (NOT_VALIDATED, "D-22"),
        ("Incorrect token audience", "D-22"),
        (NOT_A_JWT, "D-19"),
        (NOT_AUTHORIZED, "D-25"),
        ("OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint", "D-30"),
        ("No OpenIDConnect provider found in your account for https://sky.example.no/", "D-20"),
        ("Token expired: current date/time 1 must be before the expiration date/time 0", "D-13"),
        ("Token issued in the future: 1", "D-13"),
        ("Token not yet valid: current date/time 1 must be after or equal to the not-before date/time 2", "D-13"),
        ("Missing a required claim: aud", "D-18"),
        ("Claim is not allowed to be empty: aud", "D-18"),
        ("Missing a required claim: iat", "D-11"),
        ("Missing a required claim: sub", "A-37"),
        ("Invalid timestamp in token claims.", "D-11"),
        ("Token audience contains more than one audience while authorized party is not present", "D-10"),
        ("Unknown error validating third-party token", "A-38"),
        ("principal_tags passed in claim is not in correct format.", "D-31"),
        ("Provided Token is not a Login With Amazon token", "A-55"),
        ("1 validation error detected: Value '0192:1' at 'roleSessionName' failed to satisfy constraint: …", "D-28"),
        ("1 validation error detected: Value '100' at 'durationSeconds' failed to satisfy constraint: …", "D-29"),
        ("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", "D-29"),
        ("1 validation error detected: Value at 'webIdentityToken' failed to satisfy constraint: …", "D-19"),
        ("Invalid principal in policy: \"FEDERATED\":\"arn:aws:iam::1:oidc-provider/x\"", "D-27"),
        ("Could not connect to openid configuration of provider: https://sky.example.no", "D-03"),
        ("Please check .well-known/openid-configuration of provider: https://sky.example.no is valid", "D-01"),
        ("Provider with url https://sky.example.no already exists.", "A-12"),
        ("OpenIDConnect Provider not found for arn arn:aws:iam::1:oidc-provider/x", "A-14"),
        ("OpenId connect Provider arn:aws:iam::1:oidc-provider/x cannot be found.", "A-14"),
        ("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100", "A-15"),
        ("Thumbprint list must contain fewer than 5 entries.", "A-8"),
        ("An error occurred (RegionDisabledException) when calling the AssumeRoleWithWebIdentity operation", "D-34"),
        ("The security token included in the request is invalid.", "D-36"),
        ("User: x is not authorized to perform: s3:GetObject on resource: \"y\" because no identity-based policy allows", "D-32"),
        ("An error occurred (AccessDenied) when calling the GetObject operation: Access Denied", "D-32"),
    ] {
        assert_eq!(explain_error(text).first(), Some(&rule), "{text}");
    }
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
    for unknown in ["", "AADSTS700024: Client assertion is not within its valid time range.", "invalid_grant"] {
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
