//! Objects of the JSON API: list, get, download, describe, copy, compose, delete.

use axum::body::Body;
use axum::http::{Method, Response};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use skybru_federation::google::ApiError;

use super::transfer::{commit, file_stream, md5_base64, range, receive, send};
use super::upload::Described;
use super::{Conditions, Thing, asking, may, precondition_failed, require, require_write, store_error};
use crate::google::http::answers::{empty, json};
use crate::google::http::{Call, no_such_method};
use crate::google::rfc3339;
use crate::objects::Object;

/// The most objects on one page.
const PAGE: usize = 1000;
/// The most objects that are composed into one.
const MOST_COMPOSED: usize = 32;

/// An object as the JSON API shows it. Its links lead back to the simulator (G-72).
pub(super) fn resource(base: &str, bucket: &str, object: &Object) -> Value {
    let encoded: String = form_urlencoded::byte_serialize(object.key.as_bytes()).collect::<String>().replace('+', "%20");
    let (generation, attributes) = (object.version(), &object.attributes);
    let mut value = json!({
        "kind": "storage#object", "id": format!("{bucket}/{}/{generation}", object.key), "name": object.key, "bucket": bucket,
        "selfLink": format!("{base}/storage/v1/b/{bucket}/o/{encoded}"),
        "mediaLink": format!("{base}/download/storage/v1/b/{bucket}/o/{encoded}?generation={generation}&alt=media"),
        "generation": generation.to_string(), "metageneration": (1 + object.changes).to_string(), "size": object.size.to_string(),
        "contentType": attributes.content_type.as_deref().unwrap_or("application/octet-stream"), "storageClass": "STANDARD",
        "timeCreated": rfc3339(object.modified), "updated": rfc3339(object.modified),
        "timeStorageClassUpdated": rfc3339(object.modified), "etag": format!("C{generation}={}", object.changes),
        "crc32c": object.checksums.get("crc32c"),
    });
    if let Some(md5) = md5_base64(object) {
        value["md5Hash"] = md5.into();
    }
    for (name, text) in [
        ("contentEncoding", &attributes.content_encoding),
        ("contentDisposition", &attributes.content_disposition),
        ("contentLanguage", &attributes.content_language),
        ("cacheControl", &attributes.cache_control),
    ] {
        if let Some(text) = text {
            value[name] = text.as_str().into();
        }
    }
    if !attributes.metadata.is_empty() {
        value["metadata"] = json!(attributes.metadata);
    }
    value
}

pub(super) fn list(call: &Call<'_>, bucket: &str) -> Result<Response<Body>, ApiError> {
    let (sim, who, base) = (call.sim, asking(call)?, call.base_url());
    let prefix = call.query("prefix").unwrap_or_default();
    require(sim, &who, "storage.objects.list", Thing::Bucket(bucket))?;
    let limit = call.query("maxResults").and_then(|text| text.parse().ok()).unwrap_or(PAGE).clamp(1, PAGE);
    let token = call
        .query("pageToken")
        .map(|token| skybru_protocol::base64url::decode(token).ok().and_then(|b| String::from_utf8(b).ok()));
    let after = match token {
        None => String::new(),
        Some(Some(after)) => after,
        Some(None) => return Err(ApiError::invalid("S-21", "Invalid page token.")),
    };
    let page = sim
        .objects
        .list(bucket, prefix, call.query("delimiter").unwrap_or_default(), &after, limit)
        .map_err(|error| store_error(&error, bucket, ""))?;
    let within = |key: &str| {
        call.query("startOffset").is_none_or(|start| key >= start) && call.query("endOffset").is_none_or(|end| key < end)
    };
    let items: Vec<Value> =
        page.objects.iter().filter(|object| within(&object.key)).map(|object| resource(&base, bucket, object)).collect();
    let prefixes: Vec<&String> = page.prefixes.iter().filter(|prefix| within(prefix)).collect();
    let mut body = json!({"kind": "storage#objects"});
    if !items.is_empty() {
        body["items"] = items.into();
    }
    if !prefixes.is_empty() {
        body["prefixes"] = json!(prefixes);
    }
    if let Some(next) = page.next {
        body["nextPageToken"] = skybru_protocol::base64url::encode(next).into();
    }
    Ok(json(200, &body))
}

