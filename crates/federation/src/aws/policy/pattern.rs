//! Texts with `*` and `?`, and with `${variables}`.

use super::evaluate::Context;

/// One piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Exactly(char),
    AnyOne,
    AnyMany,
}

/// A text to compare with, its variables filled in. What a variable brings is never a wildcard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Piece>);

impl Pattern {
    /// Fills in `text`. `wildcards`: whether `*` and `?` mean anything; `variables`: whether `${…}` does.
    ///
    /// `None` when a variable has no value and no default: then nothing matches.
    pub(super) fn fill(text: &str, context: &Context, wildcards: bool, variables: bool) -> Option<Self> {
        let mut pieces = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            let inside = rest.strip_prefix("${").filter(|_| variables).and_then(|after| after.split_once('}'));
            if let Some((inside, after)) = inside {
                pieces.extend(variable(inside, context)?.chars().map(Piece::Exactly));
                rest = after;
                continue;
            }
            pieces.push(match character {
                '*' if wildcards => Piece::AnyMany,
                '?' if wildcards => Piece::AnyOne,
                other => Piece::Exactly(other),
            });
            rest = &rest[character.len_utf8()..];
        }
        Some(Self(pieces))
    }

    /// Cuts the pattern at its first `parts - 1` colons. What a variable brings may hold colons too; those inside `${…}` do not cut.
    pub(super) fn split_at_colons(&self, parts: usize) -> Vec<Self> {
        self.0.splitn(parts, |piece| *piece == Piece::Exactly(':')).map(|pieces| Self(pieces.to_vec())).collect()
    }

    /// A pattern without variables.
    pub(super) fn plain(text: &str) -> Self {
        let piece = |c| match c {
            '*' => Piece::AnyMany,
            '?' => Piece::AnyOne,
            other => Piece::Exactly(other),
        };
        Self(text.chars().map(piece).collect())
    }

    /// Whether the whole of `text` fits. Takes at most pattern × text steps, whatever they are: the last star is the only place to go
    /// back to.
    pub(super) fn matches(&self, text: &str, ignore_case: bool) -> bool {
        let text: Vec<char> = text.chars().collect();
        let fits = |piece: &Piece, c: char| match piece {
            Piece::AnyOne => true,
            Piece::Exactly(expected) if ignore_case => expected.to_lowercase().eq(c.to_lowercase()),
            Piece::Exactly(expected) => *expected == c,
            Piece::AnyMany => false,
        };
        let (mut place, mut at) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.0.get(place) {
                Some(Piece::AnyMany) => {
                    star = Some((place, at));
                    place += 1;
                }
                Some(piece) if fits(piece, text[at]) => {
                    place += 1;
                    at += 1;
                }
                _ => match star {
                    Some((back, from)) => {
                        star = Some((back, from + 1));
                        place = back + 1;
                        at = from + 1;
                    }
                    None => return false,
                },
            }
        }
        self.0[place..].iter().all(|piece| *piece == Piece::AnyMany)
    }
}

/// `${key}`, `${key, 'default'}`, and the three characters that need it: `${*}`, `${?}`, `${$}`.
fn variable(inside: &str, context: &Context) -> Option<String> {
    if matches!(inside, "*" | "?" | "$") {
        return Some(inside.to_owned());
    }
    let (key, default) = match inside.split_once(',') {
        Some((key, default)) => {
            let default = default.trim();
            (key.trim(), default.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')))
        }
        None => (inside.trim(), None),
    };
    match context.get(key) {
        Some([one]) => Some(one.clone()),
        // A key with several values cannot stand in a text.
        _ => default.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::plain(pattern).matches(text, false)
    }

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text) in [("*", ""), ("a*c", "abbc"), ("a*", "a"), ("?b", "ab"), ("*.no/*", "x.no/y"), ("a*b*c", "a1b2b3c")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a?", "a"), ("a*c", "abcd"), ("A", "a"), ("?", "")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        assert!(!matches(&"*a".repeat(100), &"a".repeat(99).replace('a', "b").repeat(20)));
    }

    #[test]
    fn what_a_variable_brings_is_no_wildcard() {
        let mut context = Context::default();
        context.set("aws:PrincipalTag/org", ["*"]);
        let fill = |text: &str| Pattern::fill(text, &context, true, true);
        assert!(!fill("x/${aws:PrincipalTag/org}/*").unwrap().matches("x/y/z", false));
        assert!(fill("x/${aws:PrincipalTag/org}/*").unwrap().matches("x/*/z", false));
        assert_eq!(fill("${aws:username}"), None, "no value, no match");
        assert!(fill("${aws:username, 'me'}").unwrap().matches("me", false));
        assert!(fill("a${*}").unwrap().matches("a*", false) && !fill("a${*}").unwrap().matches("ab", false));
    }

    proptest! {
        #[test]
        fn a_text_matches_itself_and_never_panics(pattern in "\\PC{0,30}", text in "\\PC{0,30}") {
            let _ = matches(&pattern, &text);
            let literal: String = text.chars().filter(|c| !matches!(c, '*' | '?')).collect();
            prop_assert!(matches(&literal, &literal));
        }
    }
}
