//! The operations of S3 that the simulator has. What it has not is `NotImplemented`.

use std::collections::BTreeMap;

use http::Extensions;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Bucket, BucketLocationConstraint, Checksum,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CopySource,
    CreateBucketInput, CreateBucketOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteBucketInput,
    DeleteBucketOutput, DeleteBucketPolicyInput, DeleteBucketPolicyOutput, DeleteBucketTaggingInput, DeleteBucketTaggingOutput,
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectTaggingInput, DeleteObjectTaggingOutput, DeleteObjectsInput,
    DeleteObjectsOutput, DeletedObject, Error, GetBucketAccelerateConfigurationInput, GetBucketAccelerateConfigurationOutput,
    GetBucketAclInput, GetBucketAclOutput, GetBucketCorsInput, GetBucketCorsOutput, GetBucketEncryptionInput,
    GetBucketEncryptionOutput, GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput,
    GetBucketLocationInput, GetBucketLocationOutput, GetBucketLoggingInput, GetBucketLoggingOutput,
    GetBucketNotificationConfigurationInput, GetBucketNotificationConfigurationOutput, GetBucketOwnershipControlsInput,
    GetBucketOwnershipControlsOutput, GetBucketPolicyInput, GetBucketPolicyOutput, GetBucketPolicyStatusInput,
    GetBucketPolicyStatusOutput, GetBucketReplicationInput, GetBucketReplicationOutput, GetBucketRequestPaymentInput,
    GetBucketRequestPaymentOutput, GetBucketTaggingInput, GetBucketTaggingOutput, GetBucketVersioningInput,
    GetBucketVersioningOutput, GetBucketWebsiteInput, GetBucketWebsiteOutput, GetObjectAclInput, GetObjectAclOutput,
    GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectInput, GetObjectLegalHoldInput, GetObjectLegalHoldOutput,
    GetObjectLockConfigurationInput, GetObjectLockConfigurationOutput, GetObjectOutput, GetObjectRetentionInput,
    GetObjectRetentionOutput, GetObjectTaggingInput, GetObjectTaggingOutput, GetPublicAccessBlockInput,
    GetPublicAccessBlockOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput,
    ListBucketsOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectVersionsInput, ListObjectVersionsOutput,
    ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput,
    ObjectIdentifier, Owner, PutBucketAclInput, PutBucketAclOutput, PutBucketEncryptionInput, PutBucketEncryptionOutput,
    PutBucketOwnershipControlsInput, PutBucketOwnershipControlsOutput, PutBucketPolicyInput, PutBucketPolicyOutput,
    PutBucketTaggingInput, PutBucketTaggingOutput, PutObjectAclInput, PutObjectAclOutput, PutObjectInput, PutObjectOutput,
    PutObjectTaggingInput, PutObjectTaggingOutput, PutPublicAccessBlockInput, PutPublicAccessBlockOutput, UploadPartCopyInput,
    UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use skybru_federation::aws::s3::{Operation, check_bucket_policy};

