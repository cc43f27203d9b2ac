//! From this machine to the bucket.
//!
//! The storage checks what arrives: S3 by the SHA-256 that every request is signed with, Google by a CRC32C and Azure by an MD5 in a
//! header of each request.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use md5::{Digest as _, Md5};
use object_store::path::Path as Key;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio_util::task::AbortOnDropHandle;

use super::bucket::path;
use super::checksum::hex;
use super::error::{Operation, local};
use super::store::{LeftOver, Store};
use super::{Bucket, Progress, StorageError, Transferred};

/// What is longer goes up in parts, several at once: 8 MiB.
pub const MULTIPART_FROM: u64 = 8 * 1024 * 1024;

/// S3 takes at most so many parts.
const MOST_PARTS: u64 = 10_000;

const PARTS_AT_ONCE: usize = 4;

impl Bucket {
    /// Copies the file `from` to the object `key`. The object appears whole or not at all.
    ///
    /// With `resume`, what an interrupted attempt left at the storage is kept and completed, as far as it is the same content; and if
    /// this attempt is interrupted, what has arrived is left there.
    pub async fn upload(
        &self,
        from: &Path,
        key: &str,
        resume: bool,
        progress: &dyn Progress,
    ) -> Result<Transferred, StorageError> {
        let (file, length, small) = open(from).await?;
        let sent = if let Some(content) = small {
            self.upload_small(content, key, progress).await?
        } else {
            let source = Source::File { file, length, at: 0 };
            self.upload_parts(source, Some(length), key, resume, progress).await.map_err(|error| match error {
                StorageError::Input(source) => StorageError::Local { doing: "could not read", path: from.into(), source },
                other => other,
            })?
        };
        progress.finished();
        Ok(sent)
    }

    /// Copies a stream to the object `key`; `length` in bytes, where known. Of a stream without known length at most 80 GB are taken.
    pub async fn upload_stream(
        &self,
        mut from: impl AsyncRead + Send + Unpin,
        length: Option<u64>,
        key: &str,
        progress: &dyn Progress,
    ) -> Result<Transferred, StorageError> {
        let size = part_size(length);
        let first = fill(&mut from, size).await.map_err(StorageError::Input)?;
        let done = if first.len() < size {
            self.upload_small(first, key, progress).await?
        } else {
            let source = Source::Stream { first: Some(first), from: &mut from };
            self.upload_parts(source, length, key, false, progress).await?
        };
        progress.finished();
        Ok(done)
    }

    async fn upload_small(&self, content: Bytes, key: &str, progress: &dyn Progress) -> Result<Transferred, StorageError> {
        let bytes = content.len() as u64;
        progress.started(Some(bytes));
        let put = self.store.put(&path(key)?, content).await;
        put.map_err(|error| self.failed(Operation::Write, key, error))?;
        progress.advanced(bytes);
        Ok(Transferred { files: 1, bytes })
    }

    async fn upload_parts(
        &self,
        source: Source<'_>,
        length: Option<u64>,
        key: &str,
        resume: bool,
        progress: &dyn Progress,
    ) -> Result<Transferred, StorageError> {
        let at = path(key)?;
        progress.started(length);
        // Whoever may not list what is left over begins anew.
        let left = if resume { self.store.left_over(&at, length).await.ok().flatten() } else { None };
        let left = if let Some(left) = left {
            left
        } else {
            let begun = self.store.begin(&at, length).await;
            LeftOver { upload: begun.map_err(|error| self.failed(Operation::Write, key, error))?, ..LeftOver::default() }
        };
        let mut upload = Upload { store: self.store.clone(), key: at.clone(), id: Some(left.upload.clone()), keep: resume };
        let sending =
            Sending { store: self.store.clone(), key: at, left: Arc::new(left), part_size: part_size(length), keep: resume };
        match sending.run(source, progress).await {
            Ok(sent) => {
                if let Some(expected) = length.filter(|length| *length != sent.read) {
                    // Somebody wrote to the file meanwhile: not what was meant, and never completed.
                    upload.keep = false;
                    upload.abort().await;
                    return Err(StorageError::Length { what: key.to_owned(), expected, found: sent.read });
                }
                let done = self.store.complete(&sending.key, &sending.left.upload, sent.parts, sent.md5).await;
                if let Err(error) = done {
                    upload.abort().await;
                    return Err(self.failed(Operation::Write, key, error));
                }
                upload.id = None;
                Ok(Transferred { files: 1, bytes: sent.bytes })
            }
            Err(broken) => {
                upload.abort().await;
                Err(match broken {
                    Broken::Input(error) => StorageError::Input(error),
                    Broken::Store(error) => self.failed(Operation::Write, key, error),
                })
            }
        }
    }
}

