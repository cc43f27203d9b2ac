//! The JWT-bearer grant: from a form to a token, in the order that decides which refusal wins.
//!
//! 1 form, 2 parsing, 3 audience, 4 client, 5 key, 6 signature, 7 times, 8 single use, 9 scopes, 10 consumer, 11 access, 12 details,
//! 13 token. Authentication comes before authorization, so that a stranger learns nothing about scopes.
//!
//! An assertion is recorded as used at step 8 and taken back when a later step refuses it: only success burns it, because known
//! clients present the same assertion again after a fault.

use serde_json::Value;
use skybru_core::{OrgId, OrgNumber, ScopeName, ScopeSet};
use skybru_protocol::assertion::{
    AddressedAssertion, AssertionClaims, UnusedAssertion, UnverifiedAssertion, VerifiedAssertion, claimed_org,
};
use skybru_protocol::base64url;
use skybru_protocol::claims::{AccessTokenClaims, Audience};
use skybru_protocol::oauth::{JWT_BEARER, TokenAnswer, TokenForm};
use skybru_store::Registry;
use skybru_store::registry::{Client, IntegrationType, RegisteredClient, RegisteredKey};

use crate::issuer::Issuer;
use crate::refusal::GrantError;

/// What the registry says about a request that it allows.
#[derive(Debug)]
struct Permission {
    consumer: OrgNumber,
    supplier: Option<OrgNumber>,
    scopes: ScopeSet,
    lifetime_seconds: u32,
}

impl Issuer {
    /// Answers a token request.
    pub async fn token(&self, form: TokenForm) -> Result<TokenAnswer, GrantError> {
        let assertion = self.parse(form)?;
        let (client, assertion) = self.authenticate(assertion)?;
        let fingerprint = assertion.fingerprint();
        let first = self.log.record_once(fingerprint, assertion.forgotten_after()).await?;
        let assertion = assertion.into_unused(first).ok_or(GrantError::Replayed)?;
        let answer = self.authorize(&client, assertion.claims()).and_then(|permission| self.mint(&assertion, &permission));
        if answer.is_err() {
            self.log.forget(fingerprint).await?;
        }
        answer
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

    /// Steps 4 to 7.
    fn authenticate(&self, assertion: AddressedAssertion) -> Result<(RegisteredClient, VerifiedAssertion), GrantError> {
        let client = self.registry.read(|registry| registry.client(assertion.claimed_client()).cloned());
        let client = client.filter(|known| known.client.active).ok_or(GrantError::ClientNotFound)?;
        let now = self.ctx.clock.unix_seconds();
        let key = find_key(&client, &assertion, now)?;
        let verified = assertion.verify(&key.verifying, now, self.settings.time_rules)?;
        Ok((client, verified))
    }

    /// Steps 9 to 12.
    fn authorize(&self, client: &RegisteredClient, claims: &AssertionClaims) -> Result<Permission, GrantError> {
        let client = &client.client;
        let scopes: ScopeSet = claims.scope.as_deref().unwrap_or("").parse()?;
        if claims.on_behalf_of.is_some() {
            return Err(GrantError::Claim {
                name: "iss_onbehalfof",
                expected: "no such claim: it is for logins, not for this grant",
            });
        }
        if claims.pid.as_ref().is_some_and(|pid| pid.len() != 11 || !pid.bytes().all(|b| b.is_ascii_digit())) {
            return Err(GrantError::Claim { name: "pid", expected: "11 digits" });
        }
        let permission = self.registry.read(|registry| {
            check_scopes(registry, client, &scopes)?;
            let delegating = delegating_org(registry, client, claims, &scopes)?;
            check_access(registry, client, delegating, &scopes)?;
            let (consumer, supplier) = match delegating {
                Some(consumer) => (consumer, Some(client.client_orgno)),
                None => (client.client_orgno, client.supplier_orgno),
            };
            let lifetime_seconds = self.lifetime(registry, client, &scopes);
            Ok::<_, GrantError>(Permission { consumer, supplier, scopes, lifetime_seconds })
        })?;
        check_details(claims.authorization_details.as_ref())?;
        Ok(permission)
    }

    /// The provider's limit always wins over the client's wish.
    fn lifetime(&self, registry: &Registry, client: &Client, scopes: &ScopeSet) -> u32 {
        let wished = match client.access_token_lifetime {
            0 => self.settings.token_lifetime_seconds,
            seconds => seconds,
        };
        let limits =
            scopes.iter().filter_map(|name| registry.scope(name)).map(|scope| scope.at_max_age).filter(|limit| *limit > 0);
        limits.fold(wished, u32::min)
    }

    /// Step 13. Only an assertion that was used now, for the first time, gets here.
    fn mint(&self, assertion: &UnusedAssertion, permission: &Permission) -> Result<TokenAnswer, GrantError> {
        let asked = assertion.claims();
        let consumer = OrgId::new(permission.consumer);
        let now = self.ctx.clock.unix_seconds();
        let scope = permission.scopes.to_string();
        if permission.scopes.count() > 1 && self.settings.profile.name() == "skyporten" {
            tracing::warn!(client.id = %asked.client, "a subject with several scopes matches no policy that names one");
        }
        let mut jti = [0; 32];
        self.ctx.randomness.fill(&mut jti);
        let claims = AccessTokenClaims {
            aud: (!asked.resources.is_empty()).then(|| Audience::from(asked.resources.clone())),
            sub: self.settings.profile.subject(consumer, &permission.scopes),
            scope: scope.clone(),
            iss: self.settings.url.to_string(),
            client_amr: "private_key_jwt".to_owned(),
            token_type: "Bearer".to_owned(),
            exp: now + i64::from(permission.lifetime_seconds),
            iat: now,
            client_id: asked.client.to_string(),
            jti: base64url::encode(jti),
            consumer: consumer.into(),
            supplier: permission.supplier.map(|org| OrgId::new(org).into()),
            delegation_source: None,
            pid: asked.pid.clone(),
            authorization_details: asked.authorization_details.clone(),
        };
        // Entra refuses at+jwt (E-21); Maskinporten writes no typ at all, and `JWT` is the one value that nobody stumbles over (P-2).
        let typ = matches!(self.settings.profile, crate::Profile::Skyporten { .. }).then_some("JWT");
        let access_token = self.keys().active().sign(typ, &claims)?;
        tracing::info!(
            client.id = claims.client_id, consumer.org = %permission.consumer, scope, jti = claims.jti, issuer = claims.iss,
            "token issued"
        );
        let token_type = claims.token_type;
        Ok(TokenAnswer { access_token, token_type, expires_in: permission.lifetime_seconds.into(), scope })
    }
}

/// Step 5. Registered keys win over a certificate in the header; without registered keys only a certificate could prove the client, and
/// no certificate authority is trusted here.
fn find_key<'a>(client: &'a RegisteredClient, assertion: &AddressedAssertion, now: i64) -> Result<&'a RegisteredKey, GrantError> {
    let header = assertion.header();
    if client.keys.is_empty() {
        return Err(match &header.x5c {
            Some(Value::Array(chain)) if !chain.is_empty() && chain.iter().all(Value::is_string) => {
                GrantError::CertificateUntrusted
            }
            Some(_) => GrantError::CertificateHeader,
            None => GrantError::KeyUnknown,
        });
    }
    let kid = header.kid.as_deref().ok_or(GrantError::KeyNotNamed)?;
    let found = client.keys.iter().find(|known| known.key.kid.as_str() == kid).ok_or(GrantError::KeyUnknown)?;
    if found.key.expires.as_second() <= now { Err(GrantError::KeyExpired(found.key.kid.clone())) } else { Ok(found) }
}

