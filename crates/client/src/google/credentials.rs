//! Google's access tokens, kept and renewed.

use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;
use skybru_core::Ctx;
use tracing::info;

use super::{GoogleCredentials, GoogleExchange, GoogleExchangeError, GoogleTarget};
use crate::refreshed::{Fetched, Refreshed, renewal};
use crate::token::{AccessToken, TokenError, TokenRequest, TokenSource};

/// Google's libraries renew 3 min 45 s ahead, so ours must be renewed before that to serve them tokens that last.
const RENEW_AT_MOST: SignedDuration = SignedDuration::from_mins(8);

/// Why there is no access token: no token of the issuer's, or Google did not take it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GoogleCredentialError {
    /// The issuer.
    #[error("could not get a token")]
    Token(#[from] TokenError),
    /// Google.
    #[error("could not exchange the token for a Google access token")]
    Exchange(#[from] GoogleExchangeError),
}

impl GoogleCredentialError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Token(error) => error.hint(),
            Self::Exchange(error) => error.hint(),
        }
    }
}

/// Google's access tokens for one token request: fetched once for all who ask, renewed before they end. Share it in an `Arc`.
pub struct GoogleCredentialSource {
    ctx: Ctx,
    tokens: Arc<TokenSource>,
    request: TokenRequest,
    exchange: GoogleExchange,
    target: GoogleTarget,
    held: Arc<Refreshed<GoogleCredentials, GoogleCredentialError>>,
}

impl GoogleCredentialSource {
    /// A source of access tokens for `target` with tokens for `request`. Fetches nothing yet.
    pub fn new(
        ctx: Ctx,
        tokens: Arc<TokenSource>,
        request: TokenRequest,
        exchange: GoogleExchange,
        target: GoogleTarget,
    ) -> Self {
        Self { ctx, tokens, request, exchange, target, held: Arc::new(Refreshed::new()) }
    }

    /// Where one is known as whom.
    pub fn target(&self) -> &GoogleTarget {
        &self.target
    }

    /// An access token that is valid now.
    pub async fn credentials(self: &Arc<Self>) -> Result<Arc<GoogleCredentials>, GoogleCredentialError> {
        let fetch = || {
            let source = Arc::clone(self);
            async move { source.fetch().await }
        };
        self.held.get(&self.ctx, fetch).await
    }

    /// An access token that was issued just now. It replaces the kept one.
    pub async fn fresh(&self) -> Result<Arc<GoogleCredentials>, GoogleCredentialError> {
        self.held.fresh(self.fetch()).await
    }

    /// The issuer's token itself, for libraries that exchange on their own (G-61).
    pub async fn subject_token(&self) -> Result<Arc<AccessToken>, TokenError> {
        self.tokens.young(&self.request).await
    }

    async fn fetch(&self) -> Result<Fetched<GoogleCredentials>, GoogleCredentialError> {
        let asked_at = self.ctx.clock.now();
        // What STS gives lives no longer than the token (G-24).
        let token = self.tokens.young(&self.request).await?;
        let outcome = match self.exchange.exchange(&token.token, &self.target).await {
            Err(error) if error.wants_newer_token() => {
                let token = self.tokens.fresh(&self.request).await?;
                self.exchange.exchange(&token.token, &self.target).await
            }
            other => other,
        };
        let credentials = outcome.inspect_err(|error| info!(provider = %self.target.provider, %error, "no access token"))?;
        let expires_at = credentials.expires_at;
        let renew_at = renewal(&self.ctx, asked_at, expires_at, RENEW_AT_MOST);
        Ok(Fetched { value: credentials, renew_at, expires_at })
    }
}

impl fmt::Debug for GoogleCredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GoogleCredentialSource")
            .field("request", &self.request)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
