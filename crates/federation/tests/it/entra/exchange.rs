//! The token request, rule by rule: E-3, E-7, E-10 to E-15, E-20 to E-47, E-49, E-51, E-52.

use serde_json::{Value, json};
use skybru_federation::DocumentProblem;
use skybru_federation::entra::{CredentialInput, FederatedCredential, IdentityKind, Reason, Rules, Wording, resource_of};

use super::case::{AUDIENCE, CLIENT, Case, PRINCIPAL, TENANT, credential, identity};
use crate::case::{ISSUER, NOW, SUBJECT, other_jwk, public_jwk, sign_ec};

fn legacy(change: impl FnOnce(&mut Case)) -> Case {
    Case::but(|case| {
        case.rules = Rules { wording: Wording::Legacy };
        change(case);
    })
}

#[test]
fn e_3_every_difference_counts_even_a_slash_a_case_or_a_blank() {
    for issuer in ["https://sky.example.no/", "https://SKY.example.no", " https://sky.example.no", "http://sky.example.no"] {
        assert_eq!(Case::claiming(&json!({"iss": issuer})).code().3, "E-31", "{issuer}");
    }
    for subject in ["0192:917422575", "0192:917422575;Entur:skyporten.demo", "0192:917422575;entur:skyporten.demo ", "*"] {
        assert_eq!(Case::claiming(&json!({"sub": subject})).code().3, "E-33", "{subject}");
    }
    for audience in ["api://azureadtokenexchange", "api://AzureADTokenExchange/", "https://sky.example.no"] {
        assert_eq!(Case::claiming(&json!({"aud": audience})).code().3, "E-32", "{audience}");
    }
}

#[test]
fn e_4_any_audience_works_if_both_sides_say_the_same() {
    Case::but(|case| {
        case.claims["aud"] = "https://sky.fjordbuss.no".into();
        *case.credentials() = vec![credential("b-reads", ISSUER, SUBJECT, "https://sky.fjordbuss.no")];
    })
    .accepted();
}

#[test]
fn e_6_a_flexible_credential_is_refused_for_this_issuer() {
    let flexible = |issuer: &str| {
        let input = CredentialInput {
            name: "flexible".to_owned(),
            issuer: Some(issuer.to_owned()),
            audiences: vec![AUDIENCE.to_owned()],
            expression: Some("claims['sub'] matches '0192:917422575;*'".to_owned()),
            ..CredentialInput::default()
        };
        FederatedCredential::create(input, &[], IdentityKind::Application, 0).unwrap()
    };
    let case = Case::but(|case| case.identities = vec![identity(IdentityKind::Application, vec![flexible(ISSUER)])]);
    let text = "Issuer 'https://sky.example.no' may not use credentials matching via expression.".to_owned();
    assert_eq!(case.refused(), (7_002_241, "invalid_client", 401, text, "E-51"));
    // An exact one beside it still counts.
    Case::but(|case| case.credentials().push(flexible(ISSUER))).accepted();
}

#[test]
fn e_7_entras_own_tokens_are_not_taken() {
    let own = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    for issuer in [own.as_str(), "https://sts.windows.net/x/"] {
        assert_eq!(Case::claiming(&json!({"iss": issuer})).code(), (700_236, "invalid_client", 401, "E-7"));
    }
    assert_eq!(legacy(|case| case.claims["iss"] = own.into()).code().0, 700_222);
}

#[test]
fn e_10_the_parameters_must_be_there() {
    for (name, number) in
        [("grant_type", 900_144), ("client_id", 900_144), ("scope", 90014), ("client_assertion_type", 7_000_218)]
    {
        assert_eq!(Case::but(|case| drop(case.form.remove(name))).code().0, number, "{name}");
    }
    let case = Case::but(|case| drop(case.form.insert("grant_type", "password".to_owned())));
    assert_eq!(case.code(), (70003, "unsupported_grant_type", 400, "E-10"));
}

/// E-11, E-37; the vector "`principalId` as `client_id`".
#[test]
fn e_11_the_principal_id_is_no_client_id() {
    let case = Case::but(|case| drop(case.form.insert("client_id", PRINCIPAL.to_owned())));
    let text = format!(
        "Application with identifier '{PRINCIPAL}' was not found in the directory 'Fjordbuss AS'. This can happen if the application \
         has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your \
         authentication request to the wrong tenant."
    );
    assert_eq!(case.refused(), (700_016, "unauthorized_client", 400, text, "E-37"));
    Case::but(|case| drop(case.form.insert("client_id", CLIENT.to_uppercase()))).accepted();
}

