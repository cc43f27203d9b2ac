//! Files: shares, folders and files in ranges. A token is taken with the backup intent only (E-65).
//!
//! Shares are made at Resource Manager.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Seek as _, SeekFrom};
use std::sync::Arc;

use http::Method;
use quick_xml::escape::escape;
use skybru_federation::azure::{AzureError, FileOperation, check_files_call};

use super::conditions::{Wish, check};
use super::containers::{properties as share_properties, unsupported};
use super::items::{self, Bytes, Item};
use super::{Answered, Call, Target, blobs, broken};
use crate::azure::wire::{Answer, decoded, http_date, iso};

/// The largest range that one request writes.
const LARGEST_RANGE: u64 = 4 * 1024 * 1024;

pub(super) fn answer(call: &Call<'_>, target: &Target) -> Answered {
    check_files_call(call.files_call())?;
    let request = call.request;
    let path = target.path.trim_matches('/');
    let Some(share) = target.container.as_deref() else {
        return if request.query("comp") == Some("list") { list_shares(call) } else { Err(unsupported()) };
    };
    let known = call.account.shares.get(share);
    if request.query("restype") == Some("share") {
        call.authorize_file(FileOperation::ReadShare, Some(share))?;
        let found = known.ok_or_else(share_not_found)?;
        return match request.method {
            Method::GET | Method::HEAD => Ok(share_properties(found, 200).with("x-ms-share-quota", "5120")),
            _ => Err(unsupported()),
        };
    }
    let operation = match request.method {
        Method::GET | Method::HEAD => FileOperation::Read,
        Method::DELETE => FileOperation::Delete,
        _ => FileOperation::Write,
    };
    call.authorize_file(operation, Some(share))?;
    known.ok_or_else(share_not_found)?;
    let place = Place { call, share, space: items::space(false, &call.account.name, share), path };
    match (&request.method, request.query("restype"), request.query("comp")) {
        (&Method::GET, Some("directory"), Some("list")) => place.list(),
        (&Method::GET | &Method::HEAD, Some("directory"), None) => place.folder(),
        (&Method::PUT, Some("directory"), None) => place.make_folder(),
        (&Method::DELETE, Some("directory"), None) => place.delete(true),
        (&Method::GET | &Method::HEAD, None, None) => place.read(),
        (&Method::PUT, None, None) if request.header("x-ms-copy-source").is_some() => place.copy(),
        (&Method::PUT, None, None) => place.make_file(),
        (&Method::PUT, None, Some("rename")) => place.rename(),
        (&Method::PUT, None, Some("range")) => place.write(),
        (&Method::GET, None, Some("rangelist")) => place.ranges(),
        (&Method::PUT, _, Some("metadata")) => {
            let metadata = request.metadata();
            place.change(|item| item.metadata = metadata)
        }
        (&Method::PUT, _, Some("properties")) => place.set_properties(),
        (&Method::DELETE, None, None) => place.delete(false),
        _ => Err(unsupported()),
    }
}

fn share_not_found() -> AzureError {
    AzureError::new("E-65", "ShareNotFound", 404, "The specified share does not exist.")
}

fn list_shares(call: &Call<'_>) -> Answered {
    call.authorize_file(FileOperation::ListShares, None)?;
    let mut text = format!("<EnumerationResults ServiceEndpoint=\"/{}\"><Shares>", call.account.name);
    for (name, share) in &call.account.shares {
        let _ = write!(
            text,
            "<Share><Name>{name}</Name><Properties><Last-Modified>{}</Last-Modified><Etag>{}</Etag><Quota>5120</Quota></Properties></Share>",
            http_date(share.modified),
            escape(&share.etag)
        );
    }
    text.push_str("</Shares><NextMarker /></EnumerationResults>");
    Ok(Answer::xml(200, &text))
}

/// A path in a share.
struct Place<'a> {
    call: &'a Call<'a>,
    share: &'a str,
    space: String,
    path: &'a str,
}

