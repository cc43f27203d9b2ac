//! Delegations, and those who keep them. Given and withdrawn by the consumer; the supplier cannot help itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skybru_core::{OrgNumber, ScopeName};
use skybru_store::records::{Delegation, DelegationSourceRecord};
use skybru_store::{Change, Record, Registry};
use utoipa::ToSchema;

use super::{ApiError, Caller, Right, SelfService};

/// A delegation as it goes out: in the spelling of Altinn's list, so that whoever reads that can read this.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DelegationResponse)]
pub struct DelegationView {
    consumer_org: String,
    supplier_org: String,
    scopes: Vec<String>,
    active: bool,
    #[schema(format = DateTime)]
    created: String,
    #[schema(format = DateTime)]
    last_updated: String,
}

/// Which delegations to list.
#[derive(Debug, Clone, Default)]
pub struct DelegationFilter {
    /// Of this scope.
    pub scope: Option<String>,
    /// By this organisation.
    pub consumer: Option<String>,
    /// To this organisation.
    pub supplier: Option<String>,
    /// Withdrawn ones too.
    pub inactive: bool,
}

/// A keeper of delegations as it goes out.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DelegationSourceResponse)]
pub struct DelegationSourceView {
    name: String,
    issuer: String,
    #[schema(format = DateTime)]
    created: String,
    #[schema(format = DateTime)]
    last_updated: String,
}

/// A keeper of delegations as it comes in.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = DelegationSourceRequest)]
pub struct DelegationSourceInput {
    /// What scopes and tokens name it by, such as `https://tt02.altinn.no/`.
    pub issuer: String,
}

impl From<&Delegation> for DelegationView {
    fn from(given: &Delegation) -> Self {
        Self {
            consumer_org: given.consumer_orgno.to_string(),
            supplier_org: given.supplier_orgno.to_string(),
            scopes: vec![given.scope.to_string()],
            active: given.active,
            created: given.created.to_string(),
            last_updated: given.last_updated.to_string(),
        }
    }
}

impl From<&DelegationSourceRecord> for DelegationSourceView {
    fn from(source: &DelegationSourceRecord) -> Self {
        let (created, last_updated) = (source.created.to_string(), source.last_updated.to_string());
        Self { name: source.name.clone(), issuer: source.issuer.clone(), created, last_updated }
    }
}

impl SelfService {
    /// Those who keep delegations. Open to everybody.
    pub fn delegation_sources(&self) -> Vec<DelegationSourceView> {
        self.registry.read(|registry| registry.records().delegation_sources().map(DelegationSourceView::from).collect())
    }

