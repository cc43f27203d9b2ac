//! Blobs: read, write, copy, delete, and what is known about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use skybru_federation::azure::{AzureError, BlobOperation};

use super::conditions::{Wish, check};
use super::containers::{account_information, unsupported};
use super::items::{Bytes, Item};
use super::{Answered, Call, blocks, broken};
use crate::azure::wire::{Answer, Content, Request, decoded, http_date};

/// Headers of a blob that are given with `x-ms-blob-` before them, and come back without.
const HEADERS: [&str; 6] =
    ["content-type", "content-encoding", "content-language", "content-md5", "cache-control", "content-disposition"];

pub(super) fn answer(call: &Call<'_>, container: &str, name: &str) -> Answered {
    let request = call.request;
    if request.query("restype") == Some("account") {
        return Ok(account_information(call));
    }
    match (&request.method, request.query("comp")) {
        (&Method::GET | &Method::HEAD, None) => read(call, container, name),
        (&Method::GET | &Method::HEAD, Some("metadata")) => {
            call.authorize_path(BlobOperation::ReadBlob, container, name)?;
            let item = find(call, container, name)?;
            Ok(described(Answer::empty(200), &item))
        }
        (&Method::GET, Some("tags")) => {
            call.authorize_path(BlobOperation::ReadBlob, container, name)?;
            find(call, container, name)?;
            Ok(Answer::xml(200, "<Tags><TagSet /></Tags>"))
        }
        (&Method::GET, Some("blocklist")) => blocks::list(call, container, name),
        (&Method::PUT, Some("block")) => blocks::stage(call, container, name),
        (&Method::PUT, Some("blocklist")) => blocks::commit(call, container, name),
        (&Method::PUT, Some("metadata")) => {
            let metadata = request.metadata();
            change(call, container, name, |item| item.metadata = metadata)
        }
        (&Method::PUT, Some("properties")) => {
            let headers = headers_of(request);
            change(call, container, name, |item| item.headers = headers)
        }
        (&Method::PUT, Some("tier")) => {
            let tier = request.header("x-ms-access-tier").unwrap_or_default().to_owned();
            if !["Hot", "Cool", "Cold"].contains(&tier.as_str()) {
                let text = "The value for one of the HTTP headers is not in the correct format.";
                return Err(AzureError::new("E-65", "InvalidHeaderValue", 400, text));
            }
            change(call, container, name, |item| item.tier = Some(tier))
        }
        (&Method::PUT, None) if request.header("x-ms-copy-source").is_some() => copy(call, container, name),
        (&Method::PUT, None) => put(call, container, name),
        (&Method::DELETE, None) => delete(call, container, name),
        _ => Err(unsupported()),
    }
}

/// An item that is a blob.
pub(super) fn find(call: &Call<'_>, container: &str, name: &str) -> Result<Arc<Item>, AzureError> {
    call.container(container)?;
    let item = call.sim.items.get(&call.space(container), name.trim_end_matches('/'));
    let item =
        item.filter(|item| item.is_folder || !name.ends_with('/')).or_else(|| call.sim.items.get(&call.space(container), name));
    item.ok_or_else(|| AzureError::new("E-65", "BlobNotFound", 404, "The specified blob does not exist."))
}

pub(super) fn read(call: &Call<'_>, container: &str, name: &str) -> Answered {
    call.authorize_path(BlobOperation::ReadBlob, container, name)?;
    let item = find(call, container, name)?;
    check(call.request, Some(&item), Wish::Read)?;
    let path = call.sim.items.bytes_of(&call.space(container), name);
    content(call.request, &item, path).map(|answer| described(answer, &item))
}

/// The bytes that a request asks for.
pub(super) fn content(request: &Request, item: &Item, path: std::path::PathBuf) -> Answered {
    if request.method == Method::HEAD {
        return Ok(Answer { content: Content::Head(item.size), ..Answer::empty(200) });
    }
    let range = request.header("x-ms-range").or_else(|| request.header("range"));
    let range = range.and_then(|text| parse_range(text, item.size));
    match range {
        None if item.is_folder => Ok(Answer::empty(200)),
        None => Ok(Answer { content: Content::File { path, start: 0, length: item.size }, ..Answer::empty(200) }),
        Some(Range::Outside) => {
            let text = "The range specified is invalid for the current size of the resource.";
            Err(AzureError::new("E-65", "InvalidRange", 416, text))
        }
        Some(Range::Part(start, end)) => {
            let answer = Answer { content: Content::File { path, start, length: end - start + 1 }, ..Answer::empty(206) };
            Ok(answer.with("content-range", format!("bytes {start}-{end}/{}", item.size)))
        }
    }
}

