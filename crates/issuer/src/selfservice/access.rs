//! Who has access to a scope: given and withdrawn by the scope's owner.

use jiff::Timestamp;
use serde::Serialize;
use skybru_core::OrgNumber;
use skybru_store::registry::{AccessState, ScopeAccess};
use skybru_store::{Change, Registry};
use utoipa::ToSchema;

use super::scopes::own_scope;
use super::{ApiError, Caller, Right, SelfService};

/// An access as it goes out. Dates are RFC 3339: one client stops at any other.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AccessResponse)]
pub struct AccessView {
    scope: String,
    #[schema(value_type = String, example = "APPROVED")]
    state: AccessState,
    #[schema(value_type = String)]
    consumer_orgno: OrgNumber,
    consumer_organization_name: Option<String>,
    #[schema(value_type = Option<String>)]
    owner_orgno: Option<OrgNumber>,
    owner_organization_name: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_updated: Timestamp,
}

impl AccessView {
    pub(super) fn new(registry: &Registry, access: &ScopeAccess) -> Self {
        let name = |org: OrgNumber| registry.organisation(org).map(|organisation| organisation.name.clone());
        let owner = registry.scope(&access.scope).map(|scope| scope.owner_orgno);
        Self {
            scope: access.scope.to_string(),
            state: access.state,
            consumer_orgno: access.consumer_orgno,
            consumer_organization_name: name(access.consumer_orgno),
            owner_orgno: owner,
            owner_organization_name: owner.and_then(name),
            created: access.created,
            last_updated: access.last_updated,
        }
    }
}

impl SelfService {
    /// What others have granted to the caller.
    pub fn granted(&self, caller: &Caller) -> Result<Vec<AccessView>, ApiError> {
        caller.must(Right::ReadGranted)?;
        let shown = |access: &&ScopeAccess| access.state != AccessState::Denied;
        Ok(self.registry.read(|registry| {
            registry.accesses_of(caller.org()).filter(shown).map(|access| AccessView::new(registry, access)).collect()
        }))
    }

    /// Grants (`APPROVED`) or withdraws (`DENIED`) an organisation's access to one of the caller's scopes. Repeating it changes nothing.
    pub async fn set_access(
        &self,
        caller: &Caller,
        scope: &str,
        consumer: &str,
        state: AccessState,
    ) -> Result<AccessView, ApiError> {
        caller.must(Right::WriteScopes)?;
        let consumer_orgno = parse_org(consumer)?;
        let now = self.ctx.clock.now();
        self.change(caller, |registry| {
            let scope = own_scope(registry, caller, scope)?.name.clone();
            let known = registry.access(&scope, consumer_orgno);
            if known.is_none() && state == AccessState::Denied {
                return Err(ApiError::NotFound(format!("organisation {consumer_orgno} has no access to {scope}")));
            }
            let created = known.map_or(now, |access| access.created);
            let last_updated = known.filter(|access| access.state == state).map_or(now, |access| access.last_updated);
            let access = ScopeAccess { scope, consumer_orgno, state, created, last_updated };
            let view = AccessView::new(registry, &access);
            Ok((vec![Change::PutAccess(access)], view))
        })
        .await
    }
}

/// Exactly 400 for a wrong number: digdirator turns that, and nothing else, into a condition on its resource.
pub(super) fn parse_org(text: &str) -> Result<OrgNumber, ApiError> {
    text.parse().map_err(|e: skybru_core::org::OrgNumberError| ApiError::field("ScopeAccess", "consumer_orgno", e.to_string()))
}
