//! Signing keys of running servers: made, published, used and taken away in their time, by whichever node comes first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use skybru_core::KeyId;
use skybru_issuer::keys::{KeyBook, KeyState, PublishedKey, RegistryKeys, RotationRules, SharedKeysError, SwitchError};
use skybru_issuer::metrics::Metrics;
use skybru_issuer::{Issuer, KeyRing};
use skybru_signer::seal::Seal;
use skybru_signer::{Signer, x5c};
use skybru_store::LiveRegistry;

use super::super::holding::Holding;
use super::configured::rules;
use crate::cmd::Call;
use crate::lab::files;
use crate::settings::{ServerOptions, Settings, StoreKind};

/// What seals keys where the settings name no seal.
const SEAL_FILE: &str = "seal.key";

/// The keys of this installation, as one node sees them.
pub(super) struct Signing {
    keys: RegistryKeys,
    holding: Holding,
    rules: RotationRules,
    bits: u32,
    /// The signers in use and to come: opening one may mean a log-in, or a second of work.
    opened: Mutex<BTreeMap<KeyId, Arc<dyn Signer>>>,
    /// The book of which the issuers' keys were made last.
    used: Mutex<Option<KeyBook>>,
}

/// Where private halves are. Without a seal in the settings one is made beside the database: that keeps keys out of copies of the
/// database, and no more. Where nodes share the database each would make another, so there it must be named.
pub(in super::super) fn holding(call: &Call, settings: &Settings, data: &std::path::Path) -> Result<Holding> {
    let options = settings.server()?;
    let seal = if let Some(seal) = &options.seal {
        seal.seal(&settings.beside("."), &call.system)?
    } else {
        let file = data.join(SEAL_FILE);
        if !file.exists() {
            if options.store.as_ref().is_some_and(|store| store.kind == StoreKind::Postgres) {
                bail!(
                    "setting server.seal: missing: nodes that share a database open the same signing keys; make a seal once with \
                     `skybru issuer keys seal-key > seal.key` and name it on every node: seal = {{ key-file = \"seal.key\" }}"
                );
            }
            files::write_private(&file, Seal::new_key_file().as_bytes())?;
        }
        Seal::key_file(&files::read(&file)?).with_context(|| format!("cannot use {}", file.display()))?
    };
    Ok(Holding::new(data.to_owned(), Some(seal), &call.system))
}

impl Signing {
    pub(super) fn new(registry: Arc<LiveRegistry>, holding: Holding, options: &ServerOptions) -> Result<Self> {
        Ok(Self {
            keys: RegistryKeys::new(registry),
            holding,
            rules: rules(options)?,
            bits: options.key_bits,
            opened: Mutex::default(),
            used: Mutex::default(),
        })
    }

    /// What these keys rest on.
    pub(super) fn rules(&self) -> RotationRules {
        self.rules
    }

    /// Makes a key if one is due. Of several nodes that make one at the same time, one succeeds.
    async fn make(&self, now: Timestamp) -> Result<()> {
        let (holding, bits) = (self.holding.clone(), self.bits);
        let (signer, holder) = tokio::task::spawn_blocking(move || holding.make_sealed(bits)).await??;
        let kid = signer.kid().clone();
        let made = self
            .keys
            .change(|book| {
                if !book.needs_key(self.rules, now) {
                    return Ok(false);
                }
                let first = book.keys.iter().next().is_none();
                book.prepare(signer.public_jwk().clone(), x5c(signer.certificates()), kid.clone(), holder, now)?;
                if first {
                    // The first key set of a new issuer: nobody has cached another.
                    book.served(std::slice::from_ref(&kid), &BTreeMap::new(), self.rules, now);
                }
                Ok::<_, SwitchError>(true)
            })
            .await?;
        if made {
            tracing::info!(kid = kid.as_str(), "the next signing key is prepared");
        }
        Ok(())
    }

    /// Lets keys go on with their lives, and gives what signs and what is published from now on.
    pub(super) async fn advance(&self, issuers: &[Arc<Issuer>], now: Timestamp) -> Result<KeyRing> {
        if self.keys.read()?.needs_key(self.rules, now) {
            self.make(now).await?;
        }
        let mut fetches = BTreeMap::new();
        for issuer in issuers {
            fetches.extend(issuer.fetches().take());
        }
        let served = issuers.first().map(|issuer| issuer.keys().kids());
        let step = |book: &mut KeyBook| book.step(served.as_deref().unwrap_or_default(), &fetches, self.rules, now);
        let mut tried = self.keys.read()?;
        step(&mut tried);
        if tried != self.keys.read()? {
            let changed = self.keys.change(|book| Ok::<_, std::convert::Infallible>(step(book))).await;
            let (switched, gone) = changed.map_err(|error: SharedKeysError<_>| anyhow::Error::from(error))?;
            if let Some(kid) = switched {
                tracing::info!(kid = kid.as_str(), "another key signs from now on");
            }
            for kid in gone {
                tracing::info!(kid = kid.as_str(), "a signing key has gone");
            }
        }
        self.ring().await
    }

    /// Tells how the keys stand.
    pub(super) fn count(&self, metrics: &Metrics, now: Timestamp) {
        let Ok(book) = self.keys.read() else { return };
        let of = |state| i64::try_from(book.keys.iter().filter(|record| record.state() == state).count()).unwrap_or(i64::MAX);
        let since = book.keys.signer().ok().and_then(|record| record.activated).unwrap_or(now);
        let states =
            [("prepared", of(KeyState::Prepared)), ("active", of(KeyState::Active)), ("retiring", of(KeyState::Retiring))];
        metrics.keys(states, now.duration_since(since).as_secs_f64());
    }

    /// What signs and what is published, by the book as this node knows it.
    pub(super) async fn ring(&self) -> Result<KeyRing> {
        let book = self.keys.read()?;
        let kid = book.keys.signer()?.kid.clone();
        let signer = self.open(&book, &kid).await?;
        if let Some(next) = book.prepared()
            && let Err(error) = self.open(&book, &next.kid).await
        {
            // Told while there is time to mend it.
            tracing::error!(
                kid = next.kid.as_str(),
                error = format!("{error:#}"),
                "the key that will sign next cannot be opened"
            );
        }
        let needed = |kid: &KeyId| book.prepared().is_some_and(|next| next.kid == *kid) || *signer.kid() == *kid;
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).retain(|kid, _| needed(kid));
        let others: Vec<PublishedKey> = book.published();
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Some(book);
        Ok(KeyRing::new(signer, &others))
    }

    /// The same, when somebody has changed the book since.
    pub(super) async fn changed_ring(&self) -> Result<Option<KeyRing>> {
        let book = self.keys.read()?;
        if self.used.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(&book) {
            return Ok(None);
        }
        self.ring().await.map(Some)
    }

    async fn open(&self, book: &KeyBook, kid: &KeyId) -> Result<Arc<dyn Signer>> {
        if let Some(signer) = self.opened.lock().unwrap_or_else(PoisonError::into_inner).get(kid) {
            return Ok(Arc::clone(signer));
        }
        let signer = self.holding.open(kid, &book.holder(kid)).await?;
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(kid.clone(), Arc::clone(&signer));
        Ok(signer)
    }
}
