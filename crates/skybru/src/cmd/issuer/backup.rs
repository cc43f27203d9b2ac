//! `skybru issuer backup` and `skybru issuer restore`.
//!
//! A backup is one tar archive in one sealed file (age). Of a server: the database as it was at one moment, with registry, sealed signing
//! keys, used assertions and audit log, and the files beside it. Of a private issuer: its folder. An installation on PostgreSQL is backed
//! up with PostgreSQL's own tools.
//!
//! Nothing is held in memory whole: a database may be larger. A restore unpacks beside the place, and moves when the seal held to the end.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
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
    // Under another name until it is whole. Only its owner may read it.
    let beside = target.parent().unwrap_or_else(|| Path::new("."));
    let file = tempfile::NamedTempFile::new_in(beside).with_context(|| format!("cannot write in {}", beside.display()))?;
    let mut archive = Archive(tar::Builder::new(seal.sealing(BufWriter::new(file))?));
    archive.add(MANIFEST, &serde_json::to_vec(&manifest)?)?;
    match kind {
        Kind::Server => archive.add_server(&folder)?,
        Kind::Private => archive.add_private(call, args, &folder)?,
    }
    let sealed = archive.0.into_inner().context("cannot end the archive")?.finish()?;
    let file = sealed.into_inner().context("cannot end the archive")?;
    file.as_file().sync_all()?;
    let bytes = file.as_file().metadata()?.len();
    file.persist_noclobber(&target).with_context(|| format!("cannot write {}", target.display()))?;
    if call.printer.json {
        call.printer.object(&json!({"file": args.file, "bytes": bytes}))?;
    } else {
        call.printer.data(&format!("wrote {}: without its seal nobody can read it, you included", args.file.display()))?;
    }
    Ok(Outcome::Done)
}

struct Archive<W: Write>(tar::Builder<W>);

impl<W: Write> Archive<W> {
    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.add_stream(name, u64::try_from(bytes.len())?, bytes)
    }

    fn add_stream(&mut self, name: &str, size: u64, contents: impl Read) -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        self.0.append_data(&mut header, name, contents).with_context(|| format!("cannot add {name}"))
    }

    fn add_file(&mut self, folder: &Path, name: &str) -> Result<()> {
        let path = folder.join(name);
        let failed = || format!("cannot read {}", path.display());
        let file = File::open(&path).with_context(failed)?;
        let size = file.metadata().with_context(failed)?.len();
        // Exactly as much as was announced, whatever is appended meanwhile.
        self.add_stream(name, size, file.take(size))
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
    let sealed = File::open(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let seal = args.seal.seal(call, &settings)?;
    let opened = seal.opening(BufReader::new(sealed)).with_context(|| format!("cannot open {}", source.display()))?;
    let unusable = || format!("{} is not a backup of an issuer", source.display());
    let mut archive = tar::Archive::new(opened);
    let mut entries = archive.entries().with_context(unusable)?;
    let first = entries.next().context("the backup is empty")?.with_context(unusable)?;
    let manifest: Manifest = serde_json::from_reader(first).context("the backup's first file is not its manifest")?;
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
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let beside = tempfile::tempdir_in(&folder).with_context(|| format!("cannot write in {}", folder.display()))?;
    let names = unpack(entries, beside.path()).with_context(unusable)?;
    // The seal holds only when its end has been seen.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).with_context(unusable)?;
    // What makes it an installation comes last: a restore that was cut off is none.
    let (last, others): (Vec<_>, Vec<_>) = names.iter().partition(|name| *name == first);
    for name in others.into_iter().chain(last) {
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().unwrap_or(&folder)).with_context(|| format!("cannot make {}", folder.display()))?;
        std::fs::rename(beside.path().join(name), &file).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if call.printer.json {
        call.printer.object(&json!({"folder": folder, "made": manifest.made}))?;
    } else {
        call.printer.data(&format!("brought back to {}: as it was at {:.0}", folder.display(), manifest.made))?;
    }
    Ok(Outcome::Done)
}

/// Writes the files of an archive below `folder`, each for its owner only, and gives their names. They lead nowhere else.
fn unpack<R: Read>(entries: tar::Entries<'_, R>, folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in entries {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        if !entry.header().entry_type().is_file() || !name.components().all(|part| matches!(part, Component::Normal(_))) {
            bail!("{} does not belong into a backup", name.display());
        }
        let path = folder.join(&name);
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        let mut file = files::create_private(&path)?;
        std::io::copy(&mut entry, &mut file)?;
        file.sync_all()?;
        names.push(name.to_str().context("a name is not text")?.to_owned());
    }
    Ok(names)
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

    fn unpacked(archive: &[u8]) -> Result<(Vec<String>, tempfile::TempDir)> {
        let folder = tempfile::tempdir().unwrap();
        let names = unpack(tar::Archive::new(archive).entries().unwrap(), folder.path())?;
        Ok((names, folder))
    }

    #[test]
    fn an_archive_leads_nowhere_but_below_the_folder() {
        let file = tar::EntryType::Regular;
        let (names, folder) = unpacked(&archive("keys/a.jwk", file)).unwrap();
        assert_eq!(names, ["keys/a.jwk"]);
        assert_eq!(std::fs::read(folder.path().join("keys/a.jwk")).unwrap(), b"x");
        for name in ["../a", "/etc/passwd", "keys/../../a"] {
            assert!(unpacked(&archive(name, file)).is_err(), "{name}");
        }
        assert!(unpacked(&archive("link", tar::EntryType::Symlink)).is_err());
    }
}
