//! Values of queries: what compares with what, and how.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Microseconds since 1970.
    Time(i64),
    Text(String),
}

impl Cell {
    /// A stored value of a column's type. One that does not fit its type stays a text.
    pub(super) fn of(value: &Value, kind: &str) -> Self {
        let text = match value {
            Value::Null => return Self::Null,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let typed = match kind.to_ascii_uppercase().as_str() {
            "INTEGER" | "INT64" => text.parse().ok().map(Self::Int),
            "FLOAT" | "FLOAT64" | "NUMERIC" | "BIGNUMERIC" => text.parse().ok().map(Self::Float),
            "BOOLEAN" | "BOOL" => text.to_ascii_lowercase().parse().ok().map(Self::Bool),
            "TIMESTAMP" => micros(&text).map(Self::Time),
            _ => None,
        };
        typed.unwrap_or(Self::Text(text))
    }

    /// A number as it is written.
    pub(super) fn number(text: &str) -> Option<Self> {
        text.parse().map(Self::Int).ok().or_else(|| text.parse().ok().filter(|number: &f64| number.is_finite()).map(Self::Float))
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null | Self::Int(_) => "INTEGER",
            Self::Bool(_) => "BOOLEAN",
            Self::Float(_) => "FLOAT",
            Self::Time(_) => "TIMESTAMP",
            Self::Text(_) => "STRING",
        }
    }

    /// As it is kept in a table.
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::Time(micros) => Timestamp::from_microsecond(*micros).map_or(Value::Null, |time| time.to_string().into()),
            Self::Text(text) => text.as_str().into(),
        }
    }

    /// `None` for values of kinds that do not compare. A text beside a time is read as one.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        #[expect(clippy::cast_precision_loss, reason = "as BigQuery coerces INT64 to FLOAT64")]
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => Some(one.cmp(other)),
            (Self::Int(one), Self::Int(other)) | (Self::Time(one), Self::Time(other)) => Some(one.cmp(other)),
            (Self::Float(one), Self::Float(other)) => one.partial_cmp(other),
            (Self::Int(one), Self::Float(other)) => (*one as f64).partial_cmp(other),
            (Self::Float(one), Self::Int(other)) => one.partial_cmp(&(*other as f64)),
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            (Self::Time(one), Self::Text(text)) => Some(one.cmp(&micros(text)?)),
            (Self::Text(text), Self::Time(other)) => Some(micros(text)?.cmp(other)),
            _ => None,
        }
    }

    /// `NOT`; of NULL it is NULL.
    pub(super) fn not(self) -> Self {
        if let Self::Bool(value) = self { Self::Bool(!value) } else { Self::Null }
    }

    /// `AND`: false wins over NULL.
    pub(super) fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Bool(false), _) | (_, Self::Bool(false)) => Self::Bool(false),
            (Self::Bool(true), Self::Bool(true)) => Self::Bool(true),
            _ => Self::Null,
        }
    }

    /// `OR`: true wins over NULL.
    pub(super) fn or(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Bool(true), _) | (_, Self::Bool(true)) => Self::Bool(true),
            (Self::Bool(false), Self::Bool(false)) => Self::Bool(false),
            _ => Self::Null,
        }
    }

    /// With a minus before it.
    pub(super) fn negative(self) -> Option<Self> {
        match self {
            Self::Int(number) => number.checked_neg().map(Self::Int),
            Self::Float(number) => Some(Self::Float(-number)),
            _ => None,
        }
    }
}

/// Sum or mean of numbers; NULL of none. `None` for what is no number, or too large for one.
pub(super) fn sum(cells: &[Cell], mean: bool) -> Option<Value> {
    if cells.is_empty() {
        return Some(Value::Null);
    }
    let whole: Option<Vec<i64>> =
        cells.iter().map(|cell| if let Cell::Int(number) = cell { Some(*number) } else { None }).collect();
    if let (Some(whole), false) = (whole, mean) {
        return whole.into_iter().try_fold(0_i64, i64::checked_add).map(Value::from);
    }
    #[expect(clippy::cast_precision_loss, reason = "as BigQuery coerces INT64 to FLOAT64")]
    let number = |cell: &Cell| match cell {
        Cell::Int(number) => Some(*number as f64),
        Cell::Float(number) => Some(*number),
        _ => None,
    };
    let total: f64 = cells.iter().map(number).sum::<Option<f64>>()?;
    #[expect(clippy::cast_precision_loss, reason = "no table has so many rows")]
    let total = if mean { total / cells.len() as f64 } else { total };
    Some(total.into())
}

/// A time as it is inserted: with a zone, `UTC`, or without one, which means UTC; or a day.
pub(crate) fn micros(text: &str) -> Option<i64> {
    let text = text.trim().trim_end_matches(" UTC").replacen(' ', "T", 1);
    let zoned = |text: &str| text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond);
    zoned(&text).or_else(|| zoned(&format!("{text}Z"))).or_else(|| zoned(&format!("{text}T00:00:00Z")))
}

/// `LIKE`: `%` for any characters, `_` for one. Takes at most text × pattern steps: the last `%` is the only place to go back to.
pub(super) fn like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut place, mut back) = (0, 0, None);
    while at < text.len() {
        match pattern.get(place) {
            Some('%') => {
                back = Some((place, at));
                place += 1;
            }
            Some(one) if *one == '_' || *one == text[at] => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((star, from)) = back else { return false };
                back = Some((star, from + 1));
                (at, place) = (from + 1, star + 1);
            }
        }
    }
    pattern[place..].iter().all(|one| *one == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_knows_any_and_one() {
        for (text, pattern) in
            [("abc", "abc"), ("abc", "%"), ("abc", "a%"), ("abc", "%c"), ("abc", "_b_"), ("aXbXc", "a%b%c"), ("", "%")]
        {
            assert!(like(text, pattern), "{text} {pattern}");
        }
        for (text, pattern) in [("abc", "ab"), ("abc", "_"), ("abc", "b%"), ("", "_"), ("abc", "a_")] {
            assert!(!like(text, pattern), "{text} {pattern}");
        }
    }

    #[test]
    fn times_are_read_as_they_are_inserted() {
        let noon = micros("2026-01-01T12:00:00Z").unwrap();
        for text in ["2026-01-01 12:00:00 UTC", "2026-01-01 12:00:00", "2026-01-01T14:00:00+02:00"] {
            assert_eq!(micros(text), Some(noon), "{text}");
        }
        assert_eq!(micros("2026-01-01"), micros("2026-01-01T00:00:00Z"));
        assert_eq!(micros("noon"), None);
    }
}
