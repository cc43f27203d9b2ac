//! Datasets and tables: who may see them, their rows, and the one query that is understood.
//!
//! Deliberately missing: SQL. `SELECT columns FROM table [LIMIT n]` is what a client sends to read a table, and all that is known here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use skybru_federation::google::ApiError;
use skybru_federation::google::access::DatasetEntry;

/// A dataset.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Dataset {
    pub(crate) access: Vec<DatasetEntry>,
    pub(crate) location: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// Seconds since 1970.
    pub(crate) created: i64,
    /// Counts changes, for the etag.
    pub(crate) version: u64,
    /// By id.
    pub(crate) tables: BTreeMap<String, Table>,
}

/// A table.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Table {
    /// Seconds since 1970.
    pub(crate) created: i64,
    pub(crate) fields: Vec<Field>,
    /// A value for each field.
    pub(crate) rows: Vec<Vec<Value>>,
}

/// A column.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Field {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default = "nullable")]
    pub(crate) mode: String,
}

fn nullable() -> String {
    "NULLABLE".to_owned()
}

impl Table {
    /// Appends a row given by its members' names.
    pub(crate) fn append(&mut self, row: &Map<String, Value>) -> Result<(), ApiError> {
        if let Some(unknown) = row.keys().find(|name| self.fields.iter().all(|field| field.name != **name)) {
            return Err(ApiError::invalid("G-69", format!("no such field: {unknown}.")));
        }
        self.rows.push(self.fields.iter().map(|field| row.get(&field.name).cloned().unwrap_or_default()).collect());
        Ok(())
    }

    /// Rows as `BigQuery` writes them: every value a text.
    pub(crate) fn page(&self, columns: &[usize], start: usize, count: usize) -> Vec<Value> {
        let text = |value: &Value| match value {
            Value::Null => Value::Null,
            Value::String(text) => text.as_str().into(),
            other => other.to_string().into(),
        };
        let row = |row: &Vec<Value>| {
            let cells: Vec<Value> =
                columns.iter().filter_map(|place| row.get(*place)).map(|value| json!({"v": text(value)})).collect();
            json!({"f": cells})
        };
        self.rows.iter().skip(start).take(count).map(row).collect()
    }
}

/// A query that is understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Select {
    /// `None` for the default project.
    pub(crate) project: Option<String>,
    /// `None` for the default dataset.
    pub(crate) dataset: Option<String>,
    pub(crate) table: String,
    /// Names; empty for all.
    pub(crate) columns: Vec<String>,
    pub(crate) limit: Option<usize>,
}

impl Select {
    /// Reads `SELECT * FROM a.b.c LIMIT 10`; backquotes around names, any case, a semicolon at the end.
    pub(crate) fn parse(sql: &str) -> Result<Self, ApiError> {
        let not_known = || {
            let message = "Syntax error: the simulator understands SELECT columns FROM table [LIMIT n] and nothing else.";
            ApiError::invalid("S-21", message)
        };
        let text = sql.trim().trim_end_matches(';').replace(['`', '\n', '\r', '\t'], " ").replace(',', " , ");
        let words: Vec<&str> = text.split_whitespace().collect();
        let keyword = |at: usize, word: &str| words.get(at).is_some_and(|found| found.eq_ignore_ascii_case(word));
        let from = (0..words.len()).find(|at| keyword(*at, "from")).ok_or_else(not_known)?;
        if !keyword(0, "select") || from < 2 {
            return Err(not_known());
        }
        let columns: Vec<String> = match &words[1..from] {
            ["*"] => Vec::new(),
            list => {
                let in_turn = list.iter().enumerate().all(|(at, word)| (*word == ",") == (at % 2 == 1)) && list.len() % 2 == 1;
                let names: Vec<&str> = list.iter().copied().filter(|word| *word != ",").collect();
                let plain = |name: &&str| name.chars().all(|c| c.is_alphanumeric() || c == '_');
                if !in_turn || !names.iter().all(plain) {
                    return Err(not_known());
                }
                names.into_iter().map(str::to_owned).collect()
            }
        };
        let limit = match &words[from + 1..] {
            [_] => None,
            [_, word, count] if word.eq_ignore_ascii_case("limit") => Some(count.parse().map_err(|_| not_known())?),
            _ => return Err(not_known()),
        };
        let names: Vec<String> = words[from + 1].split('.').map(str::to_owned).collect();
        let (project, dataset, table) = match names.as_slice() {
            [table] => (None, None, table.clone()),
            [dataset, table] => (None, Some(dataset.clone()), table.clone()),
            [project, dataset, table] => (Some(project.clone()), Some(dataset.clone()), table.clone()),
            _ => return Err(not_known()),
        };
        Ok(Self { project, dataset, table, columns, limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_that_reads_a_table_is_understood() {
        let all = Select::parse("SELECT * FROM `skybru-lab.timetables.lines` LIMIT 10;").unwrap();
        assert_eq!(
            (all.project.as_deref(), all.dataset.as_deref(), all.table.as_str()),
            (Some("skybru-lab"), Some("timetables"), "lines")
        );
        assert_eq!((all.columns.len(), all.limit), (0, Some(10)));
        let some = Select::parse("select a, b\nfrom t.x").unwrap();
        assert_eq!((some.columns, some.limit), (vec!["a".to_owned(), "b".to_owned()], None));
        for wrong in [
            "",
            "SELECT",
            "DROP TABLE x",
            "SELECT * FROM a WHERE b",
            "SELECT count(*) FROM a",
            "SELECT a b FROM c",
            "SELECT * FROM a.b.c.d",
            "SELECT * FROM",
        ] {
            assert!(Select::parse(wrong).is_err(), "{wrong}");
        }
    }
}
