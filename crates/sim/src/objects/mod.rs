//! Buckets and objects as files.
//!
//! A key is never part of a path, so every key that a cloud takes is taken here: `a` beside `a/b`, `a//b`, `../x`, a slash at the end, a
//! thousand characters. An object is two files with a number for a name, `N.data` and `N.json`; it exists from the moment its
//! `N.json` appears. What exists is held in memory, in the order of the keys, and read from the files at the start.

mod load;
mod uploads;

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::{Deserialize, Serialize};

use load::{load_bucket, read_json};
pub(crate) use uploads::Upload;

use crate::files;

/// What is known about an object besides its bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) size: u64,
    /// MD5 in hexadecimal; of several parts, the MD5 of their MD5s and their number.
    pub(crate) etag: String,
    /// Seconds since 1970.
    pub(crate) modified: i64,
    pub(crate) attributes: Attributes,
    /// Checksum by algorithm, as the uploader sent it and it was found right.
    pub(crate) checksums: BTreeMap<String, String>,
    /// How often its attributes were changed since.
    #[serde(default)]
    pub(crate) changes: u64,
    /// The name of the object's files.
    number: u64,
}

impl Object {
    /// A number that no other version of any object in the store has, and later ones exceed.
    pub(crate) fn version(&self) -> u64 {
        self.number
    }
}

/// What the uploader says about an object and gets back with it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Attributes {
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) cache_control: Option<String>,
    /// Where it is not the usual one.
    #[serde(default)]
    pub(crate) storage_class: Option<String>,
    /// `x-amz-meta-*`.
    pub(crate) metadata: BTreeMap<String, String>,
    /// S3's tags.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

/// The record of a bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct BucketRecord {
    created: i64,
}

#[derive(Debug)]
struct Bucket {
    created: i64,
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
}

#[derive(Debug, Default)]
struct Index {
    buckets: BTreeMap<String, Bucket>,
    next: u64,
}

/// Why an operation on the store did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the bucket does not exist")]
    NoSuchBucket,
    #[error("the bucket exists already")]
    BucketAlreadyOwnedByYou,
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    #[error("the key does not exist")]
    NoSuchKey,
    #[error("the upload does not exist")]
    NoSuchUpload,
    #[error("a precondition of the request does not hold")]
    PreconditionFailed,
    #[error("a file of the simulator could not be read or written")]
    Files(#[from] io::Error),
}

/// Data being received: a file that vanishes unless it is committed.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) path: PathBuf,
    number: u64,
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Everything about a new object but where it lies.
pub(crate) struct NewObject {
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: i64,
    pub(crate) attributes: Attributes,
    pub(crate) checksums: BTreeMap<String, String>,
}

/// One page of a listing.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Object>,
    pub(crate) prefixes: Vec<String>,
    /// The last key or prefix on this page, if there are more.
    pub(crate) next: Option<String>,
}

/// Buckets and objects below one folder.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    index: RwLock<Index>,
}

