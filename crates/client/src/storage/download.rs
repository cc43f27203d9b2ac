//! From the bucket to this machine.

use std::path::Path;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use http::HeaderMap;
use md5::{Digest as _, Md5};
use object_store::{GetOptions, GetRange, ObjectStore as _};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::bucket::path;
use super::error::{Operation, local};
use super::local::Unfinished;
use super::service::{AnswerHeaders, PATIENCE};
use super::{Bucket, ObjectInfo, Progress, StorageError, Transferred};

/// What is fetched by one request of a long object: 16 MiB.
const PART: u64 = 16 * 1024 * 1024;

const PARTS_AT_ONCE: usize = 4;

/// An object that is being read. The stream ends with an error when fewer or more bytes come than announced.
pub struct ObjectStream {
    /// What is known of the object.
    pub info: ObjectInfo,
    /// Its bytes.
    pub bytes: BoxStream<'static, Result<Bytes, StorageError>>,
    headers: HeaderMap,
}

impl Bucket {
    /// Reads the object.
    pub async fn read(&self, key: &str) -> Result<ObjectStream, StorageError> {
        self.read_from(key, 0, None).await
    }

    /// Reads from the byte at `offset` on; with `e_tag`, only if the object is still that one.
    async fn read_from(&self, key: &str, offset: u64, e_tag: Option<String>) -> Result<ObjectStream, StorageError> {
        let range = (offset > 0).then_some(GetRange::Offset(offset));
        let options = GetOptions { range, if_match: e_tag, ..GetOptions::default() };
        let failed = {
            let (bucket, what) = (self.name.clone(), self.address(key));
            move |error| Operation::Read.failed(&bucket, what.clone(), error)
        };
        let result = self.store.get_opts(&path(key)?, options).await.map_err(&failed)?;
        let headers = result.extensions.get::<AnswerHeaders>().map(|headers| headers.0.clone()).unwrap_or_default();
        let info = ObjectInfo::from(result.meta.clone());
        let what = self.address(key);
        let expected = info.size.saturating_sub(offset);
        let stream = result.into_stream().map_err(failed).boxed();
        // The bytes still to come, or `None` when all has been said.
        let bytes =
            futures_util::stream::try_unfold((stream, Some(expected), what), move |(mut stream, left, what)| async move {
                let Some(left) = left else { return Ok(None) };
                let Ok(chunk) = timeout(PATIENCE, stream.try_next()).await else {
                    return Err(StorageError::Stalled { what, seconds: PATIENCE.as_secs() });
                };
                match chunk? {
                    Some(chunk) if chunk.len() as u64 <= left => {
                        let left = left - chunk.len() as u64;
                        Ok(Some((chunk, (stream, Some(left), what))))
                    }
                    None if left == 0 => Ok(None),
                    wrong => {
                        let found = expected - left + wrong.map_or(0, |chunk| chunk.len() as u64);
                        Err(StorageError::Length { what, expected, found })
                    }
                }
            });
        Ok(ObjectStream { info, bytes: bytes.boxed(), headers })
    }