impl Place<'_> {
    fn find(&self, is_folder: bool) -> Result<Arc<Item>, AzureError> {
        let found = self.call.sim.items.get(&self.space, self.path).filter(|item| item.is_folder == is_folder);
        found.ok_or_else(|| AzureError::new("E-65", "ResourceNotFound", 404, "The specified resource does not exist."))
    }

    /// Folders are not made on the way.
    fn parent_is_there(&self) -> Result<(), AzureError> {
        let there = self
            .path
            .rsplit_once('/')
            .is_none_or(|(parent, _)| self.call.sim.items.get(&self.space, parent).is_some_and(|parent| parent.is_folder));
        if there {
            Ok(())
        } else {
            Err(AzureError::new("E-65", "ParentNotFound", 404, "The specified parent path does not exist."))
        }
    }

    fn new_item(&self, is_folder: bool, size: u64) -> Item {
        let now = self.call.sim.now();
        let headers = if is_folder { BTreeMap::new() } else { blobs::headers_of(self.call.request) };
        Item {
            is_folder,
            size,
            etag: super::etag(self.call.sim),
            created: now,
            modified: now,
            headers,
            metadata: self.call.request.metadata(),
            blocks: Vec::new(),
            written: Vec::new(),
            acl: None,
            tier: None,
        }
    }

    fn folder(&self) -> Answered {
        if self.path.is_empty() {
            let share = self.call.account.shares.get(self.share).ok_or_else(share_not_found)?;
            return Ok(share_properties(share, 200));
        }
        let item = self.find(true)?;
        Ok(described(Answer::empty(200), &item))
    }

    fn make_folder(&self) -> Answered {
        self.parent_is_there()?;
        if self.path.is_empty() || self.call.sim.items.get(&self.space, self.path).is_some() {
            return Err(AzureError::new("E-65", "ResourceAlreadyExists", 409, "The specified resource already exists."));
        }
        let item = self.new_item(true, 0);
        let answer = described(Answer::empty(201), &item);
        self.call.sim.items.put(&self.space, self.path, item, Bytes::Are(&[])).map_err(broken)?;
        Ok(answer)
    }

    /// A file of its whole length, with nothing but zeros in it.
    fn make_file(&self) -> Answered {
        let request = self.call.request;
        if request.header("x-ms-type") != Some("file") {
            return Err(unsupported());
        }
        self.is_free_for_a_file()?;
        let size: u64 = request.header("x-ms-content-length").and_then(|text| text.parse().ok()).ok_or_else(|| {
            let text = "An HTTP header that's mandatory for this request is not specified.";
            AzureError::new("E-65", "MissingRequiredHeader", 400, text)
        })?;
        let mut item = self.new_item(false, size);
        item.headers.entry("content-type".to_owned()).or_insert_with(|| "application/octet-stream".to_owned());
        let draft = self.call.sim.items.draft(&self.space, self.path, "new");
        std::fs::File::create(&draft).and_then(|file| file.set_len(size)).map_err(broken)?;
        let answer = described(Answer::empty(201), &item);
        self.call.sim.items.put(&self.space, self.path, item, Bytes::Draft(&draft)).map_err(broken)?;
        Ok(answer)
    }

    fn read(&self) -> Answered {
        let item = self.find(false)?;
        check(self.call.request, Some(&item), Wish::Read)?;
        let bytes = self.call.sim.items.bytes_of(&self.space, self.path);
        blobs::content(self.call.request, &item, bytes).map(|answer| described(answer, &item))
    }

    fn write(&self) -> Answered {
        let request = self.call.request;
        let item = self.find(false)?;
        let invalid = || {
            AzureError::new("E-65", "InvalidRange", 416, "The range specified is invalid for the current size of the resource.")
        };
        let range = request.header("x-ms-range").or_else(|| request.header("range")).unwrap_or_default();
        let Some(blobs::Range::Part(start, end)) = blobs::parse_range(range, item.size) else { return Err(invalid()) };
        let length = end - start + 1;
        let clears = request.header("x-ms-write").is_some_and(|what| what.eq_ignore_ascii_case("clear"));
        if !clears && (length != request.body.len() || length > LARGEST_RANGE) {
            return Err(invalid());
        }
        let bytes = self.call.sim.items.bytes_of(&self.space, self.path);
        let mut file = std::fs::OpenOptions::new().write(true).open(bytes).map_err(broken)?;
        file.seek(SeekFrom::Start(start)).map_err(broken)?;
        if clears {
            std::io::copy(&mut std::io::Read::take(std::io::repeat(0), length), &mut file).map_err(broken)?;
        } else {
            request.body.write_to(&mut file).map_err(broken)?;
        }
        self.change(|item| item.note_written(start, end + 1, clears)).map(|answer| Answer { status: 201, ..answer })
    }

    fn ranges(&self) -> Answered {
        let item = self.find(false)?;
        let mut text = String::from("<Ranges>");
        for (start, end) in &item.written {
            let _ = write!(text, "<Range><Start>{start}</Start><End>{}</End></Range>", end - 1);
        }
        text.push_str("</Ranges>");
        Ok(Answer::xml(200, &text).with("etag", &item.etag).with("x-ms-content-length", item.size.to_string()))
    }

    /// The path in this share that a header names by its whole address.
    fn source(&self, header: &str) -> Result<String, AzureError> {
        let wrong =
            || AzureError::new("E-65", "CannotVerifyCopySource", 404, "The source must be a file in the same share here.");
        let source = self.call.request.header(header).unwrap_or_default();
        let path = source.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path).ok_or_else(wrong)?;
        let path = decoded(path.split('?').next().unwrap_or_default());
        let below = format!("{}/{}/", self.call.account.name, self.share);
        path.strip_prefix(&below).map(str::to_owned).ok_or_else(wrong)
    }

    fn is_free_for_a_file(&self) -> Result<(), AzureError> {
        self.parent_is_there()?;
        if self.call.sim.items.get(&self.space, self.path).is_some_and(|old| old.is_folder) {
            let text = "The specified resource may be a directory or a file of that name already.";
            return Err(AzureError::new("E-65", "ResourceTypeMismatch", 409, text));
        }
        Ok(())
    }

    /// A file takes another name, and the place of what had it only where that is said. Folders are not moved here.
    fn rename(&self) -> Answered {
        let source = self.source("x-ms-file-rename-source")?;
        let source = Place { path: &source, share: self.share, call: self.call, space: self.space.clone() };
        source.find(false)?;
        self.is_free_for_a_file()?;
        let replaces =
            self.call.request.header("x-ms-file-rename-replace-if-exists").is_some_and(|word| word.eq_ignore_ascii_case("true"));
        if !replaces && self.call.sim.items.get(&self.space, self.path).is_some() {
            return Err(AzureError::new("E-65", "ResourceAlreadyExists", 409, "The specified resource already exists."));
        }
        self.call.sim.items.rename((&self.space, source.path), (&self.space, self.path)).map_err(broken)?;
        Ok(described(Answer::empty(200), self.find(false)?.as_ref()))
    }

    /// Within one share, and done when it is answered.
    fn copy(&self) -> Answered {
        let source = self.source("x-ms-copy-source")?;
        let source = Place { path: &source, share: self.share, call: self.call, space: self.space.clone() };
        let original = source.find(false)?;
        self.is_free_for_a_file()?;
        let mut item = self.new_item(false, original.size);
        item.headers.clone_from(&original.headers);
        item.written.clone_from(&original.written);
        let bytes = std::fs::read(self.call.sim.items.bytes_of(&self.space, source.path)).map_err(broken)?;
        let answer =
            described(Answer::empty(202), &item).with("x-ms-copy-id", self.call.sim.guid()).with("x-ms-copy-status", "success");
        self.call.sim.items.put(&self.space, self.path, item, Bytes::Are(&bytes)).map_err(broken)?;
        Ok(answer)
    }

    fn set_properties(&self) -> Answered {
        let headers = blobs::headers_of(self.call.request);
        let size = self.call.request.header("x-ms-content-length").and_then(|text| text.parse::<u64>().ok());
        if let Some(size) = size {
            self.find(false)?;
            let bytes = self.call.sim.items.bytes_of(&self.space, self.path);
            std::fs::OpenOptions::new().write(true).open(bytes).and_then(|file| file.set_len(size)).map_err(broken)?;
        }
        self.change(|item| {
            item.size = size.unwrap_or(item.size);
            item.note_written(item.size, u64::MAX, true);
            item.headers.extend(headers);
        })
    }

    fn change(&self, change: impl FnOnce(&mut Item)) -> Answered {
        let (etag, now) = (super::etag(self.call.sim), self.call.sim.now());
        let changed = self.call.sim.items.change(&self.space, self.path, |item| {
            item.etag = etag;
            item.modified = now;
            change(item);
        });
        let gone = || AzureError::new("E-65", "ResourceNotFound", 404, "The specified resource does not exist.");
        let item = changed.map_err(broken)?.ok_or_else(gone)?;
        Ok(described(Answer::empty(200), &item))
    }

    fn delete(&self, is_folder: bool) -> Answered {
        self.find(is_folder)?;
        if is_folder && !self.call.sim.items.below(&self.space, &format!("{}/", self.path)).is_empty() {
            return Err(AzureError::new("E-65", "DirectoryNotEmpty", 409, "The specified directory is not empty."));
        }
        self.call.sim.items.delete(&self.space, self.path);
        Ok(Answer::empty(202))
    }

    fn list(&self) -> Answered {
        if !self.path.is_empty() {
            self.find(true)?;
        }
        let request = self.call.request;
        let folder = if self.path.is_empty() { String::new() } else { format!("{}/", self.path) };
        let prefix = request.query("prefix").unwrap_or_default();
        let included = request.query("include").unwrap_or_default().to_ascii_lowercase();
        let included: Vec<&str> = included.split(',').collect();
        let mut text = format!(
            "<EnumerationResults ServiceEndpoint=\"/{}\" ShareName=\"{}\" DirectoryPath=\"{}\"><Prefix>{}</Prefix><Entries>",
            self.call.account.name,
            self.share,
            escape(self.path),
            escape(prefix)
        );
        for (name, item) in self.call.sim.items.below(&self.space, &format!("{folder}{prefix}")) {
            let name = &name[folder.len()..];
            if name.contains('/') {
                continue;
            }
            let element = if item.is_folder { "Directory" } else { "File" };
            let size = if item.is_folder { String::new() } else { format!("<Content-Length>{}</Content-Length>", item.size) };
            let mut more = String::new();
            if included.contains(&"timestamps") {
                let _ = write!(more, "<Last-Modified>{}</Last-Modified>", http_date(item.modified));
            }
            if included.contains(&"etag") {
                let _ = write!(more, "<Etag>{}</Etag>", escape(&item.etag));
            }
            let _ = write!(text, "<{element}><Name>{}</Name><Properties>{size}{more}</Properties></{element}>", escape(name));
        }
        text.push_str("</Entries><NextMarker /></EnumerationResults>");
        Ok(Answer::xml(200, &text))
    }
}

/// The headers that describe a file or a folder.
fn described(mut answer: Answer, item: &Item) -> Answer {
    answer = answer
        .with("etag", &item.etag)
        .with("last-modified", http_date(item.modified))
        .with("x-ms-server-encrypted", "true")
        .with("x-ms-type", if item.is_folder { "Directory" } else { "File" })
        .with("x-ms-file-attributes", if item.is_folder { "Directory" } else { "Archive" })
        .with("x-ms-file-creation-time", iso(item.created))
        .with("x-ms-file-last-write-time", iso(item.modified))
        .with("x-ms-file-change-time", iso(item.modified))
        .with("x-ms-file-permission-key", "0")
        .with("x-ms-file-id", "0")
        .with("x-ms-file-parent-id", "0");
    for (name, value) in &item.headers {
        answer = answer.with(name, value);
    }
    for (name, value) in &item.metadata {
        answer = answer.with(&format!("x-ms-meta-{name}"), value);
    }
    answer
}
