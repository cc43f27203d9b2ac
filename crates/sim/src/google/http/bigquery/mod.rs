//! `BigQuery`: datasets with their access lists, tables, rows, and jobs that read one table.

mod datasets;
mod jobs;
mod tables;

use axum::body::Body;
use axum::http::{Method, Response};
use serde_json::Value;
use skybru_federation::google::access::{bigquery_denied, dataset_allows, scopes_allow};
use skybru_federation::google::roles::role_holds;
use skybru_federation::google::{ApiError, Caller};

use super::answers::{json, listed_error};
use super::{Call, no_such_method};
use crate::google::Sim;
use crate::google::caller::{Asking, On};
use crate::google::datasets::{Dataset, Table};

/// The most rows on one page.
const PAGE: usize = 10_000;
/// The dataset of results: a job's is the table of the job's id, as Google has anonymous tables.
const RESULTS: &str = "_results";

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
        (Method::GET, ["datasets", RESULTS, "tables", job]) => desk.result_table(job),
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
    let mut document: Value = serde_json::from_str(include_str!("../bigquery.discovery.json")).unwrap_or_default();
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
}

fn check_id(id: &str) -> Result<(), ApiError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.is_empty() || id.len() > 1024 || !id.chars().all(legal) {
        return Err(ApiError::invalid("S-21", format!("Invalid ID {:?}.", id.chars().take(60).collect::<String>())));
    }
    Ok(())
}
