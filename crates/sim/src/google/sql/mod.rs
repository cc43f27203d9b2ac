//! The part of `GoogleSQL` that reads one table.
//!
//! `SELECT` of columns, literals and the aggregates COUNT, SUM, MIN, MAX and AVG; `FROM` one table; `WHERE`; `ORDER BY`; `LIMIT` and `OFFSET`;
//! `DISTINCT`; named parameters. The text is parsed by `sqlparser`; what it means is decided here, as `BigQuery` does: comparison with NULL
//! is NULL, NULL sorts first, names do not differ by case.
//!
//! Deliberately missing, with an error that says so: joins, subqueries, GROUP BY, window functions, arithmetic, functions, and everything
//! that writes.

mod expression;
mod value;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::Value;
use skybru_federation::google::ApiError;
use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Ident, LimitClause, ObjectName, OrderByExpr, OrderByKind, OrderBySort, Query as Parsed, Select,
    SelectItem, SetExpr, Statement, TableFactor, Value as Literal,
};
use sqlparser::dialect::BigQueryDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::datasets::{Field, Table};
use expression::{Reader, aggregate, is_parameter};
use value::Cell;
pub(crate) use value::micros;

/// Longer queries are not read.
const LONGEST: usize = 16 * 1024;
/// Nor those of more words and signs: what is parsed of them could be too deep to go through.
const MOST_TOKENS: usize = 400;
/// How deep parentheses and the like may lie in one another.
const DEEPEST: usize = 30;
/// Stack for a query, in bytes. The parser calls itself through some ten functions for each level, and takes 70 KB for it when nothing is
/// optimised: more than the two megabytes of a worker thread before it has counted to [`DEEPEST`].
const ROOM: usize = 16 * 1024 * 1024;
/// What an error says is understood.
const UNDERSTOOD: &str = "The simulator reads one table: SELECT columns, literals, COUNT, SUM, MIN, MAX or AVG FROM table [WHERE …] \
                          [ORDER BY …] [LIMIT … [OFFSET …]], without joins, subqueries, grouping, arithmetic and functions.";

/// Values of named parameters: type and text.
pub(crate) type Parameters = BTreeMap<String, (String, String)>;

/// A query that is understood.
#[derive(Debug)]
pub(crate) struct Query {
    /// The parts of the table's name; `None` for a query of literals.
    pub(crate) table: Option<Vec<String>>,
    items: Vec<Item>,
    is_distinct: bool,
    filter: Option<Expr>,
    order: Vec<OrderByExpr>,
    limit: Option<usize>,
    offset: usize,
}

/// One thing that is selected.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there are few of them, and nearly all are the large one")]
enum Item {
    All,
    One { expr: Expr, alias: Option<String> },
}

/// An error of a query, as `BigQuery` reports them.
pub(crate) fn invalid_query(message: impl Into<String>) -> ApiError {
    ApiError::new("S-21", 400, "INVALID_QUERY", message)
}

fn unsupported(what: &str) -> ApiError {
    invalid_query(format!("Unsupported: {what}. {UNDERSTOOD}"))
}

/// Does something with a query, reading it included, where it cannot run out of stack.
pub(crate) fn with_room<T>(work: impl FnOnce() -> T) -> T {
    stacker::grow(ROOM, work)
}

