//! Whom a policy could ever let in: a proof before anything is bound.
//!
//! What is computed is an upper bound, from the provider's mapping and condition alone. A member that names an attribute's value is
//! compared with the expression that makes the attribute: where that joins texts and claims, the claims' values can be read off. Of
//! claims it is known what the issuer writes: an organisation stands in `consumer.ID`, at the beginning of Skyporten's `sub`, and in
//! the reportees of Ansattporten (G-15, G-16, P-6). What an expression computes otherwise, and what a condition demands beyond equality,
//! membership and beginnings, is left aside. So "only this organisation" is a promise, and "several" is a warning.

use std::collections::BTreeSet;

use cel::common::ast::{Expr, LiteralValue};
use serde::Serialize;
use skybru_core::OrgNumber;

use super::cel::SyntaxTree;
use super::mapping::Mapping;
use super::names::ProviderName;
use super::policy::Policy;
use super::principal::{PoolMember, PoolPart};
use super::provider::Provider;
use crate::organisations::Organisations;

const PREFIX: &str = "0192:";
/// `0192:` and nine digits.
const ORGANISATION_LENGTH: usize = 14;

/// What one member of a policy lets in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberReach {
    /// The role that the member has.
    pub role: String,
    /// The member as written.
    pub member: String,
    /// The provider through which they come; `None` for everybody on the internet, and for pools without a provider.
    pub provider: Option<ProviderName>,
    /// Who.
    pub organisations: Organisations,
}

/// What each member with this permission could let in, for each provider of the pool that it names. Members that no pool knows, such as
/// service accounts and people, are not listed.
pub fn reach(policy: &Policy, permission: &str, providers: &[Provider]) -> Vec<MemberReach> {
    let mut found = Vec::new();
    for (binding, member) in policy.members_with(permission) {
        let of = |provider: Option<&Provider>, organisations| MemberReach {
            role: binding.role.clone(),
            member: member.to_owned(),
            provider: provider.map(|provider| provider.name.clone()),
            organisations,
        };
        if ["allUsers", "allAuthenticatedUsers"].contains(&member) {
            found.push(of(None, Organisations::Any));
            continue;
        }
        let Some(parsed) = PoolMember::parse(member) else { continue };
        let mut of_pool = providers.iter().filter(|provider| provider.name.pool == parsed.pool).peekable();
        if of_pool.peek().is_none() || !parsed.is_well_kinded() {
            found.push(of(None, Organisations::none()));
            continue;
        }
        for provider in of_pool {
            found.push(of(Some(provider), through(provider, &parsed.who)));
        }
    }
    found
}

/// Who could come through the provider as this part of its pool.
fn through(provider: &Provider, who: &PoolPart) -> Organisations {
    // A mapping that IAM would not take lets nobody in.
    let Ok(mapping) = Mapping::compile(provider) else { return Organisations::none() };
    let forms = Forms { mapping: &mapping, workforce: provider.name.pool.is_workforce() };
    let named = match who {
        PoolPart::Everyone => Organisations::Any,
        PoolPart::Group(_) => {
            if mapping.expression("google.groups").is_some() {
                Organisations::Any
            } else {
                Organisations::none()
            }
        }
        PoolPart::Subject(value) => forms.with_value("google.subject", value),
        PoolPart::Attribute { name, value } => forms.with_value(&format!("attribute.{name}"), value),
    };
    named.and(mapping.condition().map_or(Organisations::Any, |condition| forms.satisfying(condition.tree())))
}

/// A piece of a text that an expression makes.
#[derive(Debug, Clone, PartialEq)]
enum Piece {
    /// This text.
    Text(String),
    /// `0192:` and an organisation number.
    Organisation,
    /// The same, then `;` and anything: Skyporten's subject.
    Subject,
    /// Anything.
    Anything,
}

struct Forms<'a> {
    mapping: &'a Mapping,
    workforce: bool,
}