use super::transfer::timestamp;
use super::{Objects, access, tags};
use crate::aws::caller::Caller;
use crate::kept::NotKept;
use crate::objects::{Object as Stored, StoreError};

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
    pub(super) fn find(&self, caller: &Caller, bucket: &str, key: &str) -> S3Result<(Stored, std::path::PathBuf)> {
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
        self.set_policy(bucket.clone(), None)?;
        self.forget_tags(bucket)?;
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
        self.put(req).await
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        self.head(&caller(&req.extensions)?, &req.input)
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.get(&caller(&req.extensions)?, req.input).await
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        self.copy(&caller(&req.extensions)?, req.input).await
    }

    async fn get_object_attributes(
        &self,
        req: S3Request<GetObjectAttributesInput>,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        self.attributes(&caller(&req.extensions)?, &req.input)
    }

    async fn list_object_versions(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        self.listed_versions(req.input)
    }

    async fn get_object_tagging(&self, req: S3Request<GetObjectTaggingInput>) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let (object, _) = self.find(&caller(&req.extensions)?, &req.input.bucket, &req.input.key)?;
        let tag_set = tags::wire(&object.attributes.tags);
        Ok(S3Response::new(GetObjectTaggingOutput { tag_set, ..Default::default() }))
    }

    async fn put_object_tagging(&self, req: S3Request<PutObjectTaggingInput>) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        let tags = tags::checked(req.input.tagging.tag_set, tags::MOST_OF_AN_OBJECT)?;
        self.store.describe(&req.input.bucket, &req.input.key, |_| true, |attributes| attributes.tags = tags)?;
        Ok(S3Response::new(PutObjectTaggingOutput::default()))
    }

    async fn delete_object_tagging(
        &self,
        req: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        self.store.describe(&req.input.bucket, &req.input.key, |_| true, |attributes| attributes.tags.clear())?;
        Ok(S3Response::new(DeleteObjectTaggingOutput::default()))
    }

    async fn get_bucket_tagging(&self, req: S3Request<GetBucketTaggingInput>) -> S3Result<S3Response<GetBucketTaggingOutput>> {
        self.bucket_tags(&req.input)
    }

    async fn put_bucket_tagging(&self, req: S3Request<PutBucketTaggingInput>) -> S3Result<S3Response<PutBucketTaggingOutput>> {
        self.set_bucket_tags(req.input)
    }

    async fn delete_bucket_tagging(
        &self,
        req: S3Request<DeleteBucketTaggingInput>,
    ) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
        self.delete_bucket_tags(req.input)
    }

    async fn get_bucket_acl(&self, req: S3Request<GetBucketAclInput>) -> S3Result<S3Response<GetBucketAclOutput>> {
        self.bucket_acl(&req.input)
    }

    async fn put_bucket_acl(&self, req: S3Request<PutBucketAclInput>) -> S3Result<S3Response<PutBucketAclOutput>> {
        self.set_bucket_acl(&req.input)
    }

    async fn get_object_acl(&self, req: S3Request<GetObjectAclInput>) -> S3Result<S3Response<GetObjectAclOutput>> {
        self.object_acl(&caller(&req.extensions)?, &req.input)
    }

    async fn put_object_acl(&self, req: S3Request<PutObjectAclInput>) -> S3Result<S3Response<PutObjectAclOutput>> {
        self.set_object_acl(&req.input)
    }

    async fn get_bucket_encryption(
        &self,
        req: S3Request<GetBucketEncryptionInput>,
    ) -> S3Result<S3Response<GetBucketEncryptionOutput>> {
        self.encryption(&req.input)
    }

    async fn put_bucket_encryption(
        &self,
        req: S3Request<PutBucketEncryptionInput>,
    ) -> S3Result<S3Response<PutBucketEncryptionOutput>> {
        self.set_encryption(&req.input)
    }

    async fn get_public_access_block(
        &self,
        req: S3Request<GetPublicAccessBlockInput>,
    ) -> S3Result<S3Response<GetPublicAccessBlockOutput>> {
        self.public_access(&req.input)
    }

    async fn put_public_access_block(
        &self,
        req: S3Request<PutPublicAccessBlockInput>,
    ) -> S3Result<S3Response<PutPublicAccessBlockOutput>> {
        self.set_public_access(req.input)
    }

    async fn get_bucket_ownership_controls(
        &self,
        req: S3Request<GetBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<GetBucketOwnershipControlsOutput>> {
        self.ownership(&req.input)
    }

    async fn put_bucket_ownership_controls(
        &self,
        req: S3Request<PutBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<PutBucketOwnershipControlsOutput>> {
        self.set_ownership(&req.input)
    }

    async fn get_bucket_policy_status(
        &self,
        req: S3Request<GetBucketPolicyStatusInput>,
    ) -> S3Result<S3Response<GetBucketPolicyStatusOutput>> {
        self.policy_status(&req.input)
    }

    async fn get_bucket_request_payment(
        &self,
        req: S3Request<GetBucketRequestPaymentInput>,
    ) -> S3Result<S3Response<GetBucketRequestPaymentOutput>> {
        self.request_payment(&req.input)
    }

    async fn get_bucket_logging(&self, req: S3Request<GetBucketLoggingInput>) -> S3Result<S3Response<GetBucketLoggingOutput>> {
        self.logging(&req.input)
    }

    async fn get_bucket_notification_configuration(
        &self,
        req: S3Request<GetBucketNotificationConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketNotificationConfigurationOutput>> {
        self.notifications(&req.input)
    }

    async fn get_bucket_accelerate_configuration(
        &self,
        req: S3Request<GetBucketAccelerateConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketAccelerateConfigurationOutput>> {
        self.acceleration(&req.input)
    }

    async fn get_bucket_cors(&self, req: S3Request<GetBucketCorsInput>) -> S3Result<S3Response<GetBucketCorsOutput>> {
        self.cors(&req.input)
    }

    async fn get_bucket_lifecycle_configuration(
        &self,
        req: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
        self.lifecycle(&req.input)
    }

    async fn get_bucket_replication(
        &self,
        req: S3Request<GetBucketReplicationInput>,
    ) -> S3Result<S3Response<GetBucketReplicationOutput>> {
        self.replication(&req.input)
    }

    async fn get_bucket_website(&self, req: S3Request<GetBucketWebsiteInput>) -> S3Result<S3Response<GetBucketWebsiteOutput>> {
        self.website(&req.input)
    }

    async fn get_object_lock_configuration(
        &self,
        req: S3Request<GetObjectLockConfigurationInput>,
    ) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
        self.object_lock(&req.input)
    }

    async fn get_object_retention(
        &self,
        req: S3Request<GetObjectRetentionInput>,
    ) -> S3Result<S3Response<GetObjectRetentionOutput>> {
        self.retention(&req.input)
    }

    async fn get_object_legal_hold(
        &self,
        req: S3Request<GetObjectLegalHoldInput>,
    ) -> S3Result<S3Response<GetObjectLegalHoldOutput>> {
        self.legal_hold(&req.input)
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
        self.begin_upload(&caller(&req.extensions)?, req.input)
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
