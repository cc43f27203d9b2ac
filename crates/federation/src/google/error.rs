//! Google's errors. STS answers as OAuth does, flat (G-30); every other API in one envelope with a code, a status and a message.

/// An error of the token exchange (G-30).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Error code {error}: {description}")]
pub struct StsError {
    /// `error`.
    pub error: &'static str,
    /// `error_description`, to the letter.
    pub description: String,
    /// The HTTP status: 400, but for quota and Google's own faults.
    pub status: u16,
    /// The rule that it follows.
    pub rule: &'static str,
}

impl StsError {
    /// An error with status 400.
    pub fn new(rule: &'static str, error: &'static str, description: impl Into<String>) -> Self {
        Self { error, description: description.into(), status: 400, rule }
    }

    pub(crate) fn grant(rule: &'static str, description: impl Into<String>) -> Self {
        Self::new(rule, "invalid_grant", description)
    }

    /// G-42.
    pub fn throttled() -> Self {
        let description =
            "The request was throttled due to rate limit: sts.googleapis.com/requests. Please retry after a few seconds.";
        Self { status: 429, ..Self::new("G-42", "quota_exceeded", description) }
    }
}

/// Why, in the words of `google.rpc.ErrorInfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorInfo {
    /// `IAM_PERMISSION_DENIED` and the like.
    pub reason: &'static str,
    /// The service.
    pub domain: &'static str,
    /// What it is about, such as the permission.
    pub metadata: Vec<(&'static str, String)>,
}

/// An error of any other API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {message}")]
pub struct ApiError {
    /// The HTTP status.
    pub code: u16,
    /// The canonical name, such as `PERMISSION_DENIED`.
    pub status: &'static str,
    /// The text, to the letter where it is known.
    pub message: String,
    /// The detail, where Google gives one.
    pub info: Option<Box<ErrorInfo>>,
    /// What a precondition found wrong, in Google's words.
    pub violation: Option<String>,
    /// The rule that it follows.
    pub rule: &'static str,
}

impl ApiError {
    /// An error without a detail.
    pub fn new(rule: &'static str, code: u16, status: &'static str, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into(), info: None, violation: None, rule }
    }

    /// 400.
    pub fn invalid(rule: &'static str, message: impl Into<String>) -> Self {
        Self::new(rule, 400, "INVALID_ARGUMENT", message)
    }

    /// 404.
    pub fn not_found(rule: &'static str, message: impl Into<String>) -> Self {
        Self::new(rule, 404, "NOT_FOUND", message)
    }

    /// 409.
    pub fn already_exists(rule: &'static str, message: impl Into<String>) -> Self {
        Self::new(rule, 409, "ALREADY_EXISTS", message)
    }

    /// G-53: 403, with the permission that is missing; said of what is not there, too.
    pub fn permission_denied(permission: &str) -> Self {
        let message = format!("Permission '{permission}' denied on resource (or it may not exist).");
        let info = ErrorInfo {
            reason: "IAM_PERMISSION_DENIED",
            domain: "iam.googleapis.com",
            metadata: vec![("permission", permission.to_owned())],
        };
        Self { info: Some(Box::new(info)), ..Self::new("G-53", 403, "PERMISSION_DENIED", message) }
    }

    /// G-56: the token is no token, has expired, or belongs to somebody that this API does not know.
    pub fn unauthenticated() -> Self {
        let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid \
                       authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.";
        Self::new("G-56", 401, "UNAUTHENTICATED", message)
    }

    /// G-5: a policy of the organisation forbids the issuer.
    pub fn org_policy_violated(issuer: &str) -> Self {
        let violation = Some(format!("Org Policy violated for value: '{issuer}'."));
        Self { violation, ..Self::new("G-5", 400, "FAILED_PRECONDITION", "Precondition check failed.") }
    }

    /// G-55: the API is not enabled in the project. The wording is that of Google's other APIs, and unconfirmed here.
    pub fn service_disabled(title: &str, service: &str, project: &str) -> Self {
        let message = format!(
            "{title} has not been used in project {project} before or it is disabled. Enable it by visiting \
             https://console.developers.google.com/apis/api/{service}/overview?project={project} then retry. If you enabled this API \
             recently, wait a few minutes for the action to propagate to our systems and retry."
        );
        let metadata = vec![("service", service.to_owned()), ("consumer", format!("projects/{project}"))];
        let info = ErrorInfo { reason: "SERVICE_DISABLED", domain: "googleapis.com", metadata };
        Self { info: Some(Box::new(info)), ..Self::new("G-55", 403, "PERMISSION_DENIED", message) }
    }

    /// The token was not asked for with the scope that this API wants.
    pub fn insufficient_scope() -> Self {
        let info = ErrorInfo { reason: "ACCESS_TOKEN_SCOPE_INSUFFICIENT", domain: "googleapis.com", metadata: Vec::new() };
        let message = "Request had insufficient authentication scopes.";
        Self { info: Some(Box::new(info)), ..Self::new("G-27", 403, "PERMISSION_DENIED", message) }
    }
}
