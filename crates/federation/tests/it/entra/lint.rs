//! What the doctor says about Azure before Entra or storage says something else, and what it makes of their words.

use serde_json::{Value, json};
use skybru_federation::azure::acl::Acl;
use skybru_federation::azure::roles::{built_in, id};
use skybru_federation::azure::{FilesCall, Grants, PathAcls, RoleAssignment};
use skybru_federation::entra::{Access, CredentialInput, FederatedCredential, IdentityKind, Setup};
use skybru_federation::lint::{LintInput, lint};
use skybru_federation::{Finding, Severity, Speaker, explain_error};

use super::case::{AUDIENCE, CLIENT, Case, PRINCIPAL, credential};
use crate::case::{ISSUER, NOW, SUBJECT, other_jwk};

const CONTAINER: &str =
    "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/a/blobServices/default/containers/c";
const READ: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read";

fn of_setup(setup: Setup<'_>) -> Vec<Finding> {
    lint(LintInput { azure: Some(setup), now: Some(NOW), ..LintInput::default() })
}

/// The rules of everything above advice.
fn rules(case: &Case) -> Vec<&'static str> {
    let token = case.token();
    let discovery = serde_json::from_value(case.discovery.clone()).unwrap();
    let setup = Setup {
        identity: case.identities.first(),
        tenant: Some(&case.tenant),
        tenant_given: Some(&case.path_tenant),
        client_id: case.form.get("client_id").map(String::as_str),
        scope: case.form.get("scope").map(String::as_str),
        ..Setup::default()
    };
    let findings = lint(LintInput {
        discovery: Some(&discovery),
        keys: Some(&case.key_set()),
        token_text: Some(&token),
        azure: Some(setup),
        now: Some(case.now),
        ..LintInput::default()
    });
    findings.iter().filter(|finding| finding.severity > Severity::Advice).map(|finding| finding.rule).collect()
}

#[track_caller]
fn finds(rule: &str, change: impl FnOnce(&mut Case)) {
    let case = Case::but(change);
    let found = rules(&case);
    assert_eq!(found.first(), Some(&rule), "{found:?}");
    // What follows from the same mistake may be said after it, but nothing that has no reason.
    assert!(found.iter().all(|other| *other == rule || *other == "D-05"), "{found:?}");
}

#[test]
fn a_good_set_up_has_no_finding() {
    assert_eq!(rules(&Case::good()), Vec::<&str>::new());
}

#[test]
fn d_05_to_d_07_keys() {
    finds("D-05", |case| case.keys = vec![other_jwk("another")]);
    finds("D-06", |case| case.keys = vec![other_jwk("test-key-1")]);
    finds("D-07", |case| case.keys[0]["use"] = "enc".into());
}

#[test]
fn d_01_d_02_documents() {
    finds("D-01", |case| case.discovery["authorization_endpoint"] = "".into());
    finds("D-02", |case| case.discovery["issuer"] = "https://sky.example.no/".into());
}

#[test]
fn d_08_to_d_19_the_token() {
    finds("D-08", |case| case.header["alg"] = "RS512".into());
    finds("D-09", |case| case.header["typ"] = "at+jwt".into());
    finds("D-10", |case| case.claims["aud"] = json!([AUDIENCE, "other"]));
    finds("D-11", |case| case.claims["exp"] = "soon".into());
    finds("D-13", |case| case.now += 1000);
    finds("D-15", |case| case.claims["scope"] = "a:b c:d".into());
    finds("D-18", |case| case.claims["aud"] = Value::Null);
    finds("D-19", |case| case.token = Some(format!("Bearer {}\n", case.token())));
    finds("D-19", |case| case.token = Some("x".to_owned()));
}

#[test]
fn d_60_the_issuer_of_the_credential() {
    for issuer in ["https://sky.example.no/", "sky.example.no", "https://other.example.no", " https://sky.example.no"] {
        finds("D-60", |case| *case.credentials() = vec![credential("b-reads", issuer, SUBJECT, AUDIENCE)]);
    }
    finds("D-16", |case| {
        case.claims["iss"] = "https://test.sky.example.no".into();
        case.discovery["issuer"] = "https://test.sky.example.no".into();
    });
}

#[test]
fn d_61_the_subject_of_the_credential() {
    for subject in ["0192:917422575", "0192:917422575;Entur:skyporten.demo", "0192:889640782;entur:skyporten.demo"] {
        finds("D-61", |case| *case.credentials() = vec![credential("b-reads", ISSUER, subject, AUDIENCE)]);
    }
}

