//! Storage: listing and transfer of objects in S3, Google Cloud Storage, Azure Blob Storage and Azure Files, with credentials that
//! renew themselves.
//!
//! The protocols are `object_store`'s, except Azure Files'; what is added here is what a person at a terminal needs: addresses as they type them, files that
//! appear whole or not at all, the storage's own words when it refuses, and a hint. Requests to S3 are signed with the machine's clock, not
//! with [`Ctx`](skybru_core::Ctx)'s: that is the library's doing.
//!
//! Limits that are the library's too: keys with empty parts (`a//b`) or the parts `.` and `..` cannot be named (they are told of and
//! passed over), and an object whose key ends in `/` (some consoles make such for "folders") is listed without that slash.
//!
//! Not here: versions; access tiers; append and page blobs.

mod azure_blob;
mod azure_files;
mod azure_files_resume;
mod bucket;
mod checksum;
mod cloud;
mod download;
mod error;
mod filter;
mod google;
mod identities;
mod listing;
mod local;
mod location;
mod rest;
mod s3;
mod service;
mod store;
mod sync;
mod tree;
mod upload;
mod variables;
mod xml_parts;

use jiff::Timestamp;

pub use bucket::{AzurePlace, Bucket, Depth};
pub use cloud::Cloud;
pub use download::ObjectStream;
pub use error::{Operation, Refused, StorageError};
pub use filter::Filter;
pub use location::{Location, LocationError};
pub use service::{BearerSource, CredentialError};
pub use sync::{Deletion, Mode, Step, Synced, TreeOptions, copy_tree, remove_tree};
pub use tree::{Item, Skipped, Tree};
pub use upload::MULTIPART_FROM;
pub use variables::{VariablesError, with_variables};

/// What stands in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An object.
    Object(ObjectInfo),
    /// What several keys have in common up to a slash, that slash included.
    Folder(String),
    /// A key, or what several have in common, that cannot be named here: with empty parts, the parts `.` and `..`, or control characters.
    Unusable(String),
}

/// What is known of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The whole key.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// When it was last written.
    pub last_modified: Timestamp,
    /// Changes with the content.
    pub e_tag: Option<String>,
}

/// What a transfer came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Transferred {
    /// Objects or files.
    pub files: u64,
    /// Bytes, without those that a resumed download found already here.
    pub bytes: u64,
}

/// Is told how far a transfer has come. All methods do nothing by default; `()` is a progress that nobody looks at.
pub trait Progress: Send + Sync {
    /// One more object begins. `total` is its size in bytes, where known.
    fn started(&self, total: Option<u64>) {
        let _ = total;
    }
    /// So many more bytes have passed.
    fn advanced(&self, bytes: u64) {
        let _ = bytes;
    }
    /// One object is done.
    fn finished(&self) {}
}

impl Progress for () {}

/// How many objects a recursive copy transfers at once: of small ones each costs a round trip and little else.
const OBJECTS_AT_ONCE: usize = 32;
