//! Text that cannot be printed, compared or serialised by accident.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::ConstantTimeEq;

/// A secret: a token, a secret access key, a passphrase.
///
/// It has no `Display`, no `Serialize` and no `==`; its `Debug` is redacted; its memory is wiped when it is dropped.
///
/// ```
/// use skybru_core::Secret;
/// let secret = Secret::from("s3cr3t".to_owned());
/// assert_eq!(format!("{secret:?}"), "Secret(…)");
/// assert!(secret.matches("s3cr3t") && !secret.matches("S3cr3t"));
/// ```
#[derive(Clone, Deserialize)]
pub struct Secret(SecretString);

impl Secret {
    /// The secret itself. Every call is a place to look at in review.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Compares in constant time.
    pub fn matches(&self, presented: &str) -> bool {
        self.expose().as_bytes().ct_eq(presented.as_bytes()).into()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(SecretString::from(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
