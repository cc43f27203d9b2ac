//! `BigQuery`: datasets with their access lists, tables, rows, and jobs that read one table.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Method, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use skybru_federation::google::access::{DatasetEntry, bigquery_denied, dataset_allows, scopes_allow};
use skybru_federation::google::roles::role_holds;
use skybru_federation::google::{ApiError, Caller};

use super::answers::{empty, json, listed_error};
use super::{Call, no_such_method};
use crate::google::Sim;
use crate::google::caller::{Asking, On};
use crate::google::datasets::{Dataset, Field, Select, Table};

/// The most rows on one page.
const PAGE: usize = 10_000;
/// The dataset of results: a job's is the table of the job's id, as Google has anonymous tables.
const RESULTS: &str = "_results";

/// The body of `tabledata.insertAll`.
#[derive(Deserialize)]
struct Rows {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    json: Map<String, Value>,
}

/// Who calls, in which project.
struct Desk<'a> {
    call: Call<'a>,
    sim: &'a Sim,
    who: Asking,
    project: String,
}

pub(super) async fn answer(call: Call<'_>, segments: &[&str]) -> Response<Body> {
    let answer = dispatch(call, segments).await;
    answer.unwrap_or_else(|error| {
        tracing::info!(rule = error.rule, code = error.code, message = error.message, "refused");
        listed_error(&error)
    })
}

async fn dispatch(call: Call<'_>, segments: &[&str]) -> Result<Response<Body>, ApiError> {
    let ["projects", project, rest @ ..] = segments else { return Err(no_such_method()) };
    let (sim, who) = (call.sim, call.asking()?);
    if who.caller == Caller::Anonymous {
        return Err(ApiError::unauthenticated());
    }
    if !sim.is_project(project) {
        return Err(bigquery_denied("bigquery.jobs.create", "Project", project));
    }
    let desk = Desk { call, sim, who, project: sim.project.clone() };
    match (desk.call.parts.method.clone(), rest) {
        (Method::GET, ["datasets"]) => Ok(desk.list_datasets()),
        (Method::POST, ["datasets"]) => desk.create_dataset().await,
        (_, ["datasets", dataset]) => desk.dataset(dataset).await,
        (Method::GET, ["datasets", dataset, "tables"]) => desk.list_tables(dataset),
        (Method::POST, ["datasets", dataset, "tables"]) => desk.create_table(dataset).await,
        (Method::GET, ["datasets", dataset, "tables", table]) => desk.table(dataset, table),
        (Method::GET, ["queries", job] | ["datasets", RESULTS, "tables", job, "data"]) => desk.results(job),
        (Method::GET, ["datasets", dataset, "tables", table, "data"]) => desk.rows(dataset, table),
        (Method::POST, ["datasets", dataset, "tables", table, "insertAll"]) => desk.insert(dataset, table).await,
        (Method::POST, ["queries"]) => desk.query().await,
        (Method::POST, ["jobs"]) => desk.start_job().await,
        (Method::GET, ["jobs", job]) => desk.job(job),
        _ => Err(no_such_method()),
    }
}

/// The description of this API, of which `bq` makes its client.
pub(super) fn discovery(call: &Call<'_>) -> Response<Body> {
    let base = call.base_url();
    let mut document: Value = serde_json::from_str(include_str!("bigquery.discovery.json")).unwrap_or_default();
    document["rootUrl"] = format!("{base}/").into();
    document["baseUrl"] = format!("{base}/bigquery/v2/").into();
    json(200, &document)
}

fn not_found(kind: &str, name: &str) -> ApiError {
    ApiError::not_found("G-69", format!("Not found: {kind} {name}"))
}

/// The most that is sent, and from where on.
fn paging(call: &Call<'_>) -> (usize, usize) {
    let number = |name: &str| call.query(name).and_then(|text| text.parse::<usize>().ok());
    (number("startIndex").or_else(|| number("pageToken")).unwrap_or(0), number("maxResults").unwrap_or(PAGE).min(PAGE))
}

