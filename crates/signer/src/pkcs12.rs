//! PKCS#12 files, as certificate authorities hand business certificates out.

use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy, PrivateKeyChain};
use rustls_pki_types::CertificateDer;
use skybru_core::{KeyId, Secret};
use skybru_protocol::jose::{SigningKey, SigningKeyError};

use crate::{CertificateError, LocalSigner};

/// Why a PKCS#12 file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Pkcs12Error {
    /// Wrong passphrase, broken file, or an encryption that is not known. The format does not tell them apart.
    #[error("the PKCS#12 file cannot be opened: the passphrase is wrong, or the file is broken")]
    Closed,
    /// There is no private key in it.
    #[error("the PKCS#12 file holds no private key")]
    NoKey,
    /// None or several with that name.
    #[error("the PKCS#12 file holds several private keys ({}): name one with alias", names.join(", "))]
    WhichKey {
        /// What they are called.
        names: Vec<String>,
    },
    /// No such name.
    #[error("the PKCS#12 file holds no private key named {alias:?}; it holds {}", names.join(", "))]
    NoSuchKey {
        /// What was asked for.
        alias: String,
        /// What they are called.
        names: Vec<String>,
    },
    /// The key in it.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// The certificates beside it.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// Takes a key and the certificates over it out of a PKCS#12 file.
///
/// `alias` says which key, when there are several. Without `kid` the key is named by its thumbprint.
pub fn from_pkcs12(
    bytes: &[u8],
    passphrase: &Secret,
    alias: Option<&str>,
    kid: Option<&KeyId>,
) -> Result<LocalSigner, Pkcs12Error> {
    let store =
        KeyStore::from_pkcs12(bytes, passphrase.expose(), Pkcs12ImportPolicy::Relaxed).map_err(|_| Pkcs12Error::Closed)?;
    let chain = choose(&store, alias)?;
    let key = SigningKey::from_pkcs8_der(chain.key().as_der(), kid)?;
    let certificates = chain.certs().iter().map(|certificate| CertificateDer::from(certificate.as_der().to_vec())).collect();
    Ok(LocalSigner::new(key, certificates)?)
}

fn choose<'a>(store: &'a KeyStore, alias: Option<&str>) -> Result<&'a PrivateKeyChain, Pkcs12Error> {
    let mut keys: Vec<(&String, &PrivateKeyChain)> = store
        .entries()
        .filter_map(|(name, entry)| match entry {
            KeyStoreEntry::PrivateKeyChain(chain) => Some((name, chain)),
            _ => None,
        })
        .collect();
    let names = || keys.iter().map(|(name, _)| (*name).clone()).collect();
    if keys.is_empty() {
        return Err(Pkcs12Error::NoKey);
    }
    match alias {
        Some(alias) => keys
            .iter()
            .find(|(name, _)| *name == alias)
            .map(|(_, chain)| *chain)
            .ok_or_else(|| Pkcs12Error::NoSuchKey { alias: alias.to_owned(), names: names() }),
        None if keys.len() > 1 => Err(Pkcs12Error::WhichKey { names: names() }),
        None => keys.pop().map(|(_, chain)| chain).ok_or(Pkcs12Error::NoKey),
    }
}
