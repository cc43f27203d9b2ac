//! Reading a policy document.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use skybru_protocol::json;

use super::condition::Condition;
use crate::aws::AwsError;

/// A policy document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    variables: bool,
    statements: Vec<Statement>,
}

/// What a statement does when it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Lets in, unless another statement denies.
    Allow,
    /// Keeps out, whatever other statements say.
    Deny,
}

/// Whom a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principals {
    /// `"*"`.
    Everyone,
    /// By kind (`AWS`, `Federated`, `Service` …).
    Listed(BTreeMap<String, Vec<String>>),
}

/// One or all but some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selection {
    Only(Vec<String>),
    AllBut(Vec<String>),
}

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    pub(super) sid: Option<String>,
    pub(super) effect: Effect,
    pub(super) principal: Option<Principals>,
    pub(super) not_principal: bool,
    pub(super) actions: Selection,
    pub(super) resources: Option<Selection>,
    pub(super) conditions: Vec<Condition>,
}

impl Document {
    /// Reads JSON text. Repeated members and unknown elements are refused: IAM's grammar wants each name once in its block, and a
    /// condition that a later one silently replaced would be a hole.
    pub fn parse(text: &str) -> Result<Self, AwsError> {
        let syntax = || AwsError::malformed_policy("Syntax errors in policy.");
        if serde_json::from_str::<IgnoredAny>(text).is_err() {
            return Err(AwsError::malformed_policy("This policy contains invalid Json"));
        }
        let members = json::object(text.as_bytes()).map_err(|_| syntax())?;
        if members.keys().any(|name| !matches!(name.as_str(), "Version" | "Id" | "Statement")) {
            return Err(syntax());
        }
        let variables = match members.get("Version").map(Value::as_str) {
            None | Some(Some("2008-10-17")) => false,
            Some(Some("2012-10-17")) => true,
            Some(_) => return Err(AwsError::malformed_policy("The policy must contain a valid version string.")),
        };
        let statements = match members.get("Statement") {
            Some(Value::Array(statements)) => statements.iter().map(statement).collect::<Result<_, _>>()?,
            Some(one @ Value::Object(_)) => vec![statement(one)?],
            _ => return Err(syntax()),
        };
        check_sids(&statements)?;
        Ok(Self { variables, statements })
    }

    /// The statements, in order.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// The keys that conditions look at, and that variables take their values from, as they are written. A key may come twice.
    pub fn context_keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        for statement in &self.statements {
            if let Some(Selection::Only(texts) | Selection::AllBut(texts)) = &statement.resources {
                keys.extend(texts.iter().flat_map(|text| self.variables_in(text)));
            }
            for condition in &statement.conditions {
                keys.push(condition.key.clone());
                keys.extend(condition.values.iter().flat_map(|value| self.variables_in(value)));
            }
        }
        keys
    }

    fn variables_in(&self, text: &str) -> Vec<String> {
        let name = |after: &str| Some(after.split_once('}')?.0.split(',').next()?.trim().to_owned());
        // `${*}`, `${?}` and `${$}` stand for those characters themselves.
        text.split("${").skip(1).filter(|_| self.variables).filter_map(name).filter(|name| name.len() > 1).collect()
    }

    /// Whether `${…}` is expanded: only in version 2012-10-17.
    pub fn has_variables(&self) -> bool {
        self.variables
    }
}

impl Statement {
    /// Its name, if it has one.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// Allow or deny.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Whom it is about; absent in policies of identities.
    pub fn principal(&self) -> Option<&Principals> {
        self.principal.as_ref()
    }

    /// Whether it is about everybody but [`Statement::principal`].
    pub fn excludes_principal(&self) -> bool {
        self.not_principal
    }

    /// Whether it names resources.
    pub fn has_resource(&self) -> bool {
        self.resources.is_some()
    }

    /// The resources it names, if it does not name those that it is not about.
    pub fn resources(&self) -> Option<&[String]> {
        match &self.resources {
            Some(Selection::Only(resources)) => Some(resources),
            Some(Selection::AllBut(_)) | None => None,
        }
    }

    /// Its conditions, all of which must hold.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// The actions it names, if it does not name those that it is not about.
    pub fn actions(&self) -> Option<&[String]> {
        match &self.actions {
            Selection::Only(actions) => Some(actions),
            Selection::AllBut(_) => None,
        }
    }
}

fn check_sids(statements: &[Statement]) -> Result<(), AwsError> {
    let mut known = BTreeSet::new();
    // An empty Sid is none: generators write it.
    let sids = statements.iter().filter_map(Statement::sid).filter(|sid| !sid.is_empty());
    for sid in sids {
        if !known.insert(sid) {
            return Err(AwsError::malformed_policy("Statement IDs (SID) in a single policy must be unique."));
        }
    }
    Ok(())
}

const ELEMENTS: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

