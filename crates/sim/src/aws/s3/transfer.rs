//! Bytes in and out: receiving a body into a file with its checksums, and sending a file or a part of it.

use std::collections::BTreeMap;
use std::io::SeekFrom;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use http::HeaderMap;
use s3s::TrailingHeaders;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{Checksum, StreamingBlob, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, BufWriter};
use tokio_util::io::ReaderStream;

use crate::hex::hex;
use crate::objects::Draft;

/// The checksums that S3 knows, by the name that they have in headers.
const ALGORITHMS: [&str; 5] = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"];

/// How much is read at once.
const CHUNK: usize = 256 * 1024;

/// What was received.
pub(super) struct Received {
    pub(super) size: u64,
    /// Hexadecimal.
    pub(super) md5: String,
    /// Those that the sender gave, and that were right.
    pub(super) checksums: BTreeMap<String, String>,
}

/// What the sender says that it sends.
pub(super) struct Promise {
    pub(super) content_md5: Option<String>,
    checksums: BTreeMap<&'static str, String>,
    /// Checksums that follow behind the body.
    announced: Vec<&'static str>,
    trailers: Option<TrailingHeaders>,
}

impl Promise {
    /// Reads the headers of an upload.
    pub(super) fn new(headers: &HeaderMap, content_md5: Option<String>, trailers: Option<TrailingHeaders>) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let checksums = ALGORITHMS
            .into_iter()
            .filter_map(|name| Some((name, header(&format!("x-amz-checksum-{name}"))?.to_owned())))
            .collect::<BTreeMap<_, _>>();
        let announced = header("x-amz-trailer").unwrap_or_default().to_ascii_lowercase();
        let announced = ALGORITHMS.into_iter().filter(|name| announced.trim() == format!("x-amz-checksum-{name}")).collect();
        Self { content_md5, checksums, announced, trailers }
    }

    /// A promise of nothing, for copies inside the store.
    pub(super) fn none() -> Self {
        Self { content_md5: None, checksums: BTreeMap::new(), announced: Vec::new(), trailers: None }
    }

    fn hasher(&self) -> ChecksumHasher {
        let wanted = |name: &str| self.checksums.contains_key(name) || self.announced.contains(&name);
        ChecksumHasher {
            crc32: wanted("crc32").then(Default::default),
            crc32c: wanted("crc32c").then(Default::default),
            sha1: wanted("sha1").then(Default::default),
            sha256: wanted("sha256").then(Default::default),
            crc64nvme: wanted("crc64nvme").then(Default::default),
        }
    }

    /// Compares what was promised with what came.
    fn verify(mut self, md5: &[u8], found: &Checksum) -> S3Result<BTreeMap<String, String>> {
        if let Some(promised) = &self.content_md5 {
            let promised = STANDARD.decode(promised).map_err(|_| S3Error::new(S3ErrorCode::InvalidDigest))?;
            if promised != md5 {
                return Err(S3Error::new(S3ErrorCode::BadDigest));
            }
        }
        if let Some(trailers) = self.trailers.as_ref().and_then(TrailingHeaders::take) {
            for name in self.announced {
                let value = trailers.get(format!("x-amz-checksum-{name}")).and_then(|value| value.to_str().ok());
                self.checksums.extend(value.map(|value| (name, value.trim().to_owned())));
            }
        }
        let by_name = [
            ("crc32", &found.checksum_crc32),
            ("crc32c", &found.checksum_crc32c),
            ("crc64nvme", &found.checksum_crc64nvme),
            ("sha1", &found.checksum_sha1),
            ("sha256", &found.checksum_sha256),
        ];
        for (name, promised) in &self.checksums {
            let computed = by_name.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.as_ref());
            if computed != Some(promised) {
                let text = format!("The {} you specified did not match the calculated checksum.", name.to_uppercase());
                return Err(S3Error::with_message(S3ErrorCode::BadDigest, text));
            }
        }
        Ok(self.checksums.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

/// Receives a body into `draft`.
pub(super) async fn receive(draft: &Draft, body: Option<StreamingBlob>, promise: Promise) -> S3Result<Received> {
    let mut file = BufWriter::with_capacity(CHUNK, File::create(&draft.path).await.map_err(S3Error::internal_error)?);
    let (mut md5, mut hasher, mut size) = (Md5::new(), promise.hasher(), 0);
    if let Some(mut body) = body {
        while let Some(chunk) = body.next().await {
            // A body that breaks off, or whose signed chunks do not hold, is an error of the request.
            let chunk = chunk.map_err(|error| S3Error::with_source(S3ErrorCode::IncompleteBody, error))?;
            md5.update(&chunk);
            hasher.update(&chunk);
            size += chunk.len() as u64;
            file.write_all(&chunk).await.map_err(S3Error::internal_error)?;
        }
    }
    file.flush().await.map_err(S3Error::internal_error)?;
    let md5 = md5.finalize();
    let checksums = promise.verify(&md5, &hasher.finalize())?;
    Ok(Received { size, md5: hex(&md5), checksums })
}

/// `length` bytes of a file from `start` on.
pub(super) async fn send(path: &Path, start: u64, length: u64) -> S3Result<StreamingBlob> {
    let mut file = File::open(path).await.map_err(S3Error::internal_error)?;
    if start > 0 {
        file.seek(SeekFrom::Start(start)).await.map_err(S3Error::internal_error)?;
    }
    Ok(StreamingBlob::wrap(ReaderStream::with_capacity(file.take(length), CHUNK)))
}

/// A time as `s3s` has it.
pub(super) fn timestamp(unix_seconds: i64) -> Timestamp {
    Timestamp::from(std::time::SystemTime::from(jiff::Timestamp::from_second(unix_seconds).unwrap_or_default()))
}
