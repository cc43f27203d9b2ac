//! Role definitions: which operations a role allows, on the control plane and on the data plane (E-64).
//!
//! Owner, Contributor and Reader have no data actions: whoever may delete a storage account may still not read a blob in it with a token.

use serde::{Deserialize, Serialize};

/// A role definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleDefinition {
    /// The last part of its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Operations on resources, with `*` for any text.
    pub actions: Vec<String>,
    /// Taken away from `actions`.
    pub not_actions: Vec<String>,
    /// Operations on data.
    pub data_actions: Vec<String>,
}

impl RoleDefinition {
    /// Whether it allows an operation on a resource.
    pub fn allows(&self, action: &str) -> bool {
        let fits = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, action));
        fits(&self.actions) && !fits(&self.not_actions)
    }

    /// Whether it allows an operation on data.
    pub fn allows_data(&self, action: &str) -> bool {
        self.data_actions.iter().any(|pattern| matches(pattern, action))
    }
}

/// Whether an operation fits a pattern. Case does not matter.
fn matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| action.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Ids of roles that the doctor and the lab name.
#[expect(missing_docs, reason = "the names are those of the roles")]
pub mod id {
    pub const OWNER: &str = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635";
    pub const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";
    pub const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
    pub const USER_ACCESS_ADMINISTRATOR: &str = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9";
    pub const STORAGE_ACCOUNT_CONTRIBUTOR: &str = "17d1049b-9a84-46fb-8f53-869881c3d3ab";
    pub const BLOB_DATA_OWNER: &str = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b";
    pub const BLOB_DATA_CONTRIBUTOR: &str = "ba92f5b4-2d11-453d-a403-e96b0029c9fe";
    pub const BLOB_DATA_READER: &str = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1";
    pub const FILE_DATA_PRIVILEGED_READER: &str = "b8eda974-7b85-4f76-af95-65846b26df6d";
    pub const FILE_DATA_PRIVILEGED_CONTRIBUTOR: &str = "69566ab7-960f-475b-8e7c-b3118f30c6bd";
    pub const FILE_DATA_SMB_SHARE_READER: &str = "aba4ae5f-2193-4029-9191-0cb91df5e314";
}

/// Name, id, actions, what is taken away from them, data actions.
type Known = (&'static str, &'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

const CONTAINERS: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/*";
const DELEGATION_KEY: &str = "Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action";

const BUILT_IN: [Known; 11] = [
    ("Owner", id::OWNER, &["*"], &[], &[]),
    (
        "Contributor",
        id::CONTRIBUTOR,
        &["*"],
        &["Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write", "Microsoft.Authorization/elevateAccess/Action"],
        &[],
    ),
    ("Reader", id::READER, &["*/read"], &[], &[]),
    ("User Access Administrator", id::USER_ACCESS_ADMINISTRATOR, &["*/read", "Microsoft.Authorization/*"], &[], &[]),
    (
        "Storage Account Contributor",
        id::STORAGE_ACCOUNT_CONTRIBUTOR,
        &[
            "Microsoft.Authorization/*/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            "Microsoft.Storage/storageAccounts/*",
        ],
        &[],
        &[],
    ),
    (
        "Storage Blob Data Owner",
        id::BLOB_DATA_OWNER,
        &[CONTAINERS, DELEGATION_KEY],
        &[],
        &["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/*"],
    ),
    (
        "Storage Blob Data Contributor",
        id::BLOB_DATA_CONTRIBUTOR,
        &[
            "Microsoft.Storage/storageAccounts/blobServices/containers/delete",
            "Microsoft.Storage/storageAccounts/blobServices/containers/read",
            "Microsoft.Storage/storageAccounts/blobServices/containers/write",
            DELEGATION_KEY,
        ],
        &[],
        &[
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/move/action",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action",
        ],
    ),
    (
        "Storage Blob Data Reader",
        id::BLOB_DATA_READER,
        &["Microsoft.Storage/storageAccounts/blobServices/containers/read", DELEGATION_KEY],
        &[],
        &["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"],
    ),
    (
        "Storage File Data Privileged Reader",
        id::FILE_DATA_PRIVILEGED_READER,
        &[],
        &[],
        &[
            "Microsoft.Storage/storageAccounts/fileServices/fileshares/files/read",
            "Microsoft.Storage/storageAccounts/fileServices/readFileBackupSemantics/action",
        ],
    ),
    (
        "Storage File Data Privileged Contributor",
        id::FILE_DATA_PRIVILEGED_CONTRIBUTOR,
        &[],
        &[],
        &[
            "Microsoft.Storage/storageAccounts/fileServices/fileshares/files/read",
            "Microsoft.Storage/storageAccounts/fileServices/fileshares/files/write",
            "Microsoft.Storage/storageAccounts/fileServices/fileshares/files/delete",
            "Microsoft.Storage/storageAccounts/fileServices/fileshares/files/modifypermissions/action",
            "Microsoft.Storage/storageAccounts/fileServices/readFileBackupSemantics/action",
            "Microsoft.Storage/storageAccounts/fileServices/writeFileBackupSemantics/action",
        ],
    ),
    (
        "Storage File Data SMB Share Reader",
        id::FILE_DATA_SMB_SHARE_READER,
        &[],
        &[],
        &["Microsoft.Storage/storageAccounts/fileServices/fileshares/files/read"],
    ),
];

/// The roles that are there without anybody making them, as far as storage needs them.
pub fn built_in() -> Vec<RoleDefinition> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let one = |(name, id, actions, not_actions, data_actions): &Known| RoleDefinition {
        id: (*id).to_owned(),
        name: (*name).to_owned(),
        actions: texts(actions),
        not_actions: texts(not_actions),
        data_actions: texts(data_actions),
    };
    BUILT_IN.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_azure_matches_them() {
        assert!(matches("*", "Microsoft.Storage/storageAccounts/read"));
        assert!(matches("*/read", "Microsoft.Storage/storageAccounts/read"));
        assert!(!matches("*/read", "Microsoft.Storage/storageAccounts/write"));
        assert!(matches("Microsoft.Authorization/*/Write", "microsoft.authorization/roleAssignments/write"));
        assert!(!matches("a/b", "a/b/c") && !matches("a/b/c", "a/b") && matches("a/b", "A/B"));
    }

    /// E-64.
    #[test]
    fn e_64_owner_contributor_and_reader_have_no_data_actions() {
        let read = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read";
        for role in built_in() {
            let is_blob_role = role.name.starts_with("Storage Blob Data");
            assert_eq!(role.allows_data(read), is_blob_role, "{}", role.name);
        }
    }
}
