//! Data Lake Gen2: file systems, folders, files in parts, names that move, access control lists (E-67).

use std::collections::BTreeMap;
use std::io::{Seek as _, SeekFrom};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};
use skybru_federation::azure::acl::Acl;
use skybru_federation::azure::{AzureError, BlobOperation};

use super::conditions::{Wish, check};
use super::containers::{self, unsupported};
use super::items::{Bytes, Item};
use super::{Answered, Call, blobs, broken};
use crate::azure::server::Service;
use crate::azure::wire::{Answer, Request, decoded, http_date};

/// The most that one page of a list holds.
const PAGE: usize = 5000;

/// Data Lake's clients send what Blob knows too to Data Lake's own port: only these are Data Lake's own.
pub(super) fn is_meant(service: Service, request: &Request) -> bool {
    let own = request.query("resource").is_some()
        || request.query("action").is_some()
        || request.header("x-ms-rename-source").is_some();
    let deletes = request.method == Method::DELETE && request.query("restype").is_none();
    own || service == Service::DataLake && deletes
}

pub(super) fn list_filesystems(call: &Call<'_>) -> Answered {
    call.authorize(BlobOperation::ListContainers, None)?;
    let one = |(name, container): (&String, &crate::azure::state::Container)| json!({"name": name, "etag": container.etag, "lastModified": http_date(container.modified)});
    let all: Vec<Value> = call.account.containers.iter().map(one).collect();
    Ok(Answer::json(200, &json!({"filesystems": all})))
}

pub(super) fn answer(call: &Call<'_>, container: &str, path: &str) -> Answered {
    let request = call.request;
    let trimmed = path.trim_matches('/');
    let of_filesystem = request.query("resource") == Some("filesystem");
    match (&request.method, of_filesystem, request.query("action")) {
        (&Method::PUT, true, None) => containers::create(call, container),
        (&Method::DELETE, true, None) => containers::delete(call, container, 202),
        (&Method::HEAD, true, None) => {
            call.authorize(BlobOperation::ReadContainer, Some(container))?;
            let answer = containers::properties(call.container(container)?, 200);
            Ok(answer.with("x-ms-namespace-enabled", if call.account.has_folders { "true" } else { "false" }))
        }
        (&Method::GET, true, None) => list(call, container),
        (&Method::GET | &Method::HEAD, false, None | Some("getStatus")) => blobs::read(call, container, trimmed),
        _ if !call.account.has_folders => {
            // The code is unconfirmed.
            let text = "This operation is only supported on a hierarchical namespace account.";
            Err(AzureError::new("E-67", "HierarchicalNamespaceNotEnabled", 400, text))
        }
        (&Method::PUT, false, None) if request.header("x-ms-rename-source").is_some() => rename(call, container, trimmed),
        (&Method::PUT, false, None) => create(call, container, trimmed),
        (&Method::PATCH, false, Some("append")) => append(call, container, trimmed),
        (&Method::PATCH, false, Some("flush")) => flush(call, container, trimmed),
        (&Method::PATCH, false, Some("setAccessControl")) => set_acl(call, container, trimmed),
        (&Method::PATCH, false, Some("setAccessControlRecursive")) => set_acl_below(call, container, trimmed),
        (&Method::HEAD, false, Some("getAccessControl")) => get_acl(call, container, trimmed),
        (&Method::DELETE, false, None) => delete(call, container, trimmed),
        _ => Err(unsupported()),
    }
}

fn find(call: &Call<'_>, container: &str, path: &str) -> Result<Arc<Item>, AzureError> {
    call.container(container)?;
    call.sim.items.get(&call.space(container), path).ok_or_else(not_found)
}

fn not_found() -> AzureError {
    AzureError::new("E-65", "PathNotFound", 404, "The specified path does not exist.")
}

/// What a new path begins with: its folder's defaults. `None` in an account without folders.
pub(super) fn new_acl(call: &Call<'_>, container: &str, path: &str, is_folder: bool) -> Option<Acl> {
    if !call.account.has_folders {
        return None;
    }
    let folder = path.rsplit_once('/').and_then(|(folder, _)| call.sim.items.get(&call.space(container), folder));
    let root = call.account.containers.get(container).map(|container| container.root.clone());
    let parent = folder.and_then(|folder| folder.acl.clone()).or(root)?;
    Some(parent.child(&call.caller.principal_id, is_folder))
}

/// The folders above a path, in an account with folders.
pub(super) fn make_parents(call: &Call<'_>, container: &str, path: &str) -> Result<(), AzureError> {
    if !call.account.has_folders {
        return Ok(());
    }
    for (place, _) in path.match_indices('/') {
        let folder = &path[..place];
        match call.sim.items.get(&call.space(container), folder) {
            Some(item) if item.is_folder => {}
            Some(_) => {
                let text =
                    "The specified path, or an element of the path, exists and its resource type is invalid for this operation.";
                return Err(AzureError::new("E-65", "PathConflict", 409, text));
            }
            None => put_new(call, container, folder, true, BTreeMap::new())?,
        }
    }
    Ok(())
}