#[test]
fn e_12_a_managed_identity_gets_a_day_and_an_application_an_hour() {
    assert_eq!(Case::good().accepted().lifetime_seconds, 86399);
    let case = Case::but(|case| case.identities[0].kind = IdentityKind::Application);
    assert_eq!(case.accepted().lifetime_seconds, 3599);
}

#[test]
fn e_13_the_resource_is_the_scope_without_its_end() {
    assert_eq!(resource_of("https://storage.azure.com/.default").unwrap(), "https://storage.azure.com");
    assert_eq!(resource_of("https://management.core.windows.net//.default").unwrap(), "https://management.core.windows.net/");
    for scope in ["https://management.core.windows.net//.default", "https://graph.microsoft.com/.default"] {
        Case::but(|case| drop(case.form.insert("scope", scope.to_owned()))).accepted();
    }
}

#[test]
fn e_14_the_access_token_says_who_it_is_in_version_1() {
    let case = Case::good();
    let claims = case.accepted().claims(&case.tenant, NOW);
    let expected = [
        ("aud", json!("https://storage.azure.com")),
        ("iss", json!(format!("https://sts.windows.net/{TENANT}/"))),
        ("appid", json!(CLIENT)),
        ("oid", json!(PRINCIPAL)),
        ("sub", json!(PRINCIPAL)),
        ("tid", json!(TENANT)),
        ("idtyp", json!("app")),
        ("ver", json!("1.0")),
        ("exp", json!(NOW + 86399)),
    ];
    for (name, value) in expected {
        assert_eq!(claims[name], value, "{name}");
    }
}

/// E-20, E-41; the vector ES256.
#[test]
fn e_20_rs256_is_the_only_algorithm() {
    for alg in ["ES256", "ES384"] {
        let case = Case::but(|case| case.token = Some(sign_ec(alg, "test-key-1", &case.claims).0));
        let text = format!(
            "Invalid JWT token. '{alg}' is not a supported signature algorithm. Supported signing algorithms are: 'RS256, HS256'"
        );
        assert_eq!(case.refused(), (5_002_738, "invalid_request", 400, text, "E-41"));
    }
    for alg in ["RS384", "RS512", "PS256", "EdDSA", "none"] {
        assert_eq!(Case::but(|case| case.header["alg"] = alg.into()).code().0, 5_002_738, "{alg}");
    }
    // It stands in Entra's list, and no published key can be one for it.
    assert_eq!(Case::but(|case| case.header["alg"] = "HS256".into()).code().3, "E-46");
}

/// E-21, E-42; the vector `typ: at+jwt`.
#[test]
fn e_21_typ_is_jwt_or_absent() {
    let case = Case::but(|case| case.header["typ"] = "at+jwt".into());
    let text = "Invalid JWT header type specified. Allowed types: 'JWT','http://openid.net/specs/jwt/1.0'".to_owned();
    assert_eq!(case.refused(), (5_002_727, "invalid_request", 400, text, "E-42"));
    let older = "Invalid JWT header type specified, must be 'JWT' or 'http://openid.net/specs/jwt/1.0'.";
    assert_eq!(legacy(|case| case.header["typ"] = "at+jwt".into()).refused().3, older);
    Case::but(|case| case.header["typ"] = "http://openid.net/specs/jwt/1.0".into()).accepted();
    Case::but(|case| drop(case.header.as_object_mut().unwrap().remove("typ"))).accepted();
}

#[test]
fn e_23_the_first_hundred_keys_are_kept() {
    let before = |count: usize| {
        Case::but(|case| {
            let mut keys: Vec<Value> = (0..count).map(|number| other_jwk(&format!("other-{number}"))).collect();
            keys.push(public_jwk());
            case.keys = keys;
        })
    };
    before(99).accepted();
    assert_eq!(before(100).code(), (700_027, "invalid_client", 401, "E-46"));
}

#[test]
fn e_24_an_empty_authorization_endpoint_spoils_the_document() {
    let case = Case::but(|case| case.discovery["authorization_endpoint"] = "".into());
    assert_eq!(case.code(), (501_661, "invalid_request", 400, "E-45"));
    let case = Case::but(|case| case.discovery["subject_types_supported"] = json!([]));
    assert_eq!(case.code().0, 501_661);
    Case::but(|case| drop(case.discovery.as_object_mut().unwrap().remove("subject_types_supported"))).accepted();
}

