//! The settings file's shape. The comments are the documentation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skybru_issuer::keys::KeySetProfile;

use super::lifetimes::{LifetimeOptions, ListenerOptions};
use super::store::{ReplayOptions, SealOptions, StoreOptions};
use super::telemetry::TelemetryOptions;
use super::trust::{ApiCompatOptions, CertificatesOptions, CompatOptions, DelegationSourceOptions};

/// `skybru.toml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Options {
    /// Who we are at an issuer, by a name of our own.
    pub(crate) clients: BTreeMap<String, ClientOptions>,
    /// What we want to reach, by a name of our own.
    pub(crate) targets: BTreeMap<String, TargetOptions>,
    /// Programs that only know client credentials, by the client id that they present to the agent.
    pub(crate) local_clients: BTreeMap<String, LocalClientOptions>,
    /// Where `skybru registry` works.
    pub(crate) registry: Option<RegistryOptions>,
    /// What `skybru issuer serve` needs beside its issuers.
    pub(crate) server: Option<ServerOptions>,
    /// Where traces go.
    pub(crate) telemetry: Option<TelemetryOptions>,
    /// The issuers of `skybru issuer serve`, by a name of our own.
    pub(crate) issuers: BTreeMap<String, IssuerOptions>,
}

/// What `skybru issuer serve` runs with.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ServerOptions {
    /// The folder for database and signing keys. Relative to the settings file.
    pub(crate) data: String,
    /// The organisation that runs the issuers.
    pub(crate) operator: String,
    /// Its name.
    #[serde(default = "operator_name")]
    pub(crate) operator_name: String,
    /// The address on which the self-service API listens.
    pub(crate) api_listen: String,
    /// How others reach the self-service API, when it is not this machine.
    pub(crate) api_url: Option<String>,
    /// The server's certificate chain, PEM. Without it everything listens on this machine only.
    pub(crate) tls_cert: Option<String>,
    /// Its private key, PEM.
    pub(crate) tls_key: Option<String>,
    /// A PEM file with the authority behind the certificate, when it is a private one: for the operator's own client.
    pub(crate) ca_file: Option<String>,
    /// Size of new signing keys, in bits: 2048, 3072 or 4096.
    #[serde(default = "key_bits")]
    pub(crate) key_bits: u32,
    /// How long verifiers may keep the key set.
    #[serde(default = "cache_hours")]
    pub(crate) key_set_cache_hours: u32,
    /// Days after which another key signs; never by itself when absent.
    pub(crate) rotate_days: Option<u32>,
    /// How many hours beyond the cache time a switch waits for verifiers that are known, but have not fetched the new key. As long as the
    /// cache time when absent.
    pub(crate) rotate_wait_hours: Option<u32>,
    /// Other lives than a day's: for labs and tests.
    #[serde(default)]
    pub(crate) lifetimes: LifetimeOptions,
    /// The address on which metrics are served, such as `127.0.0.1:9464`; nowhere when absent.
    pub(crate) metrics_listen: Option<String>,
    /// Token requests a second that each client may make, with a burst of twice as many; 0 means without limit.
    #[serde(default = "client_rate")]
    pub(crate) client_requests_per_second: u32,
    /// The same for all clients of one organisation together.
    #[serde(default = "organisation_rate")]
    pub(crate) organisation_requests_per_second: u32,
    /// Requests a second that one organisation may make to the self-service API, with a burst of twice as many; 0 means without limit.
    #[serde(default = "api_rate")]
    pub(crate) api_requests_per_second: u32,
    /// What private keys are sealed with: `{ passphrase-file = "…" }`, `{ passphrase-env = "NAME" }` or `{ key-file = "…" }`. When
    /// absent, a key file beside the database.
    pub(crate) seal: Option<SealOptions>,
    /// Switches of the self-service API.
    #[serde(default)]
    pub(crate) api_compat: ApiCompatOptions,
    /// How much each listener puts up with.
    #[serde(default)]
    pub(crate) limits: ListenerOptions,
    /// What this node is called in the audit log; the variable `HOSTNAME` when absent.
    pub(crate) node: Option<String>,
    /// Where registry and audit log are; a file in `data` when absent.
    pub(crate) store: Option<StoreOptions>,
    /// Where used assertions are, when not with the registry.
    pub(crate) replay: Option<ReplayOptions>,
}

/// An issuer of `skybru issuer serve`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct IssuerOptions {
    /// The `iss` of every token, to the letter.
    pub(crate) url: String,
    /// `maskinporten` or `skyporten`.
    pub(crate) profile: String,
    /// The address on which it listens.
    pub(crate) listen: String,
    /// What verifiers can read: `cloud`, `certificates` or `ceph`; the profile decides when absent.
    pub(crate) key_set: Option<KeySetProfile>,
    /// Life of a token when neither client nor scope says otherwise.
    #[serde(default = "token_lifetime")]
    pub(crate) token_lifetime_seconds: u32,
    /// Switches where the contract is silent.
    #[serde(default)]
    pub(crate) compat: CompatOptions,
    /// Business certificates that clients may prove themselves with.
    pub(crate) certificates: Option<CertificatesOptions>,
    /// Who is asked about delegations of scopes that name this source: an issuer such as `https://www.altinn.no/`, and the address of its
    /// API; `{ url = "…", token = { file = "…" } }` when it wants a bearer token. Other sources are kept in the registry.
    #[serde(default)]
    pub(crate) delegation_sources: BTreeMap<String, DelegationSourceOptions>,
}

