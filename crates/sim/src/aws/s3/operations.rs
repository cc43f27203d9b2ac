//! The operations of S3 that the simulator has. What it has not is `NotImplemented`.

use std::collections::BTreeMap;

use http::Extensions;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Bucket, BucketLocationConstraint, Checksum,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource,
    CreateBucketInput, CreateBucketOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteBucketInput,
    DeleteBucketOutput, DeleteBucketPolicyInput, DeleteBucketPolicyOutput, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, Error, GetBucketLocationInput, GetBucketLocationOutput,
    GetBucketPolicyInput, GetBucketPolicyOutput, GetBucketVersioningInput, GetBucketVersioningOutput, GetObjectInput,
    GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, ListPartsInput, ListPartsOutput, MetadataDirective, ObjectIdentifier, Owner, PutBucketPolicyInput,
    PutBucketPolicyOutput, PutObjectInput, PutObjectOutput, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use skybru_federation::aws::s3::{Operation, check_bucket_policy};

use super::conditions::{check_read, fits, met};
use super::transfer::{Promise, receive, send, timestamp};
use super::{Objects, access};
use crate::aws::caller::Caller;
use crate::kept::NotKept;
use crate::objects::{Attributes, NewObject, Object as Stored, StoreError};

impl From<StoreError> for S3Error {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::NoSuchBucket => S3ErrorCode::NoSuchBucket,
            StoreError::BucketAlreadyOwnedByYou => S3ErrorCode::BucketAlreadyOwnedByYou,
            StoreError::BucketNotEmpty => S3ErrorCode::BucketNotEmpty,
            StoreError::NoSuchKey => S3ErrorCode::NoSuchKey,
            StoreError::NoSuchUpload => S3ErrorCode::NoSuchUpload,
            StoreError::PreconditionFailed => S3ErrorCode::PreconditionFailed,
            StoreError::Files(error) => {
                tracing::error!(%error, "a file of the simulated S3 could not be read or written");
                S3ErrorCode::InternalError
            }
        };
        Self::new(code)
    }
}

/// The caller that the gate let in.
pub(super) fn caller(extensions: &Extensions) -> S3Result<Caller> {
    extensions.get::<Caller>().cloned().ok_or_else(|| S3Error::new(S3ErrorCode::AccessDenied))
}

impl Objects {
    /// Gives the bucket a policy, or takes its policy away.
    fn set_policy(&self, bucket: String, policy: Option<String>) -> S3Result<()> {
        let kept = self.sim.state.change(|state| -> Result<(), NotKept> {
            match policy {
                Some(policy) => state.bucket_policies.insert(bucket, policy),
                None => state.bucket_policies.remove(&bucket),
            };
            Ok(())
        });
        kept.map_err(|NotKept| S3Error::new(S3ErrorCode::InternalError))
    }

    pub(super) fn now(&self) -> i64 {
        self.sim.ctx.clock.unix_seconds()
    }

    pub(super) fn authorize(
        &self,
        caller: &Caller,
        name: &str,
        bucket: &str,
        key: Option<&str>,
        source: Option<&str>,
    ) -> S3Result<()> {
        let operation =
            Operation { name, bucket: Some(bucket), key, copy_source: source, prefix: None, delimiter: None, max_keys: None };
        access::authorize(&self.sim, caller, &operation)
    }

    /// An object, or the refusal: whoever may not list the bucket does not learn that the key is not there.
    fn find(&self, caller: &Caller, bucket: &str, key: &str) -> S3Result<(Stored, std::path::PathBuf)> {
        match self.store.object(bucket, key) {
            Err(StoreError::NoSuchKey) => {
                self.authorize(caller, "HeadBucket", bucket, None, None)?;
                Err(StoreError::NoSuchKey.into())
            }
            found => Ok(found?),
        }
    }

    /// The object that a copy reads, when the caller may read it and write the copy.
    pub(super) fn copied(
        &self,
        caller: &Caller,
        name: &str,
        source: &CopySource,
        target: (&str, &str),
    ) -> S3Result<(Stored, std::path::PathBuf)> {
        let CopySource::Bucket { bucket, key, .. } = source else { return Err(S3Error::new(S3ErrorCode::NotImplemented)) };
        self.authorize(caller, name, target.0, Some(target.1), Some(&format!("{bucket}/{key}")))?;
        self.find(caller, bucket, key)
    }
}

