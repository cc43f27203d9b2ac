//! A small Azure in memory: one container and one share, which check token, version, intent and every MD5 that comes along.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};

use crate::serve;

#[derive(Default)]
pub(crate) struct Inside {
    pub(crate) blobs: BTreeMap<String, Kept>,
    pub(crate) blocks: BTreeMap<String, Vec<u8>>,
    pub(crate) files: BTreeMap<String, Kept>,
    pub(crate) folders: BTreeSet<String>,
    pub(crate) requests: Vec<String>,
    /// So many more blocks or ranges are taken, then none.
    pub(crate) blocks_left: Option<usize>,
    /// Tells an MD5 of something else.
    pub(crate) lie: bool,
}

#[derive(Default, Clone)]
pub(crate) struct Kept {
    pub(crate) content: Vec<u8>,
    pub(crate) md5: Option<String>,
    /// Of a file: the ranges that were written, first and last byte.
    pub(crate) written: Vec<(usize, usize)>,
}

type Shared = Arc<Mutex<Inside>>;

#[derive(Clone)]
pub(crate) struct TestAzure {
    pub(crate) url: String,
    pub(crate) inside: Shared,
}

impl TestAzure {
    pub(crate) async fn start() -> Self {
        let inside = Shared::default();
        let app = Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(inside.clone());
        Self { url: format!("http://{}", serve(app).await), inside }
    }

    pub(crate) fn count(&self, text: &str) -> usize {
        self.inside.lock().unwrap().requests.iter().filter(|request| request.contains(text)).count()
    }
}

pub(crate) fn md5_base64(content: &[u8]) -> String {
    BASE64_STANDARD.encode(Md5::digest(content))
}

fn refusal(status: u16, code: &str) -> Response {
    let body =
        format!("\u{feff}<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{code} it is.\nRequestId:1</Message></Error>");
    (StatusCode::from_u16(status).unwrap(), [("x-ms-error-code", code.to_owned())], body).into_response()
}

async fn answer(
    State(inside): State<Shared>,
    method: Method,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inside = inside.lock().unwrap();
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    inside.requests.push(format!("{method} {uri}"));
    if text("authorization") != "Bearer sky" {
        return refusal(401, "InvalidAuthenticationInfo");
    }
    if text("x-ms-version").as_str() < "2022-11-02" {
        return refusal(400, "InvalidHeaderValue");
    }
    if method == Method::PUT && !body.is_empty() && query.get("comp").is_none_or(|comp| comp != "blocklist") {
        // Whoever sends content says what it is.
        if text("content-md5") != md5_base64(&body) {
            return refusal(400, "Md5Mismatch");
        }
    }
    let path = urlencoding(uri.path());
    match path.strip_prefix("/files").map(|rest| rest.trim_start_matches('/').to_owned()) {
        Some(name) => blob(&mut inside, &method, &name, &query, &text, &body),
        None if text("x-ms-file-request-intent") != "backup" => refusal(403, "AuthorizationFailure"),
        None => {
            let name = path.strip_prefix("/share").unwrap_or_default().trim_start_matches('/').to_owned();
            file(&mut inside, &method, &name, &query, &text, &body)
        }
    }
}

fn urlencoding(path: &str) -> String {
    let plus = path.replace('+', "%2B");
    url::form_urlencoded::parse(format!("p={plus}").as_bytes()).next().unwrap().1.into_owned()
}

fn read(kept: &Kept, range: &str, lie: bool, beside: &'static str) -> Response {
    let size = kept.content.len();
    let range = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')).map(|(from, to)| {
        let from: usize = from.parse().unwrap();
        from..to.parse().map_or(size, |to: usize| size.min(to + 1))
    });
    let mut response = match &range {
        Some(range) => (StatusCode::PARTIAL_CONTENT, kept.content[range.clone()].to_vec()).into_response(),
        None => Body::from(kept.content.clone()).into_response(),
    };
    let set = response.headers_mut();
    let length = range.as_ref().map_or(size, ExactSizeIterator::len);
    if let Some(range) = range {
        set.insert(header::CONTENT_RANGE, format!("bytes {}-{}/{size}", range.start, range.end - 1).parse().unwrap());
    }
    set.insert(header::CONTENT_LENGTH, length.into());
    set.insert(header::ETAG, format!("\"0x{}\"", md5_base64(&kept.content)).parse().unwrap());
    set.insert(header::LAST_MODIFIED, "Thu, 01 Jan 2026 00:00:00 GMT".parse().unwrap());
    let md5 = if lie { Some(md5_base64(b"something else")) } else { kept.md5.clone() };
    if let Some(md5) = md5 {
        set.insert(if length == size { "content-md5" } else { beside }, md5.parse().unwrap());
    }
    response
}

