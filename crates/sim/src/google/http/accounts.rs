//! Service accounts: IAM's own calls, and `generateAccessToken` of IAM Credentials (G-50).

use axum::body::Body;
use axum::http::{Method, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use skybru_federation::google::policy::Policy;
use skybru_federation::google::service_account::{AccessTokenRequest, GrantedToken, ServiceAccount, generate_access_token};
use skybru_federation::google::{ApiError, Caller};

use super::answers::json;
use super::settings::IAM_CREDENTIALS;
use super::{Call, no_such_method, sts};
use crate::google::Sim;
use crate::google::caller::On;

const KIND: &str = "iam.googleapis.com/ServiceAccount";

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct NewAccount {
    account_id: String,
    service_account: Described,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Described {
    display_name: Option<String>,
}

/// A policy in the body of `setIamPolicy`.
#[derive(Deserialize)]
pub(super) struct SetPolicy {
    pub(super) policy: Policy,
}

pub(super) async fn answer(call: Call<'_>, segments: &[&str]) -> Result<Response<Body>, ApiError> {
    let method = call.parts.method.clone();
    match (&method, segments) {
        (&Method::POST, ["projects", project, "serviceAccounts"]) => create(call, project).await,
        (&Method::GET, ["projects", _, "serviceAccounts"]) => list(&call),
        (_, ["projects", _, "serviceAccounts", one]) => match one.rsplit_once(':') {
            Some((email, "generateAccessToken")) if method == Method::POST => access_token(call, email).await,
            Some((email, verb)) => with_verb(call, email, verb).await,
            None => one_account(&call, one),
        },
        _ => Err(no_such_method()),
    }
}

fn resource(sim: &Sim, account: &ServiceAccount) -> Value {
    json!({
        "name": format!("projects/{}/serviceAccounts/{}", sim.project, account.email), "projectId": sim.project,
        "uniqueId": account.unique_id, "email": account.email, "displayName": account.display_name, "disabled": account.disabled,
        "oauth2ClientId": account.unique_id,
    })
}

async fn create(call: Call<'_>, project: &str) -> Result<Response<Body>, ApiError> {
    let (sim, asking) = (call.sim, call.asking()?);
    asking.require(sim, &sim.state.get(), "iam.serviceAccounts.create", &On::PROJECT)?;
    if !sim.is_project(project) {
        return Err(ApiError::not_found("S-21", format!("Unknown project id: {project}")));
    }
    let new: NewAccount = call.json().await?;
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(6..=30).contains(&new.account_id.len()) || !new.account_id.chars().all(legal) {
        let message = "Service account ID must be between 6 and 30 characters, of lower case letters, digits and hyphens.";
        return Err(ApiError::invalid("S-21", message));
    }
    let email = format!("{}@{}.iam.gserviceaccount.com", new.account_id, sim.project);
    let account = sim.state.change(|state| {
        if state.service_accounts.contains_key(&email) {
            let message = format!("Service account {} already exists within project projects/{}.", new.account_id, sim.project);
            return Err(ApiError::already_exists("S-21", message));
        }
        state.counter += 1;
        let account = ServiceAccount {
            project_id: sim.project.clone(),
            email: email.clone(),
            unique_id: format!("1{:020}", state.counter),
            display_name: new.service_account.display_name,
            disabled: false,
        };
        state.service_accounts.insert(email.clone(), account.clone());
        Ok(account)
    })?;
    Ok(json(200, &resource(sim, &account)))
}

fn list(call: &Call<'_>) -> Result<Response<Body>, ApiError> {
    let (sim, state) = (call.sim, call.sim.state.get());
    call.asking()?.require(sim, &state, "iam.serviceAccounts.list", &On::PROJECT)?;
    let accounts: Vec<Value> = state.service_accounts.values().map(|account| resource(sim, account)).collect();
    Ok(json(200, &json!({"accounts": accounts})))
}

/// The policy of an account, and its name for conditions.
fn names(sim: &Sim, email: &str) -> (String, String) {
    (format!("serviceAccounts/{email}"), format!("projects/{}/serviceAccounts/{email}", sim.project))
}

/// An account by its address, or by its number.
fn address(sim: &Sim, one: &str) -> Option<String> {
    let state = sim.state.get();
    let by_number = || state.service_accounts.values().find(|account| account.unique_id == one);
    state.service_accounts.get(one).or_else(by_number).map(|account| account.email.clone())
}

fn one_account(call: &Call<'_>, one: &str) -> Result<Response<Body>, ApiError> {
    let (sim, asking, state) = (call.sim, call.asking()?, call.sim.state.get());
    let email = address(sim, one).unwrap_or_else(|| one.to_owned());
    let (policy, name) = names(sim, &email);
    let on = On { policy_of: Some(&policy), name: &name, kind: KIND };
    let not_there = || ApiError::not_found("S-21", format!("Unknown service account {one}"));
    match call.parts.method {
        Method::GET => {
            asking.require(sim, &state, "iam.serviceAccounts.get", &on)?;
            Ok(json(200, &resource(sim, state.service_accounts.get(&email).ok_or_else(not_there)?)))
        }
        Method::DELETE => {
            asking.require(sim, &state, "iam.serviceAccounts.delete", &on)?;
            sim.state.change(|state| {
                state.service_accounts.remove(&email).ok_or_else(not_there)?;
                state.policies.remove(&policy);
                Ok::<_, ApiError>(())
            })?;
            Ok(json(200, &json!({})))
        }
        _ => Err(no_such_method()),
    }
}

async fn with_verb(call: Call<'_>, one: &str, verb: &str) -> Result<Response<Body>, ApiError> {
    let (sim, asking, state) = (call.sim, call.asking()?, call.sim.state.get());
    let email = address(sim, one).unwrap_or_else(|| one.to_owned());
    let (policy, name) = names(sim, &email);
    let on = On { policy_of: Some(&policy), name: &name, kind: KIND };
    let permission = match verb {
        "getIamPolicy" | "setIamPolicy" | "disable" | "enable" => format!("iam.serviceAccounts.{verb}"),
        _ => return Err(no_such_method()),
    };
    asking.require(sim, &state, &permission, &on)?;
    if !state.service_accounts.contains_key(&email) {
        return Err(ApiError::not_found("S-21", format!("Unknown service account {one}")));
    }
    match verb {
        "getIamPolicy" => Ok(json(200, &serde_json::to_value(state.policy(&policy)).unwrap_or_default())),
        "setIamPolicy" => {
            let SetPolicy { policy: new } = call.json().await?;
            let set = sim.state.change(|state| state.replace_policy(&policy, new, sim.now()))?;
            Ok(json(200, &serde_json::to_value(set).unwrap_or_default()))
        }
        verb => {
            sim.state.change(|state| {
                if let Some(account) = state.service_accounts.get_mut(&email) {
                    account.disabled = verb == "disable";
                }
                Ok::<_, ApiError>(())
            })?;
            Ok(json(200, &json!({})))
        }
    }
}

/// G-50 to G-54: decided by `skybru-federation`.
async fn access_token(call: Call<'_>, one: &str) -> Result<Response<Body>, ApiError> {
    let (sim, asking) = (call.sim, call.asking()?);
    let request: AccessTokenRequest = call.json().await?;
    let (state, now, delay) = (sim.state.get(), sim.now(), sim.control.propagation_delay());
    if state.disabled_services.contains(IAM_CREDENTIALS) {
        return Err(ApiError::service_disabled("IAM Service Account Credentials API", IAM_CREDENTIALS, &sim.project_number));
    }
    let account = address(sim, one).and_then(|email| state.service_accounts.get(&email));
    let own = state.policy_in_force(&format!("serviceAccounts/{}", account.map_or("", |account| &account.email)), now, delay);
    let project = state.policy_in_force(&format!("projects/{}", sim.project_number), now, delay);
    let policies = [&own, &project];
    let granted =
        generate_access_token(&asking.caller, &asking.scopes, &request, account.map(|account| (account, &policies[..])), now)?;
    let email = account.map(|account| account.email.clone()).unwrap_or_default();
    let granted = GrantedToken { expires: sim.control.ends(now, granted.expires), ..granted };
    let (scopes, expires, expire_time) = (granted.scopes.clone(), granted.expires, granted.expire_time());
    let token = sts::issue(sim, Caller::ServiceAccount { email }, scopes, expires)?;
    Ok(json(200, &json!({"accessToken": token, "expireTime": expire_time})))
}
