//! A small S3 in memory: one bucket, pages of two entries, and faults on demand. To a bearer of a token it is Google's storage.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};

use crate::serve;

pub(crate) const BUCKET: &str = "skyporten-test-bucket";
const PAGE: usize = 2;

#[derive(Default)]
pub(crate) struct Inside {
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    /// Parts of uploads that are under way.
    pub(crate) uploads: BTreeMap<String, (String, BTreeMap<u32, Vec<u8>>)>,
    /// Whatever is asked next is answered so: status, code, message.
    pub(crate) refuse: VecDeque<(u16, &'static str, &'static str)>,
    /// Method, path and query of every request.
    pub(crate) requests: Vec<String>,
    /// Says another `ETag` than the content has.
    pub(crate) lie: bool,
    /// Says that KMS encrypts.
    pub(crate) kms: bool,
    /// Every part but the first fails.
    pub(crate) break_parts: bool,
    /// Bodies that came with a CRC32C, which was theirs.
    pub(crate) sums_checked: usize,
    tickets: u32,
}

#[derive(Clone)]
pub(crate) struct TestS3 {
    pub(crate) url: String,
    pub(crate) inside: Arc<Mutex<Inside>>,
}

type Shared = Arc<Mutex<Inside>>;

impl TestS3 {
    pub(crate) async fn start(objects: &[(&str, &[u8])]) -> Self {
        let objects = objects.iter().map(|(key, content)| ((*key).to_owned(), content.to_vec())).collect();
        let inside = Arc::new(Mutex::new(Inside { objects, ..Inside::default() }));
        let app = Router::new()
            .route("/{bucket}", any(bucket))
            .route("/{bucket}/", any(bucket))
            .route("/{bucket}/{*key}", any(object))
            .layer(DefaultBodyLimit::disable())
            .with_state(inside.clone());
        Self { url: format!("http://{}", serve(app).await), inside }
    }

    pub(crate) fn refuse(&self, status: u16, code: &'static str, message: &'static str) {
        self.inside.lock().unwrap().refuse.push_back((status, code, message));
    }

    pub(crate) fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.inside.lock().unwrap().objects.get(key).cloned()
    }

    /// How many requests began with `text`.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.inside.lock().unwrap().requests.iter().filter(|request| request.starts_with(text)).count()
    }
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>7A62C49F</RequestId></Error>"
    );
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

/// Notes the request; answers it when it is to be refused, or carries no credentials.
fn gate(
    inside: &mut Inside,
    method: &Method,
    what: &str,
    headers: &HeaderMap,
    query: &HashMap<String, String>,
) -> Option<Response> {
    inside.requests.push(format!("{method} {what}"));
    if let Some((status, code, message)) = inside.refuse.pop_front() {
        return Some(error(status, code, message));
    }
    let signed = headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"AWS4-HMAC-SHA256"));
    let session = headers.contains_key("x-amz-security-token");
    // An address may carry its signature itself.
    let signed = signed || query.contains_key("X-Amz-Signature");
    let session = session || query.contains_key("X-Amz-Security-Token");
    let google = headers.get(header::AUTHORIZATION).is_some_and(|value| value == "Bearer sky");
    (!google && (!signed || !session)).then(|| error(403, "AccessDenied", "Access Denied"))
}

async fn bucket(
    State(inside): State<Shared>,
    Path(bucket): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let mut inside = inside.lock().unwrap();
    if let Some(refused) = gate(&mut inside, &method, &bucket, &headers, &query) {
        return refused;
    }
    if query.contains_key("uploads") {
        let mut xml = String::from("<ListMultipartUploadsResult>");
        for (upload, (key, _)) in &inside.uploads {
            write!(
                xml,
                "<Upload><Key>{key}</Key><UploadId>{upload}</UploadId><Initiated>2026-01-01T00:00:00Z</Initiated></Upload>"
            )
            .unwrap();
        }
        return (xml + "</ListMultipartUploadsResult>").into_response();
    }
    if bucket != BUCKET {
        return error(404, "NoSuchBucket", "The specified bucket does not exist");
    }
    let text = |name: &str| query.get(name).cloned().unwrap_or_default();
    let (prefix, delimiter, after) = (text("prefix"), query.get("delimiter"), text("continuation-token"));
    let mut names = BTreeSet::new();
    for key in inside.objects.keys().filter(|key| key.starts_with(&prefix)) {
        let folder = delimiter.and_then(|_| key[prefix.len()..].find('/')).map(|at| key[..=prefix.len() + at].to_owned());
        names.insert(folder.unwrap_or_else(|| key.clone()));
    }
    let names: Vec<&String> = names.iter().filter(|name| **name > after).collect();
    let mut xml = String::from("<ListBucketResult>");
    for name in names.iter().take(PAGE) {
        match inside.objects.get(*name) {
            Some(content) => write!(
                xml,
                "<Contents><Key>{name}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
                etag(content),
                content.len()
            ),
            None => write!(xml, "<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"),
        }
        .unwrap();
    }
    if names.len() > PAGE {
        write!(xml, "<NextContinuationToken>{}</NextContinuationToken>", names[PAGE - 1]).unwrap();
    }
    xml.push_str("</ListBucketResult>");
    xml.into_response()
}

fn etag(content: &[u8]) -> String {
    let mut tag = String::from("\"");
    for byte in Md5::digest(content) {
        write!(tag, "{byte:02x}").unwrap();
    }
    tag + "\""
}

