//! What stands around a project: which services are enabled (Service Usage, G-55), and what its organisation forbids (G-5).

use axum::body::Body;
use axum::http::{Method, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use skybru_federation::google::ApiError;
use skybru_federation::google::org_policy::{ISSUERS, IssuerRule};

use super::answers::json;
use super::{Call, no_such_method};
use crate::google::caller::On;

/// The service that gives access tokens of service accounts.
pub(super) const IAM_CREDENTIALS: &str = "iamcredentials.googleapis.com";

/// A policy as Organisation Policy's API takes it.
#[derive(Deserialize)]
struct OrgPolicy {
    spec: Spec,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    rules: Vec<IssuerRule>,
}

/// `projects/P/services/S`, and its verbs `enable` and `disable`.
pub(super) fn services(call: &Call<'_>, segments: &[&str]) -> Result<Response<Body>, ApiError> {
    let (sim, asking, state) = (call.sim, call.asking()?, call.sim.state.get());
    let ["projects", project, "services", one] = segments else { return Err(no_such_method()) };
    let (service, verb) = one.split_once(':').map_or((*one, "get"), |(service, verb)| (service, verb));
    let permission = match (&call.parts.method, verb) {
        (&Method::GET, "get") => "serviceusage.services.get",
        (&Method::POST, "enable") => "serviceusage.services.enable",
        (&Method::POST, "disable") => "serviceusage.services.disable",
        _ => return Err(no_such_method()),
    };
    if !sim.is_project(project) {
        return Err(ApiError::permission_denied(permission));
    }
    asking.require(sim, &state, permission, &On::PROJECT)?;
    let name = format!("projects/{}/services/{service}", sim.project_number);
    let shown = |enabled: bool| {
        let state = if enabled { "ENABLED" } else { "DISABLED" };
        json!({"name": name, "parent": format!("projects/{}", sim.project_number), "config": {"name": service}, "state": state})
    };
    if verb == "get" {
        return Ok(json(200, &shown(!state.disabled_services.contains(service))));
    }
    sim.state.change(|state| {
        if verb == "disable" {
            state.disabled_services.insert(service.to_owned());
        } else {
            state.disabled_services.remove(service);
        }
        Ok::<_, ApiError>(())
    })?;
    let response = json!({"service": shown(verb == "enable")});
    Ok(json(200, &json!({"name": "operations/done", "done": true, "response": response})))
}

/// `projects/P/policies/iam.workloadIdentityPoolProviders`. In the lab the project's owner sets what an organisation would.
pub(super) async fn policies(call: Call<'_>, segments: &[&str]) -> Result<Response<Body>, ApiError> {
    let (sim, asking, state) = (call.sim, call.asking()?, call.sim.state.get());
    let ["projects", project, "policies", rest @ ..] = segments else { return Err(no_such_method()) };
    let method = call.parts.method.clone();
    let permission = match (&method, rest) {
        (&Method::GET, [ISSUERS]) => "orgpolicy.policy.get",
        (&Method::POST, []) | (&Method::PATCH | &Method::DELETE, [ISSUERS]) => "orgpolicy.policies.update",
        _ => return Err(no_such_method()),
    };
    if !sim.is_project(project) {
        return Err(ApiError::permission_denied(permission));
    }
    asking.require(sim, &state, permission, &On::PROJECT)?;
    let name = format!("projects/{}/policies/{ISSUERS}", sim.project_number);
    let shown = |rules: &[IssuerRule]| json!({"name": name, "spec": {"rules": rules}});
    if method == Method::GET {
        let rules = state.issuer_rules.as_deref();
        return rules
            .map(|rules| json(200, &shown(rules)))
            .ok_or_else(|| ApiError::not_found("G-5", "Requested entity was not found."));
    }
    let rules = if method == Method::DELETE {
        None
    } else {
        let body: Value = call.json().await?;
        let policy: OrgPolicy = serde_json::from_value(body)
            .map_err(|error| ApiError::invalid("G-5", format!("Invalid JSON payload received. {error}")))?;
        Some(policy.spec.rules)
    };
    sim.state.change(|state| {
        state.issuer_rules.clone_from(&rules);
        Ok::<_, ApiError>(())
    })?;
    Ok(json(200, &rules.as_deref().map_or_else(|| json!({}), shown)))
}
