//! Whether a call on data goes through: buckets, objects, datasets (G-53, G-56, G-69).

use serde::{Deserialize, Serialize};

use super::ApiError;
use super::policy::{Access, Policy};
use super::principal::Caller;
use super::roles::role_holds;
use super::service_account::CLOUD_PLATFORM;

const PREFIX: &str = "https://www.googleapis.com/auth/";

/// Whether a token with these scopes may ask for this permission at all.
pub fn scopes_allow(scopes: &[String], permission: &str) -> bool {
    let (service, verb) = permission.split_once('.').unwrap_or((permission, ""));
    let reads = ["get", "list", "getData", "getIamPolicy"].iter().any(|word| verb.rsplit('.').next() == Some(*word));
    scopes.iter().any(|scope| {
        let Some(name) = scope.strip_prefix(PREFIX) else { return false };
        match (service, name) {
            _ if scope == CLOUD_PLATFORM => true,
            (_, "cloud-platform.read-only") => reads,
            ("storage", "devstorage.full_control") | ("bigquery", "bigquery") => true,
            ("storage", "devstorage.read_write") => !verb.ends_with("IamPolicy"),
            ("storage", "devstorage.read_only") => reads && !verb.ends_with("IamPolicy"),
            ("bigquery", "bigquery.readonly") => reads || permission == "bigquery.jobs.create",
            _ => false,
        }
    })
}

/// What Cloud Storage says to a caller who may not; `thing` is `bucket` or `object`. Without a token the status is 401.
pub fn storage_denied(caller: &Caller, permission: &str, thing: &str) -> ApiError {
    let who = match caller {
        Caller::Anonymous => "Anonymous caller",
        Caller::Federated(_) => "Caller",
        Caller::ServiceAccount { email } | Caller::User { email } => email,
    };
    let message = format!(
        "{who} does not have {permission} access to the Google Cloud Storage {thing}. Permission '{permission}' denied on resource (or it \
         may not exist)."
    );
    match caller {
        Caller::Anonymous => ApiError::new("D-50", 401, "UNAUTHENTICATED", message),
        _ => ApiError::new("D-50", 403, "PERMISSION_DENIED", message),
    }
}

/// What Cloud Storage says to a token that is none, or has expired.
pub fn storage_unauthenticated() -> ApiError {
    ApiError::new("G-56", 401, "UNAUTHENTICATED", "Invalid Credentials")
}

/// What `BigQuery` says to a caller who may not. `thing` is `Dataset`, `Table` or `Project`, `name` its name with a colon.
pub fn bigquery_denied(permission: &str, thing: &str, name: &str) -> ApiError {
    let message = if thing == "Project" {
        format!("Access Denied: Project {name}: User does not have {permission} permission in project {name}.")
    } else {
        let kind = thing.to_lowercase();
        format!("Access Denied: {thing} {name}: Permission {permission} denied on {kind} {name} (or it may not exist).")
    };
    ApiError::new("D-50", 403, "ACCESS_DENIED", message)
}

/// Whether one of these policies, of the resource or of what it stands in, lets the caller in.
pub fn allowed(policies: &[&Policy], caller: &Caller, access: Access<'_>) -> bool {
    policies.iter().any(|policy| policy.allows(caller, access))
}

/// An entry of a `BigQuery` dataset's `access` (G-69).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DatasetEntry {
    /// `READER`, `WRITER`, `OWNER`, or a role's whole name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// A person or a service account, by address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_by_email: Option<String>,
    /// `projectOwners`, `projectReaders`, `projectWriters` or `allAuthenticatedUsers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub special_group: Option<String>,
    /// A member of any form, such as `principalSet://…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iam_member: Option<String>,
    /// Whatever else stands in an entry: views, routines, domains, groups. It is kept and lets nobody in here.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl DatasetEntry {
    fn holds(&self, permission: &str) -> bool {
        // Which permissions the three basic roles have on a dataset is documented with them.
        let role = match self.role.as_deref() {
            Some("READER") => "roles/bigquery.dataViewer",
            Some("WRITER") => "roles/bigquery.dataEditor",
            Some("OWNER") => "roles/bigquery.dataOwner",
            Some(other) => other,
            None => return false,
        };
        role_holds(role, permission)
    }

    /// `project_roles` are the basic roles that the caller has in the dataset's project.
    fn names(&self, caller: &Caller, project_roles: &[&str]) -> bool {
        let by_email = self
            .user_by_email
            .as_deref()
            .is_some_and(|email| caller.address().is_some_and(|address| address.eq_ignore_ascii_case(email)));
        let by_group = match self.special_group.as_deref() {
            Some("projectOwners") => project_roles.contains(&"roles/owner"),
            Some("projectWriters") => project_roles.contains(&"roles/editor"),
            Some("projectReaders") => project_roles.contains(&"roles/viewer"),
            Some("allAuthenticatedUsers") => caller.is_member("allAuthenticatedUsers"),
            _ => false,
        };
        by_email || by_group || self.iam_member.as_deref().is_some_and(|member| caller.is_member(member))
    }
}

/// Whether a dataset's own list lets the caller in.
pub fn dataset_allows(entries: &[DatasetEntry], caller: &Caller, project_roles: &[&str], permission: &str) -> bool {
    entries.iter().any(|entry| entry.holds(permission) && entry.names(caller, project_roles))
}
