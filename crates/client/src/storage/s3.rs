//! Amazon S3, and what speaks its protocol.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use object_store::ObjectStoreExt as _;
use object_store::aws::AmazonS3;
use object_store::multipart::MultipartStore as _;
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer as _};
use object_store::{Attributes, GetRange};
use reqwest::Url;

use super::listing::{objects_page, objects_query};
use super::rest::{Ask, Rest};
use super::store::{self, Answer, LeftOver, Opened, Page, Store};
use super::xml_parts::{add_parts, latest_upload, parts_query, uploads_query};
use super::{Depth, ObjectInfo};

/// A signed address need not live longer than its request.
const SIGNED_FOR: Duration = Duration::from_mins(5);

const CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");

/// One bucket.
pub(super) struct S3 {
    pub(super) store: AmazonS3,
    /// For what the library does not ask.
    pub(super) rest: Rest,
}

impl S3 {
    async fn signed(&self, method: Method, key: &Path, options: &SignedUrlOptions) -> Answer<Url> {
        self.store.signed_url_opts(method, key, SIGNED_FOR, options).await
    }

    async fn read(&self, key: &Path, query: Vec<(String, String)>) -> Answer<Bytes> {
        let url = self.signed(Method::GET, key, &SignedUrlOptions::new().with_query(query)).await?;
        Ok(self.rest.send(&Ask::new(Method::GET, url)).await?.body)
    }
}

#[async_trait]
impl Store for S3 {
    async fn page(&self, prefix: &str, depth: Depth, next: Option<String>) -> Answer<Page> {
        let listed = self.read(&Path::default(), objects_query(prefix, depth, next)).await?;
        objects_page(self.rest.name, &listed)
    }

    async fn head(&self, key: &Path) -> Answer<(ObjectInfo, HeaderMap)> {
        store::head(&self.store, key).await
    }

    async fn get(&self, key: &Path, range: Option<GetRange>, e_tag: Option<String>) -> Answer<Opened> {
        store::get(&self.store, key, range, e_tag).await
    }

    async fn put(&self, key: &Path, content: Bytes) -> Answer<()> {
        store::put(&self.store, key, content).await
    }

    async fn put_document(&self, key: &Path, content: Bytes, attributes: Attributes) -> Answer<()> {
        store::put_document(&self.store, key, content, attributes).await
    }

    async fn begin(&self, key: &Path, _size: Option<u64>) -> Answer<String> {
        self.store.create_multipart(key).await
    }

    async fn put_part(&self, key: &Path, upload: &str, number: usize, _at: Range<u64>, part: Bytes) -> Answer<String> {
        store::put_part(&self.store, key, upload, number, part).await
    }

    async fn complete(&self, key: &Path, upload: &str, parts: Vec<String>, _md5: Option<[u8; 16]>) -> Answer<()> {
        store::complete(&self.store, key, upload, parts).await
    }

    async fn abort(&self, key: &Path, upload: &str) -> Answer<()> {
        self.store.abort_multipart(key, &upload.to_owned()).await
    }

    async fn left_over(&self, key: &Path, _size: Option<u64>) -> Answer<Option<LeftOver>> {
        let listed = self.read(&Path::default(), uploads_query(key.as_ref())).await?;
        let Some(upload) = latest_upload(self.rest.name, &listed, key.as_ref())? else { return Ok(None) };
        let mut left = LeftOver { upload, ..LeftOver::default() };
        let mut marker = None;
        loop {
            let page = self.read(key, parts_query(&left.upload, marker.as_deref())).await?;
            marker = add_parts(self.rest.name, &page, &mut left)?;
            if marker.is_none() {
                return Ok(Some(left));
            }
        }
    }

    async fn copy(&self, from: &Path, to: &Path) -> Answer<()> {
        self.store.copy(from, to).await
    }

    async fn delete(&self, key: &Path) -> Answer<()> {
        self.store.delete(key).await
    }

    /// S3 tells its sums only to those who ask, by a header that the library does not send.
    async fn extra_sum(&self, key: &Path) -> Option<HeaderMap> {
        let enabled = HeaderValue::from_static("ENABLED");
        let options = SignedUrlOptions::new().with_signed_header(CHECKSUM_MODE, enabled.clone());
        let url = self.signed(Method::HEAD, key, &options).await.ok()?;
        let mut ask = Ask::new(Method::HEAD, url);
        ask.headers.insert(CHECKSUM_MODE, enabled);
        self.rest.send(&ask).await.ok().map(|told| told.headers)
    }
}
