//! The key guardian: gives a client its next key and takes the old one away, and at no moment leaves it without a key that works.
//!
//! The state of a rotation is what can be seen: which keys lie in the folder, which are registered. Each step is chosen from that alone
//! by [`next_step`], so a rotation that was interrupted anywhere is gone on with by running it again. The order is what keeps the client
//! alive: the next key is written down, then registered beside the old one, then proven by a token that was really issued, and only then
//! put in the old one's place; the old one is kept beside it, and last of all taken away at the API.
//!
//! Not here: keys that live in hardware or at a cloud. Those rotate where they live.

mod expiry;
mod step;

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use skybru_core::{ClientId, Secret};
use skybru_protocol::jose::{Algorithm, Jwk, RsaSize, SigningKey, SigningKeyError};

use crate::selfservice::{ApiCallError, SelfServiceApi};
use crate::token::TokenError;

pub use expiry::{KeyAge, WARN_BEFORE_DAYS, key_age};
pub use step::{Retirement, Seen, Step, next_step};

/// Keys that a client may have at a time.
const MOST_KEYS: usize = 5;

/// How often the issuer is asked to take the new key, and how long between: a change takes a moment to reach every node, and at some
/// issuers minutes.
const PROOFS: u32 = 40;

/// The key files of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFile {
    /// The one in use.
    Current,
    /// Made, not yet in use.
    Next,
    /// Was in use before.
    Old,
}

/// Where the key files are. Every write is whole or not at all, and readable by its owner only.
pub trait KeyFiles: Send + Sync {
    /// The file's text; `None` when there is no such file.
    fn read(&self, which: KeyFile) -> io::Result<Option<Secret>>;
    /// Writes the file, to the disk.
    fn write(&self, which: KeyFile, text: &str) -> io::Result<()>;
    /// Moves `Next` into the place of `Current`, in one step.
    fn put_in_place(&self) -> io::Result<()>;
    /// Removes the file, if it is there.
    fn remove(&self, which: KeyFile) -> io::Result<()>;
}

/// Asks the issuer for a token with the key. Whoever implements it knows issuer, client and scope.
#[async_trait]
pub trait Proof: Send + Sync {
    /// Gets a token with this key, or says why not.
    async fn prove(&self, key: SigningKey) -> Result<(), TokenError>;
}

/// Why a rotation stopped. What was done so far stays, and the client has a key that works.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// A key file.
    #[error("cannot {doing} the {which:?} key file")]
    File {
        /// As in "read".
        doing: &'static str,
        /// Which.
        which: KeyFile,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There is no current key: nothing to go on from.
    #[error("there is no key file to rotate")]
    NoKey,
    /// What lies in a key file.
    #[error("the {which:?} key file holds no usable key")]
    Key {
        /// Which.
        which: KeyFile,
        /// Why not.
        #[source]
        source: SigningKeyError,
    },
    /// The self-service API.
    #[error("the self-service API did not take part")]
    Api(#[from] ApiCallError),
    /// The client has as many keys as it may.
    #[error("the client has {MOST_KEYS} keys, which is the most, and none of them has expired")]
    Full,
    /// The issuer gives no token for the new key.
    #[error("the issuer gives no token for the new key, so the old one stays in use")]
    NotProven(#[source] TokenError),
}

impl RotationError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Api(error) => error.hint(),
            Self::Full => {
                Some("look at them with `skybru registry client keys ID`, and take one away with remove-key".to_owned())
            }
            Self::NotProven(error) => error.hint(),
            Self::NoKey => Some("make one with `skybru registry client add-key ID --key FILE`".to_owned()),
            _ => None,
        }
    }
}

/// One rotation.
pub struct Guardian<'a> {
    files: &'a dyn KeyFiles,
    api: &'a SelfServiceApi,
    client: ClientId,
    proof: &'a dyn Proof,
    retirement: Retirement,
    pause: Duration,
    begun: bool,
    proven: bool,
}

impl<'a> Guardian<'a> {
    /// A rotation of this client's key, or the rest of one that was interrupted.
    pub fn new(
        files: &'a dyn KeyFiles,
        api: &'a SelfServiceApi,
        client: ClientId,
        proof: &'a dyn Proof,
        retirement: Retirement,
    ) -> Self {
        let pause = Duration::from_secs(3);
        Self { files, api, client, proof, retirement, pause, begun: false, proven: false }
    }

    /// Another pause between two attempts to prove the new key.
    #[must_use]
    pub fn with_pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Does steps until nothing is left to do. `tell` hears of each before it is done.
    pub async fn run(&mut self, tell: &mut (dyn FnMut(&Step) + Send)) -> Result<(), RotationError> {
        loop {
            let step = self.look().await?;
            tell(&step);
            if step == Step::Done {
                return Ok(());
            }
            self.take(step).await?;
        }
    }

    /// The step that is to be done now.
    pub async fn look(&self) -> Result<Step, RotationError> {
        let registered = self.registered().await?;
        let kid = |which| Ok::<_, RotationError>(self.key(which)?.map(|key| key.kid().to_string()));
        let seen = Seen {
            current: kid(KeyFile::Current)?.ok_or(RotationError::NoKey)?,
            next: kid(KeyFile::Next)?,
            old: kid(KeyFile::Old)?,
            registered: registered.iter().filter_map(|key| key["kid"].as_str().map(str::to_owned)).collect(),
            proven: self.proven,
            begun: self.begun,
        };
        Ok(next_step(&seen, self.retirement))
    }

