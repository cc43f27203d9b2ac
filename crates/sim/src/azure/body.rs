//! Bodies of requests: small ones in memory, large ones in a file from the first byte on.
//!
//! Storage takes bodies of gigabytes; the simulator holds no more of one than [`IN_MEMORY`] at a time. Sums are made as the bytes pass.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Body;
use md5::{Digest as _, Md5};
use tokio::io::AsyncWriteExt as _;

/// What is held in memory of a body that may lie in a file.
pub(crate) const IN_MEMORY: usize = 256 * 1024;

/// What a request brought.
pub(crate) enum Received {
    Memory(Bytes),
    File(Spool),
}

/// A body in a file of its own, which vanishes with it unless somebody has moved it.
pub(crate) struct Spool {
    path: PathBuf,
    size: u64,
    md5: [u8; 16],
}

impl Drop for Spool {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Why a body was not received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is larger than the service takes")]
    TooLarge,
    #[error("the connection ended within the body")]
    Broken,
    #[error("the body cannot be kept")]
    Files(#[from] io::Error),
}

impl Received {
    /// Nothing.
    pub(crate) const fn empty() -> Self {
        Self::Memory(Bytes::new())
    }

    /// Reads a body of at most `largest` bytes into memory.
    pub(crate) async fn in_memory<B: Body<Data = Bytes> + Unpin>(mut body: B, largest: usize) -> Result<Self, BodyError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = next(&mut body).await? {
            if bytes.len() + chunk.len() > largest {
                return Err(BodyError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Self::Memory(bytes.into()))
    }

    /// Reads a body of at most `largest` bytes, into the file `path` if it does not fit into [`IN_MEMORY`].
    pub(crate) async fn spooled<B: Body<Data = Bytes> + Unpin>(
        mut body: B,
        largest: u64,
        path: PathBuf,
    ) -> Result<Self, BodyError> {
        let mut bytes = Vec::new();
        let mut file: Option<tokio::fs::File> = None;
        let mut spool = Spool { path, size: 0, md5: [0; 16] };
        let mut sum = Md5::new();
        while let Some(chunk) = next(&mut body).await? {
            spool.size += chunk.len() as u64;
            if spool.size > largest {
                return Err(BodyError::TooLarge);
            }
            sum.update(&chunk);
            if bytes.len() + chunk.len() <= IN_MEMORY && file.is_none() {
                bytes.extend_from_slice(&chunk);
                continue;
            }
            let file = match &mut file {
                Some(file) => file,
                none => {
                    let mut made = tokio::fs::File::create(&spool.path).await?;
                    made.write_all(&bytes).await?;
                    bytes = Vec::new();
                    none.insert(made)
                }
            };
            file.write_all(&chunk).await?;
        }
        let Some(mut file) = file else { return Ok(Self::Memory(bytes.into())) };
        file.flush().await?;
        spool.md5 = sum.finalize().into();
        Ok(Self::File(spool))
    }

    /// How many bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(spool) => spool.size,
        }
    }

    /// The bytes of a body that is a document. Bytes in a file are none.
    pub(crate) fn document(&self) -> &[u8] {
        match self {
            Self::Memory(bytes) => bytes,
            Self::File(_) => &[],
        }
    }

    /// Its MD5.
    pub(crate) fn md5(&self) -> [u8; 16] {
        match self {
            Self::Memory(bytes) => Md5::digest(bytes).into(),
            Self::File(spool) => spool.md5,
        }
    }

    /// Writes it where `file` stands.
    pub(crate) fn write_to(&self, file: &mut File) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => io::Write::write_all(file, bytes),
            Self::File(spool) => io::copy(&mut File::open(&spool.path)?, file).map(|_| ()),
        }
    }

    /// Makes it the file `path`, which lies beside the spool: what is in a file already is moved.
    pub(crate) fn become_file(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => std::fs::write(path, bytes),
            Self::File(spool) => std::fs::rename(&spool.path, path),
        }
    }
}

/// The next bytes of a body; trailers are passed over.
async fn next<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    const CHUNK: usize = 64 * 1024;

    /// A chunk that is counted as long as anybody holds it.
    struct Counted(Arc<AtomicUsize>, Vec<u8>);

    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.1
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(self.1.len(), Ordering::Relaxed);
        }
    }

    /// A body that counts how many of its bytes are held, now and at most.
    fn body(
        chunks: usize,
        held: &Arc<AtomicUsize>,
        most: &Arc<AtomicUsize>,
    ) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        let (held, most) = (Arc::clone(held), Arc::clone(most));
        StreamBody::new(stream::iter((0..chunks).map(move |number| {
            most.fetch_max(held.fetch_add(CHUNK, Ordering::Relaxed) + CHUNK, Ordering::Relaxed);
            let bytes = vec![u8::try_from(number % 251).unwrap_or_default(); CHUNK];
            Ok(Frame::data(Bytes::from_owner(Counted(Arc::clone(&held), bytes))))
        })))
    }

    #[tokio::test]
    async fn a_large_body_goes_to_its_file_and_is_never_held_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (held, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let chunks = 4096;
        let path = folder.path().join("spool");
        let received = Received::spooled(body(chunks, &held, &most), u64::MAX, path.clone()).await.unwrap();
        assert_eq!(received.len(), (chunks * CHUNK) as u64, "256 MiB");
        assert!(
            most.load(Ordering::Relaxed) <= 4 * CHUNK,
            "{} bytes of the body were held at once",
            most.load(Ordering::Relaxed)
        );
        assert_eq!(std::fs::metadata(&path).unwrap().len(), received.len());
        let mut sum = Md5::new();
        (0..chunks).for_each(|number| sum.update(vec![u8::try_from(number % 251).unwrap(); CHUNK]));
        assert_eq!(received.md5(), <[u8; 16]>::from(sum.finalize()));
        assert!(received.document().is_empty());
        drop(received);
        assert!(!path.exists(), "nobody took it");
    }

    #[tokio::test]
    async fn a_small_body_stays_in_memory_and_one_that_is_too_large_is_refused_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (held, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let path = folder.path().join("spool");
        let small = Received::spooled(body(2, &held, &most), u64::MAX, path.clone()).await.unwrap();
        assert!(matches!(&small, Received::Memory(bytes) if bytes.len() == 2 * CHUNK) && !path.exists());
        small.become_file(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap().len(), 2 * CHUNK);
        let large = Received::spooled(body(100, &held, &most), 50 * CHUNK as u64, path.clone()).await;
        assert!(matches!(large, Err(BodyError::TooLarge)) && !path.exists());
        assert!(matches!(Received::in_memory(body(3, &held, &most), CHUNK).await, Err(BodyError::TooLarge)));
    }
}
