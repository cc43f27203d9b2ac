//! Uploads in parts. Whoever may write the object may go on with its upload, also with newer credentials of the same role.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CopyPartResult, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, ETag, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput,
    MultipartUpload, Part as ListedPart, Range, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::Objects;
use super::conditions::{fits, met};
use super::listing::{encoder, limit};
use super::objects::{attributes_of, check_asked, encrypted, kept_class};
use super::operations::checksums;
use super::transfer::{Promise, receive, send, timestamp};
use crate::aws::caller::Caller;
use crate::aws::names;
use crate::hex::hex;
use crate::objects::{NewObject, Object as Stored, Upload};

/// Every part but the last must have this size.
const SMALLEST_PART: u64 = 5 * 1024 * 1024;

impl Objects {
    pub(super) fn begin_upload(
        &self,
        caller: &Caller,
        input: CreateMultipartUploadInput,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let tags = self.asked_tags(caller, &input.bucket, &input.key, input.tagging.as_deref())?;
        check_asked(input.acl.as_ref(), input.server_side_encryption.as_ref(), input.storage_class.as_ref())?;
        // An upload id is part of a path here, so it is ours alone: hexadecimal.
        let id = names::request_id(&*self.sim.ctx.randomness).replace('-', "");
        let upload = Upload {
            id: id.clone(),
            key: input.key.clone(),
            started: self.now(),
            attributes: attributes_of!(input, tags),
            parts: BTreeMap::new(),
        };
        self.store.create_upload(&input.bucket, upload)?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            server_side_encryption: Some(encrypted()),
            ..Default::default()
        }))
    }

    pub(super) async fn receive_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let S3Request { input, headers, trailing_headers, .. } = req;
        check_part_number(input.part_number)?;
        self.store.upload(&input.bucket, &input.key, &input.upload_id)?;
        let draft = self.store.draft(&input.bucket)?;
        let received = receive(&draft, input.body, Promise::new(&headers, input.content_md5, trailing_headers)).await?;
        let part = (received.size, received.md5.clone(), self.now());
        self.store.commit_part(&input.bucket, &input.upload_id, input.part_number, &draft, part)?;
        let sums = checksums(&received.checksums);
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(ETag::Strong(received.md5)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            ..Default::default()
        }))
    }

    pub(super) async fn copy_part(
        &self,
        caller: &Caller,
        input: UploadPartCopyInput,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        check_part_number(input.part_number)?;
        let (source, path) = self.copied(caller, "UploadPartCopy", &input.copy_source, (&input.bucket, &input.key))?;
        self.store.upload(&input.bucket, &input.key, &input.upload_id)?;
        let range = input.copy_source_range.as_deref().map(Range::parse).transpose();
        let range = range.map_err(|_| S3Error::new(S3ErrorCode::InvalidArgument))?;
        let range = range.map(|range| range.check(source.size)).transpose()?.unwrap_or(0..source.size);
        let draft = self.store.draft(&input.bucket)?;
        let body = send(&path, range.start, range.end - range.start).await?;
        let received = receive(&draft, Some(body), Promise::none()).await?;
        let now = self.now();
        let part = (received.size, received.md5.clone(), now);
        self.store.commit_part(&input.bucket, &input.upload_id, input.part_number, &draft, part)?;
        let result =
            CopyPartResult { e_tag: Some(ETag::Strong(received.md5)), last_modified: Some(timestamp(now)), ..Default::default() };
        Ok(S3Response::new(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() }))
    }

    pub(super) async fn complete_upload(
        &self,
        input: CompleteMultipartUploadInput,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let upload = self.store.upload(&input.bucket, &input.key, &input.upload_id)?;
        let named: Vec<(i32, Option<ETag>)> = input
            .multipart_upload
            .and_then(|upload| upload.parts)
            .unwrap_or_default()
            .into_iter()
            .map(|part| (part.part_number.unwrap_or_default(), part.e_tag))
            .collect();
        check_parts(&upload, &named)?;
        let draft = self.store.draft(&input.bucket)?;
        let (mut md5, mut size) = (Md5::new(), 0);
        let mut paths = Vec::with_capacity(named.len());
        for (number, _) in &named {
            let missing = || S3Error::new(S3ErrorCode::InvalidPart);
            let part = upload.parts.get(number).ok_or_else(missing)?;
            md5.update(&unhex(&part.md5).map_err(S3Error::internal_error)?);
            size += part.size;
            paths.push(self.store.part_path(&input.bucket, &upload, *number).ok_or_else(missing)?);
        }
        let whole = draft.path.clone();
        let joined = tokio::task::spawn_blocking(move || join(&paths, &whole)).await.map_err(S3Error::internal_error)?;
        joined.map_err(S3Error::internal_error)?;
        let etag = format!("{}-{}", hex(&md5.finalize()), named.len());
        let new = NewObject {
            key: input.key.clone(),
            size,
            etag: etag.clone(),
            modified: self.now(),
            attributes: upload.attributes,
            checksums: BTreeMap::new(),
        };
        let allowed = |old: Option<&Stored>| fits(input.if_match.as_ref(), old) && !met(input.if_none_match.as_ref(), old);
        self.store.commit(&input.bucket, &draft, new, allowed)?;
        self.store.delete_upload(&input.bucket, &input.upload_id)?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(ETag::Strong(etag)),
            ..Default::default()
        }))
    }

    pub(super) fn listed_parts(&self, input: ListPartsInput) -> S3Result<S3Response<ListPartsOutput>> {
        let upload = self.store.upload(&input.bucket, &input.key, &input.upload_id)?;
        let after = input.part_number_marker.as_ref().and_then(|marker| marker.to_string().parse().ok()).unwrap_or(0);
        let limit = limit(input.max_parts)?;
        let mut parts = upload.parts.range(after + 1..).map(|(number, part)| ListedPart {
            part_number: Some(*number),
            e_tag: Some(ETag::Strong(part.md5.clone())),
            last_modified: Some(timestamp(part.modified)),
            size: i64::try_from(part.size).ok(),
            ..Default::default()
        });
        let page: Vec<ListedPart> = parts.by_ref().take(limit).collect();
        let is_truncated = parts.next().is_some();
        let last = page.last().and_then(|part| part.part_number);
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            part_number_marker: input.part_number_marker,
            next_part_number_marker: last.filter(|_| is_truncated).map(|last| last.to_string().parse().unwrap_or_default()),
            max_parts: i32::try_from(limit).ok(),
            is_truncated: Some(is_truncated),
            parts: Some(page),
            ..Default::default()
        }))
    }

    pub(super) fn listed_uploads(&self, input: ListMultipartUploadsInput) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let prefix = input.prefix.clone().unwrap_or_default();
        let mut uploads = self.store.uploads(&input.bucket)?;
        uploads.retain(|upload| upload.key.starts_with(&prefix));
        uploads.sort_by(|one, other| (&one.key, one.started, &one.id).cmp(&(&other.key, other.started, &other.id)));
        let encode = encoder(input.encoding_type.as_ref());
        let listed = uploads.into_iter().map(|upload| MultipartUpload {
            key: Some(encode(&upload.key)),
            upload_id: Some(upload.id),
            initiated: Some(timestamp(upload.started)),
            ..Default::default()
        });
        Ok(S3Response::new(ListMultipartUploadsOutput {
            uploads: Some(listed.collect()),
            bucket: Some(input.bucket),
            prefix: Some(encode(&prefix)),
            is_truncated: Some(false),
            encoding_type: input.encoding_type,
            ..Default::default()
        }))
    }
}