fn operator_name() -> String {
    "Operator".to_owned()
}

const fn key_bits() -> u32 {
    2048
}

const fn cache_hours() -> u32 {
    24
}

const fn client_rate() -> u32 {
    50
}

const fn organisation_rate() -> u32 {
    200
}

const fn api_rate() -> u32 {
    100
}

const fn token_lifetime() -> u32 {
    120
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
    /// Where to ask for tokens, when not where the issuer's metadata says; it must lie below the issuer.
    pub(crate) token_endpoint: Option<String>,
}

/// Where a private key is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct KeyOptions {
    /// A file: JWK, or PEM (PKCS#8, PKCS#1 or SEC1), perhaps with certificates. Relative to the settings file.
    pub(crate) file: Option<String>,
    /// An environment variable that holds the same.
    pub(crate) env: Option<String>,
    /// A PKCS#12 file, as certificate authorities hand business certificates out. Relative to the settings file.
    pub(crate) pkcs12: Option<String>,
    /// The file with the PKCS#12 file's passphrase.
    pub(crate) password_file: Option<String>,
    /// Which key of a PKCS#12 file, when it holds several.
    pub(crate) alias: Option<String>,
    /// A key in hardware: an RFC 7512 URI. `pin-source` in it names the file with the PIN.
    pub(crate) pkcs11: Option<String>,
    /// A key in a cloud's key service: `arn:aws:kms:…`, `projects/…/cryptoKeyVersions/N`, or `https://VAULT.vault.azure.net/keys/NAME`.
    pub(crate) kms: Option<String>,
    /// The agent gives the client a new key after so many days; never by itself when absent. The key must be a file.
    pub(crate) rotate_days: Option<u32>,
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
    /// The part of bucket or container that is shared, such as `timetables/`: what the doctor lists, where nothing else may be.
    pub(crate) prefix: Option<String>,
    /// AWS.
    pub(crate) aws: Option<AwsOptions>,
    /// Google Cloud.
    pub(crate) google: Option<GoogleOptions>,
    /// Azure.
    pub(crate) azure: Option<AzureOptions>,
}

/// A target in AWS.
#[derive(Debug, Clone, Deserialize, Serialize)]
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

/// A target in Google Cloud.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct GoogleOptions {
    /// The provider that takes the issuer's tokens: `projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`.
    pub(crate) provider: String,
    /// The service account to act as; without it the federated identity reaches the resource itself.
    pub(crate) service_account: Option<String>,
    /// The bucket that `TARGET:path` means.
    pub(crate) bucket: Option<String>,
    /// Another base URL for STS, IAM Credentials, Storage and the rest: a lab's.
    pub(crate) endpoint: Option<String>,
    /// The project that is charged for what a workforce identity does.
    pub(crate) user_project: Option<String>,
}

/// A target in Azure.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct AzureOptions {
    /// The directory of the data's owner.
    pub(crate) tenant_id: String,
    /// The client id of the application or managed identity.
    pub(crate) client_id: String,
    /// The storage account.
    pub(crate) account: String,
    /// The container that `TARGET:path` means.
    pub(crate) container: Option<String>,
    /// The file share, when the data is in one.
    pub(crate) file_share: Option<String>,
    /// Another authority than Microsoft's public one: a sovereign cloud's, or a lab's.
    pub(crate) authority: Option<String>,
    /// Another base URL for blobs, with the account as the path's first segment: a lab's.
    pub(crate) endpoint: Option<String>,
    /// The same for file shares.
    pub(crate) file_endpoint: Option<String>,
    /// Another Resource Manager than Azure's public one, which only the doctor asks: a sovereign cloud's, or a lab's.
    pub(crate) arm: Option<String>,
    /// A PEM file with certificates to trust at these addresses, beside the machine's own and the client's.
    pub(crate) ca_file: Option<String>,
}

/// A program that only knows client credentials: what it gets from the agent's `/oauth/token`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct LocalClientOptions {
    /// One of `targets`, whose tokens it gets.
    pub(crate) target: String,
    /// The secret that it presents.
    pub(crate) secret: SecretOptions,
}

/// Where a secret is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct SecretOptions {
    /// A file that holds it, alone. Relative to the settings file.
    pub(crate) file: Option<String>,
    /// An environment variable that holds it.
    pub(crate) env: Option<String>,
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
