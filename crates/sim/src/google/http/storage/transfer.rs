//! Bytes in and out: streamed, with MD5 and CRC32C on the way.

use std::collections::BTreeMap;
use std::io::SeekFrom;
use std::path::Path;

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32c, Md5};
use skybru_federation::google::ApiError;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, BufWriter};
use tokio_util::io::ReaderStream;

use super::{Conditions, store_error};
use crate::google::Sim;
use crate::hex::hex;
use crate::objects::{Attributes, Draft, NewObject, Object, StoreError};

/// How much is read at once.
const CHUNK: usize = 256 * 1024;

/// What was received.
pub(super) struct Received {
    size: u64,
    md5: Vec<u8>,
    /// Base64 of four bytes, the first one first.
    crc32c: String,
}

/// What the sender says that it sends, both in base64.
#[derive(Debug, Clone, Default)]
pub(super) struct Promise {
    pub(super) md5: Option<String>,
    pub(super) crc32c: Option<String>,
}

impl Promise {
    /// `x-goog-hash: crc32c=…,md5=…`, or the older `Content-MD5`.
    pub(super) fn of_headers(hash: &[&str], content_md5: Option<&str>) -> Self {
        let part = |name: &str| {
            let parts = hash.iter().flat_map(|value| value.split(','));
            parts
                .filter_map(|part| part.trim().split_once('='))
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.to_owned())
        };
        Self { md5: part("md5").or_else(|| content_md5.map(str::to_owned)), crc32c: part("crc32c") }
    }
}

impl Received {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The MD5 in hexadecimal.
    pub(super) fn md5(&self) -> String {
        hex(&self.md5)
    }

    /// Compares what was promised with what came.
    pub(super) fn check(&self, promise: &Promise) -> Result<(), ApiError> {
        let differs = |name: &str, promised: &str, found: &str| {
            let message = format!("Provided {name} hash \"{promised}\" doesn't match calculated {name} hash \"{found}\".");
            Err(ApiError::invalid("G-72", message))
        };
        let md5 = STANDARD.encode(&self.md5);
        match promise {
            Promise { md5: Some(promised), .. } if *promised != md5 => differs("MD5", promised, &md5),
            Promise { crc32c: Some(promised), .. } if *promised != self.crc32c => differs("CRC32C", promised, &self.crc32c),
            _ => Ok(()),
        }
    }
}

/// Receives a stream into the draft.
pub(super) async fn receive<E: std::fmt::Display>(
    draft: &Draft,
    stream: impl Stream<Item = Result<Bytes, E>>,
) -> Result<Received, ApiError> {
    let files = |error: std::io::Error| store_error(&StoreError::Files(error), "", "");
    let mut file = BufWriter::with_capacity(CHUNK, File::create(&draft.path).await.map_err(files)?);
    let (mut md5, mut hasher, mut size) =
        (Md5::new(), ChecksumHasher { crc32c: Some(Crc32c::default()), ..Default::default() }, 0);
    let mut stream = std::pin::pin!(stream);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| ApiError::invalid("S-21", format!("The upload broke off: {error}")))?;
        md5.update(&chunk);
        hasher.update(&chunk);
        size += chunk.len() as u64;
        file.write_all(&chunk).await.map_err(files)?;
    }
    file.flush().await.map_err(files)?;
    let crc32c = hasher.finalize().checksum_crc32c.unwrap_or_default();
    Ok(Received { size, md5: md5.finalize().to_vec(), crc32c })
}

/// Makes what was received the object of its name.
pub(super) fn commit(
    sim: &Sim,
    bucket: &str,
    object: &str,
    draft: &Draft,
    received: &Received,
    (attributes, conditions): (Attributes, &Conditions),
) -> Result<Object, ApiError> {
    let new = NewObject {
        key: object.to_owned(),
        size: received.size,
        etag: received.md5(),
        modified: sim.now(),
        attributes,
        checksums: BTreeMap::from([("crc32c".to_owned(), received.crc32c.clone())]),
    };
    let committed = sim.objects.commit(bucket, draft, new, |known| conditions.hold(known));
    committed.map_err(|error| store_error(&error, bucket, object))
}

/// A file as a stream, for copies.
pub(super) async fn file_stream(path: &Path) -> Result<ReaderStream<File>, ApiError> {
    let file = File::open(path).await.map_err(|error| store_error(&StoreError::Files(error), "", ""))?;
    Ok(ReaderStream::with_capacity(file, CHUNK))
}

/// MD5 in base64, as Cloud Storage shows it; an object composed of others has none.
pub(super) fn md5_base64(object: &Object) -> Option<String> {
    let bytes: Option<Vec<u8>> =
        (0..object.etag.len()).step_by(2).map(|at| u8::from_str_radix(object.etag.get(at..at + 2)?, 16).ok()).collect();
    bytes.filter(|bytes| bytes.len() == 16).map(|bytes| STANDARD.encode(bytes))
}

/// A part of an object that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u64,
    pub(super) length: u64,
}

