//! Evaluating policies: an explicit deny wins, then any allow, else no.

use std::collections::BTreeMap;

use super::document::{Document, Effect, Principals, Selection, Statement};
use super::pattern::Pattern;

/// What is known about a request: values by key. Keys do not differ by case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<String, Vec<String>>);

impl Context {
    /// Sets a key. An empty list of values is a key that is present without one.
    pub fn set<T: Into<String>>(&mut self, key: &str, values: impl IntoIterator<Item = T>) {
        self.0.insert(key.to_lowercase(), values.into_iter().map(Into::into).collect());
    }

    /// The values of a key.
    pub fn get(&self, key: &str) -> Option<&[String]> {
        self.0.get(&key.to_lowercase()).map(Vec::as_slice)
    }
}

/// Who does what to what.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Kind and name of the principal, such as `("Federated", ARN)`. `None` for policies of an identity, which are about itself.
    pub principal: Option<(&'a str, &'a str)>,
    /// Such as `s3:GetObject`.
    pub action: &'a str,
    /// An ARN; `None` for trust policies, which are about the role itself.
    pub resource: Option<&'a str>,
    /// Everything else.
    pub context: &'a Context,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// An allow matched, no deny did.
    Allowed,
    /// A deny matched.
    Denied,
    /// Nothing matched.
    NotAllowed,
}

/// Why a statement did not match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissReason {
    /// It is about somebody else.
    Principal,
    /// It is about another action.
    Action,
    /// It is about another resource.
    Resource,
    /// One of its conditions does not hold.
    Condition {
        /// The operator as written.
        operator: String,
        /// The key as written.
        key: String,
        /// The values as written.
        expected: Vec<String>,
        /// The request's values; `None` when the key is absent.
        found: Option<Vec<String>>,
    },
}

/// An allow that did not match, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    /// Which policy, counted from 0.
    pub policy: usize,
    /// Which statement of it, counted from 0.
    pub statement: usize,
    /// The first thing that did not fit, in the order principal, action, resource, conditions.
    pub reason: MissReason,
}

/// The answer with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The answer.
    pub outcome: Outcome,
    /// Policy and statement that decided, if one did.
    pub by: Option<(usize, usize)>,
    /// Allows that did not match.
    pub misses: Vec<Miss>,
}

impl Verdict {
    /// Whether the request is allowed.
    pub fn is_allowed(&self) -> bool {
        self.outcome == Outcome::Allowed
    }
}

/// Evaluates all `policies` together.
pub fn evaluate<'a>(policies: impl IntoIterator<Item = &'a Document>, request: &Request<'_>) -> Verdict {
    let mut verdict = Verdict { outcome: Outcome::NotAllowed, by: None, misses: Vec::new() };
    for (policy, document) in policies.into_iter().enumerate() {
        for (place, statement) in document.statements().iter().enumerate() {
            match (statement.effect, matches(statement, request, document.has_variables())) {
                (Effect::Deny, Ok(())) => return Verdict { outcome: Outcome::Denied, by: Some((policy, place)), ..verdict },
                (Effect::Allow, Ok(())) if verdict.by.is_none() => {
                    verdict.outcome = Outcome::Allowed;
                    verdict.by = Some((policy, place));
                }
                (Effect::Allow, Err(reason)) => verdict.misses.push(Miss { policy, statement: place, reason }),
                (Effect::Allow, Ok(())) | (Effect::Deny, Err(_)) => {}
            }
        }
    }
    verdict
}

/// The statements that match, in order: which policy, counted from 0, and what the statement does.
pub fn matching<'a>(policies: impl IntoIterator<Item = &'a Document>, request: &Request<'_>) -> Vec<(usize, Effect)> {
    let of = |(policy, document): (usize, &'a Document)| {
        let fits = move |statement: &&Statement| matches(statement, request, document.has_variables()).is_ok();
        document.statements().iter().filter(fits).map(move |statement| (policy, statement.effect))
    };
    policies.into_iter().enumerate().flat_map(of).collect()
}

