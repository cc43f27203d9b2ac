//! Why there is no token, and what to do about it.

use std::fmt;
use std::sync::Arc;

use skybru_core::IssuerUrl;
use skybru_protocol::oauth::ErrorBody;
use skybru_signer::SignError;

use super::metadata::MetadataError;
use crate::http::HttpError;

/// Why there is no token. Cheap to clone: all who waited for the same token get the same error.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// The issuer's metadata is missing or wrong.
    #[error("the issuer's metadata is not usable")]
    Metadata(#[from] MetadataError),
    /// The assertion could not be signed.
    #[error("could not sign the assertion")]
    Sign(#[source] Arc<SignError>),
    /// The issuer did not answer.
    #[error("could not get an answer from {issuer}")]
    Unreachable {
        /// Who was asked.
        issuer: IssuerUrl,
        /// Why there is no answer.
        #[source]
        source: Arc<HttpError>,
    },
    /// The issuer answered, but is out of order or overloaded.
    #[error("{issuer} cannot answer now (status {status})")]
    Unavailable {
        /// Who was asked.
        issuer: IssuerUrl,
        /// The HTTP status, 429 or 5xx.
        status: u16,
    },
    /// The issuer said no.
    #[error("{issuer} refused: {refusal}")]
    Refused {
        /// Who refused.
        issuer: IssuerUrl,
        /// What it said.
        refusal: Box<Refusal>,
    },
    /// The issuer said yes, but what it sent is no token.
    #[error("the answer of {issuer} is not usable: {reason}")]
    Answer {
        /// Who answered.
        issuer: IssuerUrl,
        /// What is wrong with it.
        reason: String,
    },
}

/// A refusal in the issuer's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Maskinporten's code, such as `MP-250`.
    pub code: Option<String>,
    /// OAuth's word, such as `invalid_grant`.
    pub error: String,
    /// The issuer's text, without the trace id.
    pub description: String,
    /// What the issuer's support asks for: 32 hexadecimal digits, or a UUID.
    pub trace_id: Option<String>,
    /// The HTTP status.
    pub status: u16,
    /// The scopes that were asked for.
    pub scopes: String,
    /// By how many seconds the issuer's clock is ahead of ours (negative: behind), when that is more than it tolerates.
    pub skew_seconds: Option<i64>,
}

impl Refusal {
    /// Reads the error body.
    pub(super) fn new(body: &ErrorBody, status: u16, scopes: String) -> Self {
        let code = body.mp_code().map(plain);
        let (description, trace_id) = split_trace_id(&plain(body.error_description.as_deref().unwrap_or_default()));
        Self { code, error: plain(&body.error), description, trace_id, status, scopes, skew_seconds: None }
    }

    /// Whether the reason is the time in the assertion.
    pub(super) fn is_about_time(&self) -> bool {
        let text = self.description.to_ascii_lowercase();
        // MP-121, "Expired key.", is another matter.
        match self.code.as_deref() {
            Some(code) => code == "MP-130",
            None => text.contains("issue time") || text.contains("jwt is expired") || text.contains("issued in the future"),
        }
    }

    fn hint(&self) -> Option<String> {
        if self.is_about_time() {
            return Some(match self.skew_seconds {
                Some(skew) => format!("this machine's clock is wrong: {} (D-13)", skew_words(skew)),
                None => {
                    "the assertion's time was not accepted: set this machine's clock (it may differ by at most 10 seconds; D-13)"
                        .to_owned()
                }
            });
        }
        let scope = self.scopes.split(' ').next().unwrap_or_default();
        code_hint(self.code.as_deref()?, scope)
    }
}

fn skew_words(skew: i64) -> String {
    let seconds = skew.unsigned_abs();
    format!("it is {seconds} seconds {} the issuer's", if skew > 0 { "behind" } else { "ahead of" })
}

/// What to do about one of Maskinporten's codes, in plain words. `scope` is what was asked for.
pub fn code_hint(code: &str, scope: &str) -> Option<String> {
    let prefix = scope.split(':').next().unwrap_or_default();
    Some(match code {
        "MP-011" => "the issuer cannot read the assertion: check resource (it must be a URI) and pid (D-17)".to_owned(),
        "MP-012" => "the same assertion was presented twice: sign a new one for every request (D-17)".to_owned(),
        "MP-100" => "this issuer knows no such client, or it is deactivated: check client-id, and that it belongs to this \
                     environment, test or production (D-16)"
            .to_owned(),
        "MP-110" => {
            "the assertion was meant for another issuer: write issuer exactly as the issuer does. Maskinporten's ends in a \
                     slash (https://maskinporten.no/), Skyporten's does not, https://sky.maskinporten.no (D-17)"
                .to_owned()
        }
        "MP-120" => "the issuer does not know this key: the key is not registered on the client, was just replaced (wait two \
                     minutes), or key-id is wrong (D-17)"
            .to_owned(),
        "MP-121" => {
            "the registered key is older than a year: rotate it, or post the same key again to renew it (D-17)".to_owned()
        }
        "MP-122" => "the certificate belongs to another organisation than the client (D-17)".to_owned(),
        "MP-123" => "the assertion's x5c is not an array of certificates (D-17)".to_owned(),
        "MP-124" => "the signature does not fit the registered key: key-id names one key, but the key file holds another (D-17)"
            .to_owned(),
        "MP-130" => "the assertion had expired when it arrived: set this machine's clock (D-13)".to_owned(),
        "MP-200" => format!(
            "the client does not have {scope}: add the scope to the client in self-service (D-17); if it is not offered there, the API's \
             owner must give your organisation access first"
        ),
        "MP-201" => format!("{scope} is not meant for this kind of client (D-17)"),
        "MP-250" => format!(
            "the provider has not granted your organisation access to {scope}: ask the owner of the prefix {prefix:?} to grant it (D-17)"
        ),
        "MP-251" => format!(
            "the consumer has not delegated {scope} to your organisation: it must do so in Altinn before you can ask on its behalf (D-17)"
        ),
        "MP-301" | "MP-302" | "MP-303" => "check authorization details: type, members and values (D-17)".to_owned(),
        _ => return None,
    })
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = &self.code {
            write!(f, "{code} ")?;
        }
        write!(f, "{}", self.error)?;
        if !self.description.is_empty() {
            write!(f, ": {}", self.description)?;
        }
        write!(f, " (status {}", self.status)?;
        if let Some(trace_id) = &self.trace_id {
            write!(f, ", trace id {trace_id}")?;
        }
        f.write_str(")")
    }
}