async fn object(
    State(inside): State<Shared>,
    Path((bucket, key)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if key.is_empty() {
        return self::bucket(State(inside), Path(bucket), Query(query), method, headers).await;
    }
    let mut inside = inside.lock().unwrap();
    if let Some(refused) = gate(&mut inside, &method, &format!("{key}?{query:?}"), &headers, &query) {
        return refused;
    }
    if let Some(sum) = headers.get("x-goog-hash") {
        let found = BASE64_STANDARD.encode(crc_fast::crc32_iscsi(&body).to_be_bytes());
        assert_eq!(sum.to_str().unwrap(), format!("crc32c={found}"));
        inside.sums_checked += 1;
    }
    let source = headers.get("x-amz-copy-source").or_else(|| headers.get("x-goog-copy-source"));
    let source = source.map(|source| {
        let encoded = source.to_str().unwrap().trim_start_matches('/').replace('+', "%2B");
        url::form_urlencoded::parse(format!("p={encoded}").as_bytes()).next().unwrap().1.into_owned()
    });
    match (method.as_str(), query.get("uploadId")) {
        ("PUT", None) if source.is_some() => {
            let from = source.unwrap_or_default();
            let Some(content) = inside.objects.get(from.trim_start_matches(&format!("{BUCKET}/"))).cloned() else {
                return error(404, "NoSuchKey", "The specified key does not exist.");
            };
            inside.objects.insert(key, content);
            "<CopyObjectResult><ETag>\"x\"</ETag></CopyObjectResult>".into_response()
        }
        ("GET", Some(upload)) => {
            let mut xml = String::from("<ListPartsResult><IsTruncated>false</IsTruncated>");
            for (number, content) in &inside.uploads[upload].1 {
                let (tag, size) = (etag(content), content.len());
                write!(xml, "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag><Size>{size}</Size></Part>").unwrap();
            }
            (xml + "</ListPartsResult>").into_response()
        }
        ("GET" | "HEAD", _) => read(&inside, &key, &headers),
        ("PUT", None) => {
            let tag = etag(&body);
            inside.objects.insert(key, body.to_vec());
            [(header::ETAG, tag)].into_response()
        }
        ("PUT", Some(upload)) => {
            let number: u32 = query["partNumber"].parse().unwrap();
            if inside.break_parts && number > 1 {
                return error(400, "EntityTooSmall", "no");
            }
            let tag = etag(&body);
            // A part may still be on its way when another has failed and the upload is given up.
            let Some((_, parts)) = inside.uploads.get_mut(upload) else {
                return error(404, "NoSuchUpload", "The specified upload does not exist.");
            };
            parts.insert(number, body.to_vec());
            [(header::ETAG, tag)].into_response()
        }
        ("POST", None) => {
            inside.tickets += 1;
            let upload = format!("upload-{}", inside.tickets);
            inside.uploads.insert(upload.clone(), (key, BTreeMap::new()));
            format!("<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>")
                .into_response()
        }
        ("POST", Some(upload)) => {
            let content: Vec<u8> = inside.uploads.remove(upload).unwrap().1.into_values().flatten().collect();
            inside.objects.insert(key, content);
            "<CompleteMultipartUploadResult><ETag>\"0123-2\"</ETag></CompleteMultipartUploadResult>".into_response()
        }
        ("DELETE", Some(upload)) => {
            inside.uploads.remove(upload);
            StatusCode::NO_CONTENT.into_response()
        }
        ("DELETE", None) => {
            inside.objects.remove(&key);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

fn read(inside: &Inside, key: &str, headers: &HeaderMap) -> Response {
    let Some(content) = inside.objects.get(key) else { return error(404, "NoSuchKey", "The specified key does not exist.") };
    let tag = if inside.lie { etag(b"something else") } else { etag(content) };
    if headers.get(header::IF_MATCH).is_some_and(|wanted| wanted != tag.as_str()) {
        return error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold");
    }
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-'));
    let range = range.map(|(from, to): (&str, &str)| {
        let from: usize = from.parse().unwrap();
        from..to.parse().map_or(content.len(), |to: usize| to + 1)
    });
    let length = range.as_ref().map_or(content.len(), ExactSizeIterator::len);
    let mut response = match range {
        Some(range) => {
            let told = format!("bytes {}-{}/{}", range.start, range.end - 1, content.len());
            (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, told)], content[range].to_vec()).into_response()
        }
        None => Body::from(content.clone()).into_response(),
    };
    let set = response.headers_mut();
    set.insert(header::ETAG, tag.parse().unwrap());
    set.insert(header::CONTENT_LENGTH, length.into());
    set.insert(header::LAST_MODIFIED, "Thu, 01 Jan 2026 00:00:00 GMT".parse().unwrap());
    if headers.get(header::AUTHORIZATION).is_some_and(|value| value == "Bearer sky") {
        let of: &[u8] = if inside.lie { b"something else" } else { content };
        let sum = BASE64_STANDARD.encode(crc_fast::crc32_iscsi(of).to_be_bytes());
        set.append("x-goog-hash", format!("crc32c={sum}").parse().unwrap());
    }
    if inside.kms {
        set.insert("x-amz-server-side-encryption", "aws:kms".parse().unwrap());
    }
    response
}
