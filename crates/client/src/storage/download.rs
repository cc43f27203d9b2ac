//! From the bucket to this machine.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use http::HeaderMap;
use jiff::Timestamp;
use md5::{Digest as _, Md5};
use object_store::GetRange;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::bucket::path;
use super::checksum::{Sum, Summer, hex};
use super::error::{Operation, local};
use super::local::Unfinished;
use super::service::PATIENCE;
use super::store::Opened;
use super::{Bucket, ObjectInfo, Progress, StorageError, Transferred};

/// What is fetched by one request of a long object: 8 MiB.
const PART: u64 = 8 * 1024 * 1024;

const PARTS_AT_ONCE: usize = 4;

/// So much is gathered before it is written: each write is a journey to another thread.
const WRITE_FROM: usize = 1024 * 1024;

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
        let opened = self.store.get(&path(key)?, range, e_tag).await;
        let Opened { info, headers, bytes } = opened.map_err(|error| self.failed(Operation::Read, key, error))?;
        let what = self.address(key);
        let expected = info.size.saturating_sub(offset);
        let (bucket, owned) = (self.clone(), key.to_owned());
        let stream = bytes.map_err(move |error| bucket.failed(Operation::Read, &owned, error)).boxed();
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
        let (bucket, key) = (self.clone(), key.to_owned());
        let parts = futures_util::stream::iter(starts).map(move |start| {
            let (bucket, key, e_tag) = (bucket.clone(), key.clone(), e_tag.clone());
            // Spawned, so that it goes on while an earlier part is written; ends with the stream.
            let task =
                AbortOnDropHandle::new(tokio::spawn(
                    async move { bucket.part(&key, start..size.min(start + PART), e_tag).await },
                ));
            async move { task.await.unwrap_or_else(|join| Err(StorageError::Input(std::io::Error::other(join)))) }
        });
        let chunks = |part: Vec<Bytes>| futures_util::stream::iter(part.into_iter().map(Ok));
        first.chain(parts.buffered(PARTS_AT_ONCE).map_ok(chunks).try_flatten()).boxed()
    }

    /// One part, in the pieces in which it came.
    async fn part(&self, key: &str, range: std::ops::Range<u64>, e_tag: Option<String>) -> Result<Vec<Bytes>, StorageError> {
        let expected = range.end - range.start;
        let limit = PATIENCE.saturating_mul(4);
        let at = path(key)?;
        let read = async {
            let opened = self.store.get(&at, Some(GetRange::Bounded(range)), e_tag).await?;
            opened.bytes.try_collect::<Vec<Bytes>>().await
        };
        let Ok(part) = timeout(limit, read).await else {
            return Err(StorageError::Stalled { what: self.address(key), seconds: limit.as_secs() });
        };
        let part = part.map_err(|error| self.failed(Operation::Read, key, error))?;
        let found = part.iter().map(|chunk| chunk.len() as u64).sum();
        if found == expected { Ok(part) } else { Err(StorageError::Length { what: self.address(key), expected, found }) }
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
        if resume {
            let info = self.info(key).await?;
            let unfinished = Unfinished::beside(to, &mark_of(&info), true)?;
            make_folder_of(to).await?;
            let (written, path) = (Writer::length(&unfinished, info.size).await?, unfinished.path().to_owned());
            let object = self.read_from(key, written, info.e_tag).await?;
            let sum = self.sum_of(key, &object, written > 0).await;
            let writer = Writer::resume(path, sum.as_ref().map(Sum::summer), written).await?;
            return self.fill(key, object, unfinished, writer, sum, to, progress).await;
        }
        let object = self.read(key).await?;
        let mut mark = [0; 6];
        self.ctx.randomness.fill(&mut mark);
        let unfinished = Unfinished::beside(to, &hex(&mark), false)?;
        if object.info.size < PART {
            return self.download_small(key, object, unfinished, to, progress).await;
        }
        let sum = self.sum_of(key, &object, false).await;
        make_folder_of(to).await?;
        let writer = Writer::resume(unfinished.path().to_owned(), sum.as_ref().map(Sum::summer), 0).await?;
        self.fill(key, object, unfinished, writer, sum, to, progress).await
    }

    /// What the storage tells of the content; asked for where it is not told unasked, and the object is worth a request.
    async fn sum_of(&self, key: &str, object: &ObjectStream, ranged: bool) -> Option<Sum> {
        let e_tag = object.info.e_tag.as_deref();
        let told = Sum::told(self.cloud, &object.headers, e_tag, ranged);
        if told.is_some() || object.info.size < PART {
            return told;
        }
        let extra = self.store.extra_sum(&path(key).ok()?).await?;
        Sum::told(self.cloud, &extra, e_tag, false)
    }

    /// Everything in memory, and then one journey to the disk.
    async fn download_small(
        &self,
        key: &str,
        object: ObjectStream,
        unfinished: Unfinished,
        to: &Path,
        progress: &dyn Progress,
    ) -> Result<Transferred, StorageError> {
        let sum = self.sum_of(key, &object, false).await;
        let (bytes, time) = (object.info.size, object.info.last_modified);
        progress.started(Some(bytes));
        let mut chunks: Vec<Bytes> = Vec::new();
        let mut stream = object.bytes;
        while let Some(chunk) = stream.try_next().await? {
            progress.advanced(chunk.len() as u64);
            chunks.push(chunk);
        }
        if let Some(expected) = sum {
            let mut summer = expected.summer();
            for chunk in &chunks {
                summer.update(chunk);
            }
            self.check(key, &expected, summer.finish())?;
        }
        let target = to.to_owned();
        blocking(move || {
            let mut file = created(unfinished.path())?;
            for chunk in &chunks {
                file.write_all(chunk).map_err(local("could not write", unfinished.path()))?;
            }
            finish(&file, unfinished.path(), time)?;
            unfinished.put_in_place(&target)
        })
        .await?;
        progress.finished();
        Ok(Transferred { files: 1, bytes })
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one call, used twice")]
    async fn fill(
        &self,
        key: &str,
        mut object: ObjectStream,
        unfinished: Unfinished,
        mut writer: Writer,
        sum: Option<Sum>,
        to: &Path,
        progress: &dyn Progress,
    ) -> Result<Transferred, StorageError> {
        let (found, expected, time) = (writer.written, object.info.size, object.info.last_modified);
        progress.started(Some(expected));
        progress.advanced(found);
        let mut chunks = self.in_parts(&mut object, found, key);
        while let Some(chunk) = chunks.try_next().await? {
            progress.advanced(chunk.len() as u64);
            writer.write(chunk).await?;
        }
        drop(chunks);
        let (written, summed) = writer.finish(time).await?;
        if written != expected {
            return Err(StorageError::Length { what: self.address(key), expected, found: written });
        }
        if let (Some(expected), Some(found)) = (sum, summed)
            && let Err(error) = self.check(key, &expected, found)
        {
            unfinished.discard();
            return Err(error);
        }
        let target = to.to_owned();
        blocking(move || unfinished.put_in_place(&target)).await?;
        progress.finished();
        Ok(Transferred { files: 1, bytes: written - found })
    }

    fn check(&self, key: &str, expected: &Sum, found: String) -> Result<(), StorageError> {
        if expected.as_str() == found {
            return Ok(());
        }
        Err(StorageError::Checksum { what: self.address(key), expected: expected.as_str().to_owned(), found })
    }
}

