//! Azure: a token proves to Microsoft Entra that one is an application or a managed identity, and becomes access tokens of it, one for
//! each resource.

mod credentials;
mod error;
mod exchange;
mod names;

use jiff::Timestamp;
use skybru_core::Secret;

pub use credentials::{AzureCredentialError, AzureCredentialSource};
pub use error::AzureExchangeError;
pub use exchange::AzureExchange;
pub use names::{AzureNameError, EntraId, Resource, StorageAccount};

/// Microsoft's own authority, unless a setting names another.
pub const PUBLIC_AUTHORITY: &str = "https://login.microsoftonline.com/";

/// As whom, and to reach what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureTarget {
    /// The directory.
    pub tenant_id: EntraId,
    /// The application's or managed identity's client id; not its object id, nor its principal id (D-63).
    pub client_id: EntraId,
    /// The storage account.
    pub account: StorageAccount,
    /// Another authority than Microsoft's public one: a sovereign cloud's, or the lab's.
    pub authority: Option<String>,
    /// Another base URL of the blob service than the account's own, with the account as the path's first segment: the lab's.
    pub endpoint: Option<String>,
}

impl AzureTarget {
    /// This identity and account, everything else by default.
    pub fn new(tenant_id: EntraId, client_id: EntraId, account: StorageAccount) -> Self {
        Self { tenant_id, client_id, account, authority: None, endpoint: None }
    }

    /// The authority, ending in a slash, as `AZURE_AUTHORITY_HOST` has it.
    pub fn authority(&self) -> String {
        format!("{}/", self.authority.as_deref().unwrap_or(PUBLIC_AUTHORITY).trim_end_matches('/'))
    }

    /// Where tokens are asked for (E-10).
    pub fn token_url(&self) -> String {
        format!("{}{}/oauth2/v2.0/token", self.authority(), self.tenant_id)
    }

    /// The base URL of the account's blobs.
    pub fn blob_url(&self) -> String {
        match &self.endpoint {
            Some(endpoint) => format!("{}/{}", endpoint.trim_end_matches('/'), self.account),
            None => format!("https://{}.blob.core.windows.net", self.account),
        }
    }
}

/// An access token for one resource, and whose it is.
#[derive(Debug, Clone)]
pub struct AzureToken {
    /// The bearer token.
    pub access_token: Secret,
    /// When it ends.
    pub expires_at: Timestamp,
    /// What it opens.
    pub resource: Resource,
    /// The identity's object id in the directory, which role assignments name.
    pub principal_id: String,
}
