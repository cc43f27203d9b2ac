//! Where a server keeps its registry, its audit log and its used assertions, and what its keys are sealed with.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[server.store]`: registry and audit log.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct StoreOptions {
    /// `sqlite` (one node, a file in `server.data`) or `postgres` (several nodes).
    pub(crate) kind: StoreKind,
    /// `postgresql://user@host:port/database`, without a password. For `postgres`.
    pub(crate) url: Option<String>,
    /// The password of the database.
    pub(crate) password: Option<SecretOptions>,
    /// A PEM file with certificates to trust; with it the connection is encrypted.
    pub(crate) ca_file: Option<String>,
    /// The most connections in the pool.
    pub(crate) connections: Option<usize>,
}

/// A database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreKind {
    /// A file.
    #[default]
    Sqlite,
    /// A server.
    Postgres,
}

/// `[server.replay]`: used assertions, when they lie elsewhere than the registry.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ReplayOptions {
    /// `sqlite` or `postgres`: the same database as `server.store`; or `valkey`, which Redis is, too.
    pub(crate) kind: ReplayKind,
    /// `redis://host:port/0`, or `rediss://` when encrypted; without a password. For `valkey`.
    pub(crate) url: Option<String>,
    /// The user, if not the default one.
    pub(crate) user: Option<String>,
    /// The password.
    pub(crate) password: Option<SecretOptions>,
    /// A PEM file with certificates to trust instead of the machine's own.
    pub(crate) ca_file: Option<String>,
    /// So many replicas must have a used assertion before its token is signed.
    #[serde(default)]
    pub(crate) replicas: u32,
}

/// What keeps used assertions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReplayKind {
    /// The file of the registry.
    Sqlite,
    /// The database of the registry.
    Postgres,
    /// Valkey or Redis.
    Valkey,
}

/// Where a secret is: never in the settings themselves.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct SecretOptions {
    /// A file that holds it. Relative to the settings file.
    pub(crate) file: Option<String>,
    /// An environment variable that holds it.
    pub(crate) env: Option<String>,
}

/// What private keys are sealed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum SealOptions {
    /// A file that holds a passphrase.
    PassphraseFile(PathBuf),
    /// An environment variable that holds a passphrase.
    PassphraseEnv(String),
    /// A key file as `age-keygen` makes it.
    KeyFile(PathBuf),
}
