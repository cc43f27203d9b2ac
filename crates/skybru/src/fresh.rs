//! Files that always hold a token that is valid: for libraries that read a file each time that they need one (A-90, E-70, G-61).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use skybru_client::google::GoogleCredentialSource;
use skybru_client::token::{TokenRequest, TokenSource};
use skybru_core::{Clock, Secret};
use tokio::task::JoinSet;
use tracing::warn;

use crate::lab::files::write_private;

/// After a failure.
const PAUSE: Duration = Duration::from_secs(5);

/// What a file holds.
pub(crate) enum Content {
    /// The issuer's token: for `AWS_WEB_IDENTITY_TOKEN_FILE`, `AZURE_FEDERATED_TOKEN_FILE` and the `file` of an `external_account`.
    Token(Arc<TokenSource>, TokenRequest),
    /// Google's access token: for `CLOUDSDK_AUTH_ACCESS_TOKEN_FILE`.
    Google(Arc<GoogleCredentialSource>),
}

impl Content {
    /// What to write now, and when it is half used up.
    async fn now(&self, clock: &dyn Clock) -> Result<(Secret, Duration)> {
        let (secret, expires_at) = match self {
            Self::Token(tokens, request) => {
                let token = tokens.young(request).await?;
                (token.token.clone(), token.expires_at)
            }
            Self::Google(source) => {
                let credentials = source.credentials().await?;
                (credentials.access_token.clone(), credentials.expires_at)
            }
        };
        let left = expires_at.duration_since(clock.now());
        let half = Duration::try_from(left).unwrap_or_default() / 2;
        Ok((secret, half.clamp(Duration::from_secs(1), Duration::from_mins(5))))
    }
}

/// A file and what it holds.
pub(crate) struct FreshFile {
    pub(crate) path: PathBuf,
    pub(crate) content: Content,
}

impl FreshFile {
    /// Writes it, whole or not at all, and tells when to do so again.
    pub(crate) async fn write(&self, clock: &dyn Clock) -> Result<Duration> {
        let (secret, wait) = self.content.now(clock).await?;
        // The libraries do not trim: a line feed would be sent (A-90, E-70).
        write_private(&self.path, secret.expose().as_bytes())?;
        Ok(wait)
    }

    async fn keep(self, clock: Arc<dyn Clock>, mut wait: Duration) {
        loop {
            tokio::time::sleep(wait).await;
            wait = self.write(&*clock).await.unwrap_or_else(|error| {
                warn!(path = %self.path.display(), error = format!("{error:#}"), "the file keeps what it had");
                PAUSE
            });
        }
    }
}

/// The files that are being kept fresh, for as long as this lives.
#[derive(Default)]
pub(crate) struct Keepers(JoinSet<()>);

impl Keepers {
    /// Keeps one more file fresh. The answer tells how writing it now went; it is tried again either way.
    pub(crate) async fn add(&mut self, file: FreshFile, clock: &Arc<dyn Clock>) -> Result<()> {
        let first = file.write(&**clock).await;
        let wait = *first.as_ref().unwrap_or(&PAUSE);
        self.0.spawn(file.keep(Arc::clone(clock), wait));
        first.map(drop)
    }
}
