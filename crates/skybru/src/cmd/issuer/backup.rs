//! `skybru issuer backup` and `skybru issuer restore`.
//!
//! A backup is one tar archive in one sealed file (age). Of a server: the database as it was at one moment, with registry, sealed signing
//! keys, used assertions and audit log, and the files beside it. Of a private issuer: its folder. An installation on PostgreSQL is backed
//! up with PostgreSQL's own tools.

use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;
use skybru_signer::seal::Seal;
use skybru_store::sqlite;

use super::super::{Call, Outcome};
use super::Place;
use super::folder::Folder;
use super::holding::SealOptions;
use crate::lab::files;
use crate::settings::Settings;

const MANIFEST: &str = "skybru-backup.json";
const DATABASE: &str = "skybru.db";

/// What a server keeps beside its database.
const BESIDE: [&str; 3] = ["seal.key", "operator.jwk", "operator.toml"];

/// What the folder of a private issuer holds, beside `keys/`.
const PRIVATE: [&str; 2] = ["issuer.toml", "keys.json"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Server,
    Private,
}

/// The first file in the archive.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    kind: Kind,
    made: jiff::Timestamp,
}

/// What the backup is sealed with.
#[derive(Debug, Args)]
struct SealArgs {
    /// A key file, as `age-keygen` or `skybru issuer keys seal-key` makes it
    #[arg(long, value_name = "FILE", conflicts_with = "seal_passphrase_file")]
    seal_key_file: Option<PathBuf>,
    /// A file that holds a passphrase
    #[arg(long, value_name = "FILE")]
    seal_passphrase_file: Option<PathBuf>,
}

/// Arguments of `issuer backup`.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The file to write; it must not be there yet
    file: PathBuf,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    seal: SealArgs,
}

/// Arguments of `issuer restore`.
#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The file that `issuer backup` wrote
    file: PathBuf,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    seal: SealArgs,
}

impl SealArgs {
    /// From the flags, or else what the settings seal keys with. A key that lies beside the database only would be lost with it.
    fn seal(&self, call: &Call, settings: &Settings) -> Result<Seal> {
        let folder = &call.system.folder;
        if let Some(file) = &self.seal_key_file {
            return SealOptions::KeyFile(file.clone()).seal(folder, &call.system).context("--seal-key-file");
        }
        if let Some(file) = &self.seal_passphrase_file {
            return SealOptions::PassphraseFile(file.clone()).seal(folder, &call.system).context("--seal-passphrase-file");
        }
        let configured = settings.options.server.as_ref().and_then(|server| server.seal.as_ref());
        let configured = configured.context("say what the backup is sealed with: --seal-key-file or --seal-passphrase-file")?;
        configured.seal(&settings.beside("."), &call.system)
    }
}

/// Which installation is meant: the private issuer in the folder, or the server of the settings.
fn place(call: &Call, place: &Place, settings: &Settings) -> Result<(Kind, PathBuf)> {
    let path = call.system.folder.join(&place.dir);
    if Folder::is_one(&path) || settings.options.server.is_none() {
        return Ok((Kind::Private, path));
    }
    Ok((Kind::Server, settings.beside(&settings.server()?.data)))
}

pub(super) fn backup(call: &Call, args: &BackupArgs) -> Result<Outcome> {
    let settings = call.settings()?;
    let target = call.system.folder.join(&args.file);
    if target.exists() {
        bail!("{} is there already: a backup is never written over another", target.display());
    }
    let seal = args.seal.seal(call, &settings)?;
    let (kind, folder) = place(call, &args.place, &settings)?;
    let manifest = Manifest { format: 1, kind, made: call.system.ctx.clock.now() };
    let mut archive = Archive(tar::Builder::new(Vec::new()));
    archive.add(MANIFEST, &serde_json::to_vec(&manifest)?)?;
    match kind {
        Kind::Server => archive.add_server(&folder)?,
        Kind::Private => archive.add_private(call, args, &folder)?,
    }
    let plain = archive.0.into_inner().context("cannot end the archive")?;
    files::write_private(&target, &seal.seal(&plain)?)?;
    if call.printer.json {
        call.printer.object(&json!({"file": args.file, "bytes": plain.len()}))?;
    } else {
        call.printer.data(&format!("wrote {}: without its seal nobody can read it, you included", args.file.display()))?;
    }
    Ok(Outcome::Done)
}

struct Archive(tar::Builder<Vec<u8>>);

