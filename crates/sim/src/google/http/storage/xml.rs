//! The XML API, as far as storage libraries speak it: objects with headers, listing, uploads in parts, copies.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, header};
use quick_xml::escape::escape;
use serde::Deserialize;
use skybru_federation::google::ApiError;

use super::resumable::join_parts;
use super::transfer::{commit, file_stream, range, receive, send};
use super::upload::promised_in_headers;
use super::{Conditions, Thing, asking, may, require, require_write, store_error, unfinished};
use crate::google::http::Call;
use crate::google::http::answers::empty;
use crate::google::rfc3339;
use crate::objects::{Attributes, Object, Upload};

/// The most objects on one page.
const PAGE: usize = 1000;
/// The largest list of parts.
const LARGEST_LIST: usize = 4 * 1024 * 1024;

pub(super) async fn answer(call: Call<'_>) -> Response<Body> {
    let head = call.parts.method == Method::HEAD;
    let answer = dispatch(call).await;
    answer.unwrap_or_else(|error| {
        tracing::info!(rule = error.rule, code = error.code, message = error.message, "refused");
        if head { empty(error.code) } else { xml_error(&error) }
    })
}

async fn dispatch(call: Call<'_>) -> Result<Response<Body>, ApiError> {
    let (bucket, object) = {
        let path: Vec<&str> = call.segments.iter().map(String::as_str).collect();
        match path.split_first() {
            Some((bucket, rest)) if !bucket.is_empty() => ((*bucket).to_owned(), rest.join("/")),
            _ => return Err(ApiError::not_found("S-21", "The requested URL was not found on this server.")),
        }
    };
    let (bucket, object) = (bucket.as_str(), object.as_str());
    let upload_id = call.query("uploadId").map(str::to_owned);
    match (call.parts.method.clone(), object.is_empty(), upload_id) {
        (Method::GET, true, None) if call.query("uploads").is_some() => unfinished::uploads(&call, bucket),
        (Method::GET, true, None) => list(&call, bucket),
        (Method::GET | Method::HEAD, false, None) => get(&call, bucket, object).await,
        (Method::PUT, false, None) => put(call, bucket, object).await,
        (Method::DELETE, false, None) => delete(&call, bucket, object),
        (Method::POST, false, None) if call.query("uploads").is_some() => begin(&call, bucket, object),
        (Method::GET, false, Some(id)) => unfinished::parts(&call, bucket, object, &id),
        (Method::PUT, false, Some(id)) => part(call, bucket, object, &id).await,
        (Method::POST, false, Some(id)) => complete(call, bucket, object, &id).await,
        (Method::DELETE, false, Some(id)) => {
            require_write(call.sim, &asking(&call)?, bucket, object)?;
            let upload = call.sim.objects.upload(bucket, object, &id).map_err(|error| store_error(&error, bucket, object))?;
            call.sim.objects.delete_upload(bucket, &upload.id).map_err(|error| store_error(&error, bucket, object))?;
            Ok(empty(204))
        }
        _ => Err(ApiError::new("S-21", 405, "INVALID_ARGUMENT", "The specified method is not allowed against this resource.")),
    }
}

pub(super) fn xml(code: u16, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = super::super::status(code);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml; charset=UTF-8"));
    response
}

fn xml_error(error: &ApiError) -> Response<Body> {
    let code = match (error.code, error.message.as_str()) {
        (401, _) => "AuthenticationRequired",
        (403, _) => "AccessDenied",
        (404, message) if message.contains("bucket") && !message.starts_with("No such object") => "NoSuchBucket",
        (404, message) if message.starts_with("The requested upload") => "NoSuchUpload",
        (404, _) => "NoSuchKey",
        (409, _) => "Conflict",
        (412, _) => "PreconditionFailed",
        (416, _) => "InvalidRange",
        (500.., _) => "InternalError",
        _ => "InvalidArgument",
    };
    let body = format!(
        "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{}</Message></Error>",
        escape(error.message.as_str())
    );
    xml(error.code, body)
}

fn text_element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

