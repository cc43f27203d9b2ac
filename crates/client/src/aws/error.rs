//! Why AWS gives no credentials, in its own words.

use std::sync::Arc;

use crate::http::HttpError;

/// Why AWS gives no credentials. Cheap to clone.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ExchangeError {
    /// AWS said no. The text is AWS's, unchanged.
    #[error("AWS refused the token: {code}: {message} (status {status}, request id {request_id})")]
    Refused {
        /// The wire code, such as `InvalidIdentityToken`.
        code: String,
        /// The text, unchanged.
        message: String,
        /// The HTTP status.
        status: u16,
        /// For AWS's support.
        request_id: String,
    },
    /// AWS did not answer.
    #[error("could not get an answer from {endpoint}")]
    Unreachable {
        /// Which endpoint.
        endpoint: String,
        /// Why not.
        #[source]
        source: Arc<HttpError>,
    },
    /// The answer is neither credentials nor a refusal.
    #[error("the answer of {endpoint} is not usable: {reason}")]
    Answer {
        /// Which endpoint.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The credentials are those of somebody else. They were thrown away.
    #[error("asked for {wanted}, but the credentials are those of {got}: not used")]
    OtherRole {
        /// The role.
        wanted: String,
        /// What the answer says.
        got: String,
    },
    /// AWS read another subject than the token has. The credentials were thrown away.
    #[error("the token's subject is {wanted:?}, but AWS read {got:?}: not used")]
    OtherSubject {
        /// The token's own `sub`.
        wanted: String,
        /// What the answer says.
        got: String,
    },
    /// The token cannot be sent at all.
    #[error("the token cannot be exchanged: {0}")]
    Token(String),
    /// Outside AWS's limits.
    #[error("credentials can live 900 to 43200 seconds, not {0}")]
    Duration(u32),
}

impl ExchangeError {
    /// Whether the same request may well succeed a little later. `InvalidIdentityToken` is not among them: it is a verdict about the
    /// token, though some SDKs repeat it. `AccessDenied` is not either: AWS never says which of four causes it has.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Refused { code, status, .. } => {
                *status >= 500 || *status == 429 || code == "IDPCommunicationError" || code.starts_with("Throttl")
            }
            Self::Unreachable { source, .. } => source.may_pass(),
            Self::Answer { .. } | Self::OtherRole { .. } | Self::OtherSubject { .. } | Self::Token(_) | Self::Duration(_) => {
                false
            }
        }
    }

    /// Whether a newer token may help.
    pub(super) fn wants_newer_token(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code.starts_with("ExpiredToken"))
    }

    /// What to do about it, in a sentence. The doctor knows more.
    pub fn hint(&self) -> Option<String> {
        let (code, message) = match self {
            Self::Refused { code, message, .. } => (code.as_str(), message.as_str()),
            Self::Unreachable { source, .. } => return source.hint(),
            Self::OtherRole { .. } | Self::OtherSubject { .. } => {
                return Some("something between here and AWS answers in its place: check the endpoint".to_owned());
            }
            Self::Answer { .. } | Self::Token(_) | Self::Duration(_) => return None,
        };
        let has = |fragment| message.contains(fragment);
        // Codes first, then a stable fragment, never the whole sentence (D-99).
        let hint = match code {
            "AccessDenied" => {
                "the role does not exist, or its trust policy does not let this token in: it must name the exact sub of the token \
                 (0192:ORGNO;SCOPE). A role made seconds ago may need a little longer (A-62, D-25, D-33)"
            }
            "ExpiredTokenException" => {
                "the token had expired when AWS saw it: fetch a new one, and check this machine's clock (A-42, D-13)"
            }
            "RegionDisabledException" => {
                "STS is switched off in this region of the provider's account: use another region (D-34)"
            }
            "IDPCommunicationError" => "AWS could not reach the issuer; this often passes (A-52, D-03)",
            "ValidationError" if has("DurationSeconds") || has("durationSeconds") => {
                "ask for a shorter duration: the provider's role allows less (A-61, D-29)"
            }
            "InvalidIdentityToken" if has("No OpenIDConnect provider found") => {
                "the provider's account has no identity provider for this issuer, byte for byte: compare slash and environment (A-48, D-20, D-16)"
            }
            "InvalidIdentityToken" if has("verification key") => {
                "AWS could not get the issuer's keys: metadata, keys and certificate must be public and answer within 5 s (A-32, D-03)"
            }
            "InvalidIdentityToken" if has("audience") || has("could not be validated") => {
                "most likely the token's audience is not among the identity provider's: set resource to what the provider registered \
                 (A-41, D-22), or the signature is wrong (A-36)"
            }
            "InvalidIdentityToken" if has("Missing a required claim: aud") => {
                "the token has no audience: set resource to what the provider registered (D-18)"
            }
            "InvalidIdentityToken" if has("Missing a required claim: sub") => {
                "the token has no subject, as those of Maskinporten: set the client's issuer to Skyporten's, in the environment that the \
                 provider trusts (A-37, D-16)"
            }
            "InvalidIdentityToken" if has("issued in the future") => "the issuer's clock is ahead of AWS's (A-43, D-13)",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str, status: u16, message: &str) -> ExchangeError {
        ExchangeError::Refused { code: code.to_owned(), message: message.to_owned(), status, request_id: "b1946ac9".to_owned() }
    }

    #[test]
    fn only_what_passes_by_itself_is_tried_again() {
        assert!(refused("IDPCommunicationError", 400, "").may_pass());
        assert!(refused("Throttling", 400, "").may_pass());
        assert!(refused("InternalFailure", 500, "").may_pass());
        assert!(!refused("InvalidIdentityToken", 400, "").may_pass(), "A-96");
        assert!(!refused("AccessDenied", 403, "").may_pass(), "A-62");
    }

    #[test]
    fn old_and_new_wordings_are_recognised() {
        // the wording of 2024, and that of 2026.
        for message in [
            "Incorrect token audience",
            "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements.",
        ] {
            assert!(refused("InvalidIdentityToken", 400, message).hint().unwrap().contains("resource"), "{message}");
        }
        let subject = refused("InvalidIdentityToken", 400, "Missing a required claim: sub");
        assert!(subject.hint().unwrap().contains("Skyporten"), "A-37");
        // A-32, with its two spaces.
        let keys = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements";
        assert!(refused("InvalidIdentityToken", 400, keys).hint().unwrap().contains("keys"));
    }
}
