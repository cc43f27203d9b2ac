//! The self-service API: with it organisations register scopes, accesses, clients and keys.
//!
//! It is protected by the issuer's own tokens: the caller is the token's consumer, and what it may do are the token's scopes.
//! Shapes and statuses are those of Digdir's API, as far as known clients (digdirator, okdata, maskinporten-cli) read them.
//!
//! Nothing is deleted: what is removed becomes inactive or denied, and cannot be created again under the same name.

mod access;
mod altinn;
mod audit;
mod caller;
mod client_input;
mod client_view;
mod clients;
mod delegations;
mod error;
mod keys;
mod onbehalfof;
pub mod openapi;
mod organisations;
mod pages;
mod scopes;
mod secrets;

use std::sync::Arc;

use skybru_core::Ctx;
use skybru_store::audit::AuditStore;
use skybru_store::{Change, LiveRegistry, Registry};

pub use access::AccessView;
pub use altinn::{ConsentInput, ConsentView, SystemUserInput, SystemUserView};
pub use audit::{AuditFilter, AuditPage, audit_entry};
pub use caller::{Caller, Right};
pub use client_input::ClientInput;
pub use client_view::ClientView;
pub use clients::ClientFilter;
pub use delegations::{DelegationFilter, DelegationSourceInput, DelegationSourceView, DelegationView};
pub use error::{ApiError, Problem};
pub use keys::{KeySetInput, KeySetView, KeyView};
pub use onbehalfof::{OnBehalfOfInput, OnBehalfOfView};
pub use organisations::OrganisationInput;
pub(crate) use pages::{PAGE, Pages};
pub use scopes::{ScopeInput, ScopeView};

use crate::issuer::Issuer;
use crate::limits::RateLimits;

/// Switches where the live API's behaviour is unknown, or stricter than known clients are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ApiCompat {
    /// A client must have scopes. The live API is said to want them; digdirator registers clients without.
    pub require_scopes: bool,
    /// Members that nobody knows are refused, not ignored.
    pub strict_unknown_fields: bool,
}

/// The API's rules. Callers come in as [`Caller`], already proven.
pub struct SelfService {
    pub(crate) registry: Arc<LiveRegistry>,
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) audit: Option<Arc<dyn AuditStore>>,
    pub(crate) ctx: Ctx,
    pub(crate) compat: ApiCompat,
    limits: Option<Arc<RateLimits>>,
}

impl SelfService {
    /// An API over the registry of `issuer`, whose tokens it takes.
    pub fn new(issuer: Arc<Issuer>) -> Self {
        let compat = ApiCompat::default();
        Self { registry: Arc::clone(&issuer.registry), ctx: issuer.ctx.clone(), issuer, audit: None, compat, limits: None }
    }

    /// The same, with the log of which organisations may read what concerns them.
    #[must_use]
    pub fn with_audit(self, audit: Arc<dyn AuditStore>) -> Self {
        Self { audit: Some(audit), ..self }
    }

    /// The same with other switches.
    #[must_use]
    pub fn with_compat(self, compat: ApiCompat) -> Self {
        Self { compat, ..self }
    }

    /// The same, answering each organisation only so often.
    #[must_use]
    pub fn with_limits(self, limits: Arc<RateLimits>) -> Self {
        Self { limits: Some(limits), ..self }
    }

    /// Counts a request of a proven caller.
    pub(crate) fn admit(&self, caller: &Caller) -> Result<(), ApiError> {
        let Some(limits) = &self.limits else { return Ok(()) };
        limits.check_organisation(caller.org()).map_err(|seconds| {
            self.issuer.metrics.limited("api");
            ApiError::TooOften(seconds)
        })
    }

    async fn change<T>(
        &self,
        caller: &Caller,
        decide: impl FnOnce(&Registry) -> Result<(Vec<Change>, T), ApiError>,
    ) -> Result<T, ApiError> {
        self.registry.change_as(Some(caller.org()), decide).await.map_err(ApiError::from)
    }
}
