//! Azure Files: a file share by its REST protocol, which the library does not speak. Only what is needed.
//!
//! Every request says that it is made "for backup": that is how a share takes a token instead of the account's key (E-65). A file is
//! written under another name and renamed, so it appears whole or not at all; what is not whole is not listed.

use std::ops::Range;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::stream::{StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use md5::{Digest as _, Md5};
use object_store::GetRange;
use object_store::path::Path;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::azure_blob::await_copy;
use super::azure_files_resume::{is_unfinished, unfinished_name};
use super::bucket::path;
use super::rest::{Ask, Rest, below, generic};
use super::store::{Answer, LeftOver, Opened, Page, Store};
use super::xml_parts::parse;
use super::{Depth, Entry, ObjectInfo};
use crate::http::http_date;

/// The most that Azure takes by one request ([Put Range](https://learn.microsoft.com/en-us/rest/api/storageservices/put-range)).
const LONGEST_RANGE: usize = 4 * 1024 * 1024;

/// One share.
pub(super) struct AzureFiles {
    pub(super) rest: Rest,
    /// The share's own address.
    pub(super) base: Url,
}

/// Folders that are still to be listed, and where in the one on top: the whole state of a walk.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Walk {
    folders: Vec<String>,
    marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listing {
    #[serde(default)]
    pub(super) entries: Entries,
    #[serde(default)]
    pub(super) next_marker: String,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Entries {
    #[serde(rename = "$value", default)]
    pub(super) all: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
pub(super) enum Listed {
    Directory {
        #[serde(rename = "Name")]
        name: String,
    },
    File {
        #[serde(rename = "Name")]
        name: String,
        #[serde(rename = "Properties")]
        properties: Properties,
    },
}

#[derive(Debug, Deserialize)]
pub(super) struct Properties {
    #[serde(rename = "Content-Length")]
    pub(super) length: u64,
    #[serde(rename = "Last-Modified", default)]
    pub(super) last_modified: String,
    #[serde(rename = "Etag", default)]
    e_tag: Option<String>,
}

impl AzureFiles {
    fn address(&self, key: &str) -> Url {
        below(&self.base, key.split('/').filter(|part| !part.is_empty()))
    }

    pub(super) fn with_query(&self, key: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.address(key);
        url.query_pairs_mut().extend_pairs(query);
        url
    }

    /// One page of one folder, whose name ends in a slash or is empty. A folder that is not there is empty.
    pub(super) async fn folder(&self, folder: &str, begins: &str, marker: Option<&str>) -> Answer<Listing> {
        let mut query = vec![("restype", "directory"), ("comp", "list"), ("include", "Timestamps,Etag")];
        query.extend((!begins.is_empty()).then_some(("prefix", begins)));
        query.extend(marker.map(|marker| ("marker", marker)));
        let ask = Ask::new(Method::GET, self.with_query(folder, &query)).header("x-ms-file-extended-info", "true")?;
        match self.rest.send(&ask).await {
            Ok(told) => parse(self.rest.name, &told.body),
            Err(object_store::Error::NotFound { source, .. }) if !source.to_string().contains("ShareNotFound") => {
                Ok(Listing { entries: Entries::default(), next_marker: String::new() })
            }
            Err(error) => Err(error),
        }
    }

    /// The name under which a file is written until it is whole.
    fn unfinished(&self, key: &Path) -> String {
        let mut mark = [0; 6];
        self.rest.ctx.randomness.fill(&mut mark);
        let (folder, name) = key.as_ref().rsplit_once('/').unwrap_or(("", key.as_ref()));
        let name = unfinished_name(name, mark);
        if folder.is_empty() { name } else { format!("{folder}/{name}") }
    }

    async fn create(&self, name: &str, size: u64, md5: Option<[u8; 16]>) -> Answer<()> {
        let mut ask = Ask::new(Method::PUT, self.address(name))
            .header("x-ms-type", "file")?
            .header("x-ms-content-length", &size.to_string())?;
        if let Some(md5) = md5 {
            ask = ask.header("x-ms-content-md5", &BASE64_STANDARD.encode(md5))?;
        }
        match self.rest.send(&ask).await {
            Err(object_store::Error::NotFound { source, .. }) if source.to_string().contains("ParentNotFound") => {
                self.make_folders(name).await?;
                self.rest.send(&ask).await.map(|_| ())
            }
            outcome => outcome.map(|_| ()),
        }
    }

    async fn make_folders(&self, name: &str) -> Answer<()> {
        for (at, _) in name.match_indices('/') {
            let ask = Ask::new(Method::PUT, self.with_query(&name[..at], &[("restype", "directory")]));
            match self.rest.send(&ask).await {
                Err(error) if !error.to_string().contains("ResourceAlreadyExists") => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    async fn write(&self, name: &str, at: u64, content: &Bytes) -> Answer<()> {
        let mut start = at;
        for piece in content.chunks(LONGEST_RANGE) {
            let end = start + piece.len() as u64;
            let ask = Ask::new(Method::PUT, self.with_query(name, &[("comp", "range")]))
                .header("x-ms-write", "update")?
                .header("x-ms-range", &format!("bytes={start}-{}", end - 1))?
                .header("content-md5", &BASE64_STANDARD.encode(Md5::digest(piece)))?
                .body(content.slice_ref(piece));
            self.rest.send(&ask).await?;
            start = end;
        }
        Ok(())
    }

    async fn put_in_place(&self, name: &str, key: &Path, md5: Option<[u8; 16]>) -> Answer<()> {
        if let Some(md5) = md5 {
            let ask = Ask::new(Method::PUT, self.with_query(name, &[("comp", "properties")]))
                .header("x-ms-content-md5", &BASE64_STANDARD.encode(md5))?;
            self.rest.send(&ask).await?;
        }
        let ask = Ask::new(Method::PUT, self.with_query(key.as_ref(), &[("comp", "rename")]))
            .header("x-ms-file-rename-source", self.address(name).as_str())?
            .header("x-ms-file-rename-replace-if-exists", "true")?;
        self.rest.send(&ask).await.map(|_| ())
    }

    fn info(&self, key: &Path, headers: &HeaderMap) -> Answer<ObjectInfo> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        // Of a range, the whole length stands behind the slash.
        let size = text("content-range").and_then(|range| range.rsplit('/').next()).or_else(|| text("content-length"));
        let missing = || generic(self.rest.name, std::io::Error::other("the answer says no length"));
        Ok(ObjectInfo {
            key: key.to_string(),
            size: size.and_then(|size| size.parse().ok()).ok_or_else(missing)?,
            last_modified: text("last-modified").and_then(http_date).unwrap_or_default(),
            e_tag: text("etag").map(str::to_owned),
        })
    }
}

#[async_trait]
impl Store for AzureFiles {
    async fn page(&self, prefix: &str, depth: Depth, next: Option<String>) -> Answer<Page> {
        let (top, begins) = prefix.rfind('/').map_or(("", prefix), |at| prefix.split_at(at + 1));
        let mut walk = match next {
            Some(text) => serde_json::from_str(&text).map_err(|error| generic(self.rest.name, error))?,
            None => Walk { folders: vec![top.to_owned()], marker: None },
        };
        let Some(folder) = walk.folders.pop() else { return Ok((Vec::new(), None)) };
        let begins = if folder == top { begins } else { "" };
        let page = self.folder(&folder, begins, walk.marker.as_deref()).await?;
        let (mut entries, mut deeper) = (Vec::new(), Vec::new());
        for entry in page.entries.all {
            match entry {
                Listed::File { name, .. } | Listed::Directory { name } if path(&name).is_err() => {
                    entries.push(Entry::Unusable(format!("{folder}{name}")));
                }
                Listed::File { name, .. } if is_unfinished(&name) => {}
                Listed::File { name, properties } => entries.push(Entry::Object(ObjectInfo {
                    key: format!("{folder}{name}"),
                    size: properties.length,
                    last_modified: http_date(&properties.last_modified).map_or(Timestamp::UNIX_EPOCH, |time| time),
                    e_tag: properties.e_tag,
                })),
                Listed::Directory { name } if depth == Depth::Folder => entries.push(Entry::Folder(format!("{folder}{name}/"))),
                Listed::Directory { name } => deeper.push(format!("{folder}{name}/")),
            }
        }
        walk.marker = None;
        // What lies below comes after the rest of this folder, first folder first.
        if page.next_marker.is_empty() {
            walk.folders.extend(deeper.into_iter().rev());
        } else {
            walk.marker = Some(page.next_marker);
            let here = walk.folders.len();
            walk.folders.splice(here..here, deeper.into_iter().rev());
            walk.folders.push(folder);
        }
        let next = if walk.folders.is_empty() { None } else { serde_json::to_string(&walk).ok() };
        Ok((entries, next))
    }

    async fn head(&self, key: &Path) -> Answer<(ObjectInfo, HeaderMap)> {
        let told = self.rest.send(&Ask::new(Method::HEAD, self.address(key.as_ref()))).await?;
        Ok((self.info(key, &told.headers)?, told.headers))
    }

    async fn get(&self, key: &Path, range: Option<GetRange>, e_tag: Option<String>) -> Answer<Opened> {
        let mut ask = Ask::new(Method::GET, self.address(key.as_ref()));
        match range {
            Some(GetRange::Bounded(range)) => {
                ask = ask.header("x-ms-range", &format!("bytes={}-{}", range.start, range.end.saturating_sub(1)))?;
            }
            Some(GetRange::Offset(start)) => ask = ask.header("x-ms-range", &format!("bytes={start}-"))?,
            Some(GetRange::Suffix(_)) | None => {}
        }
        let mut response = self.rest.open(&ask).await?;
        let headers = std::mem::take(response.headers_mut());
        let info = self.info(key, &headers)?;
        if e_tag.is_some() && e_tag != info.e_tag {
            // Files know no If-Match.
            let source = Box::new(std::io::Error::other("the file was changed meanwhile"));
            return Err(object_store::Error::Precondition { path: key.to_string(), source });
        }
        let name = self.rest.name;
        let bytes = response.bytes_stream().map_err(move |error| generic(name, error.without_url()));
        Ok(Opened { info, headers, bytes: bytes.boxed() })
    }

    async fn put(&self, key: &Path, content: Bytes) -> Answer<()> {
        let name = self.unfinished(key);
        self.create(&name, content.len() as u64, Some(Md5::digest(&content).into())).await?;
        let written = self.write(&name, 0, &content).await;
        let outcome = match written {
            Ok(()) => self.put_in_place(&name, key, None).await,
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            let _ = self.abort(key, &name).await;
        }
        outcome
    }

    async fn begin(&self, key: &Path, size: Option<u64>) -> Answer<String> {
        let unknown =
            || generic(self.rest.name, std::io::Error::other("a share must be told the length of a file before it comes"));
        let name = self.unfinished(key);
        self.create(&name, size.ok_or_else(unknown)?, None).await?;
        Ok(name)
    }

    async fn put_part(&self, _key: &Path, upload: &str, number: usize, at: Range<u64>, part: Bytes) -> Answer<String> {
        self.write(upload, at.start, &part).await?;
        Ok(number.to_string())
    }

    async fn complete(&self, key: &Path, upload: &str, _parts: Vec<String>, md5: Option<[u8; 16]>) -> Answer<()> {
        self.put_in_place(upload, key, md5).await
    }

    async fn abort(&self, _key: &Path, upload: &str) -> Answer<()> {
        self.rest.send(&Ask::new(Method::DELETE, self.address(upload))).await.map(|_| ())
    }

    async fn left_over(&self, key: &Path, size: Option<u64>) -> Answer<Option<LeftOver>> {
        match size {
            Some(size) => self.left(key, size).await,
            None => Ok(None),
        }
    }

    fn wants_md5(&self) -> bool {
        true
    }

    async fn copy(&self, from: &Path, to: &Path) -> Answer<()> {
        let name = self.unfinished(to);
        self.make_folders(&name).await?;
        let url = self.address(&name);
        let ask = Ask::new(Method::PUT, url.clone()).header("x-ms-copy-source", self.address(from.as_ref()).as_str())?;
        let told = self.rest.send(&ask).await?;
        await_copy(&self.rest, &url, told.headers).await?;
        self.put_in_place(&name, to, None).await
    }

    async fn delete(&self, key: &Path) -> Answer<()> {
        self.rest.send(&Ask::new(Method::DELETE, self.address(key.as_ref()))).await.map(|_| ())
    }
}