impl From<SignError> for TokenError {
    fn from(error: SignError) -> Self {
        Self::Sign(Arc::new(error))
    }
}

impl TokenError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Metadata(error) => error.hint(),
            Self::Unreachable { source, .. } => source.hint(),
            Self::Unavailable { .. } => Some("try again in a while; the issuer's status page may say more".to_owned()),
            Self::Refused { refusal, .. } => refusal.hint(),
            Self::Sign(_) | Self::Answer { .. } => None,
        }
    }

    /// The refusal, when it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }
}

/// Text from the wire without control characters, and not endless.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(1_000).collect()
}

/// Takes `(trace_id: …)`, or the older `(correlation id: …)`, off the end.
fn split_trace_id(text: &str) -> (String, Option<String>) {
    for mark in ["(trace_id: ", "(correlation id: "] {
        if let Some((before, after)) = text.rsplit_once(mark)
            && let Some(id) = after.trim_end().strip_suffix(')')
        {
            return (before.trim_end().to_owned(), Some(id.to_owned()));
        }
    }
    (text.to_owned(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> Refusal {
        Refusal::new(&serde_json::from_str(json).unwrap(), 400, "entur:skyporten.demo".to_owned())
    }

    #[test]
    fn the_captured_refusal_is_taken_apart() {
        let refusal = refusal(
            r#"{"error":"invalid_grant",
                "error_description":"Invalid assertion. Client authentication failed. Expired key. (trace_id: 356666143081bbec11d293753e9702ca)",
                "error_uri":"https://maskinporten.no/errors/MP-121"}"#,
        );
        assert_eq!(refusal.code.as_deref(), Some("MP-121"));
        assert_eq!(refusal.trace_id.as_deref(), Some("356666143081bbec11d293753e9702ca"));
        assert_eq!(
            refusal.to_string(),
            "MP-121 invalid_grant: Invalid assertion. Client authentication failed. Expired key. \
             (status 400, trace id 356666143081bbec11d293753e9702ca)"
        );
        assert!(refusal.hint().unwrap().contains("rotate"));
        assert!(!refusal.is_about_time(), "an expired key is no expired assertion");
    }

    #[test]
    fn the_older_format_is_read_too() {
        let refusal = refusal(r#"{"error":"forbidden","error_description":"No. (correlation id: 6a1c1c2e-0000)"}"#);
        assert_eq!((refusal.description.as_str(), refusal.trace_id.as_deref()), ("No.", Some("6a1c1c2e-0000")));
        assert_eq!(refusal.hint(), None);
    }

    #[test]
    fn every_code_of_the_contract_has_a_hint_that_helps() {
        let hint = |code| code_hint(code, "entur:skyporten.demo").unwrap();
        for code in ["MP-011", "MP-012", "MP-100", "MP-110", "MP-120", "MP-121", "MP-122", "MP-123", "MP-124", "MP-130"] {
            assert!(hint(code).contains("(D-1"), "{code}");
        }
        for code in ["MP-200", "MP-201", "MP-250", "MP-251", "MP-301", "MP-302", "MP-303"] {
            assert!(hint(code).contains("(D-17)"), "{code}");
        }
        assert!(hint("MP-250").contains("\"entur\""));
        assert!(hint("MP-110").contains("slash"));
        assert_eq!(code_hint("MP-999", "a:b"), None);
    }

    #[test]
    fn a_clock_that_differs_is_told_with_its_seconds() {
        let mut refusal = refusal(r#"{"error":"invalid_grant","error_description":"… Issue time is after now."}"#);
        refusal.skew_seconds = Some(-340);
        assert_eq!(refusal.hint().unwrap(), "this machine's clock is wrong: it is 340 seconds ahead of the issuer's (D-13)");
        refusal.skew_seconds = Some(75);
        assert_eq!(refusal.hint().unwrap(), "this machine's clock is wrong: it is 75 seconds behind the issuer's (D-13)");
    }

    #[test]
    fn control_characters_of_an_issuer_do_not_reach_the_terminal() {
        let refusal = refusal(r#"{"error":"a\u001b[31m","error_description":"b\u0007"}"#);
        assert_eq!(refusal.to_string(), "a[31m: b (status 400)");
    }
}
