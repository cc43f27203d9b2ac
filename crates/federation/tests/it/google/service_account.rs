//! `generateAccessToken`, G-50 to G-55.

use serde_json::json;
use skybru_federation::google::policy::Policy;
use skybru_federation::google::service_account::{AccessTokenRequest, GrantedToken, ServiceAccount, generate_access_token};
use skybru_federation::google::{ApiError, Caller};

use super::case::{ACCOUNT, Case, NOW, policy, set};

const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
const MEMBER: &str = "attribute.clientaccess/client::0192:917422575::entur:skyporten.demo";

fn account() -> ServiceAccount {
    ServiceAccount {
        project_id: "skybru-lab".to_owned(),
        email: ACCOUNT.to_owned(),
        unique_id: "1".to_owned(),
        display_name: None,
        disabled: false,
    }
}

fn ask(request: &serde_json::Value, policy: &Policy) -> Result<GrantedToken, ApiError> {
    let caller = Caller::Federated(Case::good().accepted().identity);
    let request: AccessTokenRequest = serde_json::from_value(request.clone()).unwrap();
    let scopes = ["https://www.googleapis.com/auth/iam".to_owned()];
    generate_access_token(&caller, &scopes, &request, Some((&account(), &[policy])), NOW)
}

fn bound() -> Policy {
    policy("roles/iam.workloadIdentityUser", &set(MEMBER))
}

#[test]
fn g_50_g_51_a_bound_principal_gets_a_token_and_a_time_without_fractions() {
    let request = json!({"delegates": null, "scope": [CLOUD_PLATFORM], "lifetime": "3600s"});
    let granted = ask(&request, &bound()).unwrap();
    assert_eq!((granted.scopes.as_slice(), granted.expires), (&[CLOUD_PLATFORM.to_owned()][..], NOW + 3600));
    assert_eq!(granted.expire_time(), "2025-09-11T12:26:40Z");
}

#[test]
fn g_52_the_federated_token_must_be_good_for_iam() {
    let caller = Caller::Federated(Case::good().accepted().identity);
    let request = AccessTokenRequest { scope: vec![CLOUD_PLATFORM.to_owned()], ..AccessTokenRequest::default() };
    let scopes = ["https://www.googleapis.com/auth/devstorage.read_only".to_owned()];
    let error = generate_access_token(&caller, &scopes, &request, Some((&account(), &[&bound()])), NOW).unwrap_err();
    assert_eq!(error.info.unwrap().reason, "ACCESS_TOKEN_SCOPE_INSUFFICIENT");
}

#[test]
fn g_53_without_the_role_or_the_account_there_is_one_answer() {
    let request = json!({"scope": [CLOUD_PLATFORM]});
    let text = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).";
    let denied = |error: ApiError| {
        assert_eq!((error.code, error.status, error.message.as_str(), error.rule), (403, "PERMISSION_DENIED", text, "G-53"));
        let info = error.info.unwrap();
        assert_eq!((info.reason, info.domain), ("IAM_PERMISSION_DENIED", "iam.googleapis.com"));
        assert_eq!(info.metadata, [("permission", "iam.serviceAccounts.getAccessToken".to_owned())]);
    };
    denied(ask(&request, &Policy::default()).unwrap_err());
    denied(ask(&request, &policy("roles/iam.serviceAccountUser", &set(MEMBER))).unwrap_err());
    denied(
        ask(
            &request,
            &policy(
                "roles/iam.workloadIdentityUser",
                &set("attribute.clientaccess/client::0192:991825827::entur:skyporten.demo"),
            ),
        )
        .unwrap_err(),
    );
    let caller = Caller::Federated(Case::good().accepted().identity);
    let asked = AccessTokenRequest { scope: vec![CLOUD_PLATFORM.to_owned()], ..AccessTokenRequest::default() };
    denied(generate_access_token(&caller, &[CLOUD_PLATFORM.to_owned()], &asked, None, NOW).unwrap_err());
    let disabled = ServiceAccount { disabled: true, ..account() };
    denied(
        generate_access_token(&caller, &[CLOUD_PLATFORM.to_owned()], &asked, Some((&disabled, &[&bound()])), NOW).unwrap_err(),
    );
}

#[test]
fn g_54_lifetimes_are_an_hour_at_most() {
    let with = |lifetime: &str| ask(&json!({"scope": [CLOUD_PLATFORM], "lifetime": lifetime}), &bound());
    assert_eq!(with("600s").unwrap().expires, NOW + 600);
    assert_eq!(with("0s").unwrap_err().message, "Lifetime of access token must be larger then zero.");
    let error = with("3601s").unwrap_err();
    assert_eq!(error.code, 400);
    assert!(error.message.ends_with(" can not have lifetimes of more than 1 hour. Use the Org Policy Constraint constraints/iam.allowServiceAccountCredentialLifetimeExtension to allow up to 12 hours."));
    assert_eq!(with("an hour").unwrap_err().status, "INVALID_ARGUMENT");
}

#[test]
fn g_54_an_empty_scope_is_cloud_platform_and_an_unknown_one_is_refused() {
    assert_eq!(ask(&json!({"scope": [""]}), &bound()).unwrap().scopes, [CLOUD_PLATFORM]);
    assert_eq!(ask(&json!({"scope": ["x"]}), &bound()).unwrap_err().status, "INVALID_ARGUMENT");
}

#[test]
fn g_55_a_disabled_api_says_how_to_enable_it() {
    let error =
        ApiError::service_disabled("IAM Service Account Credentials API", "iamcredentials.googleapis.com", "100000000001");
    assert_eq!((error.code, error.info.unwrap().reason), (403, "SERVICE_DISABLED"));
}
