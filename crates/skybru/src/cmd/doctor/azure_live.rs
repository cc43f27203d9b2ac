//! What Resource Manager itself says of identity, credentials, roles and account, when the environment has a token that may read it.
//!
//! The token: `AZURE_ACCESS_TOKEN` (of `az account get-access-token`); else that of a managed identity (`IDENTITY_ENDPOINT` and
//! `IDENTITY_HEADER`); else that of a federated token (`AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_FEDERATED_TOKEN_FILE`), where it is
//! not the consumer's own identity.
//!
//! Deliberately missing: application registrations, which only Graph shows, and access control lists, which only storage shows.

use anyhow::Result;
use http::Method;
use serde_json::Value;
use skybru_client::http::Http;
use skybru_core::Secret;
use skybru_federation::azure::RoleAssignment;
use skybru_federation::azure::roles::RoleDefinition;

use super::azure::{Files, LiveAccess};
use super::live::{Api, Said, may_have_the_token};
use super::report::Report;
use super::{Call, given};

const LIVE: &str = "Azure Resource Manager";
const REAL_ARM: &str = "https://management.azure.com";
const OWN_HOSTS: &[&str] = &["management.azure.com", "management.usgovcloudapi.net", "management.chinacloudapi.cn"];
const AUTHORITIES: &[&str] = &["login.microsoftonline.com", "login.microsoftonline.us", "login.chinacloudapi.cn"];
const IDENTITIES: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";
/// A list that goes on longer than this is not read to its end.
const MOST_PAGES: usize = 20;

/// Fills in what no file said. Without a token, or without the right to read, nothing is filled in, and a note says so.
pub(super) async fn fetch(call: &Call, http: &Http, files: &mut Files, report: &mut Report) -> Result<()> {
    let Some((client_id, arm)) = files.wanted() else { return Ok(()) };
    let base = arm.unwrap_or_else(|| REAL_ARM.to_owned()).trim_end_matches('/').to_owned();
    if !may_have_the_token(&base, OWN_HOSTS) {
        report.note(format!("the token at hand is not sent to {base}: it is neither Azure nor this machine"));
        return Ok(());
    }
    let Some(bearer) = bearer(call, http, &client_id).await? else { return Ok(()) };
    let arm = Arm { api: Api { http, bearer, name: "Azure" }, base };
    let subscriptions = arm.list("/subscriptions?api-version=2022-12-01", "its subscriptions", report).await;
    let mut found = false;
    for subscription in subscriptions.iter().filter_map(|one| one["subscriptionId"].as_str()) {
        found |= identity(&arm, subscription, &client_id, files, report).await;
    }
    if !found && !subscriptions.is_empty() {
        let what = "no managed identity in the subscriptions that the token sees";
        report.note(format!("{what} has the client id {client_id}; an application's registration is not looked at"));
        return Ok(());
    }
    for subscription in subscriptions.iter().filter_map(|one| one["subscriptionId"].as_str()) {
        access(&arm, subscription, files, report).await;
    }
    Ok(())
}

/// Every managed identity that the token sees, with its credentials; `None` when nobody was asked.
pub(super) async fn identities(
    call: &Call,
    http: &Http,
    arm: Option<String>,
    report: &mut Report,
) -> Result<Option<Vec<(Value, Vec<Value>)>>> {
    let base = arm.unwrap_or_else(|| REAL_ARM.to_owned()).trim_end_matches('/').to_owned();
    if !may_have_the_token(&base, OWN_HOSTS) {
        return Ok(None);
    }
    let Some(bearer) = bearer(call, http, "").await? else { return Ok(None) };
    let arm = Arm { api: Api { http, bearer, name: "Azure" }, base };
    let mut found = Vec::new();
    for subscription in arm.list("/subscriptions?api-version=2022-12-01", "its subscriptions", report).await {
        let id = subscription["subscriptionId"].as_str().unwrap_or_default();
        let path = format!("/subscriptions/{id}/providers/{IDENTITIES}?api-version=2024-11-30");
        for identity in arm.list(&path, "the identities", report).await {
            let id = identity["id"].as_str().unwrap_or_default();
            let path = format!("{id}/federatedIdentityCredentials?api-version=2024-11-30");
            let credentials = arm.list(&path, "the identity's credentials", report).await;
            found.push((identity, credentials));
        }
    }
    Ok(Some(found))
}

/// Resource Manager at an address.
struct Arm<'a> {
    api: Api<'a>,
    base: String,
}

impl Arm<'_> {
    /// A list, with its further pages.
    async fn list(&self, path: &str, what: &str, report: &mut Report) -> Vec<Value> {
        let mut values = Vec::new();
        let mut next = Some(format!("{}{path}", self.base));
        for _ in 0..MOST_PAGES {
            // The token goes to no other address than the first page's.
            let Some(url) = next.take().filter(|url| url.starts_with(&format!("{}/", self.base))) else { break };
            let Said::Yes(mut page) = self.api.ask(Method::GET, &url, None, what, report).await else { break };
            if let Some(more) = page["value"].as_array_mut() {
                values.append(more);
            }
            next = page["nextLink"].as_str().map(str::to_owned);
        }
        values
    }

    async fn one(&self, path: &str, what: &str, report: &mut Report) -> Option<Value> {
        match self.api.ask(Method::GET, &format!("{}{path}", self.base), None, what, report).await {
            Said::Yes(value) => Some(value),
            Said::Absent | Said::Unknown => None,
        }
    }
}