fn put_new(
    call: &Call<'_>,
    container: &str,
    path: &str,
    is_folder: bool,
    metadata: BTreeMap<String, String>,
) -> Result<(), AzureError> {
    let now = call.sim.now();
    let mut headers = blobs::headers_of(call.request);
    headers.entry("content-type".to_owned()).or_insert_with(|| "application/octet-stream".to_owned());
    let mut acl = new_acl(call, container, path, is_folder);
    if let Some(permissions) = call.request.header("x-ms-permissions") {
        acl = acl.map(|acl| acl.set_permissions(permissions)).transpose()?;
    }
    let item = Item {
        is_folder,
        size: 0,
        etag: super::etag(call.sim),
        created: now,
        modified: now,
        headers,
        metadata,
        blocks: Vec::new(),
        written: Vec::new(),
        acl,
        tier: None,
    };
    call.sim.items.put(&call.space(container), path, item, Bytes::Are(&[])).map_err(broken)
}

/// `x-ms-properties: name=base64,…`, which is how Data Lake writes metadata.
fn properties(request: &Request) -> BTreeMap<String, String> {
    let one = |part: &str| {
        let (name, value) = part.split_once('=')?;
        let value = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
        Some((name.trim().to_owned(), value))
    };
    request.header("x-ms-properties").unwrap_or_default().split(',').filter_map(one).collect()
}

fn create(call: &Call<'_>, container: &str, path: &str) -> Answered {
    let is_folder = match call.request.query("resource") {
        Some("directory") => true,
        Some("file") => false,
        _ => return Err(unsupported()),
    };
    let old = call.sim.items.get(&call.space(container), path);
    call.authorize_path(if old.is_some() { BlobOperation::WriteBlob } else { BlobOperation::CreateBlob }, container, path)?;
    call.container(container)?;
    check(call.request, old.as_deref(), Wish::Write).map_err(|error| {
        let taken = error.code == "BlobAlreadyExists";
        if taken { AzureError::new("E-65", "PathAlreadyExists", 409, "The specified path already exists.") } else { error }
    })?;
    if let Some(old) = &old
        && old.is_folder != is_folder
    {
        return Err(AzureError::new("E-65", "PathConflict", 409, "The specified path exists and is of another kind."));
    }
    if old.is_none() || !is_folder {
        make_parents(call, container, path)?;
        put_new(call, container, path, is_folder, properties(call.request))?;
    }
    let item = find(call, container, path)?;
    Ok(blobs::written(&item, 201).with("content-length", "0"))
}

/// The bytes that were appended and not flushed yet, after those that are there.
fn appended(call: &Call<'_>, container: &str, path: &str) -> std::path::PathBuf {
    call.sim.items.draft(&call.space(container), path, "appended")
}

fn append(call: &Call<'_>, container: &str, path: &str) -> Answered {
    call.authorize_path(BlobOperation::WriteBlob, container, path)?;
    let item = find(call, container, path)?;
    let position: u64 = number(call, "position")?;
    if position < item.size {
        let text = "The position is before the end of what was flushed.";
        return Err(AzureError::new("E-65", "InvalidFlushPosition", 400, text));
    }
    let draft = appended(call, container, path);
    if !draft.is_file() {
        if item.size > 0 {
            std::fs::copy(call.sim.items.bytes_of(&call.space(container), path), &draft).map_err(broken)?;
        } else {
            std::fs::File::create(&draft).map_err(broken)?;
        }
    }
    // Parts may come in any order.
    let mut file = std::fs::OpenOptions::new().write(true).open(&draft).map_err(broken)?;
    file.seek(SeekFrom::Start(position)).map_err(broken)?;
    call.request.body.write_to(&mut file).map_err(broken)?;
    if call.request.query("flush") == Some("true") {
        return commit(call, container, path, position + call.request.body.len(), 202);
    }
    Ok(Answer::empty(202).with("x-ms-request-server-encrypted", "true"))
}

fn flush(call: &Call<'_>, container: &str, path: &str) -> Answered {
    call.authorize_path(BlobOperation::WriteBlob, container, path)?;
    let position = number(call, "position")?;
    commit(call, container, path, position, 200)
}

