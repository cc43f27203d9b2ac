//! Long listings, a page at a time: whoever reads a million clients gets all of them, and nobody ever holds all of them.
//!
//! The paths know no pages: digdirator and others read one array. So the array is made while it is sent. The registry is looked at for
//! one page at a time, and token requests go on between; what changes meanwhile is shown as it is when its page is made.

use std::sync::Arc;

use skybru_core::{OrgNumber, ScopeName};
use skybru_store::LiveRegistry;
use skybru_store::registry::{AccessState, ClientPlace};

use super::access::{AccessView, parse_org};
use super::client_view::ClientView;
use super::clients::is_own;
use super::scopes::own_scope;
use super::{ApiError, Caller, ClientFilter, Right, SelfService};

/// So many entries at a time.
pub(crate) const PAGE: usize = 500;

/// So many places are looked up at a time: each takes less than a microsecond.
const PLACES: usize = 20_000;

/// A listing, one page after the other. Pages may be empty.
pub(crate) struct Pages<T>(Box<dyn FnMut() -> Option<Vec<T>> + Send>);

impl<T> Iterator for Pages<T> {
    type Item = Vec<T>;

    fn next(&mut self) -> Option<Vec<T>> {
        (self.0)()
    }
}

impl SelfService {
    /// The caller's clients, oldest first.
    pub(crate) fn client_pages(&self, caller: &Caller, filter: ClientFilter) -> Result<Pages<ClientView>, ApiError> {
        caller.must(Right::ReadClients)?;
        let (registry, caller) = (Arc::clone(&self.registry), caller.clone());
        let mut places = places(&registry, caller.org()).into_iter();
        Ok(Pages(Box::new(move || {
            let page: Vec<ClientPlace> = places.by_ref().take(PAGE).collect();
            if page.is_empty() {
                return None;
            }
            Some(registry.read(|registry| {
                // Whose it is is asked for each, since the registry may have been read anew.
                let own = page.into_iter().filter_map(|place| registry.client_at(place)).filter(|client| is_own(client, &caller));
                let shown = own.filter(|client| client.active || filter.inactive);
                shown.map(|client| ClientView::new(registry, &client, None)).collect()
            }))
        })))
    }

    /// Accesses to the caller's own scopes: to one scope, of one organisation, or all. Denied ones only when asked for.
    pub(crate) fn access_pages(
        &self,
        caller: &Caller,
        scope: Option<&str>,
        consumer: Option<&str>,
        inactive_too: bool,
    ) -> Result<Pages<AccessView>, ApiError> {
        caller.must(Right::ReadScopes)?;
        let consumer = consumer.map(parse_org).transpose()?;
        let registry = Arc::clone(&self.registry);
        let scopes: Vec<ScopeName> = registry.read(|registry| {
            if let Some(scope) = scope {
                return Ok::<_, ApiError>(vec![own_scope(registry, caller, scope)?.name.clone()]);
            }
            let own = registry.scopes().filter(|scope| scope.owner_orgno == caller.org());
            Ok(own.map(|scope| scope.name.clone()).collect())
        })?;
        let mut scopes = scopes.into_iter().peekable();
        let mut after: Option<OrgNumber> = None;
        Ok(Pages(Box::new(move || {
            let scope = scopes.peek()?.clone();
            let (page, last) = registry.read(|registry| {
                // Of one organisation, each scope has one access at most.
                let found: Vec<_> = match consumer {
                    Some(org) => registry.access(&scope, org).into_iter().collect(),
                    None => registry.accesses_after(&scope, after, PAGE).collect(),
                };
                let last = found.last().filter(|_| consumer.is_none() && found.len() == PAGE).map(|access| access.consumer_orgno);
                let shown = found.into_iter().filter(|access| inactive_too || access.state != AccessState::Denied);
                (shown.map(|access| AccessView::new(registry, access)).collect(), last)
            });
            after = last;
            if last.is_none() {
                scopes.next();
            }
            Some(page)
        })))
    }
}

/// Where the organisation's clients lie, those that were registered first in front.
fn places(registry: &LiveRegistry, org: OrgNumber) -> Vec<ClientPlace> {
    let mut found = Vec::new();
    loop {
        let piece = registry.read(|registry| registry.client_places(org, found.len(), PLACES));
        let is_last = piece.len() < PLACES;
        found.extend(piece);
        if is_last {
            break;
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(_, place)| place).collect()
}