impl Archive {
    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(bytes.len())?);
        header.set_mode(0o600);
        self.0.append_data(&mut header, name, bytes).with_context(|| format!("cannot add {name}"))
    }

    fn add_file(&mut self, folder: &Path, name: &str) -> Result<()> {
        let file = folder.join(name);
        let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        self.add(name, &bytes)
    }

    fn add_server(&mut self, folder: &Path) -> Result<()> {
        let database = folder.join(DATABASE);
        if !database.is_file() {
            bail!("there is no {}: an installation on PostgreSQL is backed up with pg_dump", database.display());
        }
        let beside = tempfile::tempdir_in(folder).with_context(|| format!("cannot write in {}", folder.display()))?;
        sqlite::copy(&database, &beside.path().join(DATABASE))?;
        self.add_file(beside.path(), DATABASE)?;
        for name in BESIDE.iter().filter(|name| folder.join(name).is_file()) {
            self.add_file(folder, name)?;
        }
        Ok(())
    }

    fn add_private(&mut self, call: &Call, args: &BackupArgs, folder: &Path) -> Result<()> {
        // Held open: no key comes or goes meanwhile.
        let _held = Folder::open(call, &args.place.dir)?;
        for name in PRIVATE {
            self.add_file(folder, name)?;
        }
        for entry in std::fs::read_dir(folder.join("keys")).context("cannot read keys/")? {
            if let Ok(name) = entry?.file_name().into_string() {
                self.add_file(folder, &format!("keys/{name}"))?;
            }
        }
        Ok(())
    }
}

pub(super) fn restore(call: &Call, args: &RestoreArgs) -> Result<Outcome> {
    let settings = call.settings()?;
    let source = call.system.folder.join(&args.file);
    let sealed = std::fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let plain = args.seal.seal(call, &settings)?.open(&sealed).with_context(|| format!("cannot open {}", source.display()))?;
    let contents = unpack(&plain).with_context(|| format!("{} is not a backup of an issuer", source.display()))?;
    let (manifest, contents) = contents.split_first().context("the backup is empty")?;
    let manifest: Manifest = serde_json::from_slice(&manifest.1).context("the backup's first file is not its manifest")?;
    if manifest.format != 1 {
        bail!("the backup has format {}, but this skybru knows only up to 1: use a newer skybru", manifest.format);
    }
    let (kind, folder) = match manifest.kind {
        Kind::Private => (Kind::Private, call.system.folder.join(&args.place.dir)),
        Kind::Server => (Kind::Server, settings.beside(&settings.server()?.data)),
    };
    let first = if kind == Kind::Server { DATABASE } else { "issuer.toml" };
    let taken = |name: &str| folder.join(name).exists();
    if [first, "keys.json"].into_iter().chain(BESIDE).any(taken) {
        bail!("{} is not empty: a backup is never brought back over an installation; name another folder", folder.display());
    }
    // What makes it an installation comes last: a restore that was cut off is none.
    let (last, others): (Vec<_>, Vec<_>) = contents.iter().partition(|(name, _)| name == first);
    for (name, bytes) in others.into_iter().chain(last) {
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().unwrap_or(&folder)).with_context(|| format!("cannot make {}", folder.display()))?;
        files::write_private(&file, bytes)?;
    }
    if call.printer.json {
        call.printer.object(&json!({"folder": folder, "made": manifest.made}))?;
    } else {
        call.printer.data(&format!("brought back to {}: as it was at {:.0}", folder.display(), manifest.made))?;
    }
    Ok(Outcome::Done)
}

/// The files of an archive. Names lead nowhere but below the folder.
fn unpack(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in tar::Archive::new(bytes).entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        if !entry.header().entry_type().is_file() || !name.components().all(|part| matches!(part, Component::Normal(_))) {
            bail!("{} does not belong into a backup", name.display());
        }
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents)?;
        files.push((name.to_str().context("a name is not text")?.to_owned(), contents));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(name: &str, kind: tar::EntryType) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(1);
        header.set_cksum();
        builder.append(&header, &b"x"[..]).unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn an_archive_leads_nowhere_but_below_the_folder() {
        let file = tar::EntryType::Regular;
        assert_eq!(unpack(&archive("keys/a.jwk", file)).unwrap(), [("keys/a.jwk".to_owned(), b"x".to_vec())]);
        for name in ["../a", "/etc/passwd", "keys/../../a"] {
            assert!(unpack(&archive(name, file)).is_err(), "{name}");
        }
        assert!(unpack(&archive("link", tar::EntryType::Symlink)).is_err());
    }
}