    /// Registers one, or changes its issuer.
    pub async fn put_delegation_source(
        &self,
        caller: &Caller,
        name: &str,
        input: DelegationSourceInput,
    ) -> Result<DelegationSourceView, ApiError> {
        caller.must(Right::Operate)?;
        let wrong = |field, message: &str| ApiError::field("DelegationSource", field, message);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
            return Err(wrong("name", "name must be 1 to 40 characters out of a-z 0-9 -"));
        }
        if !input.issuer.starts_with("https://")
            || input.issuer.len() > 255
            || input.issuer.chars().any(|c| !c.is_ascii_graphic())
        {
            return Err(wrong("issuer", "issuer must be an https address"));
        }
        let now = self.ctx.clock.now();
        self.change(caller, |registry| {
            let created =
                registry.records().delegation_sources().find(|known| known.name == name).map_or(now, |known| known.created);
            let source = DelegationSourceRecord { name: name.to_owned(), issuer: input.issuer, created, last_updated: now };
            let view = DelegationSourceView::from(&source);
            Ok((vec![Change::PutRecord(Record::DelegationSource(source))], view))
        })
        .await
    }

    /// Delegations that concern the caller: as consumer, as supplier, or as owner of the scope. The operator sees all.
    pub fn delegations(&self, caller: &Caller, filter: &DelegationFilter) -> Result<Vec<DelegationView>, ApiError> {
        caller.must(Right::ReadGranted).or_else(|_| caller.must(Right::Operate))?;
        let org = |text: &Option<String>| text.as_deref().map(parse_org).transpose();
        let (consumer, supplier) = (org(&filter.consumer)?, org(&filter.supplier)?);
        let scope = filter.scope.as_deref().map(parse_scope).transpose()?;
        self.registry.read(|registry| {
            let asked = |given: &&Delegation| {
                (given.active || filter.inactive)
                    && scope.as_ref().is_none_or(|scope| given.scope == *scope)
                    && consumer.is_none_or(|org| given.consumer_orgno == org)
                    && supplier.is_none_or(|org| given.supplier_orgno == org)
            };
            let concerns = |given: &&Delegation| {
                let owner = registry.scope(&given.scope).map(|scope| scope.owner_orgno);
                caller.may(Right::Operate)
                    || [Some(given.consumer_orgno), Some(given.supplier_orgno), owner].contains(&Some(caller.org()))
            };
            // Whatever is asked for, only what can be meant is looked at: there may be very many.
            let records = registry.records();
            let looked_at: Box<dyn Iterator<Item = &Delegation>> = match (consumer.or(supplier), &scope) {
                (Some(party), _) => Box::new(records.delegations_of(party)),
                (None, Some(scope)) => Box::new(records.delegations_with(scope)),
                (None, None) if caller.may(Right::Operate) => Box::new(records.delegations()),
                (None, None) => {
                    let own_scopes = registry.scopes().filter(|scope| scope.owner_orgno == caller.org());
                    let with_them = own_scopes.flat_map(|scope| records.delegations_with(&scope.name));
                    let all = records.delegations_of(caller.org()).chain(with_them);
                    let key = |given: &&Delegation| (given.scope.clone(), given.consumer_orgno, given.supplier_orgno);
                    let ordered: BTreeMap<_, _> = all.map(|given| (key(&given), given)).collect();
                    Box::new(ordered.into_values())
                }
            };
            Ok(looked_at.filter(asked).filter(concerns).map(DelegationView::from).collect())
        })
    }

    /// Gives a supplier a scope, or takes it back. The consumer is the caller; the operator may name another.
    pub async fn set_delegation(
        &self,
        caller: &Caller,
        scope: &str,
        consumer: Option<&str>,
        supplier: &str,
        active: bool,
    ) -> Result<DelegationView, ApiError> {
        caller.must(Right::ChangeClients).or_else(|_| caller.must(Right::Operate))?;
        let consumer_orgno = consumer.map(parse_org).transpose()?.unwrap_or(caller.org());
        if consumer_orgno != caller.org() && !caller.may(Right::Operate) {
            return Err(ApiError::Forbidden(format!("only organisation {consumer_orgno} can delegate in its name")));
        }
        let (scope, supplier_orgno) = (parse_scope(scope)?, parse_org(supplier)?);
        if supplier_orgno == consumer_orgno {
            return Err(ApiError::field("Delegation", "supplier", "an organisation needs no delegation from itself"));
        }
        let now = self.ctx.clock.now();
        self.change(caller, |registry| {
            check_delegable(registry, &scope)?;
            let known = registry.records().delegation(&scope, consumer_orgno, supplier_orgno);
            if known.is_none() && !active {
                return Err(ApiError::NotFound(format!("{consumer_orgno} has not delegated {scope} to {supplier_orgno}")));
            }
            let created = known.map_or(now, |known| known.created);
            let last_updated = known.filter(|known| known.active == active).map_or(now, |known| known.last_updated);
            let given = Delegation { consumer_orgno, supplier_orgno, scope, active, created, last_updated };
            let view = DelegationView::from(&given);
            Ok((vec![Change::PutRecord(Record::Delegation(given))], view))
        })
        .await
    }
}

fn check_delegable(registry: &Registry, scope: &ScopeName) -> Result<(), ApiError> {
    match registry.scope(scope) {
        None => Err(ApiError::NotFound(format!("scope {scope} is not registered"))),
        Some(known) if known.delegation_source.is_none() => {
            Err(ApiError::field("Delegation", "scope", format!("scope {scope} has no delegation_source: it cannot be delegated")))
        }
        Some(_) => Ok(()),
    }
}

fn parse_org(text: &str) -> Result<OrgNumber, ApiError> {
    text.parse().map_err(|e: skybru_core::org::OrgNumberError| ApiError::field("Delegation", "orgno", e.to_string()))
}

fn parse_scope(text: &str) -> Result<ScopeName, ApiError> {
    text.parse().map_err(|e: skybru_core::scope::ScopeError| ApiError::field("Delegation", "scope", e.to_string()))
}
