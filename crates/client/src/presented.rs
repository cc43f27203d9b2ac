//! What a token says about itself, unverified: the cloud verifies it, we only compare.

use serde_json::{Map, Value};
use skybru_protocol::jose::Jws;

/// Claims of a token that is about to be presented.
pub(crate) struct Presented {
    /// `sub`. AWS makes a decimal string of a number, and so do we.
    pub(crate) subject: Option<String>,
    /// `consumer.ID`, such as `0192:917422575`.
    pub(crate) consumer: Option<String>,
    pub(crate) claims: Map<String, Value>,
}

/// Why a token cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReadable {
    #[error("{0}")]
    Jws(String),
    #[error("its payload is not a JSON object")]
    Payload,
}

impl Presented {
    pub(crate) fn read(token: &str) -> Result<Self, NotReadable> {
        let jws = Jws::parse(token).map_err(|error| NotReadable::Jws(error.to_string()))?;
        let claims: Map<String, Value> = serde_json::from_slice(jws.payload()).map_err(|_| NotReadable::Payload)?;
        let subject = match claims.get("sub") {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let consumer = claims.get("consumer").and_then(|consumer| consumer["ID"].as_str()).map(str::to_owned);
        Ok(Self { subject, consumer, claims })
    }

    /// A claim that is text.
    pub(crate) fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }
}

/// Text from the wire for a message: without control characters, and not endless.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