/// Opens the file; a small one is read at once.
async fn open(from: &Path) -> Result<(Arc<std::fs::File>, u64, Option<Bytes>), StorageError> {
    let path = from.to_owned();
    let opened = spawn_blocking(move || {
        let file = std::fs::File::open(&path)?;
        let length = file.metadata()?.len();
        let small = if length < MULTIPART_FROM {
            let mut content = Vec::new();
            io::Read::read_to_end(&mut io::Read::take(&file, MULTIPART_FROM), &mut content)?;
            if content.len() as u64 != length {
                return Err(io::Error::other("it was changed while it was read"));
            }
            Some(Bytes::from(content))
        } else {
            None
        };
        Ok((Arc::new(file), length, small))
    });
    opened.await.unwrap_or_else(|join| Err(io::Error::other(join))).map_err(local("could not read", from))
}

/// Part sizes are equal, so a long file needs larger parts to stay within [`MOST_PARTS`].
pub(super) fn part_size(length: Option<u64>) -> usize {
    let needed = length.unwrap_or(0).div_ceil(MOST_PARTS);
    usize::try_from(needed.max(MULTIPART_FROM)).unwrap_or(usize::MAX)
}

async fn fill(from: &mut (impl AsyncRead + Unpin), size: usize) -> io::Result<Bytes> {
    let mut part = BytesMut::with_capacity(size.min(64 * 1024));
    let mut limited = from.take(size as u64);
    while limited.read_buf(&mut part).await? > 0 {}
    Ok(part.freeze())
}

/// Where the parts come from.
enum Source<'a> {
    File { file: Arc<std::fs::File>, length: u64, at: u64 },
    Stream { first: Option<Bytes>, from: &'a mut (dyn AsyncRead + Send + Unpin) },
}

impl Source<'_> {
    /// The next `size` bytes, or what is left.
    async fn next(&mut self, size: usize) -> io::Result<Bytes> {
        match self {
            Self::Stream { first, from } => match first.take() {
                Some(first) => Ok(first),
                None => fill(from, size).await,
            },
            Self::File { file, length, at } => {
                let left = usize::try_from(length.saturating_sub(*at)).unwrap_or(usize::MAX);
                let (mut file, wanted) = (file.clone(), left.min(size));
                let read = spawn_blocking(move || {
                    let mut part = vec![0; wanted];
                    io::Read::read_exact(&mut file, &mut part)?;
                    Ok(Bytes::from(part))
                });
                let part = read.await.unwrap_or_else(|join| Err(io::Error::other(join)))?;
                *at += part.len() as u64;
                Ok(part)
            }
        }
    }
}

enum Broken {
    Input(io::Error),
    Store(object_store::Error),
}

/// What a run of parts came to.
struct Sent {
    parts: Vec<String>,
    /// Of the source.
    read: u64,
    /// Sent now, without those that had arrived before.
    bytes: u64,
    md5: Option<[u8; 16]>,
}

/// The parts of one upload on their way.
struct Sending {
    store: Arc<dyn Store>,
    key: Key,
    left: Arc<LeftOver>,
    part_size: usize,
    keep: bool,
}

/// A part that is there: its number, its name, its length, and whether it had to be sent.
type Arrived = (usize, String, u64, bool);

impl Sending {
    async fn run(&self, mut source: Source<'_>, progress: &dyn Progress) -> Result<Sent, Broken> {
        let mut whole = self.store.wants_md5().then(Md5::new);
        let (mut under_way, mut names) = (FuturesUnordered::new(), Vec::new());
        let mut sent = Sent { parts: Vec::new(), read: 0, bytes: 0, md5: None };
        loop {
            let mut part = source.next(self.part_size).await.map_err(Broken::Input)?;
            if part.is_empty() {
                break;
            }
            if let Some(mut md5) = whole.take() {
                (md5, part) = summed(md5, part).await;
                whole = Some(md5);
            }
            if under_way.len() == PARTS_AT_ONCE
                && let Some(arrived) = under_way.next().await
            {
                match arrived {
                    Ok(arrived) => sent.note(arrived, &mut names, progress),
                    Err(broken) => return Err(self.settle(under_way, broken).await),
                }
            }
            let start = sent.read;
            sent.read += part.len() as u64;
            under_way.push(self.send(names.len() + under_way.len(), start..sent.read, part));
        }
        while let Some(arrived) = under_way.next().await {
            match arrived {
                Ok(arrived) => sent.note(arrived, &mut names, progress),
                Err(broken) => return Err(self.settle(under_way, broken).await),
            }
        }
        names.sort_by_key(|(number, _)| *number);
        sent.parts = names.into_iter().map(|(_, name)| name).collect();
        sent.md5 = whole.map(|md5| md5.finalize().into());
        Ok(sent)
    }