/// Puts files together. The kernel does it by itself where it can: a long object is not read and written once more.
fn join(parts: &[PathBuf], whole: &Path) -> io::Result<()> {
    let mut file = std::fs::File::create(whole)?;
    for part in parts {
        io::copy(&mut std::fs::File::open(part)?, &mut file)?;
    }
    Ok(())
}

fn check_part_number(number: i32) -> S3Result<()> {
    let text = "Part number must be an integer between 1 and 10000, inclusive";
    if (1..=10_000).contains(&number) { Ok(()) } else { Err(S3Error::with_message(S3ErrorCode::InvalidArgument, text)) }
}

/// The parts named must be those that came, in order, and large enough.
fn check_parts(upload: &Upload, named: &[(i32, Option<ETag>)]) -> S3Result<()> {
    if named.is_empty() {
        return Err(S3Error::new(S3ErrorCode::MalformedXML));
    }
    if !named.is_sorted_by(|(one, _), (next, _)| one < next) {
        return Err(S3Error::new(S3ErrorCode::InvalidPartOrder));
    }
    for (place, (number, etag)) in named.iter().enumerate() {
        let part = upload.parts.get(number);
        let part = part.filter(|part| etag.as_ref().is_none_or(|etag| etag.value() == part.md5));
        let part = part.ok_or_else(|| S3Error::new(S3ErrorCode::InvalidPart))?;
        if place + 1 < named.len() && part.size < SMALLEST_PART {
            return Err(S3Error::new(S3ErrorCode::EntityTooSmall));
        }
    }
    Ok(())
}

fn unhex(text: &str) -> io::Result<Vec<u8>> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    let digit = |at| text.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or_else(wrong);
    (0..text.len()).step_by(2).map(digit).collect()
}
