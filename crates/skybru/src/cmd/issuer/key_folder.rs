//! Signing keys in a folder: `keys.json` tells what has happened to each, `keys/KID.jwk` holds its private half.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use skybru_issuer::private::Keys;
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey};

use crate::lab::files;

const KEYS: &str = "keys.json";

/// An opened folder. Held by one program at a time, for as long as it lives.
pub(super) struct KeyFolder {
    path: PathBuf,
    bits: u32,
    pub(super) keys: Keys,
    _lock: File,
}

/// A size of RSA keys.
pub(super) fn size(bits: u32) -> Result<RsaSize> {
    match bits {
        2048 => Ok(RsaSize::Bits2048),
        3072 => Ok(RsaSize::Bits3072),
        4096 => Ok(RsaSize::Bits4096),
        _ => bail!("key-bits: expected 2048, 3072 or 4096, found {bits}"),
    }
}

impl KeyFolder {
    /// Whether there are keys in `path`.
    pub(super) fn exists(path: &Path) -> bool {
        path.join(KEYS).exists()
    }

    /// Opens a folder, or makes one without keys. New keys get `bits` bits.
    pub(super) fn open(path: PathBuf, bits: u32) -> Result<Self> {
        std::fs::create_dir_all(path.join("keys")).with_context(|| format!("cannot make the folder {}", path.display()))?;
        let lock = lock(&path)?;
        let file = path.join(KEYS);
        let keys = if file.exists() {
            serde_json::from_str(&files::read(&file)?).with_context(|| format!("{} is wrong", file.display()))?
        } else {
            Keys::default()
        };
        Ok(Self { path, bits, keys, _lock: lock })
    }

    /// Makes a key that will sign one day. Its file is there before anything names it.
    pub(super) fn prepare(&mut self, now: Timestamp) -> Result<String> {
        let key = SigningKey::generate(size(self.bits)?, Algorithm::RS256)?;
        let mut keys = self.keys.clone();
        keys.prepare(key.kid().clone(), key.public_jwk(), now)?;
        files::write_private(&self.key_file(key.kid().as_str()), key.private_jwk()?.as_bytes())?;
        self.keys = keys;
        self.save()?;
        Ok(key.kid().to_string())
    }

    /// Writes what has become of the keys.
    pub(super) fn save(&self) -> Result<()> {
        files::write(&self.path.join(KEYS), &serde_json::to_vec_pretty(&self.keys)?)
    }

    /// The private half of a key.
    pub(super) fn read(&self, kid: &skybru_core::KeyId) -> Result<SigningKey> {
        let file = self.key_file(kid.as_str());
        SigningKey::from_text(&files::read(&file)?, Some(kid)).with_context(|| format!("cannot use {}", file.display()))
    }

    /// The key that may sign now.
    pub(super) fn signer(&self) -> Result<SigningKey> {
        self.read(&self.keys.signer()?.kid)
    }

    /// Deletes the private file of a key that has gone.
    pub(super) fn forget(&self, kid: &str) -> Result<()> {
        let file = self.key_file(kid);
        std::fs::remove_file(&file).with_context(|| format!("cannot delete {}", file.display()))
    }

    fn key_file(&self, kid: &str) -> PathBuf {
        self.path.join("keys").join(format!("{kid}.jwk"))
    }
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    // Others hold it for milliseconds, or while they fetch two documents: waiting is right.
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}
