//! Listings of objects.

use s3s::dto::{
    CommonPrefix, ETag, EncodingType, ListObjectVersionsInput, ListObjectVersionsOutput, ListObjectsInput, ListObjectsOutput,
    ListObjectsV2Input, ListObjectsV2Output, Object, ObjectStorageClass, ObjectVersion, ObjectVersionStorageClass, Owner,
};
use s3s::{S3Error, S3ErrorCode, S3Response, S3Result};

use super::Objects;
use super::transfer::timestamp;
use crate::objects::Object as Stored;

/// The most that one page of a listing holds.
const PAGE: i32 = 1000;

impl Objects {
    /// `ListObjectsV2`: pages by token.
    pub(super) fn listed_by_token(&self, input: ListObjectsV2Input) -> S3Result<S3Response<ListObjectsV2Output>> {
        let token = input.continuation_token.as_deref().map(decode_token).transpose()?;
        let after = token.or_else(|| input.start_after.clone()).unwrap_or_default();
        let (prefix, delimiter) = (input.prefix.clone().unwrap_or_default(), input.delimiter.clone().unwrap_or_default());
        let limit = limit(input.max_keys)?;
        let page = self.store.list(&input.bucket, &prefix, &delimiter, &after, limit)?;
        let encode = encoder(input.encoding_type.as_ref());
        let owner = input.fetch_owner == Some(true);
        let output = ListObjectsV2Output {
            key_count: i32::try_from(page.objects.len() + page.prefixes.len()).ok(),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.map(|next| skybru_protocol::base64url::encode(next.as_bytes())),
            contents: Some(page.objects.into_iter().map(|object| self.listed(object, encode, owner)).collect()),
            common_prefixes: Some(common_prefixes(&page.prefixes, encode)),
            prefix: Some(encode(&prefix)),
            delimiter: input.delimiter.as_deref().map(encode),
            start_after: input.start_after.as_deref().map(encode),
            name: Some(input.bucket),
            max_keys: i32::try_from(limit).ok(),
            continuation_token: input.continuation_token,
            encoding_type: input.encoding_type,
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    /// `ListObjects`: pages by the last key.
    pub(super) fn listed_by_marker(&self, input: ListObjectsInput) -> S3Result<S3Response<ListObjectsOutput>> {
        let (prefix, delimiter) = (input.prefix.clone().unwrap_or_default(), input.delimiter.clone().unwrap_or_default());
        let limit = limit(input.max_keys)?;
        let page = self.store.list(&input.bucket, &prefix, &delimiter, input.marker.as_deref().unwrap_or_default(), limit)?;
        let encode = encoder(input.encoding_type.as_ref());
        let output = ListObjectsOutput {
            is_truncated: Some(page.next.is_some()),
            // Without a delimiter the caller goes on from the last key by itself.
            next_marker: page.next.filter(|_| input.delimiter.is_some()).as_deref().map(encode),
            contents: Some(page.objects.into_iter().map(|object| self.listed(object, encode, true)).collect()),
            common_prefixes: Some(common_prefixes(&page.prefixes, encode)),
            prefix: Some(encode(&prefix)),
            delimiter: input.delimiter.as_deref().map(encode),
            marker: Some(encode(input.marker.as_deref().unwrap_or_default())),
            name: Some(input.bucket),
            max_keys: i32::try_from(limit).ok(),
            encoding_type: input.encoding_type,
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    /// `ListObjectVersions` of a bucket without versions: each object is its only one, and is called `null`.
    pub(super) fn listed_versions(&self, input: ListObjectVersionsInput) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let (prefix, delimiter) = (input.prefix.clone().unwrap_or_default(), input.delimiter.clone().unwrap_or_default());
        if input.version_id_marker.is_some() && input.key_marker.is_none() {
            let text = "A version-id marker cannot be specified without a key marker.";
            return Err(S3Error::with_message(S3ErrorCode::InvalidArgument, text));
        }
        let limit = limit(input.max_keys)?;
        let after = input.key_marker.clone().unwrap_or_default();
        let page = self.store.list(&input.bucket, &prefix, &delimiter, &after, limit)?;
        let encode = encoder(input.encoding_type.as_ref());
        let versions = page.objects.into_iter().map(|object| {
            let listed = self.listed(object, encode, true);
            ObjectVersion {
                key: listed.key,
                e_tag: listed.e_tag,
                last_modified: listed.last_modified,
                size: listed.size,
                owner: listed.owner,
                storage_class: listed.storage_class.map(|class| ObjectVersionStorageClass::from(class.as_str().to_owned())),
                version_id: Some("null".to_owned()),
                is_latest: Some(true),
                ..Default::default()
            }
        });
        let output = ListObjectVersionsOutput {
            is_truncated: Some(page.next.is_some()),
            versions: Some(versions.collect()),
            common_prefixes: Some(common_prefixes(&page.prefixes, encode)),
            next_version_id_marker: page.next.is_some().then(|| "null".to_owned()),
            next_key_marker: page.next.as_deref().map(encode),
            prefix: Some(encode(&prefix)),
            delimiter: input.delimiter.as_deref().map(encode),
            key_marker: Some(encode(&after)),
            version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
            name: Some(input.bucket),
            max_keys: i32::try_from(limit).ok(),
            encoding_type: input.encoding_type,
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    fn listed(&self, object: Stored, encode: fn(&str) -> String, with_owner: bool) -> Object {
        let owner = Owner { id: Some(self.sim.account.id.clone()), ..Default::default() };
        Object {
            key: Some(encode(&object.key)),
            e_tag: Some(ETag::Strong(object.etag)),
            last_modified: Some(timestamp(object.modified)),
            size: i64::try_from(object.size).ok(),
            storage_class: Some(match object.attributes.storage_class {
                Some(class) => ObjectStorageClass::from(class),
                None => ObjectStorageClass::from_static(ObjectStorageClass::STANDARD),
            }),
            owner: with_owner.then_some(owner),
            ..Default::default()
        }
    }
}

fn common_prefixes(prefixes: &[String], encode: fn(&str) -> String) -> Vec<CommonPrefix> {
    prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(encode(prefix)) }).collect()
}

/// How keys are written in a listing: as they are, or percent-encoded when the caller asks, because XML cannot hold every character.
pub(super) fn encoder(asked: Option<&EncodingType>) -> fn(&str) -> String {
    if asked.is_some() {
        |text| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20").replace("%2F", "/")
    } else {
        |text| text.to_owned()
    }
}

fn decode_token(token: &str) -> S3Result<String> {
    let bytes = skybru_protocol::base64url::decode(token).ok();
    let text = "The continuation token provided is incorrect";
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| S3Error::with_message(S3ErrorCode::InvalidArgument, text))
}

pub(super) fn limit(asked: Option<i32>) -> S3Result<usize> {
    let text = "Argument maxKeys must be an integer between 0 and 2147483647";
    usize::try_from(asked.unwrap_or(PAGE).min(PAGE)).map_err(|_| S3Error::with_message(S3ErrorCode::InvalidArgument, text))
}