fn statement(value: &Value) -> Result<Statement, AwsError> {
    let syntax = || AwsError::malformed_policy("Syntax errors in policy.");
    let members = value.as_object().ok_or_else(syntax)?;
    if members.keys().any(|name| !ELEMENTS.contains(&name.as_str())) {
        return Err(syntax());
    }
    let effect = match members.get("Effect").map(Value::as_str) {
        Some(Some("Allow")) => Effect::Allow,
        Some(Some("Deny")) => Effect::Deny,
        None => return Err(AwsError::malformed_policy("Missing required field Effect")),
        Some(_) => return Err(AwsError::malformed_policy("Invalid effect")),
    };
    let principal = match (members.get("Principal"), members.get("NotPrincipal")) {
        (None, None) => None,
        (Some(value), None) | (None, Some(value)) => Some(principals(value)?),
        (Some(_), Some(_)) => return Err(syntax()),
    };
    let actions = selection(members, "Action", "NotAction")?;
    let actions = actions.ok_or_else(|| AwsError::malformed_policy("Policy statement must contain actions."))?;
    let named = match &actions {
        Selection::Only(named) | Selection::AllBut(named) => named,
    };
    if let Some(wrong) = named.iter().find(|action| *action != "*" && !action.contains(':')) {
        let message = format!("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc. Found: {wrong}");
        return Err(AwsError::malformed_policy(message));
    }
    Ok(Statement {
        sid: members.get("Sid").and_then(Value::as_str).map(str::to_owned),
        effect,
        principal,
        not_principal: members.contains_key("NotPrincipal"),
        actions,
        resources: selection(members, "Resource", "NotResource")?,
        conditions: match members.get("Condition") {
            None => Vec::new(),
            Some(Value::Object(operators)) => conditions(operators)?,
            Some(_) => return Err(syntax()),
        },
    })
}

fn principals(value: &Value) -> Result<Principals, AwsError> {
    match value {
        Value::String(star) if star == "*" => Ok(Principals::Everyone),
        Value::Object(kinds) => {
            let kind = |(kind, value): (&String, &Value)| match kind.as_str() {
                "AWS" | "Federated" | "Service" | "CanonicalUser" => Ok((kind.clone(), strings(value)?)),
                _ => Err(AwsError::malformed_policy(format!("Invalid principal in policy: \"{kind}\""))),
            };
            Ok(Principals::Listed(kinds.iter().map(kind).collect::<Result<_, AwsError>>()?))
        }
        _ => Err(AwsError::malformed_policy("Invalid principal in policy.")),
    }
}

fn selection(members: &Map<String, Value>, name: &str, not_name: &str) -> Result<Option<Selection>, AwsError> {
    match (members.get(name), members.get(not_name)) {
        (Some(value), None) => Ok(Some(Selection::Only(strings(value)?))),
        (None, Some(value)) => Ok(Some(Selection::AllBut(strings(value)?))),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(AwsError::malformed_policy("Syntax errors in policy.")),
    }
}

fn conditions(operators: &Map<String, Value>) -> Result<Vec<Condition>, AwsError> {
    let mut conditions = Vec::new();
    for (operator, keys) in operators {
        let keys = keys.as_object().ok_or_else(|| AwsError::malformed_policy("Syntax errors in policy."))?;
        for (key, values) in keys {
            conditions.push(Condition::new(operator, key, scalars(values)?)?);
        }
    }
    Ok(conditions)
}

fn strings(value: &Value) -> Result<Vec<String>, AwsError> {
    let one =
        |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| AwsError::malformed_policy("Syntax errors in policy."));
    match value {
        Value::Array(values) => values.iter().map(one).collect(),
        single => Ok(vec![one(single)?]),
    }
}

/// Values of conditions may be written as JSON booleans and numbers.
fn scalars(value: &Value) -> Result<Vec<String>, AwsError> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => Err(AwsError::malformed_policy("Syntax errors in policy.")),
    };
    match value {
        Value::Array(values) => values.iter().map(one).collect(),
        single => Ok(vec![one(single)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(text: &str) -> String {
        Document::parse(text).unwrap_err().message
    }

    #[test]
    fn single_statements_and_single_values_need_no_brackets() {
        let text = r#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;
        let document = Document::parse(text).unwrap();
        assert_eq!(document.statements().len(), 1);
        assert!(!document.has_variables(), "no version is the old version");
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(message("{"), "This policy contains invalid Json");
        assert_eq!(message(r#"{"Statement":[{"Action":"s3:*"}]}"#), "Missing required field Effect");
        assert_eq!(message(r#"{"Statement":[{"Effect":"Allow","Action":"s3:*","Extra":1}]}"#), "Syntax errors in policy.");
        assert_eq!(message(r#"{"Version":"2024","Statement":[]}"#), "The policy must contain a valid version string.");
        assert!(message(r#"{"Statement":{"Effect":"Allow","Action":"GetObject"}}"#).ends_with("Found: GetObject"));
        let operator = r#"{"Statement":{"Effect":"Allow","Action":"*","Condition":{"StringIs":{"a:b":"c"}}}}"#;
        assert_eq!(message(operator), "Invalid Condition type : StringIs");
    }

    /// A condition that is written twice must not lose its first half.
    #[test]
    fn repeated_members_and_repeated_sids_are_refused() {
        let twice = r#"{"Statement":{"Effect":"Allow","Action":"*","Condition":{"Bool":{"a:b":"true"},"Bool":{"a:c":"true"}}}}"#;
        assert_eq!(message(twice), "Syntax errors in policy.");
        let sids = r#"{"Statement":[{"Sid":"a","Effect":"Allow","Action":"*"},{"Sid":"a","Effect":"Deny","Action":"*"}]}"#;
        assert_eq!(message(sids), "Statement IDs (SID) in a single policy must be unique.");
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC*") {
            let _ = Document::parse(&text);
        }
    }
}
