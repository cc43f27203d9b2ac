//! Whom a trust policy could ever let in: a proof before anything is created.
//!
//! What is computed is an upper bound. A statement's conditions on subject and audience narrow it; conditions on anything else, and Deny
//! statements, might narrow it further and are left aside. So "only this organisation" is a promise, and "several" is a warning.
//!
//! Skyporten's subject is `0192:NNNNNNNNN;scope` (P-6): the organisation stands in its first fifteen characters.

use std::collections::BTreeSet;

use serde::Serialize;
use skybru_core::OrgNumber;

use super::AwsError;
use super::policy::{Condition, Document, Effect, Principals, Quantifier, Statement, glob_matches};
use super::role::Role;
pub use crate::organisations::Organisations;

const ASSUME: &str = "sts:AssumeRoleWithWebIdentity";
const PREFIX: &str = "0192:";
/// More question marks than this in an organisation number are taken for any number.
const MOST_OPEN_DIGITS: usize = 3;

/// The values of one claim that a statement takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// Any value: nothing binds it.
    Any,
    /// Values that fit one pattern of each group. A pattern without wildcards is one value.
    Fitting(Vec<Vec<ValuePattern>>),
}

/// One value, or all values of a form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ValuePattern {
    /// The text as written.
    pub text: String,
    /// Whether `*` and `?` in it stand for others.
    pub wildcards: bool,
    /// Whether case is ignored.
    pub ignores_case: bool,
}

/// What one statement of a trust policy could let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// Which statement, counted from 0.
    pub statement: usize,
    /// The provider's ARN.
    pub provider: String,
    /// Subjects.
    pub subjects: Values,
    /// Audiences, beside those that the provider takes at all.
    pub audiences: Values,
    /// Organisations, by their subjects.
    pub organisations: Organisations,
}

impl Reach {
    /// Whether a token with this subject and audience could satisfy the statement.
    pub fn admits(&self, subject: &str, audience: &str) -> bool {
        self.subjects.admit(subject) && self.audiences.admit(audience)
    }
}

impl Values {
    /// Whether this value is among them.
    pub fn admit(&self, value: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Fitting(groups) => groups.iter().all(|group| group.iter().any(|pattern| pattern.fits(value))),
        }
    }

    /// The only values that there are, when no group is left open.
    pub fn listed(&self) -> Option<BTreeSet<&str>> {
        let Self::Fitting(groups) = self else { return None };
        let closed = groups.iter().find(|group| group.iter().all(ValuePattern::is_one_value))?;
        Some(closed.iter().map(|pattern| pattern.text.as_str()).filter(|value| self.admit(value)).collect())
    }
}

impl ValuePattern {
    fn fits(&self, value: &str) -> bool {
        if self.wildcards {
            glob_matches(&self.text, value)
        } else if self.ignores_case {
            self.text.to_lowercase() == value.to_lowercase()
        } else {
            self.text == value
        }
    }

    fn is_one_value(&self) -> bool {
        !(self.ignores_case || self.wildcards && self.text.contains(['*', '?']))
    }

    /// The organisations whose subjects could fit; `None` for any.
    fn organisations(&self) -> Option<BTreeSet<OrgNumber>> {
        let mut numbers = vec![String::new()];
        let mut open = 0;
        for (at, character) in self.text.chars().take(PREFIX.len() + 10).enumerate() {
            if self.wildcards && character == '*' {
                return None;
            }
            let any = self.wildcards && character == '?';
            match (PREFIX.chars().nth(at), at - PREFIX.len().min(at)) {
                (Some(expected), _) if any || expected == character => {}
                (None, 9) if any || character == ';' => {}
                (None, ..9) if any => {
                    open += 1;
                    if open > MOST_OPEN_DIGITS {
                        return None;
                    }
                    numbers = numbers.iter().flat_map(|start| ('0'..='9').map(move |digit| format!("{start}{digit}"))).collect();
                }
                (None, ..9) if character.is_ascii_digit() => numbers.iter_mut().for_each(|number| number.push(character)),
                _ => return Some(BTreeSet::new()),
            }
        }
        Some(numbers.iter().filter_map(|number| number.parse().ok()).collect())
    }
}

