//! The self-service API: with it organisations register scopes, accesses, clients and keys.
//!
//! It is protected by the issuer's own tokens: the caller is the token's consumer, and what it may do are the token's scopes.
//! Shapes and statuses are those of Digdir's API, as far as known clients (digdirator, okdata, maskinporten-cli) read them.
//!
//! Nothing is deleted: what is removed becomes inactive or denied, and cannot be created again under the same name.

mod access;
mod caller;
mod clients;
mod error;
mod keys;
mod organisations;
mod scopes;

use std::sync::Arc;

use skybru_core::Ctx;
use skybru_store::{Change, LiveRegistry, Registry};

pub use access::AccessView;
pub use caller::{Caller, Right};
pub use clients::{ClientFilter, ClientInput};
pub use error::{ApiError, Problem};
pub use keys::{KeySetInput, KeySetView, KeyView};
pub use organisations::OrganisationInput;
pub use scopes::{ScopeInput, ScopeView};

use crate::issuer::Issuer;

/// The API's rules. Callers come in as [`Caller`], already proven.
pub struct SelfService {
    pub(crate) registry: Arc<LiveRegistry>,
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) ctx: Ctx,
}

impl SelfService {
    /// An API over the registry of `issuer`, whose tokens it takes.
    pub fn new(issuer: Arc<Issuer>) -> Self {
        Self { registry: Arc::clone(&issuer.registry), ctx: issuer.ctx.clone(), issuer }
    }

    async fn change<T>(&self, decide: impl FnOnce(&Registry) -> Result<(Vec<Change>, T), ApiError>) -> Result<T, ApiError> {
        self.registry.change(decide).await.map_err(ApiError::from)
    }
}
