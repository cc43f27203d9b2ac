//! One bucket.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt as _, RetryConfig};
use skybru_core::Ctx;
use tokio_util::io::StreamReader;

use super::error::Operation;
use super::location::check_key;
use super::service::{Connector, Provider};
use super::{Entry, ObjectInfo, Progress, StorageError, Transferred};
use crate::aws::AwsCredentialSource;
use crate::http::{self, Http};

/// S3 copies at most 5 GiB by one request.
const LARGEST_COPY: u64 = 5 * 1024 * 1024 * 1024;

/// How deep a listing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// To the next slash: what lies deeper appears as folders.
    Folder,
    /// Every object.
    All,
}

/// A bucket, with the credentials of a role. Cheap to clone.
#[derive(Clone)]
pub struct Bucket {
    pub(super) ctx: Ctx,
    pub(super) store: Arc<AmazonS3>,
    pub(super) name: Arc<str>,
    /// Endpoint and role: with the same, S3 can copy by itself.
    identity: Arc<str>,
}

impl Bucket {
    /// The bucket `name`, in the region and at the endpoint of the credentials' target. Asks nothing yet.
    pub fn open(ctx: Ctx, http: &Http, credentials: Arc<AwsCredentialSource>, name: &str) -> Result<Self, StorageError> {
        let endpoint = credentials.target().endpoint.clone();
        Self::open_at(ctx, http, credentials, name, endpoint.as_deref())
    }

    /// The bucket `name` at another S3 endpoint than that of the credentials' target; `None` is AWS's own.
    pub fn open_at(
        ctx: Ctx,
        http: &Http,
        credentials: Arc<AwsCredentialSource>,
        name: &str,
        endpoint: Option<&str>,
    ) -> Result<Self, StorageError> {
        let target = credentials.target();
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(name)
            .with_region(target.region.as_str())
            .with_http_connector(Connector(http.for_transfer()))
            // One DELETE per object: a bulk answer is 200 even when each of its deletions is refused.
            .with_disable_bulk_delete(true)
            .with_retry(RetryConfig { max_retries: 4, retry_timeout: Duration::from_mins(2), ..RetryConfig::default() });
        if let Some(endpoint) = endpoint {
            let url = http::checked(endpoint).map_err(|error| StorageError::Setup(Box::new(error)))?;
            // Path style: a bucket's name in front of localhost is no host. Plain http was just found to be this machine.
            builder = builder
                .with_allow_http(url.scheme() == "http")
                .with_endpoint(endpoint.trim_end_matches('/'))
                .with_virtual_hosted_style_request(false);
        }
        let identity = format!("{} {} {}", endpoint.unwrap_or_default(), target.region, target.role);
        let store = builder
            .with_credentials(Arc::new(Provider(credentials)))
            .build()
            .map_err(|error| StorageError::Setup(Box::new(error)))?;
        Ok(Self { ctx, store: Arc::new(store), name: name.into(), identity: identity.into() })
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `s3://BUCKET/KEY`, for messages.
    pub fn address(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// What begins with `prefix`: any text, no folder is implied. One page of at most 1000 entries is held at a time; within a page
    /// the entries are sorted.
    pub fn list(&self, prefix: &str, depth: Depth) -> BoxStream<'static, Result<Entry, StorageError>> {
        let (bucket, prefix) = (self.clone(), prefix.to_owned());
        let pages = stream::try_unfold(Some(None), move |page: Option<Option<String>>| {
            let (bucket, prefix) = (bucket.clone(), prefix.clone());
            async move {
                let Some(page_token) = page else { return Ok(None) };
                let (entries, next) = bucket.page(&prefix, depth, page_token).await?;
                Ok::<_, StorageError>(Some((stream::iter(entries.into_iter().map(Ok)), next.map(Some))))
            }
        });
        pages.try_flatten().boxed()
    }

    async fn page(
        &self,
        prefix: &str,
        depth: Depth,
        page_token: Option<String>,
    ) -> Result<(Vec<Entry>, Option<String>), StorageError> {
        let options = PaginatedListOptions {
            delimiter: (depth == Depth::Folder).then_some("/".into()),
            page_token,
            ..PaginatedListOptions::default()
        };
        let prefix_or_none = (!prefix.is_empty()).then_some(prefix);
        let page = self
            .store
            .list_paginated(prefix_or_none, options)
            .await
            .map_err(|error| Operation::List.failed(&self.name, self.address(prefix), error))?;
        let objects = page.result.objects.into_iter().map(|meta| Entry::Object(meta.into()));
        let folders = page.result.common_prefixes.into_iter().map(|path| Entry::Folder(format!("{path}/")));
        let mut entries: Vec<Entry> = objects.chain(folders).collect();
        entries.sort_by(|a, b| a.key().cmp(b.key()));
        Ok((entries, page.page_token))
    }

    /// What is known of the object.
    pub async fn info(&self, key: &str) -> Result<ObjectInfo, StorageError> {
        let meta = self.store.head(&path(key)?).await;
        meta.map(Into::into).map_err(|error| Operation::Read.failed(&self.name, self.address(key), error))
    }

    /// Whether the other is the same bucket, seen by the same role.
    pub fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.identity == other.identity
    }

    /// Copies the object `key` of `size` bytes to `to` in `sink`: within one bucket S3 does it itself, otherwise it goes through this
    /// machine, since the two ends may need different credentials.
    pub async fn copy_object(
        &self,
        key: &str,
        size: u64,
        sink: &Self,
        to: &str,
        progress: &dyn Progress,
    ) -> Result<Transferred, StorageError> {
        if self.is_same(sink) && size <= LARGEST_COPY {
            progress.started(Some(size));
            let copied = self.store.copy(&path(key)?, &path(to)?).await;
            copied.map_err(|error| Operation::Write.failed(&self.name, self.address(to), error))?;
            progress.advanced(size);
            progress.finished();
            return Ok(Transferred { files: 1, bytes: size });
        }
        let object = self.read(key).await?;
        let bytes = object.bytes.map_err(std::io::Error::other);
        sink.upload_stream(StreamReader::new(bytes), Some(object.info.size), to, progress).await
    }

    /// Deletes the object. S3 does not say whether it was there.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let deleted = self.store.delete(&path(key)?).await;
        deleted.map_err(|error| Operation::Delete.failed(&self.name, self.address(key), error))
    }
}

/// The key as the library names it. What it would encode or drop in silence is refused.
pub(super) fn path(key: &str) -> Result<Path, StorageError> {
    let refused = || super::LocationError::Key(key.chars().take(200).collect());
    check_key(key)?;
    let path = Path::parse(key).map_err(|_| refused())?;
    if path.as_ref() == key && !key.is_empty() { Ok(path) } else { Err(refused().into()) }
}

impl Entry {
    /// The whole key; of a folder, with its slash.
    pub fn key(&self) -> &str {
        match self {
            Self::Object(info) => &info.key,
            Self::Folder(key) => key,
        }
    }
}

impl From<ObjectMeta> for ObjectInfo {
    fn from(meta: ObjectMeta) -> Self {
        Self {
            key: meta.location.into(),
            size: meta.size,
            last_modified: Timestamp::from_second(meta.last_modified.timestamp()).unwrap_or_default(),
            e_tag: meta.e_tag,
        }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_used_as_written_or_not_at_all() {
        assert_eq!(path("a b/æ.csv").unwrap().as_ref(), "a b/æ.csv");
        for wrong in ["", "a/", "/a", "a//b", "a/../b", "./a", "a\n"] {
            assert!(path(wrong).is_err(), "{wrong:?}");
        }
    }
}
