//! Uploads in one request: the bytes alone, or a description and the bytes in one body.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::Response;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use skybru_federation::google::ApiError;

use super::objects::resource;
use super::transfer::{Promise, commit, receive};
use super::{Conditions, asking, require_write, store_error};
use crate::google::http::Call;
use crate::google::http::answers::json;
use crate::objects::Attributes;

/// The longest description before the bytes.
const LARGEST_HEAD: usize = 256 * 1024;

/// What a request says about an object.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Described {
    pub(super) name: Option<String>,
    pub(super) content_type: Option<String>,
    content_encoding: Option<String>,
    content_disposition: Option<String>,
    content_language: Option<String>,
    cache_control: Option<String>,
    metadata: Option<BTreeMap<String, Option<String>>>,
    md5_hash: Option<String>,
    crc32c: Option<String>,
}

impl Described {
    /// Writes it over what is known; `replaces`: what is not said is taken away.
    pub(super) fn apply(&self, attributes: &mut Attributes, replaces: bool) {
        if replaces {
            *attributes = Attributes::default();
        }
        for (target, said) in [
            (&mut attributes.content_type, &self.content_type),
            (&mut attributes.content_encoding, &self.content_encoding),
            (&mut attributes.content_disposition, &self.content_disposition),
            (&mut attributes.content_language, &self.content_language),
            (&mut attributes.cache_control, &self.cache_control),
        ] {
            if said.is_some() {
                target.clone_from(said);
            }
        }
        for (name, value) in self.metadata.iter().flatten() {
            match value {
                Some(value) => drop(attributes.metadata.insert(name.clone(), value.clone())),
                None => drop(attributes.metadata.remove(name)),
            }
        }
    }

    pub(super) fn promise(&self) -> Promise {
        Promise { md5: self.md5_hash.clone(), crc32c: self.crc32c.clone() }
    }
}

/// The object's name: in the query, or in the description.
pub(super) fn name_of(call: &Call<'_>, described: &Described) -> Result<String, ApiError> {
    let name = call.query("name").map(str::to_owned).or_else(|| described.name.clone()).unwrap_or_default();
    if name.is_empty() || name.len() > 1024 || name.contains(['\r', '\n']) || name == "." || name == ".." {
        return Err(ApiError::invalid("S-21", "Required object name: 1 to 1024 bytes, without line breaks."));
    }
    Ok(name)
}

/// `uploadType=media`.
pub(super) async fn media(call: Call<'_>, bucket: &str) -> Result<Response<Body>, ApiError> {
    let described = Described { content_type: call.header("content-type").map(str::to_owned), ..Described::default() };
    let promise = promised_in_headers(&call);
    store(call, bucket, described, promise, |body| body.into_data_stream().map(|chunk| chunk.map_err(|error| error.to_string())))
        .await
}

pub(super) fn promised_in_headers(call: &Call<'_>) -> Promise {
    let hashes: Vec<&str> = call.parts.headers.get_all("x-goog-hash").iter().filter_map(|value| value.to_str().ok()).collect();
    Promise::of_headers(&hashes, call.header("content-md5"))
}

async fn store<S: Stream<Item = Result<Bytes, String>>>(
    call: Call<'_>,
    bucket: &str,
    described: Described,
    promise: Promise,
    stream: impl FnOnce(Body) -> S,
) -> Result<Response<Body>, ApiError> {
    let (sim, who, base) = (call.sim, asking(&call)?, call.base_url());
    let name = name_of(&call, &described)?;
    require_write(sim, &who, bucket, &name)?;
    let conditions = Conditions::of_query(&call, "if")?;
    let draft = sim.objects.draft(bucket).map_err(|error| store_error(&error, bucket, &name))?;
    let received = receive(&draft, stream(call.into_body())).await?;
    received.check(&promise)?;
    let mut attributes = Attributes::default();
    described.apply(&mut attributes, true);
    let object = commit(sim, bucket, &name, &draft, &received, (attributes, &conditions))?;
    Ok(json(200, &resource(&base, bucket, &object)))
}

