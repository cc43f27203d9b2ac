//! The module and its sessions.

use std::sync::Mutex;

use aws_lc_rs::digest::Digest;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use skybru_core::Secret;
use skybru_protocol::jose::{Algorithm, Jwk};

use super::uri::Pkcs11Uri;
use crate::digest::digest_info;
use crate::held::{HeldKeyError, jwk_from_point};

/// Initialising and logging in are for the whole process: two threads must not do it at once.
static ENTRY: Mutex<()> = Mutex::new(());

/// Why a key in hardware cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Pkcs11Error {
    /// The URI names no module.
    #[error("the URI has no module-path: it says which library speaks to the hardware")]
    NoModule,
    /// The module cannot be loaded, or says no.
    #[error("PKCS#11 failed at {what}")]
    Module {
        /// What was attempted.
        what: &'static str,
        /// The module's answer.
        #[source]
        source: Error,
    },
    /// No or several tokens fit.
    #[error("{found} tokens fit the URI, and one must; there are: {}", present.join(", "))]
    Token {
        /// How many.
        found: usize,
        /// Labels of those that are there.
        present: Vec<String>,
    },
    /// No or several keys fit.
    #[error("{found} private keys fit the URI, and one must: name it by object and id")]
    Key {
        /// How many.
        found: usize,
    },
    /// The PIN is wrong. It is not tried again: tokens lock themselves after a few.
    #[error("the token refuses the PIN")]
    Pin,
    /// The key cannot be used.
    #[error(transparent)]
    Held(#[from] HeldKeyError),
    /// The program is stopping.
    #[error("the program is stopping")]
    Stopped,
}

impl Pkcs11Error {
    /// Whether a new session may help.
    pub(super) fn is_lost_session(&self) -> bool {
        let Self::Module { source: Error::Pkcs11(code, _), .. } = self else { return false };
        matches!(
            code,
            RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::CryptokiNotInitialized
                | RvError::UserNotLoggedIn
                | RvError::KeyHandleInvalid
                | RvError::ObjectHandleInvalid
                | RvError::DeviceRemoved
                | RvError::DeviceError
                | RvError::TokenNotPresent
                | RvError::OperationActive
        )
    }
}

fn failed(what: &'static str) -> impl FnOnce(Error) -> Pkcs11Error {
    move |source| Pkcs11Error::Module { what, source }
}

/// Whether the module says just this.
fn says(error: &Error, code: RvError) -> bool {
    matches!(error, Error::Pkcs11(found, _) if *found == code)
}

/// A loaded module, and which key of it is meant.
pub(super) struct Module {
    library: Pkcs11,
    uri: Pkcs11Uri,
    pin: Option<Secret>,
}

impl Module {
    pub(super) fn load(uri: Pkcs11Uri, pin: Option<Secret>) -> Result<Self, Pkcs11Error> {
        let path = uri.module_path.clone().ok_or(Pkcs11Error::NoModule)?;
        let library = Pkcs11::new(path).map_err(failed("loading the module"))?;
        let pin = pin.or_else(|| uri.pin_value.clone());
        Ok(Self { library, uri, pin })
    }

    pub(super) fn name(&self) -> String {
        let token = self.uri.token.as_deref().or(self.uri.serial.as_deref()).unwrap_or("PKCS#11");
        format!("the token {token}")
    }

