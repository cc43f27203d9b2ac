//! IAM's calls for pools and providers, of both kinds (G-1 to G-7). Every operation is done when it is answered.

use axum::body::Body;
use axum::http::{Method, Response};
use serde_json::{Value, json};
use skybru_federation::google::{ApiError, Pool, PoolName, Provider, SOFT_DELETED_DAYS, State as Life};

use super::answers::json;
use super::{Call, no_such_method};
use crate::google::Sim;
use crate::google::caller::On;
use crate::google::rfc3339;
use crate::google::state::State;

/// What a path leads to.
enum Place {
    Pools { parent: Parent },
    Pool { name: PoolName, verb: Option<String> },
    Providers { pool: PoolName },
    Provider { pool: PoolName, id: String, verb: Option<String> },
}

/// In what a pool stands.
enum Parent {
    Project,
    Organisation,
}

pub(super) async fn answer(call: Call<'_>, segments: &[&str]) -> Result<Response<Body>, ApiError> {
    let place = place(call.sim, segments)?;
    let method = call.parts.method.clone();
    match (&method, place) {
        (&Method::POST, Place::Pools { parent }) => create_pool(call, &parent).await,
        (&Method::GET, Place::Pools { parent }) => list_pools(&call, &parent),
        (_, Place::Pool { name, verb }) => one_pool(call, name, verb.as_deref()).await,
        (&Method::POST, Place::Providers { pool }) => create_provider(call, &pool).await,
        (&Method::GET, Place::Providers { pool }) => list_providers(&call, &pool),
        (_, Place::Provider { pool, id, verb }) => one_provider(call, &pool, &id, verb.as_deref()).await,
        _ => Err(no_such_method()),
    }
}

fn place(sim: &Sim, segments: &[&str]) -> Result<Place, ApiError> {
    let (parent, rest) = match segments {
        ["projects", project, "locations", "global", "workloadIdentityPools", rest @ ..] => {
            if !sim.is_project(project) {
                return Err(ApiError::permission_denied("iam.workloadIdentityPools.get"));
            }
            (Parent::Project, rest)
        }
        ["locations", "global", "workforcePools", rest @ ..] => (Parent::Organisation, rest),
        _ => return Err(no_such_method()),
    };
    let pool = |id: &str| match parent {
        Parent::Project => PoolName::Workload { project_number: sim.project_number.clone(), pool: id.to_owned() },
        Parent::Organisation => PoolName::Workforce { pool: id.to_owned() },
    };
    let with_verb = |text: &str| match text.split_once(':') {
        Some((id, verb)) => (id.to_owned(), Some(verb.to_owned())),
        None => (text.to_owned(), None),
    };
    match rest {
        [] => Ok(Place::Pools { parent }),
        [one] => {
            let (id, verb) = with_verb(one);
            Ok(Place::Pool { name: pool(&id), verb })
        }
        [id, "providers"] => Ok(Place::Providers { pool: pool(id) }),
        [id, "providers", one] => {
            let (provider, verb) = with_verb(one);
            Ok(Place::Provider { pool: pool(id), id: provider, verb })
        }
        _ => Err(no_such_method()),
    }
}

/// `iam.workloadIdentityPools.get` and the like.
fn permission(pool_is_workforce: bool, providers: bool, verb: &str) -> String {
    let kind = match (pool_is_workforce, providers) {
        (false, false) => "workloadIdentityPools",
        (false, true) => "workloadIdentityPoolProviders",
        (true, false) => "workforcePools",
        (true, true) => "workforcePoolProviders",
    };
    format!("iam.{kind}.{verb}")
}

/// A long-running operation that is done.
fn operation(name: &str, kind: &str, response: Value) -> Response<Body> {
    let mut response = response;
    if let Some(members) = response.as_object_mut() {
        members.insert("@type".to_owned(), format!("type.googleapis.com/google.iam.v1.{kind}").into());
    }
    json(200, &json!({"name": format!("{name}/operations/done"), "done": true, "response": response}))
}

fn wire<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn bad_body(error: &serde_json::Error) -> ApiError {
    ApiError::invalid("S-21", format!("Invalid JSON payload received. {error}"))
}

/// When a thing deleted now is gone for good (G-6).
fn gone_at(sim: &Sim) -> String {
    rfc3339(sim.now().saturating_add(SOFT_DELETED_DAYS * 86_400))
}

