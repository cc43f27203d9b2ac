//! What stands around the project: quota, services, the organisation's policy; and the forms of answers.

use reqwest::Method;
use serde_json::json;
use skybru_sim::control::ControlSettings;

use super::{BUCKET, Google, POOL, provider, token};
use crate::issuer::TestIssuer;

#[tokio::test]
async fn g_29_g_30_answers_and_errors_of_the_exchange_are_flat() {
    let issuer = TestIssuer::http().await;
    let google = Google::shared(&issuer).await;
    let answer = google.exchange(&token(&issuer, &json!({})), &[]).await.ok();
    let mut members: Vec<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["access_token", "expires_in", "issued_token_type", "token_type"]);
    assert_eq!(
        (&answer["issued_token_type"], &answer["token_type"]),
        (&json!("urn:ietf:params:oauth:token-type:access_token"), &json!("Bearer"))
    );
    let refused = google.exchange(&token(&issuer, &json!({"aud": "x"})), &[]).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body["error"].is_string() && refused.body["error_description"].is_string(), "{refused:?}");
}

#[tokio::test]
async fn g_42_more_exchanges_than_the_quota_are_throttled_until_the_next_minute() {
    let issuer = TestIssuer::http().await;
    let google = Google::shared(&issuer).await;
    google.sim.control(ControlSettings { exchanges_per_minute: 2, ..ControlSettings::default() });
    let good = token(&issuer, &json!({}));
    google.federated(&good).await;
    google.federated(&good).await;
    let throttled = google.exchange(&good, &[]).await;
    assert_eq!((throttled.status, throttled.oauth().1), (429, "quota_exceeded"));
    google.clock.advance(jiff::SignedDuration::from_mins(1));
    google.federated(&good).await;
}

#[tokio::test]
async fn g_55_a_service_that_is_switched_off_gives_no_tokens() {
    let issuer = TestIssuer::http().await;
    let google = Google::shared(&issuer).await;
    let federated = google.federated(&token(&issuer, &json!({}))).await;
    let service = "v1/projects/skybru-lab/services/iamcredentials.googleapis.com";
    google.owner(Method::POST, &format!("{service}:disable"), &json!({})).await.ok();
    let refused = google.impersonate(&federated).await;
    assert_eq!((refused.status, &refused.body["error"]["details"][0]["reason"]), (403, &json!("SERVICE_DISABLED")));
    assert_eq!(google.get(service, super::OWNER_TOKEN).await.ok()["state"], "DISABLED");
    google.owner(Method::POST, &format!("{service}:enable"), &json!({})).await.ok();
    google.impersonate(&federated).await.ok();
    assert_eq!(
        google.call(Method::POST, &format!("{service}:disable"), None, Some(&federated)).await.status,
        403,
        "not for the consumer"
    );
}

#[tokio::test]
async fn g_5_the_organisation_forbids_an_issuer_that_it_does_not_list() {
    let issuer = TestIssuer::http().await;
    let google = Google::shared(&issuer).await;
    let policy = "v2/projects/skybru-lab/policies";
    let listed = |issuer: &str| json!({"name": "x", "spec": {"rules": [{"values": {"allowedValues": [issuer]}}]}});
    google.owner(Method::POST, policy, &listed("https://other.example.no")).await.ok();
    let path = "v1/projects/skybru-lab/locations/global/workloadIdentityPools/skyporten/providers?workloadIdentityPoolProviderId=another";
    let refused = google.owner(Method::POST, path, &provider(&issuer)).await;
    assert_eq!(refused.message(), (400, "Precondition check failed."));
    let violation = &refused.body["error"]["details"][0]["violations"][0]["description"];
    assert_eq!(violation, &json!(format!("Org Policy violated for value: '{}'.", issuer.url)));
    google.owner(Method::PATCH, &format!("{policy}/iam.workloadIdentityPoolProviders"), &listed(&issuer.url)).await.ok();
    google.owner(Method::POST, path, &provider(&issuer)).await.ok();
    google.owner(Method::DELETE, &format!("{policy}/iam.workloadIdentityPoolProviders"), &json!({})).await.ok();
}

/// G-56: the federated token itself reads what is bound to it, over both of Storage's APIs; what is no token gets the long text.
#[tokio::test]
async fn g_56_a_federated_token_reads_over_both_apis_of_storage() {
    let issuer = TestIssuer::http().await;
    let google = Google::shared(&issuer).await;
    google.bind_bucket("roles/storage.objectViewer", &super::member()).await.ok();
    let federated = google.federated(&token(&issuer, &json!({}))).await;
    assert_eq!(google.read(&federated, "timetables/line-1.csv").await.ok(), json!("Bergen,07:10\n"));
    assert_eq!(google.get(&format!("{BUCKET}/timetables/line-1.csv"), &federated).await.ok(), json!("Bergen,07:10\n"));
    let refused = google.get(&format!("v1/{POOL}"), "ya29.nothing").await;
    assert!(
        refused.message().1.starts_with("Request had invalid authentication credentials. Expected OAuth 2 access token"),
        "{refused:?}"
    );
    assert_eq!(refused.status, 401);
}

/// What gcloud asks before it removes everything, and what `bq` makes its client of.
#[tokio::test]
async fn what_googles_own_tools_ask_first_is_answered() {
    let issuer = TestIssuer::http().await;
    let google = Google::shared(&issuer).await;
    let folders = google.get(&format!("storage/v1/b/{BUCKET}/managedFolders?prefix="), super::OWNER_TOKEN).await.ok();
    assert_eq!(folders["items"], json!([]));
    let described = google.call(Method::GET, "$discovery/rest?version=v2", None, None).await.ok();
    assert_eq!(described["baseUrl"], json!(format!("{}/bigquery/v2/", google.sim.base_url())));
    assert_eq!(described["resources"]["datasets"]["methods"]["get"]["httpMethod"], "GET");
}

/// G-67: Google gives refresh tokens at the end of a sign-in in a browser and nowhere else, and there is none here.
#[tokio::test]
async fn g_67_no_refresh_token_is_good_because_none_is_given_out() {
    let issuer = TestIssuer::tls().await;
    let google = Google::shared(&issuer).await;
    let federated = google.federated(&token(&issuer, &json!({}))).await;
    for refresh in ["made up", federated.as_str()] {
        let body = json!({"grantType": "refresh_token", "refreshToken": refresh});
        let answer = google.call(Method::POST, "v1/oauthtoken", Some(&body), None).await;
        assert_eq!((answer.status, answer.body["error"].as_str()), (400, Some("invalid_grant")));
    }
}
