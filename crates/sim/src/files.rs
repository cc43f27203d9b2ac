//! Files of a simulator's state: for the owner only, and whole or not at all.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

/// Makes a folder that only its owner can read, with those above it. One that is there already stays as it is.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Writes a value as JSON into a file of mode 0600. Who reads the file sees the old content or the new, never half of one, also after this
/// program was killed. A machine that loses its power may lose the file: a lab is made anew, and waiting for the disk would be most of
/// what an exchange takes.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    std::fs::rename(&draft, path)
}
