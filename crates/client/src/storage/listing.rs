//! Pages of listings, read here and not by the library: that fails the whole page for one key that it cannot name, and so a stranger's
//! `a//b` would hide a bucket's every other object. Such a key is told of instead.
//!
//! S3 and Google answer in the same XML
//! ([ListObjectsV2](https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html)), Azure in its own
//! ([List Blobs](https://learn.microsoft.com/en-us/rest/api/storageservices/list-blobs)).

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;

use super::bucket::path;
use super::store::{Answer, Page};
use super::xml_parts::parse;
use super::{Depth, Entry, ObjectInfo};
use crate::http::http_date;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Objects {
    #[serde(default)]
    contents: Vec<Object>,
    #[serde(default)]
    common_prefixes: Vec<Prefix>,
    #[serde(default)]
    next_continuation_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Object {
    key: String,
    last_modified: String,
    #[serde(rename = "ETag", default)]
    e_tag: Option<String>,
    size: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Prefix {
    prefix: String,
}

/// The query for a page of S3's or Google's.
pub(super) fn objects_query(prefix: &str, depth: Depth, next: Option<String>) -> Vec<(String, String)> {
    let mut query = vec![("list-type".to_owned(), "2".to_owned()), ("prefix".to_owned(), prefix.to_owned())];
    query.extend((depth == Depth::Folder).then(|| ("delimiter".to_owned(), "/".to_owned())));
    query.extend(next.map(|next| ("continuation-token".to_owned(), next)));
    query
}

/// What a page of S3's or Google's says.
pub(super) fn objects_page(store: &'static str, body: &Bytes) -> Answer<Page> {
    let listed: Objects = parse(store, body)?;
    let objects = listed.contents.into_iter().map(|object| {
        let last_modified = object.last_modified.parse().unwrap_or_default();
        entry(object.key, object.size, last_modified, object.e_tag)
    });
    let folders = listed.common_prefixes.into_iter().map(|folder| folder_of(folder.prefix));
    Ok((objects.chain(folders).collect(), listed.next_continuation_token.filter(|token| !token.is_empty())))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    #[serde(default)]
    blobs: Blobs,
    #[serde(default)]
    next_marker: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Blobs {
    #[serde(rename = "Blob", default)]
    blobs: Vec<Blob>,
    #[serde(rename = "BlobPrefix", default)]
    prefixes: Vec<BlobPrefix>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Blob {
    name: Name,
    properties: Properties,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BlobPrefix {
    name: Name,
}

#[derive(Debug, Deserialize)]
struct Name {
    #[serde(rename = "$text", default)]
    text: String,
    /// What XML cannot hold is percent-encoded.
    #[serde(rename = "@Encoded", default)]
    encoded: bool,
}

#[derive(Debug, Deserialize)]
struct Properties {
    #[serde(rename = "Last-Modified", default)]
    last_modified: String,
    #[serde(rename = "Content-Length", default)]
    length: u64,
    #[serde(rename = "Etag", default)]
    e_tag: Option<String>,
    /// `directory` in an account with folders.
    #[serde(rename = "ResourceType", default)]
    kind: Option<String>,
}

impl Name {
    /// An encoded name holds characters that no key here may have: it is told as it came.
    fn key(self) -> Result<String, Entry> {
        if self.encoded { Err(Entry::Unusable(self.text)) } else { Ok(self.text) }
    }
}

/// The query for a page of Azure's.
pub(super) fn blobs_query(prefix: &str, depth: Depth, next: Option<String>) -> Vec<(&'static str, String)> {
    let mut query = vec![("restype", "container".to_owned()), ("comp", "list".to_owned())];
    query.extend((!prefix.is_empty()).then(|| ("prefix", prefix.to_owned())));
    query.extend((depth == Depth::Folder).then(|| ("delimiter", "/".to_owned())));
    query.extend(next.map(|next| ("marker", next)));
    query
}

/// What a page of Azure's says.
pub(super) fn blobs_page(store: &'static str, body: &Bytes) -> Answer<Page> {
    let listed: Container = parse(store, body)?;
    let files = listed.blobs.blobs.into_iter().filter(|blob| blob.properties.kind.as_deref() != Some("directory"));
    let files = files.map(|Blob { name, properties }| match name.key() {
        Ok(key) => {
            let last_modified = http_date(&properties.last_modified).unwrap_or_default();
            entry(key, properties.length, last_modified, properties.e_tag)
        }
        Err(unusable) => unusable,
    });
    let folders = listed.blobs.prefixes.into_iter().map(|folder| match folder.name.key() {
        Ok(key) => folder_of(key),
        Err(unusable) => unusable,
    });
    Ok((files.chain(folders).collect(), listed.next_marker.filter(|marker| !marker.is_empty())))
}

/// An object by its key. The marker of a folder is listed without its slash.
fn entry(key: String, size: u64, last_modified: Timestamp, e_tag: Option<String>) -> Entry {
    let bare = key.strip_suffix('/').unwrap_or(&key);
    if path(bare).is_err() {
        return Entry::Unusable(key);
    }
    let last_modified = Timestamp::from_second(last_modified.as_second()).unwrap_or_default();
    Entry::Object(ObjectInfo { key: bare.to_owned(), size, last_modified, e_tag })
}

fn folder_of(prefix: String) -> Entry {
    if path(prefix.strip_suffix('/').unwrap_or(&prefix)).is_ok() { Entry::Folder(prefix) } else { Entry::Unusable(prefix) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(page: &Page) -> Vec<String> {
        page.0
            .iter()
            .map(|entry| format!("{}{}", if matches!(entry, Entry::Unusable(_)) { "!" } else { "" }, entry.key()))
            .collect()
    }

    #[test]
    fn one_key_that_cannot_be_used_hides_no_other() {
        let object = |key: &str| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-11-25T10:00:00.123Z</LastModified><ETag>\"x\"</ETag><Size>7</Size></Contents>"
            )
        };
        let long = "k".repeat(1024);
        let all: String =
            ["a", "b//c", "/d", "e/../f", "g/", "h&#9;", "i &amp; æ", &long].iter().map(|key| object(key)).collect();
        let body = format!(
            "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>{all}\
             <CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>/</Prefix></CommonPrefixes></ListBucketResult>"
        );
        let page = objects_page("S3", &body.into()).unwrap();
        assert_eq!(keys(&page), ["a", "!b//c", "!/d", "!e/../f", "g", "!h\t", "i & æ", &long, "p/", "!/"]);
        assert_eq!(page.1.as_deref(), Some("t"));
        let Entry::Object(first) = &page.0[0] else { panic!("an object") };
        assert_eq!((first.size, first.last_modified.to_string().as_str()), (7, "2026-11-25T10:00:00Z"));
        assert_eq!(objects_page("S3", &"<ListBucketResult/>".into()).unwrap().1, None);
        assert!(objects_page("S3", &"no xml".into()).is_err());
    }

    #[test]
    fn azures_folders_are_no_blobs_and_its_encoded_names_are_told() {
        let blob = |name: &str, kind: &str| {
            format!(
                "<Blob><Name{name}</Name><Properties><Last-Modified>Wed, 25 Nov 2026 10:00:00 GMT</Last-Modified><Etag>0x8</Etag>\
                 <Content-Length>5</Content-Length><ResourceType>{kind}</ResourceType></Properties></Blob>"
            )
        };
        let all = [blob(">a/b", "file"), blob(">a", "directory"), blob(" Encoded=\"true\">c%01", "file"), blob(">d//e", "file")]
            .concat();
        let body = format!(
            "<EnumerationResults ContainerName=\"c\"><Blobs>{all}<BlobPrefix><Name>f/</Name></BlobPrefix></Blobs><NextMarker/></EnumerationResults>"
        );
        let page = blobs_page("Azure", &body.into()).unwrap();
        assert_eq!(keys(&page), ["a/b", "!c%01", "!d//e", "f/"]);
        assert_eq!(page.1, None);
    }
}