pub(super) async fn sum(a: Transferred, b: Transferred) -> Result<Transferred, StorageError> {
    Ok(Transferred { files: a.files + b.files, bytes: a.bytes + b.bytes })
}

async fn blocking<T: Send + 'static>(job: impl FnOnce() -> Result<T, StorageError> + Send + 'static) -> Result<T, StorageError> {
    spawn_blocking(job).await.unwrap_or_else(|join| Err(StorageError::Input(std::io::Error::other(join))))
}

async fn make_folder_of(to: &Path) -> Result<(), StorageError> {
    let Some(folder) = to.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    tokio::fs::create_dir_all(folder).await.map_err(local("could not make the folder", folder))
}

/// Creates the file; its folder too, if that is what is missing.
fn created(path: &Path) -> Result<std::fs::File, StorageError> {
    match (std::fs::File::create(path), path.parent()) {
        (Err(error), Some(folder)) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::create_dir_all(folder).map_err(local("could not make the folder", folder))?;
            std::fs::File::create(path).map_err(local("could not write", path))
        }
        (outcome, _) => outcome.map_err(local("could not write", path)),
    }
}

/// Gives the file the object's time: `sync` compares it.
fn finish(file: &std::fs::File, path: &Path, time: Timestamp) -> Result<(), StorageError> {
    file.set_modified(time.into()).map_err(local("could not write", path))
}

