//! Entra's errors: the AADSTS number, the OAuth code, the HTTP status, and the text to the letter.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Wording;

/// A refusal of the token endpoint (E-15).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("AADSTS{number}: {message}")]
pub struct EntraError {
    /// The number behind `AADSTS`.
    pub number: u32,
    /// OAuth's code.
    pub error: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What stands behind `AADSTS<number>: `.
    pub message: String,
    /// The rule that it follows.
    pub rule: &'static str,
}

/// What names one request in Entra's log, and stands in every refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Made by Entra.
    pub trace_id: String,
    /// The caller's `client-request-id`, or made by Entra.
    pub correlation_id: String,
    /// Seconds since 1970.
    pub now: i64,
}

impl EntraError {
    pub(super) fn invalid_request(rule: &'static str, number: u32, message: impl Into<String>) -> Self {
        Self { number, error: "invalid_request", status: 400, message: message.into(), rule }
    }

    pub(super) fn invalid_client(rule: &'static str, number: u32, message: impl Into<String>) -> Self {
        Self { number, error: "invalid_client", status: 401, message: message.into(), rule }
    }

    pub(super) fn of(rule: &'static str, number: u32, error: &'static str, message: impl Into<String>) -> Self {
        Self { number, error, status: 400, message: message.into(), rule }
    }

    /// The body of the answer (E-15). Older bodies separate the trailer by line breaks.
    pub fn body(&self, trace: &Trace, wording: Wording) -> Value {
        let between = match wording {
            Wording::Current => " ",
            Wording::Legacy => "\r\n",
        };
        let Trace { trace_id, correlation_id, now } = trace;
        let timestamp = Timestamp::from_second(*now).unwrap_or_default().strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let trailer =
            [format!("Trace ID: {trace_id}"), format!("Correlation ID: {correlation_id}"), format!("Timestamp: {timestamp}")];
        json!({
            "error": self.error,
            "error_description": format!("{self}{between}{}", trailer.join(between)),
            "error_codes": [self.number],
            "timestamp": timestamp,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
            "error_uri": format!("https://login.microsoftonline.com/error?code={}", self.number),
        })
    }
}

/// A time as Entra writes it in E-39: seven digits behind the second.
pub(super) fn seven_digits(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.0000000Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E-15.
    #[test]
    fn the_body_reads_as_the_captured_ones() {
        let error = EntraError::invalid_client("E-32", 700_212, "No matching.");
        let trace = Trace { trace_id: "t".to_owned(), correlation_id: "c".to_owned(), now: 1_713_250_718 };
        let body = error.body(&trace, Wording::Current);
        assert_eq!(
            body["error_description"],
            "AADSTS700212: No matching. Trace ID: t Correlation ID: c Timestamp: 2024-04-16 06:58:38Z"
        );
        assert_eq!(body["error_codes"], json!([700_212]));
        assert_eq!(body["error_uri"], "https://login.microsoftonline.com/error?code=700212");
        let older = error.body(&trace, Wording::Legacy);
        assert!(older["error_description"].as_str().unwrap().contains("No matching.\r\nTrace ID: t\r\nCorrelation ID"));
    }

    #[test]
    fn e_39_times_have_seven_digits() {
        assert_eq!(seven_digits(1_690_882_106), "2023-08-01T09:28:26.0000000Z");
    }
}