/// `bytes=A-B`, `bytes=A-`, `bytes=-N`. What is of no such form is ignored, as RFC 9110 has it; what lies outside is an error.
pub(super) fn range(header: Option<&str>, size: u64) -> Result<Option<Range>, ApiError> {
    let Some((first, last)) = header.and_then(|text| text.strip_prefix("bytes=")).and_then(|text| text.split_once('-')) else {
        return Ok(None);
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (start, end) = match (number(first), number(last)) {
        (Some(start), Some(end)) if start <= end => (start, end.saturating_add(1).min(size)),
        (Some(start), None) if last.trim().is_empty() => (start, size),
        (None, Some(count)) if first.trim().is_empty() && count > 0 => (size.saturating_sub(count), size),
        _ => return Ok(None),
    };
    if start >= size {
        return Err(ApiError::new("S-21", 416, "OUT_OF_RANGE", "Requested range not satisfiable"));
    }
    Ok(Some(Range { start, length: end - start }))
}

/// An object's bytes, or a part of them, with the headers that all of its APIs give.
pub(super) async fn send(
    (object, path): (&Object, &Path),
    range: Option<Range>,
    with_body: bool,
) -> Result<Response<Body>, ApiError> {
    let files = |error: std::io::Error| store_error(&StoreError::Files(error), "", "");
    let Range { start, length } = range.unwrap_or(Range { start: 0, length: object.size });
    let body = if with_body {
        let mut file = File::open(path).await.map_err(files)?;
        if start > 0 {
            file.seek(SeekFrom::Start(start)).await.map_err(files)?;
        }
        Body::from_stream(ReaderStream::with_capacity(file.take(length), CHUNK))
    } else {
        Body::empty()
    };
    let mut response = Response::new(body);
    *response.status_mut() = super::super::status(if range.is_some() { 206 } else { 200 });
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().append(name, value);
        }
    };
    set("content-length", &length.to_string());
    set("content-type", object.attributes.content_type.as_deref().unwrap_or("application/octet-stream"));
    set("etag", &format!("\"{}\"", object.etag));
    set("last-modified", &http_date(object.modified));
    set("accept-ranges", "bytes");
    set("x-goog-generation", &object.version().to_string());
    set("x-goog-metageneration", &(1 + object.changes).to_string());
    set("x-goog-stored-content-length", &object.size.to_string());
    set("x-goog-stored-content-encoding", object.attributes.content_encoding.as_deref().unwrap_or("identity"));
    set("x-goog-storage-class", "STANDARD");
    if let Some(crc32c) = object.checksums.get("crc32c") {
        set("x-goog-hash", &format!("crc32c={crc32c}"));
    }
    if let Some(md5) = md5_base64(object) {
        set("x-goog-hash", &format!("md5={md5}"));
    }
    for (name, value) in [
        ("content-encoding", &object.attributes.content_encoding),
        ("content-disposition", &object.attributes.content_disposition),
        ("content-language", &object.attributes.content_language),
        ("cache-control", &object.attributes.cache_control),
    ] {
        if let Some(value) = value {
            set(name, value);
        }
    }
    for (name, value) in &object.attributes.metadata {
        if let (Ok(name), Ok(value)) = (header::HeaderName::try_from(format!("x-goog-meta-{name}")), HeaderValue::from_str(value))
        {
            response.headers_mut().insert(name, value);
        }
    }
    if range.is_some() {
        let text = format!("bytes {start}-{}/{}", start + length - 1, object.size);
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().insert(header::CONTENT_RANGE, value);
        }
    }
    Ok(response)
}

/// RFC 9110's form of a date.
pub(super) fn http_date(unix_seconds: i64) -> String {
    jiff::Timestamp::from_second(unix_seconds).unwrap_or_default().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_has_it() {
        let read = |text| range(Some(text), 10).map(|range| range.map(|range| (range.start, range.length)));
        assert_eq!(read("bytes=0-3"), Ok(Some((0, 4))));
        assert_eq!(read("bytes=4-"), Ok(Some((4, 6))));
        assert_eq!(read("bytes=-3"), Ok(Some((7, 3))));
        assert_eq!(read("bytes=8-99"), Ok(Some((8, 2))));
        assert_eq!(read("bytes=3-1"), Ok(None));
        assert_eq!(read("lines=1-2"), Ok(None));
        assert_eq!(read("bytes=10-").unwrap_err().code, 416);
        assert_eq!(range(None, 10), Ok(None));
    }

    #[test]
    fn promises_are_read_from_either_header() {
        let promise = Promise::of_headers(&["crc32c=AAAAAA==,md5=1B2M2Y8AsgTpgAmY7PhCfg=="], None);
        assert_eq!((promise.crc32c.as_deref(), promise.md5.as_deref()), (Some("AAAAAA=="), Some("1B2M2Y8AsgTpgAmY7PhCfg==")));
        assert_eq!(Promise::of_headers(&[], Some("x")).md5.as_deref(), Some("x"));
    }
}