impl Store {
    /// Opens the folder, makes it if need be, and removes what an interrupted upload left behind.
    pub(crate) fn open(root: PathBuf) -> io::Result<Self> {
        files::create_private_folder(&root)?;
        let mut index = Index::default();
        for entry in std::fs::read_dir(&root)? {
            let folder = entry?.path();
            let Some(record) = read_json::<BucketRecord>(&folder.join("bucket.json"))? else { continue };
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            let (bucket, last) = load_bucket(&folder, record.created)?;
            index.next = index.next.max(last + 1);
            index.buckets.insert(name, bucket);
        }
        Ok(Self { root, index: RwLock::new(index) })
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn folder(&self, bucket: &str) -> PathBuf {
        self.root.join(bucket)
    }

    /// Makes a bucket. The name was checked by the protocol layer, so it is a good folder name.
    pub(crate) fn create_bucket(&self, name: &str, now: i64) -> Result<(), StoreError> {
        let mut index = self.write();
        if index.buckets.contains_key(name) {
            return Err(StoreError::BucketAlreadyOwnedByYou);
        }
        files::create_private_folder(&self.folder(name))?;
        files::write_json(&self.folder(name).join("bucket.json"), &BucketRecord { created: now })?;
        index.buckets.insert(name.to_owned(), Bucket { created: now, objects: BTreeMap::new(), uploads: BTreeMap::new() });
        Ok(())
    }

    /// Removes an empty bucket.
    pub(crate) fn delete_bucket(&self, name: &str) -> Result<(), StoreError> {
        let mut index = self.write();
        let bucket = index.buckets.get(name).ok_or(StoreError::NoSuchBucket)?;
        if !bucket.objects.is_empty() {
            return Err(StoreError::BucketNotEmpty);
        }
        std::fs::remove_dir_all(self.folder(name))?;
        index.buckets.remove(name);
        Ok(())
    }

    /// Name and time of creation of every bucket.
    pub(crate) fn buckets(&self) -> Vec<(String, i64)> {
        self.read().buckets.iter().map(|(name, bucket)| (name.clone(), bucket.created)).collect()
    }

    /// Is it there?
    pub(crate) fn bucket(&self, name: &str) -> Result<(), StoreError> {
        if self.read().buckets.contains_key(name) { Ok(()) } else { Err(StoreError::NoSuchBucket) }
    }

    /// An object and the file with its bytes.
    pub(crate) fn object(&self, bucket: &str, key: &str) -> Result<(Object, PathBuf), StoreError> {
        let index = self.read();
        let object = index.buckets.get(bucket).ok_or(StoreError::NoSuchBucket)?.objects.get(key).ok_or(StoreError::NoSuchKey)?;
        Ok((object.clone(), self.folder(bucket).join(format!("{}.data", object.number))))
    }

    /// A file to receive bytes into.
    pub(crate) fn draft(&self, bucket: &str) -> Result<Draft, StoreError> {
        let mut index = self.write();
        if !index.buckets.contains_key(bucket) {
            return Err(StoreError::NoSuchBucket);
        }
        index.next += 1;
        let number = index.next;
        Ok(Draft { path: self.folder(bucket).join(format!("{number}.draft")), number })
    }

    /// Makes the draft the object of its key, in one step for every reader. `allowed` sees the object that it would replace.
    pub(crate) fn commit(
        &self,
        bucket: &str,
        draft: &Draft,
        new: NewObject,
        allowed: impl FnOnce(Option<&Object>) -> bool,
    ) -> Result<Object, StoreError> {
        let mut index = self.write();
        let folder = self.folder(bucket);
        let objects = &mut index.buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?.objects;
        if !allowed(objects.get(&new.key)) {
            return Err(StoreError::PreconditionFailed);
        }
        let NewObject { key, size, etag, modified, attributes, checksums } = new;
        let object = Object { key, size, etag, modified, attributes, checksums, changes: 0, number: draft.number };
        std::fs::rename(&draft.path, folder.join(format!("{}.data", object.number)))?;
        files::write_json(&folder.join(format!("{}.json", object.number)), &object)?;
        if let Some(old) = objects.insert(object.key.clone(), object.clone()) {
            remove_object(&folder, &old)?;
        }
        Ok(object)
    }

    /// Removes an object; one that is not there is removed as well, as S3 has it.
    pub(crate) fn delete_object(&self, bucket: &str, key: &str) -> Result<(), StoreError> {
        self.delete_object_if(bucket, key, |_| true)
    }

    /// Removes an object if `allowed` says so on seeing it.
    pub(crate) fn delete_object_if(
        &self,
        bucket: &str,
        key: &str,
        allowed: impl FnOnce(Option<&Object>) -> bool,
    ) -> Result<(), StoreError> {
        let mut index = self.write();
        let objects = &mut index.buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?.objects;
        if !allowed(objects.get(key)) {
            return Err(StoreError::PreconditionFailed);
        }
        if let Some(old) = objects.remove(key) {
            remove_object(&self.folder(bucket), &old)?;
        }
        Ok(())
    }

    /// Changes what is said about an object, not its bytes.
    pub(crate) fn describe(
        &self,
        bucket: &str,
        key: &str,
        allowed: impl FnOnce(&Object) -> bool,
        change: impl FnOnce(&mut Attributes),
    ) -> Result<Object, StoreError> {
        let mut index = self.write();
        let folder = self.folder(bucket);
        let objects = &mut index.buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?.objects;
        let object = objects.get_mut(key).ok_or(StoreError::NoSuchKey)?;
        if !allowed(object) {
            return Err(StoreError::PreconditionFailed);
        }
        let mut changed = object.clone();
        change(&mut changed.attributes);
        changed.changes += 1;
        files::write_json(&folder.join(format!("{}.json", changed.number)), &changed)?;
        object.clone_from(&changed);
        Ok(changed)
    }

    /// One page of the objects whose keys begin with `prefix` and stand after `after`, in byte order.
    pub(crate) fn list(
        &self,
        bucket: &str,
        prefix: &str,
        delimiter: &str,
        after: &str,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let index = self.read();
        let objects = &index.buckets.get(bucket).ok_or(StoreError::NoSuchBucket)?.objects;
        let mut page = Page::default();
        let mut last = None;
        let mut from = if prefix > after { Bound::Included(prefix.to_owned()) } else { Bound::Excluded(after.to_owned()) };
        while let Some((key, object)) = objects.range::<str, _>((from.as_ref().map(String::as_str), Bound::Unbounded)).next() {
            let Some(rest) = key.strip_prefix(prefix) else { break };
            let common = if delimiter.is_empty() { None } else { rest.find(delimiter) };
            let common = common.map(|at| key[..prefix.len() + at + delimiter.len()].to_owned());
            let entry = common.as_ref().unwrap_or(key);
            if entry != after {
                if page.objects.len() + page.prefixes.len() == limit {
                    page.next = last;
                    break;
                }
                last = Some(entry.clone());
                if common.is_some() { page.prefixes.push(entry.clone()) } else { page.objects.push(object.clone()) }
            }
            // Below a common prefix there is nothing more to see: go on behind the last key that it can have.
            from = Bound::Excluded(common.map_or_else(|| key.clone(), |common| format!("{common}{}", char::MAX)));
        }
        Ok(page)
    }
}

fn remove_object(folder: &Path, object: &Object) -> io::Result<()> {
    std::fs::remove_file(folder.join(format!("{}.json", object.number)))?;
    std::fs::remove_file(folder.join(format!("{}.data", object.number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &Store, key: &str, bytes: &[u8]) {
        let draft = store.draft("bucket").unwrap();
        std::fs::write(&draft.path, bytes).unwrap();
        let new = NewObject {
            key: key.to_owned(),
            size: bytes.len() as u64,
            etag: "e".to_owned(),
            modified: 1,
            attributes: Attributes::default(),
            checksums: BTreeMap::new(),
        };
        store.commit("bucket", &draft, new, |_| true).unwrap();
    }

    fn keys(page: &Page) -> Vec<&str> {
        page.objects.iter().map(|object| object.key.as_str()).collect()
    }

    #[test]
    fn every_key_is_an_object_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_owned()).unwrap();
        store.create_bucket("bucket", 1).unwrap();
        let names = ["../../etc/passwd", "a", "a b/æøå", "a/", "a//b", "a/b"];
        for name in names {
            put(&store, name, name.as_bytes());
        }
        assert_eq!(keys(&store.list("bucket", "", "", "", 1000).unwrap()), names);
        for name in names {
            let (object, path) = store.object("bucket", name).unwrap();
            assert_eq!((std::fs::read(path).unwrap(), object.size), (name.as_bytes().to_vec(), name.len() as u64));
        }
        assert!(!folder.path().join("../../etc/passwd").exists() || folder.path().starts_with("/tmp"));
    }

    #[test]
    fn pages_and_common_prefixes_cover_everything_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_owned()).unwrap();
        store.create_bucket("bucket", 1).unwrap();
        for name in ["a", "b/1", "b/2", "b/c/3", "d", "e/4", "f"] {
            put(&store, name, b"");
        }
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = store.list("bucket", "", "/", &after, 2).unwrap();
            seen.extend(page.objects.into_iter().map(|object| object.key).chain(page.prefixes));
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        seen.sort();
        assert_eq!(seen, ["a", "b/", "d", "e/", "f"]);
        let below = store.list("bucket", "b/", "/", "", 1000).unwrap();
        assert_eq!((keys(&below), below.prefixes.as_slice()), (vec!["b/1", "b/2"], &["b/c/".to_owned()][..]));
    }

    #[test]
    fn objects_and_parts_survive_a_restart_and_drafts_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_owned()).unwrap();
        store.create_bucket("bucket", 1).unwrap();
        put(&store, "k", b"old");
        put(&store, "k", b"new");
        let upload = Upload {
            id: "u1".to_owned(),
            key: "big".to_owned(),
            started: 1,
            attributes: Attributes::default(),
            parts: BTreeMap::new(),
        };
        store.create_upload("bucket", upload).unwrap();
        let part = store.draft("bucket").unwrap();
        std::fs::write(&part.path, b"part").unwrap();
        store.commit_part("bucket", "u1", 1, &part, (4, "00".to_owned(), 1)).unwrap();
        let left_behind = store.draft("bucket").unwrap();
        std::fs::write(&left_behind.path, b"half").unwrap();
        std::mem::forget(left_behind);

        let store = Store::open(folder.path().to_owned()).unwrap();
        let (object, path) = store.object("bucket", "k").unwrap();
        assert_eq!((object.size, std::fs::read(path).unwrap()), (3, b"new".to_vec()));
        assert_eq!(store.upload("bucket", "big", "u1").unwrap().parts[&1].size, 4);
        let drafts = std::fs::read_dir(folder.path().join("bucket")).unwrap();
        assert!(drafts.flatten().all(|entry| entry.path().extension().is_none_or(|extension| extension != "draft")));
        assert!(matches!(store.delete_bucket("bucket"), Err(StoreError::BucketNotEmpty)));
    }
}