#[test]
fn d_62_the_audience() {
    finds("D-62", |case| case.claims["aud"] = "https://skyporten.example.no".into());
}

#[test]
fn d_63_principal_and_client_id_swapped() {
    finds("D-63", |case| drop(case.form.insert("client_id", PRINCIPAL.to_owned())));
    let assignment = RoleAssignment { principal_id: CLIENT.to_owned(), ..held(id::BLOB_DATA_READER) };
    assert_eq!(access(&[assignment], None, true), ["D-63"]);
}

#[test]
fn d_64_another_tenant() {
    finds("D-64", |case| case.path_tenant = "fjordbuss.com".to_owned());
}

#[test]
fn d_65_a_credential_of_a_minute_ago() {
    let mut case = Case::good();
    case.credentials()[0].created = NOW - 60;
    let findings = of_setup(Setup { identity: case.identities.first(), ..Setup::default() });
    assert_eq!((findings[0].rule, findings[0].severity), ("D-65", Severity::Advice));
}

#[test]
fn d_66_stars_and_expressions() {
    finds("D-66", |case| *case.credentials() = vec![credential("b-reads", ISSUER, "0192:917422575;*", AUDIENCE)]);
    finds("D-66", |case| {
        let input = CredentialInput {
            name: "flexible".to_owned(),
            issuer: Some(ISSUER.to_owned()),
            audiences: vec![AUDIENCE.to_owned()],
            expression: Some("claims['sub'] matches '*'".to_owned()),
            ..CredentialInput::default()
        };
        *case.credentials() = vec![FederatedCredential::create(input, &[], IdentityKind::Application, 0).unwrap()];
    });
}

#[test]
fn d_67_no_room_for_another_consumer() {
    finds("D-67", |case| {
        for number in 1..20 {
            case.credentials().push(credential(&format!("c-{number}"), ISSUER, &format!("0192:{number};s"), AUDIENCE));
        }
    });
}

#[test]
fn d_72_the_scope() {
    for scope in ["https://storage.azure.com", "https://graph.microsoft.com/.default", "user_impersonation"] {
        finds("D-72", |case| drop(case.form.insert("scope", scope.to_owned())));
    }
}

fn held(role: &str) -> RoleAssignment {
    RoleAssignment {
        name: "1".to_owned(),
        scope: CONTAINER.to_owned(),
        role: role.to_owned(),
        principal_id: PRINCIPAL.to_owned(),
        principal_type: None,
        created: 0,
    }
}

