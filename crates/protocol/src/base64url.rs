//! Base64url without padding ([RFC 7515, section 2](https://www.rfc-editor.org/rfc/rfc7515#section-2)), strictly.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The text is not base64url without padding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not base64url without padding")]
pub struct Base64UrlError;

/// Encodes without padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes; refuses padding, other alphabets and leftover bits, so that one value has one spelling.
pub fn decode(text: &str) -> Result<Vec<u8>, Base64UrlError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Base64UrlError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_one_spelling() {
        assert_eq!(decode("AQAB").unwrap(), [1, 0, 1]);
        for wrong in ["AQA=", "AQ==", "A", "AR", "+/", "A B", "AQAB\n"] {
            assert_eq!(decode(wrong), Err(Base64UrlError), "{wrong:?}");
        }
    }
}
