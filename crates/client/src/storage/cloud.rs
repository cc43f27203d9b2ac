//! The kinds of storage: how each is called, addressed, and what opens it.

use std::fmt;

use super::error::Operation;

/// A kind of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon S3, or what speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage and Data Lake Storage.
    AzureBlob,
    /// Azure Files.
    AzureFiles,
}

impl Cloud {
    /// What an address begins with.
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Google => "gs",
            Self::AzureBlob => "az",
            Self::AzureFiles => "azfiles",
        }
    }

    /// What allows the operation, as the provider would look for it.
    pub fn permission(self, operation: Operation) -> &'static str {
        match (self, operation) {
            (Self::S3, Operation::List) => "s3:ListBucket",
            (Self::S3, Operation::Read) => "s3:GetObject",
            (Self::S3, Operation::Write) => "s3:PutObject",
            (Self::S3, Operation::Delete) => "s3:DeleteObject",
            (Self::Google, Operation::List) => "storage.objects.list",
            (Self::Google, Operation::Read) => "storage.objects.get",
            (Self::Google, Operation::Write) => "storage.objects.create (and storage.objects.delete, to replace one)",
            (Self::Google, Operation::Delete) => "storage.objects.delete",
            (Self::AzureBlob, Operation::List | Operation::Read) => "the role Storage Blob Data Reader",
            (Self::AzureBlob, Operation::Write | Operation::Delete) => "the role Storage Blob Data Contributor",
            (Self::AzureFiles, Operation::List | Operation::Read) => "the role Storage File Data Privileged Reader",
            (Self::AzureFiles, Operation::Write | Operation::Delete) => "the role Storage File Data Privileged Contributor",
        }
    }

    /// What to do about a refusal for want of permission.
    pub(super) fn not_allowed(self, operation: Operation, what: &str) -> String {
        let permission = self.permission(operation);
        match self {
            Self::S3 if operation == Operation::List => format!(
                "the role works, but its policy does not allow {permission} on {what}: list the folder that was shared, with the slash \
                 at its end, or let the provider add it to the role's policy or the bucket's (D-32)"
            ),
            Self::S3 => format!(
                "the role works, but its policy does not allow {permission} on {what}: the provider must add it to the role's \
                 policy, the bucket's policy or the KMS key (D-32)"
            ),
            Self::Google => format!(
                "the identity works, but has no {permission} on {what}: the provider must bind it (or the service account) to a \
                 role that has it, such as roles/storage.objectViewer or roles/storage.objectAdmin"
            ),
            Self::AzureBlob | Self::AzureFiles => format!(
                "the identity works, but has not {permission} on {what}: the provider must assign it (Contributor or Reader on \
                 the account give no access to data, E-64); a fresh assignment takes minutes (E-66)"
            ),
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S3 => "S3",
            Self::Google => "Google Cloud Storage",
            Self::AzureBlob => "Azure Blob Storage",
            Self::AzureFiles => "Azure Files",
        })
    }
}
