//! Resource Manager: identities, credentials, role assignments, and who may change them.

use reqwest::Method;
use serde_json::{Value, json};
use skybru_federation::azure::roles::id;

use super::sim::{ACCOUNT, AUDIENCE, SUBJECT, TestAzure};

#[tokio::test]
async fn e_9_the_errors_of_credentials_are_resource_managers() {
    let t = TestAzure::start().await;
    let put = async |name: &str, properties: Value| {
        let path = t.identity(&format!("federatedIdentityCredentials/{name}"));
        let reply = t.arm(Method::PUT, &path, &json!({"properties": properties})).await;
        (reply.status, reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    let good = json!({"issuer": "https://x.no", "subject": "0192:1;s", "audiences": [AUDIENCE]});
    let but = |name: &str, value: Value| {
        let mut properties = good.clone();
        properties[name] = value;
        properties
    };
    assert_eq!(put("another", good.clone()).await.0, 201);
    assert_eq!(put("another", good.clone()).await.0, 200);
    let text = "Issuer and subject combination already exists for this Managed Identity.";
    assert_eq!(put("twin", good.clone()).await, (400, text.to_owned()));
    let text = "Federated identity credentials must have exactly one audience.";
    assert_eq!(put("three", but("audiences", json!(["a", "b"]))).await, (400, text.to_owned()));
    let text = "Federated Identity Credential from HTTP body has empty properties";
    assert_eq!(put("three", but("issuer", json!(""))).await, (400, text.to_owned()));
    assert_eq!(put("a", good).await, (400, "Federated Identity Credential name 'a' is invalid.".to_owned()));
    let elsewhere = t.group("/providers/Microsoft.ManagedIdentity/userAssignedIdentities/nobody/federatedIdentityCredentials/x");
    let reply = t.arm(Method::GET, &elsewhere, &json!(null)).await;
    assert_eq!(reply.json()["error"]["message"], "The parent user-assigned identity doesn't exist.");
}

/// The vector of the 21st credential, through the front door.
#[tokio::test]
async fn e_1_the_twenty_first_credential_is_refused() {
    let t = TestAzure::start().await;
    for number in 1..20 {
        assert_eq!(t.trust(&format!("c-{number}"), &t.issuer.url, &format!("0192:{number};s"), AUDIENCE).await.status, 201);
    }
    assert_eq!(t.trust("one-more", &t.issuer.url, "0192:99;s", AUDIENCE).await.status, 400);
    let list = t.arm(Method::GET, &t.identity("federatedIdentityCredentials"), &json!(null)).await.json();
    assert_eq!(list["value"].as_array().unwrap().len(), 20);
    assert_eq!(list["value"][0]["properties"]["subject"], SUBJECT);
}

#[tokio::test]
async fn e_60_ids_are_found_in_any_case_and_have_a_small_word() {
    let t = TestAzure::start().await;
    let path = t.identity("").trim_end_matches('/').replace("resourceGroups/sharing", "RESOURCEGROUPS/SHARING");
    let body = t.arm(Method::GET, &path, &json!(null)).await.json();
    assert!(body["id"].as_str().unwrap().contains("/resourcegroups/sharing/"), "{body}");
    assert_eq!(body["properties"]["tenantId"], t.sim.tenant_id());
}

#[tokio::test]
async fn e_63_a_client_id_is_no_principal() {
    let t = TestAzure::start().await;
    let reply = t.assign(id::BLOB_DATA_READER, &t.container("private"), &t.client_id).await;
    assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (400, Some("PrincipalNotFound")));
    let again = t.group("/providers/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-000000000001");
    let role = format!("/x/{}", id::BLOB_DATA_OWNER);
    let body = json!({"properties": {"roleDefinitionId": role, "principalId": t.sim.owner_principal_id()}});
    let reply = t.arm(Method::PUT, &again, &body).await;
    assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (409, Some("RoleAssignmentExists")));
    let roles =
        t.group("/providers/Microsoft.Authorization/roleDefinitions?$filter=roleName%20eq%20'Storage%20Blob%20Data%20Reader'");
    assert_eq!(t.arm(Method::GET, &roles, &json!(null)).await.json()["value"][0]["name"], id::BLOB_DATA_READER);
}

