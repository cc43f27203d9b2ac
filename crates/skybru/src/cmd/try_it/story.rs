//! What happens in `try`: every step is a real request over HTTP, and every refusal is looked at.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use serde::Serialize;
use serde_json::Value;
use skybru_client::aws::{AwsCredentialSource, AwsExchange, AwsTarget, ExchangeError};
use skybru_client::http::{Http, HttpOptions, RetryPolicy};
use skybru_client::storage::{Bucket, StorageError};
use skybru_client::token::{ClientIdentity, TokenError, TokenRequest, TokenSource, sign_assertion};
use skybru_core::{ClientId, Ctx, IssuerUrl, OrgNumber, Secret};
use skybru_federation::aws::{LintInput, PresentedToken, lint};
use skybru_federation::explain_error;
use skybru_issuer::selfservice::Caller;
use skybru_protocol::jose::{Jws, SigningKey};
use skybru_protocol::oauth::{ErrorBody, JWT_BEARER};
use skybru_signer::LocalSigner;
use skybru_sim::control::ControlSettings;
use skybru_store::registry::AccessState;

use crate::lab::Lab;
use crate::lab::organisations::{
    BUCKET, CONSUMER, OPEN_SCOPE, OUTSIDER, Organisation, PRIVATE_FILE, PROVIDER, RESOURCE, ROLE, SCOPE, SHARED_FILE,
    SHARED_PREFIX, TIMETABLE,
};

/// Everything that happened.
#[derive(Debug, Serialize)]
pub(super) struct Story {
    /// Whether all that should succeed did, and all that should be refused was, for the right reason.
    pub(super) went_well: bool,
    pub(super) cast: Cast,
    pub(super) road: Road,
    pub(super) refusals: Vec<Refusal>,
    pub(super) unexplained_error: UnexplainedError,
}

/// Who is who.
#[derive(Debug, Serialize)]
pub(super) struct Cast {
    pub(super) provider: Member,
    pub(super) consumer: Member,
    pub(super) outsider: Member,
}

/// An organisation in the story.
#[derive(Debug, Serialize)]
pub(super) struct Member {
    pub(super) org: String,
    pub(super) name: &'static str,
}

/// The way that works.
#[derive(Debug, Serialize)]
pub(super) struct Road {
    pub(super) issuer: String,
    pub(super) scope: &'static str,
    pub(super) role: String,
    pub(super) bucket: &'static str,
    pub(super) prefix: &'static str,
    pub(super) subject: String,
    pub(super) audience: String,
    pub(super) token_lives_seconds: u64,
    pub(super) assumed_role: String,
    pub(super) credentials_live_minutes: i64,
    pub(super) file: &'static str,
    pub(super) content: String,
}

/// Something that must not work.
#[derive(Debug, Serialize)]
pub(super) struct Refusal {
    /// What was tried.
    pub(super) attempt: &'static str,
    /// Who refused.
    pub(super) by: &'static str,
    /// The code that must come.
    pub(super) expected: &'static str,
    /// The code that came; `None` when it was let through.
    pub(super) code: Option<String>,
    /// In the service's own words.
    pub(super) text: String,
    pub(super) as_it_must: bool,
}

/// The error that the guide of 2023 ends in, and what it means.
#[derive(Debug, Serialize)]
pub(super) struct UnexplainedError {
    pub(super) refusal: Refusal,
    /// Rules that the text alone points to.
    pub(super) rules: Vec<&'static str>,
    /// What is wrong, found by looking.
    pub(super) what: String,
    /// How to mend it.
    pub(super) fix: String,
}

