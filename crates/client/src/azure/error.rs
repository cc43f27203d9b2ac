//! Why Entra gives no access token, in its own words.

use std::sync::Arc;

use serde::Deserialize;

use crate::http::{HttpAnswer, HttpError};
use crate::presented::shown;

/// Why Entra gives no access token. Cheap to clone.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AzureExchangeError {
    /// Entra said no. The text is Entra's, without the ids at its end.
    #[error("Entra refused: {error}: {description} (status {status}, trace id {trace_id})")]
    Refused {
        /// The first `AADSTS` number.
        code: Option<u32>,
        /// OAuth's word, such as `invalid_client`.
        error: String,
        /// The text.
        description: String,
        /// For Microsoft's support.
        trace_id: String,
        /// The HTTP status.
        status: u16,
    },
    /// Entra did not answer.
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
    /// The access token is somebody else's, or for something else. It was thrown away.
    #[error("the access token's {claim} is {got:?}, but {wanted:?} was asked for: not used")]
    OtherIdentity {
        /// Which claim.
        claim: &'static str,
        /// What it should be.
        wanted: String,
        /// What it is.
        got: String,
    },
    /// The token cannot be sent at all.
    #[error("the token cannot be exchanged: {0}")]
    Token(String),
}

impl AzureExchangeError {
    /// Reads a refusal (E-15), if it is Entra's.
    pub(super) fn read(answer: &HttpAnswer) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body {
            error: String,
            #[serde(default)]
            error_description: String,
            #[serde(default)]
            error_codes: Vec<u32>,
            #[serde(default)]
            trace_id: String,
        }
        let body: Body = answer.json().ok()?;
        let description = without_trailer(&body.error_description);
        let code = body.error_codes.first().copied().or_else(|| code_in(&description));
        let trace_id = shown(&body.trace_id);
        Some(Self::Refused { code, error: shown(&body.error), description, trace_id, status: answer.status.as_u16() })
    }

    /// Whether the same request may well succeed a little later. An unknown identity is not among them, though a new credential takes
    /// minutes to spread (E-8): a wrong one stays wrong, and the hint says both.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::Unreachable { source, .. } => source.may_pass(),
            Self::Answer { .. } | Self::OtherIdentity { .. } | Self::Token(_) => false,
        }
    }

    /// Whether a newer token may help (E-39).
    pub(super) fn wants_newer_token(&self) -> bool {
        matches!(self, Self::Refused { code: Some(700_024), .. })
    }

    /// What to do about it, in a sentence. The doctor knows more.
    pub fn hint(&self) -> Option<String> {
        let (code, description) = match self {
            Self::Refused { code: Some(code), description, .. } => (*code, description),
            Self::Unreachable { source, .. } => return source.hint(),
            Self::OtherIdentity { .. } => {
                return Some("something between here and Entra answers in its place: check authority".to_owned());
            }
            _ => return None,
        };
        let hint = match code {
            70_021 => {
                "no federated credential of this identity fits the token: issuer, subject and audience must be equal to the letter. \
                 One made minutes ago may need a little longer (D-60, D-61, D-62, D-65)"
            }
            700_211 => {
                "the federated credential names another issuer: with https://, with or without the slash, test or production (D-60)"
            }
            700_212 | 7_002_121 => {
                "the federated credential names another audience: set resource to what the data's owner sent (D-62)"
            }
            700_213 | 7_002_131 => {
                "the federated credential names another subject: it must be the token's whole sub, 0192:ORGNO;SCOPE, in the same \
                 case (D-61)"
            }
            70_025 | 7_000_226 => "this identity has no federated credential: is client-id the right one? (D-63)",
            700_016 => {
                "the directory has no such application: client-id must be the client id, not the principal's or the object's id, \
                 and tenant-id that of the data's owner (D-63, D-64)"
            }
            90_002 => "there is no such directory: check tenant-id (D-64)",
            700_024 => "Entra finds the token expired or not yet valid: check this machine's clock (D-13)",
            50_027 => "Entra cannot read the token (D-19)",
            5_002_738 => "Entra takes RS256 only: the issuer must sign with it (D-08)",
            5_002_727 => "Entra takes tokens of type JWT only: the issuer must not say at+jwt (D-09)",
            90_014 if description.contains("'aud'") => {
                "the token has no audience: set resource to what the data's owner sent (D-18)"
            }
            90_014 if description.contains("'sub'") => {
                "the token has no subject, as those of Maskinporten: set the client's issuer to Skyporten's, in the environment that the \
                 data's owner trusts (D-16)"
            }
            501_661 | 50_166 | 90_061 => {
                "Entra could not fetch the issuer's metadata or keys: they must be public, with a certificate that everybody trusts \
                 (D-03, D-04)"
            }
            700_027 | 7_000_274 | 5_002_723 => "Entra does not find the key that signed the token at the issuer (D-05)",
            1_002_012 | 70_011 | 500_011 => "Entra knows no such resource: check its address (D-72)",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// The text without ` Trace ID: … Correlation ID: … Timestamp: …`, however it is set off (E-15).
fn without_trailer(text: &str) -> String {
    let end = text.find("Trace ID:").unwrap_or(text.len());
    shown(text[..end].trim_end())
}

/// The first `AADSTS` number in a text (D-99).
fn code_in(text: &str) -> Option<u32> {
    let digits = text.split("AADSTS").nth(1)?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u32, description: &str) -> AzureExchangeError {
        AzureExchangeError::Refused {
            code: Some(code),
            error: "invalid_client".to_owned(),
            description: description.to_owned(),
            trace_id: String::new(),
            status: 401,
        }
    }

    /// E-30 … E-47.
    #[test]
    fn every_known_refusal_names_the_rule_that_mends_it() {
        for (code, rule) in [
            (70_021, "D-65"),
            (700_211, "D-60"),
            (700_212, "D-62"),
            (700_213, "D-61"),
            (70_025, "D-63"),
            (700_016, "D-64"),
            (90_002, "D-64"),
            (700_024, "D-13"),
            (50_027, "D-19"),
            (5_002_738, "D-08"),
            (5_002_727, "D-09"),
            (501_661, "D-03"),
            (700_027, "D-05"),
            (500_011, "D-72"),
        ] {
            let hint = refused(code, "").hint().unwrap();
            assert!(hint.contains(rule), "{code}: {hint}");
        }
        assert!(refused(90_014, "The required field 'aud' is missing from the credential.").hint().unwrap().contains("D-18"));
        assert!(refused(90_014, "The required field 'sub' is missing from the credential.").hint().unwrap().contains("D-16"));
    }

    /// E-15: spaces, or line ends in older answers.
    #[test]
    fn e_15_the_trailer_is_taken_off_in_both_forms() {
        for trailer in [" Trace ID: a Correlation ID: b", "\r\nTrace ID: a\r\nCorrelation ID: b"] {
            assert_eq!(
                without_trailer(&format!("AADSTS90002: Tenant 'x' not found.{trailer}")),
                "AADSTS90002: Tenant 'x' not found."
            );
        }
        assert_eq!(code_in("AADSTS700213: No matching"), Some(700_213));
        assert_eq!(code_in("no code"), None);
    }
}
