//! Why Google gives no access token, in its own words.

use std::fmt;
use std::sync::Arc;

use crate::http::HttpError;

/// Which of the two calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The token for a federated one, at STS.
    Exchange,
    /// The federated one for a service account's, at IAM Credentials.
    Impersonation,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exchange => "STS refused the token",
            Self::Impersonation => "IAM refused to let the federated identity act as the service account",
        })
    }
}

/// Why Google gives no access token. Cheap to clone.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GoogleExchangeError {
    /// Google said no. The text is Google's, unchanged.
    #[error("Google's {step}: {error}: {description} (status {status})")]
    Refused {
        /// Where.
        step: Step,
        /// OAuth's word at STS (`invalid_grant`), the status at IAM (`PERMISSION_DENIED`).
        error: String,
        /// The text, unchanged.
        description: String,
        /// `IAM_PERMISSION_DENIED`, `SERVICE_DISABLED` and the like, from IAM only.
        reason: Option<String>,
        /// The HTTP status.
        status: u16,
    },
    /// Google did not answer.
    #[error("could not get an answer from {endpoint}")]
    Unreachable {
        /// Which endpoint.
        endpoint: String,
        /// Why not.
        #[source]
        source: Arc<HttpError>,
    },
    /// The answer is neither a token nor a refusal.
    #[error("the answer of {endpoint} is not usable: {reason}")]
    Answer {
        /// Which endpoint.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The access token is somebody else's. It was thrown away.
    #[error("expected {wanted}, but the access token is that of {got}: not used")]
    OtherPrincipal {
        /// Who we should be.
        wanted: String,
        /// Who Google says we are.
        got: String,
    },
    /// The token cannot be sent at all.
    #[error("the token cannot be exchanged: {0}")]
    Token(String),
}

impl GoogleExchangeError {
    /// Whether the same request may well succeed a little later. `PERMISSION_DENIED` is not among them: a fresh binding takes over a
    /// minute (G-53), and a missing one for ever.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Refused { status, error, .. } => *status >= 500 || *status == 429 || error == "quota_exceeded",
            Self::Unreachable { source, .. } => source.may_pass(),
            Self::Answer { .. } | Self::OtherPrincipal { .. } | Self::Token(_) => false,
        }
    }

    /// Whether a newer token may help (G-38).
    pub(super) fn wants_newer_token(&self) -> bool {
        matches!(self, Self::Refused { step: Step::Exchange, description, .. } if description.contains("is stale to sign-in"))
    }

    /// What to do about it, in a sentence. The doctor knows more.
    pub fn hint(&self) -> Option<String> {
        let (step, error, text, reason) = match self {
            Self::Refused { step, error, description, reason, .. } => (*step, error.as_str(), description, reason.as_deref()),
            Self::Unreachable { source, .. } => return source.hint(),
            Self::OtherPrincipal { .. } => {
                return Some("something between here and Google answers in its place: check the endpoint".to_owned());
            }
            Self::Answer { .. } | Self::Token(_) => return None,
        };
        let has = |fragment| text.contains(fragment);
        // Codes first, then a stable fragment, never the whole sentence (D-99).
        let hint = match (step, error) {
            (Step::Exchange, "invalid_target") => {
                "the provider or its pool is disabled, deleted or misspelt: compare provider with what the data's owner sent (D-41)"
            }
            (Step::Exchange, "unauthorized_client") if has("attribute condition") => {
                "the provider's attribute condition does not let this token in: it does not expect this organisation or scope (D-45)"
            }
            (Step::Exchange, "unauthorized_client") => {
                "the provider maps google.subject from a claim that this token lacks: its owner must mend the mapping (D-46)"
            }
            (Step::Exchange, "invalid_grant") if has("audience") => {
                "the token's audience is not among the provider's allowed ones: set resource to what the data's owner sent (D-42)"
            }
            (Step::Exchange, "invalid_grant") if has("issuer in ID Token") => {
                "the provider expects another issuer, to the letter: compare slash and environment, test or production (D-43, D-16)"
            }
            (Step::Exchange, "invalid_grant") if has("stale to sign-in") => {
                "Google finds the token expired or not yet valid: check this machine's clock (D-13)"
            }
            (Step::Exchange, "invalid_grant") if has("Error connecting") => {
                "Google has no key for this token: the issuer's keys are not public, or an uploaded key set is outdated (D-44, D-03)"
            }
            (Step::Exchange, "invalid_grant") if has("signature") => {
                "the token's signature does not hold: a key id was used again for another key (D-06)"
            }
            (Step::Exchange, "invalid_request") if has("audience") => {
                "provider must be the full name, with the project's number (D-40)"
            }
            (Step::Exchange, "invalid_request") if has("google.subject") => {
                "the token's subject is too long for Google, often because of many scopes: ask for one scope (D-14)"
            }
            (Step::Impersonation, _) if reason == Some("SERVICE_DISABLED") => {
                "the IAM Service Account Credentials API is off in the data owner's project: its owner must enable it (D-48)"
            }
            (Step::Impersonation, "PERMISSION_DENIED") => {
                "the federated identity may not act as this service account, or the account does not exist: its owner must grant \
                 roles/iam.workloadIdentityUser. A binding made a minute ago may need a little longer (D-47)"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(step: Step, error: &str, description: &str) -> GoogleExchangeError {
        let (error, description) = (error.to_owned(), description.to_owned());
        GoogleExchangeError::Refused { step, error, description, reason: None, status: 400 }
    }

    /// G-31 … G-41, old and new wordings.
    #[test]
    fn every_known_refusal_names_the_rule_that_mends_it() {
        for (error, text, rule) in [
            ("unauthorized_client", "The given credential is rejected by the attribute condition.", "D-45"),
            ("unauthorized_client", "Could not obtain a value for google.subject from the given credential.", "D-46"),
            ("invalid_target", "The target service indicated by the \"audience\" parameters is invalid. …", "D-41"),
            ("invalid_request", "Invalid value for \"audience\". This value should be the full resource name …", "D-40"),
            ("invalid_grant", "The audience in ID Token [https://a] does not match the expected audience.", "D-42"),
            ("invalid_grant", "The issuer in ID Token https://a does not match the expected one in config: https://a/.", "D-43"),
            ("invalid_grant", "The issuer in ID Token https://a does not match the expected ones: https://a/", "D-43"),
            ("invalid_grant", "ID Token issued at 1700000000 is stale to sign-in.", "D-13"),
            ("invalid_grant", "Unable to verify the ID Token signature.", "D-06"),
            ("invalid_grant", "Error connecting to the given credential's issuer.", "D-44"),
            ("invalid_request", "The size of mapped attribute google.subject exceeds the 127 bytes limit. …", "D-14"),
        ] {
            let hint = refused(Step::Exchange, error, text).hint().unwrap();
            assert!(hint.contains(rule), "{text}: {hint}");
        }
        let denied = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).";
        assert!(refused(Step::Impersonation, "PERMISSION_DENIED", denied).hint().unwrap().contains("D-47"));
    }

    #[test]
    fn only_what_passes_by_itself_is_tried_again() {
        assert!(refused(Step::Exchange, "quota_exceeded", "").may_pass());
        assert!(!refused(Step::Exchange, "invalid_grant", "").may_pass());
        assert!(!refused(Step::Impersonation, "PERMISSION_DENIED", "").may_pass());
    }
}
