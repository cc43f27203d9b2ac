//! What the XML API tells of uploads in parts that were begun and not completed
//! ([list uploads](https://cloud.google.com/storage/docs/xml-api/get-bucket-uploads),
//! [list parts](https://cloud.google.com/storage/docs/xml-api/get-object-multipart)). All on one page.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::Response;
use quick_xml::escape::escape;
use skybru_federation::google::ApiError;

use super::resumable::is_session;
use super::xml::xml;
use super::{Thing, asking, require, store_error};
use crate::google::http::Call;
use crate::google::rfc3339;

pub(super) fn uploads(call: &Call<'_>, bucket: &str) -> Result<Response<Body>, ApiError> {
    let (sim, who) = (call.sim, asking(call)?);
    require(sim, &who, "storage.multipartUploads.list", Thing::Bucket(bucket))?;
    let prefix = call.query("prefix").unwrap_or_default();
    let all = sim.objects.uploads(bucket).map_err(|error| store_error(&error, bucket, ""))?;
    let mut body = format!(
        "<?xml version='1.0' encoding='UTF-8'?><ListMultipartUploadsResult><Bucket>{bucket}</Bucket><Prefix>{}</Prefix>\
         <IsTruncated>false</IsTruncated>",
        escape(prefix)
    );
    for upload in all.into_iter().filter(|upload| upload.key.starts_with(prefix) && !is_session(upload)) {
        let (key, started) = (escape(&upload.key), rfc3339(upload.started));
        let _ =
            write!(body, "<Upload><Key>{key}</Key><UploadId>{}</UploadId><Initiated>{started}</Initiated></Upload>", upload.id);
    }
    Ok(xml(200, body + "</ListMultipartUploadsResult>"))
}

pub(super) fn parts(call: &Call<'_>, bucket: &str, name: &str, id: &str) -> Result<Response<Body>, ApiError> {
    let (sim, who) = (call.sim, asking(call)?);
    require(sim, &who, "storage.multipartUploads.listParts", Thing::Object(bucket, name))?;
    let upload = sim.objects.upload(bucket, name, id).map_err(|error| store_error(&error, bucket, name))?;
    let mut body = format!(
        "<?xml version='1.0' encoding='UTF-8'?><ListPartsResult><Bucket>{bucket}</Bucket><Key>{}</Key><UploadId>{id}</UploadId>\
         <IsTruncated>false</IsTruncated>",
        escape(name)
    );
    for (number, part) in &upload.parts {
        let (etag, size, modified) = (escape(&part.md5), part.size, rfc3339(part.modified));
        let _ = write!(
            body,
            "<Part><PartNumber>{number}</PartNumber><LastModified>{modified}</LastModified><ETag>\"{etag}\"</ETag><Size>{size}</Size></Part>"
        );
    }
    Ok(xml(200, body + "</ListPartsResult>"))
}
