//! Whether this node can do its work, told as it is.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use serde::Serialize;
use skybru_store::StoreError;

use crate::issuer::Issuer;

/// An answer is good for so long: whoever asks all the time does not keep the database busy.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// A database that does not answer in this time does not answer tokens either.
const PATIENCE: Duration = Duration::from_secs(3);

/// What readiness rests on. Each is `UP` or `DOWN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// All of it.
    pub status: Status,
    /// The registry was compared with its store a moment ago.
    pub registry: Status,
    /// The log of used assertions answers.
    pub replay: Status,
    /// There is a key that signs, and it is published.
    pub keys: Status,
}

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// It works.
    Up,
    /// It does not.
    Down,
}

impl From<bool> for Status {
    fn from(works: bool) -> Self {
        if works { Self::Up } else { Self::Down }
    }
}

/// The last answer, and when it was given.
pub(crate) type LastReadiness = std::sync::Mutex<Option<(Instant, Readiness)>>;

impl Issuer {
    /// A node that cannot compare its registry with the store may have missed that something was taken away, or that a key was added:
    /// it gives out neither tokens nor key sets.
    pub(crate) fn must_be_fresh(&self) -> Result<(), StoreError> {
        if self.registry.is_stale() {
            return Err(StoreError::Late { what: "comparing the registry with its store" });
        }
        if self.has_old_keys() {
            return Err(StoreError::Late { what: "looking at the signing keys" });
        }
        Ok(())
    }

    /// Looks at everything that a token needs.
    pub async fn readiness(&self) -> Readiness {
        let last = *self.readiness.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, readiness)) = last
            && at.elapsed() < GOOD_FOR
        {
            return readiness;
        }
        let answers = tokio::time::timeout(PATIENCE, self.ledger.answers()).await;
        let replay = match answers {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the log of used assertions does not answer");
                false
            }
            Err(_) => false,
        };
        let registry = !self.registry.is_stale();
        let keys = !self.has_old_keys() && self.key_set().find(self.keys().active().kid().as_str()).is_some();
        let readiness = Readiness {
            status: (replay && registry && keys).into(),
            registry: registry.into(),
            replay: replay.into(),
            keys: keys.into(),
        };
        *self.readiness.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), readiness));
        readiness
    }
}