/// What a range header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// First and last byte.
    Part(u64, u64),
    /// Bytes that are not there.
    Outside,
}

/// `None` when it is no range, so that everything is meant.
pub(super) fn parse_range(text: &str, size: u64) -> Option<Range> {
    let part = |holds: bool, first: u64, last: u64| if holds { Range::Part(first, last) } else { Range::Outside };
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let count: u64 = last.parse().ok()?;
        return Some(part(count > 0 && size > 0, size.saturating_sub(count), size.saturating_sub(1)));
    }
    let first: u64 = first.parse().ok()?;
    let last: u64 = if last.is_empty() { u64::MAX } else { last.parse().ok()? };
    Some(part(first < size && first <= last, first, last.min(size.saturating_sub(1))))
}

/// The headers that describe a blob.
pub(super) fn described(mut answer: Answer, item: &Item) -> Answer {
    answer = answer
        .with("etag", &item.etag)
        .with("last-modified", http_date(item.modified))
        .with("x-ms-creation-time", http_date(item.created))
        .with("x-ms-blob-type", "BlockBlob")
        .with("x-ms-access-tier", item.tier.as_deref().unwrap_or("Hot"))
        .with("x-ms-lease-status", "unlocked")
        .with("x-ms-lease-state", "available")
        .with("x-ms-server-encrypted", "true")
        .with("accept-ranges", "bytes");
    let is_part = answer.status == 206;
    for (name, value) in &item.headers {
        // Of a part, the hash of the whole goes by another name.
        let name = if name == "content-md5" && is_part { "x-ms-blob-content-md5" } else { name.as_str() };
        answer = answer.with(name, value);
    }
    for (name, value) in &item.metadata {
        answer = answer.with(&format!("x-ms-meta-{name}"), value);
    }
    if let Some(acl) = &item.acl {
        answer = answer
            .with("x-ms-resource-type", if item.is_folder { "directory" } else { "file" })
            .with("x-ms-owner", &acl.owner)
            .with("x-ms-group", &acl.group)
            .with("x-ms-permissions", acl.permissions_text());
        if item.is_folder {
            answer = answer.with("x-ms-meta-hdi_isfolder", "true");
        }
    }
    answer
}

/// The headers to keep with a blob.
pub(super) fn headers_of(request: &Request) -> BTreeMap<String, String> {
    let given = |name: &str| request.header(&format!("x-ms-blob-{name}")).or_else(|| request.header(&format!("x-ms-{name}")));
    HEADERS.iter().filter_map(|name| Some(((*name).to_owned(), given(name)?.to_owned()))).collect()
}

/// Write permission for what is there, or for a new one; and whether the conditions hold.
pub(super) fn may_write(call: &Call<'_>, container: &str, name: &str) -> Result<Option<Arc<Item>>, AzureError> {
    let old = call.sim.items.get(&call.space(container), name);
    let operation = if old.is_some() { BlobOperation::WriteBlob } else { BlobOperation::CreateBlob };
    call.authorize_path(operation, container, name)?;
    call.container(container)?;
    check(call.request, old.as_deref(), Wish::Write)?;
    if old.as_ref().is_some_and(|old| old.is_folder) {
        let text = "The specified resource is a directory.";
        return Err(AzureError::new("E-65", "BlobAlreadyExists", 409, text));
    }
    Ok(old)
}

/// A new version of a blob.
pub(super) fn new_item(call: &Call<'_>, container: &str, name: &str, old: Option<&Item>, size: u64) -> Item {
    let now = call.sim.now();
    Item {
        is_folder: false,
        size,
        etag: super::etag(call.sim),
        created: old.map_or(now, |old| old.created),
        modified: now,
        headers: headers_of(call.request),
        metadata: call.request.metadata(),
        blocks: Vec::new(),
        written: Vec::new(),
        acl: match old {
            Some(old) => old.acl.clone(),
            None => super::paths::new_acl(call, container, name, false),
        },
        tier: None,
    }
}

