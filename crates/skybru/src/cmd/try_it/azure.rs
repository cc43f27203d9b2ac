//! The walk to Azure: a federated credential, an access token, a container; and who is kept out at which of these gates.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use skybru_client::azure::{AzureCredentialSource, AzureExchange, AzureExchangeError, AzureTarget, Resource};
use skybru_client::http::RetryPolicy;
use skybru_client::storage::{AzurePlace, Bucket, Cloud, StorageError};
use skybru_client::token::TokenRequest;
use skybru_core::{Ctx, Secret};
use skybru_sim::control::ControlSettings;

use super::story::{LET_THROUGH, Refusal};
use super::walk::{Walk, Walkers};
use crate::lab::Lab;
use crate::lab::azure::AzureInfo;
use crate::lab::organisations::{CONSUMER, OPEN_SCOPE, PRIVATE_FILE, RESOURCE, SCOPE, SHARED_FILE};

const ENTRA: &str = "Entra";
const STORAGE: &str = "Storage";

/// Lives it.
pub(super) async fn live(lab: &Lab, ctx: &Ctx) -> Result<Walk> {
    let info = lab.info.clouds.azure.as_ref().context("the lab has no Azure")?;
    let walkers = Walkers::new(lab, ctx)?;
    let mut target = AzureTarget::new(info.tenant_id.parse()?, info.client_id.parse()?, info.account.parse()?);
    target.authority = Some(info.authority.clone());
    target.endpoint = Some(info.blob.clone());
    let exchange = AzureExchange::new(ctx.clone(), walkers.http.clone()).with_retry(RetryPolicy::never());

    let token = walkers.token(&walkers.consumer, SCOPE, RESOURCE).await.context("organisation B gets no token")?;
    let access = exchange.exchange(&token, &target, &Resource::storage()).await.context("Entra gives no access token")?;
    let hours = access.expires_at.duration_since(ctx.clock.now()).as_secs().saturating_add(1800) / 3600;
    let request = TokenRequest::new(SCOPE.parse()?).with_resource(RESOURCE);
    let its_exchange = AzureExchange::new(ctx.clone(), walkers.http.clone());
    let source = AzureCredentialSource::new(ctx.clone(), walkers.consumer.clone(), request, its_exchange, target.clone());
    let gates = Gates { lab, ctx, walkers: &walkers, exchange: &exchange, target: &target, source: Arc::new(source), info };
    let content = gates.read(&info.container, SHARED_FILE).await.context("organisation B cannot read the file")?;

    let steps = vec![
        format!("A makes a managed identity that trusts the issuer for nobody but \"{};{SCOPE}\"", CONSUMER.id()),
        format!("A gives the identity the role Storage Blob Data Reader on the container {}", info.container),
        format!("B exchanges its token at Entra and gets the identity's access token for {hours} hours"),
    ];
    let refusals = gates.refusals(&token).await?;
    Ok(Walk::new("Azure", steps, (SHARED_FILE, content), refusals))
}

struct Gates<'a> {
    lab: &'a Lab,
    ctx: &'a Ctx,
    walkers: &'a Walkers,
    exchange: &'a AzureExchange,
    target: &'a AzureTarget,
    source: Arc<AzureCredentialSource>,
    info: &'a AzureInfo,
}

impl Gates<'_> {
    async fn go(&self, token: &Secret) -> Result<(), AzureExchangeError> {
        self.exchange.exchange(token, self.target, &Resource::storage()).await.map(drop)
    }

    async fn read(&self, container: &str, key: &str) -> Result<String, StorageError> {
        let place =
            AzurePlace { account: self.info.account.clone(), name: container.to_owned(), endpoint: Some(self.target.blob_url()) };
        let bucket = Bucket::of_azure(self.ctx.clone(), &self.walkers.http, self.source.clone(), Cloud::AzureBlob, &place)?;
        let mut object = bucket.read(key).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = object.bytes.try_next().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn clock(&self, ahead: i64) {
        if let Some(azure) = &self.lab.azure {
            azure.control(ControlSettings { clock_shift_seconds: ahead, ..ControlSettings::default() });
        }
    }

    /// Everything that must be refused. `token` is a good one of the consumer's.
    async fn refusals(&self, token: &Secret) -> Result<Vec<Refusal>> {
        let Walkers { consumer, outsider, .. } = self.walkers;
        let admin = self.lab.azure_admin()?;
        let mut refusals = Vec::new();
        let stranger = self.walkers.token(outsider, OPEN_SCOPE, RESOURCE).await?;
        refusals.push(by_entra("C takes a good token of its own", "AADSTS700213", self.go(&stranger).await));
        let elsewhere = self.walkers.token(consumer, SCOPE, "https://somebody.else.example").await?;
        refusals.push(by_entra("a token for another audience", "AADSTS700212", self.go(&elsewhere).await));

        self.clock(600);
        refusals.push(by_entra("a token ten minutes old", "AADSTS700024", self.go(token).await));
        self.clock(0);
        refusals.push(by_storage(
            "B reads a file in a private container",
            self.read(&self.info.private_container, PRIVATE_FILE).await,
        ));

        admin.let_read(false).await?;
        refusals.push(by_storage("B reads after A has taken the role away", self.read(&self.info.container, SHARED_FILE).await));
        admin.let_read(true).await?;

        admin.revoke().await?;
        refusals.push(by_entra("B after A has deleted the credential", "AADSTS70025", self.go(token).await));
        admin.trust(&self.lab.info.issuers.skyporten).await?;
        Ok(refusals)
    }
}

fn by_entra(attempt: &'static str, expected: &'static str, result: Result<(), AzureExchangeError>) -> Refusal {
    let (code, text) = match result {
        Ok(()) => (None, LET_THROUGH.to_owned()),
        Err(AzureExchangeError::Refused { code, description, .. }) => (code.map(|code| format!("AADSTS{code}")), description),
        Err(other) => (None, other.to_string()),
    };
    Refusal::new(attempt, ENTRA, expected, code, text)
}

fn by_storage(attempt: &'static str, result: Result<String, StorageError>) -> Refusal {
    let (code, text) = match result {
        Ok(_) => (None, LET_THROUGH.to_owned()),
        Err(StorageError::Refused(refused)) => (Some(refused.code.clone()), refused.message.clone()),
        Err(other) => (None, other.to_string()),
    };
    Refusal::new(attempt, STORAGE, "AuthorizationPermissionMismatch", code, text)
}
