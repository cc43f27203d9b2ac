//! The JWT-bearer grant: from a form to a token, in the order that decides which refusal wins.
//!
//! 1 form, 2 parsing, 3 audience, 4 client, 5 key or certificate, 6 signature, 7 times, 8 single use, 9 scopes, 10 consumer, 11 access and
//! delegation, 12 details, 13 token. Authentication comes before authorization, so that a stranger learns nothing about scopes.
//!
//! Step 8 is two: whoever presents a used assertion hears that and nothing else, but only success burns it, because known clients
//! present the same assertion again after a fault. So it is used up when everything else has been decided, in one commit with the entry
//! of the audit log; and only what was used up now, for the first time, is signed.
//!
//! * `proof`: steps 4 to 7, who asks
//! * `permission`: steps 9 to 12, what may be had
//! * `note`: what is written down of it

mod note;
mod permission;
mod proof;

use std::sync::Arc;

use serde_json::Value;
use skybru_core::{OrgId, OrgNumber, ScopeSet};
use skybru_protocol::assertion::{AddressedAssertion, AssertionClaims, UnusedAssertion, UnverifiedAssertion};
use skybru_protocol::base64url;
use skybru_protocol::claims::{AccessTokenClaims, Audience, Party};
use skybru_protocol::oauth::{JWT_BEARER, TokenAnswer, TokenForm};
use skybru_signer::sign_token;
use tracing::Instrument as _;

use crate::Profile;
use crate::issuer::Issuer;
use crate::keys::KeyRing;
use crate::refusal::GrantError;
use proof::Proven;

/// What the registry says about a request that it allows.
#[derive(Debug)]
struct Permission {
    consumer: Party,
    supplier: Option<OrgNumber>,
    delegation_source: Option<String>,
    client_orgno: Option<OrgNumber>,
    scopes: ScopeSet,
    lifetime_seconds: u32,
    details: Option<Value>,
}

/// A token that may be signed as soon as its assertion is used up.
struct Granted {
    claims: AccessTokenClaims,
    keys: Arc<KeyRing>,
    typ: Option<&'static str>,
    supplier: Option<OrgNumber>,
    scopes: ScopeSet,
    lifetime_seconds: u32,
    details: Option<Value>,
}

impl Issuer {
    /// Answers a token request.
    pub async fn token(&self, form: TokenForm) -> Result<TokenAnswer, GrantError> {
        let answer = self.grant(form).await;
        match &answer {
            // What failed could perhaps not be written down at that moment.
            Err(fault) if fault.is_fault() => self.count_refusal(fault, None),
            _ => {}
        }
        answer
    }

    async fn grant(&self, form: TokenForm) -> Result<TokenAnswer, GrantError> {
        self.must_be_fresh()?;
        let assertion = self.parse(form).inspect_err(|refusal| self.count_refusal(refusal, None))?;
        let claimed = assertion.claimed_client().clone();
        let (proven, assertion) = match self.authenticate(assertion).await {
            Ok(proven) => proven,
            Err(refusal) => return Err(self.note_stranger(claimed.as_str(), refusal).await),
        };
        self.within_limits(&proven)?;
        let fingerprint = assertion.fingerprint();
        let granted = match self.authorize(&proven, assertion.claims()).await {
            Ok(permission) => self.prepare(&proven, assertion.claims(), permission),
            Err(refusal) => {
                let refusal = if self.ledger.is_used(fingerprint).await? { GrantError::Replayed } else { refusal };
                return Err(self.note_refusal(&proven, &assertion, refusal).await);
            }
        };
        let entry = self.ledger.is_audited().then(|| self.issued(&granted, fingerprint));
        let span = tracing::info_span!(target: "skybru::trace", "issuer.assertion.use_up");
        let first = self.ledger.use_up(fingerprint, assertion.forgotten_after(), entry).instrument(span).await?;
        if !first {
            return Err(self.note_refusal(&proven, &assertion, GrantError::Replayed).await);
        }
        let assertion = assertion.into_unused(first).ok_or(GrantError::Replayed)?;
        let signed = self.sign(&assertion, &granted).await;
        if signed.is_err() {
            self.ledger.take_back(fingerprint, self.ledger.is_audited().then(|| self.withdrawn(&granted, fingerprint))).await?;
        }
        signed
    }