impl Query {
    /// Reads the text. Call it [`with_room`].
    pub(crate) fn parse(sql: &str) -> Result<Self, ApiError> {
        if sql.len() > LONGEST {
            return Err(unsupported(&format!("a query of {} bytes, more than {LONGEST}", sql.len())));
        }
        let syntax = |error: &dyn ToString| invalid_query(format!("Syntax error: {}", first_line(error)));
        let tokens = Tokenizer::new(&BigQueryDialect {}, sql).tokenize_with_location().map_err(|error| syntax(&error))?;
        let count = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).count();
        if count > MOST_TOKENS {
            return Err(unsupported(&format!("a query of {count} words and signs, more than {MOST_TOKENS}")));
        }
        let mut parser = Parser::new(&BigQueryDialect {}).with_recursion_limit(DEEPEST).with_tokens_with_locations(tokens);
        let mut statements = parser.parse_statements().map_err(|error| syntax(&error))?;
        let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
            return Err(unsupported("anything but one statement"));
        };
        let Statement::Query(query) = statement else { return Err(unsupported("a statement that is no SELECT")) };
        let Parsed { with: None, body, order_by, limit_clause, fetch: None, pipe_operators, .. } = *query else {
            return Err(unsupported("WITH and FETCH"));
        };
        if !pipe_operators.is_empty() {
            return Err(unsupported("the pipe syntax"));
        }
        let SetExpr::Select(select) = *body else { return Err(unsupported("UNION and subqueries")) };
        let order = match order_by.map(|order| order.kind) {
            None => Vec::new(),
            Some(OrderByKind::Expressions(order)) => order,
            Some(OrderByKind::All(_)) => return Err(unsupported("ORDER BY ALL")),
        };
        let (limit, offset) = bounds(limit_clause)?;
        let (table, items, is_distinct, filter) = parts(*select)?;
        Ok(Self { table, items, is_distinct, filter, order, limit, offset })
    }

    /// The rows of the answer, with their columns. A query of literals has one row, whatever the table holds.
    pub(crate) fn run(&self, table: &Table, parameters: &Parameters) -> Result<Table, ApiError> {
        let reader = Reader { table, parameters };
        let mut rows = Vec::new();
        let literals = [Vec::new()];
        for row in if self.table.is_some() { table.rows.as_slice() } else { &literals } {
            let keeps = self.filter.as_ref().map_or(Ok(Cell::Bool(true)), |filter| reader.cell(filter, row))?;
            match keeps {
                Cell::Bool(true) => rows.push(row),
                Cell::Bool(false) | Cell::Null => {}
                _ => return Err(invalid_query("WHERE clause should return type BOOL")),
            }
        }
        let columns = self.columns(&reader)?;
        let fields: Vec<Field> = columns.iter().map(|(field, _)| field.clone()).collect();
        let aggregates = columns.iter().filter(|(_, expr)| aggregate(expr).is_some()).count();
        let mut answer: Vec<Vec<Value>> = if aggregates > 0 {
            if aggregates < columns.len() {
                return Err(unsupported("columns beside aggregates, which need GROUP BY"));
            }
            vec![columns.iter().map(|(_, expr)| reader.aggregated(expr, &rows)).collect::<Result<_, _>>()?]
        } else {
            self.sort(&reader, &columns, &mut rows)?;
            let of = |row: &&Vec<Value>| columns.iter().map(|(_, expr)| Ok(reader.cell(expr, row)?.json())).collect();
            rows.iter().map(of).collect::<Result<_, ApiError>>()?
        };
        if self.is_distinct {
            let mut seen = std::collections::BTreeSet::new();
            answer.retain(|row| seen.insert(Value::from(row.clone()).to_string()));
        }
        let rows = answer.into_iter().skip(self.offset).take(self.limit.unwrap_or(usize::MAX)).collect();
        Ok(Table { created: table.created, fields, rows })
    }

    /// What is selected, with the column that it makes.
    fn columns(&self, reader: &Reader<'_>) -> Result<Vec<(Field, Expr)>, ApiError> {
        let mut columns = Vec::new();
        let mut unnamed = 0;
        for item in &self.items {
            match item {
                Item::All if self.table.is_none() => return Err(invalid_query("SELECT * must have a FROM clause")),
                Item::All => columns
                    .extend(reader.table.fields.iter().map(|field| (field.clone(), Expr::Identifier(Ident::new(&field.name))))),
                Item::One { expr, alias } => {
                    let known = match expr {
                        Expr::Identifier(name) if is_parameter(name) => None,
                        Expr::Identifier(name) => Some(reader.field(name)?.1.name.clone()),
                        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.clone()),
                        _ => None,
                    };
                    let name = alias.clone().or(known).unwrap_or_else(|| {
                        unnamed += 1;
                        format!("f{}_", unnamed - 1)
                    });
                    let field = Field { name, kind: reader.kind(expr)?, mode: "NULLABLE".to_owned() };
                    columns.push((field, expr.clone()));
                }
            }
        }
        Ok(columns)
    }

    /// By columns, by what is selected under another name, or by the number of what is selected.
    fn sort(&self, reader: &Reader<'_>, columns: &[(Field, Expr)], rows: &mut Vec<&Vec<Value>>) -> Result<(), ApiError> {
        let mut keys = Vec::new();
        for order in &self.order {
            let expr = match &order.expr {
                Expr::Identifier(name) => columns
                    .iter()
                    .find(|(field, _)| field.name.eq_ignore_ascii_case(&name.value))
                    .map_or_else(|| order.expr.clone(), |(_, expr)| expr.clone()),
                Expr::Value(value) => {
                    let place =
                        matches!(&value.value, Literal::Number(..)).then(|| value.value.to_string().parse::<usize>().ok());
                    let found = place.flatten().and_then(|place| columns.get(place.checked_sub(1)?));
                    found.ok_or_else(|| invalid_query("ORDER BY is out of range of the columns"))?.1.clone()
                }
                expr => expr.clone(),
            };
            let descends = matches!(order.options.sort, Some(OrderBySort::Desc));
            keys.push((expr, descends, order.options.nulls_first));
        }
        let mut keyed = Vec::new();
        for row in rows.drain(..) {
            let cells: Vec<Cell> = keys.iter().map(|(expr, ..)| reader.cell(expr, row)).collect::<Result<_, _>>()?;
            keyed.push((cells, row));
        }
        keyed.sort_by(|(one, _), (other, _)| {
            let by_key = keys.iter().zip(one.iter().zip(other)).map(|((_, descends, nulls_first), (one, other))| {
                let nulls = nulls_first.unwrap_or(!descends);
                match (one, other) {
                    (Cell::Null, Cell::Null) => Ordering::Equal,
                    (Cell::Null, _) => {
                        if nulls {
                            Ordering::Less
                        } else {
                            Ordering::Greater
                        }
                    }
                    (_, Cell::Null) => {
                        if nulls {
                            Ordering::Greater
                        } else {
                            Ordering::Less
                        }
                    }
                    _ if *descends => other.compare(one).unwrap_or(Ordering::Equal),
                    _ => one.compare(other).unwrap_or(Ordering::Equal),
                }
            });
            by_key.fold(Ordering::Equal, Ordering::then)
        });
        rows.extend(keyed.into_iter().map(|(_, row)| row));
        Ok(())
    }
}