fn put(call: &Call<'_>, container: &str, name: &str) -> Answered {
    let request = call.request;
    let old = may_write(call, container, name)?;
    if !request.header("x-ms-blob-type").is_some_and(|kind| kind.eq_ignore_ascii_case("BlockBlob")) {
        return Err(unsupported());
    }
    let md5 = check_md5(call)?;
    let mut item = new_item(call, container, name, old.as_deref(), request.body.len());
    if !item.headers.contains_key("content-type") {
        let given = request.header("content-type").unwrap_or("application/octet-stream");
        item.headers.insert("content-type".to_owned(), given.to_owned());
    }
    item.headers.entry("content-md5".to_owned()).or_insert_with(|| md5.clone());
    super::paths::make_parents(call, container, name)?;
    let answer = written(&item, 201).with("content-md5", md5);
    let whole = call.sim.items.spool(&call.sim.guid());
    request.body.become_file(&whole).map_err(broken)?;
    call.sim.items.put(&call.space(container), name, item, Bytes::Draft(&whole)).map_err(broken)?;
    super::blocks::forget_staged(call, container, name);
    Ok(answer)
}

/// The body's MD5, in base64; what the request promises must be the same.
pub(super) fn check_md5(call: &Call<'_>) -> Result<String, AzureError> {
    let md5 = STANDARD.encode(call.request.body.md5());
    if call.request.header("content-md5").is_some_and(|promised| promised != md5) {
        let text = "The MD5 value specified in the request did not match with the MD5 value calculated by the server.";
        return Err(AzureError::new("E-65", "Md5Mismatch", 400, text));
    }
    Ok(md5)
}

/// The answer to a write.
pub(super) fn written(item: &Item, status: u16) -> Answer {
    Answer::empty(status)
        .with("etag", &item.etag)
        .with("last-modified", http_date(item.modified))
        .with("x-ms-request-server-encrypted", "true")
}

fn change(call: &Call<'_>, container: &str, name: &str, change: impl FnOnce(&mut Item)) -> Answered {
    call.authorize_path(BlobOperation::WriteBlob, container, name)?;
    let old = find(call, container, name)?;
    check(call.request, Some(&old), Wish::Write)?;
    let mut item = Item { etag: super::etag(call.sim), modified: call.sim.now(), ..Item::clone(&old) };
    change(&mut item);
    let answer = written(&item, 200);
    call.sim.items.put(&call.space(container), name.trim_end_matches('/'), item, Bytes::Kept).map_err(broken)?;
    Ok(answer)
}

/// Within one account, and done when it is answered.
fn copy(call: &Call<'_>, container: &str, name: &str) -> Answered {
    let request = call.request;
    let source = request.header("x-ms-copy-source").unwrap_or_default();
    let path = source.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let path = path.split('?').next().unwrap_or_default();
    let mut parts = path.splitn(3, '/').map(decoded);
    let (account, from, from_name) =
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if account != call.account.name {
        let text = "The source of a copy must be in the same storage account here.";
        return Err(AzureError::new("E-65", "CannotVerifyCopySource", 404, text));
    }
    call.authorize_path(BlobOperation::ReadBlob, &from, &from_name)?;
    let old = may_write(call, container, name)?;
    let original = find(call, &from, &from_name)?;
    let whole = call.sim.items.spool(&call.sim.guid());
    std::fs::copy(call.sim.items.bytes_of(&call.space(&from), &from_name), &whole).map_err(broken)?;
    let mut item = new_item(call, container, name, old.as_deref(), original.size);
    item.headers.clone_from(&original.headers);
    if item.metadata.is_empty() {
        item.metadata.clone_from(&original.metadata);
    }
    super::paths::make_parents(call, container, name)?;
    let answer = written(&item, 202).with("x-ms-copy-id", call.sim.guid()).with("x-ms-copy-status", "success");
    call.sim.items.put(&call.space(container), name, item, Bytes::Draft(&whole)).map_err(broken)?;
    Ok(answer)
}

fn delete(call: &Call<'_>, container: &str, name: &str) -> Answered {
    call.authorize_path(BlobOperation::DeleteBlob, container, name)?;
    let item = find(call, container, name)?;
    check(call.request, Some(&item), Wish::Write)?;
    let path = name.trim_end_matches('/');
    if item.is_folder && !call.sim.items.below(&call.space(container), &format!("{path}/")).is_empty() {
        let text = "This operation is not permitted on a non-empty directory.";
        return Err(AzureError::new("E-65", "DirectoryIsNotEmpty", 409, text));
    }
    call.sim.items.delete(&call.space(container), if item.is_folder { path } else { name });
    Ok(Answer::empty(202).with("x-ms-delete-type-permanent", "true"))
}