/// `uploadType=multipart`: `multipart/related` of a JSON description and the bytes.
pub(super) async fn multipart(mut call: Call<'_>, bucket: &str) -> Result<Response<Body>, ApiError> {
    let boundary = call.header("content-type").and_then(boundary_of);
    let boundary = boundary.ok_or_else(|| ApiError::invalid("S-21", "Missing boundary in the content type."))?;
    let broken = |what: &str| ApiError::invalid("S-21", format!("Malformed multipart body: {what}."));
    let mut body = call.take_body().into_data_stream().boxed();
    // Everything up to the beginning of the bytes.
    let mut head = BytesMut::new();
    let parts = loop {
        if let Some(parts) = Head::read(&head, &boundary) {
            break parts;
        }
        if head.len() > LARGEST_HEAD {
            return Err(broken("the description is too long"));
        }
        match body.next().await {
            Some(Ok(chunk)) => head.extend_from_slice(&chunk),
            Some(Err(_)) => return Err(broken("it broke off")),
            None => return Err(broken("it has no second part")),
        }
    };
    let mut described: Described =
        serde_json::from_slice(&head[parts.description]).map_err(|_| broken("the description is not JSON"))?;
    if described.content_type.is_none() {
        described.content_type = parts.content_type;
    }
    let promise = described.promise();
    let first = head.split_off(parts.media).freeze();
    let rest = stream::iter([Ok(first)]).chain(body.map(|chunk| chunk.map_err(|error| error.to_string())));
    let ending = format!("{}--{boundary}--", parts.line_break).into_bytes();
    store(call, bucket, described, promise, |_| without_ending(rest, ending)).await
}

/// Where the pieces of a multipart body stand in what has been read so far.
struct Head {
    description: std::ops::Range<usize>,
    content_type: Option<String>,
    media: usize,
    /// What ends a line of this body: gcloud writes no carriage returns.
    line_break: &'static str,
}

impl Head {
    /// `None` while the second part's headers have not all been read.
    fn read(bytes: &[u8], boundary: &str) -> Option<Self> {
        let delimiter = format!("--{boundary}");
        let first = find(bytes, delimiter.as_bytes(), 0)? + delimiter.len();
        let (_, description) = headers(bytes, first)?;
        let second = find(bytes, delimiter.as_bytes(), description)?;
        let (head, media) = headers(bytes, second + delimiter.len())?;
        let head = String::from_utf8_lossy(head);
        let content_type = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("content-type").then(|| value.trim().to_owned())
        });
        // The line break before a delimiter is the delimiter's.
        let mut end = second;
        for byte in [b'\n', b'\r'] {
            if end > description && bytes[end - 1] == byte {
                end -= 1;
            }
        }
        let line_break = if bytes[..second].ends_with(b"\r\n") { "\r\n" } else { "\n" };
        Some(Self { description: description..end, content_type, media, line_break })
    }
}

/// The headers from `from` on, and where what they describe begins.
fn headers(bytes: &[u8], from: usize) -> Option<(&[u8], usize)> {
    let crlf = find(bytes, b"\r\n\r\n", from).map(|at| (at, at + 4));
    let lf = find(bytes, b"\n\n", from).map(|at| (at, at + 2));
    let (end, next) = match (crlf, lf) {
        (Some(crlf), Some(lf)) => crlf.min(lf),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return None,
    };
    Some((&bytes[from..end], next))
}

fn find(bytes: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    bytes.get(from..)?.windows(needle.len()).position(|window| window == needle).map(|at| at + from)
}

fn boundary_of(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/related") {
        return None;
    }
    let boundary = parameters
        .split(';')
        .filter_map(|part| part.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("boundary"))?;
    let boundary = boundary.1.trim_matches(['"', '\'']);
    (!boundary.is_empty() && boundary.len() <= 200).then(|| boundary.to_owned())
}

