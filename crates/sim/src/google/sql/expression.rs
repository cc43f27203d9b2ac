//! What an expression is of, and what it gives for a row.

use std::cmp::Ordering;

use serde_json::Value;
use skybru_federation::google::ApiError;
use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, InTarget, UnaryOperator, Value as Literal,
};

use super::super::datasets::{Field, Table};
use super::value::{self, Cell, like};
use super::{Parameters, invalid_query, unsupported};

/// Aggregates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Count,
    Sum,
    Min,
    Max,
    Average,
}

/// An aggregate and what it is of; nothing for `COUNT(*)`.
pub(super) fn aggregate(expr: &Expr) -> Option<(Aggregate, Option<&Expr>)> {
    let Expr::Function(function) = expr else { return None };
    let kind = match function.name.to_string().to_ascii_uppercase().as_str() {
        "COUNT" => Aggregate::Count,
        "SUM" => Aggregate::Sum,
        "MIN" => Aggregate::Min,
        "MAX" => Aggregate::Max,
        "AVG" => Aggregate::Average,
        _ => return None,
    };
    let FunctionArguments::List(list) = &function.args else { return None };
    if list.duplicate_treatment.is_some() || !list.clauses.is_empty() || function.over.is_some() || function.filter.is_some() {
        return None;
    }
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] if kind == Aggregate::Count => Some((kind, None)),
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))] => Some((kind, Some(expr))),
        _ => None,
    }
}

/// A table that expressions are about.
pub(super) struct Reader<'a> {
    pub(super) table: &'a Table,
    pub(super) parameters: &'a Parameters,
}