pub(super) async fn one(call: Call<'_>, bucket: &str, name: &str) -> Result<Response<Body>, ApiError> {
    let (sim, who) = (call.sim, asking(&call)?);
    let conditions = Conditions::of_query(&call, "if")?;
    let thing = Thing::Object(bucket, name);
    match call.parts.method {
        Method::GET => {
            require(sim, &who, "storage.objects.get", thing)?;
            let (object, path) = find(&call, bucket, name)?;
            if !conditions.hold(Some(&object)) {
                return Err(precondition_failed());
            }
            if call.query("alt") == Some("media") {
                return send((&object, &path), range(call.header("range"), object.size)?, true).await;
            }
            Ok(json(200, &resource(&call.base_url(), bucket, &object)))
        }
        Method::DELETE => {
            require(sim, &who, "storage.objects.delete", thing)?;
            find(&call, bucket, name)?;
            let deleted = sim.objects.delete_object_if(bucket, name, |object| conditions.hold(object));
            deleted.map_err(|error| store_error(&error, bucket, name))?;
            Ok(empty(204))
        }
        Method::PATCH | Method::PUT => {
            require(sim, &who, "storage.objects.update", thing)?;
            find(&call, bucket, name)?;
            let (base, replaces) = (call.base_url(), call.parts.method == Method::PUT);
            let described: Described = call.json().await?;
            let change = |attributes: &mut _| described.apply(attributes, replaces);
            let object = sim.objects.describe(bucket, name, |object| conditions.hold(Some(object)), change);
            let object = object.map_err(|error| store_error(&error, bucket, name))?;
            Ok(json(200, &resource(&base, bucket, &object)))
        }
        _ => Err(no_such_method()),
    }
}

/// An object of the generation asked for. That it is not there is told only to those who may list.
fn find(call: &Call<'_>, bucket: &str, name: &str) -> Result<(Object, std::path::PathBuf), ApiError> {
    let found = call.sim.objects.object(bucket, name).map_err(|error| store_error(&error, bucket, name));
    let wanted = call.query("generation").and_then(|text| text.parse::<u64>().ok());
    let found = found.and_then(|(object, path)| match wanted {
        Some(generation) if generation != object.version() => {
            Err(ApiError::not_found("D-50", format!("No such object: {bucket}/{name}")))
        }
        _ => Ok((object, path)),
    });
    match found {
        Err(error) if error.code == 404 => {
            let who = asking(call)?;
            if !may(call.sim, &who, "storage.objects.list", Thing::Bucket(bucket)) {
                require(call.sim, &who, "storage.objects.list", Thing::Bucket(bucket))?;
            }
            Err(error)
        }
        found => found,
    }
}

/// `rewriteTo` and `copyTo`: everything in one go.
pub(super) async fn copy(call: Call<'_>, from: (&str, &str), to: (&str, &str)) -> Result<Response<Body>, ApiError> {
    let (sim, who, base) = (call.sim, asking(&call)?, call.base_url());
    require(sim, &who, "storage.objects.get", Thing::Object(from.0, from.1))?;
    require_write(sim, &who, to.0, to.1)?;
    let (source, path) = sim.objects.object(from.0, from.1).map_err(|error| store_error(&error, from.0, from.1))?;
    let (conditions, of_source) = (Conditions::of_query(&call, "if")?, Conditions::of_query(&call, "ifSource")?);
    if !of_source.hold(Some(&source)) {
        return Err(precondition_failed());
    }
    let rewrite = call.segments.iter().any(|segment| segment == "rewriteTo");
    let described: Described = call.json().await?;
    let mut attributes = source.attributes.clone();
    described.apply(&mut attributes, false);
    let draft = sim.objects.draft(to.0).map_err(|error| store_error(&error, to.0, to.1))?;
    let received = receive(&draft, file_stream(&path).await?).await?;
    let object = commit(sim, to.0, to.1, &draft, &received, (attributes, &conditions))?;
    let resource = resource(&base, to.0, &object);
    if !rewrite {
        return Ok(json(200, &resource));
    }
    let size = object.size.to_string();
    let body = json!({
        "kind": "storage#rewriteResponse", "totalBytesRewritten": size, "objectSize": size, "done": true, "resource": resource,
    });
    Ok(json(200, &body))
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Composition {
    source_objects: Vec<Source>,
    destination: Described,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Source {
    name: String,
}

/// Several objects one behind the other.
pub(super) async fn compose(call: Call<'_>, bucket: &str, name: &str) -> Result<Response<Body>, ApiError> {
    let (sim, who, base) = (call.sim, asking(&call)?, call.base_url());
    require_write(sim, &who, bucket, name)?;
    let conditions = Conditions::of_query(&call, "if")?;
    let composition: Composition = call.json().await?;
    let sources = composition.source_objects;
    if sources.is_empty() || sources.len() > MOST_COMPOSED {
        return Err(ApiError::invalid("S-21", "The number of source components provided must be between 1 and 32."));
    }
    let mut paths = Vec::new();
    for source in &sources {
        require(sim, &who, "storage.objects.get", Thing::Object(bucket, &source.name))?;
        paths.push(sim.objects.object(bucket, &source.name).map_err(|error| store_error(&error, bucket, &source.name))?.1);
    }
    let draft = sim.objects.draft(bucket).map_err(|error| store_error(&error, bucket, name))?;
    let bytes = stream::iter(paths).then(|path| async move { file_stream(&path).await }).flat_map(|file| match file {
        Ok(file) => file.map(|chunk| chunk.map_err(|error| error.to_string())).boxed(),
        Err(error) => stream::iter([Err(error.message)]).boxed(),
    });
    let received = receive(&draft, bytes).await?;
    let mut attributes = crate::objects::Attributes::default();
    composition.destination.apply(&mut attributes, true);
    let object = commit(sim, bucket, name, &draft, &received, (attributes, &conditions))?;
    Ok(json(200, &resource(&base, bucket, &object)))
}