    /// What is under way still arrives when it shall be continued with; otherwise it ends here.
    async fn settle<F: Future>(&self, mut under_way: FuturesUnordered<F>, broken: Broken) -> Broken {
        while self.keep && under_way.next().await.is_some() {}
        broken
    }

    /// Spawned, so that the parts travel while the next one is read; ends with its handle.
    fn send(&self, number: usize, at: Range<u64>, part: Bytes) -> impl Future<Output = Result<Arrived, Broken>> + use<> {
        let (store, key, left) = (self.store.clone(), self.key.clone(), self.left.clone());
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let length = part.len() as u64;
            if let Some(there) = left.parts.get(&number).filter(|there| there.size == length) {
                let (summed, sum) = md5_of(part.clone()).await;
                if sum == there.md5 {
                    return Ok((number, there.id.clone(), length, false));
                }
                drop(summed);
            }
            let name = match store.put_part(&key, &left.upload, number, at.clone(), part.clone()).await {
                // It was under way for longer than its credentials lived. Others are at hand.
                Err(error) if has_expired(&error) => store.put_part(&key, &left.upload, number, at, part).await?,
                outcome => outcome?,
            };
            Ok((number, name, length, true))
        }));
        async move {
            let outcome: Result<Arrived, object_store::Error> =
                task.await.unwrap_or_else(|join| Err(object_store::Error::from(join)));
            outcome.map_err(Broken::Store)
        }
    }
}

impl Sent {
    fn note(&mut self, arrived: Arrived, names: &mut Vec<(usize, String)>, progress: &dyn Progress) {
        let (number, name, length, was_sent) = arrived;
        names.push((number, name));
        self.bytes += if was_sent { length } else { 0 };
        progress.advanced(length);
    }
}

/// Whether the storage refused credentials that had ended when it looked at them: S3 by its code, the others by 401.
fn has_expired(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::Unauthenticated { .. }) || error.to_string().contains("<Code>ExpiredToken</Code>")
}

async fn summed(mut md5: Md5, part: Bytes) -> (Md5, Bytes) {
    let job = spawn_blocking(move || {
        md5.update(&part);
        (md5, part)
    });
    // A sum cannot panic; if the runtime is going down, nothing is sent any more.
    job.await.unwrap_or_else(|_| (Md5::new(), Bytes::new()))
}

async fn md5_of(part: Bytes) -> (Bytes, String) {
    let (md5, part) = summed(Md5::new(), part).await;
    (part, hex(&md5.finalize()))
}

/// An upload that leaves no parts behind in the bucket, for which the provider would pay: it is aborted on failure, and, as far as the
/// runtime still runs, when it is dropped in the middle. Unless it shall be continued.
struct Upload {
    store: Arc<dyn Store>,
    key: Key,
    id: Option<String>,
    keep: bool,
}

impl Upload {
    async fn abort(&mut self) {
        if let Some(id) = self.id.take().filter(|_| !self.keep) {
            // The first error is the one to tell.
            let _ = self.store.abort(&self.key, &id).await;
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let (Some(id), false, Ok(runtime)) = (self.id.take(), self.keep, Handle::try_current()) {
            let (store, key) = (self.store.clone(), self.key.clone());
            runtime.spawn(async move { store.abort(&key, &id).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_small_as_ten_thousand_of_them_allow() {
        assert_eq!(part_size(None) as u64, MULTIPART_FROM);
        assert_eq!(part_size(Some(1)) as u64, MULTIPART_FROM);
        let terabyte = 1 << 40;
        assert!(part_size(Some(terabyte)) as u64 * MOST_PARTS >= terabyte);
    }
}