    /// The object's bytes from `offset` on. Of a long one the first part comes from the answer that is open already, the others by
    /// requests of their own, several at once, each only if the object is still that one.
    fn in_parts<'a>(
        &'a self,
        object: &'a mut ObjectStream,
        offset: u64,
        key: &str,
    ) -> BoxStream<'a, Result<Bytes, StorageError>> {
        let (size, e_tag) = (object.info.size, object.info.e_tag.clone());
        let first_end = offset + PART;
        if e_tag.is_none() || size < first_end + PART {
            return object.bytes.by_ref().boxed();
        }
        let first = object.bytes.by_ref().scan(PART, |left, chunk| {
            if *left == 0 {
                return std::future::ready(None);
            }
            let chunk = chunk.map(|mut chunk| {
                chunk.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= chunk.len() as u64;
                chunk
            });
            std::future::ready(Some(chunk))
        });
        let starts = (0..(size - first_end).div_ceil(PART)).map(move |n| first_end + n * PART);
        let (store, bucket, what, path) = (self.store.clone(), self.name.clone(), self.address(key), path(key));
        let parts = futures_util::stream::iter(starts).map(move |start| {
            let range = Some(GetRange::Bounded(start..size.min(start + PART)));
            let options = GetOptions { range, if_match: e_tag.clone(), ..GetOptions::default() };
            let (store, bucket, what, path) = (store.clone(), bucket.clone(), what.clone(), path.as_ref().ok().cloned());
            // Spawned, so that it goes on while an earlier part is written; ends with the stream.
            let task = AbortOnDropHandle::new(tokio::spawn(async move {
                let failed = |error| Operation::Read.failed(&bucket, what.clone(), error);
                let Some(path) = path else { return Ok(Bytes::new()) };
                let limit = PATIENCE.saturating_mul(4);
                let read = async { store.get_opts(&path, options).await?.bytes().await };
                let Ok(part) = timeout(limit, read).await else {
                    return Err(StorageError::Stalled { what, seconds: limit.as_secs() });
                };
                part.map_err(failed)
            }));
            async move { task.await.unwrap_or_else(|join| Err(StorageError::Input(std::io::Error::other(join)))) }
        });
        first.chain(parts.buffered(PARTS_AT_ONCE)).boxed()
    }

    /// Copies the object into the file `to`, which appears whole or not at all: it is written beside it and moved. Folders are made.
    ///
    /// With `resume`, what an interrupted attempt left is kept and continued, provided that the object is still the same.
    pub async fn download(
        &self,
        key: &str,
        to: &Path,
        resume: bool,
        progress: &dyn Progress,
    ) -> Result<Transferred, StorageError> {
        if let Some(folder) = to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).await.map_err(local("could not make the folder", folder))?;
        }
        let (mut object, unfinished, mut writer) = if resume {
            let info = self.info(key).await?;
            let unfinished = Unfinished::beside(to, &mark_of(&info), true)?;
            let writer = Writer::resume(&unfinished, info.size).await?;
            (self.read_from(key, writer.written, info.e_tag).await?, unfinished, writer)
        } else {
            let object = self.read(key).await?;
            let mut mark = [0; 6];
            self.ctx.randomness.fill(&mut mark);
            let unfinished = Unfinished::beside(to, &hex(&mark), false)?;
            let writer = Writer::create(&unfinished).await?;
            (object, unfinished, writer)
        };
        let found = writer.written;
        progress.started(Some(object.info.size));
        progress.advanced(found);
        let mut chunks = self.in_parts(&mut object, found, key);
        while let Some(chunk) = chunks.try_next().await? {
            writer.write(unfinished.path(), &chunk).await?;
            progress.advanced(chunk.len() as u64);
        }
        drop(chunks);
        let (bytes, expected) = (writer.written - found, object.info.size);
        if writer.written != expected {
            return Err(StorageError::Length { what: self.address(key), expected, found: writer.written });
        }
        let sum = writer.finish(unfinished.path(), &object.info).await?;
        if let Some(expected) = md5_of(&object.info, &object.headers).filter(|expected| *expected != sum) {
            unfinished.discard();
            return Err(StorageError::Checksum { what: self.address(key), expected, found: sum });
        }
        unfinished.finish(to).await?;
        progress.finished();
        Ok(Transferred { files: 1, bytes })
    }
}

pub(super) async fn sum(a: Transferred, b: Transferred) -> Result<Transferred, StorageError> {
    Ok(Transferred { files: a.files + b.files, bytes: a.bytes + b.bytes })
}

/// Writes a file and sums it up on the way.
struct Writer {
    file: File,
    md5: Md5,
    written: u64,
}