/// The stream up to the closing delimiter, of which never more than a little is held back. Without one the upload broke off.
fn without_ending(
    stream: impl Stream<Item = Result<Bytes, String>> + Unpin,
    ending: Vec<u8>,
) -> impl Stream<Item = Result<Bytes, String>> {
    // Behind the delimiter there may be a line break and little else.
    let held = ending.len() + 64;
    stream::unfold((stream, BytesMut::new(), ending, false), move |(mut stream, mut tail, ending, done)| async move {
        if done {
            return None;
        }
        loop {
            match stream.next().await {
                Some(Ok(chunk)) => {
                    tail.extend_from_slice(&chunk);
                    if tail.len() > held {
                        let ready = tail.split_to(tail.len() - held).freeze();
                        return Some((Ok(ready), (stream, tail, ending, false)));
                    }
                }
                Some(Err(error)) => return Some((Err(error), (stream, tail, ending, true))),
                None => {
                    let end = tail.windows(ending.len()).rposition(|window| window == ending);
                    // An empty object has no line break of its own before the delimiter.
                    let bare = ending.iter().position(|byte| *byte == b'-').unwrap_or_default();
                    let end = end.or_else(|| tail.starts_with(&ending[bare..]).then_some(0));
                    let last = end.map(|at| tail.split_to(at).freeze()).ok_or_else(|| "it has no closing delimiter".to_owned());
                    return Some((last, (stream, tail, ending, true)));
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(chunks: &[&'static str]) -> Result<Vec<u8>, String> {
        let chunks: Vec<Result<Bytes, String>> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect();
        let cut = without_ending(stream::iter(chunks), b"\r\n--b--".to_vec());
        let parts = futures_util::FutureExt::now_or_never(cut.collect::<Vec<_>>()).unwrap();
        parts.into_iter().collect::<Result<Vec<_>, _>>().map(|parts| parts.concat())
    }

    #[test]
    fn the_closing_delimiter_is_taken_off_wherever_chunks_end() {
        assert_eq!(cut(&["hello\r\n--b--"]).unwrap(), b"hello");
        assert_eq!(cut(&["hel", "lo\r", "\n--", "b--\r\n"]).unwrap(), b"hello");
        assert_eq!(cut(&["--b--"]).unwrap(), b"");
        assert!(cut(&["hello"]).is_err());
    }

    /// gcloud's uploads end their lines so.
    #[test]
    fn a_body_may_have_line_feeds_alone() {
        let body = b"--b\ncontent-type: application/json\n\n{\"name\":\"x\"}\n--b\ncontent-type: text/plain\n\n2\n\n--b--";
        let head = Head::read(body, "b").unwrap();
        assert_eq!((&body[head.description], head.line_break), (&b"{\"name\":\"x\"}"[..], "\n"));
        let cut = without_ending(stream::iter([Ok(Bytes::copy_from_slice(&body[head.media..]))]), b"\n--b--".to_vec());
        let parts = futures_util::FutureExt::now_or_never(cut.collect::<Vec<_>>()).unwrap();
        assert_eq!(parts.into_iter().collect::<Result<Vec<_>, _>>().unwrap().concat(), b"2\n");
    }

    #[test]
    fn a_body_is_a_description_and_bytes() {
        let body = b"--b\r\ncontent-type: application/json\r\n\r\n{\"name\":\"x\"}\r\n--b\r\ncontent-type: text/plain\r\n\r\nhello\r\n--b--";
        let head = Head::read(body, "b").unwrap();
        assert_eq!((&body[head.description], &body[head.media..head.media + 5]), (&b"{\"name\":\"x\"}"[..], &b"hello"[..]));
        assert_eq!(head.content_type.as_deref(), Some("text/plain"));
        assert_eq!(head.line_break, "\r\n");
        assert!(Head::read(&body[..60], "b").is_none());
        assert_eq!(boundary_of("multipart/related; boundary=\"==x==\"").as_deref(), Some("==x=="));
        assert_eq!(boundary_of("text/plain; boundary=x"), None);
    }
}