/// `ETag` and generation of what was written.
fn written(mut response: Response<Body>, object: &Object) -> Response<Body> {
    for (name, value) in [("etag", format!("\"{}\"", object.etag)), ("x-goog-generation", object.version().to_string())] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn list(call: &Call<'_>, bucket: &str) -> Result<Response<Body>, ApiError> {
    let (sim, who) = (call.sim, asking(call)?);
    require(sim, &who, "storage.objects.list", Thing::Bucket(bucket))?;
    let (prefix, delimiter) = (call.query("prefix").unwrap_or_default(), call.query("delimiter").unwrap_or_default());
    let limit = call.query("max-keys").and_then(|text| text.parse().ok()).unwrap_or(PAGE).min(PAGE);
    let token = call.query("continuation-token").map(|token| {
        let bytes = skybru_protocol::base64url::decode(token).ok();
        bytes
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| ApiError::invalid("S-21", "Invalid continuation token."))
    });
    let after = token.transpose()?.or_else(|| call.query("start-after").map(str::to_owned)).unwrap_or_default();
    let page = sim.objects.list(bucket, prefix, delimiter, &after, limit).map_err(|error| store_error(&error, bucket, ""))?;
    let mut body = format!(
        "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'><Name>{bucket}</Name>\
         <Prefix>{}</Prefix><KeyCount>{}</KeyCount><IsTruncated>{}</IsTruncated>",
        escape(prefix),
        page.objects.len() + page.prefixes.len(),
        page.next.is_some()
    );
    if let Some(next) = &page.next {
        body.push_str(&text_element("NextContinuationToken", &skybru_protocol::base64url::encode(next)));
    }
    for object in &page.objects {
        let members = [
            ("Key", object.key.clone()),
            ("Generation", object.version().to_string()),
            ("MetaGeneration", (1 + object.changes).to_string()),
            ("LastModified", rfc3339(object.modified)),
            ("ETag", format!("\"{}\"", object.etag)),
            ("Size", object.size.to_string()),
        ];
        let members: String = members.iter().map(|(name, value)| text_element(name, value)).collect();
        body.extend(["<Contents>", &members, "</Contents>"]);
    }
    for prefix in &page.prefixes {
        body.extend(["<CommonPrefixes>", &text_element("Prefix", prefix), "</CommonPrefixes>"]);
    }
    Ok(xml(200, body + "</ListBucketResult>"))
}

async fn get(call: &Call<'_>, bucket: &str, name: &str) -> Result<Response<Body>, ApiError> {
    let (sim, who) = (call.sim, asking(call)?);
    require(sim, &who, "storage.objects.get", Thing::Object(bucket, name))?;
    let found = sim.objects.object(bucket, name);
    let (object, path) = found.map_err(|error| {
        let told = may(sim, &who, "storage.objects.list", Thing::Bucket(bucket));
        let hidden = require(sim, &who, "storage.objects.list", Thing::Bucket(bucket)).err();
        hidden.filter(|_| !told).unwrap_or_else(|| store_error(&error, bucket, name))
    })?;
    let wanted = call.query("generation").and_then(|text| text.parse::<u64>().ok());
    if wanted.is_some_and(|generation| generation != object.version()) {
        return Err(ApiError::not_found("D-50", format!("No such object: {bucket}/{name}")));
    }
    let etag = format!("\"{}\"", object.etag);
    let names =
        |header: &str| call.header(header).map(|list| list.split(',').any(|one| ["*", etag.as_str()].contains(&one.trim())));
    if names("if-match") == Some(false) || !Conditions::of_headers(call).hold(Some(&object)) {
        return Err(super::precondition_failed());
    }
    if names("if-none-match") == Some(true) {
        return Ok(written(empty(304), &object));
    }
    let part = range(call.header("range"), object.size)?;
    send((&object, &path), part, call.parts.method == Method::GET).await
}

/// What the headers say about an object.
fn attributes(call: &Call<'_>) -> Attributes {
    let text = |name: &str| call.header(name).map(str::to_owned);
    let metadata = call.parts.headers.iter().filter_map(|(name, value)| {
        Some((name.as_str().strip_prefix("x-goog-meta-")?.to_owned(), value.to_str().ok()?.to_owned()))
    });
    Attributes {
        content_type: text("content-type"),
        content_encoding: text("content-encoding").filter(|encoding| encoding != "identity"),
        content_disposition: text("content-disposition"),
        content_language: text("content-language"),
        cache_control: text("cache-control"),
        metadata: metadata.collect(),
        ..Attributes::default()
    }
}

async fn put(call: Call<'_>, bucket: &str, name: &str) -> Result<Response<Body>, ApiError> {
    let (sim, who) = (call.sim, asking(&call)?);
    require_write(sim, &who, bucket, name)?;
    let (conditions, promise, mut described) = (Conditions::of_headers(&call), promised_in_headers(&call), attributes(&call));
    let source = call.header("x-goog-copy-source").map(str::to_owned);
    let draft = sim.objects.draft(bucket).map_err(|error| store_error(&error, bucket, name))?;
    let (received, copied) = match source {
        None => (receive(&draft, call.into_body().into_data_stream()).await?, false),
        Some(source) => {
            let source = super::super::decoded(source.trim_start_matches('/'));
            let (from_bucket, from) = source.split_once('/').ok_or_else(|| ApiError::invalid("S-21", "Invalid copy source."))?;
            require(sim, &who, "storage.objects.get", Thing::Object(from_bucket, from))?;
            let (object, path) = sim.objects.object(from_bucket, from).map_err(|error| store_error(&error, from_bucket, from))?;
            described = object.attributes;
            (receive(&draft, file_stream(&path).await?).await?, true)
        }
    };
    received.check(&promise)?;
    let object = commit(sim, bucket, name, &draft, &received, (described, &conditions))?;
    let response = if copied {
        let body = format!(
            "<?xml version='1.0' encoding='UTF-8'?><CopyObjectResult><ETag>\"{}\"</ETag><LastModified>{}</LastModified></CopyObjectResult>",
            object.etag,
            rfc3339(object.modified)
        );
        xml(200, body)
    } else {
        empty(200)
    };
    Ok(written(response, &object))
}

