//! Private halves of signing keys: made, sealed, and found again wherever they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use skybru_client::http::{Http, HttpOptions};
use skybru_core::{Clock, KeyId, Secret};
use skybru_issuer::keys::Holder;
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey};
use skybru_signer::kms::KmsSigner;
use skybru_signer::pkcs11::{Pkcs11Signer, Pkcs11Uri};
use skybru_signer::seal::{Seal, is_sealed};
use skybru_signer::{LocalSigner, Signer};

use crate::key_service::KeyService;
use crate::lab::files;
pub(crate) use crate::settings::SealOptions;
use crate::system::System;

impl SealOptions {
    /// The seal. Paths are relative to `folder`.
    pub(crate) fn seal(&self, folder: &Path, system: &System) -> Result<Seal> {
        match self {
            Self::PassphraseFile(file) => {
                let text = files::read(&folder.join(file))?;
                Seal::passphrase(Secret::from(text.trim_end_matches(['\r', '\n']).to_owned()))
            }
            Self::PassphraseEnv(name) => {
                let text = system.var(name).with_context(|| format!("variable {name} is not set"))?;
                Seal::passphrase(Secret::from(text.to_owned()))
            }
            Self::KeyFile(file) => Seal::key_file(&files::read(&folder.join(file))?),
        }
        .context("setting seal")
    }
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

/// Where private halves lie, and what they are sealed with.
#[derive(Clone)]
pub(super) struct Holding {
    folder: PathBuf,
    seal: Option<Seal>,
    env: BTreeMap<String, String>,
    clock: Arc<dyn Clock>,
}

impl Holding {
    /// Files lie in `folder/keys`; PIN files are relative to `folder`.
    pub(super) fn new(folder: PathBuf, seal: Option<Seal>, system: &System) -> Self {
        Self { folder, seal, env: system.env.clone(), clock: Arc::clone(&system.ctx.clock) }
    }

    /// A new key, sealed into a text that may lie in a database.
    pub(super) fn make_sealed(&self, bits: u32) -> Result<(LocalSigner, Holder)> {
        let key = SigningKey::generate(size(bits)?, Algorithm::RS256)?;
        let holder = self.keep_sealed(&key)?;
        Ok((key.into(), holder))
    }

    fn keep_sealed(&self, key: &SigningKey) -> Result<Holder> {
        let seal = self.seal.as_ref().context("there is no seal for the new key: set server.seal")?;
        let sealed = seal.seal(key.private_jwk()?.as_bytes()).context("the new key cannot be sealed")?;
        Ok(Holder::Sealed(STANDARD.encode(sealed)))
    }

    /// A new key in a file, which is there before anything names it.
    pub(super) fn make_file(&self, bits: u32) -> Result<(LocalSigner, Holder)> {
        let key = SigningKey::generate(size(bits)?, Algorithm::RS256)?;
        let holder = self.keep_file(&key)?;
        Ok((key.into(), holder))
    }

    fn keep_file(&self, key: &SigningKey) -> Result<Holder> {
        let text = key.private_jwk()?;
        let folder = self.folder.join("keys");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        match &self.seal {
            None => files::write_private(&self.file(key.kid(), false), text.as_bytes())?,
            Some(seal) => files::write_private(&self.file(key.kid(), true), &seal.seal(text.as_bytes())?)?,
        }
        Ok(Holder::File)
    }

    /// Deletes the file of a key that has gone. Keys elsewhere are left to those who hold them.
    pub(super) fn forget(&self, kid: &KeyId) -> Result<()> {
        for file in [self.file(kid, false), self.file(kid, true)] {
            if file.exists() {
                std::fs::remove_file(&file).with_context(|| format!("cannot delete {}", file.display()))?;
            }
        }
        Ok(())
    }

    fn file(&self, kid: &KeyId, sealed: bool) -> PathBuf {
        self.folder.join("keys").join(if sealed { format!("{kid}.jwk.age") } else { format!("{kid}.jwk") })
    }

