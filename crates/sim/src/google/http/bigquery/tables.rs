//! Tables and their rows.

use axum::body::Body;
use axum::http::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use skybru_federation::google::ApiError;

use super::super::Call;
use super::super::answers::json;
use super::{Desk, check_id, not_found, paging};
use crate::google::datasets::{Field, Table};

/// The body of `tabledata.insertAll`.
#[derive(Deserialize)]
struct Rows {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    json: Map<String, Value>,
}

impl Desk<'_> {
    pub(super) fn table_resource(&self, dataset: &str, id: &str, table: &Table) -> Value {
        json!({
            "kind": "bigquery#table", "id": format!("{}:{dataset}.{id}", self.project), "etag": table.rows.len().to_string(),
            "tableReference": {"projectId": self.project, "datasetId": dataset, "tableId": id}, "type": "TABLE",
            "schema": {"fields": table.fields}, "numRows": table.rows.len().to_string(), "numBytes": "0",
            "creationTime": (table.created * 1000).to_string(), "lastModifiedTime": (table.created * 1000).to_string(),
        })
    }

    pub(super) fn list_tables(&self, dataset: &str) -> Result<Response<Body>, ApiError> {
        let opened = self.open(dataset, "bigquery.tables.list")?;
        let tables: Vec<Value> = opened.tables.iter().map(|(id, table)| self.table_resource(dataset, id, table)).collect();
        Ok(json(200, &json!({"kind": "bigquery#tableList", "totalItems": tables.len(), "tables": tables})))
    }

    pub(super) async fn create_table(self, dataset: &str) -> Result<Response<Body>, ApiError> {
        self.open(dataset, "bigquery.tables.create")?;
        let Self { call, sim, who, project } = self;
        let parts = call.parts.clone();
        let body: Value = call.json().await?;
        let id = body["tableReference"]["tableId"].as_str().unwrap_or_default().to_owned();
        check_id(&id)?;
        let fields: Vec<Field> = serde_json::from_value(body["schema"]["fields"].clone())
            .map_err(|error| ApiError::invalid("G-69", format!("Invalid schema: {error}")))?;
        let table = Table { created: sim.now(), fields, rows: Vec::new() };
        let record = table.clone();
        sim.state.change(|state| {
            let dataset = state.datasets.get_mut(dataset).ok_or_else(|| not_found("Dataset", dataset))?;
            if dataset.tables.contains_key(&id) {
                return Err(ApiError::already_exists("G-69", format!("Already Exists: Table {id}")));
            }
            dataset.tables.insert(id.clone(), record);
            Ok(())
        })?;
        let desk = Desk { call: Call::new(sim, parts, Body::empty()), sim, who, project };
        Ok(json(200, &desk.table_resource(dataset, &id, &table)))
    }

    pub(super) fn table(&self, dataset: &str, id: &str) -> Result<Response<Body>, ApiError> {
        let table = self.open_table(dataset, id, "bigquery.tables.get")?;
        Ok(json(200, &self.table_resource(dataset, id, &table)))
    }

    pub(super) fn rows(&self, dataset: &str, id: &str) -> Result<Response<Body>, ApiError> {
        let table = self.open_table(dataset, id, "bigquery.tables.getData")?;
        let (start, count) = paging(&self.call);
        let names = self.call.query("selectedFields").map(|names| names.split(',').collect::<Vec<_>>());
        let chosen = |field: &Field| names.as_ref().is_none_or(|names| names.contains(&field.name.as_str()));
        let columns: Vec<usize> = (0..table.fields.len()).filter(|place| chosen(&table.fields[*place])).collect();
        let mut body = json!({"kind": "bigquery#tableDataList", "totalRows": table.rows.len().to_string()});
        body["rows"] =
            table.page(&columns, start, count, wants_whole_times(self.call.query("formatOptions.useInt64Timestamp"))).into();
        if start + count < table.rows.len() && count > 0 {
            body["pageToken"] = (start + count).to_string().into();
        }
        Ok(json(200, &body))
    }

    pub(super) async fn insert(self, dataset: &str, id: &str) -> Result<Response<Body>, ApiError> {
        self.open_table(dataset, id, "bigquery.tables.updateData")?;
        let sim = self.sim;
        let rows: Rows = self.call.json().await?;
        sim.state.change(|state| {
            let found = state.datasets.get_mut(dataset).and_then(|dataset| dataset.tables.get_mut(id));
            let table = found.ok_or_else(|| not_found("Table", id))?;
            rows.rows.iter().try_for_each(|row| table.append(&row.json))
        })?;
        Ok(json(200, &json!({"kind": "bigquery#tableDataInsertAllResponse"})))
    }
}

/// Whether times are wanted as whole microseconds; otherwise they are seconds with a fraction.
pub(super) fn wants_whole_times(option: Option<&str>) -> bool {
    option.is_some_and(|option| option.eq_ignore_ascii_case("true"))
}
