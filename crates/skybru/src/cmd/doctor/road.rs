//! The road of a target: a token from the issuer, credentials from the cloud, the data. What stops it is explained.

use anyhow::Result;
use skybru_client::aws::{AwsCredentialError, ExchangeError};
use skybru_client::azure::{AzureCredentialError, AzureExchangeError, Resource};
use skybru_client::google::{GoogleCredentialError, GoogleExchangeError};
use skybru_client::http::HttpOptions;
use skybru_client::token::TokenError;
use skybru_core::IssuerUrl;
use skybru_federation::catalogue::Cloud;
use skybru_federation::{Finding, Who, explain_error};

use super::azure::AzureExpectation;
use super::google::GoogleExpectation;
use super::report::Report;
use super::{Call, Given, data, from_text};
use crate::settings::Settings;
use crate::wire;

/// What walking gave.
pub(super) struct Walked {
    /// The token, if the issuer gave one.
    pub(super) token: Option<Given>,
    /// How the client reaches the world.
    pub(super) http: HttpOptions,
    /// How Azure is reached, which may have certificates of its own.
    pub(super) azure_http: Option<HttpOptions>,
    /// The client's issuer.
    pub(super) issuer: IssuerUrl,
    /// What the target says about AWS.
    pub(super) aws: Option<AwsExpectation>,
    /// About Google.
    pub(super) google: Option<GoogleExpectation>,
    /// About Azure.
    pub(super) azure: Option<AzureExpectation>,
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
    let google = target.google.as_ref().map(|google| GoogleExpectation {
        provider: google.provider.clone(),
        service_account: google.service_account.clone(),
        bucket: google.bucket.clone(),
        endpoint: google.endpoint.clone(),
    });
    let azure = target.azure.as_ref().map(|azure| AzureExpectation {
        tenant_id: azure.tenant_id.clone(),
        client_id: azure.client_id.clone(),
        account: azure.account.clone(),
        container: azure.container.clone(),
        file_share: azure.file_share.clone(),
        path: target.prefix.clone().unwrap_or_default().trim_matches('/').to_owned(),
        arm: azure.arm.clone(),
    });
    let azure_http = target.azure.as_ref().map(|azure| settings.azure_http(name, target, azure)).transpose()?;
    if let Some(warning) = crate::cmd::rotate::ending(&settings, &target.client, call.system.ctx.clock.now()) {
        report.push("the client's key", warning);
    }
    let mut walked = Walked { token: None, http, azure_http, issuer, aws, google, azure };
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
    if target.aws.is_some() && at_aws(call, &settings, name, report).await? {
        data::try_it(call, &settings, name, Cloud::Aws, report).await?;
    }
    if target.google.is_some() && at_google(call, &settings, name, report).await? {
        data::try_it(call, &settings, name, Cloud::Google, report).await?;
    }
    if target.azure.is_some() && at_azure(call, &settings, name, report).await? {
        data::try_it(call, &settings, name, Cloud::Azure, report).await?;
    }
    Ok(walked)
}

/// Whether AWS gives credentials.
async fn at_aws(call: &Call, settings: &Settings, name: &str, report: &mut Report) -> Result<bool> {
    match wire::aws(settings, Some(name), &call.system)?.credentials.credentials().await {
        Ok(_) => {
            report.note("the issuer gives a token, and AWS gives credentials for it".to_owned());
            Ok(true)
        }
        Err(AwsCredentialError::Exchange(ExchangeError::Refused { code, message, .. })) => {
            refused("AWS", &format!("{code}: {message}"), report);
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether Google gives an access token.
async fn at_google(call: &Call, settings: &Settings, name: &str, report: &mut Report) -> Result<bool> {
    match wire::google(settings, Some(name), &call.system)?.credentials.credentials().await {
        Ok(_) => {
            report.note("the issuer gives a token, and Google gives an access token for it".to_owned());
            Ok(true)
        }
        Err(GoogleCredentialError::Exchange(GoogleExchangeError::Refused { error, description, .. })) => {
            refused("Google", &format!("{error}: {description}"), report);
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether Entra gives one.
async fn at_azure(call: &Call, settings: &Settings, name: &str, report: &mut Report) -> Result<bool> {
    let resource: Resource = "https://storage.azure.com".parse()?;
    match wire::azure(settings, Some(name), &call.system)?.credentials.token(&resource).await {
        Ok(_) => {
            report.note("the issuer gives a token, and Entra gives an access token for it".to_owned());
            Ok(true)
        }
        Err(AzureCredentialError::Exchange(AzureExchangeError::Refused { error, description, .. })) => {
            refused("Entra", &format!("{error}: {description}"), report);
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// A cloud's refusal, in its own words, and what they mean.
fn refused(cloud: &str, text: &str, report: &mut Report) {
    report.note(format!("{cloud} refuses the token: {text}"));
    from_text(&format!("the exchange at {cloud}"), text, report);
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
