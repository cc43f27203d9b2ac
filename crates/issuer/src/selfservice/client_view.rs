//! A client as it goes out.

use serde::Serialize;
use serde_json::{Map, Value};
use skybru_core::Secret;
use skybru_store::Registry;
use skybru_store::registry::Client;
use utoipa::ToSchema;

use super::client_input::kind_name;
use super::onbehalfof::OnBehalfOfView;

/// A client as it goes out. Its secret is here once only: when it has just been made.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = ClientResponse)]
pub struct ClientView {
    /// Assigned by the server.
    pub client_id: String,
    client_name: String,
    description: String,
    client_orgno: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    supplier_orgno: Option<String>,
    integration_type: &'static str,
    application_type: String,
    token_endpoint_auth_method: String,
    grant_types: Vec<String>,
    scopes: Vec<String>,
    /// Seconds; absent means the issuer's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token_lifetime: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_uri: Option<String>,
    /// What was given of `redirect_uris`, `refresh_token_lifetime` and the other members of login clients.
    #[serde(flatten)]
    #[schema(ignore)]
    login: Map<String, Value>,
    /// Only in the answer to the request that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    onbehalfof: Vec<OnBehalfOfView>,
    active: bool,
    /// RFC 3339.
    #[schema(format = DateTime)]
    created: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    last_updated: String,
}

impl std::fmt::Debug for ClientView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It may hold a secret.
        f.debug_struct("ClientView").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Marks of our own among the login members; nobody sees them.
pub(super) const HIDDEN: [&str; 2] = ["login_scopes", "registered_by"];

impl ClientView {
    pub(super) fn new(registry: &Registry, client: &Client, secret: Option<&Secret>) -> Self {
        let login = client.login.as_deref();
        let mut members: Map<String, Value> = login.cloned().unwrap_or_default();
        for hidden in HIDDEN {
            members.remove(hidden);
        }
        let plain = login.and_then(|login| login.get("login_scopes")).and_then(Value::as_array).into_iter().flatten();
        let plain = plain.filter_map(Value::as_str).map(str::to_owned);
        let entries = registry.records().on_behalf_of_client(&client.client_id).filter(|entry| entry.active);
        Self {
            client_id: client.client_id.to_string(),
            client_name: client.client_name.clone(),
            description: client.description.clone(),
            client_orgno: client.client_orgno.to_string(),
            supplier_orgno: client.supplier_orgno.map(|org| org.to_string()),
            integration_type: kind_name(client.integration_type),
            application_type: client.application_type.clone(),
            token_endpoint_auth_method: client.token_endpoint_auth_method.clone(),
            grant_types: client.grant_types.clone(),
            scopes: plain.chain(client.scopes.iter().map(ToString::to_string)).collect(),
            access_token_lifetime: Some(client.access_token_lifetime).filter(|seconds| *seconds > 0),
            client_uri: client.client_uri.clone(),
            login: members,
            client_secret: secret.map(|secret| secret.expose().to_owned()),
            onbehalfof: entries.map(OnBehalfOfView::from).collect(),
            active: client.active,
            created: client.created.to_string(),
            last_updated: client.last_updated.to_string(),
        }
    }
}
