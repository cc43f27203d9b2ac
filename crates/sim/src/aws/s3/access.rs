//! Who may do what in S3.
//!
//! `s3s` verifies the signature with the secret that [`Keys`] gives it; [`Gate`] then checks session token and expiry, and asks
//! `skybru-federation` whether the role's policies allow the operation.

use std::sync::Arc;

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::host::{S3Host, VirtualHost};
use s3s::{S3Error, S3ErrorCode, S3Result};
use skybru_core::Secret;
use skybru_federation::aws::{AwsError, s3};

use crate::aws::Sim;
use crate::aws::caller::{Caller, Permissions};

/// The secrets of access keys.
pub(super) struct Keys(pub(super) Arc<Sim>);

/// The check before every operation.
pub(super) struct Gate(pub(super) Arc<Sim>);

/// Buckets as host names: `BUCKET.localhost`, which many SDKs make of an endpoint without being asked.
pub(super) struct Hosts;

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let account = &self.0.account;
        if access_key == account.root_access_key_id {
            return Ok(SecretKey::from(account.root_secret_access_key.expose()));
        }
        let state = self.0.state.get();
        let session = state.sessions.get(access_key).ok_or_else(unknown_key)?;
        Ok(SecretKey::from(session.secret_access_key.expose()))
    }
}

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let caller = self.caller(cx)?;
        let name = cx.s3_op().name();
        // What these are about stands in the body or a header: they are judged where it has been read.
        if !matches!(name, "DeleteObjects" | "CopyObject" | "UploadPartCopy") {
            let parameters = Query(cx.uri().query().unwrap_or_default());
            let (prefix, delimiter, max_keys) =
                (parameters.get("prefix"), parameters.get("delimiter"), parameters.get("max-keys"));
            let operation = s3::Operation {
                name,
                bucket: cx.s3_path().get_bucket_name(),
                key: cx.s3_path().get_object_key(),
                copy_source: None,
                prefix: prefix.as_deref(),
                delimiter: delimiter.as_deref(),
                max_keys: max_keys.as_deref(),
            };
            authorize(&self.0, &caller, &operation)?;
        }
        // Without versions there is one, and it is called `null`.
        if Query(cx.uri().query().unwrap_or_default()).get("versionId").is_some_and(|version| version != "null") {
            return Err(S3Error::with_message(S3ErrorCode::InvalidArgument, "Invalid version id specified"));
        }
        cx.extensions_mut().insert(caller);
        Ok(())
    }
}

impl Gate {
    fn caller(&self, cx: &S3AccessContext<'_>) -> S3Result<Caller> {
        let query = Query(cx.uri().query().unwrap_or_default());
        let header = |name: &str| cx.headers().get(name).and_then(|value| value.to_str().ok());
        // Signature version 2 is gone from AWS; `s3s` still takes it.
        let old_header = header("authorization").is_some_and(|value| !value.starts_with("AWS4-HMAC-SHA256"));
        if old_header || query.get("AWSAccessKeyId").is_some() {
            let text = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
            return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, text));
        }
        let Some(credentials) = cx.credentials() else {
            return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "Access Denied"));
        };
        let token = header("x-amz-security-token").map(str::to_owned).or_else(|| query.get("X-Amz-Security-Token"));
        if credentials.access_key == self.0.account.root_access_key_id {
            return if token.is_none() { Ok(Caller::Root) } else { Err(invalid_token()) };
        }
        let state = self.0.state.get();
        let session = state.sessions.get(&credentials.access_key).ok_or_else(unknown_key)?;
        // A temporary key without its token is, to S3, no key at all.
        let token = token.ok_or_else(unknown_key)?;
        if !Secret::from(token).matches(session.token.expose()) {
            return Err(invalid_token());
        }
        if session.is_expired(self.0.ctx.clock.unix_seconds()) {
            return Err(S3Error::with_message(S3ErrorCode::ExpiredToken, "The provided token has expired."));
        }
        Ok(Caller::Session(Arc::clone(session)))
    }
}

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let name =
            host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(name, _)| name);
        match name.strip_suffix(".localhost") {
            // The services' own names are no buckets.
            Some(bucket) if !matches!(bucket, "s3" | "sts" | "iam") => Ok(VirtualHost::new("localhost").with_bucket(bucket)),
            _ => Ok(VirtualHost::new(host)),
        }
    }
}

