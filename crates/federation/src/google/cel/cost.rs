//! What an expression may cost at most, known before it is evaluated.
//!
//! The interpreter has no budget of its own. So its syntax tree is walked first, with an upper bound on the size of every value: exact
//! where a name leads into the token, estimated where something is computed. Loops come from macros only, so every loop's length is
//! the length of a list whose bound is known.

use std::collections::BTreeMap;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue};
pub(crate) use cel::parser::Expression as Tree;
use serde_json::Value;

use super::{EvaluationError, ExpressionError};

/// Steps that one evaluation may take.
const BUDGET: u64 = 3_000_000;
/// What a pattern may cost that repeats by number; compiling it is the expensive part.
const COUNTED_PATTERN: u64 = 100_000;

/// CEL's own functions and operators, and those of G-11.
const FUNCTIONS: [&str; 36] = [
    "_?_:_",
    "_&&_",
    "_||_",
    "!_",
    "_-_",
    "_+_",
    "_*_",
    "_/_",
    "_%_",
    "_==_",
    "_!=_",
    "_>=_",
    "_<=_",
    "_>_",
    "_<_",
    "-_",
    "_[_]",
    "@in",
    "@not_strictly_false",
    "startsWith",
    "endsWith",
    "contains",
    "matches",
    "size",
    "string",
    "int",
    "double",
    "bool",
    "type",
    "timestamp",
    "duration",
    "extract",
    "lowerAscii",
    "upperAscii",
    "split",
    "join",
];

/// Checks depth, functions and names; says what is wrong first.
pub(super) fn check(tree: &Tree, depth: usize, names: &'static [&'static str]) -> Result<(), ExpressionError> {
    walk(tree, depth, names, &mut Vec::new())
}

fn walk<'t>(
    tree: &'t Tree,
    depth: usize,
    names: &'static [&'static str],
    bound: &mut Vec<&'t str>,
) -> Result<(), ExpressionError> {
    let depth = depth.checked_sub(1).ok_or(ExpressionError::TooDeep)?;
    match &tree.expr {
        Expr::Ident(name) => {
            if names.contains(&name.as_str()) || bound.contains(&name.as_str()) {
                return Ok(());
            }
            let expected = names.first().copied().unwrap_or("no name");
            Err(ExpressionError::UnknownName(name.chars().take(60).collect(), expected))
        }
        Expr::Call(call) => {
            if !FUNCTIONS.contains(&call.func_name.as_str()) {
                return Err(ExpressionError::UnknownFunction(call.func_name.chars().take(60).collect()));
            }
            call.target.as_deref().into_iter().chain(&call.args).try_for_each(|part| walk(part, depth, names, bound))
        }
        Expr::Select(select) => walk(&select.operand, depth, names, bound),
        Expr::List(list) => list.elements.iter().try_for_each(|part| walk(part, depth, names, bound)),
        Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => {
                walk(&entry.key, depth, names, bound)?;
                walk(&entry.value, depth, names, bound)
            }
            EntryExpr::StructField(field) => walk(&field.value, depth, names, bound),
        }),
        Expr::Comprehension(it) => {
            walk(&it.iter_range, depth, names, bound)?;
            walk(&it.accu_init, depth, names, bound)?;
            let before = bound.len();
            bound.extend([it.iter_var.as_str(), it.accu_var.as_str()]);
            bound.extend(it.iter_var2.as_deref());
            let inside =
                [&it.loop_cond, &it.loop_step, &it.result].into_iter().try_for_each(|part| walk(part, depth, names, bound));
            bound.truncate(before);
            inside
        }
        Expr::Literal(_) => Ok(()),
        Expr::Struct(_) | Expr::Unspecified => Err(ExpressionError::Syntax("there are no messages here".to_owned())),
    }
}

/// Whether evaluating the tree on these values keeps within the budget.
pub(super) fn affordable(tree: &Tree, names: &BTreeMap<&str, &Value>) -> Result<(), EvaluationError> {
    let mut scope: Vec<(&str, Shape<'_>)> = names.iter().map(|(name, value)| (*name, Shape::Nodes(vec![*value]))).collect();
    let (cost, _) = estimate(tree, &mut scope);
    if cost > BUDGET { Err(EvaluationError::TooCostly) } else { Ok(()) }
}

/// An upper bound on a value.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// Members of the longest list or map in it.
    items: u64,
    /// Bytes of the longest text in it.
    text: u64,
    /// All of it: bytes and members.
    weight: u64,
}

impl Size {
    const SMALL: Self = Self { items: 0, text: 64, weight: 64 };

    fn most(self, other: Self) -> Self {
        Self { items: self.items.max(other.items), text: self.text.max(other.text), weight: self.weight.max(other.weight) }
    }