    /// Does one step.
    pub async fn take(&mut self, step: Step) -> Result<(), RotationError> {
        self.begun = true;
        match step {
            Step::Make => {
                let key = SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256);
                let made = key.map_err(|source| RotationError::Key { which: KeyFile::Next, source })?;
                self.write(KeyFile::Next, &made, None)
            }
            Step::Register => self.register().await,
            Step::Prove => self.prove().await,
            Step::Keep => self.copy_current(),
            Step::Swap => {
                let failed = |source| RotationError::File { doing: "put in place", which: KeyFile::Next, source };
                self.files.put_in_place().map_err(failed)
            }
            Step::Retire => self.retire().await,
            Step::Forget => {
                let failed = |source| RotationError::File { doing: "remove", which: KeyFile::Old, source };
                self.files.remove(KeyFile::Old).map_err(failed)
            }
            Step::Done => Ok(()),
        }
    }

    fn key(&self, which: KeyFile) -> Result<Option<SigningKey>, RotationError> {
        let read = self.files.read(which).map_err(|source| RotationError::File { doing: "read", which, source })?;
        let key = read.map(|text| SigningKey::from_text(text.expose(), None));
        key.transpose().map_err(|source| RotationError::Key { which, source })
    }

    fn needed(&self, which: KeyFile) -> Result<SigningKey, RotationError> {
        let missing = || RotationError::File { doing: "read", which, source: io::ErrorKind::NotFound.into() };
        self.key(which)?.ok_or_else(missing)
    }

    /// With the second at which the registration ends, where that is known: whoever reads the file can warn in time.
    fn write(&self, which: KeyFile, key: &SigningKey, exp: Option<i64>) -> Result<(), RotationError> {
        let unusable = |source| RotationError::Key { which, source };
        let jwk = key.private_jwk().map_err(unusable)?;
        let text = expiry::with_exp(&jwk, exp);
        self.files.write(which, &text).map_err(|source| RotationError::File { doing: "write", which, source })
    }

    fn jwks_path(&self) -> String {
        format!("/clients/{}/jwks", self.client)
    }

    async fn registered(&self) -> Result<Vec<Value>, RotationError> {
        let answer = self.api.call(Method::GET, &self.jwks_path(), None).await?;
        Ok(answer["keys"].as_array().cloned().unwrap_or_default())
    }

    async fn post(&self, keys: Vec<Value>) -> Result<Value, RotationError> {
        Ok(self.api.call(Method::POST, &self.jwks_path(), Some(&json!({"keys": keys}))).await?)
    }

    async fn register(&self) -> Result<(), RotationError> {
        let next = self.needed(KeyFile::Next)?;
        let mut keys = self.registered().await?;
        let now = self.api.now().as_second();
        if keys.len() >= MOST_KEYS {
            let current = self.needed(KeyFile::Current)?;
            keys.retain(|key| key["exp"].as_i64().is_none_or(|exp| exp > now) || key["kid"] == current.kid().as_str());
        }
        if keys.len() >= MOST_KEYS {
            return Err(RotationError::Full);
        }
        keys.push(serde_json::to_value::<Jwk>(next.public_jwk()).unwrap_or_default());
        let answer = self.post(keys).await?;
        let mine = answer["keys"].as_array().into_iter().flatten().find(|key| key["kid"] == next.kid().as_str());
        let exp = mine.and_then(|key| key["exp"].as_i64());
        self.write(KeyFile::Next, &next, exp)
    }

    async fn prove(&mut self) -> Result<(), RotationError> {
        let mut attempt = 1;
        loop {
            match self.proof.prove(self.needed(KeyFile::Next)?).await {
                Ok(()) => {
                    self.proven = true;
                    return Ok(());
                }
                // An issuer that has not heard of the key yet says so in many ways, but it is a refusal.
                Err(error) if attempt >= PROOFS || error.refusal().is_none() => return Err(RotationError::NotProven(error)),
                Err(_) => attempt += 1,
            }
            tokio::time::sleep(self.pause).await;
        }
    }

    /// Byte for byte, so that whatever else stands in the file is kept too.
    fn copy_current(&self) -> Result<(), RotationError> {
        let failed = |doing, which| move |source| RotationError::File { doing, which, source };
        let text = self.files.read(KeyFile::Current).map_err(failed("read", KeyFile::Current))?.ok_or(RotationError::NoKey)?;
        self.files.write(KeyFile::Old, text.expose()).map_err(failed("write", KeyFile::Old))
    }

    async fn retire(&self) -> Result<(), RotationError> {
        let (old, current) = (self.needed(KeyFile::Old)?, self.needed(KeyFile::Current)?);
        let mut keys = self.registered().await?;
        keys.retain(|key| key["kid"] != old.kid().as_str());
        // The last thing that stands between the client and no key at all.
        if !keys.iter().any(|key| key["kid"] == current.kid().as_str()) {
            return Ok(());
        }
        let answer = self.post(keys).await?;
        // Posting renews every key that is posted.
        let mine = answer["keys"].as_array().into_iter().flatten().find(|key| key["kid"] == current.kid().as_str());
        match mine.and_then(|key| key["exp"].as_i64()) {
            Some(exp) => self.write(KeyFile::Current, &current, Some(exp)),
            None => Ok(()),
        }
    }
}

/// When the registration of the key ends that stands in this text, if that was noted there.
pub fn noted_expiry(text: &str) -> Option<Timestamp> {
    expiry::exp_of(text)
}
