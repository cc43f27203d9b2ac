//! Attribute mapping and condition (G-8 to G-13): what a token becomes, and whether it is taken.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::StsError;
use super::cel::{EvaluationError, Expression, ExpressionError, MAX_CONDITION_LENGTH, MAX_MAPPING_LENGTH};
use super::principal::FederatedIdentity;
use super::provider::Provider;

/// G-9: bytes of `google.subject`.
pub const MAX_SUBJECT_BYTES: usize = 127;
/// G-8: attributes of one's own.
const MAX_CUSTOM: usize = 50;
/// G-8: characters of a key.
const MAX_KEY: usize = 100;
/// G-13: groups. The number is Google's documented quota for workforce pools; for workload pools it is unconfirmed.
const MAX_GROUPS: usize = 400;

const SUBJECT: &str = "google.subject";
const GROUPS: &str = "google.groups";
/// What else a workforce pool may map; none of them can be bound (G-8).
const WORKFORCE_KEYS: [&str; 3] = ["google.display_name", "google.profile_photo", "google.posix_username"];

/// Why a mapping or a condition is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// G-8.
    #[error("The attribute mapping must contain google.subject.")]
    NoSubject,
    /// G-8.
    #[error(
        "Invalid attribute mapping key {0:?}: expected google.subject, google.groups or attribute.NAME with NAME of [a-z0-9_]."
    )]
    Key(String),
    /// G-8.
    #[error("The attribute mapping has {0} custom attributes; at most {MAX_CUSTOM} are allowed.")]
    TooMany(usize),
    /// G-9, G-10, G-11.
    #[error("Invalid mapped expression of {key}: {problem}.")]
    Expression {
        /// Which key.
        key: String,
        /// What is wrong.
        problem: ExpressionError,
    },
    /// G-9, G-10, G-11.
    #[error("Invalid attribute condition: {0}.")]
    Condition(ExpressionError),
}

impl MappingError {
    /// The rule that it follows.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::NoSubject | Self::Key(_) | Self::TooMany(_) => "G-8",
            Self::Expression { problem, .. } | Self::Condition(problem) => match problem {
                ExpressionError::TooLong { .. } => "G-9",
                ExpressionError::UnknownFunction(_) => "G-11",
                _ => "G-10",
            },
        }
    }
}

/// Why a token gives no attributes, or is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MappingRefusal {
    /// An expression gave nothing, or not a text (G-12, G-32).
    Unmappable {
        /// Which key.
        key: String,
        /// The expression.
        expression: String,
        /// What happened.
        problem: String,
    },
    /// Too large (G-13, G-41).
    TooLarge {
        /// Which key; empty for all of them together.
        key: String,
        /// Its size in bytes, or the number of groups.
        size: usize,
    },
    /// The condition is false, or could not be evaluated (G-31).
    Condition {
        /// The condition.
        expression: String,
        /// Why it could not be evaluated; `None` when it is false.
        problem: Option<String>,
    },
}

/// A provider's mapping and condition, ready to be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    expressions: BTreeMap<String, Expression>,
    condition: Option<Expression>,
    workforce: bool,
}

impl Mapping {
    /// Reads a provider's expressions.
    pub fn compile(provider: &Provider) -> Result<Self, MappingError> {
        let workforce = provider.name.pool.is_workforce();
        let custom = provider.attribute_mapping.keys().filter(|key| key.starts_with("attribute.")).count();
        if custom > MAX_CUSTOM {
            return Err(MappingError::TooMany(custom));
        }
        let mut expressions = BTreeMap::new();
        for (key, source) in &provider.attribute_mapping {
            if !is_key(key, workforce) {
                return Err(MappingError::Key(key.chars().take(MAX_KEY + 20).collect()));
            }
            let expression = Expression::parse(source, MAX_MAPPING_LENGTH, &["assertion"])
                .map_err(|problem| MappingError::Expression { key: key.clone(), problem })?;
            expressions.insert(key.clone(), expression);
        }
        if !expressions.contains_key(SUBJECT) {
            return Err(MappingError::NoSubject);
        }
        let condition = provider.attribute_condition.as_deref().filter(|condition| !condition.trim().is_empty());
        let condition = condition
            .map(|source| Expression::parse(source, MAX_CONDITION_LENGTH, &["assertion", "google", "attribute"]))
            .transpose()
            .map_err(MappingError::Condition)?;
        Ok(Self { expressions, condition, workforce })
    }

    pub(crate) fn expression(&self, key: &str) -> Option<&Expression> {
        self.expressions.get(key)
    }

    pub(crate) fn condition(&self) -> Option<&Expression> {
        self.condition.as_ref()
    }

    /// What the claims become. The condition is not looked at.
    pub fn apply(&self, claims: &Value) -> Result<Attributes, MappingRefusal> {
        let names = BTreeMap::from([("assertion", claims)]);
        let mut attributes = Attributes::default();
        // The subject first: it is the one that Google names.
        let order = self.expressions.iter().filter(|(key, _)| *key == SUBJECT);
        for (key, expression) in order.chain(self.expressions.iter().filter(|(key, _)| *key != SUBJECT)) {
            let unmappable = |problem: String| MappingRefusal::Unmappable {
                key: key.clone(),
                expression: expression.source().to_owned(),
                problem,
            };
            let value = expression.evaluate(&names).map_err(|error| unmappable(error.to_string()))?;
            if key == GROUPS {
                attributes.groups = texts(&value).ok_or_else(|| unmappable("it gives no list of texts".to_owned()))?;
                continue;
            }
            let Value::String(text) = value else {
                return Err(unmappable(format!("it gives {}, and a text is needed", kind(&value))));
            };
            if key == SUBJECT {
                if text.is_empty() {
                    return Err(unmappable("it gives an empty text".to_owned()));
                }
                attributes.subject = text;
            } else {
                attributes.others.insert(key.clone(), text);
            }
        }
        self.check_sizes(&attributes)?;
        Ok(attributes)
    }

