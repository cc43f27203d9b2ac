//! Identifiers that cannot be swapped for one another.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::ctx::Randomness;

/// Why a text is not an identifier of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a {kind}: expected 1 to {longest} characters out of A-Z a-z 0-9 . _ -")]
pub struct IdError {
    kind: &'static str,
    longest: usize,
    value: String,
}

fn check(kind: &'static str, longest: usize, text: &str) -> Result<Box<str>, IdError> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.is_empty() || text.len() > longest || !text.chars().all(fine) {
        return Err(IdError { kind, longest, value: text.chars().take(80).collect() });
    }
    Ok(text.into())
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $longest:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            /// The identifier as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                check($kind, $longest, text).map(Self)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        crate::text_type!($name);
    };
}

identifier! {
    /// A registered client. Today a UUID; older ones are free text such as `oidc_difi_delegering_altinn`.
    ClientId, "client id", 128
}
identifier! {
    /// The `kid` of a key. The characters are those that Digdir's self-service API takes.
    KeyId, "key id", 128
}

impl ClientId {
    /// A new random UUID (version 4).
    pub fn random(randomness: &dyn Randomness) -> Self {
        Self(uuid(randomness).to_string().into())
    }
}

/// A random UUID (version 4, [RFC 9562, section 5.4](https://www.rfc-editor.org/rfc/rfc9562#section-5.4)).
pub fn uuid(randomness: &dyn Randomness) -> Uuid {
    let mut bytes = [0; 16];
    randomness.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctx::SeededRandomness;

    #[test]
    fn ids_take_the_characters_of_the_self_service_api_only() {
        assert!("oidc_difi_delegering_altinn".parse::<ClientId>().is_ok());
        assert!("my key/1".parse::<KeyId>().is_err());
        assert!("".parse::<KeyId>().is_err());
        assert!("x".repeat(129).parse::<KeyId>().is_err());
    }

    #[test]
    fn random_client_ids_repeat_with_their_seed() {
        let id = |seed| ClientId::random(&SeededRandomness::new(seed));
        assert_eq!(id(1), id(1));
        assert_ne!(id(1), id(2));
        assert_eq!(id(1).as_str().as_bytes()[14], b'4', "version 4");
    }
}
