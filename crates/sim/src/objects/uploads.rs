//! Uploads in parts that are not finished: a folder each, with a file for every part.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Attributes, Draft, Store, StoreError};
use crate::files;

/// An upload in parts that is not finished.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) started: i64,
    pub(crate) attributes: Attributes,
    #[serde(skip)]
    pub(crate) parts: BTreeMap<i32, Part>,
}

/// One part of an upload.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) size: u64,
    pub(crate) md5: String,
    pub(crate) modified: i64,
    pub(super) number: u64,
}

impl Store {
    /// Begins an upload in parts.
    pub(crate) fn create_upload(&self, bucket: &str, upload: Upload) -> Result<(), StoreError> {
        let mut index = self.write();
        let uploads = &mut index.buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?.uploads;
        let folder = self.folder(bucket).join(format!("upload-{}", upload.id));
        files::create_private_folder(&folder)?;
        files::write_json(&folder.join("upload.json"), &upload)?;
        uploads.insert(upload.id.clone(), upload);
        Ok(())
    }

    /// An upload that is not finished.
    pub(crate) fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<Upload, StoreError> {
        let index = self.read();
        let uploads = &index.buckets.get(bucket).ok_or(StoreError::NoSuchBucket)?.uploads;
        uploads.get(id).filter(|upload| upload.key == key).cloned().ok_or(StoreError::NoSuchUpload)
    }

    /// Every upload that is not finished.
    pub(crate) fn uploads(&self, bucket: &str) -> Result<Vec<Upload>, StoreError> {
        Ok(self.read().buckets.get(bucket).ok_or(StoreError::NoSuchBucket)?.uploads.values().cloned().collect())
    }

    /// Makes the draft a part of an upload, replacing one of the same number.
    pub(crate) fn commit_part(
        &self,
        bucket: &str,
        id: &str,
        part_number: i32,
        draft: &Draft,
        (size, md5, modified): (u64, String, i64),
    ) -> Result<(), StoreError> {
        let mut index = self.write();
        let upload = index.buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?.uploads.get_mut(id);
        let upload = upload.ok_or(StoreError::NoSuchUpload)?;
        let folder = self.folder(bucket).join(format!("upload-{id}"));
        let part = Part { size, md5, modified, number: draft.number };
        std::fs::rename(&draft.path, folder.join(part.file_name(part_number)))?;
        if let Some(old) = upload.parts.insert(part_number, part) {
            std::fs::remove_file(folder.join(old.file_name(part_number)))?;
        }
        Ok(())
    }

    /// The file of a part.
    pub(crate) fn part_path(&self, bucket: &str, upload: &Upload, part_number: i32) -> Option<PathBuf> {
        let part = upload.parts.get(&part_number)?;
        Some(self.folder(bucket).join(format!("upload-{}", upload.id)).join(part.file_name(part_number)))
    }

    /// Forgets an upload and its parts.
    pub(crate) fn delete_upload(&self, bucket: &str, id: &str) -> Result<(), StoreError> {
        let mut index = self.write();
        index.buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?.uploads.remove(id).ok_or(StoreError::NoSuchUpload)?;
        std::fs::remove_dir_all(self.folder(bucket).join(format!("upload-{id}")))?;
        Ok(())
    }
}

impl Part {
    /// The name says all that is known, so that a part needs no second file.
    fn file_name(&self, part_number: i32) -> String {
        format!("{part_number}-{}-{}-{}", self.number, self.md5, self.modified)
    }

    pub(super) fn from_file(name: &str, size: u64) -> Option<(i32, Self)> {
        let fields: Vec<&str> = name.split('-').collect();
        let [part_number, number, md5, modified] = fields[..] else { return None };
        let (number, modified) = (number.parse().ok()?, modified.parse().ok()?);
        Some((part_number.parse().ok()?, Self { size, md5: md5.to_owned(), modified, number }))
    }
}