impl Writer {
    async fn create(unfinished: &Unfinished) -> Result<Self, StorageError> {
        let file = File::create(unfinished.path()).await.map_err(local("could not write", unfinished.path()))?;
        Ok(Self { file, md5: Md5::new(), written: 0 })
    }

    /// Continues where an earlier attempt ended. What is longer than the object is begun anew.
    async fn resume(unfinished: &Unfinished, size: u64) -> Result<Self, StorageError> {
        let failed = || local("could not write", unfinished.path());
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(unfinished.path()).await;
        let mut writer = Self { file: options.map_err(failed())?, md5: Md5::new(), written: 0 };
        let length = writer.file.metadata().await.map_err(failed())?.len();
        if length >= size {
            // Complete but not moved is rare, and S3 has no empty range: fetch it again.
            writer.file.set_len(0).await.map_err(failed())?;
            return Ok(writer);
        }
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = writer.file.read(&mut buffer).await.map_err(failed())?;
            if read == 0 {
                return Ok(writer);
            }
            writer.md5.update(&buffer[..read]);
            writer.written += read as u64;
        }
    }

    async fn write(&mut self, path: &Path, chunk: &[u8]) -> Result<(), StorageError> {
        self.file.write_all(chunk).await.map_err(local("could not write", path))?;
        self.md5.update(chunk);
        self.written += chunk.len() as u64;
        Ok(())
    }

    /// Makes sure that all is written, gives the file the object's time (`sync` compares it), and gives the sum.
    async fn finish(mut self, path: &Path, info: &ObjectInfo) -> Result<String, StorageError> {
        let failed = || local("could not write", path);
        self.file.flush().await.map_err(failed())?;
        self.file.into_std().await.set_modified(info.last_modified.into()).map_err(failed())?;
        Ok(hex(&self.md5.finalize()))
    }
}

/// The MD5 of an object, where S3 tells it: in the `ETag` of one that was uploaded in one piece, unless KMS or the customer's own key
/// encrypts it ([S3 API, Object](https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html)).
fn md5_of(info: &ObjectInfo, headers: &HeaderMap) -> Option<String> {
    let other_key = headers.contains_key("x-amz-server-side-encryption-customer-algorithm")
        || headers.get("x-amz-server-side-encryption").is_some_and(|kind| kind.as_bytes().starts_with(b"aws:"));
    let tag = info.e_tag.as_deref()?.trim_matches('"');
    let is_md5 = tag.len() == 32 && tag.bytes().all(|b| b.is_ascii_hexdigit());
    (is_md5 && !other_key).then(|| tag.to_ascii_lowercase())
}

/// What tells an object from its successors, as a part of a file name.
fn mark_of(info: &ObjectInfo) -> String {
    let mut md5 = Md5::new();
    md5.update(info.e_tag.as_deref().unwrap_or_default());
    md5.update(info.size.to_be_bytes());
    hex(&md5.finalize()[..6])
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl std::fmt::Debug for ObjectStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectStream").field("info", &self.info).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_a_checksum_only_where_s3_says_so() {
        let info = |tag: &str| ObjectInfo {
            key: "k".to_owned(),
            size: 1,
            last_modified: jiff::Timestamp::UNIX_EPOCH,
            e_tag: Some(tag.to_owned()),
        };
        let md5 = "\"9E107D9D372BB6826BD81D3542A419D6\"";
        let mut headers = HeaderMap::new();
        assert_eq!(md5_of(&info(md5), &headers).as_deref(), Some("9e107d9d372bb6826bd81d3542a419d6"));
        assert_eq!(md5_of(&info("\"9e107d9d372bb6826bd81d3542a419d6-3\""), &headers), None, "several parts");
        headers.insert("x-amz-server-side-encryption", "AES256".parse().unwrap());
        assert!(md5_of(&info(md5), &headers).is_some());
        headers.insert("x-amz-server-side-encryption", "aws:kms".parse().unwrap());
        assert_eq!(md5_of(&info(md5), &headers), None);
    }
}
