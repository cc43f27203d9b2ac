//! The road of a target: a token from the issuer, credentials from the cloud. What stops it is explained.

use anyhow::Result;
use skybru_client::aws::{AwsCredentialError, ExchangeError};
use skybru_client::http::HttpOptions;
use skybru_client::token::TokenError;
use skybru_core::IssuerUrl;
use skybru_federation::{Finding, Who, explain_error};

use super::report::Report;
use super::{Call, Given, from_text};
use crate::wire;

/// What walking gave.
pub(super) struct Walked {
    /// The token, if the issuer gave one.
    pub(super) token: Option<Given>,
    /// How the client reaches the world.
    pub(super) http: HttpOptions,
    /// The client's issuer.
    pub(super) issuer: IssuerUrl,
    /// What the target says about AWS.
    pub(super) aws: Option<AwsExpectation>,
}

/// What a target says about AWS.
pub(super) struct AwsExpectation {
    pub(super) role_arn: String,
    pub(super) endpoint: Option<String>,
    pub(super) region: String,
    pub(super) session_name: Option<String>,
    pub(super) duration_seconds: Option<u32>,
}

/// Gets a token and exchanges it, as `credentials` would; or asks nobody, and only reads what the target says.
pub(super) async fn walk(call: &Call, name: &str, ask_nobody: bool, report: &mut Report) -> Result<Walked> {
    let settings = call.settings()?;
    let (name, target) = settings.target(Some(name))?;
    let http = settings.http(&target.client)?;
    let issuer: IssuerUrl = settings.identity(&target.client, &call.system)?.issuer;
    let aws = target.aws.as_ref().map(|aws| AwsExpectation {
        role_arn: aws.role_arn.clone(),
        endpoint: aws.endpoint.clone(),
        region: aws.region.clone(),
        session_name: aws.session_name.clone(),
        duration_seconds: aws.duration_seconds,
    });
    let mut walked = Walked { token: None, http, issuer, aws };
    if ask_nobody {
        return Ok(walked);
    }
    let request = settings.request(name, target, &[], &[])?;
    let wired = wire::client(&settings, &target.client, &call.system)?;
    match wired.tokens.fresh(&request).await {
        Ok(token) => {
            walked.token = Some(Given { place: "the issuer's token".to_owned(), text: token.token.expose().to_owned() });
        }
        Err(error) => {
            no_token(&error, report);
            return Ok(walked);
        }
    }
    if target.aws.is_some() {
        match wire::aws(&settings, Some(name), &call.system)?.credentials.credentials().await {
            Ok(_) => report.note("the issuer gives a token, and AWS gives credentials for it".to_owned()),
            Err(AwsCredentialError::Exchange(ExchangeError::Refused { code, message, .. })) => {
                report.note(format!("AWS refuses the token: {code}: {message}"));
                from_text("the exchange at AWS", &format!("{code}: {message}"), report);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(walked)
}

/// The issuer's refusal with its code's meaning, or why it could not be asked.
fn no_token(error: &TokenError, report: &mut Report) {
    let text = match error {
        TokenError::Refused { refusal, .. } => {
            format!("{} {}", refusal.code.as_deref().unwrap_or_default(), refusal.description)
        }
        other => other.to_string(),
    };
    let explanation = explain_error(&text).into_iter().next();
    let rule = explanation.and_then(|explanation| explanation.mistakes.first().copied()).unwrap_or("D-17");
    let meaning = explanation.map(|explanation| explanation.meaning.to_owned());
    let fix = error.hint().or(meaning).unwrap_or_else(|| "see the text".to_owned());
    report.push("the request for a token", Finding::new(rule, Who::Consumer, format!("there is no token: {error}"), fix));
    report.explanations.extend(explanation);
}