#[tokio::test]
async fn e_74_data_roles_show_no_subscription_and_change_nothing() {
    let t = TestAzure::start().await;
    let scope = [("scope", "https://management.azure.com/.default")];
    let reply = t.exchange_for(&t.assertion(&json!({})), &scope, &t.sim.tenant_id()).await.json();
    let token = reply["access_token"].as_str().unwrap();
    let list = t.arm_as(token, Method::GET, "/subscriptions", &json!(null)).await;
    assert_eq!(list.json()["value"], json!([]));
    let reply = t.arm_as(token, Method::PUT, &t.account(ACCOUNT, ""), &json!({})).await;
    assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (403, Some("AuthorizationFailed")));
    let wrong = t.arm_as(&t.token().await, Method::GET, "/subscriptions", &json!(null)).await;
    assert_eq!((wrong.status, wrong.json()["error"]["code"].as_str()), (401, Some("InvalidAuthenticationTokenAudience")));
    let none = super::sim::read(t.http.get(format!("{}/subscriptions?api-version=2022-12-01", t.sim.arm()))).await;
    assert_eq!((none.status, none.json()["error"]["code"].as_str()), (401, Some("AuthenticationFailed")));
}

#[tokio::test]
async fn a_group_goes_with_everything_in_it() {
    let t = TestAzure::start().await;
    let token = t.token().await;
    assert_eq!(t.arm(Method::DELETE, &t.group(""), &json!(null)).await.status, 200);
    assert_eq!(t.get(&token, &t.blob_url("timetables", "line-1.csv")).await.status, 404);
    assert_eq!(t.exchange(&t.assertion(&json!({}))).await.json()["error_codes"][0], 700_016);
    let reply = t.arm(Method::GET, &t.group(""), &json!(null)).await;
    assert_eq!(reply.json()["error"]["code"], "ResourceGroupNotFound");
}

#[tokio::test]
async fn e_61_a_credential_is_put_listed_read_and_deleted() {
    let t = TestAzure::start().await;
    let path = t.identity("federatedIdentityCredentials/c-reads");
    let made = t.trust("c-reads", "https://sky.example.no", "0192:917422575;entur:demo", AUDIENCE).await;
    assert_eq!(made.status, 201);
    let properties = json!({"issuer": "https://sky.example.no", "subject": "0192:917422575;entur:demo", "audiences": [AUDIENCE]});
    assert_eq!((&made.json()["name"], &made.json()["properties"]), (&json!("c-reads"), &properties));
    assert_eq!(t.arm(Method::GET, &path, &json!(null)).await.json()["properties"], properties);
    let listed = t.arm(Method::GET, &t.identity("federatedIdentityCredentials"), &json!(null)).await.json();
    assert!(listed["value"].as_array().unwrap().iter().any(|one| one["name"] == "c-reads"), "{listed}");
    assert_eq!(t.arm(Method::DELETE, &path, &json!(null)).await.status, 200);
    assert_eq!(t.arm(Method::GET, &path, &json!(null)).await.status, 404);
}

/// E-75: `az cloud register` asks without a token where everything is.
#[tokio::test]
async fn e_75_resource_manager_names_the_clouds_addresses() {
    let t = TestAzure::start().await;
    let ask = async |version: &str| {
        let url = format!("{}/metadata/endpoints?api-version={version}", t.sim.arm());
        super::sim::read(t.http.get(url)).await.json()
    };
    let now = ask("2022-09-01").await;
    assert_eq!(now["authentication"]["loginEndpoint"], json!(t.sim.authority()));
    assert_eq!(now["resourceManager"], json!(t.sim.arm()));
    assert_eq!(now["suffixes"]["storage"], "core.windows.net");
    assert_eq!(ask("2019-05-01").await[0], now);
    assert_eq!(ask("2015-01-01").await["authentication"]["audiences"][0], "https://management.core.windows.net/");
}
