//! Scopes: `prefix:subscope`, and sets of them as they stand in assertions and tokens.
//!
//! Grammar: [RFC 6749, appendix A.4](https://www.rfc-editor.org/rfc/rfc6749#appendix-A.4) for the characters; the division into
//! prefix and subscope is Maskinporten's. Scopes are case-sensitive.

use std::fmt;
use std::str::FromStr;

/// The longest scope that is taken, in bytes.
pub const MAX_SCOPE_LENGTH: usize = 255;

/// Why a text is not a scope or a prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// No colon, or nothing on one side of it.
    #[error("{0:?} is not a scope: expected prefix:name, like entur:skyporten.demo")]
    Shape(String),
    /// A character outside the grammar.
    #[error("{scope:?} is not a scope: character {character:?} is not allowed")]
    Character {
        /// The text as given.
        scope: String,
        /// The first character at fault.
        character: char,
    },
    /// Longer than [`MAX_SCOPE_LENGTH`].
    #[error("a scope may be at most {MAX_SCOPE_LENGTH} bytes long")]
    Length,
    /// A prefix with a character that prefixes cannot have.
    #[error("{0:?} is not a prefix: expected letters, digits, '-', '_' or '.', and no colon")]
    Prefix(String),
    /// More scopes than one request may ask for.
    #[error("at most {0} scopes may be asked for at once")]
    TooMany(usize),
    /// No scope at all.
    #[error("no scope was given")]
    Empty,
}

/// The part of a scope before its first colon; assigned to one API provider.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix(Box<str>);

impl Prefix {
    /// The prefix without a colon.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Prefix {
    type Err = ScopeError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > 64 || !text.chars().all(fine) {
            return Err(ScopeError::Prefix(text.chars().take(64).collect()));
        }
        Ok(Self(text.into()))
    }
}

/// One scope, `prefix:subscope`.
///
/// ```
/// use skybru_core::ScopeName;
/// let scope: ScopeName = "altinn:serviceowners/read".parse().unwrap();
/// assert_eq!(scope.prefix(), "altinn");
/// assert_eq!(scope.subscope(), "serviceowners/read");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopeName(Box<str>);

impl ScopeName {
    /// The whole scope.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the first colon.
    pub fn prefix(&self) -> &str {
        self.0.split_once(':').map_or("", |(prefix, _)| prefix)
    }

    /// What stands after the first colon; may itself contain colons and slashes.
    pub fn subscope(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, subscope)| subscope)
    }
}

impl FromStr for ScopeName {
    type Err = ScopeError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_SCOPE_LENGTH {
            return Err(ScopeError::Length);
        }
        // scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
        if let Some(character) = text.chars().find(|c| !matches!(c, '\x21' | '\x23'..='\x5B' | '\x5D'..='\x7E')) {
            return Err(ScopeError::Character { scope: text.to_owned(), character });
        }
        match text.split_once(':') {
            Some((prefix, subscope)) if !subscope.is_empty() => {
                prefix.parse::<Prefix>()?;
                Ok(Self(text.into()))
            }
            _ => Err(ScopeError::Shape(text.to_owned())),
        }
    }
}

/// Scopes in the order in which they were asked for, without repetition.
///
/// ```
/// use skybru_core::ScopeSet;
/// let scopes: ScopeSet = "b:2  a:1 b:2".parse().unwrap();
/// assert_eq!(scopes.to_string(), "b:2 a:1");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ScopeSet(Vec<ScopeName>);

impl ScopeSet {
    /// The most scopes that one token may carry.
    pub const MAX: usize = 20;

    /// The scopes, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ScopeName> {
        self.0.iter()
    }

    /// How many there are; never zero.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether `scope` is among them.
    pub fn contains(&self, scope: &ScopeName) -> bool {
        self.0.contains(scope)
    }
}

impl FromStr for ScopeSet {
    type Err = ScopeError;

    /// Splits on any run of ASCII whitespace. A comma does not separate.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut scopes: Vec<ScopeName> = Vec::new();
        for token in text.split_ascii_whitespace() {
            let scope = token.parse()?;
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
            if scopes.len() > Self::MAX {
                return Err(ScopeError::TooMany(Self::MAX));
            }
        }
        if scopes.is_empty() { Err(ScopeError::Empty) } else { Ok(Self(scopes)) }
    }
}

impl From<ScopeName> for ScopeSet {
    fn from(scope: ScopeName) -> Self {
        Self(vec![scope])
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, scope) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

crate::text_type!(Prefix, ScopeName, ScopeSet);

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ScopeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scopes_in_the_wild_parse() {
        for scope in [
            "entur:skyporten.demo",
            "entur:skyss.1",
            "altinn:serviceowners/read",
            "idporten:dcr/onbehalfof:write",
            "nav:arbeid/a.read",
            "difitest:test1",
        ] {
            assert!(scope.parse::<ScopeName>().is_ok(), "{scope}");
        }
    }

    #[test]
    fn a_comma_does_not_separate() {
        let scopes: ScopeSet = "a:1,b:2".parse().unwrap();
        assert_eq!(scopes.count(), 1, "it is one scope with a comma in its name");
    }

    #[test]
    fn wrong_scopes_say_why() {
        let error = |text: &str| text.parse::<ScopeName>().unwrap_err().to_string();
        assert_eq!(error("openid"), "\"openid\" is not a scope: expected prefix:name, like entur:skyporten.demo");
        assert_eq!(error("a:\"b"), "\"a:\\\"b\" is not a scope: character '\"' is not allowed");
        assert!(matches!("a:æ".parse::<ScopeName>(), Err(ScopeError::Character { character: 'æ', .. })));
        assert_eq!("  ".parse::<ScopeSet>(), Err(ScopeError::Empty));
        let many = (0..21).map(|n| format!("a:{n}")).collect::<Vec<_>>().join(" ");
        assert_eq!(many.parse::<ScopeSet>(), Err(ScopeError::TooMany(20)));
    }

    proptest! {
        #[test]
        fn printing_and_parsing_a_set_are_inverse(text in "[a-z]{1,5}:[a-z./]{1,9}( [a-z]{1,5}:[a-z./]{1,9}){0,5}") {
            let once: ScopeSet = text.parse().unwrap();
            prop_assert_eq!(&once.to_string().parse::<ScopeSet>().unwrap(), &once);
        }

        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = text.parse::<ScopeSet>();
        }
    }
}
