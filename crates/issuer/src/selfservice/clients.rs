//! Clients of the caller's organisation, of those that it supplies, and of Altinn's platform.

use std::sync::Arc;

use skybru_core::{ClientId, OrgNumber, Secret};
use skybru_store::registry::{Client, ClientSecret};
use skybru_store::{Change, Registry};

use super::client_input::{ClientInput, Kept, has_secret};
use super::client_view::ClientView;
use super::secrets::new_secret;
use super::{ApiError, Caller, Right, SelfService};

/// Which clients to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClientFilter {
    /// Deactivated ones too.
    pub inactive: bool,
}

/// The mark of clients that Altinn's platform registered.
pub(super) const ALTINN: &str = "altinn";

impl SelfService {
    /// The caller's clients, oldest first, all at once: for those who know that there are few.
    pub fn clients(&self, caller: &Caller, filter: ClientFilter) -> Result<Vec<Client>, ApiError> {
        caller.must(Right::ReadClients)?;
        let mut clients: Vec<Client> = self.registry.read(|registry| {
            let own = registry.clients_of(caller.org()).filter(|client| is_own(client, caller));
            own.filter(|client| client.active || filter.inactive).map(|client| Client::clone(&client)).collect()
        });
        clients.sort_by(|a, b| (a.created, &a.client_id).cmp(&(b.created, &b.client_id)));
        Ok(clients)
    }

    /// One client.
    pub fn client(&self, caller: &Caller, id: &str, filter: ClientFilter) -> Result<ClientView, ApiError> {
        caller.must(Right::ReadClients)?;
        self.registry.read(|registry| {
            own_client(registry, caller, id, filter.inactive).map(|client| ClientView::new(registry, &client, None))
        })
    }

    /// Registers a client. Its id is assigned here.
    pub async fn create_client(&self, caller: &Caller, input: ClientInput) -> Result<ClientView, ApiError> {
        caller.must(Right::WriteClients)?;
        let id = ClientId::random(&*self.ctx.randomness);
        let now = self.ctx.clock.now();
        let (secret, kept_secret) = new_secret(&self.ctx);
        self.change(caller, |registry| {
            let owner = owner(registry, caller, input.client_orgno.as_deref());
            let supplier_orgno = owner.as_ref().ok().filter(|owner| supplies(caller, **owner)).map(|_| caller.org());
            let kept = Kept { client_id: id, supplier_orgno, created: now, now };
            let access = supplier_orgno.or(owner.as_ref().ok().copied()).unwrap_or(caller.org());
            let client = input.to_client(registry, owner, access, kept, self.compat).map_err(ApiError::Invalid)?;
            Ok(stored(registry, client, secret, kept_secret, None))
        })
        .await
    }

    /// Replaces a client's settings; its keys stay, and so does its secret as long as it may have one.
    pub async fn update_client(&self, caller: &Caller, id: &str, input: ClientInput) -> Result<ClientView, ApiError> {
        caller.must(Right::ChangeClients)?;
        let now = self.ctx.clock.now();
        let (secret, kept_secret) = new_secret(&self.ctx);
        self.change(caller, |registry| {
            let known = own_client(registry, caller, id, input.active == Some(true))?;
            if input.integration_type.is_some_and(|kind| kind != known.integration_type) {
                return Err(ApiError::field("Client", "integration_type", "integration_type cannot be changed"));
            }
            let owner = match input.client_orgno.as_deref() {
                Some(other) if other != known.client_orgno.as_str() => Err("client_orgno cannot be changed".to_owned()),
                _ => Ok(known.client_orgno),
            };
            let input = ClientInput { integration_type: Some(known.integration_type), ..input };
            let kept =
                Kept { client_id: known.client_id.clone(), supplier_orgno: known.supplier_orgno, created: known.created, now };
            let access = known.supplier_orgno.unwrap_or(known.client_orgno);
            let client = input.to_client(registry, owner, access, kept, self.compat).map_err(ApiError::Invalid)?;
            Ok(stored(registry, client, secret, kept_secret, Some(&known)))
        })
        .await
    }

