//! A simulator's state: one value behind one lock, written to a file.
//!
//! A change is made on a copy, written to disk, and then becomes what everybody sees; a change that is refused, or cannot be written,
//! leaves no trace.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files;

/// The state could not be written; the log says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotKept;

/// The state and where it is kept.
pub(crate) struct Kept<T> {
    current: RwLock<Arc<T>>,
    file: Option<PathBuf>,
}

impl<T: Clone + Serialize + DeserializeOwned> Kept<T> {
    /// Reads the state from `file`, or begins with `start`. Without a file nothing is kept.
    pub(crate) fn open(file: Option<PathBuf>, start: impl FnOnce() -> T) -> io::Result<Self> {
        let state = match file.as_ref().map(std::fs::read) {
            None => start(),
            Some(Ok(bytes)) => serde_json::from_slice(&bytes)?,
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => start(),
            Some(Err(error)) => return Err(error),
        };
        Ok(Self { current: RwLock::new(Arc::new(state)), file })
    }

    /// The state as it is now. It does not change under the reader.
    pub(crate) fn get(&self) -> Arc<T> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state, all of it or nothing.
    pub(crate) fn change<R, E: From<NotKept>>(&self, change: impl FnOnce(&mut T) -> Result<R, E>) -> Result<R, E> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = T::clone(&current);
        let result = change(&mut state)?;
        if let Some(file) = &self.file {
            files::write_json(file, &state).map_err(|error| {
                tracing::error!(%error, "the simulator's state could not be written");
                NotKept
            })?;
        }
        *current = Arc::new(state);
        Ok(result)
    }
}
