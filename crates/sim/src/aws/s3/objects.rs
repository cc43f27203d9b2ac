//! Objects: what goes in, what comes out, and what is said about them.

use s3s::dto::{
    Checksum, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag, GetObjectAttributesInput,
    GetObjectAttributesOutput, GetObjectAttributesParts, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
    MetadataDirective, ObjectAttributes, ObjectCannedACL, PutObjectInput, PutObjectOutput, ServerSideEncryption, StorageClass,
    TaggingDirective,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::conditions::{check_read, fits, met};
use super::operations::{caller, checksums};
use super::settings::acls_are_off;
use super::tags::Tags;
use super::transfer::{Promise, receive, send, timestamp};
use super::{Objects, tags};
use crate::aws::caller::Caller;
use crate::objects::{Attributes, NewObject, Object as Stored};

/// What three kinds of requests say of an object in members of the same names, without a type for them in common.
macro_rules! attributes_of {
    ($input:ident, $tags:ident) => {
        $crate::objects::Attributes {
            content_type: $input.content_type,
            content_encoding: $input.content_encoding,
            content_disposition: $input.content_disposition,
            content_language: $input.content_language,
            cache_control: $input.cache_control,
            storage_class: kept_class($input.storage_class),
            metadata: $input.metadata.unwrap_or_default().into_iter().collect(),
            tags: $tags,
        }
    };
}
pub(super) use attributes_of;

/// How S3 keeps every object that does not ask for more.
pub(super) fn encrypted() -> ServerSideEncryption {
    ServerSideEncryption::from_static(ServerSideEncryption::AES256)
}

/// What a new object asks for: lists of its own, which no bucket takes today, a key of a key service, which there is none of here, or a
/// class of storage.
pub(super) fn check_asked(
    acl: Option<&ObjectCannedACL>,
    encryption: Option<&ServerSideEncryption>,
    class: Option<&StorageClass>,
) -> S3Result<()> {
    const CLASSES: [&str; 8] = [
        StorageClass::STANDARD,
        StorageClass::STANDARD_IA,
        StorageClass::ONEZONE_IA,
        StorageClass::INTELLIGENT_TIERING,
        StorageClass::REDUCED_REDUNDANCY,
        StorageClass::GLACIER,
        StorageClass::GLACIER_IR,
        StorageClass::DEEP_ARCHIVE,
    ];
    if acl.is_some_and(|acl| acl.as_str() != ObjectCannedACL::BUCKET_OWNER_FULL_CONTROL) {
        return Err(acls_are_off());
    }
    if encryption.is_some_and(|encryption| encryption.as_str() != ServerSideEncryption::AES256) {
        return Err(S3Error::new(S3ErrorCode::NotImplemented));
    }
    if class.is_some_and(|class| !CLASSES.contains(&class.as_str())) {
        return Err(S3Error::with_message(S3ErrorCode::InvalidStorageClass, "The storage class you specified is not valid"));
    }
    Ok(())
}

/// The class to remember; the usual one goes without saying, as in S3's answers.
pub(super) fn kept_class(class: Option<StorageClass>) -> Option<String> {
    class.map(|class| class.as_str().to_owned()).filter(|class| class != StorageClass::STANDARD)
}

impl Objects {
    /// The tags that an upload brings along; they need a permission of their own.
    pub(super) fn asked_tags(&self, caller: &Caller, bucket: &str, key: &str, header: Option<&str>) -> S3Result<Tags> {
        let Some(header) = header else { return Ok(Tags::new()) };
        self.authorize(caller, "PutObjectTagging", bucket, Some(key), None)?;
        tags::of_header(header)
    }

    /// `GetObjectAttributes`: the attributes that are asked for. How large each part was is not remembered.
    pub(super) fn attributes(
        &self,
        caller: &Caller,
        input: &GetObjectAttributesInput,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        let (object, _) = self.find(caller, &input.bucket, &input.key)?;
        let asked = |name: &str| input.object_attributes.iter().any(|one| one.as_str() == name);
        let parts = object.etag.split_once('-').and_then(|(_, count)| count.parse().ok());
        let class = object.attributes.storage_class.unwrap_or_else(|| StorageClass::STANDARD.to_owned());
        let output = GetObjectAttributesOutput {
            last_modified: Some(timestamp(object.modified)),
            checksum: (asked(ObjectAttributes::CHECKSUM) && !object.checksums.is_empty()).then(|| checksums(&object.checksums)),
            object_parts: parts
                .filter(|_| asked(ObjectAttributes::OBJECT_PARTS))
                .map(|count| GetObjectAttributesParts { total_parts_count: Some(count), ..Default::default() }),
            object_size: i64::try_from(object.size).ok().filter(|_| asked(ObjectAttributes::OBJECT_SIZE)),
            storage_class: asked(ObjectAttributes::STORAGE_CLASS).then(|| StorageClass::from(class)),
            // Without quotation marks here, unlike everywhere else.
            e_tag: asked(ObjectAttributes::ETAG).then_some(ETag::Strong(object.etag)),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    /// `PutObject`.
    pub(super) async fn put(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let caller = caller(&req.extensions)?;
        let S3Request { input, headers, trailing_headers, .. } = req;
        let tags = self.asked_tags(&caller, &input.bucket, &input.key, input.tagging.as_deref())?;
        check_asked(input.acl.as_ref(), input.server_side_encryption.as_ref(), input.storage_class.as_ref())?;
        let draft = self.store.draft(&input.bucket)?;
        let received = receive(&draft, input.body, Promise::new(&headers, input.content_md5, trailing_headers)).await?;
        let new = NewObject {
            key: input.key,
            size: received.size,
            etag: received.md5,
            modified: self.now(),
            attributes: attributes_of!(input, tags),
            checksums: received.checksums,
        };
        let allowed = |old: Option<&Stored>| fits(input.if_match.as_ref(), old) && !met(input.if_none_match.as_ref(), old);
        let object = self.store.commit(&input.bucket, &draft, new, allowed)?;
        let mut checksums = checksums(&object.checksums);
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(ETag::Strong(object.etag)),
            server_side_encryption: Some(encrypted()),
            checksum_crc32: checksums.checksum_crc32.take(),
            checksum_crc32c: checksums.checksum_crc32c.take(),
            checksum_crc64nvme: checksums.checksum_crc64nvme.take(),
            checksum_sha1: checksums.checksum_sha1.take(),
            checksum_sha256: checksums.checksum_sha256.take(),
            ..Default::default()
        }))
    }

    /// `HeadObject`.
    pub(super) fn head(&self, caller: &Caller, input: &HeadObjectInput) -> S3Result<S3Response<HeadObjectOutput>> {
        let (object, _) = self.find(caller, &input.bucket, &input.key)?;
        let since = (input.if_modified_since.as_ref(), input.if_unmodified_since.as_ref());
        check_read(&object, input.if_match.as_ref(), input.if_none_match.as_ref(), since)?;
        let range = input.range.map(|range| range.check(object.size)).transpose()?;
        let length = range.as_ref().map_or(object.size, |range| range.end - range.start);
        let sums = if input.checksum_mode.is_some() { checksums(&object.checksums) } else { Checksum::default() };
        let output = HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: object.attributes.cache_control,
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            content_disposition: object.attributes.content_disposition,
            content_encoding: object.attributes.content_encoding,
            content_language: object.attributes.content_language,
            content_length: i64::try_from(length).ok(),
            content_type: object.attributes.content_type.or_else(|| Some("binary/octet-stream".to_owned())),
            e_tag: Some(ETag::Strong(object.etag)),
            last_modified: Some(timestamp(object.modified)),
            metadata: Some(object.attributes.metadata.into_iter().collect()),
            server_side_encryption: Some(encrypted()),
            storage_class: object.attributes.storage_class.map(StorageClass::from),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    /// `GetObject`.
    pub(super) async fn get(&self, caller: &Caller, input: GetObjectInput) -> S3Result<S3Response<GetObjectOutput>> {
        let (object, path) = self.find(caller, &input.bucket, &input.key)?;
        let since = (input.if_modified_since.as_ref(), input.if_unmodified_since.as_ref());
        check_read(&object, input.if_match.as_ref(), input.if_none_match.as_ref(), since)?;
        let range = input.range.map(|range| range.check(object.size)).transpose()?;
        let (start, end) = range.as_ref().map_or((0, object.size), |range| (range.start, range.end));
        let whole = range.is_none();
        let sums = if whole && input.checksum_mode.is_some() { checksums(&object.checksums) } else { Checksum::default() };
        let output = GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            body: Some(send(&path, start, end - start).await?),
            cache_control: input.response_cache_control.or(object.attributes.cache_control),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            content_disposition: input.response_content_disposition.or(object.attributes.content_disposition),
            content_encoding: input.response_content_encoding.or(object.attributes.content_encoding),
            content_language: input.response_content_language.or(object.attributes.content_language),
            content_length: i64::try_from(end - start).ok(),
            content_range: range.map(|range| format!("bytes {}-{}/{}", range.start, range.end - 1, object.size)),
            content_type: input
                .response_content_type
                .or(object.attributes.content_type)
                .or_else(|| Some("binary/octet-stream".to_owned())),
            e_tag: Some(ETag::Strong(object.etag)),
            last_modified: Some(timestamp(object.modified)),
            metadata: Some(object.attributes.metadata.into_iter().collect()),
            server_side_encryption: Some(encrypted()),
            storage_class: object.attributes.storage_class.map(StorageClass::from),
            tag_count: i32::try_from(object.attributes.tags.len()).ok().filter(|count| *count > 0),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    /// `CopyObject`.
    pub(super) async fn copy(&self, caller: &Caller, input: CopyObjectInput) -> S3Result<S3Response<CopyObjectOutput>> {
        let target = (input.bucket.as_str(), input.key.as_str());
        let (source, path) = self.copied(caller, "CopyObject", &input.copy_source, target)?;
        let since = (input.copy_source_if_modified_since.as_ref(), input.copy_source_if_unmodified_since.as_ref());
        check_read(&source, input.copy_source_if_match.as_ref(), input.copy_source_if_none_match.as_ref(), since)
            .map_err(|_| S3Error::new(S3ErrorCode::PreconditionFailed))?;
        check_asked(input.acl.as_ref(), input.server_side_encryption.as_ref(), input.storage_class.as_ref())?;
        let replace_tags =
            input.tagging_directive.as_ref().is_some_and(|directive| directive.as_str() == TaggingDirective::REPLACE);
        let given = input.tagging.as_deref().filter(|_| replace_tags);
        let asked_tags = self.asked_tags(caller, target.0, target.1, given)?;
        let tags = if replace_tags { asked_tags } else { source.attributes.tags.clone() };
        let replace = input.metadata_directive.as_ref().is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
        let onto_itself = matches!(&input.copy_source, CopySource::Bucket { bucket, key, .. } if (&**bucket, &**key) == target);
        if onto_itself && !replace {
            let text = "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
                        metadata, storage class, website redirect location or encryption attributes.";
            return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, text));
        }
        let attributes = if replace {
            attributes_of!(input, tags)
        } else {
            Attributes { storage_class: kept_class(input.storage_class), tags, ..source.attributes }
        };
        let draft = self.store.draft(&input.bucket)?;
        let received = receive(&draft, Some(send(&path, 0, source.size).await?), Promise::none()).await?;
        let new = NewObject {
            key: input.key,
            size: received.size,
            etag: received.md5,
            modified: self.now(),
            attributes,
            checksums: source.checksums,
        };
        let object = self.store.commit(&input.bucket, &draft, new, |_| true)?;
        let result = CopyObjectResult {
            e_tag: Some(ETag::Strong(object.etag)),
            last_modified: Some(timestamp(object.modified)),
            ..Default::default()
        };
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(result),
            server_side_encryption: Some(encrypted()),
            ..Default::default()
        }))
    }
}
