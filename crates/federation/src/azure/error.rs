//! Errors of Azure Resource Manager and of storage: code, status, text. How they look on the wire is the simulator's business.

/// An error as Azure words it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AzureError {
    /// The code, such as `AuthorizationPermissionMismatch`.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The text.
    pub message: String,
    /// The rule that it follows.
    pub rule: &'static str,
    /// Storage's `AuthenticationErrorDetail`, where it gives one.
    pub detail: Option<&'static str>,
}

impl AzureError {
    /// An error with this code, status and text.
    pub fn new(rule: &'static str, code: &'static str, status: u16, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into(), rule, detail: None }
    }

    /// What Resource Manager says of a body that it does not take (E-9). The code is unconfirmed; the texts are documented.
    pub(crate) fn bad_request(rule: &'static str, message: impl Into<String>) -> Self {
        Self::new(rule, "BadRequest", 400, message)
    }

    /// What storage says of a caller that it knows and does not let (E-66).
    pub fn permission_mismatch() -> Self {
        let text = "This request is not authorized to perform this operation using this permission.";
        Self::new("E-66", "AuthorizationPermissionMismatch", 403, text)
    }

    /// What storage says of a caller that comes from a network that it does not take (D-73).
    pub fn network_refused() -> Self {
        Self::new("D-73", "AuthorizationFailure", 403, "This request is not authorized to perform this operation.")
    }

    /// What storage says of a bearer token that it does not take; `detail` is its own word on why.
    pub fn invalid_authentication(rule: &'static str, detail: &'static str) -> Self {
        let text = "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.";
        Self { detail: Some(detail), ..Self::new(rule, "InvalidAuthenticationInfo", 401, text) }
    }
}