/// Step 9: every scope is active, on the client, and for this kind of client. One bad scope fails the whole request.
fn check_scopes(registry: &Registry, client: &Client, scopes: &ScopeSet) -> Result<(), GrantError> {
    let usable = |name: &&ScopeName| client.scopes.contains(name) && registry.scope(name).is_some_and(|scope| scope.active);
    let invalid: Vec<ScopeName> = scopes.iter().filter(|name| !usable(name)).cloned().collect();
    if !invalid.is_empty() {
        return Err(GrantError::ScopeNotOnClient(invalid));
    }
    let ours = |name: &&ScopeName| {
        registry.scope(name).is_some_and(|scope| {
            scope.allowed_integration_types.is_empty() || scope.allowed_integration_types.contains(&IntegrationType::Maskinporten)
        })
    };
    let foreign = client.integration_type != IntegrationType::Maskinporten;
    match scopes.iter().find(|name| foreign || !ours(name)) {
        Some(name) => Err(GrantError::ScopeNotForMaskinporten(name.clone())),
        None => Ok(()),
    }
}

/// Step 10: the organisation that a supplier says it acts for.
fn delegating_org(
    registry: &Registry,
    client: &Client,
    claims: &AssertionClaims,
    scopes: &ScopeSet,
) -> Result<Option<OrgNumber>, GrantError> {
    let Some(text) = &claims.consumer_org else { return Ok(None) };
    let expected = "an organisation number of nine digits";
    let consumer = claimed_org(text).ok_or(GrantError::Claim { name: "consumer_org", expected })?;
    let delegable = |name: &ScopeName| registry.scope(name).is_some_and(|scope| scope.delegation_source.is_some());
    if consumer == client.client_orgno || !scopes.iter().all(delegable) {
        return Err(GrantError::ConsumerOrgClaim);
    }
    Ok(Some(consumer))
}

/// Step 11. When a supplier registered the client in the consumer's name, it is the supplier who must have access. When a consumer has
/// delegated, it is the consumer; and no registry of delegations is connected, so nobody has.
fn check_access(
    registry: &Registry,
    client: &Client,
    delegating: Option<OrgNumber>,
    scopes: &ScopeSet,
) -> Result<(), GrantError> {
    let organisation = delegating.or(client.supplier_orgno).unwrap_or(client.client_orgno);
    let allowed = |name: &&ScopeName| registry.scope(name).is_some_and(|scope| registry.has_access(scope, organisation));
    if let Some(name) = scopes.iter().find(|name| !allowed(name)) {
        return Err(GrantError::NoAccess(name.clone()));
    }
    match (delegating, scopes.iter().next()) {
        (Some(consumer), Some(scope)) => {
            Err(GrantError::NoDelegation { consumer, scope: scope.clone(), supplier: client.client_orgno })
        }
        _ => Ok(()),
    }
}

/// Step 12. No type of authorization details is connected, so each is unknown.
fn check_details(details: Option<&Value>) -> Result<(), GrantError> {
    match details {
        None => Ok(()),
        Some(Value::Array(details)) if details.iter().all(|detail| detail.get("type").is_some_and(Value::is_string)) => {
            if details.is_empty() { Err(GrantError::DetailsValues) } else { Err(GrantError::DetailsType) }
        }
        Some(_) => Err(GrantError::DetailsValues),
    }
}
