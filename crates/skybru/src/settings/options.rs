//! The settings file's shape. The comments are the documentation.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `skybru.toml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Options {
    /// Who we are at an issuer, by a name of our own.
    pub(crate) clients: BTreeMap<String, ClientOptions>,
    /// What we want to reach, by a name of our own.
    pub(crate) targets: BTreeMap<String, TargetOptions>,
    /// Where `skybru registry` works.
    pub(crate) registry: Option<RegistryOptions>,
}

/// A registered client.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ClientOptions {
    /// The issuer's URL, to the letter: Maskinporten's ends in a slash, Skyporten's does not.
    pub(crate) issuer: String,
    /// The client's id.
    pub(crate) client_id: String,
    /// Its private key.
    pub(crate) key: KeyOptions,
    /// A PEM file with certificates to trust beside the machine's own.
    pub(crate) ca_file: Option<String>,
    /// An HTTP proxy for everything that this client calls.
    pub(crate) web_proxy: Option<String>,
}

/// Where a private key is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct KeyOptions {
    /// A file: JWK, or PEM (PKCS#8 or PKCS#1). Relative to the settings file.
    pub(crate) file: Option<String>,
    /// An environment variable that holds the same.
    pub(crate) env: Option<String>,
    /// The key id, when the file does not say it or says it wrongly.
    pub(crate) key_id: Option<String>,
}

/// Something to reach.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TargetOptions {
    /// One of `clients`.
    pub(crate) client: String,
    /// The scope to ask for.
    pub(crate) scope: String,
    /// The audience: what the provider registered at the cloud.
    pub(crate) resource: Option<String>,
    /// AWS.
    pub(crate) aws: Option<AwsOptions>,
}

/// A target in AWS.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct AwsOptions {
    /// The role to assume.
    pub(crate) role_arn: String,
    /// Its region.
    pub(crate) region: String,
    /// The bucket that `TARGET:path` means.
    pub(crate) bucket: Option<String>,
    /// Another address for STS and S3: a lab's.
    pub(crate) endpoint: Option<String>,
    /// The session's name; made from the organisation number when absent.
    pub(crate) session_name: Option<String>,
    /// Seconds that credentials live: 900 to 43200.
    pub(crate) duration_seconds: Option<u32>,
}

/// Where `skybru registry` works.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RegistryOptions {
    /// The self-service API, up to and with `/api/v1`.
    pub(crate) api: String,
    /// One of `clients`, with administrative scopes.
    pub(crate) client: String,
}
