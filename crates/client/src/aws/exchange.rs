//! `AssumeRoleWithWebIdentity` (A-21 … A-28).

use std::sync::Arc;

use jiff::Timestamp;
use quick_xml::de;
use serde::Deserialize;
use skybru_core::{Ctx, Secret};
use tracing::{debug, info};

use super::{AwsCredentials, AwsTarget, ExchangeError, SessionName};
use crate::http::{Http, HttpAnswer, HttpError, RetryPolicy, date, retry_after};
use crate::presented::{Presented, shown};

/// AWS's own default: one hour, even if the token ends sooner.
pub const DEFAULT_DURATION_SECONDS: u32 = 3600;

/// Exchanges tokens for credentials of a role. Holds no credentials.
#[derive(Clone)]
pub struct AwsExchange {
    ctx: Ctx,
    http: Http,
    retry: RetryPolicy,
}

impl AwsExchange {
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

    /// Exchanges `token` for credentials of the target's role, and makes sure that they are that role's and the token's subject's.
    pub async fn exchange(&self, token: &Secret, target: &AwsTarget) -> Result<AwsCredentials, ExchangeError> {
        Ok(self.exchange_by_their_clock(token, target).await?.0)
    }

    /// The same, and what time it was at AWS: the expiration is by that clock.
    pub(super) async fn exchange_by_their_clock(
        &self,
        token: &Secret,
        target: &AwsTarget,
    ) -> Result<(AwsCredentials, Option<Timestamp>), ExchangeError> {
        let duration = target.duration_seconds.unwrap_or(DEFAULT_DURATION_SECONDS);
        if !(900..=43_200).contains(&duration) {
            return Err(ExchangeError::Duration(duration));
        }
        let claims = presented(token.expose())?;
        let session = target.session_name.clone().unwrap_or_else(|| session_name(&claims));
        let endpoint = target.endpoint.clone().unwrap_or_else(|| target.region.sts_endpoint());
        let duration = duration.to_string();
        let form = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", target.role.as_str()),
            ("RoleSessionName", session.as_str()),
            ("WebIdentityToken", token.expose()),
            ("DurationSeconds", &duration),
        ];
        let mut failures = 0;
        loop {
            let (error, asked) = match self.http.post_form(&endpoint, "text/xml", &form).await {
                Ok(answer) if answer.status.is_success() => {
                    let credentials = read_credentials(&endpoint, &answer)?;
                    must_be_ours(&credentials, target, &claims)?;
                    info!(role = %target.role, session = %session, expiration = %credentials.expiration, "assumed role");
                    return Ok((credentials, date(&answer.headers)));
                }
                Ok(answer) => (read_refusal(&endpoint, &answer), retry_after(&answer.headers)),
                Err(source) => {
                    let source = Arc::new(source);
                    (ExchangeError::Unreachable { endpoint: endpoint.clone(), source }, None)
                }
            };
            failures += 1;
            if !error.may_pass() {
                return Err(error);
            }
            let Some(wait) = self.retry.wait(failures, asked, &*self.ctx.randomness) else { return Err(error) };
            debug!(%error, ?wait, "asking AWS again");
            tokio::time::sleep(wait).await;
        }
    }
}

fn presented(token: &str) -> Result<Presented, ExchangeError> {
    if !(4..=20_000).contains(&token.len()) {
        return Err(ExchangeError::Token("AWS takes 4 to 20000 characters (A-22)".to_owned()));
    }
    Presented::read(token).map_err(|error| ExchangeError::Token(error.to_string()))
}

/// The consumer's organisation, which is what the provider wants to see in its log; else the subject.
fn session_name(token: &Presented) -> SessionName {
    SessionName::nearest(token.consumer.as_deref().or(token.subject.as_deref()).unwrap_or_default())
}

/// Never somebody else's identity: the role must be the one asked for, the subject that of the token.
fn must_be_ours(credentials: &AwsCredentials, target: &AwsTarget, token: &Presented) -> Result<(), ExchangeError> {
    if !target.role.is_session(&credentials.assumed_role_arn) {
        let got = shown(&credentials.assumed_role_arn);
        return Err(ExchangeError::OtherRole { wanted: target.role.to_string(), got });
    }
    if let Some(got) = &credentials.subject
        && token.subject.as_ref() != Some(got)
    {
        let wanted = token.subject.clone().unwrap_or_default();
        return Err(ExchangeError::OtherSubject { wanted, got: shown(got) });
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    assume_role_with_web_identity_result: ResultBody,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResultBody {
    subject_from_web_identity_token: Option<String>,
    provider: Option<String>,
    assumed_role_user: AssumedRoleUser,
    credentials: Credentials,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumedRoleUser {
    arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Credentials {
    access_key_id: String,
    secret_access_key: Secret,
    session_token: Secret,
    expiration: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorResponse {
    error: ErrorDetail,
    #[serde(default)]
    request_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorDetail {
    code: String,
    #[serde(default)]
    message: String,
}

fn read_credentials(endpoint: &str, answer: &HttpAnswer) -> Result<AwsCredentials, ExchangeError> {
    // The parser's message may repeat a piece of the answer, and the answer holds a secret: it is not passed on.
    let unusable = || ExchangeError::Answer {
        endpoint: endpoint.to_owned(),
        reason: "it is not the XML of AssumeRoleWithWebIdentity".to_owned(),
    };
    let text = std::str::from_utf8(answer.body()).map_err(|_| unusable())?;
    let result = de::from_str::<Response>(text).map_err(|_| unusable())?.assume_role_with_web_identity_result;
    let Credentials { access_key_id, secret_access_key, session_token, expiration } = result.credentials;
    let account_id = result.assumed_role_user.arn.split(':').nth(4).unwrap_or_default().to_owned();
    Ok(AwsCredentials {
        access_key_id,
        secret_access_key,
        session_token,
        expiration,
        assumed_role_arn: result.assumed_role_user.arn,
        account_id,
        subject: result.subject_from_web_identity_token,
        provider: result.provider,
    })
}

fn read_refusal(endpoint: &str, answer: &HttpAnswer) -> ExchangeError {
    let status = answer.status.as_u16();
    let text = String::from_utf8_lossy(answer.body());
    match de::from_str::<ErrorResponse>(&text) {
        Ok(ErrorResponse { error, request_id }) => {
            ExchangeError::Refused { code: error.code, message: error.message, status, request_id }
        }
        // Not AWS's own answer: a proxy's, or a load balancer's.
        Err(_) => ExchangeError::Unreachable {
            endpoint: endpoint.to_owned(),
            source: Arc::new(HttpError::Status { url: answer.url.clone(), status }),
        },
    }
}

impl std::fmt::Debug for AwsExchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsExchange").field("retry", &self.retry).finish_non_exhaustive()
    }
}
