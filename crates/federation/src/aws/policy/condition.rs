//! Conditions: operator, key, values.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;

use super::evaluate::Context;
use super::pattern::Pattern;
use crate::aws::AwsError;

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    Numeric(Order),
    Date(Order),
    Bool,
    BinaryEquals,
    IpAddress,
    ArnLike,
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How several values of a key are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantifier {
    /// The key has one value.
    Single,
    /// One value that fits is enough; none is not (`ForAnyValue:`).
    Any,
    /// Every value must fit; **none fits always** (`ForAllValues:`).
    All,
}

/// An operator such as `ForAnyValue:StringNotLikeIfExists`, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operator {
    comparison: Comparison,
    negated: bool,
    if_exists: bool,
    quantifier: Quantifier,
}

impl Operator {
    fn parse(text: &str) -> Option<Self> {
        let (quantifier, rest) = match text.split_once(':') {
            Some(("ForAnyValue", rest)) => (Quantifier::Any, rest),
            Some(("ForAllValues", rest)) => (Quantifier::All, rest),
            Some(_) => return None,
            None => (Quantifier::Single, text),
        };
        let (name, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |name| (name, true));
        let (comparison, negated) = match name {
            "StringEquals" => (Comparison::StringEquals, false),
            "StringNotEquals" => (Comparison::StringEquals, true),
            "StringEqualsIgnoreCase" => (Comparison::StringEqualsIgnoreCase, false),
            "StringNotEqualsIgnoreCase" => (Comparison::StringEqualsIgnoreCase, true),
            "StringLike" => (Comparison::StringLike, false),
            "StringNotLike" => (Comparison::StringLike, true),
            "NumericEquals" => (Comparison::Numeric(Order::Equal), false),
            "NumericNotEquals" => (Comparison::Numeric(Order::Equal), true),
            "NumericLessThan" => (Comparison::Numeric(Order::Less), false),
            "NumericLessThanEquals" => (Comparison::Numeric(Order::LessOrEqual), false),
            "NumericGreaterThan" => (Comparison::Numeric(Order::Greater), false),
            "NumericGreaterThanEquals" => (Comparison::Numeric(Order::GreaterOrEqual), false),
            "DateEquals" => (Comparison::Date(Order::Equal), false),
            "DateNotEquals" => (Comparison::Date(Order::Equal), true),
            "DateLessThan" => (Comparison::Date(Order::Less), false),
            "DateLessThanEquals" => (Comparison::Date(Order::LessOrEqual), false),
            "DateGreaterThan" => (Comparison::Date(Order::Greater), false),
            "DateGreaterThanEquals" => (Comparison::Date(Order::GreaterOrEqual), false),
            "Bool" => (Comparison::Bool, false),
            "BinaryEquals" => (Comparison::BinaryEquals, false),
            "IpAddress" => (Comparison::IpAddress, false),
            "NotIpAddress" => (Comparison::IpAddress, true),
            "ArnEquals" | "ArnLike" => (Comparison::ArnLike, false),
            "ArnNotEquals" | "ArnNotLike" => (Comparison::ArnLike, true),
            "Null" if !if_exists && quantifier == Quantifier::Single => (Comparison::Null, false),
            _ => return None,
        };
        Some(Self { comparison, negated, if_exists, quantifier })
    }

    /// Whether the operator holds when the key is absent: a silent hole in a trust policy.
    pub fn holds_when_absent(self) -> bool {
        match self.quantifier {
            Quantifier::All => true,
            Quantifier::Any => self.if_exists,
            Quantifier::Single => self.if_exists || self.negated,
        }
    }

    /// Whether it asks for something else than the values.
    pub fn is_negated(self) -> bool {
        self.negated
    }

    /// Whether `*` and `?` in its values mean anything (A-79: in `StringEquals` they do not).
    pub fn has_wildcards(self) -> bool {
        matches!(self.comparison, Comparison::StringLike | Comparison::ArnLike)
    }

    /// Whether it compares the texts themselves.
    pub fn compares_text(self) -> bool {
        matches!(self.comparison, Comparison::StringEquals | Comparison::StringEqualsIgnoreCase | Comparison::StringLike)
    }

    /// Whether upper and lower case are the same to it.
    pub fn ignores_case(self) -> bool {
        self.comparison == Comparison::StringEqualsIgnoreCase
    }