    fn and(self, other: Self) -> Self {
        Self {
            items: self.items.saturating_add(other.items),
            text: self.text.saturating_add(other.text),
            weight: self.weight.saturating_add(other.weight),
        }
    }

    fn of(value: &Value) -> Self {
        let children = |parts: &mut dyn Iterator<Item = Self>, count: usize| {
            let start = Self { items: count as u64, text: 0, weight: 1 };
            parts.fold(start, |all, part| Self {
                items: all.items.max(part.items),
                text: all.text.max(part.text),
                weight: all.weight.saturating_add(part.weight),
            })
        };
        match value {
            Value::String(text) => Self { items: 0, text: text.len() as u64, weight: text.len() as u64 + 1 },
            Value::Array(items) => children(&mut items.iter().map(Self::of), items.len()),
            Value::Object(members) => {
                let key = |name: &String| Self { items: 0, text: name.len() as u64, weight: name.len() as u64 + 1 };
                children(&mut members.iter().flat_map(|(name, value)| [key(name), Self::of(value)]), members.len())
            }
            _ => Self { items: 0, text: 24, weight: 1 },
        }
    }
}

/// What is known of a value: the places in the token that it may be, or a bound.
#[derive(Debug, Clone)]
enum Shape<'a> {
    Nodes(Vec<&'a Value>),
    Bound(Size),
}

impl<'a> Shape<'a> {
    fn size(&self) -> Size {
        match self {
            Self::Nodes(nodes) => nodes.iter().map(|node| Size::of(node)).fold(Size::default(), Size::most),
            Self::Bound(size) => *size,
        }
    }

    fn member(&self, name: &str) -> Self {
        match self {
            Self::Nodes(nodes) => Self::Nodes(nodes.iter().filter_map(|node| node.get(name)).collect()),
            Self::Bound(_) => self.clone(),
        }
    }

    /// What a loop over it sees one by one, and how often at most.
    fn elements(&self) -> (u64, Self) {
        match self {
            Self::Nodes(nodes) => {
                let count = nodes.iter().map(|node| Size::of(node).items.min(length(node))).max().unwrap_or(0);
                let maps = nodes.iter().filter_map(|node| node.as_object()).flat_map(|map| map.keys()).map(String::len).max();
                if let Some(longest) = maps {
                    let text = longest as u64;
                    return (count, Self::Bound(Size { items: 0, text, weight: text + 1 }));
                }
                let elements = nodes.iter().filter_map(|node| node.as_array()).flatten();
                (count, Self::Nodes(elements.collect::<Vec<&'a Value>>()))
            }
            Self::Bound(size) => (size.items, self.clone()),
        }
    }
}

fn length(value: &Value) -> u64 {
    value.as_array().map(Vec::len).or_else(|| value.as_object().map(serde_json::Map::len)).unwrap_or(0) as u64
}

/// The most steps, and the most that comes out.
fn estimate<'a, 't: 'a>(tree: &'t Tree, scope: &mut Vec<(&'t str, Shape<'a>)>) -> (u64, Shape<'a>) {
    match &tree.expr {
        Expr::Literal(literal) => (1, Shape::Bound(literal_size(literal))),
        Expr::Ident(name) => {
            let known = scope.iter().rev().find(|(known, _)| known == name).map(|(_, shape)| shape.clone());
            (1, known.unwrap_or(Shape::Bound(Size::SMALL)))
        }
        Expr::Select(select) => {
            let (cost, shape) = estimate(&select.operand, scope);
            (cost.saturating_add(1), if select.test { Shape::Bound(Size::SMALL) } else { shape.member(&select.field) })
        }
        Expr::List(list) => {
            let parts = list.elements.iter().map(|part| estimate(part, scope)).collect::<Vec<_>>();
            let all = joined(&parts);
            (all.0, Shape::Bound(Size { items: all.1.items.max(list.elements.len() as u64), ..all.1 }))
        }
        Expr::Map(map) => {
            let mut parts = Vec::new();
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    parts.extend([estimate(&entry.key, scope), estimate(&entry.value, scope)]);
                }
            }
            let all = joined(&parts);
            (all.0, Shape::Bound(Size { items: all.1.items.max(map.entries.len() as u64), ..all.1 }))
        }
        Expr::Call(call) => estimate_call(call, scope),
        Expr::Comprehension(it) => estimate_loop(it, scope),
        Expr::Struct(_) | Expr::Unspecified => (1, Shape::Bound(Size::SMALL)),
    }
}

fn literal_size(literal: &LiteralValue) -> Size {
    match literal {
        LiteralValue::String(text) => {
            let text = text.inner().len() as u64;
            Size { items: 0, text, weight: text + 1 }
        }
        _ => Size::SMALL,
    }
}