fn first_line(error: &dyn ToString) -> String {
    error.to_string().lines().next().unwrap_or_default().trim_start_matches("sql parser error: ").to_owned()
}

/// `LIMIT` and `OFFSET`.
fn bounds(clause: Option<LimitClause>) -> Result<(Option<usize>, usize), ApiError> {
    let number = |expr: &Expr| {
        expr.to_string().parse::<usize>().map_err(|_| invalid_query(format!("LIMIT and OFFSET are numbers, not {expr}")))
    };
    match clause {
        None => Ok((None, 0)),
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
            let limit = limit.as_ref().map(number).transpose()?;
            Ok((limit, offset.map(|offset| number(&offset.value)).transpose()?.unwrap_or(0)))
        }
        Some(_) => Err(unsupported("this LIMIT")),
    }
}

type Parts = (Option<Vec<String>>, Vec<Item>, bool, Option<Expr>);

fn parts(select: Select) -> Result<Parts, ApiError> {
    let is_distinct = match select.distinct {
        None => false,
        Some(Distinct::Distinct) => true,
        Some(_) => return Err(unsupported("DISTINCT ON")),
    };
    let groups = !matches!(&select.group_by, GroupByExpr::Expressions(by, more) if by.is_empty() && more.is_empty());
    if groups || select.having.is_some() || select.qualify.is_some() || !select.named_window.is_empty() {
        return Err(unsupported("GROUP BY, HAVING, QUALIFY and WINDOW"));
    }
    let table = match select.from.as_slice() {
        [] => None,
        [one] if one.joins.is_empty() => match &one.relation {
            TableFactor::Table { name, args: None, .. } => Some(parts_of(name)),
            _ => return Err(unsupported("anything but a table after FROM")),
        },
        _ => return Err(unsupported("more than one table")),
    };
    let item = |item: SelectItem| match item {
        SelectItem::Wildcard(options) if options.to_string().is_empty() => Ok(Item::All),
        SelectItem::UnnamedExpr(expr) => Ok(Item::One { expr, alias: None }),
        SelectItem::ExprWithAlias { expr, alias } => Ok(Item::One { expr, alias: Some(alias.value) }),
        other => Err(unsupported(&other.to_string())),
    };
    let items = select.projection.into_iter().map(item).collect::<Result<_, _>>()?;
    Ok((table, items, is_distinct, select.selection))
}

/// One pair of backquotes may hold the whole name.
fn parts_of(name: &ObjectName) -> Vec<String> {
    let parts = name.0.iter().filter_map(|part| part.as_ident());
    parts.flat_map(|part| part.value.split('.').map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests;