    /// How it takes several values.
    pub fn quantifier(self) -> Quantifier {
        self.quantifier
    }
}

/// One condition. All of a statement's must hold; of its own values one is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The operator as written.
    pub operator: String,
    /// The key as written.
    pub key: String,
    /// The values as written.
    pub values: Vec<String>,
    parsed: Operator,
}

impl Condition {
    pub(super) fn new(operator: &str, key: &str, values: Vec<String>) -> Result<Self, AwsError> {
        let parsed = Operator::parse(operator)
            .ok_or_else(|| AwsError::malformed_policy(format!("Invalid Condition type : {operator}")))?;
        if !key.contains(':') {
            let message = format!("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc. Found: {key}");
            return Err(AwsError::malformed_policy(message));
        }
        Ok(Self { operator: operator.to_owned(), key: key.to_owned(), values, parsed })
    }

    /// The operator, taken apart.
    pub fn parsed(&self) -> Operator {
        self.parsed
    }

    /// Whether it holds in `context`.
    pub(in crate::aws) fn holds(&self, context: &Context, variables: bool) -> bool {
        let operator = self.parsed;
        let present = context.get(&self.key);
        if operator.comparison == Comparison::Null {
            let absent = present.is_none();
            return self.values.iter().any(|value| value.eq_ignore_ascii_case(if absent { "true" } else { "false" }));
        }
        let Some(found) = present.filter(|found| !found.is_empty()) else { return operator.holds_when_absent() };
        let fits = |found: &String| {
            let equal = self.values.iter().any(|value| compare(operator.comparison, value, found, context, variables));
            equal != operator.negated
        };
        match operator.quantifier {
            Quantifier::Single if operator.negated => found.iter().all(fits),
            Quantifier::Single | Quantifier::Any => found.iter().any(fits),
            Quantifier::All => found.iter().all(fits),
        }
    }
}

fn compare(comparison: Comparison, expected: &str, found: &str, context: &Context, variables: bool) -> bool {
    let text = |wildcards, ignore_case| {
        Pattern::fill(expected, context, wildcards, variables).is_some_and(|pattern| pattern.matches(found, ignore_case))
    };
    match comparison {
        Comparison::StringEquals | Comparison::BinaryEquals => text(false, false),
        Comparison::StringEqualsIgnoreCase => text(false, true),
        Comparison::StringLike => text(true, false),
        Comparison::Bool => expected.eq_ignore_ascii_case(found),
        Comparison::Numeric(order) => match (expected.parse::<f64>(), found.parse::<f64>()) {
            (Ok(expected), Ok(found)) => ordered(order, found.partial_cmp(&expected)),
            _ => false,
        },
        Comparison::Date(order) => match (date(expected), date(found)) {
            (Some(expected), Some(found)) => ordered(order, Some(found.cmp(&expected))),
            _ => false,
        },
        Comparison::IpAddress => match (expected.parse::<IpNet>(), found.parse::<IpAddr>()) {
            (Ok(range), Ok(address)) => range.contains(&address),
            (Err(_), Ok(address)) => expected.parse() == Ok(address),
            _ => false,
        },
        Comparison::ArnLike => arn_like(expected, found, context, variables),
        Comparison::Null => false,
    }
}

fn ordered(order: Order, found: Option<std::cmp::Ordering>) -> bool {
    let Some(found) = found else { return false };
    match order {
        Order::Equal => found.is_eq(),
        Order::Less => found.is_lt(),
        Order::LessOrEqual => found.is_le(),
        Order::Greater => found.is_gt(),
        Order::GreaterOrEqual => found.is_ge(),
    }
}

/// An instant in ISO 8601 form, a date, or seconds since 1970.
fn date(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Timestamp::from_second(seconds).ok();
    }
    text.parse().ok().or_else(|| {
        let date: jiff::civil::Date = text.parse().ok()?;
        Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })
}