impl Reader<'_> {
    pub(super) fn field(&self, name: &Ident) -> Result<(usize, &Field), ApiError> {
        let found = self.table.fields.iter().enumerate().find(|(_, field)| field.name.eq_ignore_ascii_case(&name.value));
        found.ok_or_else(|| {
            let at = name.span.start;
            invalid_query(format!("Unrecognized name: {} at [{}:{}]", name.value, at.line, at.column))
        })
    }

    /// The type of what an expression gives.
    pub(super) fn kind(&self, expr: &Expr) -> Result<String, ApiError> {
        let named = |name: &str| Ok(name.to_owned());
        match expr {
            Expr::Identifier(name) if is_parameter(name) => named(self.parameter(&name.value)?.kind()),
            Expr::Identifier(name) => Ok(self.field(name)?.1.kind.clone()),
            Expr::CompoundIdentifier(parts) => match parts.last() {
                Some(name) => Ok(self.field(name)?.1.kind.clone()),
                None => named("STRING"),
            },
            Expr::Nested(inner) => self.kind(inner),
            Expr::Value(_) => named(self.cell(expr, &[])?.kind()),
            _ => match aggregate(expr) {
                Some((Aggregate::Count, _)) => named("INTEGER"),
                Some((Aggregate::Average, _)) => named("FLOAT"),
                Some((_, Some(inner))) => self.kind(inner),
                _ => named("BOOLEAN"),
            },
        }
    }

    /// What an expression gives for a row.
    pub(super) fn cell(&self, expr: &Expr, row: &[Value]) -> Result<Cell, ApiError> {
        match expr {
            Expr::Identifier(name) if is_parameter(name) => self.parameter(&name.value),
            Expr::Identifier(name) => {
                let (place, field) = self.field(name)?;
                Ok(row.get(place).map_or(Cell::Null, |value| Cell::of(value, &field.kind)))
            }
            // `table.column`: there is one table.
            Expr::CompoundIdentifier(names) if names.len() == 2 => self.cell(&Expr::Identifier(names[1].clone()), row),
            Expr::Nested(inner) => self.cell(inner, row),
            Expr::Value(value) => self.literal(&value.value),
            Expr::TypedString(typed) => {
                let kind = typed.data_type.to_string();
                let text = typed.value.value.to_string();
                Ok(Cell::of(&Value::from(text.trim_matches(['\'', '"'])), &kind))
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Ok(self.cell(expr, row)?.not()),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
                self.cell(expr, row)?.negative().ok_or_else(|| unsupported("this minus"))
            }
            Expr::IsNull(inner) => Ok(Cell::Bool(self.cell(inner, row)? == Cell::Null)),
            Expr::IsNotNull(inner) => Ok(Cell::Bool(self.cell(inner, row)? != Cell::Null)),
            Expr::IsTrue(inner) => Ok(Cell::Bool(self.cell(inner, row)? == Cell::Bool(true))),
            Expr::IsFalse(inner) => Ok(Cell::Bool(self.cell(inner, row)? == Cell::Bool(false))),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, row),
            Expr::Between { expr, negated, low, high } => {
                let (cell, low, high) = (self.cell(expr, row)?, self.cell(low, row)?, self.cell(high, row)?);
                let within = compared(&BinaryOperator::GtEq, &cell, &low)?.and(&compared(&BinaryOperator::LtEq, &cell, &high)?);
                Ok(if *negated { within.not() } else { within })
            }
            Expr::In { expr, target: InTarget::List(list), negated, global: false } => {
                let cell = self.cell(expr, row)?;
                let mut found = Cell::Bool(false);
                for one in list {
                    found = found.or(&compared(&BinaryOperator::Eq, &cell, &self.cell(one, row)?)?);
                }
                Ok(if *negated { found.not() } else { found })
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                match (self.cell(expr, row)?, self.cell(pattern, row)?) {
                    (Cell::Text(text), Cell::Text(pattern)) => Ok(Cell::Bool(like(&text, &pattern) != *negated)),
                    (Cell::Null, _) | (_, Cell::Null) => Ok(Cell::Null),
                    _ => Err(invalid_query("No matching signature for operator LIKE: it compares texts")),
                }
            }
            other => Err(unsupported(&other.to_string().chars().take(80).collect::<String>())),
        }
    }

    fn binary(&self, left: &Expr, operator: &BinaryOperator, right: &Expr, row: &[Value]) -> Result<Cell, ApiError> {
        let (one, other) = (self.cell(left, row)?, self.cell(right, row)?);
        match operator {
            BinaryOperator::And => Ok(one.and(&other)),
            BinaryOperator::Or => Ok(one.or(&other)),
            _ => compared(operator, &one, &other),
        }
    }

    /// The value of `@name`.
    fn parameter(&self, name: &str) -> Result<Cell, ApiError> {
        let name = name.trim_start_matches('@');
        let found = self.parameters.get(&name.to_lowercase());
        let (kind, text) = found.ok_or_else(|| invalid_query(format!("Query parameter '{name}' not found")))?;
        Ok(Cell::of(&Value::from(text.as_str()), kind))
    }

    fn literal(&self, literal: &Literal) -> Result<Cell, ApiError> {
        Ok(match literal {
            Literal::Number(text, _) => Cell::number(text).ok_or_else(|| invalid_query(format!("Invalid number: {text}")))?,
            Literal::SingleQuotedString(text) | Literal::DoubleQuotedString(text) => Cell::Text(text.clone()),
            Literal::Boolean(value) => Cell::Bool(*value),
            Literal::Null => Cell::Null,
            Literal::Placeholder(name) => return self.parameter(name),
            other => return Err(unsupported(&other.to_string())),
        })
    }

    pub(super) fn aggregated(&self, expr: &Expr, rows: &[&Vec<Value>]) -> Result<Value, ApiError> {
        let Some((kind, inner)) = aggregate(expr) else { return Err(unsupported(&expr.to_string())) };
        let Some(inner) = inner else { return Ok(rows.len().into()) };
        let mut cells = Vec::new();
        for row in rows {
            let cell = self.cell(inner, row)?;
            if cell != Cell::Null {
                cells.push(cell);
            }
        }
        let extreme = |wanted: Ordering| {
            cells.iter().fold(None, |best: Option<&Cell>, cell| match best {
                Some(best) if cell.compare(best) != Some(wanted) => Some(best),
                _ => Some(cell),
            })
        };
        let none = || Value::Null;
        match kind {
            Aggregate::Count => Ok(cells.len().into()),
            Aggregate::Min => Ok(extreme(Ordering::Less).map_or_else(none, Cell::json)),
            Aggregate::Max => Ok(extreme(Ordering::Greater).map_or_else(none, Cell::json)),
            Aggregate::Sum | Aggregate::Average => value::sum(&cells, kind == Aggregate::Average)
                .ok_or_else(|| invalid_query("No matching signature for an aggregate: it takes numbers that add up to one")),
        }
    }
}

/// `@name`, which the parser takes for the name of a column.
pub(super) fn is_parameter(name: &Ident) -> bool {
    name.quote_style.is_none() && name.value.starts_with('@')
}

/// A comparison; with NULL it is NULL.
fn compared(operator: &BinaryOperator, one: &Cell, other: &Cell) -> Result<Cell, ApiError> {
    let holds: fn(Ordering) -> bool = match operator {
        BinaryOperator::Eq => Ordering::is_eq,
        BinaryOperator::NotEq => Ordering::is_ne,
        BinaryOperator::Lt => Ordering::is_lt,
        BinaryOperator::LtEq => Ordering::is_le,
        BinaryOperator::Gt => Ordering::is_gt,
        BinaryOperator::GtEq => Ordering::is_ge,
        other => return Err(unsupported(&format!("the operator {other}"))),
    };
    if *one == Cell::Null || *other == Cell::Null {
        return Ok(Cell::Null);
    }
    let order = one.compare(other).ok_or_else(|| {
        invalid_query(format!(
            "No matching signature for operator {operator} for argument types: {}, {}",
            one.kind(),
            other.kind()
        ))
    })?;
    Ok(Cell::Bool(holds(order)))
}
