//! Blobs, paths and files on disk: for each a file with its bytes and one with everything else, read once at the start.
//!
//! Bytes are written beside and renamed into place, so a reader sees the old content or the new, also after a crash.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use skybru_federation::azure::acl::Acl;

use crate::hex::hex;

/// Where an item lies: service and account and container in one, and the path in it.
pub(crate) type Key = (String, String);

/// One blob, file or folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) is_folder: bool,
    pub(crate) size: u64,
    pub(crate) etag: String,
    /// Seconds since 1970.
    pub(crate) created: i64,
    pub(crate) modified: i64,
    /// Headers that come back as they were given: `content-type` and the like, in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) metadata: BTreeMap<String, String>,
    /// The committed blocks: id and size.
    pub(crate) blocks: Vec<(String, u64)>,
    /// In an account with folders.
    pub(crate) acl: Option<Acl>,
    /// Where it is not the usual one.
    #[serde(default)]
    pub(crate) tier: Option<String>,
    /// Of a file in a share: what was written, from the first byte to the one after the last, in order and apart from each other.
    #[serde(default)]
    pub(crate) written: Vec<(u64, u64)>,
}

impl Item {
    /// Notes that `from..to` was written, or, where it was cleared, that it was not.
    pub(crate) fn note_written(&mut self, from: u64, to: u64, clears: bool) {
        let mut all: Vec<(u64, u64)> = Vec::new();
        let outside = self.written.iter().flat_map(|&(start, end)| [(start, end.min(from)), (start.max(to), end)]);
        all.extend(outside.filter(|(start, end)| start < end));
        all.extend((!clears && from < to).then_some((from, to)));
        all.sort_unstable();
        self.written.clear();
        for (start, end) in all {
            match self.written.last_mut() {
                Some(last) if last.1 >= start => last.1 = last.1.max(end),
                _ => self.written.push((start, end)),
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    space: String,
    path: String,
    item: Item,
}

/// New bytes of an item.
#[derive(Clone, Copy)]
pub(crate) enum Bytes<'a> {
    /// These.
    Are(&'a [u8]),
    /// Those of a draft, which is moved.
    Draft(&'a Path),
    /// The old ones.
    Kept,
}

/// All items of all accounts.
pub(crate) struct Items {
    folder: PathBuf,
    items: RwLock<BTreeMap<Key, Arc<Item>>>,
}

/// The space of a container or a share.
pub(crate) fn space(is_blob: bool, account: &str, container: &str) -> String {
    format!("{}/{account}/{container}", if is_blob { "blob" } else { "file" })
}

impl Items {
    /// Reads what is there.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        crate::files::create_private_folder(&folder)?;
        let drafts = folder.join("drafts");
        crate::files::create_private_folder(&drafts)?;
        // What was being received when the simulator ended.
        for entry in std::fs::read_dir(&drafts)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "spool") {
                std::fs::remove_file(path)?;
            }
        }
        let mut items = BTreeMap::new();
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let stored: Stored = serde_json::from_slice(&std::fs::read(&path)?)?;
                items.insert((stored.space, stored.path), Arc::new(stored.item));
            }
        }
        Ok(Self { folder, items: RwLock::new(items) })
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Key, Arc<Item>>> {
        self.items.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Key, Arc<Item>>> {
        self.items.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, space: &str, path: &str, extension: &str) -> PathBuf {
        let name = digest::digest(&digest::SHA256, format!("{space}\n{path}").as_bytes());
        self.folder.join(hex(name.as_ref())).with_extension(extension)
    }

    /// The file with an item's bytes.
    pub(crate) fn bytes_of(&self, space: &str, path: &str) -> PathBuf {
        self.file(space, path, "bytes")
    }

    /// A file of a name of its own, for bytes that belong to nobody yet: appended parts.
    pub(crate) fn draft(&self, space: &str, path: &str, name: &str) -> PathBuf {
        let name = digest::digest(&digest::SHA256, format!("{space}\n{path}\n{name}").as_bytes());
        self.folder.join("drafts").join(hex(name.as_ref()))
    }

    /// The folder of the blocks that are staged for an item, and not yet part of it.
    pub(crate) fn staged(&self, space: &str, path: &str) -> PathBuf {
        self.draft(space, path, "blocks")
    }

    /// A file of this name for bytes that are being received.
    pub(crate) fn spool(&self, name: &str) -> PathBuf {
        self.folder.join("drafts").join(format!("{name}.spool"))
    }

    /// An item.
    pub(crate) fn get(&self, space: &str, path: &str) -> Option<Arc<Item>> {
        self.read().get(&(space.to_owned(), path.to_owned())).cloned()
    }

    /// Everything in a space whose path begins with `prefix`, in order.
    pub(crate) fn below(&self, space: &str, prefix: &str) -> Vec<(String, Arc<Item>)> {
        let items = self.read();
        let from = (space.to_owned(), prefix.to_owned());
        let within = items.range(from..).take_while(|((other, path), _)| other == space && path.starts_with(prefix));
        within.map(|((_, path), item)| (path.clone(), Arc::clone(item))).collect()
    }

    /// Makes or replaces an item.
    pub(crate) fn put(&self, space: &str, path: &str, item: Item, bytes: Bytes<'_>) -> io::Result<()> {
        let mut items = self.write();
        let target = self.bytes_of(space, path);
        match bytes {
            Bytes::Kept => {}
            Bytes::Draft(draft) => std::fs::rename(draft, &target)?,
            Bytes::Are(bytes) => {
                let beside = target.with_extension("new");
                std::fs::File::create(&beside)?.write_all(bytes)?;
                std::fs::rename(&beside, &target)?;
            }
        }
        let stored = Stored { space: space.to_owned(), path: path.to_owned(), item };
        crate::files::write_json(&self.file(space, path, "json"), &stored)?;
        items.insert((stored.space, stored.path), Arc::new(stored.item));
        Ok(())
    }

    /// Changes what is known of an item, and gives it as it is then. Nobody else changes it meanwhile.
    pub(crate) fn change(&self, space: &str, path: &str, change: impl FnOnce(&mut Item)) -> io::Result<Option<Arc<Item>>> {
        let mut items = self.write();
        let key = (space.to_owned(), path.to_owned());
        let Some(old) = items.get(&key) else { return Ok(None) };
        let mut item = Item::clone(old);
        change(&mut item);
        let stored = Stored { space: key.0, path: key.1, item };
        crate::files::write_json(&self.file(space, path, "json"), &stored)?;
        let item = Arc::new(stored.item);
        items.insert((stored.space, stored.path), Arc::clone(&item));
        Ok(Some(item))
    }

    /// Takes an item away.
    pub(crate) fn delete(&self, space: &str, path: &str) {
        let mut items = self.write();
        self.forget(space, path);
        items.remove(&(space.to_owned(), path.to_owned()));
    }

    /// Moves an item, over another if there is one.
    pub(crate) fn rename(&self, from: (&str, &str), to: (&str, &str)) -> io::Result<()> {
        let Some(item) = self.get(from.0, from.1) else { return Ok(()) };
        let bytes = self.bytes_of(from.0, from.1);
        let bytes = if item.is_folder { Bytes::Kept } else { Bytes::Draft(&bytes) };
        self.put(to.0, to.1, Item::clone(&item), bytes)?;
        self.delete(from.0, from.1);
        Ok(())
    }

    fn forget(&self, space: &str, path: &str) {
        for extension in ["bytes", "json"] {
            let file = self.file(space, path, extension);
            if let Err(error) = std::fs::remove_file(&file)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, file = %file.display(), "a file of the simulator's cannot be removed");
            }
        }
    }

    fn forget_where(&self, is_it: impl Fn(&str) -> bool) {
        let mut items = self.write();
        items.retain(|(space, path), _| {
            let goes = is_it(space);
            if goes {
                self.forget(space, path);
            }
            !goes
        });
    }

    /// Everything in a container or a share.
    pub(crate) fn forget_container(&self, is_blob: bool, account: &str, container: &str) {
        let gone = space(is_blob, account, container);
        self.forget_where(|space| space == gone);
    }

    /// Everything in an account.
    pub(crate) fn forget_account(&self, account: &str) {
        let (blobs, files) = (format!("blob/{account}/"), format!("file/{account}/"));
        self.forget_where(|space| space.starts_with(&blobs) || space.starts_with(&files));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_become_one_and_what_is_cleared_leaves_a_hole() {
        let text = r#"{"is_folder":false,"size":9,"etag":"","created":0,"modified":0,"headers":{},"metadata":{},"blocks":[],"acl":null}"#;
        let mut item: Item = serde_json::from_str(text).unwrap();
        item.note_written(4, 6, false);
        item.note_written(0, 2, false);
        item.note_written(2, 4, false);
        assert_eq!(item.written, [(0, 6)]);
        item.note_written(1, 5, true);
        assert_eq!(item.written, [(0, 1), (5, 6)]);
        item.note_written(0, 9, false);
        assert_eq!(item.written, [(0, 9)]);
    }
}
