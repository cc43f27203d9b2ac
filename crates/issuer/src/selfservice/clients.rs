//! Clients of the caller's organisation.

use serde::Deserialize;
use skybru_core::{ClientId, OrgNumber, ScopeName};
use skybru_protocol::oauth::JWT_BEARER;
use skybru_store::registry::{Client, IntegrationType, Scope, Visibility};
use skybru_store::{Change, Registry};

use super::{ApiError, Caller, Problem, Right, SelfService};

/// A client as it comes in. Members that only the server sets, and those of login clients, are ignored.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClientInput {
    /// Required; shown to people.
    pub client_name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// The caller's own when absent; another's only for the issuer's operator.
    pub client_orgno: Option<String>,
    /// `maskinporten`.
    pub integration_type: Option<IntegrationType>,
    /// `web`.
    pub application_type: Option<String>,
    /// `private_key_jwt`.
    pub token_endpoint_auth_method: Option<String>,
    /// The JWT grant, in its long or its short name.
    pub grant_types: Option<Vec<String>>,
    /// May be empty: digdirator registers a client whose scopes are not granted yet.
    pub scopes: Option<Vec<String>>,
    /// Seconds.
    pub access_token_lifetime: Option<u32>,
    /// Where people can read about it.
    pub client_uri: Option<String>,
    /// `true` brings a deactivated client back (PUT only).
    pub active: Option<bool>,
}

/// Which clients to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClientFilter {
    /// Deactivated ones too.
    pub inactive: bool,
}

/// The short name under which clients register the grant.
const SHORT_GRANT: &str = "jwt_bearer_token";

/// The longest life of a token that may be asked for, in seconds.
const MAX_TOKEN_LIFETIME: u32 = 7200;

impl SelfService {
    /// The caller's clients, oldest first.
    pub fn clients(&self, caller: &Caller, filter: ClientFilter) -> Result<Vec<Client>, ApiError> {
        caller.must(Right::ReadClients)?;
        let mut clients: Vec<Client> = self.registry.read(|registry| {
            let all = registry.clients().map(|known| known.client.as_ref());
            all.filter(|client| client.client_orgno == caller.org() && (client.active || filter.inactive)).cloned().collect()
        });
        clients.sort_by(|a, b| (a.created, &a.client_id).cmp(&(b.created, &b.client_id)));
        Ok(clients)
    }

    /// One client.
    pub fn client(&self, caller: &Caller, id: &str, filter: ClientFilter) -> Result<Client, ApiError> {
        caller.must(Right::ReadClients)?;
        self.registry.read(|registry| own_client(registry, caller, id, filter.inactive).cloned())
    }

    /// Registers a client. Its id is assigned here.
    pub async fn create_client(&self, caller: &Caller, input: ClientInput) -> Result<Client, ApiError> {
        caller.must(Right::WriteClients)?;
        let id = ClientId::random(&*self.ctx.randomness);
        let now = self.ctx.clock.now();
        self.change(|registry| {
            let client = from_input(registry, caller, &input, id, now, now)?;
            Ok((vec![Change::PutClient(client.clone())], client))
        })
        .await
    }

    /// Replaces a client's settings; its keys stay.
    pub async fn update_client(&self, caller: &Caller, id: &str, input: ClientInput) -> Result<Client, ApiError> {
        caller.must(Right::WriteClients)?;
        let now = self.ctx.clock.now();
        self.change(|registry| {
            let known = own_client(registry, caller, id, input.active == Some(true))?;
            if input.integration_type.is_some_and(|kind| kind != known.integration_type) {
                return Err(ApiError::field("Client", "integration_type", "integration_type cannot be changed"));
            }
            let client = from_input(registry, caller, &input, known.client_id.clone(), known.created, now)?;
            Ok((vec![Change::PutClient(client.clone())], client))
        })
        .await
    }

    /// Deactivates a client: it gets no more tokens.
    pub async fn deactivate_client(&self, caller: &Caller, id: &str) -> Result<Client, ApiError> {
        caller.must(Right::WriteClients)?;
        let now = self.ctx.clock.now();
        self.change(|registry| {
            let client = Client { active: false, last_updated: now, ..own_client(registry, caller, id, false)?.clone() };
            Ok((vec![Change::PutClient(client.clone())], client))
        })
        .await
    }
}

/// A client of the caller's; the operator may touch any. Another organisation's looks like one that is not there.
pub(super) fn own_client<'a>(
    registry: &'a Registry,
    caller: &Caller,
    id: &str,
    inactive_too: bool,
) -> Result<&'a Client, ApiError> {
    let known = id.parse::<ClientId>().ok().and_then(|id| registry.client(&id)).map(|known| known.client.as_ref());
    let may = |client: &&Client| client.client_orgno == caller.org() || caller.must(Right::Operate).is_ok();
    known.filter(may).filter(|client| client.active || inactive_too).ok_or_else(|| {
        ApiError::NotFound(format!("client {} is not registered, or is not yours", id.chars().take(60).collect::<String>()))
    })
}

