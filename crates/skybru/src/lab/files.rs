//! Files of the lab: written whole or not at all, private ones readable by their owner only.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes a file that everybody may read.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    put(path, bytes, 0o644).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes a file that holds a secret.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    put(path, bytes, 0o600).with_context(|| format!("cannot write {}", path.display()))
}

/// A new file that only its owner may read.
pub(crate) fn create_private(path: &Path) -> Result<fs::File> {
    let failed = || format!("cannot write {}", path.display());
    let file = fs::File::create_new(path).with_context(failed)?;
    set_mode(path, 0o600).with_context(failed)?;
    Ok(file)
}

/// Writes beside the file and renames, so that a crash leaves the old file or the new one.
fn put(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    beside.write_all(bytes)?;
    beside.as_file().sync_all()?;
    set_mode(beside.path(), mode)?;
    beside.persist(path)?;
    Ok(())
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) -> std::io::Result<()> {
    Ok(())
}
