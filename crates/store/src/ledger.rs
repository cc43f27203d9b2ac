//! Single use and audit together, however they are stored.

use std::sync::Arc;

use skybru_protocol::assertion::Fingerprint;

use crate::audit::{Entry, Journal};
use crate::{AssertionLog, StoreError};

/// What an issuer writes for every token: that the assertion was used, and what came of it.
#[derive(Clone)]
pub struct Ledger {
    log: Arc<dyn AssertionLog>,
    journal: Option<Arc<dyn Journal>>,
    together: bool,
}

impl From<Arc<dyn AssertionLog>> for Ledger {
    fn from(log: Arc<dyn AssertionLog>) -> Self {
        Self { log, journal: None, together: false }
    }
}

impl Ledger {
    /// One database holds both: they are written in one commit.
    pub fn together<S: AssertionLog + Journal + 'static>(store: Arc<S>) -> Self {
        Self { log: store.clone(), journal: Some(store), together: true }
    }

    /// Used assertions here, audit there.
    pub fn apart(log: Arc<dyn AssertionLog>, journal: Arc<dyn Journal>) -> Self {
        Self { log, journal: Some(journal), together: false }
    }

    /// Whether entries are kept at all; without it callers need not make them.
    pub fn is_audited(&self) -> bool {
        self.journal.is_some()
    }

    /// Uses an assertion up. Everything is durable when this returns `true`, and only then may a token be signed.
    ///
    /// `entry` is what is noted when it was the first use. When it was not, noting that is left to the caller.
    pub async fn use_up(&self, assertion: Fingerprint, forgotten_after: i64, entry: Option<Entry>) -> Result<bool, StoreError> {
        let (Some(journal), Some(entry)) = (&self.journal, entry) else {
            return self.log.record_once(assertion, forgotten_after).await;
        };
        if self.together {
            return journal.record_and_append(assertion, forgotten_after, entry).await;
        }
        if !self.log.record_once(assertion, forgotten_after).await? {
            return Ok(false);
        }
        if let Err(error) = journal.append(entry).await {
            // In doubt the entry may stand: then the assertion stays used up, so that there is never a second entry for it.
            if !matches!(error, StoreError::InDoubt { .. }) {
                self.log.forget(assertion).await?;
            }
            return Err(error);
        }
        Ok(true)
    }

    /// Takes a use back, because no token came of it.
    pub async fn take_back(&self, assertion: Fingerprint, entry: Option<Entry>) -> Result<(), StoreError> {
        let (Some(journal), Some(entry)) = (&self.journal, entry) else { return self.log.forget(assertion).await };
        if self.together {
            return journal.forget_and_append(assertion, entry).await;
        }
        journal.append(entry).await?;
        self.log.forget(assertion).await
    }

    /// Whether an assertion has become a token.
    pub async fn is_used(&self, assertion: Fingerprint) -> Result<bool, StoreError> {
        self.log.is_used(assertion).await
    }

    /// Notes something that needs no assertion.
    pub async fn note(&self, entry: Entry) -> Result<(), StoreError> {
        match &self.journal {
            Some(journal) => journal.append(entry).await,
            None => Ok(()),
        }
    }

    /// Whether both answer now. For readiness; it writes nothing.
    pub async fn answers(&self) -> Result<(), StoreError> {
        self.log.is_used(Fingerprint([0; 32])).await.map(|_| ())
    }
}
