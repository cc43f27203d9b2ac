//! Uploads that can be interrupted: a session, and chunks that say where they belong.
//!
//! The session's id cannot be guessed, and whoever has it may go on, as at Google. Chunks are kept as parts of an unfinished upload, so
//! that a session survives a restart; of a chunk that breaks off nothing is kept.

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use futures_util::{StreamExt as _, stream};
use skybru_federation::google::ApiError;

use super::objects::resource;
use super::transfer::{Promise, commit, file_stream, receive};
use super::upload::{Described, name_of};
use super::{Conditions, asking, require_write, store_error};
use crate::google::Sim;
use crate::google::http::Call;
use crate::google::http::answers::{empty, json};
use crate::objects::{Attributes, Draft, Object, Upload};

/// Preconditions and hashes of a session lie among its object's metadata until it is finished.
const NOTE: &str = "\u{0}skybru-session";

/// Whether an upload is a session of the JSON API, and none in parts.
pub(super) fn is_session(upload: &Upload) -> bool {
    upload.attributes.metadata.contains_key(NOTE)
}

/// `uploadType=resumable`.
pub(super) async fn begin(call: Call<'_>, bucket: &str) -> Result<Response<Body>, ApiError> {
    let (sim, who, base) = (call.sim, asking(&call)?, call.base_url());
    let conditions = Conditions::of_query(&call, "if")?;
    let (query_name, content_type) =
        (call.query("name").map(str::to_owned), call.header("x-upload-content-type").map(str::to_owned));
    let parts = call.parts.clone();
    let mut described: Described = call.json().await?;
    if query_name.is_some() {
        described.name = query_name;
    }
    if described.content_type.is_none() {
        described.content_type = content_type;
    }
    let name = name_of(&Call::new(sim, parts, Body::empty()), &described)?;
    require_write(sim, &who, bucket, &name)?;
    let mut attributes = Attributes::default();
    described.apply(&mut attributes, true);
    let promise = described.promise();
    let note = [conditions.generation.map(|number| number.to_string()), promise.md5, promise.crc32c];
    attributes.metadata.insert(NOTE.to_owned(), note.map(Option::unwrap_or_default).join(" "));
    let id = sim.random_text(48);
    let upload =
        Upload { id: id.clone(), key: name.clone(), started: sim.now(), attributes, parts: std::collections::BTreeMap::new() };
    sim.objects.create_upload(bucket, upload).map_err(|error| store_error(&error, bucket, &name))?;
    let location = format!("{base}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={id}");
    let mut response = empty(200);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-guploader-uploadid", id);
    }
    Ok(response)
}

/// Where a chunk belongs: `bytes A-B/N`, `bytes A-B/*`, `bytes */N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ContentRange {
    start: Option<u64>,
    total: Option<u64>,
}

impl ContentRange {
    fn read(text: &str) -> Option<Self> {
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let total = if total == "*" { None } else { Some(total.parse().ok()?) };
        let start = if range == "*" { None } else { Some(range.split_once('-')?.0.parse().ok()?) };
        Some(Self { start, total })
    }
}

fn find(sim: &Sim, bucket: &str, id: &str) -> Result<Upload, ApiError> {
    let uploads = sim.objects.uploads(bucket).map_err(|error| store_error(&error, bucket, ""))?;
    let found = uploads.into_iter().find(|upload| upload.id == id && is_session(upload));
    found.ok_or_else(|| ApiError::not_found("S-21", "The requested upload was not found."))
}

fn received(upload: &Upload) -> u64 {
    upload.parts.values().map(|part| part.size).sum()
}