fn blob(
    inside: &mut Inside,
    method: &Method,
    name: &str,
    query: &HashMap<String, String>,
    text: &dyn Fn(&str) -> String,
    body: &Bytes,
) -> Response {
    let comp = query.get("comp").map(String::as_str).unwrap_or_default();
    match (method.as_str(), comp) {
        ("GET", "list") => listing(inside, query),
        ("GET", "blocklist") => {
            let mut xml = String::from("<BlockList><CommittedBlocks/><UncommittedBlocks>");
            for (name, content) in &inside.blocks {
                write!(xml, "<Block><Name>{name}</Name><Size>{}</Size></Block>", content.len()).unwrap();
            }
            (xml + "</UncommittedBlocks></BlockList>").into_response()
        }
        ("PUT", "block") => {
            if inside.blocks_left == Some(0) {
                return refusal(400, "InvalidBlockId");
            }
            inside.blocks_left = inside.blocks_left.map(|left| left - 1);
            inside.blocks.insert(query["blockid"].clone(), body.to_vec());
            StatusCode::CREATED.into_response()
        }
        ("PUT", "blocklist") => {
            let list = String::from_utf8(body.to_vec()).unwrap();
            let mut content = Vec::new();
            for name in list.split("<Latest>").skip(1) {
                let Some(block) = inside.blocks.get(name.split('<').next().unwrap()) else {
                    return refusal(400, "InvalidBlockList");
                };
                content.extend_from_slice(block);
            }
            inside.blocks.clear();
            let md5 = Some(text("x-ms-blob-content-md5")).filter(|md5| !md5.is_empty());
            inside.blobs.insert(name.to_owned(), Kept { content, md5, ..Kept::default() });
            StatusCode::CREATED.into_response()
        }
        ("PUT", _) if !text("x-ms-copy-source").is_empty() => {
            let source = text("x-ms-copy-source");
            let from = urlencoding(source.split("/files/").nth(1).unwrap());
            let kept = inside.blobs[&from].clone();
            inside.blobs.insert(name.to_owned(), kept);
            (StatusCode::ACCEPTED, [("x-ms-copy-status", "success")]).into_response()
        }
        ("PUT", _) if text("x-ms-blob-type") == "BlockBlob" => {
            let kept = Kept { content: body.to_vec(), md5: Some(md5_base64(body)), ..Kept::default() };
            inside.blobs.insert(name.to_owned(), kept);
            (StatusCode::CREATED, [(header::ETAG, "\"0x1\"")]).into_response()
        }
        ("GET" | "HEAD", "") => match inside.blobs.get(name) {
            Some(kept) => {
                let range = text("range");
                let range = if range.is_empty() { text("x-ms-range") } else { range };
                read(kept, &range, inside.lie, "x-ms-blob-content-md5")
            }
            None => refusal(404, "BlobNotFound"),
        },
        ("DELETE", "") => match inside.blobs.remove(name) {
            Some(_) => StatusCode::ACCEPTED.into_response(),
            None => refusal(404, "BlobNotFound"),
        },
        _ => refusal(405, "UnsupportedHttpVerb"),
    }
}