#[test]
fn e_25_a_missing_claim_is_named() {
    for name in ["iss", "aud", "sub", "exp"] {
        let case = Case::claiming(&json!({ name: null }));
        let text = format!(
            "The required field '{name}' is missing from the credential. Ensure that you have all the necessary parameters for the \
             login request."
        );
        assert_eq!(case.refused(), (90014, "invalid_request", 400, text, "E-44"));
    }
}

#[test]
fn e_26_a_list_of_one_audience_counts_and_of_two_does_not() {
    Case::claiming(&json!({"aud": [AUDIENCE]})).accepted();
    assert_eq!(Case::claiming(&json!({"aud": [AUDIENCE, "other"]})).code().3, "E-32");
}

/// E-27, E-39; the vector of the expired assertion.
#[test]
fn e_27_clocks_may_differ_by_five_minutes() {
    let at = |now: i64| Case::but(|case| case.now = now);
    at(NOW + 120 + 300).accepted();
    at(NOW - 300).accepted();
    assert_eq!(at(NOW - 301).code().3, "E-39");
    let text =
        "Client assertion is not within its valid time range. Current time: 2025-09-11T11:33:41.0000000Z, assertion valid from \
                2025-09-11T11:26:40.0000000Z, expiry time of assertion 2025-09-11T11:28:40.0000000Z. Review the documentation at \
                https://docs.microsoft.com/azure/active-directory/develop/active-directory-certificate-credentials ."
            .to_owned();
    assert_eq!(at(NOW + 120 + 301).refused(), (700_024, "invalid_client", 401, text, "E-39"));
    assert_eq!(Case::claiming(&json!({"nbf": NOW + 301})).code().3, "E-39");
    Case::claiming(&json!({"nbf": NOW + 300})).accepted();
}

/// Everything is wrong at once. One fault after the other is mended, and each time the next one shows.
#[test]
fn e_28_each_fault_hides_the_ones_after_it() {
    type Mend = fn(&mut Case);
    let mut case = Case::but(|case| {
        case.form.insert("scope", "https://storage.azure.com".to_owned());
        case.path_tenant = "nobody.no".to_owned();
        case.header = json!({"alg": "ES512", "typ": "at+jwt"});
        case.claims = json!({"iss": "https://other.no", "sub": "x", "aud": null, "exp": NOW - 9999});
        case.form.insert("client_id", PRINCIPAL.to_owned());
        case.credentials().clear();
        case.discovery = json!({"issuer": ISSUER});
        case.keys = vec![];
    });
    let stages: [(&str, Mend); 15] = [
        ("E-52", |case| drop(case.form.insert("scope", "https://example.no/.default".to_owned()))),
        ("E-38", |case| case.path_tenant = "fjordbuss.no".to_owned()),
        ("E-42", |case| case.header["typ"] = "JWT".into()),
        ("E-41", |case| case.header["alg"] = "RS256".into()),
        ("E-43", |case| case.header["kid"] = "test-key-1".into()),
        ("E-44", |case| case.claims["aud"] = "y".into()),
        ("E-37", |case| drop(case.form.insert("client_id", CLIENT.to_owned()))),
        ("E-35", |case| *case.credentials() = vec![credential("b-reads", ISSUER, SUBJECT, AUDIENCE)]),
        ("E-31", |case| case.claims["iss"] = ISSUER.into()),
        ("E-45", |case| case.discovery = Case::good().discovery),
        ("E-46", |case| case.keys = vec![other_jwk("test-key-1")]),
        ("E-47", |case| case.keys = vec![public_jwk()]),
        ("E-33", |case| case.claims["sub"] = SUBJECT.into()),
        ("E-32", |case| case.claims["aud"] = AUDIENCE.into()),
        ("E-39", |case| case.claims["exp"] = json!(NOW + 60)),
    ];
    for (rule, mend) in stages {
        assert_eq!(case.code().3, rule);
        mend(&mut case);
    }
    assert_eq!(case.code(), (500_011, "invalid_resource", 400, "E-52"));
    case.form.insert("scope", "https://storage.azure.com/.default".to_owned());
    case.accepted();
}

#[test]
fn e_30_until_2023_one_text_said_all_three() {
    for (claim, value) in [("iss", "https://other.no"), ("sub", "0192:x;y"), ("aud", "other")] {
        let case = legacy(|case| case.claims[claim] = value.into());
        let of = |name: &str| case.claims[name].as_str().unwrap().to_owned();
        let text = format!(
            "No matching federated identity record found for presented assertion. Assertion Issuer: '{}'. Assertion Subject: '{}'. \
             Assertion Audience: '{}'.",
            of("iss"),
            of("sub"),
            of("aud")
        );
        assert_eq!(case.refused(), (70021, "invalid_request", 400, text, "E-30"));
    }
}

