//! The road and its refusals, over HTTP.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::json;
use skybru_core::Clock as _;
use skybru_sim::FetchFault;
use skybru_sim::control::ControlSettings;

use super::{ACCOUNT, CLOUD_PLATFORM, Google, NOW, OWNER_TOKEN, POOL, TestIssuer, member, token};

const DENIED: &str = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).";
const CANNOT_CONNECT: &str = "Error connecting to the given credential's issuer.";

#[tokio::test]
async fn the_consumer_reads_the_file_and_nobody_else_does() {
    let issuer = TestIssuer::tls().await;
    let google = Google::shared(&issuer).await;
    let road = google.road(&token(&issuer, &json!({})), &[]).await;
    assert_eq!((road.status, road.body.as_str().unwrap()), (200, "Bergen,07:10\n"));

    let other = json!({"sub": "0192:991825827;entur:demo", "consumer": {"ID": "0192:991825827"}});
    assert_eq!(google.road(&token(&issuer, &other), &[]).await.message(), (403, DENIED));
    let two = json!({"scope": "entur:demo entur:other"});
    assert_eq!(google.road(&token(&issuer, &two), &[]).await.message(), (403, DENIED));
}

#[tokio::test]
async fn refusals_are_flat_and_in_googles_words() {
    let issuer = TestIssuer::tls().await;
    let google = Google::shared(&issuer).await;
    let elsewhere = google.road(&token(&issuer, &json!({"aud": "https://x"})), &[]).await;
    let text = "The audience in ID Token [https://x] does not match the expected audience.";
    assert_eq!(elsewhere.oauth(), (400, "invalid_grant", text));
    let late = google.road(&token(&issuer, &json!({"iat": NOW - 900, "exp": NOW - 700})), &[]).await;
    let text = format!("ID Token issued at {} is stale to sign-in.", NOW - 900);
    assert_eq!(late.oauth(), (400, "invalid_grant", text.as_str()));
    let (head, tail) = (token(&issuer, &json!({})), "AAAA");
    let forged = format!("{}.{tail}", head.rsplit_once('.').unwrap().0);
    assert_eq!(google.road(&forged, &[]).await.oauth(), (400, "invalid_grant", "Unable to verify the ID Token signature."));
    let by_id = format!("//iam.googleapis.com/{}/providers/maskinporten", POOL.replace("100000000001", "skybru-lab"));
    assert_eq!(google.road(&head, &[("audience", &by_id)]).await.oauth().1, "invalid_target");
}

/// G-27, G-28, G-47.
#[tokio::test]
async fn json_and_double_encoded_options_and_client_credentials_are_read() {
    let issuer = TestIssuer::tls().await;
    let google = Google::shared(&issuer).await;
    let body = json!({
        "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": format!("//iam.googleapis.com/{POOL}/providers/maskinporten"), "scope": CLOUD_PLATFORM,
        "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
        "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt", "subjectToken": token(&issuer, &json!({})),
        "options": "%7B%22userProject%22%3A%22x%22%7D",
    });
    let answer = google.call(Method::POST, "v1/token", Some(&body), None).await.ok();
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(answer["expires_in"], 118);
}

/// G-62.
#[tokio::test]
async fn introspection_names_the_principal() {
    let issuer = TestIssuer::tls().await;
    let google = Google::shared(&issuer).await;
    let federated = google.federated(&token(&issuer, &json!({}))).await;
    let ask = async |token: &str| {
        let url = format!("{}/v1/introspect", google.sim.base_url());
        let form = [("token", token), ("token_type_hint", "urn:ietf:params:oauth:token-type:access_token")];
        google
            .client
            .post(url)
            .basic_auth("id", Some("secret"))
            .form(&form)
            .send()
            .await
            .unwrap()
            .json::<serde_json::Value>()
            .await
            .unwrap()
    };
    let known = ask(&federated).await;
    assert_eq!(known["active"], true);
    assert_eq!(known["username"], format!("principal://iam.googleapis.com/{POOL}/subject/0192:917422575"));
    assert_eq!(ask("ya29.unknown").await, json!({"active": false}));
}

/// G-7, G-33.
#[tokio::test]
async fn a_disabled_provider_stops_new_exchanges_and_not_old_tokens() {
    let issuer = TestIssuer::tls().await;
    let google = Google::shared(&issuer).await;
    let good = token(&issuer, &json!({}));
    let federated = google.federated(&good).await;
    let path = format!("v1/{POOL}/providers/maskinporten?updateMask=disabled");
    google.owner(Method::PATCH, &path, &json!({"disabled": true})).await.ok();
    assert_eq!(google.exchange(&good, &[]).await.oauth().1, "invalid_target");
    assert_eq!(google.impersonate(&federated).await.status, 200);
    // The real switch: the binding, or the account.
    google.owner(Method::POST, &format!("v1/projects/-/serviceAccounts/{ACCOUNT}:disable"), &json!({})).await.ok();
    assert_eq!(google.impersonate(&federated).await.message(), (403, DENIED));
}

