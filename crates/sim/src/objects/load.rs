//! Reading what the folder holds, at the start.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::uploads::{Part, Upload};
use super::{Bucket, Object};

/// Reads a bucket's files. Of two objects with one key, left by an interrupted replacement, the newer counts.
pub(super) fn load_bucket(folder: &Path, created: i64) -> io::Result<(Bucket, u64)> {
    let mut bucket = Bucket { created, objects: BTreeMap::new(), uploads: BTreeMap::new() };
    let mut last = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if let Some(id) = name.strip_prefix("upload-") {
            let Some(mut upload) = read_json::<Upload>(&path.join("upload.json"))? else { continue };
            for part in std::fs::read_dir(&path)? {
                let part = part?;
                let name = part.file_name();
                if let Some((part_number, part)) = Part::from_file(name.to_str().unwrap_or_default(), part.metadata()?.len()) {
                    last = last.max(part.number);
                    upload.parts.insert(part_number, part);
                }
            }
            bucket.uploads.insert(id.to_owned(), upload);
        } else if let Some(number) = name.strip_suffix(".json").filter(|number| *number != "bucket") {
            let Some(object) = read_json::<Object>(&path)? else { continue };
            last = last.max(number.parse().unwrap_or_default());
            let known = bucket.objects.get(&object.key).map_or(0, |known| known.number);
            if object.number > known {
                bucket.objects.insert(object.key.clone(), object);
            }
        } else if path.extension().is_some_and(|extension| extension == "draft") {
            std::fs::remove_file(&path)?;
        }
    }
    Ok((bucket, last))
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}
