//! Datasets: their access lists, and what is said about them.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Method, Response};
use serde_json::{Value, json};
use skybru_federation::google::ApiError;
use skybru_federation::google::access::{DatasetEntry, bigquery_denied};

use super::super::answers::{empty, json};
use super::super::{Call, no_such_method};
use super::{Desk, check_id};
use crate::google::caller::On;
use crate::google::datasets::Dataset;

impl Desk<'_> {
    pub(super) fn dataset_resource(&self, id: &str, dataset: &Dataset) -> Value {
        json!({
            "kind": "bigquery#dataset", "id": format!("{}:{id}", self.project), "etag": dataset.version.to_string(),
            "datasetReference": {"projectId": self.project, "datasetId": id}, "location": dataset.location, "labels": dataset.labels,
            "access": dataset.access, "creationTime": (dataset.created * 1000).to_string(),
            "lastModifiedTime": (dataset.created * 1000).to_string(), "type": "DEFAULT",
        })
    }

    pub(super) fn list_datasets(&self) -> Response<Body> {
        let state = self.sim.state.get();
        let shown = state.datasets.iter().filter(|(_, dataset)| self.may(dataset, "bigquery.datasets.get"));
        let datasets: Vec<Value> = shown
            .map(|(id, dataset)| {
                json!({
                    "kind": "bigquery#dataset", "id": format!("{}:{id}", self.project), "location": dataset.location,
                    "datasetReference": {"projectId": self.project, "datasetId": id},
                })
            })
            .collect();
        json(200, &json!({"kind": "bigquery#datasetList", "datasets": datasets}))
    }

    pub(super) async fn create_dataset(self) -> Result<Response<Body>, ApiError> {
        if !self.who.may(self.sim, &self.sim.state.get(), "bigquery.datasets.create", &On::PROJECT) {
            return Err(bigquery_denied("bigquery.datasets.create", "Project", &self.project));
        }
        let Self { call, sim, who, project } = self;
        let now = sim.now();
        let parts = call.parts.clone();
        let body: Value = call.json().await?;
        let id = body["datasetReference"]["datasetId"].as_str().unwrap_or_default().to_owned();
        check_id(&id)?;
        let special = |role: &str, group: &str| DatasetEntry {
            role: Some(role.to_owned()),
            special_group: Some(group.to_owned()),
            ..DatasetEntry::default()
        };
        let first =
            vec![special("WRITER", "projectWriters"), special("OWNER", "projectOwners"), special("READER", "projectReaders")];
        let mut dataset = Dataset { access: first, location: "EU".to_owned(), created: now, version: 1, ..Dataset::default() };
        change(&mut dataset, &body)?;
        let (key, record) = (id.clone(), dataset.clone());
        sim.state.change(|state| {
            if state.datasets.contains_key(&key) {
                return Err(ApiError::already_exists("G-69", format!("Already Exists: Dataset {}:{key}", sim.project)));
            }
            state.datasets.insert(key, record);
            Ok(())
        })?;
        let desk = Desk { call: Call::new(sim, parts, Body::empty()), sim, who, project };
        Ok(json(200, &desk.dataset_resource(&id, &dataset)))
    }

    pub(super) async fn dataset(self, id: &str) -> Result<Response<Body>, ApiError> {
        match self.call.parts.method {
            Method::GET => {
                let dataset = self.open(id, "bigquery.datasets.get")?;
                Ok(json(200, &self.dataset_resource(id, &dataset)))
            }
            Method::PATCH | Method::PUT => {
                let mut dataset = self.open(id, "bigquery.datasets.update")?;
                if self.call.header("if-match").is_some_and(|etag| etag.trim_matches('"') != dataset.version.to_string()) {
                    return Err(ApiError::new("G-69", 412, "FAILED_PRECONDITION", "Precondition check failed."));
                }
                let Self { call, sim, who, project } = self;
                let parts = call.parts.clone();
                let body: Value = call.json().await?;
                change(&mut dataset, &body)?;
                dataset.version += 1;
                let record = dataset.clone();
                sim.state.change(|state| {
                    state.datasets.insert(id.to_owned(), record);
                    Ok::<_, ApiError>(())
                })?;
                let desk = Desk { call: Call::new(sim, parts, Body::empty()), sim, who, project };
                Ok(json(200, &desk.dataset_resource(id, &dataset)))
            }
            Method::DELETE => {
                let dataset = self.open(id, "bigquery.datasets.delete")?;
                if !dataset.tables.is_empty() && self.call.query("deleteContents") != Some("true") {
                    let message = format!("Dataset {}:{id} is still in use", self.project);
                    return Err(ApiError::invalid("G-69", message));
                }
                self.sim.state.change(|state| {
                    state.datasets.remove(id);
                    Ok::<_, ApiError>(())
                })?;
                Ok(empty(204))
            }
            _ => Err(no_such_method()),
        }
    }
}

/// What may be changed of a dataset.
fn change(dataset: &mut Dataset, body: &Value) -> Result<(), ApiError> {
    if let Some(access) = body.get("access").filter(|access| !access.is_null()) {
        let entries: Vec<DatasetEntry> = serde_json::from_value(access.clone())
            .map_err(|error| ApiError::invalid("G-69", format!("Invalid access entry: {error}")))?;
        dataset.access = entries;
    }
    if let Some(labels) =
        body.get("labels").and_then(|labels| serde_json::from_value::<BTreeMap<String, String>>(labels.clone()).ok())
    {
        dataset.labels = labels;
    }
    if let Some(location) = body.get("location").and_then(Value::as_str) {
        location.clone_into(&mut dataset.location);
    }
    Ok(())
}
