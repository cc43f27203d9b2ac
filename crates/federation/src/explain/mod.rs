//! From an error text to the mistakes that it points to.
//!
//! After D-99: codes come first where there are any, then a stable fragment, never the whole sentence. Whitespace is collapsed (A-32 has
//! two blanks on the wire and one in every terminal, Entra writes `\r\n`), case does not matter, old and new wordings count. Each cloud
//! keeps the list of its own texts beside its rules; the issuer's stands here.

mod issuer;

use serde::Serialize;

/// Who speaks in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// The issuer that was asked for a token.
    Issuer,
    /// AWS, or a tool of AWS's.
    Aws,
    /// Google Cloud, or a tool of Google's.
    Google,
    /// Entra, Azure, or a tool of theirs.
    Azure,
}

/// What a text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Who says it.
    pub speaker: Speaker,
    /// The speaker's rule, such as `A-41`, `G-36`, `E-33` or `MP-121`.
    pub rule: &'static str,
    /// What the speaker means, in half a sentence.
    pub meaning: &'static str,
    /// Rules of the catalogue, the likeliest first. Empty where no mistake of the catalogue leads here.
    pub mistakes: &'static [&'static str],
}

/// One line of a list of texts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownText {
    /// All of these must be in the text, in lower case and with single blanks.
    pub(crate) fragments: &'static [&'static str],
    /// The speaker's rule.
    pub(crate) rule: &'static str,
    /// What it means.
    pub(crate) meaning: &'static str,
    /// Rules of the catalogue.
    pub(crate) mistakes: &'static [&'static str],
}

/// Shorthand for lists.
pub(crate) const fn known(
    fragments: &'static [&'static str],
    rule: &'static str,
    meaning: &'static str,
    mistakes: &'static [&'static str],
) -> KnownText {
    KnownText { fragments, rule, meaning, mistakes }
}

/// An error text, made comparable.
#[derive(Debug, Clone)]
pub(crate) struct ErrorText(String);

impl ErrorText {
    /// Lower case, single blanks, straight apostrophes, quotation marks as they are outside JSON.
    pub(crate) fn new(text: &str) -> Self {
        let text = text.replace("\\r\\n", " ").replace("\\\"", "\"").replace('’', "'").to_lowercase();
        Self(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// Whether `fragment`, itself in lower case, is in it.
    pub(crate) fn contains(&self, fragment: &str) -> bool {
        self.0.contains(fragment)
    }

    /// The digits after the first of `prefix`, such as those of `aadsts700212` or `mp-121`.
    pub(crate) fn code_after(&self, prefix: &str) -> Option<&str> {
        self.0.match_indices(prefix).find_map(|(place, _)| {
            let rest = &self.0[place + prefix.len()..];
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            (end > 0).then(|| &rest[..end])
        })
    }

    /// The first line of `list` that fits.
    pub(crate) fn find(&self, speaker: Speaker, list: &[KnownText]) -> Option<Explanation> {
        let fits = |line: &&KnownText| line.fragments.iter().all(|fragment| self.contains(fragment));
        list.iter().find(fits).map(|line| Explanation {
            speaker,
            rule: line.rule,
            meaning: line.meaning,
            mistakes: line.mistakes,
        })
    }
}

/// How each speaker recognises its own texts.
const SPEAKERS: [fn(&ErrorText) -> Option<Explanation>; 4] =
    [issuer::explain, crate::aws::explain_text, crate::google::explain_text, crate::entra::explain_text];

/// What a text says, for each speaker that could have said it; empty when nobody's text is known.
///
/// ```
/// use skybru_federation::explain_error;
/// let said = explain_error("An error occurred (InvalidIdentityToken): Incorrect  token\naudience");
/// assert_eq!((said[0].rule, said[0].mistakes[0]), ("A-41", "D-22"));
/// assert!(explain_error("it is raining").is_empty());
/// ```
pub fn explain_error(text: &str) -> Vec<Explanation> {
    let text = ErrorText::new(text);
    SPEAKERS.iter().filter_map(|explain| explain(&text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_wherever_it_stands() {
        let text = ErrorText::new("ClientAuthenticationError: AADSTS… no: AADSTS700212: No matching\\r\\nTrace ID");
        assert_eq!(text.code_after("aadsts"), Some("700212"));
        assert!(text.contains("matching trace id"));
        assert_eq!(text.code_after("mp-"), None);
    }

    #[test]
    fn fragments_are_written_as_they_are_looked_for() {
        for line in issuer::TEXTS.iter().chain(crate::aws::TEXTS).chain(crate::google::TEXTS).chain(crate::entra::TEXTS) {
            for fragment in line.fragments {
                assert_eq!(ErrorText::new(fragment).0, *fragment, "{}", line.rule);
            }
        }
    }

    #[test]
    fn each_mistake_is_in_the_catalogue() {
        for line in issuer::TEXTS.iter().chain(crate::aws::TEXTS).chain(crate::google::TEXTS).chain(crate::entra::TEXTS) {
            for rule in line.mistakes {
                assert!(crate::catalogue::entry(rule).is_some(), "{rule} of {}", line.rule);
            }
        }
    }
}