impl Desk<'_> {
    /// Whether the dataset's own list or the project's policy lets the caller do this.
    fn may(&self, dataset: &Dataset, permission: &str) -> bool {
        if !scopes_allow(&self.who.scopes, permission) {
            return false;
        }
        let state = self.sim.state.get();
        let project = state.policy_in_force(
            &format!("projects/{}", self.sim.project_number),
            self.sim.now(),
            self.sim.control.propagation_delay(),
        );
        let held = |role: &&str| {
            project
                .bindings
                .iter()
                .any(|binding| binding.role == **role && binding.members.iter().any(|member| self.who.caller.is_member(member)))
        };
        let basic: Vec<&str> =
            ["roles/owner", "roles/editor", "roles/viewer"].iter().copied().filter(|role| held(role)).collect();
        basic.iter().any(|role| role_holds(role, permission))
            || dataset_allows(&dataset.access, &self.who.caller, &basic, permission)
            || self.who.may(self.sim, &state, permission, &On::PROJECT)
    }

    /// The dataset, if the caller may do this with it. One that is not there is not told from one that is closed.
    fn open(&self, id: &str, permission: &str) -> Result<Dataset, ApiError> {
        let name = format!("{}:{id}", self.project);
        let found = self.sim.state.get().datasets.get(id).cloned();
        let owner = self.who.may(self.sim, &self.sim.state.get(), permission, &On::PROJECT);
        match found {
            Some(dataset) if self.may(&dataset, permission) => Ok(dataset),
            None if owner => Err(not_found("Dataset", &name)),
            _ => Err(bigquery_denied(permission, "Dataset", &name)),
        }
    }

    fn open_table(&self, dataset: &str, table: &str, permission: &str) -> Result<Table, ApiError> {
        let name = format!("{}:{dataset}.{table}", self.project);
        let opened = self
            .open(dataset, permission)
            .map_err(|error| if error.code == 403 { bigquery_denied(permission, "Table", &name) } else { error })?;
        opened.tables.get(table).cloned().ok_or_else(|| not_found("Table", &name))
    }

    fn dataset_resource(&self, id: &str, dataset: &Dataset) -> Value {
        json!({
            "kind": "bigquery#dataset", "id": format!("{}:{id}", self.project), "etag": dataset.version.to_string(),
            "datasetReference": {"projectId": self.project, "datasetId": id}, "location": dataset.location, "labels": dataset.labels,
            "access": dataset.access, "creationTime": (dataset.created * 1000).to_string(),
            "lastModifiedTime": (dataset.created * 1000).to_string(), "type": "DEFAULT",
        })
    }

    fn table_resource(&self, dataset: &str, id: &str, table: &Table) -> Value {
        json!({
            "kind": "bigquery#table", "id": format!("{}:{dataset}.{id}", self.project), "etag": table.rows.len().to_string(),
            "tableReference": {"projectId": self.project, "datasetId": dataset, "tableId": id}, "type": "TABLE",
            "schema": {"fields": table.fields}, "numRows": table.rows.len().to_string(), "numBytes": "0",
            "creationTime": (table.created * 1000).to_string(), "lastModifiedTime": (table.created * 1000).to_string(),
        })
    }

    fn list_datasets(&self) -> Response<Body> {
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

    async fn create_dataset(self) -> Result<Response<Body>, ApiError> {
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

    async fn dataset(self, id: &str) -> Result<Response<Body>, ApiError> {
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

    fn list_tables(&self, dataset: &str) -> Result<Response<Body>, ApiError> {
        let opened = self.open(dataset, "bigquery.tables.list")?;
        let tables: Vec<Value> = opened.tables.iter().map(|(id, table)| self.table_resource(dataset, id, table)).collect();
        Ok(json(200, &json!({"kind": "bigquery#tableList", "totalItems": tables.len(), "tables": tables})))
    }

    async fn create_table(self, dataset: &str) -> Result<Response<Body>, ApiError> {
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

    fn table(&self, dataset: &str, id: &str) -> Result<Response<Body>, ApiError> {
        let table = self.open_table(dataset, id, "bigquery.tables.get")?;
        Ok(json(200, &self.table_resource(dataset, id, &table)))
    }

    fn rows(&self, dataset: &str, id: &str) -> Result<Response<Body>, ApiError> {
        let table = self.open_table(dataset, id, "bigquery.tables.getData")?;
        let (start, count) = paging(&self.call);
        let names = self.call.query("selectedFields").map(|names| names.split(',').collect::<Vec<_>>());
        let chosen = |field: &Field| names.as_ref().is_none_or(|names| names.contains(&field.name.as_str()));
        let columns: Vec<usize> = (0..table.fields.len()).filter(|place| chosen(&table.fields[*place])).collect();
        let mut body = json!({"kind": "bigquery#tableDataList", "totalRows": table.rows.len().to_string()});
        body["rows"] = table.page(&columns, start, count).into();
        if start + count < table.rows.len() && count > 0 {
            body["pageToken"] = (start + count).to_string().into();
        }
        Ok(json(200, &body))
    }

    async fn insert(self, dataset: &str, id: &str) -> Result<Response<Body>, ApiError> {
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

    fn require_jobs(&self) -> Result<(), ApiError> {
        if self.who.may(self.sim, &self.sim.state.get(), "bigquery.jobs.create", &On::PROJECT) {
            return Ok(());
        }
        Err(bigquery_denied("bigquery.jobs.create", "Project", &self.project))
    }

    /// Reads the query and sees that the caller may read its table.
    fn prepare(&self, sql: &str, default_dataset: Option<&str>) -> Result<(Select, Table), ApiError> {
        let mut select = Select::parse(sql)?;
        if select.project.as_ref().is_some_and(|project| !self.sim.is_project(project)) {
            let project = select.project.unwrap_or_default();
            return Err(bigquery_denied("bigquery.tables.getData", "Table", &format!("{project}:{}", select.table)));
        }
        select.dataset = select.dataset.or_else(|| default_dataset.map(str::to_owned));
        let dataset = select.dataset.clone();
        let dataset = dataset.ok_or_else(|| {
            ApiError::invalid(
                "S-21",
                format!("Table \"{}\" must be qualified with a dataset (e.g. dataset.table).", select.table),
            )
        })?;
        let table = self.open_table(&dataset, &select.table, "bigquery.tables.getData")?;
        if let Some(unknown) = select.columns.iter().find(|name| table.fields.iter().all(|field| field.name != **name)) {
            return Err(ApiError::invalid("S-21", format!("Unrecognized name: {unknown}")));
        }
        Ok((select, table))
    }

    /// The answer of `jobs.query` and `jobs.getQueryResults`.
    fn query_answer(&self, job: &str, select: &Select, table: &Table, (start, count): (usize, usize)) -> Value {
        let place = |name: &String| table.fields.iter().position(|field| field.name == *name);
        let columns: Vec<usize> = if select.columns.is_empty() {
            (0..table.fields.len()).collect()
        } else {
            select.columns.iter().filter_map(place).collect()
        };
        let total = table.rows.len().min(select.limit.unwrap_or(usize::MAX));
        let count = count.min(total.saturating_sub(start));
        let fields: Vec<&Field> = columns.iter().map(|place| &table.fields[*place]).collect();
        let mut body = json!({
            "kind": "bigquery#queryResponse", "schema": {"fields": fields}, "jobComplete": true, "totalRows": total.to_string(),
            "jobReference": {"projectId": self.project, "jobId": job, "location": "EU"}, "totalBytesProcessed": "0", "cacheHit": false,
        });
        // An empty page would be taken for the first of the result.
        if count > 0 {
            body["rows"] = table.page(&columns, start, count).into();
        }
        if start + count < total && count > 0 {
            body["pageToken"] = (start + count).to_string().into();
        }
        body
    }

    /// `jobs.query`.
    async fn query(self) -> Result<Response<Body>, ApiError> {
        self.require_jobs()?;
        let Self { call, sim, who, project } = self;
        let parts = call.parts.clone();
        let body: Value = call.json().await?;
        let desk = Desk { call: Call::new(sim, parts, Body::empty()), sim, who, project };
        let sql = body["query"].as_str().unwrap_or_default();
        let (select, table) = desk.prepare(sql, body["defaultDataset"]["datasetId"].as_str())?;
        let count = body["maxResults"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(PAGE);
        Ok(json(200, &desk.query_answer(&job_id(&select), &select, &table, (0, count.min(PAGE)))))
    }

    /// `jobs.insert`: the job is done when it is answered.
    async fn start_job(self) -> Result<Response<Body>, ApiError> {
        self.require_jobs()?;
        let Self { call, sim, who, project } = self;
        let parts = call.parts.clone();
        let body: Value = call.json().await?;
        let desk = Desk { call: Call::new(sim, parts, Body::empty()), sim, who, project };
        let query = &body["configuration"]["query"];
        let sql = query["query"].as_str().ok_or_else(|| ApiError::invalid("S-21", "Only query jobs are simulated."))?;
        let (select, _) = desk.prepare(sql, query["defaultDataset"]["datasetId"].as_str())?;
        Ok(json(200, &desk.job_resource(&job_id(&select))))
    }

    fn job_resource(&self, id: &str) -> Value {
        let now = (self.sim.now() * 1000).to_string();
        let reference = json!({"projectId": self.project, "datasetId": RESULTS, "tableId": id});
        json!({
            "kind": "bigquery#job", "id": format!("{}:EU.{id}", self.project),
            "jobReference": {"projectId": self.project, "jobId": id, "location": "EU"}, "status": {"state": "DONE"},
            "configuration": {"jobType": "QUERY", "query": {"destinationTable": reference}},
            "statistics": {"creationTime": now, "startTime": now, "endTime": now, "query": {"statementType": "SELECT"}},
        })
    }

    fn job(&self, id: &str) -> Result<Response<Body>, ApiError> {
        self.of_job(id)?;
        Ok(json(200, &self.job_resource(id)))
    }

    fn results(&self, id: &str) -> Result<Response<Body>, ApiError> {
        let (select, table) = self.of_job(id)?;
        Ok(json(200, &self.query_answer(id, &select, &table, paging(&self.call))))
    }

    /// What a job reads. Permission is looked up again: a job is no way around a list that was changed since.
    fn of_job(&self, id: &str) -> Result<(Select, Table), ApiError> {
        self.require_jobs()?;
        let unknown = || not_found("Job", &format!("{}:{id}", self.project));
        let bytes = skybru_protocol::base64url::decode(id.strip_prefix("job_").ok_or_else(unknown)?).map_err(|_| unknown())?;
        let select: Select = serde_json::from_slice(&bytes).map_err(|_| unknown())?;
        let dataset = select.dataset.clone().ok_or_else(unknown)?;
        let table = self.open_table(&dataset, &select.table, "bigquery.tables.getData")?;
        Ok((select, table))
    }
}

/// A job's id says what the job reads, so that none has to be remembered.
fn job_id(select: &Select) -> String {
    format!("job_{}", skybru_protocol::base64url::encode(serde_json::to_vec(select).unwrap_or_default()))
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

fn check_id(id: &str) -> Result<(), ApiError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.is_empty() || id.len() > 1024 || !id.chars().all(legal) {
        return Err(ApiError::invalid("S-21", format!("Invalid ID {:?}.", id.chars().take(60).collect::<String>())));
    }
    Ok(())
}
