//! Google's expressions: CEL with the few functions that Google adds (G-11), and bounded.
//!
//! Parsing and evaluating is the `cel` crate's work. What stands here is what Google has beside the language (`extract`), the functions
//! that are known to exist, and a bound on what one expression may cost: its author is another organisation, and so is the author of
//! the token that it is evaluated on.
//!
//! Deliberately missing: functions that no public source names for mappings and conditions (`replace`, `substring`, `trim`, `base64`).
//! Google may know some of them; an expression that uses one is refused here, which a plan can say before Google does.

mod cost;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use cel::common::types::CelString;
use cel::parser::{Expression as Tree, PrattParser};
use cel::{Context, Env, Value as CelValue};
use serde_json::Value;

pub(crate) use cost::Tree as SyntaxTree;

/// G-9: the longest mapping expression, in characters.
pub const MAX_MAPPING_LENGTH: usize = 2048;
/// G-9: the longest condition, in characters.
pub const MAX_CONDITION_LENGTH: usize = 4096;
/// How deep brackets, operators and selections may nest. Google's own bound is not published.
const MAX_DEPTH: u16 = 64;

/// Why an expression is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// Longer than Google takes (G-9).
    #[error("the expression has {found} characters; Google takes {most}")]
    TooLong {
        /// Its length.
        found: usize,
        /// What is taken.
        most: usize,
    },
    /// Not CEL.
    #[error("the expression is not CEL: {0}")]
    Syntax(String),
    /// A function that is not known to exist at Google (G-11).
    #[error("the function {0:?} is not known to exist in Google's expressions")]
    UnknownFunction(String),
    /// A name that stands for nothing (G-10).
    #[error("the name {0:?} stands for nothing here; expected {1}")]
    UnknownName(String, &'static str),
    /// Nested too deeply.
    #[error("the expression nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// Why an expression gave no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// A claim that is not there, a wrong type, an index outside the list.
    #[error("{0}")]
    Failed(String),
    /// It would take more steps than one exchange may cost.
    #[error("the expression would take too many steps on this token")]
    TooCostly,
}

/// An expression that can be evaluated.
#[derive(Debug, Clone)]
pub struct Expression {
    source: String,
    tree: Tree,
}

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    // The names are this crate's own, so neither declaration can meet another of its kind.
    let declared = cel::extensions::strings(&mut env).and_then(|()| declare_extract(&mut env));
    debug_assert!(declared.is_ok(), "an overload is declared twice");
    Arc::new(env)
});

fn declare_extract(env: &mut Env) -> Result<(), cel::DeclarationError> {
    cel::add_member_overload!(env, fn extract: (CelString, CelString) -> CelString)?;
    Ok(())
}

fn extract(text: &CelString<'_>, template: &CelString<'_>) -> CelString<'static> {
    extracted(text.inner(), template.inner()).unwrap_or_default().to_owned().into()
}

/// `extract('before{name}after')`: what stands between the first `before` and the next `after`; empty when there is no such place.
fn extracted<'a>(text: &'a str, template: &str) -> Option<&'a str> {
    let (before, rest) = template.split_once('{')?;
    let (_, after) = rest.split_once('}')?;
    let (_, found) = text.split_once(before)?;
    if after.is_empty() { Some(found) } else { found.split_once(after).map(|(found, _)| found) }
}

impl Expression {
    /// Reads an expression in which only `names` stand for something.
    pub fn parse(source: &str, most: usize, names: &'static [&'static str]) -> Result<Self, ExpressionError> {
        let found = source.chars().count();
        if found > most {
            return Err(ExpressionError::TooLong { found, most });
        }
        if source.trim().is_empty() {
            return Err(ExpressionError::Syntax("it is empty".to_owned()));
        }
        let parser = PrattParser::new().max_recursion_depth(MAX_DEPTH).max_expression_node_count(most * 4);
        let tree = parser.parse(source).map_err(|errors| ExpressionError::Syntax(first_line(&errors.to_string())))?;
        cost::check(&tree, usize::from(MAX_DEPTH) * 2, names)?;
        Ok(Self { source: source.to_owned(), tree })
    }

    /// The text as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Evaluates it with these values for its names.
    pub fn evaluate(&self, names: &BTreeMap<&str, &Value>) -> Result<Value, EvaluationError> {
        self.evaluate_with(names, &[])
    }

    /// The same, with further names whose values are themselves expressions, such as `timestamp("…")`.
    pub(crate) fn evaluate_with(
        &self,
        names: &BTreeMap<&str, &Value>,
        computed: &[(&str, BTreeMap<&str, CelValue>)],
    ) -> Result<Value, EvaluationError> {
        cost::affordable(&self.tree, names)?;
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        for (name, value) in names {
            context.add_variable_from_value(*name, to_cel(value));
        }
        for (name, members) in computed {
            let members: std::collections::HashMap<String, CelValue> =
                members.iter().map(|(member, value)| ((*member).to_owned(), value.clone())).collect();
            context.add_variable_from_value(*name, members);
        }
        let value =
            CelValue::resolve(&self.tree, &context).map_err(|error| EvaluationError::Failed(short(&error.to_string())))?;
        value.json().map_err(|_| EvaluationError::Failed("the value is neither text, number, list nor map".to_owned()))
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// A moment as CEL sees it.
pub(crate) fn timestamp(rfc3339: &str) -> Option<CelValue> {
    let tree = PrattParser::new().parse(&format!("timestamp({rfc3339:?})")).ok()?;
    CelValue::resolve(&tree, &Context::with_env(Arc::clone(&ENVIRONMENT))).ok()
}

/// JSON's numbers are one type and CEL's are three: whole numbers become `int`, as people write them in conditions.
fn to_cel(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(yes) => CelValue::Bool(*yes),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| CelValue::Float(number.as_f64().unwrap_or(f64::NAN)), CelValue::Int)
        }
        Value::String(text) => CelValue::String(Arc::new(text.clone())),
        Value::Array(items) => CelValue::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(members) => {
            let members: std::collections::HashMap<String, CelValue> =
                members.iter().map(|(name, value)| (name.clone(), to_cel(value))).collect();
            CelValue::from(members)
        }
    }
}

