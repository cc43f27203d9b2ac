//! Names of keys in hardware ([RFC 7512](https://www.rfc-editor.org/rfc/rfc7512)).

use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use skybru_core::Secret;

/// `pkcs11:token=skybru;object=issuer-1?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/secrets/pin`
///
/// Understood of the path: `token`, `serial`, `manufacturer`, `object`, `id`, `slot-id`, `type`; of the query: `module-path`,
/// `pin-source`, `pin-value`. Anything else is an error, because leaving it out could mean another key. Its `Debug` hides the PIN.
#[derive(Debug, Clone, Default)]
pub struct Pkcs11Uri {
    /// The token's label.
    pub token: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Who made it.
    pub manufacturer: Option<String>,
    /// The slot's number.
    pub slot: Option<u64>,
    /// The key's label.
    pub object: Option<String>,
    /// The key's id, bytes.
    pub id: Option<Vec<u8>>,
    /// The shared library that speaks to the hardware.
    pub module_path: Option<PathBuf>,
    /// A file with the PIN. Whoever opens the key reads it.
    pub pin_source: Option<PathBuf>,
    /// The PIN itself.
    pub pin_value: Option<Secret>,
}

/// Why a text is not the name of a key in hardware.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Pkcs11UriError {
    /// Another scheme.
    #[error("expected pkcs11:token=…;object=…, found something that does not begin with pkcs11:")]
    Scheme,
    /// No `NAME=VALUE`.
    #[error("expected NAME=VALUE, found {0:?}")]
    Pair(String),
    /// An attribute that is not understood.
    #[error("the attribute {0:?} is not understood")]
    Unknown(String),
    /// Twice.
    #[error("the attribute {0:?} stands twice")]
    Twice(String),
    /// A value that cannot be.
    #[error("the attribute {name:?} is wrong: expected {expected}")]
    Value {
        /// Which one.
        name: &'static str,
        /// What should have been there.
        expected: &'static str,
    },
    /// Neither label nor id.
    #[error("the key is not named: give object=LABEL or id=%01")]
    NoKey,
}

impl FromStr for Pkcs11Uri {
    type Err = Pkcs11UriError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.trim().strip_prefix("pkcs11:").ok_or(Pkcs11UriError::Scheme)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        let mut seen = Vec::new();
        let pairs = path.split(';').map(|pair| (pair, true)).chain(query.split('&').map(|pair| (pair, false)));
        for (pair, in_path) in pairs.filter(|(pair, _)| !pair.is_empty()) {
            // The pair may hold a PIN: it is not repeated.
            let (name, value) = pair.split_once('=').ok_or_else(|| Pkcs11UriError::Pair(pair.chars().take(20).collect()))?;
            if seen.contains(&name) {
                return Err(Pkcs11UriError::Twice(name.to_owned()));
            }
            seen.push(name);
            if in_path { uri.path_attribute(name, value)? } else { uri.query_attribute(name, value)? }
        }
        if uri.object.is_none() && uri.id.is_none() {
            return Err(Pkcs11UriError::NoKey);
        }
        Ok(uri)
    }
}

impl Pkcs11Uri {
    fn path_attribute(&mut self, name: &str, value: &str) -> Result<(), Pkcs11UriError> {
        match name {
            "token" => self.token = Some(text("token", value)?),
            "serial" => self.serial = Some(text("serial", value)?),
            "manufacturer" => self.manufacturer = Some(text("manufacturer", value)?),
            "object" => self.object = Some(text("object", value)?),
            "id" => self.id = Some(percent_decode_str(value).collect()),
            "slot-id" => {
                let expected = "a number";
                self.slot = Some(value.parse().map_err(|_| Pkcs11UriError::Value { name: "slot-id", expected })?);
            }
            "type" if matches!(value, "private") => {}
            "type" => return Err(Pkcs11UriError::Value { name: "type", expected: "private, or no type at all" }),
            other => return Err(Pkcs11UriError::Unknown(other.to_owned())),
        }
        Ok(())
    }

    fn query_attribute(&mut self, name: &str, value: &str) -> Result<(), Pkcs11UriError> {
        match name {
            "module-path" => self.module_path = Some(text("module-path", value)?.into()),
            "pin-source" => {
                let source = text("pin-source", value)?;
                let path = source.strip_prefix("file://").or_else(|| source.strip_prefix("file:")).unwrap_or(&source);
                if source.starts_with('|') || (path == source && source.contains(':')) {
                    return Err(Pkcs11UriError::Value { name: "pin-source", expected: "a file, such as file:/run/secrets/pin" });
                }
                self.pin_source = Some(path.into());
            }
            "pin-value" => self.pin_value = Some(text("pin-value", value)?.into()),
            other => return Err(Pkcs11UriError::Unknown(other.to_owned())),
        }
        Ok(())
    }
}

fn text(name: &'static str, value: &str) -> Result<String, Pkcs11UriError> {
    let decoded = percent_decode_str(value).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| Pkcs11UriError::Value { name, expected: "UTF-8" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_rfc_are_understood() {
        let uri: Pkcs11Uri =
            "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;serial=;object=my-certificate;type=private;\
             id=%69%95%3E%5C%F4%BD%EC%91?pin-source=file:/etc/token_pin&module-path=/lib/p11.so"
                .parse()
                .unwrap();
        assert_eq!(uri.token.as_deref(), Some("The Software PKCS#11 Softtoken"));
        assert_eq!(uri.object.as_deref(), Some("my-certificate"));
        assert_eq!(uri.id.as_deref(), Some(&[0x69, 0x95, 0x3e, 0x5c, 0xf4, 0xbd, 0xec, 0x91][..]));
        assert_eq!(uri.pin_source.as_deref(), Some("/etc/token_pin".as_ref()));
        assert_eq!(uri.module_path.as_deref(), Some("/lib/p11.so".as_ref()));
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_shows_no_pin() {
        let error = |text: &str| text.parse::<Pkcs11Uri>().unwrap_err().to_string();
        assert!(error("file:key.pem").contains("pkcs11:"));
        assert!(error("pkcs11:token=a").contains("object=LABEL"));
        assert!(error("pkcs11:object=a;library-version=3").contains("library-version"));
        assert!(error("pkcs11:object=a;object=b").contains("twice"));
        assert!(error("pkcs11:object=a;type=cert").contains("private"));
        assert!(error("pkcs11:object=a?pin-source=|/bin/pin").contains("a file"));
        let uri: Pkcs11Uri = "pkcs11:object=a?pin-value=4711".parse().unwrap();
        assert!(!format!("{uri:?}").contains("4711"));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,80}") {
            drop(format!("pkcs11:{text}").parse::<Pkcs11Uri>());
        }
    }
}