/// What each Allow statement of the role's trust policy could let in, for each provider that it names.
///
/// # Errors
/// The policy cannot be read.
pub fn reach(role: &Role) -> Result<Vec<Reach>, AwsError> {
    Ok(reach_of(&role.trust()?))
}

/// The same for a document.
pub fn reach_of(document: &Document) -> Vec<Reach> {
    let mut found = Vec::new();
    for (place, statement) in document.statements().iter().enumerate() {
        if statement.effect() != Effect::Allow || !may_assume(statement) {
            continue;
        }
        for provider in providers(statement) {
            let host = provider.split_once("oidc-provider/").map_or("*", |(_, url)| url);
            let values = |claim| values(statement, host, claim, document.has_variables());
            let (subjects, audiences) = (values("sub"), values("aud"));
            let organisations = organisations(&subjects);
            found.push(Reach { statement: place, provider: provider.to_owned(), subjects, audiences, organisations });
        }
    }
    found
}

/// Statements of a trust policy that let in two or more organisations, each with two that could satisfy it if they are few.
pub fn shared_statements(reaches: &[Reach]) -> Vec<&Reach> {
    reaches.iter().filter(|reach| reach.organisations.are_several()).collect()
}

fn may_assume(statement: &Statement) -> bool {
    // NotAction names what is left out: an upper bound takes it for everything.
    statement
        .actions()
        .is_none_or(|actions| actions.iter().any(|action| glob_matches(&action.to_lowercase(), &ASSUME.to_lowercase())))
}

fn providers(statement: &Statement) -> Vec<&str> {
    match statement.principal() {
        Some(Principals::Listed(listed)) => listed.get("Federated").into_iter().flatten().map(String::as_str).collect(),
        Some(Principals::Everyone) | None => vec!["*"],
    }
}

/// The values that all conditions on `claim` together leave.
fn values(statement: &Statement, host: &str, claim: &str, variables: bool) -> Values {
    let key = format!("{host}:{claim}");
    let groups: Vec<Vec<ValuePattern>> = statement
        .conditions()
        .iter()
        .filter(|condition| condition.key.eq_ignore_ascii_case(&key))
        .filter_map(|condition| group(condition, variables))
        .collect();
    if groups.is_empty() { Values::Any } else { Values::Fitting(groups) }
}

/// What one condition takes, if it takes only what it names.
fn group(condition: &Condition, variables: bool) -> Option<Vec<ValuePattern>> {
    let operator = condition.parsed();
    let binds = operator.compares_text()
        && !operator.is_negated()
        && !operator.holds_when_absent()
        && operator.quantifier() != Quantifier::All;
    // What a variable brings is not known before the call.
    let known = !variables || condition.values.iter().all(|value| !value.contains("${"));
    (binds && known).then(|| {
        let pattern = |text: &String| ValuePattern {
            text: text.clone(),
            wildcards: operator.has_wildcards(),
            ignores_case: operator.ignores_case(),
        };
        condition.values.iter().map(pattern).collect()
    })
}

fn organisations(subjects: &Values) -> Organisations {
    let Values::Fitting(groups) = subjects else { return Organisations::Any };
    let mut only: Option<BTreeSet<OrgNumber>> = None;
    for group in groups {
        // One open pattern leaves the whole group open.
        let Some(sets) = group.iter().map(ValuePattern::organisations).collect::<Option<Vec<_>>>() else { continue };
        let set: BTreeSet<OrgNumber> = sets.into_iter().flatten().collect();
        only = Some(match only {
            Some(before) => before.intersection(&set).copied().collect(),
            None => set,
        });
    }
    only.map_or(Organisations::Any, Organisations::Only)
}
