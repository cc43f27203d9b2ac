//! The exchange at STS (G-27), and acting as a service account (G-50).

use std::sync::Arc;

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use skybru_core::{Ctx, Secret};
use tracing::{debug, info, warn};

use super::{GoogleCredentials, GoogleExchangeError, GoogleTarget, ServiceAccount, Step};
use crate::http::{Http, HttpAnswer, HttpError, RetryPolicy, date, retry_after};
use crate::presented::{Presented, shown};
use crate::refreshed::by_our_clock;

/// The scope that lets the identity do whatever its roles allow.
pub const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// What a federated token needs that is only there to act as a service account (G-52).
const IAM: &str = "https://www.googleapis.com/auth/iam";

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// Longer lives need a policy of the organisation's (G-54).
const LIFETIME: &str = "3600s";

/// Exchanges tokens for Google's access tokens. Holds none.
#[derive(Clone)]
pub struct GoogleExchange {
    ctx: Ctx,
    http: Http,
    retry: RetryPolicy,
}

impl GoogleExchange {
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

    /// Exchanges `token` for an access token of the target, and makes sure that it is nobody else's.
    pub async fn exchange(&self, token: &Secret, target: &GoogleTarget) -> Result<GoogleCredentials, GoogleExchangeError> {
        let claims = Presented::read(token.expose()).map_err(|error| GoogleExchangeError::Token(error.to_string()))?;
        let federated = self.federated(token, target).await?;
        let principal = self.principal(&federated.access_token, target).await?;
        if let Some(principal) = &principal {
            must_be_ours(principal, target, &claims)?;
        }
        let Some(account) = &target.service_account else {
            info!(provider = %target.provider, expires_at = %federated.expires_at, "exchanged a token at Google");
            return Ok(GoogleCredentials { principal, ..federated });
        };
        let credentials = self.impersonated(&federated.access_token, target, account).await?;
        info!(service_account = %account, expires_at = %credentials.expires_at, "acting as a service account");
        Ok(credentials)
    }

    async fn federated(&self, token: &Secret, target: &GoogleTarget) -> Result<GoogleCredentials, GoogleExchangeError> {
        let (endpoint, audience) = (target.token_url(), target.provider.audience());
        let options = target.workforce_user_project.as_ref().map(|project| json!({"userProject": project}).to_string());
        let mut form = vec![
            ("grant_type", TOKEN_EXCHANGE),
            ("audience", audience.as_str()),
            ("scope", if target.service_account.is_some() { IAM } else { CLOUD_PLATFORM }),
            ("requested_token_type", ACCESS_TOKEN),
            ("subject_token_type", JWT),
            ("subject_token", token.expose()),
        ];
        if let Some(options) = &options {
            form.push(("options", options));
        }
        let asked_at = self.ctx.clock.now();
        let answer = self.ask(&endpoint, read_sts_refusal, || self.http.post_form(&endpoint, "application/json", &form)).await?;
        // The parser's message may repeat a piece of the answer, and the answer holds a token: it is not passed on.
        let unusable = |reason: &str| GoogleExchangeError::Answer { endpoint: endpoint.clone(), reason: reason.to_owned() };
        let granted: Granted = answer.json().map_err(|_| unusable("it is not the JSON of a token"))?;
        if !granted.token_type.eq_ignore_ascii_case("Bearer") || granted.issued_token_type != ACCESS_TOKEN {
            return Err(unusable("it is no bearer access token"));
        }
        // Absent when only two seconds are left (G-24): such a token is as good as expired.
        let life = granted.expires_in.and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(0).min(12 * 3600);
        let expires_at = asked_at.saturating_add(SignedDuration::from_secs(life)).unwrap_or(asked_at);
        Ok(GoogleCredentials { access_token: granted.access_token, expires_at, principal: None })
    }

    /// Who STS says we are. An STS that answers only its own clients with that (G-62) leaves the question open; it is no refusal.
    async fn principal(&self, token: &Secret, target: &GoogleTarget) -> Result<Option<String>, GoogleExchangeError> {
        let endpoint = target.introspection_url();
        let form = [("token", token.expose()), ("token_type_hint", ACCESS_TOKEN)];
        let asked = self.ask(&endpoint, read_sts_refusal, || self.http.post_form(&endpoint, "application/json", &form)).await;
        let answer = match asked {
            Ok(answer) => answer,
            Err(error) if error.may_pass() => return Err(error),
            Err(error) => {
                warn!(%error, "Google does not say whose access token this is");
                return Ok(None);
            }
        };
        let unusable = |reason: &str| GoogleExchangeError::Answer { endpoint: endpoint.clone(), reason: reason.to_owned() };
        let found: Introspected = answer.json().map_err(|_| unusable("it is not the JSON of an introspection"))?;
        match found {
            Introspected { active: true, username: Some(username) } => Ok(Some(username)),
            Introspected { active: true, username: None } => Ok(None),
            Introspected { active: false, .. } => Err(unusable("the token that was issued just now is not active")),
        }
    }

