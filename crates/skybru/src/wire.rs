//! From settings to working parts: the only place that knows how the client crate's pieces fit together.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use skybru_client::aws::{AwsCredentialSource, AwsExchange, AwsTarget};
use skybru_client::azure::{AzureCredentialSource, AzureExchange};
use skybru_client::google::{GoogleCredentialSource, GoogleExchange};
use skybru_client::http::Http;
use skybru_client::selfservice::SelfServiceApi;
use skybru_client::token::{TokenRequest, TokenSource};

use crate::settings::Settings;
use crate::system::System;

/// What a target's client talks with.
pub(crate) struct Wired {
    pub(crate) http: Http,
    pub(crate) tokens: Arc<TokenSource>,
}

/// A client's token source.
pub(crate) fn client(settings: &Settings, name: &str, system: &System) -> Result<Wired> {
    let http = Http::new(&settings.http(name)?).with_context(|| format!("cannot set up HTTP for client {name:?}"))?;
    let identity = settings.identity(name, system)?;
    let tokens = Arc::new(TokenSource::new(system.ctx.clone(), http.clone(), identity));
    Ok(Wired { http, tokens })
}

/// A target's AWS credentials, and what to do with them.
pub(crate) struct AwsWired {
    pub(crate) http: Http,
    pub(crate) target: AwsTarget,
    pub(crate) bucket: Option<String>,
    pub(crate) credentials: Arc<AwsCredentialSource>,
}

/// A target's credential source; without a name that of the only target.
pub(crate) fn aws(settings: &Settings, name: Option<&str>, system: &System) -> Result<AwsWired> {
    let (name, options) = settings.target(name)?;
    let (target, aws) = settings.aws(name, options)?;
    let request = settings.request(name, options, &[], &[])?;
    let wired = client(settings, &options.client, system)?;
    let exchange = AwsExchange::new(system.ctx.clone(), wired.http.clone());
    let credentials = AwsCredentialSource::new(system.ctx.clone(), wired.tokens, request, exchange, target.clone());
    Ok(AwsWired { http: wired.http, target, bucket: aws.bucket.clone(), credentials: Arc::new(credentials) })
}

/// A target's access tokens of Google's, and what to do with them.
pub(crate) struct GoogleWired {
    pub(crate) http: Http,
    pub(crate) bucket: Option<String>,
    pub(crate) credentials: Arc<GoogleCredentialSource>,
}

/// A target's access tokens of Google's; without a name those of the only target.
pub(crate) fn google(settings: &Settings, name: Option<&str>, system: &System) -> Result<GoogleWired> {
    let (name, options) = settings.target(name)?;
    let (target, google) = settings.google(name, options)?;
    let request = settings.request(name, options, &[], &[])?;
    let wired = client(settings, &options.client, system)?;
    let exchange = GoogleExchange::new(system.ctx.clone(), wired.http.clone());
    let credentials = GoogleCredentialSource::new(system.ctx.clone(), wired.tokens, request, exchange, target);
    Ok(GoogleWired { http: wired.http, bucket: google.bucket.clone(), credentials: Arc::new(credentials) })
}

/// A target's access tokens of Entra's, and what to do with them.
pub(crate) struct AzureWired {
    /// Trusts the target's own CA too.
    pub(crate) http: Http,
    pub(crate) container: Option<String>,
    pub(crate) file_share: Option<String>,
    pub(crate) file_endpoint: Option<String>,
    pub(crate) credentials: Arc<AzureCredentialSource>,
}

/// A target's access tokens of Entra's; without a name those of the only target.
pub(crate) fn azure(settings: &Settings, name: Option<&str>, system: &System) -> Result<AzureWired> {
    let (name, options) = settings.target(name)?;
    let (target, azure) = settings.azure(name, options)?;
    let request = settings.request(name, options, &[], &[])?;
    let wired = client(settings, &options.client, system)?;
    let http = settings.azure_http(name, options, azure)?;
    let http = Http::new(&http).with_context(|| format!("cannot set up HTTP for target {name:?}"))?;
    let exchange = AzureExchange::new(system.ctx.clone(), http.clone());
    let credentials = AzureCredentialSource::new(system.ctx.clone(), wired.tokens, request, exchange, target);
    let (container, file_share, file_endpoint) = (azure.container.clone(), azure.file_share.clone(), azure.file_endpoint.clone());
    Ok(AzureWired { http, container, file_share, file_endpoint, credentials: Arc::new(credentials) })
}

/// The self-service API, as the client `registry.client` (or `client`, when given) may use it for `scopes`.
pub(crate) fn registry(settings: &Settings, client_name: Option<&str>, scopes: &str, system: &System) -> Result<SelfServiceApi> {
    let options = settings.registry()?;
    let wired = client(settings, client_name.unwrap_or(&options.client), system)?;
    let request = TokenRequest::new(scopes.parse()?);
    Ok(SelfServiceApi::new(wired.http, &options.api, wired.tokens, request))
}