fn joined(parts: &[(u64, Shape<'_>)]) -> (u64, Size) {
    parts.iter().fold((1, Size { items: 0, text: 0, weight: 1 }), |(cost, size), (part_cost, part)| {
        let part = part.size();
        let size = Size {
            items: size.items.max(part.items),
            text: size.text.max(part.text),
            weight: size.weight.saturating_add(part.weight),
        };
        // Lists and maps take their parts over by copying.
        (cost.saturating_add(*part_cost).saturating_add(part.weight), size)
    })
}

fn estimate_call<'a, 't: 'a>(call: &'t CallExpr, scope: &mut Vec<(&'t str, Shape<'a>)>) -> (u64, Shape<'a>) {
    let parts: Vec<(u64, Shape<'a>)> =
        call.target.as_deref().into_iter().chain(&call.args).map(|part| estimate(part, scope)).collect();
    let before = parts.iter().fold(1_u64, |cost, (part, _)| cost.saturating_add(*part));
    let size = |place: usize| parts.get(place).map_or(Size::default(), |(_, shape)| shape.size());
    let all = parts.iter().map(|(_, shape)| shape.size()).fold(Size::default(), Size::and);
    let bound = |cost: u64, size: Size| (before.saturating_add(cost), Shape::Bound(size));
    match call.func_name.as_str() {
        "_[_]" => match (call.args.get(1).map(|index| &index.expr), parts.first()) {
            (Some(Expr::Literal(LiteralValue::String(name))), Some((_, shape))) => (before, shape.member(name.inner())),
            (_, Some((_, shape))) => {
                // A list's elements, or any of a map's members.
                let shape = match shape {
                    Shape::Nodes(nodes) if nodes.iter().all(|node| node.is_array()) => shape.elements().1,
                    Shape::Nodes(_) => Shape::Bound(shape.size()),
                    Shape::Bound(_) => shape.clone(),
                };
                (before, shape)
            }
            _ => bound(0, all),
        },
        "_?_:_" => bound(0, size(1).most(size(2))),
        "_+_" => bound(all.weight, all),
        "split" => {
            let text = size(0).text;
            bound(text.saturating_mul(2), Size { items: text + 1, text, weight: text.saturating_mul(2) + 2 })
        }
        "join" => {
            let (list, between) = (size(0), size(1).text);
            let text = list.weight.saturating_add(list.items.saturating_mul(between));
            bound(text, Size { items: 0, text, weight: text + 1 })
        }
        "matches" => {
            let pattern = if is_plain_pattern(call) { size(1).text.saturating_mul(20) } else { COUNTED_PATTERN };
            bound(pattern.saturating_add(size(0).text.saturating_mul(4)), Size::SMALL)
        }
        "extract" | "lowerAscii" | "upperAscii" => bound(size(0).text, Size { items: 0, ..size(0) }),
        "string" | "type" => bound(size(0).text, size(0).most(Size::SMALL)),
        // Comparisons, logic, arithmetic and conversions give something small, after a look at all of their parts.
        _ => bound(all.weight, Size::SMALL),
    }
}

/// Whether the pattern stands in the expression itself and repeats nothing by number.
fn is_plain_pattern(call: &CallExpr) -> bool {
    matches!(call.args.last().map(|pattern| &pattern.expr), Some(Expr::Literal(LiteralValue::String(text))) if !text.inner().contains('{'))
}

fn estimate_loop<'a, 't: 'a>(it: &'t ComprehensionExpr, scope: &mut Vec<(&'t str, Shape<'a>)>) -> (u64, Shape<'a>) {
    let (range_cost, range) = estimate(&it.iter_range, scope);
    let (init_cost, init) = estimate(&it.accu_init, scope);
    let (times, element) = range.elements();
    let before = scope.len();
    scope.push((&it.iter_var, element.clone()));
    if let Some(second) = &it.iter_var2 {
        scope.push((second, element));
    }
    scope.push((&it.accu_var, Shape::Bound(Size::default())));
    let (condition, _) = estimate(&it.loop_cond, scope);
    let (step, grown) = estimate(&it.loop_step, scope);
    let grown = grown.size();
    let collected = Size {
        items: init.size().items.saturating_add(times.saturating_mul(grown.items)),
        text: grown.text.max(init.size().text),
        weight: init.size().weight.saturating_add(times.saturating_mul(grown.weight)),
    };
    // Macros that collect copy what they have at each step.
    let copying = if grown.items > 0 { times.saturating_mul(collected.weight) / 2 } else { 0 };
    scope.truncate(before);
    scope.push((&it.accu_var, Shape::Bound(collected)));
    let (result, shape) = estimate(&it.result, scope);
    scope.truncate(before);
    let each = condition.saturating_add(step).saturating_add(2);
    let cost = range_cost.saturating_add(init_cost).saturating_add(result).saturating_add(times.saturating_mul(each));
    (cost.saturating_add(copying), shape)
}