    /// G-9, G-13, G-41.
    fn check_sizes(&self, attributes: &Attributes) -> Result<(), MappingRefusal> {
        let too_large = |key: &str, size| Err(MappingRefusal::TooLarge { key: key.to_owned(), size });
        if attributes.subject.len() > MAX_SUBJECT_BYTES {
            return too_large(SUBJECT, attributes.subject.len());
        }
        if attributes.groups.len() > MAX_GROUPS {
            return too_large(GROUPS, attributes.groups.len());
        }
        for (key, most) in [("google.display_name", 100), ("google.posix_username", 32)] {
            if let Some(text) = attributes.others.get(key).filter(|text| text.len() > most) {
                return too_large(key, text.len());
            }
        }
        let others = attributes.others.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        let all = attributes.subject.len() + attributes.groups.iter().map(String::len).sum::<usize>() + others;
        // G-9: the workforce limit is 4 KB in the API's text and 16 KB in what it answers.
        let most = if self.workforce { 16 * 1024 } else { 8 * 1024 };
        if all > most { too_large("", all) } else { Ok(()) }
    }

    /// G-10, G-31: whether the condition holds; without one everything is taken.
    pub fn check_condition(&self, claims: &Value, attributes: &Attributes) -> Result<(), MappingRefusal> {
        let Some(condition) = &self.condition else { return Ok(()) };
        let (google, attribute) = attributes.as_variables();
        let names = BTreeMap::from([("assertion", claims), ("google", &google), ("attribute", &attribute)]);
        let refused = |problem: Option<String>| MappingRefusal::Condition { expression: condition.source().to_owned(), problem };
        match condition.evaluate(&names) {
            Ok(Value::Bool(true)) => Ok(()),
            Ok(Value::Bool(false)) => Err(refused(None)),
            Ok(other) => Err(refused(Some(format!("it gives {}, and a truth value is needed", kind(&other))))),
            Err(error @ (EvaluationError::Failed(_) | EvaluationError::TooCostly)) => Err(refused(Some(error.to_string()))),
        }
    }
}

/// What a token became.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `google.subject`.
    pub subject: String,
    /// `google.groups`.
    pub groups: Vec<String>,
    /// Everything else, by its whole key.
    pub others: BTreeMap<String, String>,
}

impl Attributes {
    /// Who it is, seen from the pool.
    pub fn identity(&self, provider: &Provider) -> FederatedIdentity {
        let custom =
            self.others.iter().filter_map(|(key, value)| Some((key.strip_prefix("attribute.")?.to_owned(), value.clone())));
        FederatedIdentity {
            pool: provider.name.pool.clone(),
            subject: self.subject.clone(),
            groups: self.groups.clone(),
            attributes: custom.collect(),
        }
    }

    fn as_variables(&self) -> (Value, Value) {
        let mut google = Map::from_iter([
            ("subject".to_owned(), Value::from(self.subject.as_str())),
            ("groups".to_owned(), Value::from(self.groups.clone())),
        ]);
        let mut attribute = Map::new();
        for (key, value) in &self.others {
            if let Some(name) = key.strip_prefix("attribute.") {
                attribute.insert(name.to_owned(), Value::from(value.as_str()));
            } else if let Some(name) = key.strip_prefix("google.") {
                google.insert(name.to_owned(), Value::from(value.as_str()));
            }
        }
        (Value::Object(google), Value::Object(attribute))
    }
}

impl MappingRefusal {
    /// What STS says of it.
    pub fn error(&self, workforce: bool) -> StsError {
        match self {
            Self::Condition { .. } => {
                let description = "The given credential is rejected by the attribute condition.";
                StsError::new("G-31", "unauthorized_client", description)
            }
            // G-12: for keys other than the subject the words follow those for it, and are unconfirmed.
            Self::Unmappable { key, .. } => {
                let rule = if key == SUBJECT { "G-32" } else { "G-12" };
                let description = format!("Could not obtain a value for {key} from the given credential.");
                StsError::new(rule, "unauthorized_client", description)
            }
            Self::TooLarge { key, size } if key == GROUPS => {
                let description = format!(
                    "The current count of {size} mapped attribute google.groups exceeds the {MAX_GROUPS} count limit. Either modify your \
                     attribute mapping or the incoming assertion to produce a mapped attribute that has fewer than {MAX_GROUPS} groups."
                );
                StsError::new("G-13", "invalid_request", description)
            }
            Self::TooLarge { key, .. } if key.is_empty() => {
                let most = if workforce { "16 KB" } else { "8 KB" };
                let description = format!("The size of the entire mapped attributes exceeds the {most} limit.");
                StsError::new("G-9", "invalid_request", description)
            }
            Self::TooLarge { key, .. } => {
                let most = match key.as_str() {
                    SUBJECT => MAX_SUBJECT_BYTES,
                    "google.display_name" => 100,
                    _ => 32,
                };
                let description = format!(
                    "The size of mapped attribute {key} exceeds the {most} bytes limit. Either modify your attribute mapping or the \
                     incoming assertion to produce a mapped attribute that is less than {most} bytes."
                );
                StsError::new("G-41", "invalid_request", description)
            }
        }
    }
}

/// G-8.
fn is_key(key: &str, workforce: bool) -> bool {
    if key.len() > MAX_KEY {
        return false;
    }
    match key.strip_prefix("attribute.") {
        Some(name) => !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
        None => [SUBJECT, GROUPS].contains(&key) || workforce && WORKFORCE_KEYS.contains(&key),
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
