//! Steps 9 to 12: which scopes, for whom, and with which details.

use skybru_core::{OrgId, OrgNumber, PersonNumber, ScopeName, ScopeSet};
use skybru_protocol::assertion::{AssertionClaims, claimed_org};
use skybru_protocol::details::{Detail, DetailsError};
use skybru_store::Registry;
use skybru_store::registry::{Client, IntegrationType, Scope};

use super::Permission;
use super::proof::{EuropeanSeal, Proven};
use crate::Profile;
use crate::compat::MultiScope;
use crate::delegation::DelegationQuestion;
use crate::details;
use crate::issuer::Issuer;
use crate::refusal::GrantError;

/// For whom a registered client asks.
struct Parties {
    consumer: OrgNumber,
    supplier: Option<OrgNumber>,
    /// Whose access counts.
    access: OrgNumber,
    /// Whether the consumer must have delegated.
    delegated: bool,
}

/// A question for a source of delegations, and the source's issuer.
type Question = (String, DelegationQuestion);

impl Issuer {
    pub(super) async fn authorize(&self, proven: &Proven, claims: &AssertionClaims) -> Result<Permission, GrantError> {
        let scopes: ScopeSet = claims.scope.as_deref().unwrap_or("").parse()?;
        if let Some(pid) = &claims.pid {
            let checked = PersonNumber::parse(pid.expose(), self.compat.pid);
            checked.map_err(|_| GrantError::Claim { name: "pid", expected: "a person number of eleven digits" })?;
        }
        let client = match proven {
            Proven::Client(client, _) => &client.client,
            Proven::Seal(seal) => return self.registry.read(|registry| self.seal(registry, seal, claims, scopes)),
        };
        let (mut permission, questions) = self.registry.read(|registry| self.client(registry, client, claims, scopes))?;
        for (source, question) in questions {
            if !self.delegations.has_delegated(&source, &question).await? {
                let DelegationQuestion { scope, consumer, supplier } = question;
                return Err(GrantError::NoDelegation { consumer, scope, supplier });
            }
        }
        if let Some(asked) = &claims.authorization_details {
            let detail = Detail::parse(asked, self.compat.rar_aliases)?;
            let consumer = permission.consumer.org().map_or(client.client_orgno, OrgId::number);
            let now = self.ctx.clock.unix_seconds();
            let answer = details::answer(&*self.details, &detail, &client.client_id, consumer, now).await?;
            let missing = match detail {
                Detail::SystemUser(_) => DetailsError::Values(", system user not found"),
                Detail::Consent(_) => DetailsError::Values(", consent not found"),
            };
            permission.details = Some(answer.ok_or(missing)?);
        }
        Ok(permission)
    }

    /// What a registered client may have, and what others must be asked before it gets it.
    fn client(
        &self,
        registry: &Registry,
        client: &Client,
        claims: &AssertionClaims,
        scopes: ScopeSet,
    ) -> Result<(Permission, Vec<Question>), GrantError> {
        check_scopes(registry, client, &scopes)?;
        self.check_count(&scopes)?;
        let parties = self.parties(registry, client, claims, &scopes)?;
        let mut questions = Vec::new();
        let mut delegation_source = None;
        for scope in scopes.iter().filter_map(|name| registry.scope(name)) {
            if !self.has_access(registry, scope, parties.access) {
                return Err(GrantError::NoAccess(scope.name.clone()));
            }
            if let Some(source) = scope.delegation_source.as_ref().filter(|_| parties.delegated) {
                let (consumer, supplier) = (parties.consumer, client.client_orgno);
                questions.push((source.clone(), DelegationQuestion { scope: scope.name.clone(), consumer, supplier }));
                delegation_source.get_or_insert_with(|| source.clone());
            }
        }
        let lifetime_seconds = self.lifetime(registry, client.access_token_lifetime, &scopes);
        let permission = Permission {
            consumer: OrgId::new(parties.consumer).into(),
            supplier: parties.supplier,
            delegation_source,
            client_orgno: Some(client.client_orgno),
            scopes,
            lifetime_seconds,
            details: None,
        };
        Ok((permission, questions))
    }

