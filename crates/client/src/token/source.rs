//! Where tokens come from.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use skybru_core::{Ctx, Secret};
use skybru_protocol::oauth::{ErrorBody, JWT_BEARER, TokenAnswer};
use tracing::{debug, info, warn};

use super::metadata::must_lie_below;
use super::{AccessToken, ClientIdentity, IssuerMetadata, PreparedRequest, Refusal, TokenError, TokenRequest, sign_assertion};
use crate::cache::Cache;
use crate::http::{Http, HttpAnswer, RetryPolicy, date, retry_after};
use crate::refreshed::{Fetched, renewal};

/// Digdir asks clients to keep metadata for about a day.
const METADATA_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// No token is renewed earlier than this before its end.
const RENEW_AT_MOST: SignedDuration = SignedDuration::from_mins(5);

/// Clocks may differ by this much (seconds) without being corrected: it is what issuers tolerate.
const TOLERATED_SKEW: i64 = 10;

/// The longest life that is believed, in seconds.
const LONGEST_LIFE: u64 = 7 * 24 * 3600;

/// The tokens of one client at one issuer: fetched, cached, renewed.
///
/// One request is under way at a time for the same scopes, resources, consumer and details; all who ask meanwhile get its outcome.
/// A token is renewed when 15 to 25 % of its life is left (at most five minutes ahead, about 45 seconds at least), and serves until it expires if that fails.
/// Share it in an `Arc`.
pub struct TokenSource {
    ctx: Ctx,
    http: Http,
    identity: ClientIdentity,
    retry: RetryPolicy,
    token_endpoint: Option<String>,
    metadata: Mutex<Option<(Timestamp, Arc<IssuerMetadata>)>>,
    cache: Cache<AccessToken, TokenError>,
    skew: AtomicI64,
}

/// What one request came to.
enum Attempt {
    Token(Box<TokenAnswer>),
    /// Not now; the time that the issuer asks to wait.
    Later(TokenError, Option<std::time::Duration>),
    /// A refusal; when it is about time and the issuer tells its own, by how many seconds that is ahead of ours.
    Refused(Refusal, Option<i64>),
}

impl TokenSource {
    /// A source of tokens for this client. Fetches nothing yet.
    pub fn new(ctx: Ctx, http: Http, identity: ClientIdentity) -> Self {
        Self {
            ctx,
            http,
            identity,
            retry: RetryPolicy::default(),
            token_endpoint: None,
            metadata: Mutex::new(None),
            cache: Cache::new(),
            skew: AtomicI64::new(0),
        }
    }

    /// Another policy for trying again.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Asks at this endpoint without looking at the metadata; it must lie below the issuer. Nais injects it, for one.
    pub fn with_token_endpoint(mut self, endpoint: impl Into<String>) -> Result<Self, TokenError> {
        let endpoint = endpoint.into();
        must_lie_below(&self.identity.issuer, &endpoint)?;
        self.token_endpoint = Some(endpoint);
        Ok(self)
    }

    /// Who asks.
    pub fn identity(&self) -> &ClientIdentity {
        &self.identity
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ctx.clock.now()
    }

    /// By how many seconds the issuer's clock was found ahead of ours (negative: behind); zero as long as nothing was noticed.
    pub fn skew_seconds(&self) -> i64 {
        self.skew.load(Ordering::Relaxed)
    }

    /// A token that is valid now: from the cache when there is one.
    pub async fn token(self: &Arc<Self>, request: &TokenRequest) -> Result<Arc<AccessToken>, TokenError> {
        let place = self.cache.place(&request.cache_key());
        place.get(&self.ctx, || self.fetching(request)).await
    }

    /// The same, for those who ask for one thing again and again.
    pub async fn token_again(self: &Arc<Self>, request: &PreparedRequest) -> Result<Arc<AccessToken>, TokenError> {
        let place = self.cache.place(&request.key);
        place.get(&self.ctx, || self.fetching(&request.request)).await
    }

    /// A token that was issued just now. It replaces the cached one.
    pub async fn fresh(&self, request: &TokenRequest) -> Result<Arc<AccessToken>, TokenError> {
        let place = self.cache.place(&request.cache_key());
        place.fresh(self.fetch(request)).await
    }