    /// Deactivates a client: it gets no more tokens.
    pub async fn deactivate_client(&self, caller: &Caller, id: &str) -> Result<ClientView, ApiError> {
        caller.must(Right::WriteClients)?;
        let now = self.ctx.clock.now();
        self.change(caller, |registry| {
            let known = own_client(registry, caller, id, false)?;
            let client = Client { active: false, last_updated: now, ..Client::clone(&known) };
            let view = ClientView::new(registry, &client, None);
            Ok((vec![Change::PutClient(client)], view))
        })
        .await
    }
}

/// The change that stores a client, and its view. A client that may have a secret and has none gets the new one; the mark of who
/// registered it stays.
fn stored(
    registry: &Registry,
    client: Client,
    secret: Secret,
    kept: ClientSecret,
    known: Option<&Client>,
) -> (Vec<Change>, ClientView) {
    let mut client = client;
    let mark = known.and_then(Client::registered_by).map(str::to_owned);
    if let Some(mark) = mark {
        mark_as(&mut client, &mark);
    }
    let mut shown = None;
    if has_secret(&client.token_endpoint_auth_method) {
        client.secret = known.and_then(|known| known.secret.clone());
        if client.secret.is_none() {
            client.secret = Some(kept.into());
            shown = Some(secret);
        }
    }
    let view = ClientView::new(registry, &client, shown.as_ref());
    (vec![Change::PutClient(client)], view)
}

pub(super) fn mark_as(client: &mut Client, platform: &str) {
    let mut login = client.login.as_deref().cloned().unwrap_or_default();
    login.insert("registered_by".to_owned(), platform.into());
    client.login = Some(login.into());
}

/// Whether a client is the caller's: its own, or one that it registered as a supplier. A supplier's client is the supplier's to change, not
/// the customer's.
pub(super) fn is_own(client: &Client, caller: &Caller) -> bool {
    client.supplier_orgno.unwrap_or(client.client_orgno) == caller.org()
}

/// A client of the caller's; the operator may touch any, Altinn's platform those that it registered. Another organisation's looks like
/// one that is not there.
pub(super) fn own_client(registry: &Registry, caller: &Caller, id: &str, inactive_too: bool) -> Result<Arc<Client>, ApiError> {
    let known = id.parse::<ClientId>().ok().and_then(|id| registry.client(&id)).map(|known| known.client);
    let altinns = |client: &Client| caller.is_altinn() && client.registered_by() == Some(ALTINN);
    let may = |client: &Arc<Client>| {
        if caller.is_altinn() { altinns(client) } else { is_own(client, caller) || caller.may(Right::Operate) }
    };
    known.filter(may).filter(|client| client.active || inactive_too).ok_or_else(|| {
        ApiError::NotFound(format!("client {} is not registered, or is not yours", id.chars().take(60).collect::<String>()))
    })
}

/// Whether the caller registers a client of `owner` as its supplier.
fn supplies(caller: &Caller, owner: OrgNumber) -> bool {
    owner != caller.org() && caller.may(Right::Supply) && !caller.may(Right::Operate)
}

/// Whose client it will be. A supplier names its customer; the operator registers an organisation's first client, with which that one goes
/// on by itself.
fn owner(registry: &Registry, caller: &Caller, wished: Option<&str>) -> Result<OrgNumber, String> {
    let Some(text) = wished.filter(|org| *org != caller.org().as_str()) else { return Ok(caller.org()) };
    if !caller.may(Right::Operate) && !caller.may(Right::Supply) {
        return Err(format!("client_orgno must be {}, the organisation of the caller", caller.org()));
    }
    let org: OrgNumber = text.parse().map_err(|error: skybru_core::org::OrgNumberError| format!("client_orgno: {error}"))?;
    let known = caller.may(Right::Supply) || registry.organisation(org).is_some();
    known.then_some(org).ok_or_else(|| format!("client_orgno: organisation {org} is not registered here"))
}
