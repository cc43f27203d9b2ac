//! Keys in hardware, or in a service that looks like hardware, through PKCS#11.
//!
//! Sessions are pooled: each signs for one caller at a time, on a thread that may block. A session that is lost, because the module was
//! restarted or the token pulled out, is opened anew and the signature tried once more.

mod session;
mod uri;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rustls_pki_types::CertificateDer;
use skybru_core::{KeyId, Secret};
use skybru_protocol::jose::{Algorithm, Jwk};
use tokio::sync::Semaphore;

use self::session::{Module, Seat};
use crate::digest::digest;
use crate::held::{Held, HeldKeyError};
use crate::{SignError, Signer};

pub use session::Pkcs11Error;
pub use uri::{Pkcs11Uri, Pkcs11UriError};

/// Sessions at once. Modules allow more or fewer; one that is refused is waited for.
const SESSIONS: usize = 8;

/// A key in hardware.
pub struct Pkcs11Signer {
    held: Held,
    pool: Arc<Pool>,
}

struct Pool {
    module: Module,
    algorithm: Algorithm,
    idle: Mutex<Vec<Seat>>,
    slots: Semaphore,
}

impl Pkcs11Signer {
    /// Loads the module, logs in, and finds the key, its public half and its certificate, if there is one.
    ///
    /// `pin` is what stands in the file that `pin-source` names; without it the URI's own `pin-value` is used, or none. Without `kid` the
    /// key is named by its thumbprint.
    pub async fn open(uri: Pkcs11Uri, pin: Option<Secret>, kid: Option<&KeyId>) -> Result<Self, Pkcs11Error> {
        let kid = kid.cloned();
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(uri, pin, kid.as_ref())).await;
        opened.map_err(|_| Pkcs11Error::Stopped)?
    }

    fn open_blocking(uri: Pkcs11Uri, pin: Option<Secret>, kid: Option<&KeyId>) -> Result<Self, Pkcs11Error> {
        let module = Module::load(uri, pin)?;
        let seat = module.sit()?;
        let public = seat.public_key()?;
        let certificates: Vec<_> = seat.certificate()?.into_iter().map(CertificateDer::from).collect();
        let held = Held::new(module.name(), public, kid, certificates)?;
        let algorithm = held.algorithm;
        let pool = Pool { module, algorithm, idle: Mutex::new(vec![seat]), slots: Semaphore::new(SESSIONS) };
        Ok(Self { held, pool: Arc::new(pool) })
    }

    /// With certificates from elsewhere, the key's own first: tokens seldom hold whole chains.
    pub fn with_certificates(mut self, certificates: Vec<CertificateDer<'static>>) -> Result<Self, HeldKeyError> {
        self.held = Held::new(self.held.holder, self.held.public, Some(&self.held.kid), certificates)?;
        Ok(self)
    }
}

impl Pool {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Pkcs11Error> {
        let digest = digest(self.algorithm, message);
        let waiting = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let first = match waiting {
            Some(seat) => seat.sign(self.algorithm, &digest).map(|signature| (seat, signature)),
            None => self.module.sit().and_then(|seat| seat.sign(self.algorithm, &digest).map(|signature| (seat, signature))),
        };
        let (seat, signature) = match first {
            Err(error) if error.is_lost_session() => {
                // The others are lost as well: dropping them closes what may be left of them.
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
                let seat = self.module.sit()?;
                let signature = seat.sign(self.algorithm, &digest)?;
                (seat, signature)
            }
            other => other?,
        };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(seat);
        Ok(signature)
    }
}

#[async_trait]
impl Signer for Pkcs11Signer {
    fn kid(&self) -> &KeyId {
        &self.held.kid
    }

    fn algorithm(&self) -> Algorithm {
        self.held.algorithm
    }

    fn public_jwk(&self) -> &Jwk {
        &self.held.public
    }

    fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.held.certificates
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let away = |source: Pkcs11Error| SignError::Away { holder: self.held.holder.clone(), source: source.into() };
        let _slot = self.pool.slots.acquire().await.map_err(|_| away(Pkcs11Error::Stopped))?;
        let (pool, text) = (Arc::clone(&self.pool), message.to_vec());
        let signed = tokio::task::spawn_blocking(move || pool.sign(&text)).await;
        let signature = signed.map_err(|_| away(Pkcs11Error::Stopped))?.map_err(away)?;
        self.held.checked(message, signature)
    }
}

impl fmt::Debug for Pkcs11Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11Signer").field("kid", &self.held.kid).field("holder", &self.held.holder).finish_non_exhaustive()
    }
}