/// Lives it.
pub(super) async fn live(lab: &mut Lab, ctx: &Ctx) -> Result<Story> {
    let old_skyporten = lab.start_old_skyporten().await?;
    let old_role = lab.trust_another_issuer(old_skyporten.url(), "skyporten-role").await?;
    let actors = Actors::new(lab, ctx)?;

    let token = actors.token(&actors.consumer, SCOPE, RESOURCE).await.context("organisation B gets no token")?;
    let claims: Value = serde_json::from_slice(Jws::parse(token.expose())?.payload())?;
    let credentials = actors.exchange.exchange(&token, &actors.target).await.context("AWS gives no credentials")?;
    let content = actors.read(SHARED_FILE).await.context("organisation B cannot read the file")?;
    let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
    let road = Road {
        issuer: lab.info.issuers.skyporten.clone(),
        scope: SCOPE,
        role: actors.target.role.to_string(),
        bucket: BUCKET,
        prefix: SHARED_PREFIX,
        subject: text("sub"),
        audience: text("aud"),
        token_lives_seconds: claims["exp"].as_u64().unwrap_or(0).saturating_sub(claims["iat"].as_u64().unwrap_or(0)),
        assumed_role: credentials.assumed_role_arn.clone(),
        credentials_live_minutes: credentials.expiration.duration_since(ctx.clock.now()).as_secs().saturating_add(30) / 60,
        file: SHARED_FILE,
        content: content.clone(),
    };
    let refusals = actors.refusals(lab, &token).await?;
    let unexplained_error = actors.unexplained(&old_skyporten.metadata(), old_skyporten.url(), &old_role).await?;
    let member = |organisation: Organisation| Member { org: organisation.id(), name: organisation.name };
    Ok(Story {
        went_well: content == TIMETABLE
            && refusals.iter().all(|refusal| refusal.as_it_must)
            && unexplained_error.refusal.as_it_must,
        cast: Cast { provider: member(PROVIDER), consumer: member(CONSUMER), outsider: member(OUTSIDER) },
        road,
        refusals,
        unexplained_error,
    })
}

/// Everybody's tools: those of the consumer are exactly what `skybru exec` and `skybru cp` use.
struct Actors {
    ctx: Ctx,
    http: Http,
    consumer: Arc<TokenSource>,
    outsider: Arc<TokenSource>,
    /// The consumer's client id, and the text of its private key.
    consumer_key: (ClientId, Secret),
    exchange: AwsExchange,
    target: AwsTarget,
    bucket: Bucket,
    issuer: IssuerUrl,
}

impl Actors {
    fn new(lab: &Lab, ctx: &Ctx) -> Result<Self> {
        let http = Http::new(&HttpOptions { ca_pem: Some(lab.ca_pem().to_owned()), ..HttpOptions::default() })?;
        let issuer: IssuerUrl = lab.info.issuers.skyporten.parse()?;
        let source = |client: &str, file: &str| -> Result<Arc<TokenSource>> {
            let key = SigningKey::from_text(&std::fs::read_to_string(lab.info.data_dir.join(file))?, None)?;
            let identity = ClientIdentity::new(issuer.clone(), client.parse()?, LocalSigner::from(key));
            Ok(Arc::new(TokenSource::new(ctx.clone(), http.clone(), identity)))
        };
        let aws = &lab.info.clouds.aws;
        let mut target = AwsTarget::new(format!("arn:aws:iam::{}:role/{ROLE}", aws.account).parse()?, aws.region.parse()?);
        target.endpoint = Some(aws.endpoint.clone());
        target.duration_seconds = Some(900);
        let (consumer, outsider) = (source(&lab.demo.consumer, "client.jwk")?, source(&lab.demo.outsider, "outsider.jwk")?);
        let exchange = AwsExchange::new(ctx.clone(), http.clone()).with_retry(RetryPolicy::never());
        let request = TokenRequest::new(SCOPE.parse()?).with_resource(RESOURCE);
        let its_exchange = AwsExchange::new(ctx.clone(), http.clone());
        let credentials = AwsCredentialSource::new(ctx.clone(), consumer.clone(), request, its_exchange, target.clone());
        let bucket = Bucket::open(ctx.clone(), &http, Arc::new(credentials), BUCKET)?;
        let consumer_key = (lab.demo.consumer.parse()?, std::fs::read_to_string(&lab.info.demo.client_jwk_file)?.into());
        Ok(Self { ctx: ctx.clone(), http, consumer, outsider, consumer_key, exchange, target, bucket, issuer })
    }

