//! The walk to Google: a federated token, a service account, a bucket; and who is kept out at which of these gates.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use skybru_client::google::{GoogleCredentialSource, GoogleExchange, GoogleExchangeError, GoogleTarget};
use skybru_client::http::RetryPolicy;
use skybru_client::storage::{Bucket, StorageError};
use skybru_client::token::TokenRequest;
use skybru_core::{Ctx, Secret};
use skybru_sim::control::ControlSettings;

use super::story::{LET_THROUGH, Refusal};
use super::walk::{Walk, Walkers};
use crate::lab::Lab;
use crate::lab::google::{GoogleAdmin, GoogleInfo};
use crate::lab::organisations::{BUCKET, OPEN_SCOPE, PRIVATE_FILE, RESOURCE, SCOPE, SHARED_FILE};

const STS: &str = "Google STS";
const IAM: &str = "Google IAM";
const STORAGE: &str = "Storage";

/// Lives it.
pub(super) async fn live(lab: &Lab, ctx: &Ctx) -> Result<Walk> {
    let info = lab.info.clouds.google.as_ref().context("the lab has no Google")?;
    let walkers = Walkers::new(lab, ctx)?;
    let mut federated = GoogleTarget::new(GoogleInfo::provider().parse()?);
    federated.endpoint = Some(info.endpoint.clone());
    let mut target = federated.clone();
    target.service_account = Some(GoogleInfo::service_account().parse()?);
    let exchange = GoogleExchange::new(ctx.clone(), walkers.http.clone()).with_retry(RetryPolicy::never());

    let token = walkers.token(&walkers.consumer, SCOPE, RESOURCE).await.context("organisation B gets no token")?;
    exchange.exchange(&token, &federated).await.context("Google does not take the token")?;
    let credentials = exchange.exchange(&token, &target).await.context("Google gives no access token")?;
    let minutes = credentials.expires_at.duration_since(ctx.clock.now()).as_secs().saturating_add(30) / 60;
    let request = TokenRequest::new(SCOPE.parse()?).with_resource(RESOURCE);
    let its_exchange = GoogleExchange::new(ctx.clone(), walkers.http.clone());
    let source = GoogleCredentialSource::new(ctx.clone(), walkers.consumer.clone(), request, its_exchange, target.clone());
    let bucket = Bucket::of_google(ctx.clone(), &walkers.http, Arc::new(source), BUCKET)?;
    let content = read(&bucket, SHARED_FILE).await.context("organisation B cannot read the file")?;

    let steps = vec![
        "A makes a pool with a provider for the issuer, which maps the token's consumer and scope to an attribute".to_owned(),
        format!(
            "A lets {}\n  use the service account {}, which may read {BUCKET}",
            GoogleInfo::member(),
            GoogleInfo::service_account()
        ),
        format!("B exchanges its token at STS and gets the account's access token for {minutes} minutes"),
    ];
    let walk = Gates { walkers: &walkers, exchange: &exchange, target: &target, lab, admin: GoogleAdmin::new(info) };
    let mut refusals = walk.refusals(&token).await?;
    refusals.push(by_storage("B reads a file outside what is shared", read(&bucket, PRIVATE_FILE).await));
    Ok(Walk::new("Google Cloud", steps, (SHARED_FILE, content), refusals))
}

struct Gates<'a> {
    walkers: &'a Walkers,
    exchange: &'a GoogleExchange,
    target: &'a GoogleTarget,
    lab: &'a Lab,
    admin: GoogleAdmin,
}

impl Gates<'_> {
    async fn go(&self, token: &Secret) -> Result<(), GoogleExchangeError> {
        self.exchange.exchange(token, self.target).await.map(drop)
    }

    /// Everything that must be refused. `token` is a good one of the consumer's.
    async fn refusals(&self, token: &Secret) -> Result<Vec<Refusal>> {
        let Walkers { consumer, outsider, .. } = self.walkers;
        let mut refusals = Vec::new();
        let stranger = self.walkers.token(outsider, OPEN_SCOPE, RESOURCE).await?;
        refusals.push(refused("C takes a good token of its own", IAM, "PERMISSION_DENIED", self.go(&stranger).await));
        let elsewhere = self.walkers.token(consumer, SCOPE, "https://somebody.else.example").await?;
        refusals.push(refused("a token for another audience", STS, "invalid_grant", self.go(&elsewhere).await));
        let two = self.walkers.token(consumer, &format!("{SCOPE} {OPEN_SCOPE}"), RESOURCE).await?;
        refusals.push(refused("a token with two scopes", IAM, "PERMISSION_DENIED", self.go(&two).await));

        self.clock(600);
        refusals.push(refused("a token ten minutes old", STS, "invalid_grant", self.go(token).await));
        self.clock(0);

        self.admin.set_condition(Some(&format!("assertion.scope == '{OPEN_SCOPE}'"))).await?;
        refusals.push(refused("a condition that is false for B", STS, "unauthorized_client", self.go(token).await));
        self.admin.set_condition(None).await?;

        self.admin.bind_account(&[]).await?;
        refusals.push(refused("B after A has taken the binding away", IAM, "PERMISSION_DENIED", self.go(token).await));
        self.admin.bind_account(&[GoogleInfo::member()]).await?;
        Ok(refusals)
    }

    fn clock(&self, ahead: i64) {
        if let Some(google) = &self.lab.google {
            google.control(ControlSettings { clock_shift_seconds: ahead, ..ControlSettings::default() });
        }
    }
}

async fn read(bucket: &Bucket, key: &str) -> Result<String, StorageError> {
    let mut object = bucket.read(key).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = object.bytes.try_next().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn refused(attempt: &'static str, by: &'static str, expected: &'static str, result: Result<(), GoogleExchangeError>) -> Refusal {
    let (code, text) = match result {
        Ok(()) => (None, LET_THROUGH.to_owned()),
        Err(GoogleExchangeError::Refused { error, description, .. }) => (Some(error), description),
        Err(other) => (None, other.to_string()),
    };
    Refusal::new(attempt, by, expected, code, text)
}

fn by_storage(attempt: &'static str, result: Result<String, StorageError>) -> Refusal {
    let (code, text) = match result {
        Ok(_) => (None, LET_THROUGH.to_owned()),
        Err(StorageError::Refused(refused)) => (Some(refused.code.clone()), refused.message.clone()),
        Err(other) => (None, other.to_string()),
    };
    Refusal::new(attempt, STORAGE, "AccessDenied", code, text)
}
