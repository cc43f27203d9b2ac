//! One bucket, container or share.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectMeta, RetryConfig};
use reqwest::Url;
use skybru_core::Ctx;
use tokio_util::io::StreamReader;

use super::azure_blob::{AzureBlob, VERSION};
use super::azure_files::AzureFiles;
use super::cloud::Cloud;
use super::error::Operation;
use super::google::Google;
use super::identities::{AzureBearer, GoogleBearer};
use super::location::check_key;
use super::rest::{Rest, below};
use super::s3::S3;
use super::service::{BearerProvider, BearerSource, Connector, GoogleProvider, RoleProvider};
use super::store::Store;
use super::{Entry, ObjectInfo, Progress, Skipped, StorageError, Transferred};
use crate::aws::AwsCredentialSource;
use crate::azure::AzureCredentialSource;
use crate::google::GoogleCredentialSource;
use crate::http::{self as web, Http};

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

/// A container of Azure Blob Storage, or a share of Azure Files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzurePlace {
    /// The storage account.
    pub account: String,
    /// The container's or share's name.
    pub name: String,
    /// Another address than Azure's own for the account's blobs or files: the lab's.
    pub endpoint: Option<String>,
}

/// A bucket, with the credentials to use it. Cheap to clone.
#[derive(Clone)]
pub struct Bucket {
    pub(super) ctx: Ctx,
    pub(super) store: Arc<dyn Store>,
    pub(super) cloud: Cloud,
    /// As in an address: of Azure with the account in front.
    pub(super) name: Arc<str>,
    /// Endpoint and identity: with the same, the storage can copy by itself.
    identity: Arc<str>,
    /// What recursive commands passed over.
    skipped: Arc<Mutex<Skipped>>,
}

pub(super) fn retries() -> RetryConfig {
    RetryConfig { max_retries: 4, retry_timeout: Duration::from_mins(2), ..RetryConfig::default() }
}

fn setup(error: impl std::error::Error + Send + Sync + 'static) -> StorageError {
    StorageError::Setup(Box::new(error))
}

fn endpoint_url(endpoint: &str) -> Result<Url, StorageError> {
    web::checked(endpoint.trim_end_matches('/')).map_err(setup)
}

impl Bucket {
    /// The S3 bucket `name`, in the region and at the endpoint of the credentials' target. Asks nothing yet.
    pub fn open(ctx: Ctx, http: &Http, credentials: Arc<AwsCredentialSource>, name: &str) -> Result<Self, StorageError> {
        let endpoint = credentials.target().endpoint.clone();
        Self::open_at(ctx, http, credentials, name, endpoint.as_deref())
    }

