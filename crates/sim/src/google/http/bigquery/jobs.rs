//! Queries and the jobs that they are. A job's id says what is asked, so that none has to be remembered.

use axum::body::Body;
use axum::http::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use skybru_federation::google::ApiError;
use skybru_federation::google::access::bigquery_denied;

use super::super::Call;
use super::super::answers::json;
use super::tables::wants_whole_times;
use super::{Desk, PAGE, RESULTS, not_found, paging};
use crate::google::caller::On;
use crate::google::datasets::Table;
use crate::google::sql::{Parameters, Query, invalid_query, with_room};

/// What is asked.
#[derive(Serialize, Deserialize)]
struct Asked {
    sql: String,
    dataset: Option<String>,
    #[serde(default)]
    parameters: Parameters,
}

impl Asked {
    /// From the body of `jobs.query`, or the part of `jobs.insert` about the query.
    fn of(query: &Value) -> Result<Self, ApiError> {
        let sql = query["query"]
            .as_str()
            .ok_or_else(|| invalid_query("Expected the query as text in \"query\"; other jobs are not simulated."))?
            .to_owned();
        let mut parameters = Parameters::new();
        for one in query["queryParameters"].as_array().into_iter().flatten() {
            let (kind, value) = (one["parameterType"]["type"].as_str(), one["parameterValue"]["value"].as_str());
            let (Some(name), Some(kind), Some(value)) = (one["name"].as_str(), kind, value) else {
                return Err(invalid_query("The simulator takes named parameters with one value, and no others."));
            };
            parameters.insert(name.to_lowercase(), (kind.to_owned(), value.to_owned()));
        }
        Ok(Self { sql, dataset: query["defaultDataset"]["datasetId"].as_str().map(str::to_owned), parameters })
    }

    fn job_id(&self) -> String {
        format!("job_{}", skybru_protocol::base64url::encode(serde_json::to_vec(self).unwrap_or_default()))
    }

    fn of_job(id: &str) -> Option<Self> {
        let bytes = skybru_protocol::base64url::decode(id.strip_prefix("job_")?).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

impl Desk<'_> {
    fn require_jobs(&self) -> Result<(), ApiError> {
        if self.who.may(self.sim, &self.sim.state.get(), "bigquery.jobs.create", &On::PROJECT) {
            return Ok(());
        }
        Err(bigquery_denied("bigquery.jobs.create", "Project", &self.project))
    }

    /// Sees that the caller may read the table, and reads it. A job is no way around a list that was changed since: permission is looked
    /// up for every page.
    fn run(&self, asked: &Asked) -> Result<Table, ApiError> {
        with_room(|| self.run_with_room(asked))
    }

    fn run_with_room(&self, asked: &Asked) -> Result<Table, ApiError> {
        let query = Query::parse(&asked.sql)?;
        let Some(names) = &query.table else {
            return query.run(&Table::default(), &asked.parameters);
        };
        let (project, dataset, table) = match names.as_slice() {
            [table] => (None, asked.dataset.clone(), table),
            [dataset, table] => (None, Some(dataset.clone()), table),
            [project, dataset, table] => (Some(project), Some(dataset.clone()), table),
            _ => return Err(invalid_query(format!("Invalid table name: {}", names.join(".")))),
        };
        if let Some(project) = project.filter(|project| !self.sim.is_project(project)) {
            return Err(bigquery_denied("bigquery.tables.getData", "Table", &format!("{project}:{table}")));
        }
        let text = format!("Table \"{table}\" must be qualified with a dataset (e.g. dataset.table).");
        let dataset = dataset.ok_or_else(|| invalid_query(text))?;
        query.run(&self.open_table(&dataset, table, "bigquery.tables.getData")?, &asked.parameters)
    }

    /// The answer of `jobs.query` and `jobs.getQueryResults`.
    fn query_answer(&self, job: &str, result: &Table, (start, count): (usize, usize), whole_times: bool) -> Value {
        let total = result.rows.len();
        let count = count.min(total.saturating_sub(start));
        let mut body = json!({
            "kind": "bigquery#queryResponse", "schema": {"fields": result.fields}, "jobComplete": true, "totalRows": total.to_string(),
            "jobReference": {"projectId": self.project, "jobId": job, "location": "EU"}, "totalBytesProcessed": "0", "cacheHit": false,
        });
        // An empty page would be taken for the first of the result.
        if count > 0 {
            let columns: Vec<usize> = (0..result.fields.len()).collect();
            body["rows"] = result.page(&columns, start, count, whole_times).into();
        }
        if start + count < total && count > 0 {
            body["pageToken"] = (start + count).to_string().into();
        }
        body
    }

    /// `jobs.query`.
    pub(super) async fn query(self) -> Result<Response<Body>, ApiError> {
        self.require_jobs()?;
        let (desk, body) = self.with_body().await?;
        let asked = Asked::of(&body)?;
        let result = desk.run(&asked)?;
        let count = body["maxResults"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(PAGE);
        let whole_times = body["formatOptions"]["useInt64Timestamp"].as_bool() == Some(true);
        let job = if body["dryRun"].as_bool() == Some(true) { String::new() } else { asked.job_id() };
        let count = if job.is_empty() { 0 } else { count.min(PAGE) };
        Ok(json(200, &desk.query_answer(&job, &result, (0, count), whole_times)))
    }

    /// `jobs.insert`: the job is done when it is answered.
    pub(super) async fn start_job(self) -> Result<Response<Body>, ApiError> {
        self.require_jobs()?;
        let (desk, body) = self.with_body().await?;
        let asked = Asked::of(&body["configuration"]["query"])?;
        let result = desk.run(&asked)?;
        let mut job = desk.job_resource(&asked.job_id());
        if body["configuration"]["dryRun"].as_bool() == Some(true) {
            job["configuration"]["dryRun"] = true.into();
            job["statistics"]["query"]["schema"] = json!({"fields": result.fields});
            job["statistics"]["totalBytesProcessed"] = "0".into();
        }
        Ok(json(200, &job))
    }

    async fn with_body(self) -> Result<(Self, Value), ApiError> {
        let Self { call, sim, who, project } = self;
        let parts = call.parts.clone();
        let body: Value = call.json().await?;
        Ok((Desk { call: Call::new(sim, parts, Body::empty()), sim, who, project }, body))
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

    fn asked_of(&self, id: &str) -> Result<Asked, ApiError> {
        self.require_jobs()?;
        Asked::of_job(id).ok_or_else(|| not_found("Job", &format!("{}:{id}", self.project)))
    }

    pub(super) fn job(&self, id: &str) -> Result<Response<Body>, ApiError> {
        self.run(&self.asked_of(id)?)?;
        Ok(json(200, &self.job_resource(id)))
    }

    /// The table that a job's answer lies in, as clients ask for it before they read it.
    pub(super) fn result_table(&self, id: &str) -> Result<Response<Body>, ApiError> {
        let result = self.run(&self.asked_of(id)?)?;
        Ok(json(200, &self.table_resource(RESULTS, id, &result)))
    }

    pub(super) fn results(&self, id: &str) -> Result<Response<Body>, ApiError> {
        let result = self.run(&self.asked_of(id)?)?;
        let whole_times = wants_whole_times(self.call.query("formatOptions.useInt64Timestamp"));
        Ok(json(200, &self.query_answer(id, &result, paging(&self.call), whole_times)))
    }
}
