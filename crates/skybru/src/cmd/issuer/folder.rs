//! The folder of a private issuer: `issuer.toml`, `keys.json`, and one private file for each key.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use skybru_core::IssuerUrl;
use skybru_issuer::private::{Keys, Lifetimes, MAX_LIFETIME_SECONDS, Template};
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey};

use super::super::Call;
use crate::lab::files;

const SETTINGS: &str = "issuer.toml";
const KEYS: &str = "keys.json";

/// `issuer.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct IssuerFile {
    /// The `iss` of every token, and where the documents are found.
    pub(super) url: IssuerUrl,
    /// Life of a token when nothing else is asked for, and the longest.
    #[serde(default = "token_lifetime")]
    pub(super) token_lifetime_seconds: u32,
    /// How long verifiers may keep the key set.
    #[serde(default = "cache_hours")]
    pub(super) key_set_cache_hours: u32,
    /// Size of new keys, in bits.
    #[serde(default = "key_bits")]
    pub(super) key_bits: u32,
    /// Claims of every token.
    #[serde(default)]
    pub(super) claims: Template,
}

const fn token_lifetime() -> u32 {
    600
}

const fn cache_hours() -> u32 {
    24
}

const fn key_bits() -> u32 {
    2048
}

impl IssuerFile {
    pub(super) fn new(url: IssuerUrl, key_bits: u32) -> Self {
        let (token_lifetime_seconds, key_set_cache_hours) = (token_lifetime(), cache_hours());
        Self { url, token_lifetime_seconds, key_set_cache_hours, key_bits, claims: Template::default() }
    }

    fn check(&self) -> Result<()> {
        if self.url.ends_in_slash() {
            bail!(
                "url: {} ends in a slash; clouds take that for another issuer than the one without (P-4): leave it out",
                self.url
            );
        }
        if !(1..=MAX_LIFETIME_SECONDS).contains(&self.token_lifetime_seconds) {
            bail!("token-lifetime-seconds: expected 1 to {MAX_LIFETIME_SECONDS}, found {}", self.token_lifetime_seconds);
        }
        if self.key_set_cache_hours > 24 * 7 {
            bail!("key-set-cache-hours: expected 0 to 168, found {}", self.key_set_cache_hours);
        }
        size(self.key_bits)?;
        self.claims.check().context("claims")
    }

    pub(super) fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            cache: SignedDuration::from_hours(self.key_set_cache_hours.into()),
            token: SignedDuration::from_secs(self.token_lifetime_seconds.into()),
        }
    }
}

fn size(bits: u32) -> Result<RsaSize> {
    match bits {
        2048 => Ok(RsaSize::Bits2048),
        3072 => Ok(RsaSize::Bits3072),
        4096 => Ok(RsaSize::Bits4096),
        _ => bail!("key-bits: expected 2048, 3072 or 4096, found {bits}"),
    }
}

/// An opened folder. Held by one command at a time.
pub(super) struct Folder {
    path: PathBuf,
    pub(super) settings: IssuerFile,
    pub(super) keys: Keys,
    _lock: File,
}

impl Folder {
    /// Makes a folder with a first key. Refuses where an issuer is already.
    pub(super) fn create(call: &Call, path: &Path, settings: IssuerFile) -> Result<Self> {
        settings.check()?;
        let path = call.system.folder.join(path);
        std::fs::create_dir_all(path.join("keys")).with_context(|| format!("cannot make the folder {}", path.display()))?;
        let lock = lock(&path)?;
        if path.join(SETTINGS).exists() || path.join(KEYS).exists() {
            bail!("{} holds an issuer already: name another folder, or delete that one yourself", path.display());
        }
        let mut folder = Self { path, settings, keys: Keys::default(), _lock: lock };
        folder.prepare(call)?;
        let text = format!(
            "# The private issuer. Claims that every token gets go below [claims]; {{subject}} and {{audience}} stand for the token's own.\n{}",
            toml::to_string(&folder.settings)?
        );
        files::write(&folder.path.join(SETTINGS), text.as_bytes())?;
        Ok(folder)
    }

    /// Opens a folder.
    pub(super) fn open(call: &Call, path: &Path) -> Result<Self> {
        let path = call.system.folder.join(path);
        let file = path.join(SETTINGS);
        if !file.is_file() {
            bail!(
                "there is no {SETTINGS} in {}: make one with `skybru issuer init --static DIR --url URL`, or name the folder with --dir",
                path.display()
            );
        }
        let lock = lock(&path)?;
        let settings: IssuerFile =
            toml::from_str(&files::read(&file)?).with_context(|| format!("{} is wrong", file.display()))?;
        settings.check().with_context(|| format!("{} is wrong", file.display()))?;
        let file = path.join(KEYS);
        let keys = serde_json::from_str(&files::read(&file)?).with_context(|| format!("{} is wrong", file.display()))?;
        Ok(Self { path, settings, keys, _lock: lock })
    }

    /// Makes a key that will sign one day. Its file is there before anything names it.
    pub(super) fn prepare(&mut self, call: &Call) -> Result<String> {
        let key = SigningKey::generate(size(self.settings.key_bits)?, Algorithm::RS256)?;
        let mut keys = self.keys.clone();
        keys.prepare(key.kid().clone(), key.public_jwk(), call.system.ctx.clock.now())?;
        files::write_private(&self.key_file(key.kid().as_str()), key.private_jwk()?.as_bytes())?;
        self.keys = keys;
        self.save()?;
        Ok(key.kid().to_string())
    }

    /// Writes what has become of the keys.
    pub(super) fn save(&self) -> Result<()> {
        files::write(&self.path.join(KEYS), &serde_json::to_vec_pretty(&self.keys)?)
    }

    /// The key that may sign now.
    pub(super) fn signer(&self) -> Result<SigningKey> {
        let record = self.keys.signer()?;
        let file = self.key_file(record.kid.as_str());
        SigningKey::from_text(&files::read(&file)?, Some(&record.kid)).with_context(|| format!("cannot use {}", file.display()))
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
    // Commands here take milliseconds, or fetch two documents: waiting is right.
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}
