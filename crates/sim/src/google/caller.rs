//! Who makes a call, and whether that one may.
//!
//! What a policy allows is looked up *now*: a binding that is taken away, or a service account that is disabled, takes effect with the
//! next request (after the propagation delay, if one is set).

use skybru_federation::google::access::{allowed, scopes_allow};
use skybru_federation::google::policy::Access;
use skybru_federation::google::service_account::CLOUD_PLATFORM;
use skybru_federation::google::{ApiError, Caller};

use super::Sim;
use super::state::{State, fingerprint};

/// A caller and what its token is good for.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    pub(crate) caller: Caller,
    pub(crate) scopes: Vec<String>,
}

impl Asking {
    /// Finds out whose token this is. Without one it is anybody.
    pub(crate) fn of(sim: &Sim, bearer: Option<&str>) -> Result<Self, ApiError> {
        let Some(bearer) = bearer else { return Ok(Self { caller: Caller::Anonymous, scopes: Vec::new() }) };
        if sim.owner_token.matches(bearer) {
            let caller = Caller::User { email: sim.owner.clone() };
            return Ok(Self { caller, scopes: vec![CLOUD_PLATFORM.to_owned()] });
        }
        let state = sim.state.get();
        let token = state.tokens.get(&fingerprint(bearer)).filter(|token| sim.now() < token.expires);
        let token = token.ok_or_else(ApiError::unauthenticated)?;
        // G-7: a disabled service account ends its tokens; a disabled provider does not end what it gave.
        if let Caller::ServiceAccount { email } = &token.caller
            && state.service_accounts.get(email).is_none_or(|account| account.disabled)
        {
            return Err(ApiError::unauthenticated());
        }
        Ok(Self { caller: token.caller.clone(), scopes: token.scopes.clone() })
    }

    /// Whether one of the policies in force on these resources lets it do this; the project's own always counts.
    pub(crate) fn may(&self, sim: &Sim, state: &State, permission: &str, on: &On<'_>) -> bool {
        if !scopes_allow(&self.scopes, permission) && self.caller != Caller::Anonymous {
            return false;
        }
        let (now, delay) = (sim.now(), sim.control.propagation_delay());
        let project = state.policy_in_force(&format!("projects/{}", sim.project_number), now, delay);
        let own = on.policy_of.map(|resource| state.policy_in_force(resource, now, delay)).unwrap_or_default();
        allowed(&[&own, &project], &self.caller, Access { permission, resource: on.name, kind: on.kind, now })
    }

    /// The same as an answer of an API that speaks in google.rpc's envelope.
    pub(crate) fn require(&self, sim: &Sim, state: &State, permission: &str, on: &On<'_>) -> Result<(), ApiError> {
        if self.caller == Caller::Anonymous {
            return Err(ApiError::unauthenticated());
        }
        if self.may(sim, state, permission, on) {
            return Ok(());
        }
        if scopes_allow(&self.scopes, permission) {
            Err(ApiError::permission_denied(permission))
        } else {
            Err(ApiError::insufficient_scope())
        }
    }
}

/// What a call is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct On<'a> {
    /// Whose policy counts beside the project's.
    pub(crate) policy_of: Option<&'a str>,
    /// The name that conditions see.
    pub(crate) name: &'a str,
    /// The type that conditions see.
    pub(crate) kind: &'a str,
}

impl On<'static> {
    /// Something whose policy is the project's.
    pub(crate) const PROJECT: Self = Self { policy_of: None, name: "", kind: "cloudresourcemanager.googleapis.com/Project" };
}
