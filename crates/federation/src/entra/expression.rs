//! Expressions of flexible credentials: `claims['sub'] matches 'repo:org/*' and claims['ref'] eq 'main'` (E-6).
//!
//! Deliberately missing: whatever stands in no public description. `in` takes a list in brackets, `has` a text that a list claim has.

use serde_json::{Map, Value};

/// Why an expression cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not read as claims['NAME'] OPERATOR 'VALUE', joined by and")]
pub(super) struct ExpressionError(String);

/// An expression that was read: comparisons that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClaimsExpression(Vec<Comparison>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparison {
    claim: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Eq,
    StartsWith,
    Matches,
    In,
    Has,
}

impl ClaimsExpression {
    /// Reads an expression.
    pub(super) fn parse(text: &str) -> Result<Self, ExpressionError> {
        let mut rest = text.trim();
        let mut comparisons = Vec::new();
        loop {
            let (comparison, after) = comparison(rest).ok_or_else(|| ExpressionError(text.chars().take(200).collect()))?;
            comparisons.push(comparison);
            rest = after.trim_start();
            if rest.is_empty() {
                return Ok(Self(comparisons));
            }
            rest = word(rest, "and").ok_or_else(|| ExpressionError(text.chars().take(200).collect()))?.trim_start();
        }
    }

    /// Whether it holds for a token with these claims.
    pub(super) fn holds(&self, claims: &Map<String, Value>) -> bool {
        self.0.iter().all(|comparison| claims.get(&comparison.claim).is_some_and(|claim| comparison.holds(claim)))
    }
}

impl Comparison {
    fn holds(&self, claim: &Value) -> bool {
        let any = |holds: &dyn Fn(&str) -> bool| self.values.iter().any(|value| holds(value));
        match (claim, self.operator) {
            (Value::String(claim), Operator::Eq | Operator::In) => any(&|value| value == claim),
            (Value::String(claim), Operator::StartsWith) => any(&|value| claim.starts_with(value)),
            (Value::String(claim), Operator::Matches) => any(&|value| matches(value, claim)),
            (Value::Array(claims), Operator::Has) => any(&|value| claims.iter().any(|one| one.as_str() == Some(value))),
            _ => false,
        }
    }
}

/// `*` stands for any text, `?` for one character.
fn matches(pattern: &str, text: &str) -> bool {
    crate::aws::policy::glob_matches(pattern, text)
}

fn comparison(text: &str) -> Option<(Comparison, &str)> {
    let rest = word(text, "claims").unwrap_or(text).trim_start();
    let (claim, rest) = quoted(rest.strip_prefix('[')?.trim_start())?;
    let rest = rest.trim_start().strip_prefix(']')?;
    let operators = [
        ("eq", Operator::Eq),
        ("startswith", Operator::StartsWith),
        ("matches", Operator::Matches),
        ("in", Operator::In),
        ("has", Operator::Has),
    ];
    let (operator, rest) = operators.iter().find_map(|(name, operator)| Some((*operator, word(rest.trim_start(), name)?)))?;
    let (values, rest) = if operator == Operator::In {
        list(rest.trim_start())?
    } else {
        let (value, rest) = quoted(rest.trim_start())?;
        (vec![value], rest)
    };
    Some((Comparison { claim, operator, values }, rest))
}

/// What follows a word, whose case does not matter.
fn word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (first, rest) = text.split_at_checked(word.len())?;
    let ends = rest.chars().next().is_none_or(|next| !next.is_ascii_alphanumeric());
    (first.eq_ignore_ascii_case(word) && ends).then_some(rest)
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let (value, rest) = text.strip_prefix('\'')?.split_once('\'')?;
    Some((value.to_owned(), rest))
}

fn list(text: &str) -> Option<(Vec<String>, &str)> {
    let mut rest = text.strip_prefix('[')?.trim_start();
    let mut values = Vec::new();
    loop {
        let (value, after) = quoted(rest)?;
        values.push(value);
        let after = after.trim_start();
        match after.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None => return Some((values, after.strip_prefix(']')?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn holds(expression: &str) -> bool {
        let claims = json!({"sub": "repo:org/app:ref:refs/heads/main", "ref": "main", "groups": ["a", "b"]});
        ClaimsExpression::parse(expression).unwrap().holds(claims.as_object().unwrap())
    }

    /// E-6.
    #[test]
    fn each_operator_compares_as_its_name_says() {
        assert!(holds("claims['sub'] matches 'repo:org/*:ref:refs/heads/????'"));
        assert!(!holds("claims['sub'] matches 'repo:org/app'"), "a pattern is about the whole text");
        assert!(holds("claims['ref'] eq 'main' and claims['sub'] startswith 'repo:org/'"));
        assert!(!holds("claims['ref'] eq 'Main'"));
        assert!(holds("claims['ref'] in ['dev', 'main']") && !holds("claims['ref'] in ['dev']"));
        assert!(holds("claims['groups'] has 'b'") && !holds("claims['groups'] has 'c'"));
        assert!(!holds("claims['absent'] matches '*'"));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for text in [
            "",
            "claims['sub']",
            "claims['sub'] = 'x'",
            "claims['sub'] eq 'x' or claims['a'] eq 'b'",
            "claims['sub'] eq 'x",
            "claims['sub'] in []",
        ] {
            assert!(ClaimsExpression::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[claims\\[\\]' a-zæøå*?,=]{0,60}") {
            let _ = ClaimsExpression::parse(&text);
        }
    }
}