fn commit(call: &Call<'_>, container: &str, path: &str, position: u64, status: u16) -> Answered {
    let old = find(call, container, path)?;
    check(call.request, Some(&old), Wish::Write)?;
    let draft = appended(call, container, path);
    let there = std::fs::metadata(&draft).map_or(old.size, |metadata| metadata.len());
    if position > there || position < old.size {
        let text = "The uploaded data is not contiguous or the position query parameter value is not equal to the length of the file \
                    after appending the uploaded data.";
        return Err(AzureError::new("E-65", "InvalidFlushPosition", 400, text));
    }
    let mut headers = old.headers.clone();
    headers.extend(blobs::headers_of(call.request));
    let item = Item { size: position, etag: super::etag(call.sim), modified: call.sim.now(), headers, ..Item::clone(&old) };
    let answer = blobs::written(&item, status);
    let bytes = if draft.is_file() {
        std::fs::OpenOptions::new().write(true).open(&draft).and_then(|file| file.set_len(position)).map_err(broken)?;
        Bytes::Draft(&draft)
    } else {
        Bytes::Kept
    };
    call.sim.items.put(&call.space(container), path, item, bytes).map_err(broken)?;
    Ok(answer)
}

fn number(call: &Call<'_>, name: &str) -> Result<u64, AzureError> {
    call.request.query(name).and_then(|text| text.parse().ok()).ok_or_else(|| {
        let text = "Value for one of the query parameters specified in the request URI is invalid.";
        AzureError::new("E-65", "InvalidQueryParameterValue", 400, text)
    })
}

fn list(call: &Call<'_>, container: &str) -> Answered {
    let request = call.request;
    let folder = request.query("directory").unwrap_or_default().trim_matches('/');
    call.authorize_path(BlobOperation::ListBlobs, container, folder)?;
    if call.container(container).is_err() {
        return Err(AzureError::new("E-65", "FilesystemNotFound", 404, "The specified filesystem does not exist."));
    }
    if !folder.is_empty() && call.account.has_folders {
        find(call, container, folder)?;
    }
    let recursive = request.query("recursive").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let from = request.query("continuation").unwrap_or_default();
    let page = request.query("maxResults").and_then(|text| text.parse().ok()).unwrap_or(PAGE).clamp(1, PAGE);
    let (mut paths, mut next) = (Vec::new(), None);
    for (name, item) in call.sim.items.below(&call.space(container), &prefix) {
        if name.as_str() < from || !recursive && name[prefix.len()..].contains('/') {
            continue;
        }
        if paths.len() == page {
            next = Some(name);
            break;
        }
        if recursive && item.is_folder {
            call.authorize_path(BlobOperation::ListBlobs, container, &name)?;
        }
        let mut row = json!({
            "name": name, "contentLength": item.size.to_string(), "lastModified": http_date(item.modified),
            "etag": item.etag.trim_matches('"'),
        });
        if item.is_folder {
            row["isDirectory"] = "true".into();
        }
        if let Some(acl) = &item.acl {
            row["owner"] = acl.owner.as_str().into();
            row["group"] = acl.group.as_str().into();
            row["permissions"] = acl.permissions_text().into();
        }
        paths.push(row);
    }
    Ok(Answer::json(200, &json!({"paths": paths})).with_some("x-ms-continuation", next.as_ref()))
}

fn delete(call: &Call<'_>, container: &str, path: &str) -> Answered {
    call.authorize_path(BlobOperation::DeleteBlob, container, path)?;
    let item = find(call, container, path)?;
    check(call.request, Some(&item), Wish::Write)?;
    let space = call.space(container);
    let below = if item.is_folder { call.sim.items.below(&space, &format!("{path}/")) } else { Vec::new() };
    if !below.is_empty() && !call.request.query("recursive").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        let text = "The recursive query parameter value must be true to delete a non-empty directory.";
        return Err(AzureError::new("E-65", "DirectoryNotEmpty", 409, text));
    }
    for (name, _) in below {
        call.sim.items.delete(&space, &name);
    }
    call.sim.items.delete(&space, path);
    Ok(Answer::empty(200))
}

fn rename(call: &Call<'_>, container: &str, path: &str) -> Answered {
    let source = call.request.header("x-ms-rename-source").unwrap_or_default();
    let source = decoded(source.split('?').next().unwrap_or_default());
    let source = source.trim_start_matches('/');
    // Clients that put the account into the path put it here too.
    let source = source.strip_prefix(&format!("{}/", call.account.name)).unwrap_or(source);
    let (from, name) = source.split_once('/').ok_or_else(not_found)?;
    let name = name.trim_matches('/');
    call.authorize_path(BlobOperation::DeleteBlob, from, name)?;
    let target = call.sim.items.get(&call.space(container), path);
    call.authorize_path(BlobOperation::CreateBlob, container, path)?;
    call.container(container)?;
    check(call.request, target.as_deref(), Wish::Write)?;
    let item = find(call, from, name)?;
    if container == from && (path == name || path.starts_with(&format!("{name}/"))) {
        let text = "The source and the destination of a rename must be different, and one may not lie in the other.";
        return Err(AzureError::new("E-65", "InvalidRenameSourcePath", 409, text));
    }
    make_parents(call, container, path)?;
    let (old, new) = (call.space(from), call.space(container));
    if item.is_folder {
        for (below, _) in call.sim.items.below(&old, &format!("{name}/")) {
            let moved = format!("{path}{}", &below[name.len()..]);
            call.sim.items.rename((&old, &below), (&new, &moved)).map_err(broken)?;
        }
    }
    call.sim.items.rename((&old, name), (&new, path)).map_err(broken)?;
    Ok(Answer::empty(201))
}

