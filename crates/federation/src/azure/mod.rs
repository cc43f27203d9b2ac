//! Azure behind Entra: roles on scopes, access control lists of Data Lake, and what storage makes of a bearer token.

mod access_token;
pub mod acl;
mod error;
mod rbac;
pub mod roles;
mod storage;

pub use access_token::{Caller, Expected, TokenFault, verify};
pub use error::AzureError;
pub use rbac::{Grants, RoleAssignment, contains};
pub use storage::{
    BlobOperation, FileOperation, FilesCall, PathAcls, authorize_blob, authorize_file, check_blob_version, check_files_call,
};