#[test]
fn e_31_the_issuer_is_quoted() {
    let text =
        "No matching federated identity record found for presented assertion issuer 'https://test.sky.example.no'. Please check \
                your federated identity credential Subject, Audience and Issuer against the presented assertion. \
                https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
            .to_owned();
    let case = Case::claiming(&json!({"iss": "https://test.sky.example.no"}));
    assert_eq!(case.refused(), (700_211, "invalid_client", 401, text, "E-31"));
}

#[test]
fn e_32_the_audience_is_quoted() {
    let text =
        "No matching federated identity record found for presented assertion audience 'https://skyporten.example.no'. Please \
                check your federated identity credential Subject, Audience and Issuer against the presented assertion. \
                https://docs.microsoft.com/en-us/azure/active-directory/develop/workload-identity-federation"
            .to_owned();
    let case = Case::claiming(&json!({"aud": "https://skyporten.example.no"}));
    assert_eq!(case.refused(), (700_212, "invalid_client", 401, text, "E-32"));
}

#[test]
fn e_33_the_subject_is_quoted() {
    let text = "No matching federated identity record found for presented assertion subject '0192:889640782;entur:skyporten.demo'. \
                Please note that the matching is done using a case-sensitive comparison. Check your federated identity credential \
                Subject, Audience and Issuer against the presented assertion. \
                https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
        .to_owned();
    let case = Case::claiming(&json!({"sub": "0192:889640782;entur:skyporten.demo"}));
    assert_eq!(case.refused(), (700_213, "invalid_client", 401, text, "E-33"));
}

/// The vector "two credentials": either may match, and each compares all three of its own.
#[test]
fn two_credentials_do_not_lend_each_other_their_values() {
    let two = |claims: Value| {
        let mut case = Case::claiming(&claims);
        case.credentials().push(credential("c-reads", ISSUER, "0192:889640782;entur:skyporten.demo", "other"));
        case
    };
    assert_eq!(two(json!({})).accepted().credential.name, "b-reads");
    let c = json!({"sub": "0192:889640782;entur:skyporten.demo", "aud": "other"});
    assert_eq!(two(c).accepted().credential.name, "c-reads");
    assert_eq!(two(json!({"aud": "other"})).code().3, "E-32");
    assert_eq!(two(json!({"sub": "0192:889640782;entur:skyporten.demo"})).code().3, "E-32");
}

#[test]
fn e_35_an_identity_without_credentials_is_named() {
    let case = Case::but(|case| case.credentials().clear());
    let text = format!("The client '{CLIENT}'(timetables) has no configured federated identity credentials.");
    assert_eq!(case.refused(), (70025, "invalid_client", 401, text, "E-35"));
}

#[test]
fn e_38_an_unknown_tenant_is_named() {
    let case = Case::but(|case| case.path_tenant = "6838ae16".to_owned());
    let (number, error, status, text, rule) = case.refused();
    assert_eq!((number, error, status, rule), (90002, "invalid_request", 400, "E-38"));
    assert!(text.starts_with("Tenant '6838ae16' not found. Check to make sure you have the correct tenant ID"));
    Case::but(|case| case.path_tenant = TENANT.to_uppercase()).accepted();
}

#[test]
fn e_40_what_is_no_token_is_malformed() {
    let good = Case::good().token();
    for token in ["x".to_owned(), format!("{good}\n"), format!("Bearer {good}"), good[..good.len() / 3].to_owned()] {
        let case = Case::but(|case| case.token = Some(token));
        assert_eq!(case.refused().3, "JWT token is invalid or malformed.");
        assert_eq!(case.code(), (50027, "invalid_request", 400, "E-40"));
    }
    assert_eq!(Case::claiming(&json!({"exp": "soon"})).code().3, "E-40");
    assert_eq!(Case::claiming(&json!({"sub": 1})).code().3, "E-40");
}

#[test]
fn e_43_without_kid_or_thumbprint_no_key_can_be_found() {
    let case = Case::but(|case| drop(case.header.as_object_mut().unwrap().remove("kid")));
    assert_eq!(case.code(), (5_002_723, "invalid_client", 401, "E-43"));
    let case = Case::but(|case| case.header = json!({"alg": "RS256", "x5t": "AAAA"}));
    assert_eq!(case.code().3, "E-46", "a thumbprint is a name too, only nobody's");
}