async fn create_pool(call: Call<'_>, parent: &Parent) -> Result<Response<Body>, ApiError> {
    let (sim, asking) = (call.sim, call.asking()?);
    let workforce = matches!(parent, Parent::Organisation);
    asking.require(sim, &sim.state.get(), &permission(workforce, false, "create"), &On::PROJECT)?;
    let id = call.query(if workforce { "workforcePoolId" } else { "workloadIdentityPoolId" }).unwrap_or_default().to_owned();
    let name = match parent {
        Parent::Project => PoolName::Workload { project_number: sim.project_number.clone(), pool: id },
        Parent::Organisation => PoolName::Workforce { pool: id },
    };
    let mut body: Value = call.json().await?;
    body["name"] = name.to_string().into();
    body["state"] = "ACTIVE".into();
    let pool: Pool = serde_json::from_value(body).map_err(|error| bad_body(&error))?;
    pool.check()?;
    sim.state.change(|state| {
        // G-6: also one that is deleted.
        if state.pools.contains_key(&name.to_string()) {
            return Err(ApiError::already_exists("G-6", "Requested entity already exists"));
        }
        state.pools.insert(name.to_string(), pool.clone());
        Ok(())
    })?;
    Ok(operation(&name.to_string(), "WorkloadIdentityPool", wire(&pool)))
}

fn list_pools(call: &Call<'_>, parent: &Parent) -> Result<Response<Body>, ApiError> {
    let (sim, state) = (call.sim, call.sim.state.get());
    let workforce = matches!(parent, Parent::Organisation);
    call.asking()?.require(sim, &state, &permission(workforce, false, "list"), &On::PROJECT)?;
    let deleted = call.query("showDeleted") == Some("true");
    let shown = |pool: &&Pool| pool.name.is_workforce() == workforce && (deleted || pool.state == Life::Active);
    let pools: Vec<Value> = state.pools.values().filter(shown).map(wire).collect();
    Ok(json(200, &if workforce { json!({"workforcePools": pools}) } else { json!({"workloadIdentityPools": pools}) }))
}

async fn one_pool(call: Call<'_>, name: PoolName, verb: Option<&str>) -> Result<Response<Body>, ApiError> {
    let (sim, asking, state) = (call.sim, call.asking()?, call.sim.state.get());
    let key = name.to_string();
    let action = match (&call.parts.method, verb) {
        (&Method::GET, None) => "get",
        (&Method::PATCH, None) => "update",
        (&Method::DELETE, None) => "delete",
        (&Method::POST, Some("undelete")) => "undelete",
        _ => return Err(no_such_method()),
    };
    asking.require(sim, &state, &permission(name.is_workforce(), false, action), &On::PROJECT)?;
    let mut pool =
        state.pools.get(&key).cloned().ok_or_else(|| ApiError::not_found("G-33", "Requested entity was not found."))?;
    match action {
        "get" => return Ok(json(200, &wire(&pool))),
        "delete" => (pool.state, pool.expire_time) = (Life::Deleted, Some(gone_at(sim))),
        "undelete" => (pool.state, pool.expire_time) = (Life::Active, None),
        _ => {
            let mask = call.query("updateMask").unwrap_or_default().to_owned();
            let change: Value = call.json().await?;
            pool = patched(&pool, &mask, &change)?;
            pool.name = name;
            pool.check()?;
        }
    }
    sim.state.change(|state| {
        state.pools.insert(key.clone(), pool.clone());
        Ok::<_, ApiError>(())
    })?;
    Ok(operation(&key, "WorkloadIdentityPool", wire(&pool)))
}

/// The members that the mask names, taken from the change; without a mask all that the change has.
fn patched<T: serde::Serialize + serde::de::DeserializeOwned>(known: &T, mask: &str, change: &Value) -> Result<T, ApiError> {
    let mut value = wire(known);
    let paths: Vec<String> = if mask.is_empty() {
        change.as_object().map(|members| members.keys().cloned().collect()).unwrap_or_default()
    } else {
        mask.split(',').map(|path| path.trim().to_owned()).collect()
    };
    for path in paths {
        let parts: Vec<String> = path.split('.').map(camel_case).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (target, source) = match parts.as_slice() {
            [one] => (&mut value, change.get(*one).map(|found| (*one, found.clone()))),
            // A map's or a message's member, such as `oidc.issuerUri`.
            [outer, inner @ ..] => {
                let inner = inner.join(".");
                let found = change.get(*outer).and_then(|outer| outer.get(&inner)).cloned();
                set(&mut value[*outer], &inner, found);
                continue;
            }
            [] => continue,
        };
        let (name, found) = source.map_or((parts[0], None), |(name, found)| (name, Some(found)));
        set(target, name, found);
    }
    serde_json::from_value(value).map_err(|error| bad_body(&error))
}

