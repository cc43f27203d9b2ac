//! Files of this machine: names that stay inside a folder, files that appear whole or not at all, folders walked.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use md5::{Digest as _, Md5};
use tokio::fs;

use super::StorageError;
use super::checksum::hex;
use super::error::local;

/// `relative`, a part of a key, as a path below `folder`. Whatever would leave the folder is refused: keys are written by others.
pub(super) fn below(folder: &Path, relative: &str) -> Result<PathBuf, StorageError> {
    let refused = || StorageError::FileName(relative.chars().take(200).collect());
    if relative.contains('\\') || relative.contains('\0') || (cfg!(windows) && relative.contains(':')) {
        return Err(refused());
    }
    let mut path = folder.to_path_buf();
    let mut parts = 0;
    for component in Path::new(relative).components() {
        let Component::Normal(part) = component else { return Err(refused()) };
        if part.len() > LONGEST_NAME {
            return Err(refused());
        }
        if cfg!(windows) && means_something_on_windows(&part.to_string_lossy()) {
            return Err(refused());
        }
        path.push(part);
        parts += 1;
    }
    if parts == relative.split('/').count() { Ok(path) } else { Err(refused()) }
}

/// Devices, and endings that Windows drops in silence
/// ([Naming files](https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file)).
fn means_something_on_windows(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    let numbered = |device: &str| stem.strip_prefix(device).is_some_and(|rest| rest.chars().count() == 1 && rest != "0");
    name.ends_with(['.', ' '])
        || name.contains(['<', '>', '"', '|', '?', '*'])
        || matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || numbered("COM")
        || numbered("LPT")
}

/// Keeps two keys that differ by case from becoming one file, where the folder does not tell them apart.
#[derive(Debug, Default)]
pub(super) struct Clashes(Option<Mutex<HashMap<String, String>>>);

impl Clashes {
    /// Finds out by trying. On most Linux file systems nothing needs to be remembered.
    pub(super) async fn probe(folder: &Path) -> Self {
        // The nearest folder that is there: those below it will be of the same kind.
        let Some(folder) = folder.ancestors().find(|folder| folder.is_dir()) else { return Self::default() };
        let (lower, upper) = (folder.join(".skybru-case-probe"), folder.join(".SKYBRU-CASE-PROBE"));
        if fs::write(&lower, []).await.is_err() {
            return Self::default();
        }
        let blind = fs::metadata(&upper).await.is_ok();
        let _ = fs::remove_file(&lower).await;
        Self(blind.then(Mutex::default))
    }

    pub(super) fn admit(&self, relative: &str) -> Result<(), StorageError> {
        let Some(seen) = &self.0 else { return Ok(()) };
        let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match seen.insert(relative.to_lowercase(), relative.to_owned()) {
            Some(first) if first != relative => Err(StorageError::Clash { first, second: relative.to_owned() }),
            _ => Ok(()),
        }
    }
}

/// Bytes that a file's name may have, on nearly every file system.
const LONGEST_NAME: usize = 255;

/// What an unfinished file's name ends with.
const PART: &str = ".skybru-part";

/// A file that is still being written, beside its final place. It vanishes when dropped unless it was put there, or shall be kept.
pub(super) struct Unfinished {
    path: PathBuf,
    keep: bool,
}

impl Unfinished {
    /// The unfinished file for `target`. `mark` tells it from others.
    pub(super) fn beside(target: &Path, mark: &str, keep: bool) -> Result<Self, StorageError> {
        let name = target.file_name().ok_or_else(|| StorageError::FileName(target.display().to_string()))?;
        let ending = format!(".{mark}{PART}");
        let mut hidden = std::ffi::OsString::from(".");
        if name.len() + ending.len() < LONGEST_NAME {
            hidden.push(name);
        } else {
            // As much of the name as fits, and its sum, so that two long ones do not meet.
            let text = name.to_string_lossy();
            let sum = hex(&Md5::digest(text.as_bytes()));
            let beginning: String = text.chars().take((LONGEST_NAME - ending.len() - sum.len() - 2) / 4).collect();
            hidden.push(format!("{beginning}.{sum}"));
        }
        hidden.push(ending);
        Ok(Self { path: target.with_file_name(hidden), keep })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves it to its final place, in one step.
    pub(super) fn put_in_place(mut self, target: &Path) -> Result<(), StorageError> {
        std::fs::rename(&self.path, target).map_err(local("could not put in place", target))?;
        self.keep = true;
        Ok(())
    }

    /// Removes it now, whatever was said before: its content is no good.
    pub(super) fn discard(mut self) {
        self.keep = false;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.keep {
            // Nothing can be done if it fails, and the first error is the one to tell.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A file found in a folder.
pub(super) struct Found {
    /// Below the folder, with `/` between the parts.
    pub(super) relative: String,
    pub(super) size: u64,
    pub(super) modified: Option<SystemTime>,
}

/// All files below `folder`, in order, without our own unfinished ones. Links to files are followed, links to folders are not: they may lead in circles.
pub(super) async fn files_below(folder: &Path) -> Result<Vec<Found>, StorageError> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_path_buf(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let failed = || local("could not read the folder", &folder);
        let mut entries = fs::read_dir(&folder).await.map_err(failed())?;
        while let Some(entry) = entries.next_entry().await.map_err(failed())? {
            let path = entry.path();
            let Ok(name) = entry.file_name().into_string() else {
                return Err(StorageError::FileName(path.display().to_string()));
            };
            let relative = format!("{prefix}{name}");
            let kind = entry.file_type().await.map_err(local("could not look at", &path))?;
            if kind.is_dir() {
                folders.push((path, format!("{relative}/")));
            } else if !name.ends_with(PART) {
                let data = fs::metadata(&path).await.map_err(local("could not look at", &path))?;
                if data.is_file() {
                    found.push(Found { relative, size: data.len(), modified: data.modified().ok() });
                }
            }
        }
    }
    found.sort_by(|a, b| a.relative.cmp(&b.relative));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_leads_out_of_the_folder() {
        let folder = Path::new("/data");
        assert_eq!(below(folder, "2026/a b.csv").unwrap(), Path::new("/data/2026/a b.csv"));
        for wrong in ["", "/etc/passwd", "../x", "a/../../x", "a/./b", "a//b", "a/", r"..\x", r"C:\x", "a\0b"] {
            assert!(below(folder, wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_that_mean_something_on_windows_are_known() {
        for wrong in ["CON", "nul.txt", "com1", "LPT9.csv", "a.", "a ", "a?b"] {
            assert!(means_something_on_windows(wrong), "{wrong:?}");
        }
        for fine in ["console", "a.b.csv", "COM0", "com10", "æ"] {
            assert!(!means_something_on_windows(fine), "{fine:?}");
        }
    }

    #[test]
    fn keys_that_differ_by_case_do_not_become_one_file() {
        let blind = Clashes(Some(Mutex::default()));
        blind.admit("a/B.csv").unwrap();
        blind.admit("a/B.csv").unwrap();
        assert!(matches!(blind.admit("A/b.csv"), Err(StorageError::Clash { .. })));
        let seeing = Clashes::default();
        seeing.admit("a").and_then(|()| seeing.admit("A")).unwrap();
    }

    #[test]
    fn an_unfinished_file_vanishes() {
        let folder = tempfile::tempdir().unwrap();
        let unfinished = Unfinished::beside(&folder.path().join("a.csv"), "x", false).unwrap();
        std::fs::write(unfinished.path(), "half").unwrap();
        drop(unfinished);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
