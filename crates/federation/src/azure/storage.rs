//! Whether storage lets a caller do something: roles first, then, in accounts with folders, the access control lists (E-65 to E-67).

use super::acl::{Acl, Permissions};
use super::rbac::Grants;
use super::{AzureError, Caller};

/// What somebody wants to do with containers and blobs, or with file systems and paths, which are the same things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum BlobOperation {
    ListContainers,
    ReadContainer,
    WriteContainer,
    DeleteContainer,
    ListBlobs,
    ReadBlob,
    /// Changes one that is there.
    WriteBlob,
    /// Makes one that is not there yet.
    CreateBlob,
    DeleteBlob,
    ReadAcl,
    ChangeAcl,
    /// A key with which its holder could sign URLs.
    DelegationKey,
}

const CONTAINERS: &str = "Microsoft.Storage/storageAccounts/blobServices/containers";

impl BlobOperation {
    /// The operation's name in role definitions.
    pub fn action(self) -> String {
        let rest = match self {
            Self::ListContainers | Self::ReadContainer => "/read",
            Self::WriteContainer => "/write",
            Self::DeleteContainer => "/delete",
            Self::ListBlobs | Self::ReadBlob | Self::ReadAcl => "/blobs/read",
            Self::WriteBlob => "/blobs/write",
            Self::CreateBlob => "/blobs/add/action",
            Self::DeleteBlob => "/blobs/delete",
            Self::ChangeAcl => "/blobs/manageOwnership/action",
            Self::DelegationKey => {
                return "Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action".to_owned();
            }
        };
        format!("{CONTAINERS}{rest}")
    }

    fn is_about_data(self) -> bool {
        !matches!(
            self,
            Self::ListContainers | Self::ReadContainer | Self::WriteContainer | Self::DeleteContainer | Self::DelegationKey
        )
    }
}

/// The lists on the way to a path, in an account with folders.
#[derive(Debug, Clone, Copy)]
pub struct PathAcls<'a> {
    /// Those of the folders above, the container's root first.
    pub above: &'a [&'a Acl],
    /// That of the path itself, if it is there.
    pub own: Option<&'a Acl>,
}

impl PathAcls<'_> {
    /// The first folder above that does not let a principal through, counted from the root (D-74).
    pub fn closed_folder(&self, principal: &str) -> Option<usize> {
        self.above.iter().position(|acl| !acl.allows(principal, Permissions::EXECUTE))
    }

    fn allow(&self, principal: &str, operation: BlobOperation) -> bool {
        if self.closed_folder(principal).is_some() {
            return false;
        }
        let own = |wanted| self.own.is_some_and(|acl| acl.allows(principal, wanted));
        let parent = |wanted| self.above.last().is_some_and(|acl| acl.allows(principal, wanted));
        match operation {
            BlobOperation::ListBlobs => own(Permissions::READ_EXECUTE),
            BlobOperation::ReadBlob => own(Permissions::READ),
            BlobOperation::WriteBlob => own(Permissions::WRITE),
            BlobOperation::CreateBlob | BlobOperation::DeleteBlob => parent(Permissions::WRITE_EXECUTE),
            BlobOperation::ReadAcl => self.own.is_some(),
            BlobOperation::ChangeAcl => self.own.is_some_and(|acl| acl.owner.eq_ignore_ascii_case(principal)),
            _ => false,
        }
    }
}

/// Whether a caller may do this to what is at `scope`, a container or a whole account.
pub fn authorize_blob(
    grants: Grants<'_>,
    caller: &Caller,
    operation: BlobOperation,
    scope: &str,
    acls: Option<PathAcls<'_>>,
) -> Result<(), AzureError> {
    let (principal, action) = (caller.principal_id.as_str(), operation.action());
    let by_role = if operation.is_about_data() {
        grants.may_on_data(principal, &action, scope)
            || operation == BlobOperation::CreateBlob && grants.may_on_data(principal, &BlobOperation::WriteBlob.action(), scope)
    } else {
        // Containers stand among a role's actions, not its data actions; yet the documentation says that not even the account's owner
        // may touch them with a token unless a data role says so (E-64). So only roles with data actions count here: an inference.
        grants.of(principal, scope).any(|role| !role.data_actions.is_empty() && role.allows(&action))
    };
    let by_list = || acls.is_some_and(|acls| acls.allow(principal, operation));
    if by_role || by_list() { Ok(()) } else { Err(AzureError::permission_mismatch()) }
}

/// What somebody wants to do with a file share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum FileOperation {
    ListShares,
    ReadShare,
    Read,
    Write,
    Delete,
}

/// The headers of a call to Files that a token needs (E-65).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FilesCall<'a> {
    /// `x-ms-version`.
    pub version: Option<&'a str>,
    /// `x-ms-file-request-intent`.
    pub intent: Option<&'a str>,
}

/// E-65: Files takes tokens since this version.
const FILES_VERSION: &str = "2022-11-02";
/// E-65: Blob takes tokens since this version.
const BLOB_VERSION: &str = "2017-11-09";

/// Whether a call's headers allow a token. The codes for the version are unconfirmed; that of the intent was seen.
pub fn check_files_call(call: FilesCall<'_>) -> Result<(), AzureError> {
    check_version(call.version, FILES_VERSION)?;
    match call.intent {
        Some(intent) if intent.eq_ignore_ascii_case("backup") => Ok(()),
        Some(_) => {
            let text = "The value for one of the HTTP headers is not in the correct format.";
            Err(AzureError::new("E-65", "InvalidHeaderValue", 400, text))
        }
        None => {
            let text = "An HTTP header that's mandatory for this request is not specified.";
            Err(AzureError::new("E-65", "MissingRequiredHeader", 400, text))
        }
    }
}

/// E-65, for Blob.
pub fn check_blob_version(version: Option<&str>) -> Result<(), AzureError> {
    check_version(version, BLOB_VERSION)
}

/// Versions are dates, so they compare as texts.
fn check_version(version: Option<&str>, least: &str) -> Result<(), AzureError> {
    if version.is_some_and(|version| version >= least) {
        return Ok(());
    }
    let detail = "Authentication scheme Bearer is not supported in this version.";
    Err(AzureError::invalid_authentication("E-65", detail))
}

const FILES: &str = "Microsoft.Storage/storageAccounts/fileServices";

/// Whether a caller may do this to what is in the share, or account, at `scope`.
pub fn authorize_file(
    grants: Grants<'_>,
    caller: &Caller,
    operation: FileOperation,
    scope: &str,
    call: FilesCall<'_>,
) -> Result<(), AzureError> {
    check_files_call(call)?;
    let needed = match operation {
        FileOperation::ListShares | FileOperation::ReadShare => {
            let action = format!("{FILES}/shares/read");
            let held = grants.may(&caller.principal_id, &action, scope);
            return if held { Ok(()) } else { Err(AzureError::permission_mismatch()) };
        }
        FileOperation::Read => ["/fileshares/files/read", "/readFileBackupSemantics/action"],
        FileOperation::Write => ["/fileshares/files/write", "/writeFileBackupSemantics/action"],
        FileOperation::Delete => ["/fileshares/files/delete", "/writeFileBackupSemantics/action"],
    };
    let held = needed.iter().all(|rest| grants.may_on_data(&caller.principal_id, &format!("{FILES}{rest}"), scope));
    if held { Ok(()) } else { Err(AzureError::permission_mismatch()) }
}
