//! Signing keys of a running server: prepared, used and taken away in their time.

use std::sync::Arc;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use skybru_issuer::KeyRing;
use skybru_issuer::private::{KeyState, Keys};

use super::super::key_folder::KeyFolder;
use super::Server;

impl Server {
    /// Lets keys go on with their lives, and gives what signs and what is published now. `served` are those that have been published
    /// until now.
    pub(super) fn keys(&self, now: Timestamp, served: &[String]) -> Result<KeyRing> {
        let mut folder = KeyFolder::open(self.data.clone(), self.options.key_bits)?;
        let before = folder.keys.clone();
        if folder.keys.iter().next().is_none() {
            let kid = folder.prepare(now)?;
            // The first key set of a new issuer: nobody has cached another.
            folder.keys.seen([kid.as_str()], now);
        }
        folder.keys.seen(served.iter().map(String::as_str), now);
        self.advance(&mut folder, now)?;
        if folder.keys != before {
            folder.save()?;
        }
        let active = Arc::new(folder.signer()?);
        let others = folder.keys.iter().map(|record| folder.read(&record.kid).map(Arc::new)).collect::<Result<Vec<_>>>()?;
        Ok(KeyRing::new(active, &others))
    }

    fn advance(&self, folder: &mut KeyFolder, now: Timestamp) -> Result<()> {
        let prepared = folder.keys.iter().any(|record| record.state() == KeyState::Prepared);
        if let Some(days) = self.options.rotate_days.filter(|_| !prepared) {
            // Early enough to be known everywhere when its time comes.
            let age = SignedDuration::from_hours(24 * i64::from(days)) - self.lifetimes.cache;
            let due =
                folder.keys.signer().ok().and_then(|record| record.activated).and_then(|since| since.saturating_add(age).ok());
            if due.is_some_and(|due| due <= now) {
                let kid = folder.prepare(now)?;
                tracing::info!(kid, "the next signing key is prepared");
            }
        }
        if let Ok(record) = folder.keys.switch(self.lifetimes, now) {
            tracing::info!(kid = record.kid.as_str(), "another key signs from now on");
        }
        let gone: Vec<String> = folder
            .keys
            .iter()
            .filter(|record| Keys::may_go(record, self.lifetimes).is_some_and(|from| from <= now))
            .map(|record| record.kid.to_string())
            .collect();
        for kid in gone {
            folder.keys.retire(&kid, self.lifetimes, now)?;
            folder.save()?;
            folder.forget(&kid)?;
            tracing::info!(kid, "a signing key has gone");
        }
        Ok(())
    }

    /// Looks at keys and certificate. What fails is told and tried again: the server goes on with what it has.
    pub(super) fn tick(&self, now: Timestamp) {
        if let Some(certificate) = &self.certificate
            && let Err(error) = certificate.refresh()
        {
            tracing::error!(error = format!("{error:#}"), "the certificate cannot be read again");
        }
        let served: Vec<String> = self
            .issuers
            .first()
            .map(|issuer| issuer.key_set().keys.into_iter().filter_map(|key| key.kid).collect())
            .unwrap_or_default();
        match self.keys(now, &served) {
            Ok(ring) => {
                for issuer in &self.issuers {
                    issuer.replace_keys(ring.clone());
                }
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "the signing keys cannot be looked at"),
        }
    }
}