    /// The signer, wherever it is.
    pub(super) async fn open(&self, kid: &KeyId, holder: &Holder) -> Result<Arc<dyn Signer>> {
        let opened: Result<Arc<dyn Signer>> = match holder {
            Holder::File => self.open_file(kid).map(|signer| Arc::new(signer) as _),
            Holder::Sealed(text) => {
                let sealed = STANDARD.decode(text).context("it is not base64")?;
                self.unsealed(&sealed, Some(kid)).map(|signer| Arc::new(signer) as _)
            }
            Holder::Pkcs11(uri) => self.pkcs11(uri, Some(kid)).await.map(|signer| Arc::new(signer) as _),
            Holder::Kms(name) => self.kms(name, Some(kid)).await.map(|signer| Arc::new(signer) as _),
        };
        opened.with_context(|| format!("cannot use signing key {kid}"))
    }

    /// A key that is somewhere already: `pkcs11:…`, the name of a key in a cloud's key service, or a file, which is copied in. `sealed`
    /// says that private halves lie in a database.
    pub(super) async fn adopt(&self, name: &str, folder: &Path, sealed: bool) -> Result<(Arc<dyn Signer>, Holder)> {
        let file = folder.join(name);
        if file.is_file() {
            let signer = LocalSigner::from_text(&files::read(&file)?, None).context("cannot use --key")?;
            let holder = if sealed { self.keep_sealed(signer.key())? } else { self.keep_file(signer.key())? };
            return Ok((Arc::new(signer), holder));
        }
        if name.starts_with("pkcs11:") {
            if name.contains("pin-value") {
                bail!("--key: the URI holds a PIN; put it into a file, and name that with pin-source=file:…");
            }
            let signer = self.pkcs11(name, None).await.context("cannot use --key")?;
            return Ok((Arc::new(signer), Holder::Pkcs11(name.to_owned())));
        }
        let signer = self.kms(name, None).await.context("cannot use --key")?;
        Ok((Arc::new(signer), Holder::Kms(name.to_owned())))
    }

    fn open_file(&self, kid: &KeyId) -> Result<LocalSigner> {
        let sealed = self.file(kid, true);
        if sealed.exists() {
            let bytes = std::fs::read(&sealed).with_context(|| format!("cannot read {}", sealed.display()))?;
            return self.unsealed(&bytes, Some(kid)).with_context(|| format!("cannot use {}", sealed.display()));
        }
        let file = self.file(kid, false);
        LocalSigner::from_text(&files::read(&file)?, Some(kid)).with_context(|| format!("cannot use {}", file.display()))
    }

    fn unsealed(&self, bytes: &[u8], kid: Option<&KeyId>) -> Result<LocalSigner> {
        if !is_sealed(bytes) {
            bail!("it is not sealed");
        }
        let seal = self.seal.as_ref().context("it is sealed, and no seal is set")?;
        let plain = seal.open(bytes)?;
        let text = std::str::from_utf8(&plain).context("it is not text")?;
        Ok(LocalSigner::from_text(text, kid)?)
    }

    async fn pkcs11(&self, uri: &str, kid: Option<&KeyId>) -> Result<Pkcs11Signer> {
        let uri: Pkcs11Uri = uri.parse()?;
        let pin = uri.pin_source.as_ref().map(|file| files::read(&self.folder.join(file))).transpose()?;
        let pin = pin.map(|text| Secret::from(text.trim_end_matches(['\r', '\n']).to_owned()));
        Ok(Pkcs11Signer::open(uri, pin, kid).await?)
    }

    async fn kms(&self, name: &str, kid: Option<&KeyId>) -> Result<KmsSigner> {
        let service = KeyService { env: self.env.clone(), folder: self.folder.clone(), clock: Arc::clone(&self.clock) };
        service.open(&name.parse()?, Http::new(&HttpOptions::default())?, kid).await
    }
}
