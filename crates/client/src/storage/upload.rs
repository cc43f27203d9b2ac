//! From this machine to the bucket.
//!
//! S3 checks what arrives: every request is signed with the SHA-256 of its body.

use std::io;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use object_store::{MultipartUpload, ObjectStoreExt as _};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::runtime::Handle;

use super::bucket::path;
use super::error::{Operation, local};
use super::{Bucket, Progress, StorageError, Transferred};

/// What is longer goes up in parts, several at once: 16 MiB.
pub const MULTIPART_FROM: u64 = 16 * 1024 * 1024;

/// S3 takes at most so many parts.
const MOST_PARTS: u64 = 10_000;

const PARTS_AT_ONCE: usize = 4;

impl Bucket {
    /// Copies the file `from` to the object `key`. The object appears whole or not at all.
    pub async fn upload(&self, from: &Path, key: &str, progress: &dyn Progress) -> Result<Transferred, StorageError> {
        let failed = || local("could not read", from);
        let file = File::open(from).await.map_err(failed())?;
        let length = file.metadata().await.map_err(failed())?.len();
        let sent = self.upload_stream(file, Some(length), key, progress).await.map_err(|error| match error {
            StorageError::Input(source) => StorageError::Local { doing: "could not read", path: from.into(), source },
            other => other,
        })?;
        if sent.bytes != length {
            // Somebody wrote to it meanwhile. The object is there, but it is not what was meant.
            return Err(StorageError::Length { what: from.display().to_string(), expected: length, found: sent.bytes });
        }
        Ok(sent)
    }

    /// Copies a stream to the object `key`; `length` in bytes, where known. Of a stream without known length at most 160 GB are taken.
    pub async fn upload_stream(
        &self,
        mut from: impl AsyncRead + Send + Unpin,
        length: Option<u64>,
        key: &str,
        progress: &dyn Progress,
    ) -> Result<Transferred, StorageError> {
        let at = path(key)?;
        let failed = |error| Operation::Write.failed(&self.name, self.address(key), error);
        progress.started(length);
        let part_size = part_size(length);
        let first = read_part(&mut from, part_size).await?;
        if first.len() < part_size {
            let bytes = first.len() as u64;
            self.store.put(&at, first.into()).await.map_err(failed)?;
            progress.advanced(bytes);
            progress.finished();
            return Ok(Transferred { files: 1, bytes });
        }
        let mut upload = Upload(Some(self.store.put_multipart(&at).await.map_err(failed)?));
        match send_parts(&mut upload, first, &mut from, part_size, progress).await {
            Ok(bytes) => {
                upload.complete().await.map_err(failed)?;
                progress.finished();
                Ok(Transferred { files: 1, bytes })
            }
            Err(broken) => {
                upload.abort().await;
                Err(match broken {
                    Broken::Input(error) => StorageError::Input(error),
                    Broken::Store(error) => failed(error),
                })
            }
        }
    }
}

/// Part sizes are equal, so a long file needs larger parts to stay within [`MOST_PARTS`].
pub(super) fn part_size(length: Option<u64>) -> usize {
    let needed = length.unwrap_or(0).div_ceil(MOST_PARTS);
    usize::try_from(needed.max(MULTIPART_FROM)).unwrap_or(usize::MAX)
}

/// Reads `size` bytes, or what is left.
async fn read_part(from: &mut (impl AsyncRead + Unpin), size: usize) -> Result<Bytes, StorageError> {
    fill(from, size).await.map_err(StorageError::Input)
}

async fn fill(from: &mut (impl AsyncRead + Unpin), size: usize) -> io::Result<Bytes> {
    let mut part = BytesMut::new();
    let mut limited = from.take(size as u64);
    while limited.read_buf(&mut part).await? > 0 {}
    Ok(part.freeze())
}

enum Broken {
    Input(io::Error),
    Store(object_store::Error),
}

async fn send_parts(
    upload: &mut Upload,
    first: Bytes,
    from: &mut (impl AsyncRead + Unpin),
    part_size: usize,
    progress: &dyn Progress,
) -> Result<u64, Broken> {
    let mut under_way = FuturesUnordered::new();
    let (mut part, mut bytes) = (first, 0);
    while !part.is_empty() {
        let length = part.len() as u64;
        bytes += length;
        if under_way.len() == PARTS_AT_ONCE {
            let sent: Option<Result<u64, object_store::Error>> = under_way.next().await;
            progress.advanced(sent.transpose().map_err(Broken::Store)?.unwrap_or(0));
        }
        let sending = upload.put_part(part);
        // Spawned, so that the parts travel while the next one is read.
        let task = tokio::spawn(async move { sending.await.map(|()| length) });
        under_way.push(async move { task.await.unwrap_or_else(|join| Err(object_store::Error::from(join))) });
        part = fill(from, part_size).await.map_err(Broken::Input)?;
    }
    while let Some(sent) = under_way.next().await {
        progress.advanced(sent.map_err(Broken::Store)?);
    }
    Ok(bytes)
}

/// A multipart upload that leaves no parts behind in the bucket, for which the provider would pay: it is aborted on failure, and, as
/// far as the runtime still runs, when it is dropped in the middle.
struct Upload(Option<Box<dyn MultipartUpload>>);

impl Upload {
    fn put_part(&mut self, part: Bytes) -> object_store::UploadPart {
        match &mut self.0 {
            Some(upload) => upload.put_part(part.into()),
            None => Box::pin(async { Ok(()) }),
        }
    }

    async fn complete(mut self) -> object_store::Result<()> {
        let Some(mut upload) = self.0.take() else { return Ok(()) };
        match upload.complete().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let _ = upload.abort().await;
                Err(error)
            }
        }
    }

    async fn abort(mut self) {
        if let Some(mut upload) = self.0.take() {
            // The first error is the one to tell.
            let _ = upload.abort().await;
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let (Some(mut upload), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(async move { upload.abort().await });
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
