//! What Resource Manager, Graph and storage say of identity, credentials, roles, account and access control lists, when the environment
//! has tokens that may read them.
//!
//! The tokens: `AZURE_ACCESS_TOKEN` for Resource Manager, `AZURE_GRAPH_ACCESS_TOKEN`, `AZURE_STORAGE_ACCESS_TOKEN` (each of `az account
//! get-access-token`, the others with `--resource-type ms-graph` and `--resource https://storage.azure.com`); else those of a managed
//! identity (`IDENTITY_ENDPOINT` and `IDENTITY_HEADER`); else those of a federated token (`AZURE_TENANT_ID`, `AZURE_CLIENT_ID`,
//! `AZURE_FEDERATED_TOKEN_FILE`), where it is not the consumer's own identity.

use anyhow::Result;
use http::Method;
use serde_json::Value;
use skybru_client::http::Http;
use skybru_core::Secret;
use skybru_federation::azure::RoleAssignment;
use skybru_federation::azure::acl::Acl;
use skybru_federation::azure::roles::RoleDefinition;

use super::azure::{Files, LiveAccess};
use super::live::{Api, Said, may_have_the_token};
use super::report::Report;
use super::{Call, given};

const LIVE: &str = "Azure Resource Manager";
const GRAPH: &str = "Microsoft Graph";
const REAL_ARM: &str = "https://management.azure.com";
const OWN_HOSTS: &[&str] = &["management.azure.com", "management.usgovcloudapi.net", "management.chinacloudapi.cn"];
const GRAPH_HOSTS: &[&str] = &["graph.microsoft.com", "graph.microsoft.us", "microsoftgraph.chinacloudapi.cn"];
const LAKE_HOSTS: &[&str] = &["dfs.core.windows.net", "dfs.core.usgovcloudapi.net", "dfs.core.chinacloudapi.cn"];
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
    let Some(bearer) = bearer(call, http, &client_id, For::Management).await? else { return Ok(()) };
    let arm = Arm { api: Api { http, bearer, name: "Azure" }, base };
    let subscriptions = arm.list("/subscriptions?api-version=2022-12-01", "its subscriptions", report).await;
    let mut found = false;
    for subscription in subscriptions.iter().filter_map(|one| one["subscriptionId"].as_str()) {
        found |= identity(&arm, subscription, &client_id, files, report).await;
    }
    if !found && !application(call, &arm, &client_id, files, report).await? {
        return Ok(());
    }
    for subscription in subscriptions.iter().filter_map(|one| one["subscriptionId"].as_str()) {
        access(call, &arm, subscription, files, report).await?;
    }
    Ok(())
}

/// The application registration behind a client id, with its credentials and its principal (E-62), where no managed identity has it.
async fn application(call: &Call, arm: &Arm<'_>, client_id: &str, files: &mut Files, report: &mut Report) -> Result<bool> {
    let none = format!("no managed identity in the subscriptions that the token sees has the client id {client_id}");
    let base = graph_of(&arm.base);
    let http = arm.api.http;
    let token = if may_have_the_token(&base, GRAPH_HOSTS) { bearer(call, http, client_id, For::Graph).await? } else { None };
    let Some(bearer) = token else {
        report.note(format!("{none}; application registrations are looked at with a token for Graph (AZURE_GRAPH_ACCESS_TOKEN)"));
        return Ok(false);
    };
    let graph = Arm { api: Api { http, bearer, name: GRAPH }, base };
    // An id from settings is quoted in a filter.
    let quoted = client_id.replace('\'', "''");
    let filter: String = url::form_urlencoded::byte_serialize(format!("appId eq '{quoted}'").as_bytes()).collect();
    let filter = filter.replace('+', "%20");
    let applications = graph.list(&format!("/v1.0/applications?$filter={filter}"), "the applications", report).await;
    let Some((found, id)) = applications.first().and_then(|one| Some((one, one["id"].as_str()?))) else {
        report.note(format!("{none}, and neither has an application's registration"));
        return Ok(false);
    };
    let path = format!("/v1.0/applications/{id}/federatedIdentityCredentials");
    let credentials = graph.list(&path, "the application's credentials", report).await;
    let app_id = found["appId"].as_str().unwrap_or_default();
    let path = format!("/v1.0/servicePrincipals(appId='{app_id}')");
    let principal = graph.one(&path, "the application's principal", report).await;
    files.take_application(found, &credentials, principal.as_ref(), GRAPH, report);
    Ok(true)
}