/// A chunk, or the question how far the upload has come.
pub(super) async fn go_on(call: Call<'_>, bucket: &str, id: &str) -> Result<Response<Body>, ApiError> {
    let sim = call.sim;
    let upload = find(sim, bucket, id)?;
    let range = match call.header("content-range") {
        None => ContentRange { start: Some(0), total: None },
        Some(text) => {
            ContentRange::read(text).ok_or_else(|| ApiError::invalid("S-21", "Failed to parse Content-Range header."))?
        }
    };
    let whole = call.header("content-range").is_none();
    let had = received(&upload);
    let (base, key) = (call.base_url(), upload.key.clone());
    if let Some(start) = range.start {
        if start != had {
            return Ok(so_far(had));
        }
        let draft = sim.objects.draft(bucket).map_err(|error| store_error(&error, bucket, &key))?;
        let chunk = receive(&draft, call.into_body().into_data_stream()).await?;
        if chunk.size() > 0 {
            let number = i32::try_from(upload.parts.len()).unwrap_or(i32::MAX).saturating_add(1);
            let part = (chunk.size(), chunk.md5(), sim.now());
            sim.objects.commit_part(bucket, id, number, &draft, part).map_err(|error| store_error(&error, bucket, &key))?;
        }
    }
    let upload = find(sim, bucket, id)?;
    let have = received(&upload);
    match range.total {
        Some(total) if have > total => Err(ApiError::invalid("S-21", "More bytes were received than were announced.")),
        Some(total) if have < total => Ok(so_far(have)),
        None if !whole => Ok(so_far(have)),
        _ => {
            let object = finish(sim, bucket, upload).await?;
            Ok(json(200, &resource(&base, bucket, &object)))
        }
    }
}

/// 308, and what is there already.
fn so_far(have: u64) -> Response<Body> {
    let mut response = empty(308);
    if let Some(last) = have.checked_sub(1)
        && let Ok(range) = HeaderValue::from_str(&format!("bytes=0-{last}"))
    {
        response.headers_mut().insert(header::RANGE, range);
    }
    response
}

async fn finish(sim: &Sim, bucket: &str, mut upload: Upload) -> Result<Object, ApiError> {
    let note = upload.attributes.metadata.remove(NOTE).unwrap_or_default();
    let mut fields = note.split(' ').map(|field| Some(field.to_owned()).filter(|field| !field.is_empty()));
    let conditions =
        Conditions { generation: fields.next().flatten().and_then(|text| text.parse().ok()), ..Conditions::default() };
    let promise = Promise { md5: fields.next().flatten(), crc32c: fields.next().flatten() };
    let draft = sim.objects.draft(bucket).map_err(|error| store_error(&error, bucket, &upload.key))?;
    let numbers: Vec<i32> = upload.parts.keys().copied().collect();
    let received = join_parts(sim, bucket, &upload, &numbers, &draft).await?;
    received.check(&promise)?;
    let object = commit(sim, bucket, &upload.key, &draft, &received, (upload.attributes.clone(), &conditions))?;
    sim.objects.delete_upload(bucket, &upload.id).map_err(|error| store_error(&error, bucket, &upload.key))?;
    Ok(object)
}

/// The parts one behind the other.
pub(super) async fn join_parts(
    sim: &Sim,
    bucket: &str,
    upload: &Upload,
    numbers: &[i32],
    draft: &Draft,
) -> Result<super::transfer::Received, ApiError> {
    let paths: Option<Vec<_>> = numbers.iter().map(|number| sim.objects.part_path(bucket, upload, *number)).collect();
    let paths = paths.ok_or_else(|| ApiError::invalid("S-21", "One or more of the specified parts could not be found."))?;
    let bytes = stream::iter(paths).then(|path| async move { file_stream(&path).await }).flat_map(|file| match file {
        Ok(file) => file.map(|chunk| chunk.map_err(|error| error.to_string())).boxed(),
        Err(error) => stream::iter([Err(error.message)]).boxed(),
    });
    receive(draft, bytes).await
}

/// Gives the upload up. Google answers with a status of its own.
pub(super) fn cancel(call: &Call<'_>, bucket: &str, id: &str) -> Result<Response<Body>, ApiError> {
    let upload = find(call.sim, bucket, id)?;
    call.sim.objects.delete_upload(bucket, id).map_err(|error| store_error(&error, bucket, &upload.key))?;
    Ok(empty(499))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_says_where_it_belongs() {
        let read = |text| ContentRange::read(text).map(|range| (range.start, range.total));
        assert_eq!(read("bytes 0-9/20"), Some((Some(0), Some(20))));
        assert_eq!(read("bytes 10-19/*"), Some((Some(10), None)));
        assert_eq!(read("bytes */20"), Some((None, Some(20))));
        assert_eq!(read("bytes */*"), Some((None, None)));
        assert_eq!(read("0-9/20"), None);
    }
}
