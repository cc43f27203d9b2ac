//! Entra's access tokens, one for each resource, kept and renewed.

use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;
use skybru_core::Ctx;
use tracing::info;

use super::{AzureExchange, AzureExchangeError, AzureTarget, AzureToken, Resource};
use crate::cache::Cache;
use crate::refreshed::{Fetched, renewal};
use crate::token::{AccessToken, TokenError, TokenRequest, TokenSource};

/// Azure's libraries renew five minutes ahead, so ours must be renewed before that to serve them tokens that last.
const RENEW_AT_MOST: SignedDuration = SignedDuration::from_mins(10);

/// Why there is no access token: no token of the issuer's, or Entra did not take it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AzureCredentialError {
    /// The issuer.
    #[error("could not get a token")]
    Token(#[from] TokenError),
    /// Entra.
    #[error("could not exchange the token for an Azure access token")]
    Exchange(#[from] AzureExchangeError),
}

impl AzureCredentialError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Token(error) => error.hint(),
            Self::Exchange(error) => error.hint(),
        }
    }
}

/// Entra's access tokens for one identity: one per resource, fetched once for all who ask, renewed before they end. Share it in an `Arc`.
pub struct AzureCredentialSource {
    ctx: Ctx,
    tokens: Arc<TokenSource>,
    request: TokenRequest,
    exchange: AzureExchange,
    target: AzureTarget,
    cache: Cache<AzureToken, AzureCredentialError>,
}

impl AzureCredentialSource {
    /// A source of access tokens for `target` with tokens for `request`. Fetches nothing yet.
    pub fn new(ctx: Ctx, tokens: Arc<TokenSource>, request: TokenRequest, exchange: AzureExchange, target: AzureTarget) -> Self {
        Self { ctx, tokens, request, exchange, target, cache: Cache::new() }
    }

    /// As whom, and to reach what.
    pub fn target(&self) -> &AzureTarget {
        &self.target
    }

    /// An access token to `resource` that is valid now.
    pub async fn token(self: &Arc<Self>, resource: &Resource) -> Result<Arc<AzureToken>, AzureCredentialError> {
        let place = self.cache.place(&resource.to_string());
        let fetch = || {
            let (source, resource) = (Arc::clone(self), resource.clone());
            async move { source.fetch(&resource).await }
        };
        place.get(&self.ctx, fetch).await
    }

    /// An access token to `resource` that was issued just now. It replaces the kept one.
    pub async fn fresh(&self, resource: &Resource) -> Result<Arc<AzureToken>, AzureCredentialError> {
        let place = self.cache.place(&resource.to_string());
        place.fresh(self.fetch(resource)).await
    }

    /// The issuer's token itself, for libraries that exchange on their own (E-70).
    pub async fn federated_token(&self) -> Result<Arc<AccessToken>, TokenError> {
        self.tokens.young(&self.request).await
    }

    async fn fetch(&self, resource: &Resource) -> Result<Fetched<AzureToken>, AzureCredentialError> {
        let asked_at = self.ctx.clock.now();
        let token = self.tokens.token(&self.request).await?;
        let outcome = match self.exchange.exchange(&token.token, &self.target, resource).await {
            Err(error) if error.wants_newer_token() => {
                let token = self.tokens.fresh(&self.request).await?;
                self.exchange.exchange(&token.token, &self.target, resource).await
            }
            other => other,
        };
        let token = outcome.inspect_err(|error| info!(client.id = %self.target.client_id, %error, "no access token"))?;
        let expires_at = token.expires_at;
        let renew_at = renewal(&self.ctx, asked_at, expires_at, RENEW_AT_MOST);
        Ok(Fetched { value: token, renew_at, expires_at })
    }
}

impl fmt::Debug for AzureCredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureCredentialSource")
            .field("request", &self.request)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
