//! Compact JWS: three base64url parts with dots between
//! ([RFC 7515, section 7.1](https://www.rfc-editor.org/rfc/rfc7515#section-7.1)).

use serde::Deserialize;
use serde_json::Value;

use crate::base64url;

/// The longest token that is looked at, in bytes. AWS stops at 20 000, Digdir documents no limit.
pub const MAX_COMPACT_LENGTH: usize = 32 * 1024;

/// Why a text is not a compact JWS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than [`MAX_COMPACT_LENGTH`].
    #[error("the token is longer than {MAX_COMPACT_LENGTH} bytes")]
    TooLong,
    /// Not three parts.
    #[error("a signed token has three parts with dots between; this has {0}")]
    Parts(usize),
    /// A part is not base64url.
    #[error("the token's {0} is not base64url")]
    Encoding(&'static str),
    /// The header is not a JSON object with the right types.
    #[error("the token's header is not the JSON object it should be: {0}")]
    Header(String),
}

/// The protected header. Members that point to keys (`jwk`, `jku`, `x5u`) are deliberately not here: no key is ever taken from a token.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Header {
    /// The algorithm's name as sent; not yet known to be a good one.
    pub alg: String,
    /// Which key signed.
    pub kid: Option<String>,
    /// The kind of token.
    pub typ: Option<String>,
    /// The certificate chain as sent; not yet known to be an array of strings.
    pub x5c: Option<Value>,
    /// Extensions that a reader must understand; skybru understands none.
    pub crit: Option<Value>,
}

/// A token in three parts, decoded but not verified.
#[derive(Debug, Clone)]
pub struct Jws {
    header: Header,
    header_bytes: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
    signing_input: String,
}

impl Jws {
    /// Takes a compact token apart.
    ///
    /// ```
    /// use skybru_protocol::jose::{Jws, JwsError};
    /// let jws = Jws::parse("eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.e30.AAAA").unwrap();
    /// assert_eq!((jws.header().alg.as_str(), jws.payload()), ("RS256", &b"{}"[..]));
    /// assert_eq!(Jws::parse("a.b").unwrap_err(), JwsError::Parts(2));
    /// ```
    pub fn parse(compact: &str) -> Result<Self, JwsError> {
        if compact.len() > MAX_COMPACT_LENGTH {
            return Err(JwsError::TooLong);
        }
        let mut parts = compact.split('.');
        let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JwsError::Parts(compact.split('.').count()));
        };
        let decode = |part, name| base64url::decode(part).map_err(|_| JwsError::Encoding(name));
        let header_bytes = decode(header, "header")?;
        Ok(Self {
            header: serde_json::from_slice(&header_bytes).map_err(|e| JwsError::Header(e.to_string()))?,
            payload: decode(payload, "payload")?,
            signature: decode(signature, "signature")?,
            signing_input: compact[..header.len() + 1 + payload.len()].to_owned(),
            header_bytes,
        })
    }

    /// The header's known members.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The whole header, as JSON text.
    pub fn header_bytes(&self) -> &[u8] {
        &self.header_bytes
    }

    /// The payload's bytes; normally a JSON object of claims.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The signature's bytes.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// What the signature is over: the first two parts with their dot.
    pub fn signing_input(&self) -> &str {
        &self.signing_input
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_token_says_what_it_is_not() {
        assert_eq!(Jws::parse("").unwrap_err(), JwsError::Parts(1));
        assert_eq!(Jws::parse("a.b.c.d.e").unwrap_err(), JwsError::Parts(5));
        assert_eq!(Jws::parse("e30=.e30.").unwrap_err(), JwsError::Encoding("header"));
        assert!(matches!(Jws::parse("e30.e30.").unwrap_err(), JwsError::Header(_)), "alg is required");
        assert!(matches!(Jws::parse(&"a".repeat(MAX_COMPACT_LENGTH + 1)), Err(JwsError::TooLong)));
        assert_eq!(Jws::parse("eyJhbGciOiJSUzI1NiJ9.e30.AA\n").unwrap_err(), JwsError::Encoding("signature"));
    }

    #[test]
    fn an_empty_signature_parses_and_is_left_to_verification() {
        assert!(Jws::parse("eyJhbGciOiJub25lIn0.e30.").unwrap().signature().is_empty());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC*\\.?\\PC*\\.?\\PC*") {
            let _ = Jws::parse(&text);
        }
    }
}