/// The identity behind a client id, with its credentials. One whose principal id it is, is taken too: that is D-63.
async fn identity(arm: &Arm<'_>, subscription: &str, client_id: &str, files: &mut Files, report: &mut Report) -> bool {
    let path = format!("/subscriptions/{subscription}/providers/{IDENTITIES}?api-version=2024-11-30");
    let identities = arm.list(&path, "the identities", report).await;
    let is = |one: &&Value, member: &str| one["properties"][member].as_str().is_some_and(|id| id.eq_ignore_ascii_case(client_id));
    let found =
        identities.iter().find(|one| is(one, "clientId")).or_else(|| identities.iter().find(|one| is(one, "principalId")));
    let Some((found, id)) = found.and_then(|one| Some((one, one["id"].as_str()?))) else { return false };
    let path = format!("{id}/federatedIdentityCredentials?api-version=2024-11-30");
    let credentials = arm.list(&path, "the identity's credentials", report).await;
    files.take_live(found, &credentials, LIVE, report);
    true
}

/// The storage account of the target, and the identity's roles there (E-66, D-68, D-73).
async fn access(arm: &Arm<'_>, subscription: &str, files: &mut Files, report: &mut Report) {
    let Some((principal, account, part)) = files.wanted_access() else { return };
    let path = format!("/subscriptions/{subscription}/providers/Microsoft.Storage/storageAccounts?api-version=2023-05-01");
    let accounts = arm.list(&path, "the storage accounts", report).await;
    let Some(found) = accounts.iter().find(|one| one["name"].as_str() == Some(account.as_str())) else { return };
    let Some(scope) = found["id"].as_str().map(|id| format!("{id}{part}")) else { return };
    let path = format!(
        "/subscriptions/{subscription}/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01&$filter=principalId%20eq%20'{principal}'"
    );
    let mut live = LiveAccess { scope, is_public: is_public(found), ..LiveAccess::default() };
    for one in arm.list(&path, "the role assignments", report).await {
        let Some(assignment) = assignment(&one) else { continue };
        let role = one["properties"]["roleDefinitionId"].as_str().unwrap_or_default();
        if !live.roles.iter().any(|known| known.id == assignment.role)
            && let Some(role) = arm.one(&format!("{role}?api-version=2022-04-01"), "a role", report).await
        {
            live.roles.push(definition(&role));
        }
        live.assignments.push(assignment);
    }
    // In an account with folders a list may let the identity in where no role does.
    let has_folders = found["properties"]["isHnsEnabled"].as_bool() == Some(true);
    if has_folders && live.assignments.is_empty() {
        report.note(format!("{account} has folders: their access control lists decide, and are not looked at"));
        return;
    }
    files.access = Some(live);
}

fn is_public(account: &Value) -> bool {
    let properties = &account["properties"];
    properties["publicNetworkAccess"].as_str() != Some("Disabled")
        && properties["networkAcls"]["defaultAction"].as_str() != Some("Deny")
}

fn assignment(value: &Value) -> Option<RoleAssignment> {
    let properties = &value["properties"];
    Some(RoleAssignment {
        name: value["name"].as_str()?.to_owned(),
        scope: properties["scope"].as_str()?.to_owned(),
        role: properties["roleDefinitionId"].as_str()?.rsplit('/').next()?.to_owned(),
        principal_id: properties["principalId"].as_str()?.to_owned(),
        principal_type: properties["principalType"].as_str().map(str::to_owned),
        created: 0,
    })
}

fn definition(value: &Value) -> RoleDefinition {
    let permissions = value["properties"]["permissions"].as_array().cloned().unwrap_or_default();
    let all = |member: &str| -> Vec<String> {
        let lists = permissions.iter().filter_map(|one| one[member].as_array()).flatten();
        lists.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    RoleDefinition {
        id: value["name"].as_str().unwrap_or_default().to_owned(),
        name: value["properties"]["roleName"].as_str().unwrap_or_default().to_owned(),
        actions: all("actions"),
        not_actions: all("notActions"),
        data_actions: all("dataActions"),
    }
}

/// An access token for Resource Manager. `consumer` is the identity of the target, which is no administrator.
async fn bearer(call: &Call, http: &Http, consumer: &str) -> Result<Option<Secret>> {
    let var = |name: &str| call.system.var(name);
    if let Some(token) = var("AZURE_ACCESS_TOKEN") {
        return Ok(Some(Secret::from(token.trim().to_owned())));
    }
    if let Some((endpoint, header)) = var("IDENTITY_ENDPOINT").zip(var("IDENTITY_HEADER")) {
        // E-76. The header is the right to ask: it stays on this machine, where such an endpoint is.
        if may_have_the_token(endpoint, &[]) {
            let url = format!("{endpoint}?api-version=2019-08-01&resource=https%3A%2F%2Fmanagement.azure.com");
            let answer = http.get_with(&url, "x-identity-header", &Secret::from(header.to_owned())).await;
            return Ok(answer.ok().and_then(|answer| token_in(&answer.json().ok()?)));
        }
    }
    let Some(((tenant, client_id), file)) =
        var("AZURE_TENANT_ID").zip(var("AZURE_CLIENT_ID")).zip(var("AZURE_FEDERATED_TOKEN_FILE"))
    else {
        return Ok(None);
    };
    let authority = var("AZURE_AUTHORITY_HOST").unwrap_or("https://login.microsoftonline.com").trim_end_matches('/');
    if client_id.eq_ignore_ascii_case(consumer) || !may_have_the_token(authority, AUTHORITIES) {
        return Ok(None);
    }
    let assertion = given(call, file.as_ref())?.text;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("scope", "https://management.azure.com/.default"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion.trim()),
    ];
    let answer = http.post_form(&format!("{authority}/{tenant}/oauth2/v2.0/token"), "application/json", &form).await;
    Ok(answer.ok().and_then(|answer| token_in(&answer.json().ok()?)))
}

fn token_in(value: &Value) -> Option<Secret> {
    value["access_token"].as_str().map(|token| Secret::from(token.to_owned()))
}
