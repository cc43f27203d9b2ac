//! Requests and answers of all five services, between hyper and what decides.

use std::path::PathBuf;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::body::Received;

/// A request, its body received.
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The path as it came, with its first slash.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Received,
}

impl Request {
    /// A parameter of the query.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// A header that is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The path's parts, decoded, without empty ones at either end.
    pub(crate) fn segments(&self) -> Vec<String> {
        let trimmed = self.path.trim_start_matches('/');
        let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
        if trimmed.is_empty() { Vec::new() } else { trimmed.split('/').map(decoded).collect() }
    }

    /// The bearer token, without its word.
    pub(crate) fn bearer(&self) -> Option<&str> {
        let value = self.header("authorization")?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    }

    /// Headers `x-ms-meta-NAME`.
    pub(crate) fn metadata(&self) -> std::collections::BTreeMap<String, String> {
        let one = |(name, value): (&HeaderName, &HeaderValue)| {
            let name = name.as_str().strip_prefix("x-ms-meta-")?;
            Some((name.to_owned(), value.to_str().ok()?.to_owned()))
        };
        self.headers.iter().filter_map(one).collect()
    }
}

/// Percent-decoded, leniently.
pub(crate) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// What an answer consists of.
pub(crate) enum Content {
    Bytes(Bytes),
    /// A part of a file.
    File {
        path: PathBuf,
        start: u64,
        length: u64,
    },
    /// None, though there is a length: the answer to HEAD.
    Head(u64),
}

/// An answer before it becomes hyper's.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) content: Content,
}

impl Answer {
    /// Nothing but a status.
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), content: Content::Bytes(Bytes::new()) }
    }

    /// JSON.
    pub(crate) fn json(status: u16, value: &Value) -> Self {
        let answer = Self { content: Content::Bytes(value.to_string().into()), ..Self::empty(status) };
        answer.with("content-type", "application/json; charset=utf-8")
    }

    /// XML.
    pub(crate) fn xml(status: u16, text: &str) -> Self {
        let text = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>{text}");
        Self { content: Content::Bytes(text.into()), ..Self::empty(status) }.with("content-type", "application/xml")
    }

    /// With a header.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With a header, if there is a value.
    pub(crate) fn with_some(self, name: &str, value: Option<&String>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// As hyper sends it.
    pub(crate) fn into_response(self) -> Response<BoxBody<Bytes, std::io::Error>> {
        let full = |bytes: Bytes| Full::new(bytes).map_err(|never| match never {}).boxed();
        let (length, body) = match self.content {
            Content::Bytes(bytes) => (bytes.len() as u64, full(bytes)),
            Content::Head(length) => (length, full(Bytes::new())),
            Content::File { path, start, length } => (length, file_body(path, start, length)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            // Values come from what callers stored; one that no header can hold is left out.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.append(name, value);
            }
        }
        if self.status != 304 && self.status != 204 {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        if length > 0 && !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        }
        response
    }
}

/// Reads a part of a file as it is sent. A file that was replaced meanwhile is read on as it was.
fn file_body(path: PathBuf, start: u64, length: u64) -> BoxBody<Bytes, std::io::Error> {
    enum Reading {
        Not(PathBuf),
        At(tokio::fs::File),
    }
    let chunks = stream::try_unfold((Reading::Not(path), length), move |(reading, left)| async move {
        if left == 0 {
            return Ok::<_, std::io::Error>(None);
        }
        let mut file = match reading {
            Reading::At(file) => file,
            Reading::Not(path) => {
                let mut file = tokio::fs::File::open(path).await?;
                file.seek(std::io::SeekFrom::Start(start)).await?;
                file
            }
        };
        let mut chunk = vec![0; usize::try_from(left.min(256 * 1024)).unwrap_or(256 * 1024)];
        file.read_exact(&mut chunk).await?;
        let left = left - chunk.len() as u64;
        Ok(Some((Frame::data(Bytes::from(chunk)), (Reading::At(file), left))))
    });
    StreamBody::new(chunks).boxed()
}

/// A time as HTTP writes it.
pub(crate) fn http_date(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or_default().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A time as Azure's XML and JSON write it.
pub(crate) fn iso(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.0000000Z").to_string()
}