    /// Opens a session, logged in, with the key at hand.
    pub(super) fn sit(&self) -> Result<Seat, Pkcs11Error> {
        let _entry = ENTRY.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match self.library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Err(error) if !says(&error, RvError::CryptokiAlreadyInitialized) => {
                return Err(failed("initialising the module")(error));
            }
            _ => {}
        }
        let session = self.library.open_ro_session(self.slot()?).map_err(failed("opening a session"))?;
        if let Some(pin) = &self.pin {
            let pin = cryptoki::types::AuthPin::new(pin.expose().into());
            match session.login(UserType::User, Some(&pin)) {
                Err(error) if says(&error, RvError::PinIncorrect) => return Err(Pkcs11Error::Pin),
                // Logging in counts for all sessions of the process.
                Err(error) if !says(&error, RvError::UserAlreadyLoggedIn) => return Err(failed("logging in")(error)),
                _ => {}
            }
        }
        let keys = session.find_objects(&self.template(ObjectClass::PRIVATE_KEY)).map_err(failed("looking for the key"))?;
        match keys[..] {
            [key] => Ok(Seat { session, key }),
            _ => Err(Pkcs11Error::Key { found: keys.len() }),
        }
    }

    fn template(&self, class: ObjectClass) -> Vec<Attribute> {
        let mut template = vec![Attribute::Class(class)];
        template.extend(self.uri.object.as_ref().map(|label| Attribute::Label(label.as_bytes().to_vec())));
        template.extend(self.uri.id.as_ref().map(|id| Attribute::Id(id.clone())));
        template
    }

    fn slot(&self) -> Result<Slot, Pkcs11Error> {
        let slots = self.library.get_slots_with_initialized_token().map_err(failed("listing the tokens"))?;
        let mut fitting = Vec::new();
        let mut present = Vec::new();
        for slot in slots {
            let token = self.library.get_token_info(slot).map_err(failed("looking at a token"))?;
            let fits = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found.trim_end());
            present.push(token.label().trim_end().to_owned());
            if fits(&self.uri.token, token.label())
                && fits(&self.uri.serial, token.serial_number())
                && fits(&self.uri.manufacturer, token.manufacturer_id())
                && self.uri.slot.is_none_or(|number| number == slot.id())
            {
                fitting.push(slot);
            }
        }
        match fitting[..] {
            [slot] => Ok(slot),
            _ => Err(Pkcs11Error::Token { found: fitting.len(), present }),
        }
    }
}

/// A session and the key in it.
pub(super) struct Seat {
    session: Session,
    key: ObjectHandle,
}

impl Seat {
    pub(super) fn sign(&self, algorithm: Algorithm, digest: &Digest) -> Result<Vec<u8>, Pkcs11Error> {
        // Every module knows these two, and little travels to the hardware.
        let signature = if algorithm.is_es() {
            self.session.sign(&Mechanism::Ecdsa, self.key, digest.as_ref())
        } else {
            self.session.sign(&Mechanism::RsaPkcs, self.key, &digest_info(digest))
        };
        signature.map_err(failed("signing"))
    }

    /// The public half: the private object's own numbers, or those of the public object beside it.
    pub(super) fn public_key(&self) -> Result<Jwk, Pkcs11Error> {
        let numbers = [AttributeType::Modulus, AttributeType::PublicExponent];
        let found = self.session.get_attributes(self.key, &numbers).map_err(failed("reading the key"))?;
        if let [Attribute::Modulus(n), Attribute::PublicExponent(e)] = &found[..] {
            return Ok(Jwk::rsa("", "", n, e));
        }
        let public = self.companion(ObjectClass::PUBLIC_KEY)?.ok_or(HeldKeyError::PublicKey)?;
        let found = self.session.get_attributes(public, &[AttributeType::EcPoint]).map_err(failed("reading the public key"))?;
        let Some(Attribute::EcPoint(point)) = found.first() else { return Err(HeldKeyError::Family.into()) };
        // As DER: an octet string around the point.
        Ok(jwk_from_point(point.strip_prefix(&[0x04, 0x41]).unwrap_or(point))?)
    }

    /// The certificate with the key's id, DER.
    pub(super) fn certificate(&self) -> Result<Option<Vec<u8>>, Pkcs11Error> {
        let Some(certificate) = self.companion(ObjectClass::CERTIFICATE)? else { return Ok(None) };
        let found =
            self.session.get_attributes(certificate, &[AttributeType::Value]).map_err(failed("reading the certificate"))?;
        Ok(found.into_iter().find_map(|attribute| match attribute {
            Attribute::Value(der) => Some(der),
            _ => None,
        }))
    }

    /// The object of that class with the same id as the key, which is how PKCS#11 ties them together.
    fn companion(&self, class: ObjectClass) -> Result<Option<ObjectHandle>, Pkcs11Error> {
        let own = self.session.get_attributes(self.key, &[AttributeType::Id]).map_err(failed("reading the key's id"))?;
        let Some(Attribute::Id(id)) = own.into_iter().next().filter(|id| matches!(id, Attribute::Id(id) if !id.is_empty()))
        else {
            return Ok(None);
        };
        let found = self.session.find_objects(&[Attribute::Class(class), Attribute::Id(id)]);
        Ok(found.map_err(failed("looking for what belongs to the key"))?.into_iter().next())
    }
}