    /// Only who has proven to be the client uses up its share.
    fn within_limits(&self, proven: &Proven) -> Result<(), GrantError> {
        let (Some(limits), Proven::Client(client, _)) = (&self.limits, proven) else { return Ok(()) };
        let organisation = client.client.supplier_orgno.unwrap_or(client.client.client_orgno);
        limits.check(&client.client.client_id, organisation).map_err(|(limit, seconds)| {
            self.metrics.limited(limit.name());
            let refusal = GrantError::TooOften { limit: limit.name(), seconds };
            self.count_refusal(&refusal, Some(&client.client));
            refusal
        })
    }

    /// Steps 1 to 3.
    fn parse(&self, form: TokenForm) -> Result<AddressedAssertion, GrantError> {
        match form.grant_type.as_deref() {
            Some(JWT_BEARER) => {}
            Some(_) => return Err(GrantError::UnsupportedGrantType),
            None => return Err(GrantError::MissingParameter("grant_type")),
        }
        let text = form.assertion.filter(|text| !text.is_empty()).ok_or(GrantError::MissingParameter("assertion"))?;
        Ok(UnverifiedAssertion::parse(&text)?.addressed_to(&self.settings.url)?)
    }

    /// Step 13, all but the signature.
    fn prepare(&self, proven: &Proven, asked: &AssertionClaims, permission: Permission) -> Granted {
        let now = self.ctx.clock.unix_seconds();
        let scope = permission.scopes.to_string();
        let is_skyporten = matches!(self.settings.profile, Profile::Skyporten { .. });
        if permission.scopes.count() > 1 && is_skyporten {
            tracing::warn!(client.id = proven.client_id(), "a subject with several scopes matches no policy that names one");
        }
        let mut jti = [0; 32];
        self.ctx.randomness.fill(&mut jti);
        let audience = (!asked.resources.is_empty()).then(|| Audience::from(asked.resources.clone()));
        let legacy = || self.compat.legacy_aud.then(|| Audience::One("unspecified".to_owned()));
        let claims = AccessTokenClaims {
            aud: audience.or_else(legacy),
            sub: self.settings.profile.subject(&permission.consumer.id, &permission.scopes, self.compat.multi_scope),
            scope,
            iss: self.settings.url.to_string(),
            client_amr: proven.amr().as_str().to_owned(),
            token_type: "Bearer".to_owned(),
            exp: now + i64::from(permission.lifetime_seconds),
            iat: now,
            client_id: proven.client_id().to_owned(),
            jti: base64url::encode(jti),
            client_orgno: permission.client_orgno.filter(|_| self.compat.client_orgno).map(|org| org.to_string()),
            consumer: permission.consumer,
            supplier: permission.supplier.map(|org| OrgId::new(org).into()),
            delegation_source: permission.delegation_source,
            pid: asked.pid.clone(),
            authorization_details: permission.details.clone(),
        };
        // Entra refuses at+jwt (E-21); Maskinporten writes no typ at all, and `JWT` is the one value that nobody stumbles over (P-2).
        let typ = if self.compat.at_jwt { Some("at+jwt") } else { is_skyporten.then_some("JWT") };
        Granted {
            keys: self.keys(),
            typ,
            supplier: permission.supplier,
            scopes: permission.scopes,
            lifetime_seconds: permission.lifetime_seconds,
            details: permission.details,
            claims,
        }
    }

    /// The signature. Only an assertion that was used now, for the first time, gets here.
    async fn sign(&self, _: &UnusedAssertion, granted: &Granted) -> Result<TokenAnswer, GrantError> {
        let claims = &granted.claims;
        let span = tracing::info_span!(
            target: "skybru::trace",
            "issuer.token.sign",
            client.id = claims.client_id,
            consumer.org = claims.consumer.id,
            kid = granted.keys.active().kid().as_str(),
            jti = claims.jti,
        );
        let access_token = sign_token(granted.keys.active(), granted.typ, claims).instrument(span).await?;
        tracing::info!(
            client.id = claims.client_id,
            consumer.org = claims.consumer.id,
            scope = claims.scope,
            jti = claims.jti,
            issuer = claims.iss,
            "token issued"
        );
        Ok(TokenAnswer {
            access_token,
            token_type: claims.token_type.clone(),
            expires_in: granted.lifetime_seconds.into(),
            scope: claims.scope.clone(),
            authorization_details: granted.details.clone(),
        })
    }
}