fn first_line(text: &str) -> String {
    short(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default())
}

/// An error quotes values, and values come from tokens: no more of them than is useful.
fn short(text: &str) -> String {
    text.chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn evaluate(source: &str, assertion: &Value) -> Result<Value, String> {
        let expression = Expression::parse(source, MAX_MAPPING_LENGTH, &["assertion"]).map_err(|error| error.to_string())?;
        expression.evaluate(&BTreeMap::from([("assertion", assertion)])).map_err(|error| error.to_string())
    }

    /// G-11.
    #[test]
    fn extract_takes_what_stands_between() {
        assert_eq!(extracted("a/b/c", "a/{x}/c"), Some("b"));
        assert_eq!(extracted("0192:917422575;x", "0192:{org};"), Some("917422575"));
        assert_eq!(extracted("0192:917422575", "0192:{org}"), Some("917422575"));
        assert_eq!(extracted("x@y", "{name}@"), Some("x"));
        assert_eq!(extracted("abc", "z{x}"), None);
        assert_eq!(extracted("abc", "no braces"), None);
    }

    /// G-11.
    #[test]
    fn the_named_functions_are_there_and_others_are_not() {
        let claims = json!({"s": "A-b", "l": ["x", "y"]});
        assert_eq!(evaluate("assertion.s.lowerAscii()", &claims), Ok(json!("a-b")));
        assert_eq!(evaluate("assertion.s.upperAscii()", &claims), Ok(json!("A-B")));
        assert_eq!(evaluate("assertion.s.split('-')[1]", &claims), Ok(json!("b")));
        assert_eq!(evaluate("assertion.l.join('+')", &claims), Ok(json!("x+y")));
        assert_eq!(evaluate("assertion.s.extract('A{rest}')", &claims), Ok(json!("-b")));
        assert_eq!(evaluate("assertion.l.exists(x, x == 'y') ? 'in' : 'out'", &claims), Ok(json!("in")));
        assert_eq!(evaluate("has(assertion.none)", &claims), Ok(json!(false)));
        assert!(evaluate("assertion.s.replace('A', 'B')", &claims).unwrap_err().contains("replace"));
        assert!(evaluate("other.s", &claims).unwrap_err().contains("assertion"));
    }

    #[test]
    fn nesting_is_bounded_in_every_direction() {
        let claims = json!({"s": "x"});
        let deep = [
            format!("{}1{}", "[".repeat(1000), "]".repeat(1000)),
            format!("assertion{}", ".a".repeat(1000)),
            format!("assertion{}", "[0]".repeat(600)),
            format!("1{}", "+1".repeat(1000)),
            format!("{}1", "true?1:".repeat(290)),
            format!("assertion.s{}", ".lowerAscii()".repeat(150)),
        ];
        for expression in deep {
            assert!(evaluate(&expression, &claims).is_err(), "{expression}");
        }
        assert_eq!(evaluate("((((assertion.s))))+assertion.s+assertion.s", &claims), Ok(json!("xxx")));
        // The parser takes brackets around brackets off, and signs in pairs, without going deeper.
        for (sign, count, value) in [("(", 1000, json!(1)), ("-", 2000, json!(1))] {
            let expression = format!("{}1{}", sign.repeat(count), if sign == "(" { ")".repeat(count) } else { String::new() });
            assert_eq!(evaluate(&expression, &claims), Ok(value), "{sign}");
        }
        assert_eq!(evaluate(&format!("{}true", "!".repeat(2000)), &claims), Ok(json!(true)));
    }

    #[test]
    fn what_would_take_too_long_is_refused() {
        let long: Vec<String> = (0..500).map(|n| n.to_string()).collect();
        let claims = json!({"l": long, "s": "x".repeat(15_000)});
        assert_eq!(evaluate("assertion.l.exists(x, x == '499')", &claims), Ok(json!(true)));
        for costly in [
            "assertion.l.all(a, assertion.l.all(b, assertion.l.all(c, a + b + c != '')))",
            "assertion.s.split('').all(a, assertion.s.split('').all(b, true))",
            "assertion.s.split('').map(a, assertion.s)",
            "assertion.l.all(a, a.matches('((x{90}){90}){90}'))",
        ] {
            assert_eq!(evaluate(costly, &claims), Err(EvaluationError::TooCostly.to_string()), "{costly}");
        }
    }
}