    async fn token(&self, source: &Arc<TokenSource>, scope: &str, resource: &str) -> Result<Secret, TokenErrorOrScope> {
        let scopes = scope.parse().map_err(TokenErrorOrScope::Scope)?;
        let token = source.fresh(&TokenRequest::new(scopes).with_resource(resource)).await.map_err(TokenErrorOrScope::Token)?;
        Ok(token.token.clone())
    }

    async fn read(&self, key: &str) -> Result<String, StorageError> {
        let mut object = self.bucket.read(key).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = object.bytes.try_next().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Everything that must be refused. `token` is a good one of the consumer's.
    async fn refusals(&self, lab: &Lab, token: &Secret) -> Result<Vec<Refusal>> {
        let mut refusals = vec![self.replay().await?];
        refusals.push(by_issuer("C asks for the scope, uninvited", "MP-200", self.token(&self.outsider, SCOPE, RESOURCE).await));

        let stranger =
            self.token(&self.outsider, OPEN_SCOPE, RESOURCE).await.context("organisation C gets no token of its own")?;
        let attempt = "C takes a good token of its own to A's role";
        refusals.push(by_aws(attempt, "AccessDenied", self.exchange.exchange(&stranger, &self.target).await));

        let elsewhere =
            self.token(&self.consumer, SCOPE, "https://somebody.else.example").await.context("organisation B gets no token")?;
        let attempt = "a token for another audience";
        refusals.push(by_aws(attempt, "InvalidIdentityToken", self.exchange.exchange(&elsewhere, &self.target).await));

        let attempt = "a token whose text was changed";
        let changed = Secret::from(changed(token.expose())?);
        refusals.push(by_aws(attempt, "InvalidIdentityToken", self.exchange.exchange(&changed, &self.target).await));

        lab.aws.control(ControlSettings { clock_shift_seconds: 600, ..ControlSettings::default() });
        let late = self.exchange.exchange(token, &self.target).await;
        lab.aws.control(ControlSettings::default());
        refusals.push(by_aws("a token ten minutes old", "ExpiredTokenException", late));

        refusals.push(by_s3("B reads a file outside what is shared", self.read(PRIVATE_FILE).await));
        let written = self.bucket.upload_stream(&b"not mine"[..], Some(8), SHARED_FILE, &()).await;
        refusals.push(by_s3("B overwrites the file that it may read", written));

        let provider = Caller::operator(PROVIDER.number.parse::<OrgNumber>()?);
        lab.service.set_access(&provider, SCOPE, CONSUMER.number, AccessState::Denied).await?;
        refusals.push(by_issuer(
            "B asks again after A has withdrawn",
            "MP-250",
            self.token(&self.consumer, SCOPE, RESOURCE).await,
        ));
        lab.service.set_access(&provider, SCOPE, CONSUMER.number, AccessState::Approved).await?;
        Ok(refusals)
    }

    /// One assertion, presented twice, as somebody would who had listened.
    async fn replay(&self) -> Result<Refusal> {
        let request = TokenRequest::new(SCOPE.parse()?).with_resource(RESOURCE);
        let now = self.ctx.clock.unix_seconds();
        let assertion = sign_assertion(self.consumer.identity(), &request, now, &*self.ctx.randomness).await?;
        let form = [("grant_type", JWT_BEARER), ("assertion", assertion.jwt.expose())];
        let endpoint = self.issuer.endpoint("token");
        let first = self.http.post_form(&endpoint, "application/json", &form).await?;
        anyhow::ensure!(first.status.is_success(), "the first use of an assertion was refused");
        let second = self.http.post_form(&endpoint, "application/json", &form).await?;
        let body: ErrorBody =
            second.json().unwrap_or(ErrorBody { error: String::new(), error_description: None, error_uri: None });
        let text = body.error_description.clone().unwrap_or_default();
        let text = text.split(" (trace_id").next().unwrap_or_default().to_owned();
        let code = body.mp_code().map(str::to_owned).filter(|_| !second.status.is_success());
        Ok(Refusal::new("the same signed request a second time", ISSUER, "MP-012", code, text))
    }

    /// Walks the guide of 2023 to its end, and looks for the reason.
    async fn unexplained(
        &self,
        metadata: &skybru_protocol::metadata::DiscoveryDocument,
        issuer: &IssuerUrl,
        role: &str,
    ) -> Result<UnexplainedError> {
        let (client_id, key) = &self.consumer_key;
        let key = SigningKey::from_text(key.expose(), None)?;
        let identity = ClientIdentity::new(issuer.clone(), client_id.clone(), LocalSigner::from(key));
        let source = Arc::new(TokenSource::new(self.ctx.clone(), self.http.clone(), identity));
        let token = self.token(&source, SCOPE, RESOURCE).await.context("the Skyporten of 2023 gives no token")?;
        let target = AwsTarget { role: role.parse()?, ..self.target.clone() };
        let refusal = by_aws(
            "the published guide of 2023, step by step",
            "InvalidIdentityToken",
            self.exchange.exchange(&token, &target).await,
        );
        let presented = PresentedToken::parse(token.expose()).map_err(anyhow::Error::from)?;
        let findings = lint(LintInput { discovery: Some(metadata), token: Some(&presented), ..LintInput::default() });
        let finding = findings.first().context("the doctor finds nothing wrong with the metadata of 2023")?;
        Ok(UnexplainedError {
            rules: mistakes(&refusal.text),
            what: format!("{}: {}", finding.rule, finding.what.split(';').next().unwrap_or_default()),
            fix: finding.fix.clone(),
            refusal,
        })
    }
}

/// Rules of the catalogue that a text points to.
fn mistakes(text: &str) -> Vec<&'static str> {
    explain_error(text).iter().flat_map(|explanation| explanation.mistakes).copied().collect()
}