#[async_trait::async_trait]
impl S3 for Objects {
    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        self.store.create_bucket(&req.input.bucket, self.now())?;
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{}", req.input.bucket)) }))
    }

    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
        let bucket = req.input.bucket;
        self.store.delete_bucket(&bucket)?;
        self.set_policy(bucket, None)?;
        Ok(S3Response::new(DeleteBucketOutput::default()))
    }

    async fn put_bucket_policy(&self, req: S3Request<PutBucketPolicyInput>) -> S3Result<S3Response<PutBucketPolicyOutput>> {
        let PutBucketPolicyInput { bucket, policy, .. } = req.input;
        self.store.bucket(&bucket)?;
        check_bucket_policy(&policy, &bucket).map_err(access::refusal)?;
        self.set_policy(bucket, Some(policy))?;
        Ok(S3Response::new(PutBucketPolicyOutput::default()))
    }

    async fn get_bucket_policy(&self, req: S3Request<GetBucketPolicyInput>) -> S3Result<S3Response<GetBucketPolicyOutput>> {
        self.store.bucket(&req.input.bucket)?;
        let policy = self.sim.state.get().bucket_policies.get(&req.input.bucket).cloned();
        let policy = policy.ok_or_else(|| S3Error::new(S3ErrorCode::NoSuchBucketPolicy))?;
        Ok(S3Response::new(GetBucketPolicyOutput { policy: Some(policy) }))
    }

    async fn delete_bucket_policy(
        &self,
        req: S3Request<DeleteBucketPolicyInput>,
    ) -> S3Result<S3Response<DeleteBucketPolicyOutput>> {
        self.store.bucket(&req.input.bucket)?;
        self.set_policy(req.input.bucket, None)?;
        Ok(S3Response::new(DeleteBucketPolicyOutput::default()))
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.store.bucket(&req.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput { bucket_region: Some(self.sim.region.clone()), ..Default::default() }))
    }

    async fn get_bucket_location(&self, req: S3Request<GetBucketLocationInput>) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.store.bucket(&req.input.bucket)?;
        // The oldest region is written as nothing.
        let region = Some(self.sim.region.clone()).filter(|region| region != "us-east-1").map(BucketLocationConstraint::from);
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint: region }))
    }

    /// No bucket has versions. Tools ask before they remove one.
    async fn get_bucket_versioning(
        &self,
        req: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        self.store.bucket(&req.input.bucket)?;
        Ok(S3Response::new(GetBucketVersioningOutput::default()))
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let bucket = |(name, created)| Bucket {
            name: Some(name),
            creation_date: Some(timestamp(created)),
            bucket_region: Some(self.sim.region.clone()),
        };
        let owner = Owner { id: Some(self.sim.account.id.clone()), ..Default::default() };
        let buckets = self.store.buckets().into_iter().map(bucket).collect();
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(buckets), owner: Some(owner), ..Default::default() }))
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let S3Request { input, headers, trailing_headers, .. } = req;
        let draft = self.store.draft(&input.bucket)?;
        let received = receive(&draft, input.body, Promise::new(&headers, input.content_md5, trailing_headers)).await?;
        let new = NewObject {
            key: input.key,
            size: received.size,
            etag: received.md5,
            modified: self.now(),
            attributes: Attributes {
                content_type: input.content_type,
                content_encoding: input.content_encoding,
                content_disposition: input.content_disposition,
                content_language: input.content_language,
                cache_control: input.cache_control,
                metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            },
            checksums: received.checksums,
        };
        let allowed = |old: Option<&Stored>| fits(input.if_match.as_ref(), old) && !met(input.if_none_match.as_ref(), old);
        let object = self.store.commit(&input.bucket, &draft, new, allowed)?;
        let mut checksums = checksums(&object.checksums);
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(ETag::Strong(object.etag)),
            checksum_crc32: checksums.checksum_crc32.take(),
            checksum_crc32c: checksums.checksum_crc32c.take(),
            checksum_crc64nvme: checksums.checksum_crc64nvme.take(),
            checksum_sha1: checksums.checksum_sha1.take(),
            checksum_sha256: checksums.checksum_sha256.take(),
            ..Default::default()
        }))
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = req.input;
        let (object, _) = self.find(&caller(&req.extensions)?, &input.bucket, &input.key)?;
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
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = req.input;
        let (object, path) = self.find(&caller(&req.extensions)?, &input.bucket, &input.key)?;
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
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = req.input;
        let target = (input.bucket.as_str(), input.key.as_str());
        let (source, path) = self.copied(&caller(&req.extensions)?, "CopyObject", &input.copy_source, target)?;
        let since = (input.copy_source_if_modified_since.as_ref(), input.copy_source_if_unmodified_since.as_ref());
        check_read(&source, input.copy_source_if_match.as_ref(), input.copy_source_if_none_match.as_ref(), since)
            .map_err(|_| S3Error::new(S3ErrorCode::PreconditionFailed))?;
        let replace = input.metadata_directive.as_ref().is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
        let onto_itself = matches!(&input.copy_source, CopySource::Bucket { bucket, key, .. } if (&**bucket, &**key) == target);
        if onto_itself && !replace {
            let text = "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
                        metadata, storage class, website redirect location or encryption attributes.";
            return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, text));
        }
        let attributes = if replace {
            Attributes {
                content_type: input.content_type,
                content_encoding: input.content_encoding,
                content_disposition: input.content_disposition,
                content_language: input.content_language,
                cache_control: input.cache_control,
                metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            }
        } else {
            source.attributes
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
        Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() }))
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.store.delete_object(&req.input.bucket, &req.input.key)?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let caller = caller(&req.extensions)?;
        let input = req.input;
        self.store.bucket(&input.bucket)?;
        if input.delete.objects.len() > 1000 {
            return Err(S3Error::new(S3ErrorCode::MalformedXML));
        }
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for ObjectIdentifier { key, .. } in input.delete.objects {
            let allowed = self.authorize(&caller, "DeleteObject", &input.bucket, Some(&key), None);
            match allowed.and_then(|()| Ok(self.store.delete_object(&input.bucket, &key)?)) {
                Ok(()) => deleted.push(DeletedObject { key: Some(key), ..Default::default() }),
                Err(error) => errors.push(Error {
                    code: Some(error.code().as_str().to_owned()),
                    message: error.message().map(str::to_owned),
                    key: Some(key),
                    ..Default::default()
                }),
            }
        }
        let quiet = input.delete.quiet == Some(true);
        let deleted = Some(deleted).filter(|_| !quiet);
        Ok(S3Response::new(DeleteObjectsOutput { deleted, errors: Some(errors), ..Default::default() }))
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.listed_by_token(req.input)
    }

    async fn list_objects(&self, req: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        self.listed_by_marker(req.input)
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.begin_upload(req.input)
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.receive_part(req).await
    }

    async fn upload_part_copy(&self, req: S3Request<UploadPartCopyInput>) -> S3Result<S3Response<UploadPartCopyOutput>> {
        self.copy_part(&caller(&req.extensions)?, req.input).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.complete_upload(req.input).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.store.upload(&req.input.bucket, &req.input.key, &req.input.upload_id)?;
        self.store.delete_upload(&req.input.bucket, &req.input.upload_id)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        self.listed_parts(req.input)
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        self.listed_uploads(req.input)
    }
}

/// Checksums as the wire types have them.
pub(super) fn checksums(by_name: &BTreeMap<String, String>) -> Checksum {
    Checksum {
        checksum_crc32: by_name.get("crc32").cloned(),
        checksum_crc32c: by_name.get("crc32c").cloned(),
        checksum_crc64nvme: by_name.get("crc64nvme").cloned(),
        checksum_sha1: by_name.get("sha1").cloned(),
        checksum_sha256: by_name.get("sha256").cloned(),
        ..Default::default()
    }
}