/// In the order of a hierarchical namespace: what lies in a folder comes before what has a longer name.
fn listing(inside: &Inside, query: &HashMap<String, String>) -> Response {
    let prefix = query.get("prefix").cloned().unwrap_or_default();
    let mut names: Vec<&String> = inside.blobs.keys().filter(|name| name.starts_with(&prefix)).collect();
    names.sort_by_key(|name| name.replace('/', "\0"));
    let after = query.get("marker").map_or(0, |marker| marker.parse().unwrap());
    let mut xml = String::from("<?xml version=\"1.0\"?><EnumerationResults><Blobs>");
    for name in names.iter().skip(after).take(2) {
        write!(
            xml,
            "<Blob><Name>{name}</Name><Properties><Last-Modified>Thu, 01 Jan 2026 00:00:00 GMT</Last-Modified><Content-Length>{}\
             </Content-Length><Content-Type>x/y</Content-Type><Etag>0x1</Etag></Properties></Blob>",
            inside.blobs[*name].content.len()
        )
        .unwrap();
    }
    let next = if after + 2 < names.len() { (after + 2).to_string() } else { String::new() };
    (xml + &format!("</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>")).into_response()
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn file(
    inside: &mut Inside,
    method: &Method,
    name: &str,
    query: &HashMap<String, String>,
    text: &dyn Fn(&str) -> String,
    body: &Bytes,
) -> Response {
    let comp = query.get("comp").map(String::as_str).unwrap_or_default();
    let has_folder = |inside: &Inside, folder: &str| folder.is_empty() || inside.folders.contains(folder);
    match (method.as_str(), comp) {
        ("GET", "list") => {
            let folder = name.trim_end_matches('/');
            if !has_folder(inside, folder) {
                return refusal(404, "ResourceNotFound");
            }
            let begins = query.get("prefix").cloned().unwrap_or_default();
            let mut xml = String::from("<?xml version=\"1.0\"?><EnumerationResults><Entries>");
            for name in inside.folders.iter().filter(|name| parent(name) == folder) {
                let own = name.rsplit('/').next().unwrap();
                if own.starts_with(&begins) {
                    write!(xml, "<Directory><Name>{own}</Name><Properties /></Directory>").unwrap();
                }
            }
            for (name, kept) in inside.files.iter().filter(|(name, _)| parent(name) == folder) {
                let own = name.rsplit('/').next().unwrap();
                if own.starts_with(&begins) {
                    write!(
                        xml,
                        "<File><Name>{own}</Name><Properties><Content-Length>{}</Content-Length><Last-Modified>Thu, 01 Jan 2026 \
                         00:00:00 GMT</Last-Modified><Etag>\"0x1\"</Etag></Properties></File>",
                        kept.content.len()
                    )
                    .unwrap();
                }
            }
            (xml + "</Entries><NextMarker /></EnumerationResults>").into_response()
        }
        ("PUT", "") if query.contains_key("restype") => {
            if has_folder(inside, name) {
                return refusal(409, "ResourceAlreadyExists");
            }
            inside.folders.insert(name.to_owned());
            StatusCode::CREATED.into_response()
        }
        ("PUT", "") if text("x-ms-type") == "file" => {
            if !has_folder(inside, parent(name)) {
                return refusal(404, "ParentNotFound");
            }
            let content = vec![0; text("x-ms-content-length").parse().unwrap()];
            let md5 = Some(text("x-ms-content-md5")).filter(|md5| !md5.is_empty());
            inside.files.insert(name.to_owned(), Kept { content, md5, ..Kept::default() });
            StatusCode::CREATED.into_response()
        }
        ("PUT", "range") => {
            let (range, length) = (text("x-ms-range"), body.len());
            let (from, to) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')).unwrap();
            let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
            if length > 4 << 20 || to + 1 - from != length {
                return refusal(413, "RequestBodyTooLarge");
            }
            if inside.blocks_left == Some(0) {
                return refusal(403, "InsufficientAccountPermissions");
            }
            inside.blocks_left = inside.blocks_left.map(|left| left - 1);
            let kept = inside.files.get_mut(name).unwrap();
            kept.content[from..=to].copy_from_slice(body);
            kept.written.push((from, to));
            StatusCode::CREATED.into_response()
        }
        ("GET", "rangelist") => {
            let mut xml = String::from("<?xml version=\"1.0\"?><Ranges>");
            for (from, to) in &inside.files[name].written {
                write!(xml, "<Range><Start>{from}</Start><End>{to}</End></Range>").unwrap();
            }
            (xml + "</Ranges>").into_response()
        }
        ("PUT", "properties") => {
            let kept = inside.files.get_mut(name).unwrap();
            kept.md5 = Some(text("x-ms-content-md5")).filter(|md5| !md5.is_empty());
            if let Ok(size) = text("x-ms-content-length").parse() {
                kept.content.resize(size, 0);
            }
            StatusCode::OK.into_response()
        }
        ("PUT", "rename") => {
            let source = text("x-ms-file-rename-source");
            let kept = inside.files.remove(&urlencoding(source.split("/share/").nth(1).unwrap())).unwrap();
            inside.files.insert(name.to_owned(), kept);
            StatusCode::OK.into_response()
        }
        ("GET" | "HEAD", "") => match inside.files.get(name) {
            Some(kept) => read(kept, &text("x-ms-range"), inside.lie, "x-ms-content-md5"),
            None => refusal(404, "ResourceNotFound"),
        },
        ("DELETE", "") => match inside.files.remove(name) {
            Some(_) => StatusCode::ACCEPTED.into_response(),
            None => refusal(404, "ResourceNotFound"),
        },
        _ => refusal(405, "UnsupportedHttpVerb"),
    }
}
