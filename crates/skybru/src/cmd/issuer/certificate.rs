//! The server's certificate, read again when its files change, so that renewing it needs no restart.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs as provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A chain and its key, from two PEM files.
#[derive(Debug)]
pub(super) struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    certified: Arc<CertifiedKey>,
    changed: [Option<SystemTime>; 2],
}

impl Certificate {
    /// Reads both files.
    pub(super) fn read(chain: PathBuf, key: PathBuf) -> Result<Self> {
        let current = Current { certified: certified(&chain, &key)?, changed: changed(&chain, &key) };
        Ok(Self { chain, key, current: RwLock::new(current) })
    }

    /// Reads them again if they have changed. Between two writes they may not fit together: then the old ones stay.
    pub(super) fn refresh(&self) -> Result<()> {
        let now = changed(&self.chain, &self.key);
        if self.current.read().unwrap_or_else(PoisonError::into_inner).changed == now {
            return Ok(());
        }
        let certified = certified(&self.chain, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { certified, changed: now };
        tracing::info!(file = %self.chain.display(), "the certificate was read again");
        Ok(())
    }

    /// What servers are told.
    pub(super) fn config(self: &Arc<Self>) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::clone(self) as _);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).certified))
    }
}

fn certified(chain: &Path, key: &Path) -> Result<Arc<CertifiedKey>> {
    let chain_of = |path: &Path| -> Result<Vec<CertificateDer<'static>>> {
        let found = CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()?;
        anyhow::ensure!(!found.is_empty(), "it holds no certificate");
        Ok(found)
    };
    let certificates = chain_of(chain).with_context(|| format!("cannot use the certificates in {}", chain.display()))?;
    let private =
        PrivateKeyDer::from_pem_file(key).with_context(|| format!("cannot use the private key in {}", key.display()))?;
    let certified = CertifiedKey::from_der(certificates, private, &provider::default_provider())
        .with_context(|| format!("{} and {} do not belong together", chain.display(), key.display()))?;
    Ok(Arc::new(certified))
}

fn changed(chain: &Path, key: &Path) -> [Option<SystemTime>; 2] {
    [chain, key].map(|path| std::fs::metadata(path).and_then(|data| data.modified()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn write(folder: &Path) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let pair = (certificate.pem(), key.serialize_pem());
        std::fs::write(folder.join("chain.pem"), &pair.0).unwrap();
        std::fs::write(folder.join("key.pem"), &pair.1).unwrap();
        pair
    }

    fn first(certificate: &Certificate) -> CertificateDer<'static> {
        certificate.current.read().unwrap().certified.cert[0].clone()
    }

    /// Puts the files' times apart, however coarse the file system's clock is.
    fn touch(folder: &Path, seconds: u64) {
        for name in ["chain.pem", "key.pem"] {
            let file = std::fs::File::options().append(true).open(folder.join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
        }
    }

    #[test]
    fn a_renewed_certificate_is_taken_without_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path());
        touch(folder.path(), 1_000);
        let certificate = Certificate::read(folder.path().join("chain.pem"), folder.path().join("key.pem")).unwrap();
        let old = first(&certificate);
        certificate.refresh().unwrap();
        assert_eq!(first(&certificate), old);
        write(folder.path());
        touch(folder.path(), 2_000);
        certificate.refresh().unwrap();
        assert_ne!(first(&certificate), old);
    }

    #[test]
    fn files_that_do_not_belong_together_leave_the_old_certificate_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let (chain, _) = write(folder.path());
        touch(folder.path(), 1_000);
        let certificate = Certificate::read(folder.path().join("chain.pem"), folder.path().join("key.pem")).unwrap();
        let old = first(&certificate);
        write(folder.path());
        std::fs::write(folder.path().join("chain.pem"), chain).unwrap();
        touch(folder.path(), 2_000);
        let error = format!("{:#}", certificate.refresh().unwrap_err());
        assert!(error.contains("do not belong together"), "{error}");
        assert_eq!(first(&certificate), old);
    }

    #[test]
    fn what_is_no_pem_says_which_file() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path());
        std::fs::write(folder.path().join("chain.pem"), "nothing").unwrap();
        let error = Certificate::read(folder.path().join("chain.pem"), folder.path().join("key.pem")).unwrap_err();
        assert!(format!("{error:#}").contains("chain.pem"), "{error:#}");
    }
}