#[test]
fn e_45_documents_that_cannot_be_had() {
    let gone = || DocumentProblem::Unavailable { url: ISSUER.to_owned(), reason: "status 500".to_owned() };
    let case = Case::but(|case| case.unavailable = Some(gone()));
    let text = "Request to External OIDC endpoint failed.".to_owned();
    assert_eq!(case.refused(), (501_661, "invalid_request", 400, text, "E-45"));
    assert_eq!(*case.run().unwrap_err().reason, Reason::Documents(gone()));
    assert_eq!(legacy(|case| case.unavailable = Some(gone())).code().0, 50166);
    assert_eq!(Case::but(|case| case.discovery["issuer"] = "https://other.no".into()).code().3, "E-45");
}

#[test]
fn e_46_an_unknown_key() {
    let case = Case::but(|case| case.keys = vec![other_jwk("another")]);
    assert_eq!(case.code(), (700_027, "invalid_client", 401, "E-46"));
    assert!(case.refused().3.contains("[Reason - The key was not found"));
}

#[test]
fn e_47_a_signature_that_does_not_hold() {
    let case = Case::but(|case| case.keys = vec![other_jwk("test-key-1")]);
    assert_eq!(case.code(), (7_000_274, "invalid_client", 401, "E-47"));
}

#[test]
fn e_49_a_request_without_an_assertion() {
    let case = Case::but(|case| drop(case.form.insert("client_assertion", String::new())));
    let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.".to_owned();
    assert_eq!(case.refused(), (7_000_218, "invalid_client", 401, text, "E-49"));
}

#[test]
fn e_52_scopes_that_are_none() {
    for (scope, number, error) in [
        ("https://storage.azure.com", 1_002_012, "invalid_scope"),
        ("https://storage.azure.com/user_impersonation", 1_002_012, "invalid_scope"),
        ("/.default", 1_002_012, "invalid_scope"),
        ("https://storage.azure.com/.default https://graph.microsoft.com/.default", 70011, "invalid_scope"),
        ("https://vault.example.no/.default", 500_011, "invalid_resource"),
    ] {
        let case = Case::but(|case| drop(case.form.insert("scope", scope.to_owned())));
        assert_eq!(case.code(), (number, error, 400, "E-52"), "{scope}");
    }
}

/// P-1, P-2 and P-3 at Entra: the one cloud that looks at typ, and that takes RS256 alone.
#[test]
fn p_1_p_2_p_3_the_common_header_is_the_only_one_that_entra_takes() {
    Case::good().accepted();
    assert_eq!(Case::but(|case| case.header["typ"] = "at+jwt".into()).code().3, "E-42");
    assert_eq!(Case::but(|case| drop(case.header.as_object_mut().unwrap().remove("kid"))).code().3, "E-43");
}

/// E-34, E-51: where expressions may stand, each of their refusals has a number of its own.
#[test]
fn e_34_e_51_an_expression_decides_for_the_issuers_that_may_have_one() {
    const GITHUB: &str = "https://token.actions.githubusercontent.com";
    let with = |expression: &str, claims: &Value| {
        let input = CredentialInput {
            name: "flexible".to_owned(),
            issuer: Some(GITHUB.to_owned()),
            audiences: vec![AUDIENCE.to_owned()],
            expression: Some(expression.to_owned()),
            ..CredentialInput::default()
        };
        let credential = FederatedCredential::create(input, &[], IdentityKind::Application, 0).unwrap();
        let mut case = Case::claiming(claims);
        case.claims["iss"] = GITHUB.into();
        case.discovery["issuer"] = GITHUB.into();
        case.identities = vec![identity(IdentityKind::Application, vec![credential])];
        case
    };
    let main = "claims['sub'] matches 'repo:org/*:ref:refs/heads/main'";
    let sub = json!({"sub": "repo:org/app:ref:refs/heads/main"});
    assert_eq!(with(main, &sub).accepted().lifetime_seconds, 3599);
    assert_eq!(with(main, &json!({"sub": "repo:org/app:ref:refs/heads/dev"})).code(), (7_002_131, "invalid_client", 401, "E-34"));
    assert_eq!(with(main, &json!({"sub": sub["sub"], "aud": "else"})).code(), (7_002_121, "invalid_client", 401, "E-34"));
    assert_eq!(with("sub = 'x'", &sub).code(), (700_233, "invalid_client", 401, "E-51"));
}