/// Writes a file and sums it up on the way, both on a thread that may wait.
struct Writer {
    /// `None` while a job has it, which is never seen from outside.
    held: Option<(std::fs::File, Option<Summer>)>,
    path: PathBuf,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    written: u64,
}

impl Writer {
    /// How much of an earlier attempt is there to be continued. What is longer than the object is begun anew.
    async fn length(unfinished: &Unfinished, size: u64) -> Result<u64, StorageError> {
        let found = tokio::fs::metadata(unfinished.path()).await.map_or(0, |data| data.len());
        // Complete but not moved is rare, and S3 has no empty range: fetch it again.
        Ok(if found >= size { 0 } else { found })
    }

    /// Continues after the first `written` bytes, which are summed up too.
    async fn resume(path: PathBuf, summer: Option<Summer>, written: u64) -> Result<Self, StorageError> {
        blocking(move || {
            let failed = || local("could not write", &path);
            let options = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = options.map_err(failed())?;
            file.set_len(written).map_err(failed())?;
            let mut summer = summer;
            let mut buffer = BytesMut::zeroed(if written > 0 { 256 * 1024 } else { 0 });
            loop {
                let read = file.read(&mut buffer).map_err(failed())?;
                if read == 0 {
                    break;
                }
                if let Some(summer) = &mut summer {
                    summer.update(&buffer[..read]);
                }
            }
            Ok(Self { held: Some((file, summer)), path, gathered: Vec::new(), gathered_bytes: 0, written })
        })
        .await
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), StorageError> {
        self.gathered_bytes += chunk.len();
        self.gathered.push(chunk);
        if self.gathered_bytes >= WRITE_FROM { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), StorageError> {
        let Some((mut file, mut summer)) = self.held.take() else { return Ok(()) };
        let (gathered, path) = (std::mem::take(&mut self.gathered), self.path.clone());
        let length = std::mem::take(&mut self.gathered_bytes) as u64;
        let held = blocking(move || {
            for chunk in gathered {
                file.write_all(&chunk).map_err(local("could not write", &path))?;
                if let Some(summer) = &mut summer {
                    summer.update(&chunk);
                }
            }
            Ok((file, summer))
        });
        self.held = Some(held.await?);
        self.written += length;
        Ok(())
    }

    /// Makes sure that all is written; gives its length, and its sum where one was to be made.
    async fn finish(mut self, time: Timestamp) -> Result<(u64, Option<String>), StorageError> {
        self.flush().await?;
        let (written, path) = (self.written, self.path);
        let Some((file, summer)) = self.held else { return Ok((written, None)) };
        blocking(move || finish(&file, &path, time)).await?;
        Ok((written, summer.map(Summer::finish)))
    }
}

/// What tells an object from its successors, as a part of a file name.
fn mark_of(info: &ObjectInfo) -> String {
    let mut md5 = Md5::new();
    md5.update(info.e_tag.as_deref().unwrap_or_default());
    md5.update(info.size.to_be_bytes());
    hex(&md5.finalize()[..6])
}

impl std::fmt::Debug for ObjectStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectStream").field("info", &self.info).finish_non_exhaustive()
    }
}
