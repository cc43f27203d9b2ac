//! Errors of requests as such, before any rule of federation is asked: AWS's codes and texts.

use skybru_federation::aws::AwsError;

/// A parameter is absent. AWS writes its name with a small first letter.
pub(crate) fn must_not_be_null(parameter: &str) -> AwsError {
    let mut letters = parameter.chars();
    let name: String = letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect();
    let text = format!("1 validation error detected: Value at '{name}' failed to satisfy constraint: Member must not be null");
    AwsError::new("A-60", "ValidationError", 400, text)
}

/// A parameter that should be a number is not.
pub(crate) fn malformed_input() -> AwsError {
    AwsError::new("A-60", "MalformedInput", 400, "Could not deserialize input")
}

/// AWS's own fault; here, the simulator's.
pub(crate) fn internal_failure() -> AwsError {
    AwsError::new(
        "A-27",
        "InternalFailure",
        500,
        "The request processing has failed because of an unknown error, exception or failure.",
    )
}

///
pub(crate) fn invalid_action(action: &str, version: &str) -> AwsError {
    AwsError::new("A-65", "InvalidAction", 400, format!("Could not find operation {action} for version {version}"))
}

/// a call that must be signed is not.
pub(crate) fn missing_authentication_token() -> AwsError {
    AwsError::new("A-65", "MissingAuthenticationToken", 403, "Request is missing Authentication Token")
}

/// the access key is unknown, or its session token is absent or another's.
pub(crate) fn invalid_client_token_id() -> AwsError {
    AwsError::new("A-65", "InvalidClientTokenId", 403, "The security token included in the request is invalid.")
}

/// Temporary credentials past their time.
pub(crate) fn expired_token() -> AwsError {
    AwsError::new("A-65", "ExpiredToken", 403, "The security token included in the request is expired")
}

/// A signature that cannot be read.
pub(crate) fn incomplete_signature(message: &str) -> AwsError {
    AwsError::new("A-65", "IncompleteSignature", 400, message)
}

/// A signature that is not the right one, with the reason where AWS gives one.
pub(crate) fn signature_does_not_match(message: String) -> AwsError {
    AwsError::new("A-65", "SignatureDoesNotMatch", 403, message)
}

/// A signature that another secret made, or over another request.
pub(crate) fn wrong_signature() -> AwsError {
    let text = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
                and signing method. Consult the service documentation for details.";
    signature_does_not_match(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    ///
    #[test]
    fn an_absent_parameter_is_named_as_aws_names_it() {
        assert_eq!(
            must_not_be_null("RoleArn").message,
            "1 validation error detected: Value at 'roleArn' failed to satisfy constraint: Member must not be null"
        );
    }
}