    /// What a European seal may have: scopes that say so, in nobody else's name.
    fn seal(
        &self,
        registry: &Registry,
        seal: &EuropeanSeal,
        claims: &AssertionClaims,
        scopes: ScopeSet,
    ) -> Result<Permission, GrantError> {
        let open = |scope: &Scope| {
            scope.more.as_ref().is_some_and(|more| more.get("supports_european_businesses") == Some(&true.into()))
        };
        let usable = |name: &&ScopeName| registry.scope(name).is_some_and(|scope| scope.active && open(scope));
        let invalid: Vec<ScopeName> = scopes.iter().filter(|name| !usable(name)).cloned().collect();
        if !invalid.is_empty() {
            return Err(GrantError::ScopeNotOnClient(invalid));
        }
        self.check_count(&scopes)?;
        if claims.consumer_org.is_some() || claims.on_behalf_of.is_some() {
            return Err(GrantError::ConsumerOrgClaim);
        }
        if claims.authorization_details.is_some() {
            return Err(DetailsError::Values(", they are for registered clients").into());
        }
        let lifetime_seconds = self.lifetime(registry, 0, &scopes);
        Ok(Permission {
            consumer: seal.party.clone(),
            supplier: None,
            delegation_source: None,
            client_orgno: None,
            scopes,
            lifetime_seconds,
            details: None,
        })
    }

    fn check_count(&self, scopes: &ScopeSet) -> Result<(), GrantError> {
        let is_skyporten = matches!(self.settings.profile, Profile::Skyporten { .. });
        if is_skyporten && scopes.count() > 1 && self.compat.multi_scope == MultiScope::Reject {
            return Err(GrantError::SeveralScopes);
        }
        Ok(())
    }

    fn has_access(&self, registry: &Registry, scope: &Scope, organisation: OrgNumber) -> bool {
        if !self.compat.owner_implicit && scope.owner_orgno == organisation && !scope.accessible_for_all {
            let granted = registry.access(&scope.name, organisation);
            return granted.is_some_and(|access| access.state == skybru_store::registry::AccessState::Approved);
        }
        registry.has_access(scope, organisation)
    }

    /// The provider's limit always wins over the client's wish, and no token outlives the key that signed it.
    fn lifetime(&self, registry: &Registry, wished: u32, scopes: &ScopeSet) -> u32 {
        let wished = if wished == 0 { self.settings.token_lifetime_seconds } else { wished };
        let limits =
            scopes.iter().filter_map(|name| registry.scope(name)).map(|scope| scope.at_max_age).filter(|limit| *limit > 0);
        limits.fold(wished.min(self.longest_token_seconds), u32::min)
    }

    /// Step 10. Three ways to act for another: the consumer has delegated to the client's owner (`consumer_org`), the client was registered
    /// by a supplier in the consumer's name, or one of the client's own entries names the consumer (`iss_onbehalfof`).
    ///
    /// In the last two it is the supplier who must have access; in the first it is the consumer.
    fn parties(
        &self,
        registry: &Registry,
        client: &Client,
        claims: &AssertionClaims,
        scopes: &ScopeSet,
    ) -> Result<Parties, GrantError> {
        let owner = client.client_orgno;
        let has_source = |name: &ScopeName| registry.scope(name).is_some_and(|scope| scope.delegation_source.is_some());
        match (&claims.consumer_org, &claims.on_behalf_of) {
            (None, None) => {
                let (supplier, access) = (client.supplier_orgno, client.supplier_orgno.unwrap_or(owner));
                Ok(Parties { consumer: owner, supplier, access, delegated: false })
            }
            (Some(text), None) => {
                let expected = "an organisation number of nine digits";
                let consumer = claimed_org(text).ok_or(GrantError::Claim { name: "consumer_org", expected })?;
                if consumer == owner || client.supplier_orgno.is_some() || !scopes.iter().all(has_source) {
                    return Err(GrantError::ConsumerOrgClaim);
                }
                Ok(Parties { consumer, supplier: Some(owner), access: consumer, delegated: true })
            }
            (None, Some(id)) => {
                let expected = "the id of one of the client's entries on behalf of others";
                let wrong = GrantError::Claim { name: "iss_onbehalfof", expected };
                let entry = registry.records().on_behalf_of(&client.client_id, id);
                let entry = entry.filter(|entry| entry.active && self.compat.on_behalf_of).ok_or(wrong)?;
                if scopes.iter().any(has_source) {
                    return Err(GrantError::ConsumerOrgClaim);
                }
                Ok(Parties { consumer: entry.orgno, supplier: Some(owner), access: owner, delegated: false })
            }
            (Some(_), Some(_)) => Err(GrantError::Claim { name: "consumer_org", expected: "either this or iss_onbehalfof" }),
        }
    }
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
