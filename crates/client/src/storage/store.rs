//! What every kind of storage does for a [`Bucket`](super::Bucket), whoever speaks its protocol.

use std::collections::BTreeMap;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use http::HeaderMap;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{Attributes, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutOptions, PutPayload};

use super::service::AnswerHeaders;
use super::{Depth, Entry, ObjectInfo};

/// What the storage answered. The library's error carries the storage's own words in its text.
pub(super) type Answer<T> = object_store::Result<T>;

/// One page of a listing, in any order, and where the next begins.
pub(super) type Page = (Vec<Entry>, Option<String>);

/// An object that is being read.
pub(super) struct Opened {
    pub(super) info: ObjectInfo,
    pub(super) headers: HeaderMap,
    pub(super) bytes: BoxStream<'static, Answer<Bytes>>,
}

/// What an interrupted upload left at the storage.
#[derive(Debug, Default)]
pub(super) struct LeftOver {
    pub(super) upload: String,
    /// By number, from 0.
    pub(super) parts: BTreeMap<usize, LeftPart>,
}

/// A part that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftPart {
    /// By which it is named when the upload is completed.
    pub(super) id: String,
    /// In bytes.
    pub(super) size: u64,
    /// In lower-case hexadecimal.
    pub(super) md5: String,
}

/// A kind of storage. Keys are as [`check_key`](super::location::check_key) lets them through.
#[async_trait]
pub(super) trait Store: Send + Sync {
    async fn page(&self, prefix: &str, depth: Depth, next: Option<String>) -> Answer<Page>;

    /// What is known of the object; headers as in `HEAD`.
    async fn head(&self, key: &Path) -> Answer<(ObjectInfo, HeaderMap)>;

    /// Reads, with `e_tag` only if the object is still that one.
    async fn get(&self, key: &Path, range: Option<GetRange>, e_tag: Option<String>) -> Answer<Opened>;

    async fn put(&self, key: &Path, content: Bytes) -> Answer<()>;

    /// The same, with a media type and how long caches may keep it. A kind of storage that serves no web site cannot.
    async fn put_document(&self, key: &Path, content: Bytes, attributes: Attributes) -> Answer<()> {
        let _ = (key, content, attributes);
        let what = "a document of a web site".to_owned();
        Err(object_store::Error::NotImplemented { operation: what, implementer: "this kind of storage".to_owned() })
    }

    /// Begins an upload in parts; `size` where known.
    async fn begin(&self, key: &Path, size: Option<u64>) -> Answer<String>;

    /// Sends a part, and gives the name under which it is completed.
    async fn put_part(&self, key: &Path, upload: &str, number: usize, at: Range<u64>, part: Bytes) -> Answer<String>;

    /// Makes the object of its parts. `md5` is that of the whole, in binary, where it was summed up.
    async fn complete(&self, key: &Path, upload: &str, parts: Vec<String>, md5: Option<[u8; 16]>) -> Answer<()>;

    async fn abort(&self, key: &Path, upload: &str) -> Answer<()>;

    /// What an interrupted upload of this object left, which goes on with a source of `size` bytes, where that is known.
    async fn left_over(&self, key: &Path, size: Option<u64>) -> Answer<Option<LeftOver>>;

    /// Whether `complete` wants the sum of the whole.
    fn wants_md5(&self) -> bool {
        false
    }

    async fn copy(&self, from: &Path, to: &Path) -> Answer<()>;

    async fn delete(&self, key: &Path) -> Answer<()>;

    /// A sum over the whole content that has to be asked for; `None` where `head` and `get` tell what there is.
    async fn extra_sum(&self, key: &Path) -> Option<HeaderMap> {
        let _ = key;
        None
    }
}

/// What the library's stores have in common.
pub(super) trait Library: ObjectStore + MultipartStore {}

impl<T: ObjectStore + MultipartStore> Library for T {}

pub(super) async fn head(store: &impl Library, key: &Path) -> Answer<(ObjectInfo, HeaderMap)> {
    let options = GetOptions { head: true, ..GetOptions::default() };
    let result = store.get_opts(key, options).await?;
    let headers = result.extensions.get::<AnswerHeaders>().map(|headers| headers.0.clone()).unwrap_or_default();
    Ok((result.meta.into(), headers))
}

pub(super) async fn get(store: &impl Library, key: &Path, range: Option<GetRange>, e_tag: Option<String>) -> Answer<Opened> {
    let options = GetOptions { range, if_match: e_tag, ..GetOptions::default() };
    let result = store.get_opts(key, options).await?;
    let headers = result.extensions.get::<AnswerHeaders>().map(|headers| headers.0.clone()).unwrap_or_default();
    let info = ObjectInfo::from(result.meta.clone());
    Ok(Opened { info, headers, bytes: result.into_stream().boxed() })
}

pub(super) async fn put(store: &impl Library, key: &Path, content: Bytes) -> Answer<()> {
    store.put(key, PutPayload::from(content)).await.map(|_| ())
}

pub(super) async fn put_document(store: &impl Library, key: &Path, content: Bytes, attributes: Attributes) -> Answer<()> {
    let options = PutOptions { attributes, ..PutOptions::default() };
    store.put_opts(key, PutPayload::from(content), options).await.map(|_| ())
}

pub(super) async fn put_part(store: &impl Library, key: &Path, upload: &str, number: usize, part: Bytes) -> Answer<String> {
    let id = MultipartStore::put_part(store, key, &upload.to_owned(), number, part.into()).await?;
    Ok(id.content_id)
}

pub(super) async fn complete(store: &impl Library, key: &Path, upload: &str, parts: Vec<String>) -> Answer<()> {
    let parts = parts.into_iter().map(|content_id| PartId { content_id }).collect();
    store.complete_multipart(key, &upload.to_owned(), parts).await.map(|_| ())
}
