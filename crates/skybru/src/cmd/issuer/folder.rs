//! The folder of a private issuer: `issuer.toml` beside its keys.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use skybru_core::IssuerUrl;
use skybru_issuer::keys::{EVERYWHERE, KeySetProfile, Lifetimes, RotationRules};
use skybru_issuer::private::{MAX_LIFETIME_SECONDS, Template};

use super::super::Call;
use super::holding::{Holding, SealOptions, size};
use super::key_folder::KeyFolder;
use crate::lab::files;

const SETTINGS: &str = "issuer.toml";

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
    /// What verifiers can read: `cloud`, `certificates` or `ceph`.
    #[serde(default)]
    pub(super) key_set: KeySetProfile,
    /// What private keys in files are sealed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seal: Option<SealOptions>,
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
    pub(super) fn new(url: IssuerUrl, key_bits: u32, key_set: KeySetProfile, seal: Option<SealOptions>) -> Self {
        let (token_lifetime_seconds, key_set_cache_hours) = (token_lifetime(), cache_hours());
        Self { url, token_lifetime_seconds, key_set_cache_hours, key_bits, key_set, seal, claims: Template::default() }
    }

    fn holding(&self, call: &Call, path: &Path) -> Result<Holding> {
        let seal = self.seal.as_ref().map(|seal| seal.seal(path, &call.system)).transpose()?;
        Ok(Holding::new(path.to_owned(), seal, &call.system))
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

    /// Who fetches the key set is for the static site to know: nobody is waited for beyond the cache time.
    pub(super) fn rules(&self) -> RotationRules {
        let lifetimes = Lifetimes {
            cache: SignedDuration::from_hours(self.key_set_cache_hours.into()),
            token: SignedDuration::from_secs(self.token_lifetime_seconds.into()),
        };
        RotationRules { lifetimes, every: None, patience: SignedDuration::ZERO, everywhere: EVERYWHERE }
    }
}

/// An opened folder. Held by one command at a time.
pub(super) struct Folder {
    pub(super) settings: IssuerFile,
    pub(super) keys: KeyFolder,
}

impl Folder {
    /// Makes a folder with a first key. Refuses where an issuer is already.
    pub(super) fn create(call: &Call, path: &Path, settings: IssuerFile) -> Result<Self> {
        settings.check()?;
        let path = call.system.folder.join(path);
        if path.join(SETTINGS).exists() || KeyFolder::exists(&path) {
            bail!("{} holds an issuer already: name another folder, or delete that one yourself", path.display());
        }
        let holding = settings.holding(call, &path)?;
        let mut keys = KeyFolder::open(path.clone(), settings.key_bits, holding)?;
        keys.prepare(call.system.ctx.clock.now())?;
        let text = format!(
            "# The private issuer. Claims that every token gets go below [claims]; {{subject}} and {{audience}} stand for the token's own.\n{}",
            toml::to_string(&settings)?
        );
        files::write(&path.join(SETTINGS), text.as_bytes())?;
        Ok(Self { settings, keys })
    }

    /// Whether `path` is the folder of a private issuer.
    pub(super) fn is_one(path: &Path) -> bool {
        path.join(SETTINGS).is_file()
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
        let settings: IssuerFile =
            toml::from_str(&files::read(&file)?).with_context(|| format!("{} is wrong", file.display()))?;
        settings.check().with_context(|| format!("{} is wrong", file.display()))?;
        let holding = settings.holding(call, &path)?;
        let keys = KeyFolder::open(path, settings.key_bits, holding)?;
        Ok(Self { settings, keys })
    }
}
