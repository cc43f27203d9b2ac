//! The token request: its parameters, and what may be asked for (E-10, E-13, E-49, E-52).

use super::error::EntraError;

/// RFC 7523's way to be a client.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A request whose parameters are complete.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The first part of the path: an id or a domain.
    pub tenant: String,
    /// `client_id`.
    pub client_id: String,
    /// What is asked for: the scope without `/.default`.
    pub resource: String,
    /// `client_assertion`, as it came.
    pub assertion: String,
}

impl std::fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenRequest")
            .field("tenant", &self.tenant)
            .field("client_id", &self.client_id)
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}

impl TokenRequest {
    /// Checks the form; `get` gives each parameter by its name.
    ///
    /// That parameters come before everything else is an inference (E-28), and so is their order among themselves.
    pub fn read(tenant: &str, get: impl Fn(&str) -> Option<String>) -> Result<Self, EntraError> {
        let given = |name: &str| get(name).filter(|value| !value.is_empty());
        let must_contain = |name: &str| {
            let text = format!("The request body must contain the following parameter: '{name}'.");
            EntraError::invalid_request("E-10", 900_144, text)
        };
        let grant_type = given("grant_type").ok_or_else(|| must_contain("grant_type"))?;
        if grant_type != "client_credentials" {
            let text = format!("The app requested an unsupported grant type '{grant_type}'.");
            return Err(EntraError::of("E-10", 70003, "unsupported_grant_type", text));
        }
        let client_id = given("client_id").ok_or_else(|| must_contain("client_id"))?;
        let scope = given("scope").ok_or_else(|| missing_field("scope"))?;
        let resource = resource_of(&scope)?;
        let is_jwt = given("client_assertion_type").is_some_and(|kind| kind == ASSERTION_TYPE);
        let assertion = given("client_assertion").filter(|_| is_jwt).ok_or_else(|| {
            let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
            EntraError::invalid_client("E-49", 7_000_218, text)
        })?;
        Ok(Self { tenant: tenant.to_owned(), client_id, resource, assertion })
    }
}

/// E-44.
pub(super) fn missing_field(name: &str) -> EntraError {
    let text = format!(
        "The required field '{name}' is missing from the credential. Ensure that you have all the necessary parameters for the \
         login request."
    );
    EntraError::invalid_request("E-44", 90014, text)
}

/// What MSAL for Go sends beside the resource, and Entra passes over where no person is.
const OF_PERSONS: [&str; 4] = ["openid", "profile", "offline_access", "email"];

/// The resource of a scope (E-13, E-52): one, with `/.default` behind. The texts are unconfirmed.
pub fn resource_of(scope: &str) -> Result<String, EntraError> {
    let mut parts = scope.split_whitespace().filter(|part| !OF_PERSONS.contains(part));
    let (Some(one), None) = (parts.next(), parts.next()) else {
        let text = format!(
            "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is \
             not valid. The scope {scope} is not valid."
        );
        return Err(EntraError::of("E-52", 70011, "invalid_scope", text));
    };
    let resource = one.strip_suffix("/.default").filter(|resource| !resource.is_empty());
    resource.map(str::to_owned).ok_or_else(|| {
        let text = format!(
            "The provided value for scope {one} is not valid. Client credential flows must have a scope value with /.default \
             suffixed to the resource identifier (application ID URI)."
        );
        EntraError::of("E-52", 1_002_012, "invalid_scope", text)
    })
}

/// A service that tokens are for (E-13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Blob, Data Lake and Files.
    Storage,
    /// Azure Resource Manager.
    Management,
    /// Microsoft Graph.
    Graph,
}

impl Resource {
    /// The service that this audience belongs to, with or without a slash at its end.
    pub fn of_audience(audience: &str) -> Option<Self> {
        let bare = audience.strip_suffix('/').unwrap_or(audience);
        let is_account = || {
            let host = bare.strip_prefix("https://")?;
            let (account, rest) = host.split_once('.')?;
            let known = ["blob.core.windows.net", "dfs.core.windows.net", "file.core.windows.net"].contains(&rest);
            (known && !account.is_empty()).then_some(())
        };
        match bare {
            "https://storage.azure.com" | "e406a681-f3d4-42a8-90b6-c2b029497af1" => Some(Self::Storage),
            "https://management.azure.com" | "https://management.core.windows.net" => Some(Self::Management),
            "https://graph.microsoft.com" => Some(Self::Graph),
            _ => is_account().map(|()| Self::Storage),
        }
    }
}