    /// A token with at least three quarters of its life ahead, for exchanges whose outcome lives no longer than the token (G-24). When
    /// no new one is to be had soon, the cached one serves as long as it lives.
    pub async fn young(self: &Arc<Self>, request: &TokenRequest) -> Result<Arc<AccessToken>, TokenError> {
        let place = self.cache.place(&request.cache_key());
        let now = self.ctx.clock.now();
        let is_old = |token: &AccessToken| {
            let (life, age) = (token.expires_at.duration_since(token.fetched_at), now.duration_since(token.fetched_at));
            age.as_millis() * 4 >= life.as_millis()
        };
        place.get_renewed(&self.ctx, is_old, || self.fetching(request)).await
    }

    /// [`Self::fetch`] as a future that needs nobody to wait for it.
    fn fetching(
        self: &Arc<Self>,
        request: &TokenRequest,
    ) -> impl Future<Output = Result<Fetched<AccessToken>, TokenError>> + Send + 'static {
        let (source, request) = (Arc::clone(self), request.clone());
        async move { source.fetch(&request).await }
    }

    async fn fetch(&self, request: &TokenRequest) -> Result<Fetched<AccessToken>, TokenError> {
        let outcome = self.fetch_with_retries(request).await;
        if let Err(error) = &outcome {
            // The caller may go on with the old token and never show it.
            info!(client.id = %self.identity.client_id, scope = %request.scopes, %error, "no token");
        }
        outcome
    }

    async fn fetch_with_retries(&self, request: &TokenRequest) -> Result<Fetched<AccessToken>, TokenError> {
        let mut failures = 0;
        let mut corrected = false;
        loop {
            let asked_at = self.ctx.clock.now();
            match self.attempt(request).await? {
                Attempt::Token(answer) => return self.accept(request, *answer, asked_at),
                Attempt::Later(error, asked) => {
                    failures += 1;
                    let Some(wait) = self.retry.wait(failures, asked, &*self.ctx.randomness) else { return Err(error) };
                    debug!(%error, ?wait, "asking again with a new assertion");
                    tokio::time::sleep(wait).await;
                }
                Attempt::Refused(refusal, Some(skew)) if !corrected && skew != self.skew_seconds() => {
                    corrected = true;
                    self.skew.store(skew, Ordering::Relaxed);
                    warn!(skew.seconds = skew, reason = %refusal, "this machine's clock differs from the issuer's: set it (D-13). Asking again with the issuer's time");
                }
                Attempt::Refused(mut refusal, skew) => {
                    refusal.skew_seconds = skew.filter(|skew| *skew != 0);
                    return Err(TokenError::Refused { issuer: self.identity.issuer.clone(), refusal: Box::new(refusal) });
                }
            }
        }
    }

    /// One request with one new assertion.
    async fn attempt(&self, request: &TokenRequest) -> Result<Attempt, TokenError> {
        let issuer = &self.identity.issuer;
        let now = self.ctx.clock.unix_seconds().saturating_add(self.skew_seconds());
        // What is signed names the issuer, not its endpoint: when the metadata must be fetched, that is signed meanwhile, after whatever can
        // be sent at once.
        let signing = async {
            for _ in 0..2 {
                tokio::task::yield_now().await;
            }
            sign_assertion(&self.identity, request, now, &*self.ctx.randomness).await
        };
        let (endpoint, assertion) = join(self.endpoint(), signing).await;
        let endpoint = match endpoint {
            Ok(endpoint) => endpoint,
            Err(error) => return later_if_it_may_pass(error),
        };
        let assertion = assertion?;
        debug!(client.id = %self.identity.client_id, jti = assertion.jti, key.id = %self.identity.key.kid(), "asking for a token");
        let form = [("grant_type", JWT_BEARER), ("assertion", assertion.jwt.expose())];
        let answer = match self.http.post_form(&endpoint, "application/json", &form).await {
            Ok(answer) => answer,
            Err(source) => {
                let error = TokenError::Unreachable { issuer: issuer.clone(), source: Arc::new(source) };
                return later_if_it_may_pass(error);
            }
        };
        let status = answer.status.as_u16();
        if answer.status == StatusCode::OK {
            // What the parser says may repeat a piece of the answer, and the answer holds a token: it is not passed on.
            let reason = || "it is not the JSON of a token".to_owned();
            let token = answer.json().map_err(|_| TokenError::Answer { issuer: issuer.clone(), reason: reason() })?;
            return Ok(Attempt::Token(Box::new(token)));
        }
        if status == 429 || status >= 500 {
            let error = TokenError::Unavailable { issuer: issuer.clone(), status };
            return Ok(Attempt::Later(error, retry_after(&answer.headers)));
        }
        let Ok(body) = answer.json::<ErrorBody>() else {
            let reason = format!("status {status} without an OAuth error");
            return Err(TokenError::Answer { issuer: issuer.clone(), reason });
        };
        let refusal = Refusal::new(&body, status, request.scopes.to_string());
        let skew = if refusal.is_about_time() { self.skew_of(&answer) } else { None };
        Ok(Attempt::Refused(refusal, skew))
    }

    /// By how much the issuer's clock is ahead of ours; zero when that is within what is tolerated, so that a correction made
    /// earlier ends when somebody sets the clock.
    fn skew_of(&self, answer: &HttpAnswer) -> Option<i64> {
        let skew = date(&answer.headers)?.as_second().saturating_sub(self.ctx.clock.unix_seconds());
        Some(if skew.abs() > TOLERATED_SKEW { skew } else { 0 })
    }

    fn accept(
        &self,
        request: &TokenRequest,
        answer: TokenAnswer,
        asked_at: Timestamp,
    ) -> Result<Fetched<AccessToken>, TokenError> {
        let unusable = |reason: &str| TokenError::Answer { issuer: self.identity.issuer.clone(), reason: reason.to_owned() };
        if !answer.token_type.eq_ignore_ascii_case("Bearer") {
            return Err(unusable("token_type is not Bearer"));
        }
        if answer.access_token.is_empty() {
            return Err(unusable("access_token is empty"));
        }
        let life = i64::try_from(answer.expires_in.min(LONGEST_LIFE)).unwrap_or(0);
        // Measured from before the request, so that we never think it lives longer than the issuer does.
        let expires_at = asked_at.saturating_add(SignedDuration::from_secs(life)).unwrap_or(asked_at);
        let token = AccessToken {
            token: Secret::from(answer.access_token),
            scope: if answer.scope.is_empty() { request.scopes.to_string() } else { answer.scope },
            fetched_at: asked_at,
            expires_at,
        };
        let renew_at = renewal(&self.ctx, asked_at, expires_at, RENEW_AT_MOST);
        Ok(Fetched { value: token, renew_at, expires_at })
    }

    async fn endpoint(&self) -> Result<String, TokenError> {
        if let Some(endpoint) = &self.token_endpoint {
            return Ok(endpoint.clone());
        }
        let now = self.ctx.clock.now();
        let known = self.metadata.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((fetched, metadata)) = &known
            && now.duration_since(*fetched) < METADATA_LIFE
        {
            return Ok(metadata.token_endpoint.clone());
        }
        match IssuerMetadata::fetch(&self.http, &self.identity.issuer).await {
            Ok(metadata) => {
                let endpoint = metadata.token_endpoint.clone();
                *self.metadata.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::new(metadata)));
                Ok(endpoint)
            }
            // Yesterday's metadata is better than none.
            Err(error) => known.map(|(_, metadata)| metadata.token_endpoint.clone()).ok_or(TokenError::Metadata(error)),
        }
    }
}

fn later_if_it_may_pass(error: TokenError) -> Result<Attempt, TokenError> {
    use super::MetadataError;
    let passes = match &error {
        TokenError::Unreachable { source, .. } | TokenError::Metadata(MetadataError::Http { source, .. }) => source.may_pass(),
        _ => false,
    };
    if passes { Ok(Attempt::Later(error, None)) } else { Err(error) }
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSource").field("identity", &self.identity).finish_non_exhaustive()
    }
}