fn matches(statement: &Statement, request: &Request<'_>, variables: bool) -> Result<(), MissReason> {
    if !principal_matches(statement, request) {
        return Err(MissReason::Principal);
    }
    let action = |pattern: &String| Pattern::plain(pattern).matches(request.action, true);
    if !selected(&statement.actions, action) {
        return Err(MissReason::Action);
    }
    if let (Some(selection), Some(resource)) = (&statement.resources, request.resource) {
        let fits = |pattern: &String| {
            Pattern::fill(pattern, request.context, true, variables).is_some_and(|pattern| pattern.matches(resource, false))
        };
        if !selected(selection, fits) {
            return Err(MissReason::Resource);
        }
    }
    match statement.conditions.iter().find(|condition| !condition.holds(request.context, variables)) {
        None => Ok(()),
        Some(condition) => Err(MissReason::Condition {
            operator: condition.operator.clone(),
            key: condition.key.clone(),
            expected: condition.values.clone(),
            found: request.context.get(&condition.key).map(<[String]>::to_vec),
        }),
    }
}

fn selected(selection: &Selection, fits: impl Fn(&String) -> bool) -> bool {
    match selection {
        Selection::Only(patterns) => patterns.iter().any(fits),
        Selection::AllBut(patterns) => !patterns.iter().any(fits),
    }
}

/// `{"AWS": "*"}` is everybody with AWS credentials, which a web identity is not (A-70).
fn principal_matches(statement: &Statement, request: &Request<'_>) -> bool {
    let (Some(principals), Some((kind, name))) = (&statement.principal, request.principal) else {
        return statement.principal.is_none() && request.principal.is_none();
    };
    let named = match principals {
        Principals::Everyone => kind == "AWS",
        Principals::Listed(listed) => {
            listed.get(kind).into_iter().flatten().any(|listed| listed == name || (listed == "*" && kind == "AWS"))
        }
    };
    named != statement.not_principal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(policies: &[&str], action: &str, resource: &str) -> Verdict {
        let documents: Vec<Document> = policies.iter().map(|text| Document::parse(text).unwrap()).collect();
        let context = Context::default();
        evaluate(&documents, &Request { principal: None, action, resource: Some(resource), context: &context })
    }

    const READ: &str =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*"],"Resource":"arn:aws:s3:::b/in/*"}]}"#;
    const DENY: &str =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::b/in/secret*"}]}"#;

    #[test]
    fn an_explicit_deny_wins_in_either_order() {
        for policies in [[READ, DENY], [DENY, READ]] {
            assert_eq!(verdict(&policies, "s3:GetObject", "arn:aws:s3:::b/in/secret.txt").outcome, Outcome::Denied);
            assert_eq!(verdict(&policies, "s3:GetObject", "arn:aws:s3:::b/in/x").outcome, Outcome::Allowed);
        }
    }

    #[test]
    fn actions_ignore_case_and_resources_do_not() {
        assert!(verdict(&[READ], "S3:getobject", "arn:aws:s3:::b/in/x").is_allowed());
        assert_eq!(verdict(&[READ], "s3:GetObject", "arn:aws:s3:::b/IN/x").misses[0].reason, MissReason::Resource);
        assert_eq!(verdict(&[READ], "s3:PutObject", "arn:aws:s3:::b/in/x").misses[0].reason, MissReason::Action);
    }

    #[test]
    fn not_action_and_not_resource_turn_the_selection_round() {
        let policy = r#"{"Statement":{"Effect":"Allow","NotAction":"s3:Delete*","NotResource":"arn:aws:s3:::b/out/*"}}"#;
        assert!(verdict(&[policy], "s3:GetObject", "arn:aws:s3:::b/in/x").is_allowed());
        assert!(!verdict(&[policy], "s3:DeleteObject", "arn:aws:s3:::b/in/x").is_allowed());
        assert!(!verdict(&[policy], "s3:GetObject", "arn:aws:s3:::b/out/x").is_allowed());
    }

    #[test]
    fn variables_are_expanded_in_the_new_version_only() {
        let policy = |version: &str| {
            format!(
                r#"{{"Version":"{version}","Statement":{{"Effect":"Allow","Action":"*","Resource":"b/${{aws:PrincipalTag/org}}/*"}}}}"#
            )
        };
        let mut context = Context::default();
        context.set("aws:PrincipalTag/org", ["917422575"]);
        let allowed = |version: &str| {
            let document = Document::parse(&policy(version)).unwrap();
            evaluate(
                [&document],
                &Request { principal: None, action: "s3:X", resource: Some("b/917422575/x"), context: &context },
            )
            .is_allowed()
        };
        assert!(allowed("2012-10-17") && !allowed("2008-10-17"));
    }
}