fn set(target: &mut Value, name: &str, value: Option<Value>) {
    match (value, target.as_object_mut()) {
        (Some(value), _) => target[name] = value,
        (None, Some(members)) => drop(members.remove(name)),
        (None, None) => {}
    }
}

/// gcloud writes masks as `attribute_mapping`, others as `attributeMapping`.
fn camel_case(name: &str) -> String {
    let mut out = String::new();
    let mut upper = false;
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else {
            out.push(if std::mem::take(&mut upper) { c.to_ascii_uppercase() } else { c });
        }
    }
    out
}

fn pool_of<'a>(state: &'a State, pool: &PoolName) -> Result<&'a Pool, ApiError> {
    state.pools.get(&pool.to_string()).ok_or_else(|| ApiError::not_found("G-33", "Requested entity was not found."))
}

/// G-5.
fn check_issuer(state: &State, provider: &Provider) -> Result<(), ApiError> {
    state.issuer_rules.iter().flatten().try_for_each(|rule| rule.check(&provider.oidc.issuer_uri))
}

async fn create_provider(call: Call<'_>, pool: &PoolName) -> Result<Response<Body>, ApiError> {
    let (sim, asking) = (call.sim, call.asking()?);
    asking.require(sim, &sim.state.get(), &permission(pool.is_workforce(), true, "create"), &On::PROJECT)?;
    pool_of(&sim.state.get(), pool)?;
    let parameter = if pool.is_workforce() { "workforcePoolProviderId" } else { "workloadIdentityPoolProviderId" };
    let name = pool.provider(call.query(parameter).unwrap_or_default());
    let mut body: Value = call.json().await?;
    body["name"] = name.to_string().into();
    body["state"] = "ACTIVE".into();
    let provider: Provider = serde_json::from_value(body).map_err(|error| bad_body(&error))?;
    provider.check(sim.wording)?;
    check_issuer(&sim.state.get(), &provider)?;
    sim.state.change(|state| {
        if state.providers.contains_key(&name.to_string()) {
            return Err(ApiError::already_exists("G-6", "Requested entity already exists"));
        }
        state.providers.insert(name.to_string(), provider.clone());
        Ok(())
    })?;
    Ok(operation(&name.to_string(), "WorkloadIdentityPoolProvider", wire(&provider)))
}

fn list_providers(call: &Call<'_>, pool: &PoolName) -> Result<Response<Body>, ApiError> {
    let (sim, state) = (call.sim, call.sim.state.get());
    call.asking()?.require(sim, &state, &permission(pool.is_workforce(), true, "list"), &On::PROJECT)?;
    pool_of(&state, pool)?;
    let deleted = call.query("showDeleted") == Some("true");
    let shown = |provider: &&Provider| provider.name.pool == *pool && (deleted || provider.state == Life::Active);
    let providers: Vec<Value> = state.providers.values().filter(shown).map(wire).collect();
    let name = if pool.is_workforce() { "workforcePoolProviders" } else { "workloadIdentityPoolProviders" };
    Ok(json(200, &json!({name: providers})))
}

async fn one_provider(call: Call<'_>, pool: &PoolName, id: &str, verb: Option<&str>) -> Result<Response<Body>, ApiError> {
    let (sim, asking, state) = (call.sim, call.asking()?, call.sim.state.get());
    let name = pool.provider(id);
    let action = match (&call.parts.method, verb) {
        (&Method::GET, None) => "get",
        (&Method::PATCH, None) => "update",
        (&Method::DELETE, None) => "delete",
        (&Method::POST, Some("undelete")) => "undelete",
        _ => return Err(no_such_method()),
    };
    asking.require(sim, &state, &permission(pool.is_workforce(), true, action), &On::PROJECT)?;
    let known = state.providers.get(&name.to_string());
    let mut provider = known.cloned().ok_or_else(|| ApiError::not_found("G-33", "Requested entity was not found."))?;
    match action {
        "get" => return Ok(json(200, &wire(&provider))),
        "delete" => (provider.state, provider.expire_time) = (Life::Deleted, Some(gone_at(sim))),
        "undelete" => (provider.state, provider.expire_time) = (Life::Active, None),
        _ => {
            let mask = call.query("updateMask").unwrap_or_default().to_owned();
            let change: Value = call.json().await?;
            provider = patched(&provider, &mask, &change)?;
            provider.name = name.clone();
            provider.check(sim.wording)?;
            check_issuer(&state, &provider)?;
        }
    }
    sim.state.change(|state| {
        state.providers.insert(name.to_string(), provider.clone());
        Ok::<_, ApiError>(())
    })?;
    Ok(operation(&name.to_string(), "WorkloadIdentityPoolProvider", wire(&provider)))
}