    /// The S3 bucket `name` at another endpoint than that of the credentials' target; `None` is AWS's own.
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
            .with_http_connector(Connector { client: http.for_transfer(), cloud: Cloud::S3 })
            // One DELETE per object: a bulk answer is 200 even when each of its deletions is refused.
            .with_disable_bulk_delete(true)
            .with_retry(retries());
        if let Some(endpoint) = endpoint {
            let url = endpoint_url(endpoint)?;
            // Path style: a bucket's name in front of localhost is no host. Plain http was just found to be this machine.
            builder = builder
                .with_allow_http(url.scheme() == "http")
                .with_endpoint(endpoint.trim_end_matches('/'))
                .with_virtual_hosted_style_request(false);
        }
        let identity = format!("{} {} {}", endpoint.unwrap_or_default(), target.region, target.role);
        let store = builder.with_credentials(Arc::new(RoleProvider(credentials))).build().map_err(setup)?;
        let rest = Rest { ctx: ctx.clone(), client: http.for_transfer(), bearer: None, headers: HeaderMap::new(), name: "S3" };
        Ok(Self::over(ctx, Cloud::S3, S3 { store, rest }, name, &identity))
    }

    /// The bucket `name` of Google Cloud Storage. `identity` tells whose tokens `bearer` gives; `endpoint` is another address than
    /// Google's own. Asks nothing yet.
    pub fn open_google(
        ctx: Ctx,
        http: &Http,
        bearer: Arc<dyn BearerSource>,
        identity: &str,
        name: &str,
        endpoint: Option<&str>,
    ) -> Result<Self, StorageError> {
        let url = endpoint_url(endpoint.unwrap_or("https://storage.googleapis.com"))?;
        let store = GoogleCloudStorageBuilder::new()
            .with_bucket_name(name)
            .with_base_url(url.as_str().trim_end_matches('/'))
            .with_http_connector(Connector { client: http.for_transfer(), cloud: Cloud::Google })
            .with_retry(retries())
            .with_credentials(Arc::new(GoogleProvider(bearer.clone())))
            .build()
            .map_err(setup)?;
        let base = below(&url, [name]);
        let rest =
            Rest { ctx: ctx.clone(), client: http.for_transfer(), bearer: Some(bearer), headers: HeaderMap::new(), name: "GCS" };
        Ok(Self::over(ctx, Cloud::Google, Google { store, rest, base }, name, &format!("{url} {identity}")))
    }

    /// A container of Azure Blob Storage, which is one of Azure Data Lake Storage too. Asks nothing yet.
    pub fn open_azure_blob(
        ctx: Ctx,
        http: &Http,
        bearer: Arc<dyn BearerSource>,
        identity: &str,
        place: &AzurePlace,
    ) -> Result<Self, StorageError> {
        let url = endpoint_url(&place.endpoint("blob"))?;
        let store = MicrosoftAzureBuilder::new()
            .with_account(&place.account)
            .with_container_name(&place.name)
            .with_endpoint(url.as_str().trim_end_matches('/').to_owned())
            .with_allow_http(url.scheme() == "http")
            .with_http_connector(Connector { client: http.for_transfer(), cloud: Cloud::AzureBlob })
            .with_retry(retries())
            .with_credentials(Arc::new(BearerProvider(bearer.clone())))
            .build()
            .map_err(setup)?;
        let base = below(&url, [place.name.as_str()]);
        let rest = Rest {
            ctx: ctx.clone(),
            client: http.for_transfer(),
            bearer: Some(bearer),
            headers: azure_headers(false),
            name: "Azure",
        };
        let name = format!("{}/{}", place.account, place.name);
        Ok(Self::over(ctx, Cloud::AzureBlob, AzureBlob { store, rest, base }, &name, &format!("{url} {identity}")))
    }

    /// A share of Azure Files. Asks nothing yet.
    pub fn open_azure_files(
        ctx: Ctx,
        http: &Http,
        bearer: Arc<dyn BearerSource>,
        identity: &str,
        place: &AzurePlace,
    ) -> Result<Self, StorageError> {
        let url = endpoint_url(&place.endpoint("file"))?;
        let base = below(&url, [place.name.as_str()]);
        let rest = Rest {
            ctx: ctx.clone(),
            client: http.for_transfer(),
            bearer: Some(bearer),
            headers: azure_headers(true),
            name: "Azure Files",
        };
        let name = format!("{}/{}", place.account, place.name);
        Ok(Self::over(ctx, Cloud::AzureFiles, AzureFiles { rest, base }, &name, &format!("{url} {identity}")))
    }

    /// The bucket `name` of Google Cloud Storage, with the credentials of a target and at its endpoint. Asks nothing yet.
    pub fn of_google(ctx: Ctx, http: &Http, credentials: Arc<GoogleCredentialSource>, name: &str) -> Result<Self, StorageError> {
        let target = credentials.target();
        let identity = format!("{} {:?}", target.provider, target.service_account);
        let endpoint = target.storage_url().to_owned();
        Self::open_google(ctx, http, Arc::new(GoogleBearer(credentials)), &identity, name, Some(&endpoint))
    }

    /// A container or share of Azure's, with the credentials of a target. Asks nothing yet.
    pub fn of_azure(
        ctx: Ctx,
        http: &Http,
        credentials: Arc<AzureCredentialSource>,
        cloud: Cloud,
        place: &AzurePlace,
    ) -> Result<Self, StorageError> {
        let target = credentials.target();
        let identity = format!("{} {}", target.tenant_id, target.client_id);
        let bearer = Arc::new(AzureBearer(credentials));
        match cloud {
            Cloud::AzureFiles => Self::open_azure_files(ctx, http, bearer, &identity, place),
            _ => Self::open_azure_blob(ctx, http, bearer, &identity, place),
        }
    }

    pub(super) fn over(ctx: Ctx, cloud: Cloud, store: impl Store + 'static, name: &str, identity: &str) -> Self {
        Self { ctx, store: Arc::new(store), cloud, name: name.into(), identity: identity.into(), skipped: Arc::default() }
    }

    /// Notes a key that is passed over.
    pub(super) fn skip(&self, key: &str) {
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).note(self.address(key));
    }

    pub(super) fn skipped(&self) -> Skipped {
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The bucket's name; of Azure with the account in front.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose storage it is.
    pub fn cloud(&self) -> Cloud {
        self.cloud
    }

    /// `s3://BUCKET/KEY` and the like, for messages.
    pub fn address(&self, key: &str) -> String {
        format!("{}://{}/{key}", self.cloud.scheme(), self.name)
    }

    pub(super) fn failed(&self, operation: Operation, key: &str, error: object_store::Error) -> StorageError {
        operation.failed(self.cloud, self.address(""), self.address(key), error)
    }

    /// What begins with `prefix`: any text, no folder is implied. One page is held at a time; within a page the entries are sorted.
    pub fn list(&self, prefix: &str, depth: Depth) -> BoxStream<'static, Result<Entry, StorageError>> {
        let (bucket, prefix) = (self.clone(), prefix.to_owned());
        let pages = stream::try_unfold(Some(None), move |page: Option<Option<String>>| {
            let (bucket, prefix) = (bucket.clone(), prefix.clone());
            async move {
                let Some(next) = page else { return Ok(None) };
                let page = bucket.store.page(&prefix, depth, next).await;
                let (mut entries, next) = page.map_err(|error| bucket.failed(Operation::List, &prefix, error))?;
                entries.sort_by(|a, b| a.key().cmp(b.key()));
                Ok::<_, StorageError>(Some((stream::iter(entries.into_iter().map(Ok)), next.map(Some))))
            }
        });
        pages.try_flatten().boxed()
    }

    /// What is known of the object.
    pub async fn info(&self, key: &str) -> Result<ObjectInfo, StorageError> {
        let head = self.store.head(&path(key)?).await;
        head.map(|(info, _)| info).map_err(|error| self.failed(Operation::Read, key, error))
    }

    /// Whether the other is the same bucket, seen by the same identity.
    pub fn is_same(&self, other: &Self) -> bool {
        self.cloud == other.cloud && self.name == other.name && self.identity == other.identity
    }

    /// Copies the object `key` of `size` bytes to `to` in `sink`: within one bucket the storage does it itself, otherwise it goes
    /// through this machine, since the two ends may need different credentials.
    pub async fn copy_object(
        &self,
        key: &str,
        size: u64,
        sink: &Self,
        to: &str,
        progress: &dyn Progress,
    ) -> Result<Transferred, StorageError> {
        if self.is_same(sink) && (size <= LARGEST_COPY || self.cloud != Cloud::S3) {
            progress.started(Some(size));
            let copied = self.store.copy(&path(key)?, &path(to)?).await;
            copied.map_err(|error| self.failed(Operation::Write, to, error))?;
            progress.advanced(size);
            progress.finished();
            return Ok(Transferred { files: 1, bytes: size });
        }
        let object = self.read(key).await?;
        let bytes = object.bytes.map_err(std::io::Error::other);
        sink.upload_stream(StreamReader::new(bytes), Some(object.info.size), to, progress).await
    }

    /// Writes a document of a web site: with its media type, and with what `Cache-Control` shall say to whoever fetches it.
    pub async fn put_document(&self, key: &str, content: Vec<u8>, media_type: &str, cache: &str) -> Result<(), StorageError> {
        let attributes =
            Attributes::from_iter([(Attribute::ContentType, media_type.to_owned()), (Attribute::CacheControl, cache.to_owned())]);
        let put = self.store.put_document(&path(key)?, content.into(), attributes).await;
        put.map_err(|error| self.failed(Operation::Write, key, error))
    }

    /// Deletes the object. S3 does not say whether it was there.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let deleted = self.store.delete(&path(key)?).await;
        deleted.map_err(|error| self.failed(Operation::Delete, key, error))
    }
}

impl AzurePlace {
    fn endpoint(&self, kind: &str) -> String {
        self.endpoint.clone().unwrap_or_else(|| format!("https://{}.{kind}.core.windows.net", self.account))
    }
}

/// What goes with every request of our own to Azure.
pub(super) fn azure_headers(files: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-ms-version", HeaderValue::from_static(VERSION));
    if files {
        headers.insert("x-ms-file-request-intent", HeaderValue::from_static("backup"));
    }
    headers
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
            Self::Folder(key) | Self::Unusable(key) => key,
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
        f.debug_tuple("Bucket").field(&self.address("")).finish()
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
