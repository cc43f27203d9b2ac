//! What the doctor says.

use serde::Serialize;

use crate::lint::Effect;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works, but should be better.
    Advice,
    /// It works today and will not tomorrow, or not at another cloud.
    Warning,
    /// It does not work, or it lets in who should stay out.
    Error,
}

/// Who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// Whoever runs the issuer.
    Issuer,
    /// Whoever shares the data.
    Provider,
    /// Whoever reads it.
    Consumer,
}

/// One thing that is wrong, where, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule, such as `D-23`.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Who can mend it.
    pub who: Who,
    /// What is wrong, in one sentence.
    pub what: String,
    /// What should have been there.
    pub expected: Option<String>,
    /// What was there.
    pub found: Option<String>,
    /// The command or edit that mends it.
    pub fix: String,
    /// What each cloud makes of it, where it is not about one of them alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clouds: Vec<Effect>,
}

impl Finding {
    /// An error; change it with the methods below.
    pub fn new(rule: &'static str, who: Who, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            rule,
            severity: Severity::Error,
            who,
            what: what.into(),
            expected: None,
            found: None,
            fix: fix.into(),
            clouds: Vec::new(),
        }
    }

    /// With another severity.
    #[must_use]
    pub fn severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// With what should have been there, and what was.
    #[must_use]
    pub fn compared(self, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { expected: Some(expected.into()), found: Some(found.into()), ..self }
    }
}

/// The place, in characters from 0, where two texts begin to differ; `None` when they are equal.
///
/// ```
/// assert_eq!(skybru_federation::difference("https://a.no", "https://a.no/"), Some(12));
/// assert_eq!(skybru_federation::difference("a", "a"), None);
/// ```
pub fn difference(one: &str, other: &str) -> Option<usize> {
    let (mut left, mut right) = (one.chars(), other.chars());
    let mut place = 0;
    loop {
        match (left.next(), right.next()) {
            (None, None) => return None,
            (a, b) if a == b => place += 1,
            _ => return Some(place),
        }
    }
}