/// Graph beside a Resource Manager: that of the same cloud, or that of the same lab.
fn graph_of(arm: &str) -> String {
    match arm {
        "https://management.usgovcloudapi.net" => "https://graph.microsoft.us".to_owned(),
        "https://management.chinacloudapi.cn" => "https://microsoftgraph.chinacloudapi.cn".to_owned(),
        lab if lab.ends_with("/arm") => format!("{}/graph", lab.trim_end_matches("/arm")),
        _ => "https://graph.microsoft.com".to_owned(),
    }
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
    let Some(bearer) = bearer(call, http, "", For::Management).await? else { return Ok(None) };
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
async fn access(call: &Call, arm: &Arm<'_>, subscription: &str, files: &mut Files, report: &mut Report) -> Result<()> {
    let Some((principal, account, part)) = files.wanted_access() else { return Ok(()) };
    let path = format!("/subscriptions/{subscription}/providers/Microsoft.Storage/storageAccounts?api-version=2023-05-01");
    let accounts = arm.list(&path, "the storage accounts", report).await;
    let Some(found) = accounts.iter().find(|one| one["name"].as_str() == Some(account.as_str())) else { return Ok(()) };
    let Some(scope) = found["id"].as_str().map(|id| format!("{id}{part}")) else { return Ok(()) };
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
    if has_folders {
        live.lists = lists(call, arm.api.http, found, files, report).await?;
        if live.lists.is_none() && live.assignments.is_empty() {
            let how = "a token for storage that may read them (AZURE_STORAGE_ACCESS_TOKEN)";
            report.note(format!("{account} has folders: their access control lists decide, and are looked at with {how}"));
            return Ok(());
        }
    }
    files.access = Some(live);
    Ok(())
}

/// The access control lists from the container's root to the path that the target names (E-67, D-74).
async fn lists(call: &Call, http: &Http, account: &Value, files: &Files, report: &mut Report) -> Result<Option<Vec<Acl>>> {
    let Some(lake) = account.pointer("/properties/primaryEndpoints/dfs").and_then(Value::as_str) else { return Ok(None) };
    let Some((container, path)) = files.wanted_path() else { return Ok(None) };
    if !may_have_the_token(lake, LAKE_HOSTS) {
        return Ok(None);
    }
    let Some(bearer) = bearer(call, http, "", For::Storage).await? else { return Ok(None) };
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let mut lists = Vec::new();
    for depth in 0..=parts.len() {
        let place = parts[..depth].join("/");
        let mut url = url::Url::parse(lake)?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(&container).extend(&parts[..depth]);
        }
        url.set_query(Some("action=getAccessControl"));
        let answer = http.head(url.as_str(), &bearer, ("x-ms-version", "2023-11-03")).await;
        let header = |name: &str| answer.as_ref().ok()?.headers.get(name)?.to_str().ok();
        let list = header("x-ms-acl").map(|text| Acl::of_owner(header("x-ms-owner").unwrap_or_default(), true).set(text, true));
        let Some(Ok(list)) = list else {
            let why = header("x-ms-error-code").unwrap_or("it is not what was expected");
            report.note(format!("the access control list of {container}/{place} is not shown to the token at hand ({why})"));
            return Ok(None);
        };
        lists.push(list);
    }
    Ok(Some(lists))
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

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    Management,
    Graph,
    Storage,
}

impl For {
    const fn variable(self) -> &'static str {
        match self {
            Self::Management => "AZURE_ACCESS_TOKEN",
            Self::Graph => "AZURE_GRAPH_ACCESS_TOKEN",
            Self::Storage => "AZURE_STORAGE_ACCESS_TOKEN",
        }
    }

    const fn resource(self) -> &'static str {
        match self {
            Self::Management => "https://management.azure.com",
            Self::Graph => "https://graph.microsoft.com",
            Self::Storage => "https://storage.azure.com",
        }
    }
}

/// An access token. `consumer` is the identity of the target, which is no administrator.
async fn bearer(call: &Call, http: &Http, consumer: &str, wanted: For) -> Result<Option<Secret>> {
    let var = |name: &str| call.system.var(name);
    if let Some(token) = var(wanted.variable()) {
        return Ok(Some(Secret::from(token.trim().to_owned())));
    }
    if let Some((endpoint, header)) = var("IDENTITY_ENDPOINT").zip(var("IDENTITY_HEADER")) {
        // E-76. The header is the right to ask: it stays on this machine, where such an endpoint is.
        if may_have_the_token(endpoint, &[]) {
            let resource: String = url::form_urlencoded::byte_serialize(wanted.resource().as_bytes()).collect();
            let url = format!("{endpoint}?api-version=2019-08-01&resource={resource}");
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
    let scope = format!("{}/.default", wanted.resource());
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("scope", &scope),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion.trim()),
    ];
    let answer = http.post_form(&format!("{authority}/{tenant}/oauth2/v2.0/token"), "application/json", &form).await;
    Ok(answer.ok().and_then(|answer| token_in(&answer.json().ok()?)))
}

fn token_in(value: &Value) -> Option<Secret> {
    value["access_token"].as_str().map(|token| Secret::from(token.to_owned()))
}