/// The six parts of an ARN are compared one by one, so that a star does not reach into the next part. The pattern is cut after its
/// variables are filled in, because `${aws:…}` has a colon itself.
fn arn_like(expected: &str, found: &str, context: &Context, variables: bool) -> bool {
    let Some(expected) = Pattern::fill(expected, context, true, variables) else { return false };
    let (expected, found) = (expected.split_at_colons(6), found.splitn(6, ':').collect::<Vec<_>>());
    expected.len() == found.len() && expected.iter().zip(found).all(|(expected, found)| expected.matches(found, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(operator: &str, values: &[&str], found: Option<&[&str]>) -> bool {
        let mut context = Context::default();
        if let Some(found) = found {
            context.set("a:Key", found.iter().copied());
        }
        let values = values.iter().map(|v| (*v).to_owned()).collect();
        Condition::new(operator, "A:key", values).unwrap().holds(&context, true)
    }

    /// every operator, what it takes and what it does not.
    #[test]
    fn each_operator_compares_as_documented() {
        for (operator, value, yes, no) in [
            ("StringEquals", "a*", "a*", "ab"),
            ("StringNotEquals", "a", "b", "a"),
            ("StringEqualsIgnoreCase", "AbC", "aBc", "x"),
            ("StringNotEqualsIgnoreCase", "A", "b", "a"),
            ("StringLike", "0192:*;entur:?", "0192:1;entur:x", "0193:1;entur:x"),
            ("StringNotLike", "a*", "b", "ab"),
            ("NumericEquals", "5", "5.0", "6"),
            ("NumericNotEquals", "5", "6", "5"),
            ("NumericLessThan", "5", "4", "5"),
            ("NumericLessThanEquals", "5", "5", "6"),
            ("NumericGreaterThan", "5", "6", "5"),
            ("NumericGreaterThanEquals", "5", "5", "4"),
            ("DateEquals", "2026-01-01T00:00:00Z", "1767225600", "1767225601"),
            ("DateNotEquals", "2026-01-01T00:00:00Z", "1767225601", "1767225600"),
            ("DateLessThan", "2026-01-01", "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z"),
            ("DateLessThanEquals", "2026-01-01", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"),
            ("DateGreaterThan", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z"),
            ("DateGreaterThanEquals", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z"),
            ("Bool", "true", "True", "false"),
            ("BinaryEquals", "QUJD", "QUJD", "QUJE"),
            ("IpAddress", "10.0.0.0/8", "10.1.2.3", "11.0.0.1"),
            ("IpAddress", "2001:db8::/32", "2001:db8::1", "10.0.0.1"),
            ("NotIpAddress", "10.0.0.1", "10.0.0.2", "10.0.0.1"),
            ("ArnLike", "arn:aws:iam::*:role/*", "arn:aws:iam::1:role/x", "arn:aws:sts::1:role/x"),
            ("ArnEquals", "arn:aws:s3:::b*", "arn:aws:s3:::bucket", "arn:aws:s3:::c"),
            ("ArnNotEquals", "arn:aws:s3:::b", "arn:aws:s3:::c", "arn:aws:s3:::b"),
            ("ArnNotLike", "arn:aws:s3:::b*", "arn:aws:s3:::c", "arn:aws:s3:::bb"),
        ] {
            assert!(holds(operator, &[value], Some(&[yes])), "{operator} {value} should take {yes}");
            assert!(!holds(operator, &[value], Some(&[no])), "{operator} {value} should not take {no}");
        }
    }

    ///
    #[test]
    fn an_absent_key_fails_unless_negated_if_exists_or_for_all() {
        assert!(!holds("StringEquals", &["a"], None));
        assert!(!holds("ForAnyValue:StringEquals", &["a"], None));
        for hole in ["StringEqualsIfExists", "StringNotEquals", "ForAllValues:StringEquals", "ForAnyValue:StringEqualsIfExists"] {
            assert!(holds(hole, &["a"], None), "{hole}");
        }
        assert!(holds("Null", &["true"], None) && !holds("Null", &["false"], None));
        assert!(holds("Null", &["false"], Some(&["a"])) && !holds("Null", &["true"], Some(&["a"])));
    }

    ///
    #[test]
    fn several_values_are_taken_by_quantifier() {
        assert!(holds("ForAnyValue:StringEquals", &["a", "b"], Some(&["x", "b"])));
        assert!(!holds("ForAllValues:StringEquals", &["a", "b"], Some(&["x", "b"])));
        assert!(holds("ForAllValues:StringEquals", &["a", "b"], Some(&["a", "b", "a"])));
        assert!(!holds("StringNotEquals", &["a", "b"], Some(&["b"])), "neither one nor the other");
        assert!(holds("StringEquals", &["a", "b"], Some(&["b"])), "one or the other");
    }
}
