//! From settings to working parts: the only place that knows how the client crate's pieces fit together.

use std::collections::BTreeMap;
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
#[derive(Clone)]
pub(crate) struct Wired {
    pub(crate) http: Http,
    pub(crate) tokens: Arc<TokenSource>,
}

/// A target's AWS credentials, and what to do with them.
pub(crate) struct AwsWired {
    pub(crate) http: Http,
    pub(crate) target: AwsTarget,
    pub(crate) bucket: Option<String>,
    pub(crate) credentials: Arc<AwsCredentialSource>,
}

/// A target's access tokens of Google's, and what to do with them.
pub(crate) struct GoogleWired {
    pub(crate) http: Http,
    pub(crate) bucket: Option<String>,
    pub(crate) credentials: Arc<GoogleCredentialSource>,
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

/// The settings' clients, each made once, so that everything that uses one shares its tokens.
pub(crate) struct Wiring<'a> {
    settings: &'a Settings,
    system: &'a System,
    clients: BTreeMap<String, Wired>,
}

impl<'a> Wiring<'a> {
    /// Makes nothing yet.
    pub(crate) fn new(settings: &'a Settings, system: &'a System) -> Self {
        Self { settings, system, clients: BTreeMap::new() }
    }

    /// A client's token source.
    pub(crate) fn client(&mut self, name: &str) -> Result<Wired> {
        if let Some(wired) = self.clients.get(name) {
            return Ok(wired.clone());
        }
        let http = Http::new(&self.settings.http(name)?).with_context(|| format!("cannot set up HTTP for client {name:?}"))?;
        let identity = self.settings.identity(name, self.system)?;
        let mut tokens = TokenSource::new(self.system.ctx.clone(), http.clone(), identity);
        if let Some(endpoint) = &self.settings.client(name)?.token_endpoint {
            tokens = tokens.with_token_endpoint(endpoint).with_context(|| format!("setting clients.{name}.token-endpoint"))?;
        }
        let wired = Wired { http, tokens: Arc::new(tokens) };
        self.clients.insert(name.to_owned(), wired.clone());
        Ok(wired)
    }

    /// A target's tokens; without a name those of the only target.
    pub(crate) fn tokens(&mut self, name: Option<&str>) -> Result<(Arc<TokenSource>, TokenRequest)> {
        let (name, options) = self.settings.target(name)?;
        let request = self.settings.request(name, options, &[], &[])?;
        Ok((self.client(&options.client)?.tokens, request))
    }

    /// A target's AWS credentials; without a name those of the only target.
    pub(crate) fn aws(&mut self, name: Option<&str>) -> Result<AwsWired> {
        let (found, options) = self.settings.target(name)?;
        let (target, aws) = self.settings.aws(found, options)?;
        let (tokens, request) = self.tokens(name)?;
        let http = self.client(&options.client)?.http;
        let exchange = AwsExchange::new(self.system.ctx.clone(), http.clone());
        let credentials = AwsCredentialSource::new(self.system.ctx.clone(), tokens, request, exchange, target.clone());
        Ok(AwsWired { http, target, bucket: aws.bucket.clone(), credentials: Arc::new(credentials) })
    }

    /// A target's access tokens of Google's; without a name those of the only target.
    pub(crate) fn google(&mut self, name: Option<&str>) -> Result<GoogleWired> {
        let (found, options) = self.settings.target(name)?;
        let (target, google) = self.settings.google(found, options)?;
        let (tokens, request) = self.tokens(name)?;
        let http = self.client(&options.client)?.http;
        let exchange = GoogleExchange::new(self.system.ctx.clone(), http.clone());
        let credentials = GoogleCredentialSource::new(self.system.ctx.clone(), tokens, request, exchange, target);
        Ok(GoogleWired { http, bucket: google.bucket.clone(), credentials: Arc::new(credentials) })
    }

    /// A target's access tokens of Entra's; without a name those of the only target.
    pub(crate) fn azure(&mut self, name: Option<&str>) -> Result<AzureWired> {
        let (found, options) = self.settings.target(name)?;
        let (target, azure) = self.settings.azure(found, options)?;
        let (tokens, request) = self.tokens(name)?;
        let http = self.settings.azure_http(found, options, azure)?;
        let http = Http::new(&http).with_context(|| format!("cannot set up HTTP for target {found:?}"))?;
        let exchange = AzureExchange::new(self.system.ctx.clone(), http.clone());
        let credentials = AzureCredentialSource::new(self.system.ctx.clone(), tokens, request, exchange, target);
        let (container, file_share) = (azure.container.clone(), azure.file_share.clone());
        let file_endpoint = azure.file_endpoint.clone();
        Ok(AzureWired { http, container, file_share, file_endpoint, credentials: Arc::new(credentials) })
    }
}

/// A client's token source.
pub(crate) fn client(settings: &Settings, name: &str, system: &System) -> Result<Wired> {
    Wiring::new(settings, system).client(name)
}

/// A target's AWS credentials; without a name those of the only target.
pub(crate) fn aws(settings: &Settings, name: Option<&str>, system: &System) -> Result<AwsWired> {
    Wiring::new(settings, system).aws(name)
}

/// A target's access tokens of Google's; without a name those of the only target.
pub(crate) fn google(settings: &Settings, name: Option<&str>, system: &System) -> Result<GoogleWired> {
    Wiring::new(settings, system).google(name)
}

/// A target's access tokens of Entra's; without a name those of the only target.
pub(crate) fn azure(settings: &Settings, name: Option<&str>, system: &System) -> Result<AzureWired> {
    Wiring::new(settings, system).azure(name)
}

/// The self-service API, as the client `registry.client` (or `client`, when given) may use it for `scopes`.
pub(crate) fn registry(settings: &Settings, client_name: Option<&str>, scopes: &str, system: &System) -> Result<SelfServiceApi> {
    let options = settings.registry()?;
    let wired = client(settings, client_name.unwrap_or(&options.client), system)?;
    let request = TokenRequest::new(scopes.parse()?);
    Ok(SelfServiceApi::new(wired.http, &options.api, wired.tokens, request))
}