impl Forms<'_> {
    /// The organisations for which the attribute can have this value.
    fn with_value(&self, key: &str, value: &str) -> Organisations {
        let Some(expression) = self.mapping.expression(key) else { return Organisations::none() };
        organisations(&self.pieces(expression.tree()), value, true)
    }

    /// The pieces of the text that the expression makes.
    fn pieces(&self, tree: &SyntaxTree) -> Vec<Piece> {
        match &tree.expr {
            Expr::Literal(LiteralValue::String(text)) => vec![Piece::Text(text.inner().to_owned())],
            Expr::Call(call) if call.func_name == "_+_" => call.args.iter().flat_map(|part| self.pieces(part)).collect(),
            _ => {
                let Some(path) = path(tree) else { return vec![Piece::Anything] };
                if let Some(claim) = path.strip_prefix("assertion.") {
                    return vec![self.claim(claim)];
                }
                match self.mapping.expression(&path) {
                    // An attribute inside a condition is what its own expression makes.
                    Some(expression) => self.pieces(expression.tree()),
                    None => vec![Piece::Anything],
                }
            }
        }
    }

    fn claim(&self, path: &str) -> Piece {
        match path {
            "consumer.ID" => Piece::Organisation,
            // Ansattporten's subject is a pseudonym of a person.
            "sub" if !self.workforce => Piece::Subject,
            _ if path.starts_with("authorization_details[") && path.contains(".reportees[") && path.ends_with("].ID") => {
                Piece::Organisation
            }
            _ => Piece::Anything,
        }
    }

    /// The organisations for which a condition can hold.
    fn satisfying(&self, tree: &SyntaxTree) -> Organisations {
        let Expr::Call(call) = &tree.expr else { return Organisations::Any };
        let with = |part: &SyntaxTree, value: &SyntaxTree, whole| match &value.expr {
            Expr::Literal(LiteralValue::String(text)) => Some(organisations(&self.pieces(part), text.inner(), whole)),
            _ => None,
        };
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            ("_&&_", None, [one, other]) => self.satisfying(one).and(self.satisfying(other)),
            ("_||_", None, [one, other]) => self.satisfying(one).or(self.satisfying(other)),
            ("_==_", None, [one, other]) => {
                with(one, other, true).or_else(|| with(other, one, true)).unwrap_or(Organisations::Any)
            }
            ("startsWith", Some(part), [start]) => with(part, start, false).unwrap_or(Organisations::Any),
            ("@in", None, [part, list]) => match &list.expr {
                Expr::List(list) => list
                    .elements
                    .iter()
                    .map(|value| with(part, value, true).unwrap_or(Organisations::Any))
                    .fold(Organisations::none(), Organisations::or),
                _ => Organisations::Any,
            },
            _ => Organisations::Any,
        }
    }
}

/// `assertion.a.b[0].c` as it is written, if it is nothing but that.
fn path(tree: &SyntaxTree) -> Option<String> {
    match &tree.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => Some(format!("{}.{}", path(&select.operand)?, select.field)),
        Expr::Call(call) if call.func_name == "_[_]" => {
            let [list, index] = call.args.as_slice() else { return None };
            match &index.expr {
                Expr::Literal(LiteralValue::Int(index)) => Some(format!("{}[{}]", path(list)?, index.inner())),
                Expr::Literal(LiteralValue::String(name)) => Some(format!("{}.{}", path(list)?, name.inner())),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The organisations for which the pieces can make `text`; or, unless `whole`, something that begins with it.
fn organisations(pieces: &[Piece], text: &str, whole: bool) -> Organisations {
    // How far the text has been read, and which organisation has been seen by then.
    let mut states = BTreeSet::from([(0, None::<OrgNumber>)]);
    let mut ended = BTreeSet::new();
    for piece in pieces {
        let mut next = BTreeSet::new();
        for (at, seen) in states {
            let rest = &text[at..];
            if rest.is_empty() && !whole {
                ended.insert(seen);
                continue;
            }
            step(piece, rest, whole, seen, &mut |read, seen| {
                next.insert((at + read, seen));
            });
        }
        states = next;
    }
    ended.extend(states.into_iter().filter(|(at, _)| *at == text.len()).map(|(_, seen)| seen));
    if ended.contains(&None) { Organisations::Any } else { Organisations::Only(ended.into_iter().flatten().collect()) }
}

/// All ways in which the piece can make the beginning of `rest`.
fn step(piece: &Piece, rest: &str, whole: bool, seen: Option<OrgNumber>, found: &mut dyn FnMut(usize, Option<OrgNumber>)) {
    let anywhere = |from: usize, seen, found: &mut dyn FnMut(usize, Option<OrgNumber>)| {
        (from..=rest.len()).filter(|end| rest.is_char_boundary(*end)).for_each(|end| found(end, seen));
    };
    match piece {
        Piece::Text(text) if rest.starts_with(text.as_str()) => found(text.len(), seen),
        // The beginning ends within the piece.
        Piece::Text(text) if !whole && text.starts_with(rest) => found(rest.len(), seen),
        Piece::Text(_) => {}
        Piece::Anything => anywhere(0, seen, found),
        Piece::Organisation | Piece::Subject => {
            let number = rest
                .get(..ORGANISATION_LENGTH)
                .and_then(|start| start.strip_prefix(PREFIX))
                .and_then(|digits| digits.parse().ok());
            match number {
                Some(number) if seen.is_none_or(|seen| seen == number) => {
                    found(ORGANISATION_LENGTH, Some(number));
                    if *piece == Piece::Subject && rest[ORGANISATION_LENGTH..].starts_with(';') {
                        anywhere(ORGANISATION_LENGTH + 1, Some(number), found);
                    }
                }
                None if !whole && rest.len() < ORGANISATION_LENGTH && could_begin(rest) => found(rest.len(), seen),
                Some(_) | None => {}
            }
        }
    }
}

fn could_begin(rest: &str) -> bool {
    rest.strip_prefix(PREFIX).map_or_else(|| PREFIX.starts_with(rest), |digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}
