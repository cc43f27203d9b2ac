//! Buckets and their policies.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Method, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use skybru_federation::google::ApiError;
use skybru_federation::google::policy::{Binding, Policy};

use super::{Thing, asking, may, require, store_error};
use crate::google::caller::On;
use crate::google::http::answers::{empty, json};
use crate::google::http::{Call, no_such_method};
use crate::google::state::Bucket;
use crate::google::{Sim, rfc3339};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct NewBucket {
    name: String,
    location: Option<String>,
    storage_class: Option<String>,
    labels: BTreeMap<String, String>,
}

fn resource(call: &Call<'_>, name: &str, bucket: &Bucket) -> Value {
    json!({
        "kind": "storage#bucket", "id": name, "name": name, "selfLink": format!("{}/storage/v1/b/{name}", call.base_url()),
        "projectNumber": call.sim.project_number, "location": bucket.location, "locationType": "region",
        "storageClass": bucket.storage_class, "timeCreated": rfc3339(bucket.created), "updated": rfc3339(bucket.created),
        "metageneration": bucket.metageneration.to_string(), "etag": format!("CA{}=", bucket.metageneration), "labels": bucket.labels,
        "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": true}, "publicAccessPrevention": "inherited"},
    })
}

/// A bucket's record, if the bucket is there.
fn find(sim: &Sim, name: &str) -> Result<Bucket, ApiError> {
    let found = sim.state.get().buckets.get(name).cloned();
    found.ok_or_else(|| ApiError::not_found("D-50", "The specified bucket does not exist."))
}

/// Lists or creates.
pub(super) async fn all(call: Call<'_>) -> Result<Response<Body>, ApiError> {
    let (sim, who) = (call.sim, asking(&call)?);
    let project = |permission: &str| {
        if call.query("project").is_some_and(|project| !sim.is_project(project)) {
            return Err(ApiError::invalid("S-21", "Unknown project id."));
        }
        who.require(sim, &sim.state.get(), permission, &On::PROJECT)
    };
    match call.parts.method {
        Method::GET => {
            project("storage.buckets.list")?;
            let state = sim.state.get();
            let prefix = call.query("prefix").unwrap_or_default();
            let shown = state.buckets.iter().filter(|(name, _)| name.starts_with(prefix));
            let items: Vec<Value> = shown.map(|(name, bucket)| resource(&call, name, bucket)).collect();
            Ok(json(200, &json!({"kind": "storage#buckets", "items": items})))
        }
        Method::POST => {
            project("storage.buckets.create")?;
            create(call).await
        }
        _ => Err(no_such_method()),
    }
}

async fn create(call: Call<'_>) -> Result<Response<Body>, ApiError> {
    let (sim, now, base) = (call.sim, call.sim.now(), call.base_url());
    let new: NewBucket = call.json().await?;
    if !is_bucket_name(&new.name) {
        return Err(ApiError::invalid(
            "S-21",
            format!("Invalid bucket name: '{}'", new.name.chars().take(70).collect::<String>()),
        ));
    }
    sim.objects.create_bucket(&new.name, now).map_err(|error| store_error(&error, &new.name, ""))?;
    let bucket = Bucket {
        location: new.location.unwrap_or_else(|| "EUROPE-NORTH1".to_owned()).to_uppercase(),
        storage_class: new.storage_class.unwrap_or_else(|| "STANDARD".to_owned()),
        created: now,
        metageneration: 1,
        labels: new.labels,
    };
    let (name, record) = (new.name.clone(), bucket.clone());
    sim.state.change(|state| {
        state.set_policy(&format!("buckets/{name}"), first_policy(&sim.project), 0);
        state.buckets.insert(name, record);
        Ok::<_, ApiError>(())
    })?;
    let body = json!({
        "kind": "storage#bucket", "id": new.name, "name": new.name, "selfLink": format!("{base}/storage/v1/b/{}", new.name),
        "projectNumber": sim.project_number, "location": bucket.location, "storageClass": bucket.storage_class,
        "timeCreated": rfc3339(now), "updated": rfc3339(now), "metageneration": "1", "etag": "CA1=", "labels": bucket.labels,
        "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": true}, "publicAccessPrevention": "inherited"},
    });
    Ok(json(200, &body))
}

/// Google's names: 3 to 63 of these characters, which makes them good names of folders too.
fn is_bucket_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    (3..=63).contains(&name.len())
        && name.chars().all(legal)
        && ends(name.chars().next())
        && ends(name.chars().last())
        && !name.contains("..")
        && !name.starts_with("goog")
}