fn acl_of(call: &Call<'_>, container: &str, path: &str) -> Result<(Acl, bool), AzureError> {
    if path.is_empty() {
        return Ok((call.container(container)?.root.clone(), true));
    }
    let item = find(call, container, path)?;
    Ok((item.acl.clone().ok_or_else(not_found)?, item.is_folder))
}

fn keep_acl(call: &Call<'_>, container: &str, path: &str, acl: Acl) -> Result<(), AzureError> {
    if path.is_empty() {
        return call.change_containers(|all| {
            let container = all.get_mut(container).ok_or_else(super::container_not_found)?;
            container.root = acl;
            Ok(())
        });
    }
    let item = find(call, container, path)?;
    let item = Item { acl: Some(acl), ..Item::clone(&item) };
    call.sim.items.put(&call.space(container), path, item, Bytes::Kept).map_err(broken)
}

fn get_acl(call: &Call<'_>, container: &str, path: &str) -> Answered {
    call.authorize_path(BlobOperation::ReadAcl, container, path)?;
    let (acl, _) = acl_of(call, container, path)?;
    let answer = Answer::empty(200).with("x-ms-owner", &acl.owner).with("x-ms-group", &acl.group);
    Ok(answer.with("x-ms-permissions", acl.permissions_text()).with("x-ms-acl", acl.to_string()))
}

fn set_acl(call: &Call<'_>, container: &str, path: &str) -> Answered {
    call.authorize_path(BlobOperation::ChangeAcl, container, path)?;
    let (mut acl, is_folder) = acl_of(call, container, path)?;
    let request = call.request;
    if let Some(text) = request.header("x-ms-acl") {
        acl = acl.set(text, is_folder)?;
    }
    if let Some(text) = request.header("x-ms-permissions") {
        acl = acl.set_permissions(text)?;
    }
    if let Some(owner) = request.header("x-ms-owner") {
        owner.clone_into(&mut acl.owner);
    }
    if let Some(group) = request.header("x-ms-group") {
        group.clone_into(&mut acl.group);
    }
    keep_acl(call, container, path, acl)?;
    Ok(Answer::empty(200).with("etag", super::etag(call.sim)).with("last-modified", http_date(call.sim.now())))
}

fn set_acl_below(call: &Call<'_>, container: &str, path: &str) -> Answered {
    call.authorize_path(BlobOperation::ChangeAcl, container, path)?;
    acl_of(call, container, path)?;
    let text = call.request.header("x-ms-acl").unwrap_or_default();
    let mode = call.request.query("mode").unwrap_or_default();
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    let below = call.sim.items.below(&call.space(container), &prefix);
    let places = std::iter::once(path.to_owned()).chain(below.into_iter().map(|(name, _)| name));
    let (mut folders, mut files) = (0, 0);
    for place in places {
        let (old, is_folder) = acl_of(call, container, &place)?;
        // A file has no defaults, so those of the wish are not for it.
        let wish: Vec<&str> = text.split(',').filter(|part| is_folder || !part.starts_with("default:")).collect();
        let changed = match mode {
            "set" => old.set(&wish.join(","), is_folder)?,
            "modify" | "remove" => old.set(&merged(&old, &wish, mode == "remove"), is_folder)?,
            _ => return Err(unsupported()),
        };
        keep_acl(call, container, &place, changed)?;
        if is_folder { folders += 1 } else { files += 1 }
    }
    let body = json!({"directoriesSuccessful": folders, "filesSuccessful": files, "failureCount": 0, "failedEntries": []});
    Ok(Answer::json(200, &body))
}

/// The old entries with some replaced, or taken away. The mask is computed anew.
fn merged(old: &Acl, wish: &[&str], removes: bool) -> String {
    let key = |entry: &str| {
        let named = entry.strip_prefix("default:").unwrap_or(entry).matches(':').count();
        if named < 2 { entry.to_owned() } else { entry.rsplit_once(':').map_or(entry, |(key, _)| key).to_owned() }
    };
    let wished: Vec<String> = wish.iter().map(|entry| key(entry)).collect();
    let old = old.to_string();
    let stays = |entry: &&str| !wished.contains(&key(entry)) && !entry.contains("mask:");
    let kept = old.split(',').filter(stays);
    let new = wish.iter().copied().filter(|_| !removes);
    kept.chain(new).collect::<Vec<_>>().join(",")
}
