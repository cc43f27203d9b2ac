//! What a bucket says about itself.
//!
//! Buckets are as AWS makes them today, and stay so: no public access, no lists of access (the bucket's owner owns every object),
//! encryption with S3's own keys. Asking for just that succeeds; asking for anything else is not implemented here. Tags are kept.

use s3s::dto::{
    DeleteBucketTaggingInput, DeleteBucketTaggingOutput, GetBucketAccelerateConfigurationInput,
    GetBucketAccelerateConfigurationOutput, GetBucketAclInput, GetBucketAclOutput, GetBucketCorsInput, GetBucketCorsOutput,
    GetBucketEncryptionInput, GetBucketEncryptionOutput, GetBucketLifecycleConfigurationInput,
    GetBucketLifecycleConfigurationOutput, GetBucketLoggingInput, GetBucketLoggingOutput,
    GetBucketNotificationConfigurationInput, GetBucketNotificationConfigurationOutput, GetBucketOwnershipControlsInput,
    GetBucketOwnershipControlsOutput, GetBucketPolicyStatusInput, GetBucketPolicyStatusOutput, GetBucketReplicationInput,
    GetBucketReplicationOutput, GetBucketRequestPaymentInput, GetBucketRequestPaymentOutput, GetBucketTaggingInput,
    GetBucketTaggingOutput, GetBucketWebsiteInput, GetBucketWebsiteOutput, GetObjectAclInput, GetObjectAclOutput,
    GetObjectLegalHoldInput, GetObjectLegalHoldOutput, GetObjectLockConfigurationInput, GetObjectLockConfigurationOutput,
    GetObjectRetentionInput, GetObjectRetentionOutput, GetPublicAccessBlockInput, GetPublicAccessBlockOutput, Grant, Grantee,
    ObjectOwnership, Owner, OwnershipControls, OwnershipControlsRule, Payer, Permission, PolicyStatus,
    PublicAccessBlockConfiguration, PutBucketAclInput, PutBucketAclOutput, PutBucketEncryptionInput, PutBucketEncryptionOutput,
    PutBucketOwnershipControlsInput, PutBucketOwnershipControlsOutput, PutBucketTaggingInput, PutBucketTaggingOutput,
    PutObjectAclInput, PutObjectAclOutput, PutPublicAccessBlockInput, PutPublicAccessBlockOutput, ServerSideEncryption,
    ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Type,
};
use s3s::{S3Error, S3ErrorCode, S3Response, S3Result};
use skybru_federation::aws::s3::is_public;

use super::objects::encrypted;
use super::tags::{self, Tags};
use super::{Objects, access};
use crate::aws::caller::Caller;
use crate::kept::NotKept;

/// What every bucket since 2023 says of lists of access.
pub(super) fn acls_are_off() -> S3Error {
    S3Error::with_message(S3ErrorCode::AccessControlListNotSupported, "The bucket does not allow ACLs")
}

/// A setting that nobody made.
fn unset<T>(code: S3ErrorCode) -> S3Result<T> {
    let text = access::usual_text(code.as_str());
    Err(S3Error::with_message(code, text))
}

/// A setting that is the only one here, or one that is not here.
fn only<T>(is_it: bool, output: T) -> S3Result<S3Response<T>> {
    if is_it { Ok(S3Response::new(output)) } else { Err(S3Error::new(S3ErrorCode::NotImplemented)) }
}

impl Objects {
    /// An answer about a bucket that must be there.
    fn about<T>(&self, bucket: &str, output: T) -> S3Result<S3Response<T>> {
        self.store.bucket(bucket)?;
        Ok(S3Response::new(output))
    }

    fn owner(&self) -> Owner {
        Owner { id: Some(self.sim.account.id.clone()), ..Default::default() }
    }

    fn owners_grant(&self) -> Vec<Grant> {
        let grantee = Grantee {
            type_: Type::from_static(Type::CANONICAL_USER),
            id: Some(self.sim.account.id.clone()),
            display_name: None,
            email_address: None,
            uri: None,
        };
        vec![Grant { grantee: Some(grantee), permission: Some(Permission::from_static(Permission::FULL_CONTROL)) }]
    }

    fn keep_tags(&self, bucket: String, tags: Option<Tags>) -> S3Result<()> {
        let kept = self.sim.state.change(|state| -> Result<(), NotKept> {
            match tags {
                Some(tags) => state.bucket_tags.insert(bucket, tags),
                None => state.bucket_tags.remove(&bucket),
            };
            Ok(())
        });
        kept.map_err(|NotKept| S3Error::new(S3ErrorCode::InternalError))
    }