/// What a new bucket has: rights of the project's basic roles.
fn first_policy(project: &str) -> Policy {
    let binding = |role: &str, members: &[String]| Binding { role: role.to_owned(), members: members.to_vec(), condition: None };
    let owners = [format!("projectEditor:{project}"), format!("projectOwner:{project}")];
    let bindings = vec![
        binding("roles/storage.legacyBucketOwner", &owners),
        binding("roles/storage.legacyBucketReader", &[format!("projectViewer:{project}")]),
    ];
    Policy { version: 1, bindings, etag: None }
}

pub(super) async fn one(call: Call<'_>, name: &str) -> Result<Response<Body>, ApiError> {
    let (sim, who) = (call.sim, asking(&call)?);
    match call.parts.method {
        Method::GET => {
            require(sim, &who, "storage.buckets.get", Thing::Bucket(name))?;
            Ok(json(200, &resource(&call, name, &find(sim, name)?)))
        }
        Method::DELETE => {
            require(sim, &who, "storage.buckets.delete", Thing::Bucket(name))?;
            sim.objects.delete_bucket(name).map_err(|error| store_error(&error, name, ""))?;
            sim.state.change(|state| {
                state.buckets.remove(name);
                state.policies.remove(&format!("buckets/{name}"));
                Ok::<_, ApiError>(())
            })?;
            Ok(empty(204))
        }
        Method::PATCH | Method::PUT => {
            require(sim, &who, "storage.buckets.update", Thing::Bucket(name))?;
            let mut bucket = find(sim, name)?;
            let base = Call::new(sim, call.parts.clone(), Body::empty());
            let change: Value = call.json().await?;
            for (label, value) in change["labels"].as_object().into_iter().flatten() {
                match value.as_str() {
                    Some(text) => drop(bucket.labels.insert(label.clone(), text.to_owned())),
                    None => drop(bucket.labels.remove(label)),
                }
            }
            bucket.metageneration += 1;
            let record = bucket.clone();
            sim.state.change(|state| {
                state.buckets.insert(name.to_owned(), record);
                Ok::<_, ApiError>(())
            })?;
            Ok(json(200, &resource(&base, name, &bucket)))
        }
        _ => Err(no_such_method()),
    }
}

/// `getIamPolicy` and `setIamPolicy`.
pub(super) async fn policy(call: Call<'_>, name: &str) -> Result<Response<Body>, ApiError> {
    let (sim, who) = (call.sim, asking(&call)?);
    let key = format!("buckets/{name}");
    let shown = |policy: &Policy| {
        let mut value = serde_json::to_value(policy).unwrap_or_default();
        value["kind"] = "storage#policy".into();
        value["resourceId"] = format!("projects/_/buckets/{name}").into();
        value
    };
    match call.parts.method {
        Method::GET => {
            require(sim, &who, "storage.buckets.getIamPolicy", Thing::Bucket(name))?;
            find(sim, name)?;
            Ok(json(200, &shown(&sim.state.get().policy(&key))))
        }
        Method::PUT => {
            require(sim, &who, "storage.buckets.setIamPolicy", Thing::Bucket(name))?;
            find(sim, name)?;
            let new: Policy = call.json().await?;
            let set = sim.state.change(|state| state.replace_policy(&key, new, sim.now()))?;
            Ok(json(200, &shown(&set)))
        }
        _ => Err(no_such_method()),
    }
}

pub(super) fn test_permissions(call: &Call<'_>, name: &str) -> Result<Response<Body>, ApiError> {
    let who = asking(call)?;
    let asked = call.query.iter().filter(|(known, _)| known == "permissions").map(|(_, permission)| permission.as_str());
    let held: Vec<&str> = asked.filter(|permission| may(call.sim, &who, permission, Thing::Bucket(name))).collect();
    Ok(json(200, &json!({"kind": "storage#testIamPermissionsResponse", "permissions": held})))
}

/// The bucket's managed folders, after which gcloud asks when it removes everything. There are none.
pub(super) fn managed_folders(call: &Call<'_>, name: &str) -> Result<Response<Body>, ApiError> {
    let who = asking(call)?;
    require(call.sim, &who, "storage.objects.list", Thing::Bucket(name))?;
    find(call.sim, name)?;
    Ok(json(200, &json!({"kind": "storage#managedFolders", "items": []})))
}

/// Whether the bucket has real folders, which gcloud asks first. It has not.
pub(super) fn layout(call: &Call<'_>, name: &str) -> Result<Response<Body>, ApiError> {
    let who = asking(call)?;
    require(call.sim, &who, "storage.objects.list", Thing::Bucket(name))?;
    let bucket = find(call.sim, name)?;
    let body = json!({
        "kind": "storage#storageLayout", "bucket": name, "location": bucket.location, "locationType": "region",
        "hierarchicalNamespace": {"enabled": false},
    });
    Ok(json(200, &body))
}
