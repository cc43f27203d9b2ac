//! What an issuer needs before anybody can register anything: the scopes of the self-service API, and clients that have them.
//!
//! Repeating it changes nothing.

use anyhow::{Context as _, Result};
use serde_json::json;
use skybru_core::OrgNumber;
use skybru_issuer::selfservice::{
    ApiError, Caller, ClientFilter, ClientInput, KeySetInput, OrganisationInput, ScopeInput, SelfService,
};
use skybru_protocol::jose::SigningKey;
use skybru_store::LiveRegistry;

/// Scopes of the self-service API itself that the operator's client has. The last is the operator's alone.
pub(crate) const SCOPES: [&str; 4] =
    ["idporten:dcr.write", "idporten:dcr/onbehalfof:write", "idporten:scopes.write", "skybru:operator"];

/// Those of them that an organisation needs to administer itself.
pub(crate) const OWN: [&str; 3] = ["idporten:dcr.write", "idporten:dcr/onbehalfof:write", "idporten:scopes.write"];

/// Further scopes of the API. Whoever registers clients for others needs the operator's consent.
const OTHERS: [(&str, bool); 5] = [
    ("idporten:dcr.read", true),
    ("idporten:dcr.modify", true),
    ("idporten:scopes.read", true),
    ("idporten:dcr.supplier", false),
    ("idporten:dcr.altinn", false),
];

/// Prefixes of those scopes; they belong to the operator.
pub(crate) const PREFIXES: [&str; 2] = ["idporten", "skybru"];

/// Registers an organisation, unless it is there.
pub(crate) async fn organisation(
    service: &SelfService,
    registry: &LiveRegistry,
    operator: &Caller,
    number: OrgNumber,
    name: &str,
    prefixes: &[&str],
) -> Result<()> {
    if registry.read(|registry| registry.organisation(number).is_some()) {
        return Ok(());
    }
    let prefixes = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
    service.put_organisation(operator, number.as_str(), OrganisationInput { name: name.to_owned(), prefixes }).await?;
    Ok(())
}

/// Creates a scope. Tells whether it was new.
pub(crate) async fn scope(service: &SelfService, owner: &Caller, name: &str, description: &str, open: bool) -> Result<bool> {
    let (prefix, subscope) = name.split_once(':').context("a scope has a colon")?;
    let input = ScopeInput {
        prefix: Some(prefix.to_owned()),
        subscope: Some(subscope.to_owned()),
        description: Some(description.to_owned()),
        accessible_for_all: open,
        ..ScopeInput::default()
    };
    match service.create_scope(owner, input).await {
        Ok(_) => Ok(true),
        Err(ApiError::Conflict(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The scopes of the self-service API. Everybody may have those for clients and scopes of one's own; the operator's is for the operator.
pub(crate) async fn scopes(service: &SelfService, operator: &Caller) -> Result<()> {
    for name in SCOPES {
        scope(service, operator, name, "Self-service", name != "skybru:operator").await?;
    }
    for (name, open) in OTHERS {
        scope(service, operator, name, "Self-service", open).await?;
    }
    Ok(())
}

/// The id of the caller's client with this description, made with `key` if it is not there.
pub(crate) async fn client(
    service: &SelfService,
    caller: &Caller,
    name: &str,
    description: &str,
    scopes: &[&str],
    key: &SigningKey,
) -> Result<String> {
    let clients = service.clients(caller, ClientFilter::default())?;
    if let Some(known) = clients.iter().find(|client| client.description == description) {
        return Ok(known.client_id.to_string());
    }
    let input: ClientInput = serde_json::from_value(json!({
        "client_name": name, "description": description, "integration_type": "maskinporten", "scopes": scopes
    }))?;
    let client = service.create_client(caller, input).await?;
    service.put_keys(caller, client.client_id.as_str(), KeySetInput { keys: vec![key.public_jwk()] }).await?;
    Ok(client.client_id)
}
