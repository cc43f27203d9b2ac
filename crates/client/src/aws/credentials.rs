//! Credentials of a role, kept and renewed.

use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;
use skybru_core::Ctx;
use tracing::info;

use super::{AwsCredentials, AwsExchange, AwsTarget, ExchangeError};
use crate::refreshed::{Fetched, Refreshed, by_our_clock, renewal};
use crate::token::{TokenError, TokenRequest, TokenSource};

/// The SDKs renew five minutes ahead, so ours must be renewed before that to serve them credentials that last.
const RENEW_AT_MOST: SignedDuration = SignedDuration::from_mins(10);

/// Why there are no credentials: no token, or AWS did not take it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AwsCredentialError {
    /// The issuer.
    #[error("could not get a token")]
    Token(#[from] TokenError),
    /// AWS.
    #[error("could not exchange the token for AWS credentials")]
    Exchange(#[from] ExchangeError),
}

impl AwsCredentialError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Token(error) => error.hint(),
            Self::Exchange(error) => error.hint(),
        }
    }
}

/// The credentials of one role for one token request: fetched once for all who ask, renewed before they end. Share it in an `Arc`.
pub struct AwsCredentialSource {
    ctx: Ctx,
    tokens: Arc<TokenSource>,
    request: TokenRequest,
    exchange: AwsExchange,
    target: AwsTarget,
    held: Arc<Refreshed<AwsCredentials, AwsCredentialError>>,
}

impl AwsCredentialSource {
    /// A source of credentials of `target` with tokens for `request`. Fetches nothing yet.
    pub fn new(ctx: Ctx, tokens: Arc<TokenSource>, request: TokenRequest, exchange: AwsExchange, target: AwsTarget) -> Self {
        Self { ctx, tokens, request, exchange, target, held: Arc::new(Refreshed::new()) }
    }

    /// The role and its region.
    pub fn target(&self) -> &AwsTarget {
        &self.target
    }

    /// Credentials that are valid now.
    pub async fn credentials(self: &Arc<Self>) -> Result<Arc<AwsCredentials>, AwsCredentialError> {
        let fetch = || {
            let source = Arc::clone(self);
            async move { source.fetch().await }
        };
        self.held.get(&self.ctx, fetch).await
    }

    /// Credentials that were issued just now. They replace the kept ones.
    pub async fn fresh(&self) -> Result<Arc<AwsCredentials>, AwsCredentialError> {
        self.held.fresh(self.fetch()).await
    }

    async fn fetch(&self) -> Result<Fetched<AwsCredentials>, AwsCredentialError> {
        let asked_at = self.ctx.clock.now();
        let token = self.tokens.token(&self.request).await?;
        let outcome = match self.exchange.exchange_by_their_clock(&token.token, &self.target).await {
            // A token near its end may be too old for AWS's clock.
            Err(error) if error.wants_newer_token() => {
                let token = self.tokens.fresh(&self.request).await?;
                self.exchange.exchange_by_their_clock(&token.token, &self.target).await
            }
            other => other,
        };
        let (credentials, their_now) = outcome.inspect_err(|error| info!(role = %self.target.role, %error, "no credentials"))?;
        let expires_at = by_our_clock(credentials.expiration, their_now, asked_at);
        let renew_at = renewal(&self.ctx, asked_at, expires_at, RENEW_AT_MOST);
        Ok(Fetched { value: credentials, renew_at, expires_at })
    }
}

impl fmt::Debug for AwsCredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsCredentialSource")
            .field("request", &self.request)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