fn from_input(
    registry: &Registry,
    caller: &Caller,
    input: &ClientInput,
    client_id: ClientId,
    created: jiff::Timestamp,
    last_updated: jiff::Timestamp,
) -> Result<Client, ApiError> {
    let mut problems = Vec::new();
    let mut wrong = |field, message: String| problems.push(Problem::field("Client", field, message));

    let client_name = input.client_name.clone().unwrap_or_default();
    if client_name.trim().is_empty() {
        wrong("client_name", "client_name is missing".to_owned());
    }
    let owner = owner(registry, caller, input.client_orgno.as_deref()).unwrap_or_else(|message| {
        wrong("client_orgno", message);
        caller.org()
    });
    match input.integration_type {
        Some(IntegrationType::Maskinporten) => {}
        Some(_) => wrong("integration_type", "integration_type must be maskinporten: this issuer has no logins".to_owned()),
        None => wrong("integration_type", "integration_type is missing: expected maskinporten".to_owned()),
    }
    let application_type = input.application_type.clone().unwrap_or_else(|| "web".to_owned());
    if application_type != "web" {
        wrong("application_type", "application_type must be web for maskinporten".to_owned());
    }
    let auth_method = input.token_endpoint_auth_method.clone().unwrap_or_else(|| "private_key_jwt".to_owned());
    if auth_method != "private_key_jwt" {
        wrong("token_endpoint_auth_method", "token_endpoint_auth_method must be private_key_jwt for maskinporten".to_owned());
    }
    let grants = input.grant_types.clone().unwrap_or_else(|| vec![JWT_BEARER.to_owned()]);
    if grants.is_empty() || grants.iter().any(|grant| grant != JWT_BEARER && grant != SHORT_GRANT) {
        wrong("grant_types", format!("grant_types must be [\"{JWT_BEARER}\"] for maskinporten"));
    }
    let access_token_lifetime = input.access_token_lifetime.unwrap_or(0);
    if input.access_token_lifetime == Some(0) || access_token_lifetime > MAX_TOKEN_LIFETIME {
        wrong("access_token_lifetime", format!("access_token_lifetime must be 1 to {MAX_TOKEN_LIFETIME} seconds, or absent"));
    }
    let mut scopes = Vec::new();
    for text in input.scopes.iter().flatten() {
        match allowed_scope(registry, owner, text) {
            Ok(scope) if scopes.contains(&scope) => {}
            Ok(scope) => scopes.push(scope),
            Err(message) => wrong("scopes", message),
        }
    }
    if !problems.is_empty() {
        return Err(ApiError::Invalid(problems));
    }
    Ok(Client {
        client_id,
        client_name,
        description: input.description.clone().unwrap_or_default(),
        client_orgno: owner,
        supplier_orgno: None,
        integration_type: IntegrationType::Maskinporten,
        application_type,
        token_endpoint_auth_method: auth_method,
        grant_types: vec![JWT_BEARER.to_owned()],
        scopes,
        access_token_lifetime,
        client_uri: input.client_uri.clone(),
        login: None,
        secret: None,
        active: input.active.unwrap_or(true),
        created,
        last_updated,
    })
}

/// Whose client it will be. The operator registers an organisation's first client, with which that one goes on by itself.
fn owner(registry: &Registry, caller: &Caller, wished: Option<&str>) -> Result<OrgNumber, String> {
    let Some(text) = wished.filter(|org| *org != caller.org().as_str()) else { return Ok(caller.org()) };
    if caller.must(Right::Operate).is_err() {
        return Err(format!("client_orgno must be {}, the organisation of the caller", caller.org()));
    }
    let org: OrgNumber = text.parse().map_err(|error: skybru_core::org::OrgNumberError| format!("client_orgno: {error}"))?;
    let known = registry.organisation(org).is_some();
    known.then_some(org).ok_or_else(|| format!("client_orgno: organisation {org} is not registered here"))
}

/// A scope may stand on a client when it is open to all, granted, the caller's own, or delegable: a supplier must be able to register it
/// before any consumer is known. Whether it may be *used* is looked at again for every token.
fn allowed_scope(registry: &Registry, owner: OrgNumber, text: &str) -> Result<ScopeName, String> {
    let name: ScopeName = text.parse().map_err(|e: skybru_core::scope::ScopeError| e.to_string())?;
    let visible = |scope: &&std::sync::Arc<Scope>| scope.visibility != Visibility::Internal || registry.has_access(scope, owner);
    let Some(scope) = registry.scope(&name).filter(visible) else {
        return Err(format!("scope {name} does not exist"));
    };
    let kinds = &scope.allowed_integration_types;
    if !kinds.is_empty() && !kinds.contains(&IntegrationType::Maskinporten) {
        return Err(format!("scope {name} is not for maskinporten"));
    }
    if registry.has_access(scope, owner) || scope.delegation_source.is_some() {
        return Ok(name);
    }
    Err(format!("organisation {owner} has no access to scope {name}: its owner must grant it first"))
}
