//! Sealing: private keys at rest, and backups, in the age format (<https://age-encryption.org/v1>).
//!
//! A seal is a passphrase or a key file as `age-keygen` makes it, so that what is sealed can also be opened with the `age` program. From
//! a passphrase the key is made by scrypt, whose cost is bounded when sealing and when opening.

use std::fmt;
use std::io::{BufRead, Read, Write};
use std::iter;
use std::str::FromStr as _;

use age::stream::{StreamReader, StreamWriter};
use age::{Decryptor, Encryptor, scrypt, x25519};
use secrecy::ExposeSecret as _;
use skybru_core::Secret;
use zeroize::Zeroizing;

/// What every sealed file begins with.
const MAGIC: &[u8] = b"age-encryption.org/v1\n";

/// The cost of a passphrase: 2 to this power, 64 MiB and about a tenth of a second.
pub const SCRYPT_LOG_N: u8 = 16;

/// The highest cost that is worked off when opening: a file from elsewhere must not eat memory at will.
const SCRYPT_MOST_LOG_N: u8 = 18;

/// What seals and opens. Its `Debug` tells the kind only.
#[derive(Clone)]
pub struct Seal(Kind);

#[derive(Clone)]
enum Kind {
    Passphrase { passphrase: Secret, log_n: u8 },
    KeyFile(x25519::Identity),
}

/// Why something cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Empty passphrase.
    #[error("the passphrase is empty")]
    Empty,
    /// Not a key file.
    #[error(
        "the key file has no line that begins with AGE-SECRET-KEY-1: make one with `age-keygen` or `skybru issuer keys seal-key`"
    )]
    KeyFile,
    /// Another seal, or broken.
    #[error("this was sealed with another passphrase or key file, or it has been changed since")]
    Closed,
    /// Not sealed at all.
    #[error("this is not a sealed file: it does not begin with age-encryption.org/v1")]
    NotSealed,
    /// Sealed at a cost that is not worked off here.
    #[error("the file asks for more work than is worked off here (scrypt cost 2^{asked}, at most 2^{SCRYPT_MOST_LOG_N})")]
    TooDear {
        /// The file's cost.
        asked: u8,
    },
    /// The library failed.
    #[error("sealing failed")]
    Failed(#[source] std::io::Error),
}

impl Seal {
    /// A passphrase.
    pub fn passphrase(passphrase: Secret) -> Result<Self, SealError> {
        Self::passphrase_with_cost(passphrase, SCRYPT_LOG_N)
    }

    /// A passphrase whose sealing costs 2 to the power of `log_n` (at most 18): tests use a small one.
    pub fn passphrase_with_cost(passphrase: Secret, log_n: u8) -> Result<Self, SealError> {
        if passphrase.expose().trim().is_empty() {
            return Err(SealError::Empty);
        }
        Ok(Self(Kind::Passphrase { passphrase, log_n: log_n.clamp(1, SCRYPT_MOST_LOG_N) }))
    }

    /// The text of a key file: a line `AGE-SECRET-KEY-1…`; lines that begin with `#` are comments.
    pub fn key_file(text: &str) -> Result<Self, SealError> {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        let identity = line.and_then(|line| x25519::Identity::from_str(line).ok());
        identity.map(|identity| Self(Kind::KeyFile(identity))).ok_or(SealError::KeyFile)
    }

    /// A new key file, in the form that [`Seal::key_file`] and the `age` program read.
    pub fn new_key_file() -> Zeroizing<String> {
        let identity = x25519::Identity::generate();
        let secret = identity.to_string();
        Zeroizing::new(format!("# public key: {}\n{}\n", identity.to_public(), secret.expose_secret()))
    }

    /// Seals `plain`.
    pub fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut sealing = self.sealing(Vec::with_capacity(plain.len() + 512))?;
        sealing.write_all(plain).map_err(SealError::Failed)?;
        sealing.finish()
    }

    /// Seals what is written into it, piece by piece, into `out`. It is whole when [`Sealing::finish`] has returned.
    pub fn sealing<W: Write>(&self, out: W) -> Result<Sealing<W>, SealError> {
        let encryptor = match &self.0 {
            Kind::Passphrase { passphrase, log_n } => {
                let mut recipient = scrypt::Recipient::new(passphrase.expose().into());
                recipient.set_work_factor(*log_n);
                Encryptor::with_recipients(iter::once(&recipient as &dyn age::Recipient))
            }
            Kind::KeyFile(identity) => Encryptor::with_recipients(iter::once(&identity.to_public() as &dyn age::Recipient)),
        };
        let failed = |error: age::EncryptError| SealError::Failed(std::io::Error::other(error));
        encryptor.map_err(failed)?.wrap_output(out).map(Sealing).map_err(SealError::Failed)
    }

    /// Opens what was sealed.
    pub fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let mut reader = self.opening(sealed)?;
        let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
        reader.read_to_end(&mut plain).map_err(|_| SealError::Closed)?;
        Ok(plain)
    }

    /// Opens what was sealed, piece by piece. What was read is good only when the end has been reached without an error.
    pub fn opening<R: BufRead>(&self, mut sealed: R) -> Result<Opening<R>, SealError> {
        if !is_sealed(sealed.fill_buf().map_err(SealError::Failed)?) {
            return Err(SealError::NotSealed);
        }
        let closed = |error: age::DecryptError| match error {
            age::DecryptError::ExcessiveWork { required, .. } => SealError::TooDear { asked: required },
            _ => SealError::Closed,
        };
        let decryptor = Decryptor::new_buffered(sealed).map_err(closed)?;
        let reader = match &self.0 {
            Kind::Passphrase { passphrase, .. } => {
                let mut identity = scrypt::Identity::new(passphrase.expose().into());
                identity.set_max_work_factor(SCRYPT_MOST_LOG_N);
                decryptor.decrypt(iter::once(&identity as &dyn age::Identity))
            }
            Kind::KeyFile(identity) => decryptor.decrypt(iter::once(identity as &dyn age::Identity)),
        };
        reader.map(Opening).map_err(closed)
    }
}

/// Seals what is written into it. See [`Seal::sealing`].
pub struct Sealing<W: Write>(StreamWriter<W>);

impl<W: Write> Sealing<W> {
    /// Writes the end, and gives back what was written to.
    pub fn finish(self) -> Result<W, SealError> {
        self.0.finish().map_err(SealError::Failed)
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Opens what is read from it. See [`Seal::opening`].
pub struct Opening<R>(StreamReader<R>);

impl<R: Read> Read for Opening<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(into).map_err(|_| std::io::Error::other(SealError::Closed))
    }
}

/// Whether `bytes` begin as a sealed file does.
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Passphrase { .. } => "Seal(passphrase)",
            Kind::KeyFile(_) => "Seal(key file)",
        })
    }
}
