//! Resource Manager: the project and its policy, as far as gcloud and Google's libraries ask for them.

use axum::body::Body;
use axum::http::{Method, Response};
use serde_json::json;
use skybru_federation::google::ApiError;

use super::accounts::SetPolicy;
use super::answers::json;
use super::{Call, no_such_method};
use crate::google::caller::On;

pub(super) async fn answer(call: Call<'_>, segments: &[&str]) -> Result<Response<Body>, ApiError> {
    let (sim, asking, state) = (call.sim, call.asking()?, call.sim.state.get());
    let ["projects", one] = segments else { return Err(no_such_method()) };
    let (project, verb) = one.split_once(':').map_or((*one, None), |(project, verb)| (project, Some(verb)));
    let permission = match (&call.parts.method, verb) {
        (&Method::GET, None) => "resourcemanager.projects.get",
        (&Method::POST, Some("getIamPolicy")) => "resourcemanager.projects.getIamPolicy",
        (&Method::POST, Some("setIamPolicy")) => "resourcemanager.projects.setIamPolicy",
        _ => return Err(no_such_method()),
    };
    if !sim.is_project(project) {
        return Err(ApiError::permission_denied(permission));
    }
    asking.require(sim, &state, permission, &On::PROJECT)?;
    let key = format!("projects/{}", sim.project_number);
    match verb {
        None if call.segments.first().is_some_and(|version| version == "v3") => {
            Ok(json(200, &json!({"name": key, "projectId": sim.project, "displayName": sim.project, "state": "ACTIVE"})))
        }
        None => Ok(json(
            200,
            &json!({"projectNumber": sim.project_number, "projectId": sim.project, "name": sim.project, "lifecycleState": "ACTIVE"}),
        )),
        Some("getIamPolicy") => Ok(json(200, &serde_json::to_value(state.policy(&key)).unwrap_or_default())),
        Some(_) => {
            let SetPolicy { policy } = call.json().await?;
            let set = sim.state.change(|state| state.replace_policy(&key, policy, sim.now()))?;
            Ok(json(200, &serde_json::to_value(set).unwrap_or_default()))
        }
    }
}