/// Either the scope could not be read, or there is no token for it.
#[derive(Debug, thiserror::Error)]
enum TokenErrorOrScope {
    #[error(transparent)]
    Scope(skybru_core::scope::ScopeError),
    #[error(transparent)]
    Token(TokenError),
}

const ISSUER: &str = "Skyporten";
const AWS: &str = "AWS";
const S3: &str = "S3";

impl Refusal {
    pub(super) fn new(
        attempt: &'static str,
        by: &'static str,
        expected: &'static str,
        code: Option<String>,
        text: String,
    ) -> Self {
        let as_it_must = code.as_deref() == Some(expected);
        Self { attempt, by, expected, code, text, as_it_must }
    }
}

pub(super) const LET_THROUGH: &str = "it was let through";

fn by_issuer(attempt: &'static str, expected: &'static str, result: Result<Secret, TokenErrorOrScope>) -> Refusal {
    let (code, text) = match result {
        Ok(_) => (None, LET_THROUGH.to_owned()),
        Err(TokenErrorOrScope::Token(TokenError::Refused { refusal, .. })) => (refusal.code.clone(), refusal.description.clone()),
        Err(other) => (None, other.to_string()),
    };
    Refusal::new(attempt, ISSUER, expected, code, text)
}

fn by_aws<T>(attempt: &'static str, expected: &'static str, result: Result<T, ExchangeError>) -> Refusal {
    let (code, text) = match result {
        Ok(_) => (None, LET_THROUGH.to_owned()),
        Err(ExchangeError::Refused { code, message, .. }) => (Some(code), message),
        Err(other) => (None, other.to_string()),
    };
    Refusal::new(attempt, AWS, expected, code, text)
}

fn by_s3<T>(attempt: &'static str, result: Result<T, StorageError>) -> Refusal {
    let (code, text) = match result {
        Ok(_) => (None, LET_THROUGH.to_owned()),
        Err(StorageError::Refused(refused)) => (Some(refused.code.clone()), refused.message.clone()),
        Err(other) => (None, other.to_string()),
    };
    Refusal::new(attempt, S3, "AccessDenied", code, text)
}

/// The token with another organisation in its subject and the old signature.
fn changed(token: &str) -> Result<String> {
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
        anyhow::bail!("the issuer's token has no three parts");
    };
    let payload = String::from_utf8(skybru_protocol::base64url::decode(payload)?)?.replace(CONSUMER.number, OUTSIDER.number);
    Ok(format!("{header}.{}.{signature}", skybru_protocol::base64url::encode(payload)))
}