fn access(assignments: &[RoleAssignment], acls: Option<PathAcls<'_>>, is_public: bool) -> Vec<&'static str> {
    let (case, roles) = (Case::good(), built_in());
    let grants = Grants { assignments, roles: &roles };
    let access = Access { grants, scope: CONTAINER, action: READ, acls, is_public };
    let findings = of_setup(Setup { identity: case.identities.first(), access: Some(access), ..Setup::default() });
    findings.iter().map(|finding| finding.rule).collect()
}

#[test]
fn d_68_contributor_is_no_data_role() {
    assert_eq!(access(&[held(id::BLOB_DATA_READER)], None, true), Vec::<&str>::new());
    for role in [id::CONTRIBUTOR, id::OWNER, id::READER] {
        assert_eq!(access(&[held(role)], None, true), ["D-68"]);
        assert_eq!(access(&[held(role), held(id::BLOB_DATA_READER)], None, true), ["D-68"], "needless too");
    }
}

#[test]
fn e_66_no_role_or_one_on_another_scope() {
    assert_eq!(access(&[], None, true), ["E-66"]);
    let elsewhere = RoleAssignment { scope: CONTAINER.replace("/c", "/private"), ..held(id::BLOB_DATA_READER) };
    assert_eq!(access(&[elsewhere], None, true), ["E-66"]);
}

#[test]
fn d_69_files_without_its_headers() {
    for call in [
        FilesCall { version: Some("2026-10-06"), intent: None },
        FilesCall { version: Some("2020-01-01"), intent: Some("backup") },
    ] {
        let findings = of_setup(Setup { files: Some(call), ..Setup::default() });
        assert_eq!(findings[0].rule, "D-69");
    }
}

#[test]
fn d_73_an_account_that_is_not_public() {
    assert_eq!(access(&[held(id::BLOB_DATA_READER)], None, false), ["D-73"]);
}

#[test]
fn d_74_a_folder_that_lets_nobody_through() {
    let owner = "00000000-0000-0000-0000-0000000000ff";
    let (closed, readable) = (Acl::of_owner(owner, true), Acl::of_owner(owner, false));
    let readable = readable.set(&format!("user:{PRINCIPAL}:r--"), false).unwrap();
    let through = closed.set(&format!("user:{PRINCIPAL}:--x"), true).unwrap();
    assert_eq!(access(&[], Some(PathAcls { above: &[&through, &closed], own: Some(&readable) }), true), ["D-74"]);
    assert_eq!(access(&[], Some(PathAcls { above: &[&through], own: Some(&readable) }), true), Vec::<&str>::new());
    assert_eq!(access(&[], Some(PathAcls { above: &[&through], own: Some(&closed) }), true), ["E-66"]);
}

/// D-99: old and new wordings, `\r\n` in the middle, and the number alone.
#[test]
fn every_text_of_the_catalogue_is_recognised() {
    for (text, rule) in [
        ("AADSTS70021: No matching federated identity record found for presented assertion. Assertion Issuer: 'x'.", "D-60"),
        ("AADSTS700211: No matching federated identity record found for presented assertion issuer 'x'.", "D-60"),
        ("invalid_client: AADSTS700212: No matching federated identity record\r\nTrace ID: x", "D-62"),
        ("AADSTS700213: No matching federated identity record found for presented assertion subject 'x'", "D-61"),
        ("AADSTS7002121: no federated identity credential expression", "D-62"),
        ("AADSTS7002131: no federated identity credential expression", "D-61"),
        ("AADSTS70025: The client 'x'(y) has no configured federated identity credentials.", "D-63"),
        ("AADSTS7000226: No federated identity credential policy found on application (x).", "D-64"),
        ("AADSTS700016: Application with identifier 'x' was not found in the directory 'y'.", "D-63"),
        ("AADSTS90002: Tenant 'x' not found.", "D-64"),
        ("AADSTS700024: Client assertion is not within its valid time range.", "D-13"),
        ("AADSTS50027: JWT token is invalid or malformed.", "D-19"),
        ("AADSTS5002738: Invalid JWT token. 'ES384' is not a supported signature algorithm.", "D-08"),
        ("AADSTS5002727: Invalid JWT header type specified.", "D-09"),
        ("AADSTS5002723: Invalid JWT token. No certificate SHA-1 thumbprint", "D-05"),
        ("AADSTS90014: The required field 'aud' is missing from the credential.", "D-18"),
        ("AADSTS501661: Request to External OIDC endpoint failed.", "D-03"),
        ("AADSTS50166: Request to External OIDC endpoint failed.", "D-03"),
        ("AADSTS90061: Request to External OIDC endpoint failed.", "D-03"),
        ("AADSTS700027: Client assertion contains an invalid signature. [Reason - The key was not found.", "D-05"),
        ("AADSTS7000274: x", "D-06"),
        ("AADSTS700021: Client assertion application identifier doesn't match 'client_id' parameter.", "E-48"),
        ("AADSTS7000218: The request body must contain", "D-19"),
        ("AADSTS700222: AAD-issued tokens may not be used", "E-50"),
        ("AADSTS7002241: Issuer 'x' may not use credentials matching via expression", "D-66"),
        ("AADSTS1002012: The provided value for scope", "D-72"),
        ("No subscriptions found for 0429aed4-82f0-11ee-b962-0242ac120002.", "D-71"),
        ("Federated identity credentials must have exactly one audience.", "D-62"),
        ("(PrincipalNotFound) Principal 7b1f does not exist in the directory", "D-63"),
        ("ErrorCode:MissingRequiredHeader headername: x-ms-file-request-intent", "D-69"),
        ("ErrorCode:AuthorizationPermissionMismatch", "D-68"),
        ("ErrorCode:AuthorizationFailure", "D-73"),
        ("Audience validation failed. Audience did not match.", "D-72"),
        ("'http://localhost:1/' is an invalid authority. The value must be a TLS protected (https) URL.", "E-72"),
    ] {
        let said = explain_error(text);
        let azure = said.iter().find(|said| said.speaker == Speaker::Azure).expect(text);
        assert!(azure.mistakes.first() == Some(&rule) || azure.rule == rule, "{text}: {azure:?}");
    }
    assert!(explain_error("all is well").is_empty() && explain_error("AADSTS1: x").is_empty());
}