    pub(super) fn bucket_tags(&self, input: &GetBucketTaggingInput) -> S3Result<S3Response<GetBucketTaggingOutput>> {
        self.store.bucket(&input.bucket)?;
        match self.sim.state.get().bucket_tags.get(&input.bucket) {
            Some(tags) => Ok(S3Response::new(GetBucketTaggingOutput { tag_set: tags::wire(tags) })),
            None => unset(S3ErrorCode::NoSuchTagSet),
        }
    }

    pub(super) fn set_bucket_tags(&self, input: PutBucketTaggingInput) -> S3Result<S3Response<PutBucketTaggingOutput>> {
        self.store.bucket(&input.bucket)?;
        let tags = tags::checked(input.tagging.tag_set, tags::MOST_OF_A_BUCKET)?;
        self.keep_tags(input.bucket, Some(tags))?;
        Ok(S3Response::new(PutBucketTaggingOutput::default()))
    }

    /// A bucket's tags go when it goes, too.
    pub(super) fn delete_bucket_tags(&self, input: DeleteBucketTaggingInput) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
        self.store.bucket(&input.bucket)?;
        self.keep_tags(input.bucket, None)?;
        Ok(S3Response::new(DeleteBucketTaggingOutput::default()))
    }

    pub(super) fn forget_tags(&self, bucket: String) -> S3Result<()> {
        self.keep_tags(bucket, None)
    }

    pub(super) fn bucket_acl(&self, input: &GetBucketAclInput) -> S3Result<S3Response<GetBucketAclOutput>> {
        let output = GetBucketAclOutput { grants: Some(self.owners_grant()), owner: Some(self.owner()) };
        self.about(&input.bucket, output)
    }

    pub(super) fn object_acl(&self, caller: &Caller, input: &GetObjectAclInput) -> S3Result<S3Response<GetObjectAclOutput>> {
        self.find(caller, &input.bucket, &input.key)?;
        let (grants, owner) = (Some(self.owners_grant()), Some(self.owner()));
        Ok(S3Response::new(GetObjectAclOutput { grants, owner, ..Default::default() }))
    }

    pub(super) fn set_bucket_acl(&self, input: &PutBucketAclInput) -> S3Result<S3Response<PutBucketAclOutput>> {
        self.store.bucket(&input.bucket)?;
        Err(acls_are_off())
    }

    pub(super) fn set_object_acl(&self, input: &PutObjectAclInput) -> S3Result<S3Response<PutObjectAclOutput>> {
        self.store.object(&input.bucket, &input.key)?;
        Err(acls_are_off())
    }

    pub(super) fn encryption(&self, input: &GetBucketEncryptionInput) -> S3Result<S3Response<GetBucketEncryptionOutput>> {
        let default = ServerSideEncryptionByDefault { kms_master_key_id: None, sse_algorithm: encrypted() };
        let rule =
            ServerSideEncryptionRule { apply_server_side_encryption_by_default: Some(default), bucket_key_enabled: Some(false) };
        let configuration = ServerSideEncryptionConfiguration { rules: vec![rule] };
        let output = GetBucketEncryptionOutput { server_side_encryption_configuration: Some(configuration) };
        self.about(&input.bucket, output)
    }

    pub(super) fn set_encryption(&self, input: &PutBucketEncryptionInput) -> S3Result<S3Response<PutBucketEncryptionOutput>> {
        self.store.bucket(&input.bucket)?;
        let rules = &input.server_side_encryption_configuration.rules;
        let defaults = rules.iter().filter_map(|rule| rule.apply_server_side_encryption_by_default.as_ref());
        let is_usual = defaults.clone().count() == 1
            && defaults.clone().all(|default| default.sse_algorithm.as_str() == ServerSideEncryption::AES256);
        only(is_usual, PutBucketEncryptionOutput::default())
    }

    pub(super) fn public_access(&self, input: &GetPublicAccessBlockInput) -> S3Result<S3Response<GetPublicAccessBlockOutput>> {
        let closed = PublicAccessBlockConfiguration {
            block_public_acls: Some(true),
            block_public_policy: Some(true),
            ignore_public_acls: Some(true),
            restrict_public_buckets: Some(true),
        };
        self.about(&input.bucket, GetPublicAccessBlockOutput { public_access_block_configuration: Some(closed) })
    }

    pub(super) fn set_public_access(&self, input: PutPublicAccessBlockInput) -> S3Result<S3Response<PutPublicAccessBlockOutput>> {
        self.store.bucket(&input.bucket)?;
        let asked = input.public_access_block_configuration;
        let all = [asked.block_public_acls, asked.block_public_policy, asked.ignore_public_acls, asked.restrict_public_buckets];
        only(all == [Some(true); 4], PutPublicAccessBlockOutput::default())
    }

    pub(super) fn ownership(
        &self,
        input: &GetBucketOwnershipControlsInput,
    ) -> S3Result<S3Response<GetBucketOwnershipControlsOutput>> {
        let object_ownership = ObjectOwnership::from_static(ObjectOwnership::BUCKET_OWNER_ENFORCED);
        let controls = OwnershipControls { rules: vec![OwnershipControlsRule { object_ownership }] };
        self.about(&input.bucket, GetBucketOwnershipControlsOutput { ownership_controls: Some(controls) })
    }

    pub(super) fn set_ownership(
        &self,
        input: &PutBucketOwnershipControlsInput,
    ) -> S3Result<S3Response<PutBucketOwnershipControlsOutput>> {
        self.store.bucket(&input.bucket)?;
        let mut rules = input.ownership_controls.rules.iter();
        let is_usual = rules.all(|rule| rule.object_ownership.as_str() == ObjectOwnership::BUCKET_OWNER_ENFORCED);
        only(is_usual, PutBucketOwnershipControlsOutput::default())
    }

    pub(super) fn policy_status(&self, input: &GetBucketPolicyStatusInput) -> S3Result<S3Response<GetBucketPolicyStatusOutput>> {
        self.store.bucket(&input.bucket)?;
        let state = self.sim.state.get();
        let Some(policy) = state.bucket_policies.get(&input.bucket) else { return unset(S3ErrorCode::NoSuchBucketPolicy) };
        let status = PolicyStatus { is_public: Some(is_public(policy)) };
        Ok(S3Response::new(GetBucketPolicyStatusOutput { policy_status: Some(status) }))
    }

    pub(super) fn request_payment(
        &self,
        input: &GetBucketRequestPaymentInput,
    ) -> S3Result<S3Response<GetBucketRequestPaymentOutput>> {
        let payer = Some(Payer::from_static(Payer::BUCKET_OWNER));
        self.about(&input.bucket, GetBucketRequestPaymentOutput { payer })
    }

    pub(super) fn logging(&self, input: &GetBucketLoggingInput) -> S3Result<S3Response<GetBucketLoggingOutput>> {
        self.about(&input.bucket, GetBucketLoggingOutput::default())
    }

    pub(super) fn notifications(
        &self,
        input: &GetBucketNotificationConfigurationInput,
    ) -> S3Result<S3Response<GetBucketNotificationConfigurationOutput>> {
        self.about(&input.bucket, GetBucketNotificationConfigurationOutput::default())
    }

    pub(super) fn acceleration(
        &self,
        input: &GetBucketAccelerateConfigurationInput,
    ) -> S3Result<S3Response<GetBucketAccelerateConfigurationOutput>> {
        self.about(&input.bucket, GetBucketAccelerateConfigurationOutput::default())
    }

    pub(super) fn cors(&self, input: &GetBucketCorsInput) -> S3Result<S3Response<GetBucketCorsOutput>> {
        self.store.bucket(&input.bucket)?;
        unset(S3ErrorCode::NoSuchCORSConfiguration)
    }

    pub(super) fn lifecycle(
        &self,
        input: &GetBucketLifecycleConfigurationInput,
    ) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
        self.store.bucket(&input.bucket)?;
        unset(S3ErrorCode::NoSuchLifecycleConfiguration)
    }

    pub(super) fn replication(&self, input: &GetBucketReplicationInput) -> S3Result<S3Response<GetBucketReplicationOutput>> {
        self.store.bucket(&input.bucket)?;
        unset(S3ErrorCode::ReplicationConfigurationNotFoundError)
    }

    pub(super) fn website(&self, input: &GetBucketWebsiteInput) -> S3Result<S3Response<GetBucketWebsiteOutput>> {
        self.store.bucket(&input.bucket)?;
        unset(S3ErrorCode::NoSuchWebsiteConfiguration)
    }

    pub(super) fn object_lock(
        &self,
        input: &GetObjectLockConfigurationInput,
    ) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
        self.store.bucket(&input.bucket)?;
        unset(S3ErrorCode::ObjectLockConfigurationNotFoundError)
    }

    pub(super) fn retention(&self, input: &GetObjectRetentionInput) -> S3Result<S3Response<GetObjectRetentionOutput>> {
        self.store.object(&input.bucket, &input.key)?;
        Err(no_locks())
    }

    pub(super) fn legal_hold(&self, input: &GetObjectLegalHoldInput) -> S3Result<S3Response<GetObjectLegalHoldOutput>> {
        self.store.object(&input.bucket, &input.key)?;
        Err(no_locks())
    }
}

fn no_locks() -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidRequest, "Bucket is missing Object Lock Configuration")
}
