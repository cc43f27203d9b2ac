//! Datasets and tables: who may see them, and their rows. Queries are in `sql`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use skybru_federation::google::ApiError;
use skybru_federation::google::access::DatasetEntry;

use super::sql;

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

    /// Rows as `BigQuery` writes them: every value a text; a time as seconds with a fraction, or as whole microseconds.
    pub(crate) fn page(&self, columns: &[usize], start: usize, count: usize, whole_times: bool) -> Vec<Value> {
        let text = |place: usize, value: &Value| {
            let is_time = self.fields.get(place).is_some_and(|field| field.kind.eq_ignore_ascii_case("TIMESTAMP"));
            match value {
                Value::Null => Value::Null,
                Value::String(text) => match sql::micros(text).filter(|_| is_time) {
                    Some(micros) if whole_times => micros.to_string().into(),
                    Some(micros) => format!("{}.{:06}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000)).into(),
                    None => text.as_str().into(),
                },
                other => other.to_string().into(),
            }
        };
        let row = |row: &Vec<Value>| {
            let cells: Vec<Value> = columns
                .iter()
                .filter_map(|place| Some((*place, row.get(*place)?)))
                .map(|(place, value)| json!({"v": text(place, value)}))
                .collect();
            json!({"f": cells})
        };
        self.rows.iter().skip(start).take(count).map(row).collect()
    }
}
