//! What the simulated directory and subscription hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skybru_core::Randomness;
use skybru_federation::azure::acl::Acl;
use skybru_federation::azure::{AzureError, RoleAssignment, roles};
use skybru_federation::entra::{Identity, Tenant};

use crate::kept::NotKept;

/// The state of everything but objects.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) tenant: Tenant,
    /// The only one there is.
    pub(crate) subscription: String,
    /// The owner's principal id.
    pub(crate) owner: String,
    /// By name in lower case.
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) identities: Vec<ManagedIdentity>,
    pub(crate) applications: Vec<Application>,
    pub(crate) assignments: Vec<RoleAssignment>,
    /// By name.
    pub(crate) accounts: BTreeMap<String, Account>,
}

/// A resource group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) location: String,
    pub(crate) tags: BTreeMap<String, String>,
}

/// A user-assigned managed identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ManagedIdentity {
    pub(crate) group: String,
    pub(crate) location: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) identity: Identity,
}

/// An app registration with its service principal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Application {
    /// The registration's own id, which Graph's paths name (E-62).
    pub(crate) object_id: String,
    pub(crate) identity: Identity,
}

/// A storage account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) location: String,
    pub(crate) tags: BTreeMap<String, String>,
    /// Data Lake Gen2: folders and access control lists.
    pub(crate) has_folders: bool,
    /// Whether it answers to public addresses (D-73).
    pub(crate) is_public: bool,
    /// Containers, or file systems, by name.
    pub(crate) containers: BTreeMap<String, Container>,
    /// File shares, by name.
    pub(crate) shares: BTreeMap<String, Container>,
}

/// A container or a share.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Container {
    pub(crate) etag: String,
    /// Seconds since 1970.
    pub(crate) modified: i64,
    pub(crate) metadata: BTreeMap<String, String>,
    /// The root folder's lists, in an account with folders.
    pub(crate) root: Acl,
}

impl State {
    /// A new directory with one subscription, whose owner may do everything but read data (E-64).
    pub(crate) fn new(tenant_name: &str, randomness: &dyn Randomness) -> Self {
        let guid = || skybru_core::id::uuid(randomness).to_string();
        let (subscription, owner) = (guid(), guid());
        let word: String = tenant_name.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
        let assignment = RoleAssignment {
            name: guid(),
            scope: format!("/subscriptions/{subscription}"),
            role: roles::id::OWNER.to_owned(),
            principal_id: owner.clone(),
            principal_type: Some("User".to_owned()),
            created: 0,
        };
        Self {
            tenant: Tenant { id: guid(), name: tenant_name.to_owned(), domains: vec![format!("{word}.onmicrosoft.com")] },
            subscription,
            owner,
            groups: BTreeMap::new(),
            identities: Vec::new(),
            applications: Vec::new(),
            assignments: vec![assignment],
            accounts: BTreeMap::new(),
        }
    }

    /// Everything that a token can be had for.
    pub(crate) fn all_identities(&self) -> impl Iterator<Item = &Identity> {
        self.identities.iter().map(|one| &one.identity).chain(self.applications.iter().map(|one| &one.identity))
    }

    /// The resource id of an account.
    pub(crate) fn account_scope(&self, account: &Account) -> String {
        let Account { group, name, .. } = account;
        format!("/subscriptions/{}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{name}", self.subscription)
    }
}

impl From<NotKept> for AzureError {
    fn from(_: NotKept) -> Self {
        Self::new("E-9", "InternalServerError", 500, "The server encountered an internal error. Please retry the request.")
    }
}