/// Asks the rules whether `caller` may do `operation` now.
pub(super) fn authorize(sim: &Sim, caller: &Caller, operation: &s3::Operation<'_>) -> S3Result<()> {
    let Caller::Session(session) = caller else { return Ok(()) };
    let permissions = Permissions::of(session, &sim.state.get());
    permissions.authorize_s3(session, operation, sim.ctx.clock.unix_seconds()).map_err(refusal)
}

/// An error of the rules as one of S3.
pub(super) fn refusal(error: AwsError) -> S3Error {
    tracing::info!(code = error.code, rule = error.rule, message = error.message, "S3 refused");
    let code = S3ErrorCode::from_bytes(error.code.as_bytes()).unwrap_or(S3ErrorCode::AccessDenied);
    S3Error::with_message(code, error.message)
}

/// The parameters in a URL.
struct Query<'a>(&'a str);

impl Query<'_> {
    fn get(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.0.as_bytes()).find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }
}

fn unknown_key() -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidAccessKeyId, usual_text("InvalidAccessKeyId"))
}

fn invalid_token() -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidToken, "The provided token is malformed or otherwise invalid.")
}

/// S3's own text for a code, for errors that come without one.
pub(super) fn usual_text(code: &str) -> &'static str {
    match code {
        "AccessDenied" => "Access Denied",
        "BadDigest" => "The Content-MD5 or checksum value that you specified did not match what the server received.",
        "BucketAlreadyOwnedByYou" => "Your previous request to create the named bucket succeeded and you already own it.",
        "BucketNotEmpty" => "The bucket you tried to delete is not empty",
        "EntityTooSmall" => "Your proposed upload is smaller than the minimum allowed size",
        "IncompleteBody" => "The request body terminated unexpectedly",
        "InternalError" => "We encountered an internal error. Please try again.",
        "InvalidAccessKeyId" => "The AWS Access Key Id you provided does not exist in our records.",
        "InvalidArgument" => "Invalid Argument",
        "InvalidBucketName" => "The specified bucket is not valid.",
        "InvalidDigest" => "The Content-MD5 you specified was invalid.",
        "InvalidPart" => {
            "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
        }
        "InvalidPartOrder" => "The list of parts was not in ascending order. Parts must be ordered by part number.",
        "InvalidRange" => "The requested range is not satisfiable",
        "KeyTooLongError" => "Your key is too long",
        "MalformedXML" => "The XML you provided was not well-formed or did not validate against our published schema",
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "NoSuchBucket" => "The specified bucket does not exist",
        "NoSuchCORSConfiguration" => "The CORS configuration does not exist",
        "NoSuchLifecycleConfiguration" => "The lifecycle configuration does not exist",
        "NoSuchTagSet" => "The TagSet does not exist",
        "NoSuchWebsiteConfiguration" => "The specified bucket does not have a website configuration",
        "ObjectLockConfigurationNotFoundError" => "Object Lock configuration does not exist for this bucket",
        "ReplicationConfigurationNotFoundError" => "The replication configuration was not found",
        "NoSuchBucketPolicy" => "The bucket policy does not exist",
        "NoSuchKey" => "The specified key does not exist.",
        "NoSuchUpload" => {
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
        }
        "NotImplemented" => "A header you provided implies functionality that is not implemented",
        "PreconditionFailed" => "At least one of the pre-conditions you specified did not hold",
        "RequestTimeTooSkewed" => "The difference between the request time and the current time is too large.",
        "SignatureDoesNotMatch" => {
            "The request signature we calculated does not match the signature you provided. Check your key and signing method."
        }
        _ => "The request could not be completed.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_may_be_part_of_the_host() {
        assert_eq!(Hosts.parse_host_header("b.localhost:7411").unwrap().bucket(), Some("b"));
        assert_eq!(Hosts.parse_host_header("localhost:7411").unwrap().bucket(), None);
        assert_eq!(Hosts.parse_host_header("s3.localhost").unwrap().bucket(), None);
    }
}