#[tokio::test]
async fn a_binding_that_is_taken_away_counts_at_once() {
    let issuer = TestIssuer::tls().await;
    let google = Google::shared(&issuer).await;
    let federated = google.federated(&token(&issuer, &json!({}))).await;
    let bearer = google.impersonate(&federated).await.ok()["accessToken"].as_str().unwrap().to_owned();
    google.bind_bucket("roles/storage.objectCreator", &format!("serviceAccount:{ACCOUNT}")).await.ok();
    let (status, text) = (google.read(&bearer, "timetables/line-1.csv").await.status, "storage.objects.get");
    assert_eq!(status, 403);
    let refused = google.read(&bearer, "timetables/line-1.csv").await;
    let expected = format!(
        "{ACCOUNT} does not have {text} access to the Google Cloud Storage object. Permission '{text}' denied on resource (or it may not exist)."
    );
    assert_eq!(refused.message(), (403, expected.as_str()));
}

/// S-21, G-53.
#[tokio::test]
async fn the_owner_controls_clock_delay_and_faults() {
    let issuer = TestIssuer::tls().await;
    let google = Google::shared(&issuer).await;
    let good = token(&issuer, &json!({}));
    let control = async |body: &serde_json::Value| google.owner(Method::PUT, "_skybru/control", body).await;
    control(&json!({"fetch_fault": "server-error"})).await.ok();
    assert_eq!(google.road(&good, &[]).await.oauth(), (400, "invalid_grant", CANNOT_CONNECT));
    control(&json!({"clock_shift_seconds": 600})).await.ok();
    assert_eq!(google.road(&good, &[]).await.oauth().1, "invalid_grant");
    control(&json!({})).await.ok();
    assert_eq!(google.road(&good, &[]).await.status, 200);
    assert_eq!(control(&json!({"unknown": 1})).await.status, 400);
    let stranger = google.call(Method::PUT, "_skybru/control", Some(&json!({})), Some("ya29.x")).await;
    assert_eq!(stranger.status, 401);

    // A change is not in force at once.
    google.sim.control(ControlSettings { propagation_delay_seconds: 70, ..ControlSettings::default() });
    google.clock.advance(SignedDuration::from_secs(71));
    google.bind_account("roles/iam.workloadIdentityUser", "user:nobody@example.no").await.ok();
    let again = json!({"iat": google.clock.unix_seconds(), "exp": google.clock.unix_seconds() + 120});
    assert_eq!(google.road(&token(&issuer, &again), &[]).await.status, 200, "the old binding still counts");
    google.clock.advance(SignedDuration::from_secs(70));
    let again = json!({"iat": google.clock.unix_seconds(), "exp": google.clock.unix_seconds() + 120});
    assert_eq!(google.road(&token(&issuer, &again), &[]).await.message(), (403, DENIED));
}

/// G-40, G-45.
#[tokio::test]
async fn every_fault_of_the_issuer_is_one_error() {
    let issuer = TestIssuer::tls().await;
    let google = Google::shared(&issuer).await;
    let good = token(&issuer, &json!({}));
    for fault in [FetchFault::Timeout, FetchFault::ServerError, FetchFault::Html, FetchFault::Redirect, FetchFault::BadChain] {
        google.sim.control(ControlSettings { fetch_fault: Some(fault), ..ControlSettings::default() });
        assert_eq!(google.exchange(&good, &[]).await.oauth(), (400, "invalid_grant", CANNOT_CONNECT), "{fault:?}");
    }
    // With uploaded keys nothing is fetched, and so nothing fails.
    let keys = issuer.documents.lock().unwrap().keys.to_string();
    let path = format!("v1/{POOL}/providers/maskinporten?updateMask=oidc.jwksJson");
    google.owner(Method::PATCH, &path, &json!({"oidc": {"jwksJson": keys}})).await.ok();
    assert_eq!(google.exchange(&good, &[]).await.status, 200);
}

#[tokio::test]
async fn a_private_chain_is_not_trusted() {
    let (issuer, stranger) = (TestIssuer::tls().await, TestIssuer::tls().await);
    let google = Google::start(&stranger).await;
    google.set_up(&issuer, &super::provider(&issuer), &member()).await.ok();
    assert_eq!(google.road(&token(&issuer, &json!({})), &[]).await.oauth(), (400, "invalid_grant", CANNOT_CONNECT));
}

#[tokio::test]
async fn everything_survives_a_restart() {
    let issuer = TestIssuer::tls().await;
    let folder = tempfile::tempdir().unwrap();
    let google = Google::start_in(&issuer, folder.path().to_owned()).await;
    google.set_up(&issuer, &super::provider(&issuer), &member()).await.ok();
    let federated = google.federated(&token(&issuer, &json!({}))).await;
    google.sim.shutdown().await;
    let kept = std::fs::read_to_string(folder.path().join("google.json")).unwrap();
    assert!(!kept.contains(&federated), "tokens are not kept as they are");
    let again = Google::start_in(&issuer, folder.path().to_owned()).await;
    assert_eq!(again.impersonate(&federated).await.status, 200);
    assert_eq!(again.road(&token(&issuer, &json!({})), &[]).await.status, 200);
}

