//! AWS's errors: code, status, text. How they look on the wire is the simulator's business.

/// Whose fault AWS says it is (`Type` in the answer).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The caller's.
    Sender,
    /// AWS's own.
    Receiver,
}

/// An error as AWS words it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    /// The code, without `Exception` where AWS drops it.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The text, to the letter.
    pub message: String,
    /// The rule that it follows.
    pub rule: &'static str,
}

impl AwsError {
    /// An error with this code, status and text.
    pub fn new(rule: &'static str, code: &'static str, status: u16, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into(), rule }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        if self.status >= 500 { Fault::Receiver } else { Fault::Sender }
    }

    /// `InvalidIdentityToken`, 400.
    pub(crate) fn identity(rule: &'static str, message: impl Into<String>) -> Self {
        Self::new(rule, "InvalidIdentityToken", 400, message)
    }

    /// `ValidationError`, 400.
    pub(crate) fn validation(rule: &'static str, message: impl Into<String>) -> Self {
        Self::new(rule, "ValidationError", 400, message)
    }

    /// A parameter breaks its model. `constraint` is AWS's wording of what it should be.
    pub(crate) fn constraint(name: &str, value: Option<&str>, constraint: &str) -> Self {
        let value = value.map_or_else(String::new, |value| format!(" '{value}'"));
        let message = format!(
            "1 validation error detected: Value{value} at '{name}' failed to satisfy constraint: Member must {constraint}"
        );
        Self::validation("A-60", message)
    }

    /// What AWS says whenever it will not say why.
    pub fn not_authorized() -> Self {
        Self::new("A-62", "AccessDenied", 403, "Not authorized to perform sts:AssumeRoleWithWebIdentity")
    }

    /// A policy document that is none.
    pub fn malformed_policy(message: impl Into<String>) -> Self {
        Self::new("A-63", "MalformedPolicyDocument", 400, message)
    }

    /// Something of this name is not there.
    pub fn no_such_entity(rule: &'static str, message: impl Into<String>) -> Self {
        Self::new(rule, "NoSuchEntity", 404, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    ///
    #[test]
    fn constraints_read_as_aws_writes_them() {
        assert_eq!(
            AwsError::constraint("roleArn", None, "not be null").message,
            "1 validation error detected: Value at 'roleArn' failed to satisfy constraint: Member must not be null"
        );
    }
}
