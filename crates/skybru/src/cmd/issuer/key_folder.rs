//! Signing keys in a folder: `keys.json` tells what has happened to each, `keys/` holds private halves, sealed or not.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use skybru_core::KeyId;
use skybru_issuer::keys::{Holder, KeyBook};
use skybru_signer::{Signer, self_signed, x5c};

use super::holding::Holding;
use crate::lab::files;

const KEYS: &str = "keys.json";

/// An opened folder. Held by one program at a time, for as long as it lives.
pub(super) struct KeyFolder {
    path: PathBuf,
    bits: u32,
    pub(super) book: KeyBook,
    pub(super) holding: Holding,
    _lock: File,
}

impl KeyFolder {
    /// Whether there are keys in `path`.
    pub(super) fn exists(path: &Path) -> bool {
        path.join(KEYS).exists()
    }

    /// Opens a folder, or makes one without keys. New keys get `bits` bits.
    pub(super) fn open(path: PathBuf, bits: u32, holding: Holding) -> Result<Self> {
        std::fs::create_dir_all(path.join("keys")).with_context(|| format!("cannot make the folder {}", path.display()))?;
        let lock = lock(&path)?;
        let file = path.join(KEYS);
        let book = if file.exists() {
            serde_json::from_str(&files::read(&file)?).with_context(|| format!("{} is wrong", file.display()))?
        } else {
            KeyBook::default()
        };
        Ok(Self { path, bits, book, holding, _lock: lock })
    }

    /// Makes a key that will sign one day.
    pub(super) fn prepare(&mut self, now: Timestamp) -> Result<KeyId> {
        let (signer, holder) = self.holding.make_file(self.bits)?;
        self.take(&signer, holder, now)
    }

    /// Takes a key in that somebody else holds.
    pub(super) fn take(&mut self, signer: &dyn Signer, holder: Holder, now: Timestamp) -> Result<KeyId> {
        let kid = signer.kid().clone();
        self.book.prepare(signer.public_jwk().clone(), x5c(signer.certificates()), kid.clone(), holder, now)?;
        self.save()?;
        Ok(kid)
    }

    /// Writes what has become of the keys.
    pub(super) fn save(&self) -> Result<()> {
        files::write(&self.path.join(KEYS), &serde_json::to_vec_pretty(&self.book)?)
    }

    /// The key that may sign now.
    pub(super) async fn signer(&self) -> Result<Arc<dyn Signer>> {
        let kid = &self.book.keys.signer()?.kid;
        self.holding.open(kid, &self.book.holder(kid)).await
    }

    /// Gives every published key a certificate, one signed by itself where there is none: some verifiers read nothing else.
    pub(super) async fn certify(&mut self) -> Result<()> {
        let bare = self.book.keys.published().filter(|record| record.x5c.is_empty());
        for (kid, created) in bare.map(|record| (record.kid.clone(), record.created)).collect::<Vec<_>>() {
            let signer = self.holding.open(&kid, &self.book.holder(&kid)).await?;
            let key = signer.local().with_context(|| {
                format!("key {kid} has no certificate, and its holder signs no certificates: have one made over it")
            })?;
            let certificate = self_signed(key, created).with_context(|| format!("no certificate over key {kid}"))?;
            self.book.keys.certify(&kid, x5c(&[certificate]));
        }
        self.save()
    }
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    // Others hold it for milliseconds, or while they fetch two documents: waiting is right.
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}