/// G-6.
#[tokio::test]
async fn a_deleted_provider_blocks_its_id_and_can_be_had_back() {
    let issuer = TestIssuer::tls().await;
    let google = Google::shared(&issuer).await;
    let path = format!("v1/{POOL}/providers/maskinporten");
    let deleted = google.owner(Method::DELETE, &path, &json!({})).await.ok();
    assert_eq!(deleted["response"]["state"], "DELETED");
    assert_eq!(google.road(&token(&issuer, &json!({})), &[]).await.oauth().1, "invalid_target");
    let create = format!("v1/{POOL}/providers?workloadIdentityPoolProviderId=maskinporten");
    assert_eq!(google.owner(Method::POST, &create, &super::provider(&issuer)).await.status, 409);
    google.owner(Method::POST, &format!("{path}:undelete"), &json!({})).await.ok();
    assert_eq!(google.road(&token(&issuer, &json!({})), &[]).await.status, 200);
}

#[tokio::test]
async fn only_who_may_changes_the_set_up() {
    let issuer = TestIssuer::tls().await;
    let google = Google::shared(&issuer).await;
    let federated = google.federated(&token(&issuer, &json!({}))).await;
    let tries = [
        (Method::PATCH, format!("v1/{POOL}/providers/maskinporten"), "iam.workloadIdentityPoolProviders.update"),
        (Method::GET, "v1/projects/skybru-lab/serviceAccounts".to_owned(), "iam.serviceAccounts.list"),
        (Method::POST, format!("v1/projects/-/serviceAccounts/{ACCOUNT}:setIamPolicy"), "iam.serviceAccounts.setIamPolicy"),
        (Method::POST, "v1/projects/skybru-lab:setIamPolicy".to_owned(), "resourcemanager.projects.setIamPolicy"),
    ];
    for (method, path, permission) in tries {
        let answer = google.call(method, &path, Some(&json!({})), Some(&federated)).await;
        let text = format!("Permission '{permission}' denied on resource (or it may not exist).");
        assert_eq!(answer.message(), (403, text.as_str()));
    }
    assert_eq!(google.get("v1/projects/skybru-lab", "ya29.x").await.status, 401);
    assert_eq!(google.get("v1/projects/skybru-lab", OWNER_TOKEN).await.ok()["projectId"], "skybru-lab");
}

/// G-16, G-68: an employee's token from Ansattporten, exchanged without a browser.
#[tokio::test]
async fn a_workforce_pool_lets_in_employees_of_one_organisation() {
    let issuer = TestIssuer::tls().await;
    let google = Google::shared(&issuer).await;
    let pools = "v1/locations/global/workforcePools";
    let body = json!({"parent": "organizations/1", "sessionDuration": "7200s"});
    google.owner(Method::POST, &format!("{pools}?workforcePoolId=ansattporten"), &body).await.ok();
    let provider = json!({
        "attributeMapping": {"google.subject": "assertion.sub", "attribute.orgno": "assertion.authorization_details[0].reportees[0].ID"},
        "attributeCondition": "attribute.orgno=='0192:311046349'",
        "oidc": {"issuerUri": issuer.url, "clientId": "testclient"},
    });
    let path = format!("{pools}/ansattporten/providers?workforcePoolProviderId=ansattporten");
    google.owner(Method::POST, &path, &provider).await.ok();
    let set = "principalSet://iam.googleapis.com/locations/global/workforcePools/ansattporten/attribute.orgno/0192:311046349";
    google.bind_bucket("roles/storage.objectViewer", set).await.ok();
    let employee = |organisation: &str| {
        let details = json!([{"reportees": [{"ID": organisation}]}]);
        token(&issuer, &json!({"sub": "A_-1aaa", "aud": "testclient", "authorization_details": details}))
    };
    let audience = "//iam.googleapis.com/locations/global/workforcePools/ansattporten/providers/ansattporten";
    let options = [("audience", audience), ("options", r#"{"userProject":"skybru-lab"}"#)];
    let exchanged = google.exchange(&employee("0192:311046349"), &options).await.ok();
    let bearer = exchanged["access_token"].as_str().unwrap();
    assert_eq!(google.read(bearer, "timetables/line-1.csv").await.status, 200);
    let other = google.exchange(&employee("0192:917422575"), &options).await;
    assert_eq!(other.oauth(), (400, "unauthorized_client", "The given credential is rejected by the attribute condition."));
    assert_eq!(google.exchange(&employee("0192:311046349"), &options[..1]).await.oauth().1, "invalid_request");
}