    async fn impersonated(
        &self,
        federated: &Secret,
        target: &GoogleTarget,
        account: &ServiceAccount,
    ) -> Result<GoogleCredentials, GoogleExchangeError> {
        let endpoint = target.impersonation_url().unwrap_or_default();
        let asked_at = self.ctx.clock.now();
        let body = json!({"delegates": null, "scope": [CLOUD_PLATFORM], "lifetime": LIFETIME});
        let answer =
            self.ask(&endpoint, read_iam_refusal, || self.http.call(Method::POST, &endpoint, federated, Some(&body))).await?;
        let unusable = || GoogleExchangeError::Answer {
            endpoint: endpoint.clone(),
            reason: "it is not the JSON of generateAccessToken".to_owned(),
        };
        let generated: Generated = answer.json().map_err(|_| unusable())?;
        Ok(GoogleCredentials {
            access_token: generated.access_token,
            expires_at: by_our_clock(generated.expire_time, date(&answer.headers), asked_at),
            principal: Some(account.to_string()),
        })
    }

    /// Asks until there is an answer, a refusal, or no more patience.
    async fn ask<F>(
        &self,
        endpoint: &str,
        refusal: fn(&HttpAnswer) -> Option<GoogleExchangeError>,
        send: impl Fn() -> F,
    ) -> Result<HttpAnswer, GoogleExchangeError>
    where
        F: Future<Output = Result<HttpAnswer, HttpError>>,
    {
        let mut failures = 0;
        loop {
            let unreachable =
                |source| GoogleExchangeError::Unreachable { endpoint: endpoint.to_owned(), source: Arc::new(source) };
            let (error, asked) = match send().await {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) => {
                    let status = answer.status.as_u16();
                    // Without Google's own words it is a proxy's answer, or a load balancer's.
                    let error =
                        refusal(&answer).unwrap_or_else(|| unreachable(HttpError::Status { url: answer.url.clone(), status }));
                    (error, retry_after(&answer.headers))
                }
                Err(source) => (unreachable(source), None),
            };
            failures += 1;
            if !error.may_pass() {
                return Err(error);
            }
            let Some(wait) = self.retry.wait(failures, asked, &*self.ctx.randomness) else { return Err(error) };
            debug!(%error, ?wait, "asking Google again");
            tokio::time::sleep(wait).await;
        }
    }
}

/// Never somebody else's identity: the principal must be one of our pool's, and of no other organisation than the token's. How the pool
/// makes its subject of the token is the provider's business, so more cannot be compared.
fn must_be_ours(principal: &str, target: &GoogleTarget, token: &Presented) -> Result<(), GoogleExchangeError> {
    let prefix = format!("principal://iam.googleapis.com/{}/subject/", target.provider.pool());
    let consumer = token.consumer.as_deref();
    let of_another = |subject: &str| matches!((org_in(subject), consumer), (Some(org), Some(ours)) if org != ours);
    match principal.strip_prefix(&prefix) {
        Some(subject) if !of_another(subject) => Ok(()),
        _ => {
            let wanted = format!("{prefix}… of {}", consumer.or(token.subject.as_deref()).unwrap_or("the token"));
            Err(GoogleExchangeError::OtherPrincipal { wanted, got: shown(principal) })
        }
    }
}

/// The first organisation that a text names, such as `0192:917422575`.
fn org_in(text: &str) -> Option<&str> {
    let at = text.find("0192:")?;
    let org = text.get(at..at + 14)?;
    org.bytes().skip(5).all(|byte| byte.is_ascii_digit()).then_some(org)
}

/// G-29.
#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    issued_token_type: String,
    token_type: String,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct Introspected {
    active: bool,
    username: Option<String>,
}

/// G-50.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Generated {
    access_token: Secret,
    expire_time: Timestamp,
}

/// G-30: flat OAuth JSON.
fn read_sts_refusal(answer: &HttpAnswer) -> Option<GoogleExchangeError> {
    #[derive(Deserialize)]
    struct Body {
        error: String,
        #[serde(default)]
        error_description: String,
    }
    let body: Body = answer.json().ok()?;
    Some(GoogleExchangeError::Refused {
        step: Step::Exchange,
        error: shown(&body.error),
        description: body.error_description,
        reason: None,
        status: answer.status.as_u16(),
    })
}

/// G-53: the envelope of Google's other APIs.
fn read_iam_refusal(answer: &HttpAnswer) -> Option<GoogleExchangeError> {
    let body: Value = answer.json().ok()?;
    let error = body.get("error")?;
    let reason = error["details"].as_array().and_then(|details| details.iter().find_map(|detail| detail["reason"].as_str()));
    Some(GoogleExchangeError::Refused {
        step: Step::Impersonation,
        error: shown(error["status"].as_str()?),
        description: error["message"].as_str().unwrap_or_default().to_owned(),
        reason: reason.map(shown),
        status: answer.status.as_u16(),
    })
}

impl std::fmt::Debug for GoogleExchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GoogleExchange").field("retry", &self.retry).finish_non_exhaustive()
    }
}
