//! Everything below a prefix, or in a folder, as one stream in the order of the names.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use md5::{Digest as _, Md5};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::checksum::hex;
use super::error::local;
use super::local::files_below;
use super::upload::part_size;
use super::{Bucket, Depth, Entry, StorageError};

/// One end of a recursive command.
#[derive(Debug, Clone)]
pub enum Tree {
    /// What lies below a prefix; the prefix ends at a slash, whether it was typed or not.
    Bucket(Bucket, String),
    /// A folder of this machine.
    Folder(PathBuf),
}

/// What was passed over because this machine, or this program, cannot name it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skipped {
    /// The first of them, by address.
    pub names: Vec<String>,
    /// How many in all.
    pub count: u64,
}

/// How many names of what was passed over are kept.
const NAMES_KEPT: usize = 100;

impl Skipped {
    pub(super) fn note(&mut self, name: String) {
        self.count += 1;
        if self.names.len() < NAMES_KEPT {
            self.names.push(name);
        }
    }
}

/// A file or object in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Below the prefix or folder, with `/` between the parts.
    pub relative: String,
    /// In bytes.
    pub size: u64,
    /// When it was last written, to the second.
    pub modified: Timestamp,
    /// Of an object.
    pub e_tag: Option<String>,
}

impl Tree {
    /// Below the prefix `typed` of the bucket. `time` means `time/…`, not `timetables/…`.
    pub fn below(bucket: Bucket, typed: &str) -> Self {
        let prefix = typed.trim_end_matches('/');
        Self::Bucket(bucket, if prefix.is_empty() { String::new() } else { format!("{prefix}/") })
    }

    /// How the item is called in messages.
    pub fn address(&self, relative: &str) -> String {
        match self {
            Self::Bucket(bucket, prefix) => bucket.address(&format!("{prefix}{relative}")),
            Self::Folder(folder) => folder.join(relative).display().to_string(),
        }
    }

    /// What was passed over so far, by walks of this tree and of others of the same bucket.
    pub fn skipped(&self) -> Skipped {
        match self {
            Self::Bucket(bucket, _) => bucket.skipped(),
            Self::Folder(_) => Skipped::default(),
        }
    }

    /// Whether one tree lies in the other, or is the same.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bucket(a, p), Self::Bucket(b, q)) => a.is_same(b) && (p.starts_with(q.as_str()) || q.starts_with(p.as_str())),
            (Self::Folder(a), Self::Folder(b)) => a.starts_with(b) || b.starts_with(a),
            _ => false,
        }
    }

    /// All items in the order of their names, byte by byte, as S3 lists them. Of a bucket one page is held at a time.
    pub(super) async fn items(&self) -> Result<BoxStream<'static, Result<Item, StorageError>>, StorageError> {
        match self {
            Self::Folder(folder) => {
                let found = files_below(folder).await?;
                let items = found.into_iter().map(|found| {
                    let modified = second(found.modified);
                    Ok(Item { relative: found.relative, size: found.size, modified, e_tag: None })
                });
                Ok(stream::iter(items).boxed())
            }
            Self::Bucket(bucket, prefix) => {
                let prefix = prefix.clone();
                let passed_over = bucket.clone();
                let items = bucket.list(&prefix, Depth::All).try_filter_map(move |entry| {
                    // The library lists the marker of the folder itself without its slash, hence without the prefix.
                    let item = match entry {
                        Entry::Object(info) => info.key.strip_prefix(prefix.as_str()).map(|relative| Item {
                            relative: relative.to_owned(),
                            size: info.size,
                            modified: info.last_modified,
                            e_tag: info.e_tag,
                        }),
                        Entry::Folder(_) => None,
                        Entry::Unusable(key) => {
                            passed_over.skip(&key);
                            None
                        }
                    };
                    std::future::ready(Ok(item))
                });
                Ok(items.boxed())
            }
        }
    }
}

fn second(time: Option<SystemTime>) -> Timestamp {
    let time = time.and_then(|time| Timestamp::try_from(time).ok()).unwrap_or_default();
    Timestamp::from_second(time.as_second()).unwrap_or_default()
}

/// Part sizes that common tools upload with: ours, the 8 MiB of AWS's, and 16 MiB.
fn usual_part_sizes(length: u64) -> [u64; 3] {
    const MIB: u64 = 1024 * 1024;
    [part_size(Some(length)) as u64, 8 * MIB, 16 * MIB]
}

/// Whether the file has the content that the `ETag` tells. `None`: the `ETag` is no sum of the content, or of unknown parts.
pub(super) async fn has_e_tag(path: &Path, size: u64, e_tag: &str) -> Result<Option<bool>, StorageError> {
    let tag = e_tag.trim_matches('"').to_ascii_lowercase();
    let (sum, parts) = tag.split_once('-').map_or((tag.as_str(), None), |(sum, parts)| (sum, parts.parse::<u64>().ok()));
    if sum.len() != 32 || (tag.contains('-') && parts.is_none()) {
        return Ok(None);
    }
    let Some(parts) = parts else { return Ok(Some(sum_of(path, u64::MAX).await?.0 == sum)) };
    for part in usual_part_sizes(size) {
        if size.div_ceil(part).max(1) == parts {
            return Ok(Some(sum_of(path, part).await?.1 == sum));
        }
    }
    Ok(None)
}

/// The MD5 of the whole, and that of the MD5s of its parts.
async fn sum_of(path: &Path, part: u64) -> Result<(String, String), StorageError> {
    let failed = || local("could not read", path);
    let mut file = File::open(path).await.map_err(failed())?;
    let (mut whole, mut outer, mut inner, mut in_part) = (Md5::new(), Md5::new(), Md5::new(), 0);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let wanted = usize::try_from(part - in_part).unwrap_or(usize::MAX).min(buffer.len());
        let read = file.read(&mut buffer[..wanted]).await.map_err(failed())?;
        if read == 0 {
            break;
        }
        whole.update(&buffer[..read]);
        inner.update(&buffer[..read]);
        in_part += read as u64;
        if in_part == part {
            outer.update(inner.finalize_reset());
            in_part = 0;
        }
    }
    if in_part > 0 {
        outer.update(inner.finalize());
    }
    Ok((hex(&whole.finalize()), hex(&outer.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_etag_of_parts_is_recomputed_where_the_parts_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        let content = vec![7_u8; 9 * 1024 * 1024];
        std::fs::write(&path, &content).unwrap();
        let mut outer = Md5::new();
        for part in content.chunks(8 * 1024 * 1024) {
            outer.update(Md5::digest(part));
        }
        let size = content.len() as u64;
        let tag = format!("\"{}-2\"", hex(&outer.finalize()));
        assert_eq!(has_e_tag(&path, size, &tag).await.unwrap(), Some(true));
        assert_eq!(has_e_tag(&path, size, &format!("\"{}-2\"", "0".repeat(32))).await.unwrap(), Some(false));
        assert_eq!(has_e_tag(&path, size, &format!("\"{}-7\"", "0".repeat(32))).await.unwrap(), None, "parts of unknown size");
        let whole = hex(&Md5::digest(&content));
        assert_eq!(has_e_tag(&path, size, &format!("\"{whole}\"")).await.unwrap(), Some(true));
        assert_eq!(has_e_tag(&path, size, "opaque").await.unwrap(), None);
    }
}
