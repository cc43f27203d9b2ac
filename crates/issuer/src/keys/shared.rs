//! The book where all nodes see it: as a record of the registry.
//!
//! The registry's store gives writers turns across all nodes, and every change reaches every node in under a second. So keys need no
//! leader and no lock of their own: whoever finds that something is due decides on the newest book, in its turn.

use std::sync::Arc;

use serde_json::Value;
use skybru_store::records::Document;
use skybru_store::{Change, LiveRegistry, Record, StoreError};

use super::book::KeyBook;

/// The record's id.
const ID: &str = "signing-keys";

/// The keys of all issuers of an installation.
pub struct RegistryKeys(Arc<LiveRegistry>);

/// Why the book could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SharedKeysError<E> {
    /// It is not a book that this skybru can read.
    #[error("the record of the signing keys cannot be read")]
    Broken(#[source] serde_json::Error),
    /// The caller's own rules.
    #[error(transparent)]
    Refused(E),
    /// The store.
    #[error("the signing keys cannot be stored")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl RegistryKeys {
    /// The keys in this registry.
    pub fn new(registry: Arc<LiveRegistry>) -> Self {
        Self(registry)
    }

    /// The book as this node knows it.
    pub fn read(&self) -> Result<KeyBook, SharedKeysError<std::convert::Infallible>> {
        let body = self.0.read(|registry| registry.records().document(ID).map(|document| document.body.clone()));
        parse(body).map_err(SharedKeysError::Broken)
    }

    /// Changes the newest book; nobody else writes meanwhile. What `decide` did is visible to all nodes when this returns.
    pub async fn change<T, E>(&self, decide: impl FnOnce(&mut KeyBook) -> Result<T, E>) -> Result<T, SharedKeysError<E>>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let changed = self
            .0
            .change(|registry| {
                let body = registry.records().document(ID).map(|document| document.body.clone());
                let before = parse(body).map_err(SharedKeysError::Broken)?;
                let mut book = before.clone();
                let answer = decide(&mut book).map_err(SharedKeysError::Refused)?;
                if book == before {
                    return Ok((Vec::new(), answer));
                }
                let body = serde_json::to_value(&book).map_err(SharedKeysError::Broken)?;
                Ok((vec![Change::PutRecord(Record::Document(Document { id: ID.to_owned(), body }))], answer))
            })
            .await;
        changed.map_err(|error| match error {
            skybru_store::ChangeError::Refused(error) => error,
            skybru_store::ChangeError::Store(error) => SharedKeysError::Store(error.into()),
            skybru_store::ChangeError::Registry(error) => SharedKeysError::Store(error.into()),
        })
    }
}

fn parse(body: Option<Value>) -> Result<KeyBook, serde_json::Error> {
    body.map_or_else(|| Ok(KeyBook::default()), serde_json::from_value)
}

impl<E> From<StoreError> for SharedKeysError<E> {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}
