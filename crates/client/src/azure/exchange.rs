//! The token as a client assertion at Entra (E-10).

use std::sync::Arc;

use jiff::SignedDuration;
use serde::Deserialize;
use skybru_core::{Ctx, Secret};
use tracing::{debug, info};

use super::{AzureExchangeError, AzureTarget, AzureToken, Resource};
use crate::http::{Http, HttpError, RetryPolicy, retry_after};
use crate::presented::{Presented, shown};

/// A managed identity's token lives a day (E-12); more is not believed.
const LONGEST_LIFE: i64 = 2 * 24 * 3600;

/// Exchanges tokens for Entra's access tokens. Holds none.
#[derive(Clone)]
pub struct AzureExchange {
    ctx: Ctx,
    http: Http,
    retry: RetryPolicy,
}

impl AzureExchange {
    /// An exchange with the usual retries.
    pub fn new(ctx: Ctx, http: Http) -> Self {
        Self { ctx, http, retry: RetryPolicy::default() }
    }

    /// Another policy for trying again.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Exchanges `token` for an access token to `resource`, and makes sure that it is the target identity's.
    pub async fn exchange(
        &self,
        token: &Secret,
        target: &AzureTarget,
        resource: &Resource,
    ) -> Result<AzureToken, AzureExchangeError> {
        // Before it leaves the machine: what is no JWT is no token of an issuer's.
        Presented::read(token.expose()).map_err(|error| AzureExchangeError::Token(error.to_string()))?;
        let (endpoint, client_id, scope) = (target.token_url(), target.client_id.to_string(), resource.scope());
        let form = [
            ("client_id", client_id.as_str()),
            ("grant_type", "client_credentials"),
            ("scope", &scope),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", token.expose()),
        ];
        let mut failures = 0;
        loop {
            let unreachable = |source| AzureExchangeError::Unreachable { endpoint: endpoint.clone(), source: Arc::new(source) };
            let asked_at = self.ctx.clock.now();
            let (error, asked) = match self.http.post_form(&endpoint, "application/json", &form).await {
                Ok(answer) if answer.status.is_success() => {
                    // The parser's message may repeat a piece of the answer, and the answer holds a token: it is not passed on.
                    let granted: Granted = answer.json().map_err(|_| unusable(&endpoint, "it is not the JSON of a token"))?;
                    if !granted.token_type.eq_ignore_ascii_case("Bearer") {
                        return Err(unusable(&endpoint, "token_type is not Bearer"));
                    }
                    let principal_id = must_be_ours(&granted.access_token, target, resource, &endpoint)?;
                    let life = i64::try_from(granted.expires_in).unwrap_or(0).min(LONGEST_LIFE);
                    let expires_at = asked_at.saturating_add(SignedDuration::from_secs(life)).unwrap_or(asked_at);
                    info!(%client_id, %resource, %expires_at, "got an access token from Entra");
                    let (access_token, resource) = (granted.access_token, resource.clone());
                    return Ok(AzureToken { access_token, expires_at, resource, principal_id });
                }
                Ok(answer) => {
                    let status = answer.status.as_u16();
                    // Without Entra's own words it is a proxy's answer, or a load balancer's.
                    let error = AzureExchangeError::read(&answer)
                        .unwrap_or_else(|| unreachable(HttpError::Status { url: answer.url.clone(), status }));
                    (error, retry_after(&answer.headers))
                }
                Err(source) => (unreachable(source), None),
            };
            failures += 1;
            if !error.may_pass() {
                return Err(error);
            }
            let Some(wait) = self.retry.wait(failures, asked, &*self.ctx.randomness) else { return Err(error) };
            debug!(%error, ?wait, "asking Entra again");
            tokio::time::sleep(wait).await;
        }
    }
}

fn unusable(endpoint: &str, reason: &str) -> AzureExchangeError {
    AzureExchangeError::Answer { endpoint: endpoint.to_owned(), reason: reason.to_owned() }
}

/// Never somebody else's identity: directory, application and resource must be those that were asked for (E-14). Returns the object id.
fn must_be_ours(token: &Secret, target: &AzureTarget, resource: &Resource, endpoint: &str) -> Result<String, AzureExchangeError> {
    let token = Presented::read(token.expose())
        .map_err(|_| unusable(endpoint, "the access token cannot be read, so nobody can tell whose it is"))?;
    let expect = |claim: &'static str, got: Option<&str>, fits: &dyn Fn(&str) -> bool, wanted: &str| match got {
        Some(got) if fits(got) => Ok(()),
        other => {
            let got = shown(other.unwrap_or_default());
            Err(AzureExchangeError::OtherIdentity { claim, wanted: wanted.to_owned(), got })
        }
    };
    let is = |wanted: &str| {
        let wanted = wanted.to_owned();
        move |got: &str| got.eq_ignore_ascii_case(&wanted)
    };
    let (tenant, client) = (target.tenant_id.to_string(), target.client_id.to_string());
    expect("tid", token.text("tid"), &is(&tenant), &tenant)?;
    // Version 1 has appid, version 2 azp.
    expect("appid", token.text("appid").or_else(|| token.text("azp")), &is(&client), &client)?;
    let same = |got: &str| got.parse::<Resource>().is_ok_and(|got| got == *resource);
    expect("aud", token.text("aud"), &same, resource.as_str())?;
    let principal = token.text("oid").filter(|oid| !oid.is_empty());
    principal.map(shown).ok_or_else(|| unusable(endpoint, "the access token names no object id"))
}

/// E-12.
#[derive(Deserialize)]
struct Granted {
    token_type: String,
    access_token: Secret,
    expires_in: u64,
}

impl std::fmt::Debug for AzureExchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AzureExchange").field("retry", &self.retry).finish_non_exhaustive()
    }
}