fn delete(call: &Call<'_>, bucket: &str, name: &str) -> Result<Response<Body>, ApiError> {
    let (sim, who) = (call.sim, asking(call)?);
    require(sim, &who, "storage.objects.delete", Thing::Object(bucket, name))?;
    sim.objects.object(bucket, name).map_err(|error| store_error(&error, bucket, name))?;
    let conditions = Conditions::of_headers(call);
    let deleted = sim.objects.delete_object_if(bucket, name, |object| conditions.hold(object));
    deleted.map_err(|error| store_error(&error, bucket, name))?;
    Ok(empty(204))
}

fn begin(call: &Call<'_>, bucket: &str, name: &str) -> Result<Response<Body>, ApiError> {
    let (sim, who) = (call.sim, asking(call)?);
    require_write(sim, &who, bucket, name)?;
    let id = sim.random_text(32);
    let upload = Upload {
        id: id.clone(),
        key: name.to_owned(),
        started: sim.now(),
        attributes: attributes(call),
        parts: std::collections::BTreeMap::new(),
    };
    sim.objects.create_upload(bucket, upload).map_err(|error| store_error(&error, bucket, name))?;
    let body = format!(
        "<?xml version='1.0' encoding='UTF-8'?><InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{}</Key>\
         <UploadId>{id}</UploadId></InitiateMultipartUploadResult>",
        escape(name)
    );
    Ok(xml(200, body))
}

async fn part(call: Call<'_>, bucket: &str, name: &str, id: &str) -> Result<Response<Body>, ApiError> {
    let (sim, who) = (call.sim, asking(&call)?);
    require_write(sim, &who, bucket, name)?;
    let number: Option<i32> =
        call.query("partNumber").and_then(|text| text.parse().ok()).filter(|number| (1..=10_000).contains(number));
    let number =
        number.ok_or_else(|| ApiError::invalid("S-21", "Part number must be an integer between 1 and 10000, inclusive."))?;
    sim.objects.upload(bucket, name, id).map_err(|error| store_error(&error, bucket, name))?;
    let promise = promised_in_headers(&call);
    let draft = sim.objects.draft(bucket).map_err(|error| store_error(&error, bucket, name))?;
    let received = receive(&draft, call.into_body().into_data_stream()).await?;
    received.check(&promise)?;
    let md5 = received.md5();
    let part = (received.size(), md5.clone(), sim.now());
    sim.objects.commit_part(bucket, id, number, &draft, part).map_err(|error| store_error(&error, bucket, name))?;
    let mut response = empty(200);
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{md5}\"")) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    Ok(response)
}

#[derive(Deserialize)]
struct Complete {
    #[serde(rename = "Part", default)]
    parts: Vec<CompletePart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CompletePart {
    part_number: i32,
    #[serde(rename = "ETag", default)]
    etag: String,
}

async fn complete(call: Call<'_>, bucket: &str, name: &str, id: &str) -> Result<Response<Body>, ApiError> {
    let (sim, who) = (call.sim, asking(&call)?);
    require_write(sim, &who, bucket, name)?;
    let conditions = Conditions::of_headers(&call);
    let upload = sim.objects.upload(bucket, name, id).map_err(|error| store_error(&error, bucket, name))?;
    let body = axum::body::to_bytes(call.into_body(), LARGEST_LIST).await;
    let body = body.map_err(|_| ApiError::invalid("S-21", "The list of parts is too long."))?;
    let complete: Complete = quick_xml::de::from_reader(&body[..])
        .map_err(|_| ApiError::invalid("S-21", "The XML you provided was not well-formed."))?;
    let in_order = complete.parts.windows(2).all(|pair| pair[0].part_number < pair[1].part_number);
    let known = |part: &CompletePart| {
        upload.parts.get(&part.part_number).is_some_and(|known| part.etag.is_empty() || part.etag.trim_matches('"') == known.md5)
    };
    if complete.parts.is_empty() || !in_order || !complete.parts.iter().all(known) {
        return Err(ApiError::invalid("S-21", "One or more of the specified parts could not be found."));
    }
    let numbers: Vec<i32> = complete.parts.iter().map(|part| part.part_number).collect();
    let draft = sim.objects.draft(bucket).map_err(|error| store_error(&error, bucket, name))?;
    let received = join_parts(sim, bucket, &upload, &numbers, &draft).await?;
    let object = commit(sim, bucket, name, &draft, &received, (upload.attributes.clone(), &conditions))?;
    sim.objects.delete_upload(bucket, id).map_err(|error| store_error(&error, bucket, name))?;
    let body = format!(
        "<?xml version='1.0' encoding='UTF-8'?><CompleteMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{}</Key><ETag>\"{}\"</ETag>\
         </CompleteMultipartUploadResult>",
        escape(name),
        object.etag
    );
    Ok(written(xml(200, body), &object))
}
