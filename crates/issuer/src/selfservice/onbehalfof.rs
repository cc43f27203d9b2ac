//! Entries of a client on behalf of others: one registration, several customers.

use serde::{Deserialize, Serialize};
use skybru_core::OrgNumber;
use skybru_store::records::OnBehalfOf;
use skybru_store::{Change, Record, Registry};
use utoipa::ToSchema;

use super::clients::own_client;
use super::{ApiError, Caller, Problem, Right, SelfService};

/// An entry as it comes in. Documentation and test data disagree on two names, so both are read.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[schema(as = OnBehalfOfRequest)]
#[serde(default)]
pub struct OnBehalfOfInput {
    /// Its id; made here when absent.
    pub onbehalfof: Option<String>,
    /// Required.
    #[serde(alias = "display_name", alias = "organization_name")]
    pub name: Option<String>,
    /// Required: the customer.
    pub orgno: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Where people can read about it.
    #[serde(alias = "url")]
    pub client_uri: Option<String>,
    /// A picture for people.
    pub logo_uri: Option<String>,
}

/// An entry as it goes out, with both spellings.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OnBehalfOfResponse)]
pub struct OnBehalfOfView {
    onbehalfof: String,
    name: String,
    display_name: String,
    orgno: String,
    organization_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logo_uri: Option<String>,
    active: bool,
    #[schema(format = DateTime)]
    created: String,
    #[schema(format = DateTime)]
    last_updated: String,
}

impl From<&OnBehalfOf> for OnBehalfOfView {
    fn from(entry: &OnBehalfOf) -> Self {
        Self {
            onbehalfof: entry.id.clone(),
            name: entry.name.clone(),
            display_name: entry.name.clone(),
            orgno: entry.orgno.to_string(),
            organization_name: entry.name.clone(),
            description: entry.description.clone(),
            client_uri: entry.client_uri.clone(),
            url: entry.client_uri.clone(),
            logo_uri: entry.logo_uri.clone(),
            active: entry.active,
            created: entry.created.to_string(),
            last_updated: entry.last_updated.to_string(),
        }
    }
}

impl SelfService {
    /// A client's entries, by id.
    pub fn on_behalf_of(&self, caller: &Caller, client: &str, inactive_too: bool) -> Result<Vec<OnBehalfOfView>, ApiError> {
        caller.must(Right::ReadOnBehalfOf)?;
        self.registry.read(|registry| {
            let client = &own_client(registry, caller, client, false)?.client_id;
            let shown = registry.records().on_behalf_of_client(client).filter(|entry| entry.active || inactive_too);
            Ok(shown.map(OnBehalfOfView::from).collect())
        })
    }

    /// One entry.
    pub fn on_behalf_of_one(&self, caller: &Caller, client: &str, id: &str) -> Result<OnBehalfOfView, ApiError> {
        caller.must(Right::ReadOnBehalfOf)?;
        self.registry.read(|registry| entry(registry, caller, client, id).map(OnBehalfOfView::from))
    }

    /// Makes an entry.
    pub async fn create_on_behalf_of(
        &self,
        caller: &Caller,
        client: &str,
        input: OnBehalfOfInput,
    ) -> Result<OnBehalfOfView, ApiError> {
        caller.must(Right::WriteOnBehalfOf)?;
        let made = skybru_core::id::uuid(&*self.ctx.randomness).to_string();
        let now = self.ctx.clock.now();
        self.change(caller, |registry| {
            let client = own_client(registry, caller, client, false)?;
            let id = input.onbehalfof.clone().filter(|id| !id.is_empty()).unwrap_or(made);
            if let Some(known) = registry.records().on_behalf_of(&client.client_id, &id) {
                let state = if known.active { "exists" } else { "exists and is deactivated" };
                return Err(ApiError::Conflict(format!("entry {id} {state}")));
            }
            let delegable =
                client.scopes.iter().filter_map(|name| registry.scope(name)).find(|scope| scope.delegation_source.is_some());
            if let Some(scope) = delegable {
                let message =
                    format!("scope {} of the client is delegated by its consumers; such a client has no entries", scope.name);
                return Err(ApiError::field("OnBehalfOf", "onbehalfof", message));
            }
            let (name, orgno) = required(&input, &id)?;
            let entry = OnBehalfOf {
                client: client.client_id.clone(),
                id,
                orgno,
                name,
                description: input.description.clone(),
                client_uri: input.client_uri.clone(),
                logo_uri: input.logo_uri.clone(),
                active: true,
                created: now,
                last_updated: now,
            };
            let view = OnBehalfOfView::from(&entry);
            Ok((vec![Change::PutRecord(Record::OnBehalfOf(entry))], view))
        })
        .await
    }

    /// Changes an entry.
    pub async fn update_on_behalf_of(
        &self,
        caller: &Caller,
        client: &str,
        id: &str,
        input: OnBehalfOfInput,
    ) -> Result<OnBehalfOfView, ApiError> {
        caller.must(Right::WriteOnBehalfOf)?;
        let now = self.ctx.clock.now();
        self.change(caller, |registry| {
            let known = entry(registry, caller, client, id)?;
            let (name, orgno) = required(&input, id)?;
            let entry = OnBehalfOf {
                orgno,
                name,
                description: input.description.clone(),
                client_uri: input.client_uri.clone(),
                logo_uri: input.logo_uri.clone(),
                last_updated: now,
                ..known.clone()
            };
            let view = OnBehalfOfView::from(&entry);
            Ok((vec![Change::PutRecord(Record::OnBehalfOf(entry))], view))
        })
        .await
    }

    /// Deactivates an entry.
    pub async fn deactivate_on_behalf_of(&self, caller: &Caller, client: &str, id: &str) -> Result<(), ApiError> {
        caller.must(Right::WriteOnBehalfOf)?;
        let now = self.ctx.clock.now();
        self.change(caller, |registry| {
            let entry = OnBehalfOf { active: false, last_updated: now, ..entry(registry, caller, client, id)?.clone() };
            Ok((vec![Change::PutRecord(Record::OnBehalfOf(entry))], ()))
        })
        .await
    }
}

fn entry<'a>(registry: &'a Registry, caller: &Caller, client: &str, id: &str) -> Result<&'a OnBehalfOf, ApiError> {
    let client = &own_client(registry, caller, client, false)?.client_id;
    let known = registry.records().on_behalf_of(client, id).filter(|entry| entry.active);
    known.ok_or_else(|| ApiError::NotFound(format!("the client has no entry {}", id.chars().take(60).collect::<String>())))
}

fn required(input: &OnBehalfOfInput, id: &str) -> Result<(String, OrgNumber), ApiError> {
    let mut problems = Vec::new();
    if id.len() > 128 || !id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
        problems.push(Problem::field(
            "OnBehalfOf",
            "onbehalfof",
            "onbehalfof must be 1 to 128 characters out of A-Z a-z 0-9 . _ -",
        ));
    }
    let name = input.name.clone().filter(|name| !name.trim().is_empty());
    if name.is_none() {
        problems.push(Problem::field("OnBehalfOf", "name", "name is missing"));
    }
    let orgno = input.orgno.as_deref().unwrap_or_default().parse::<OrgNumber>();
    if let Err(error) = &orgno {
        problems.push(Problem::field("OnBehalfOf", "orgno", format!("orgno: {error}")));
    }
    match (name, orgno) {
        (Some(name), Ok(orgno)) if problems.is_empty() => Ok((name, orgno)),
        _ => Err(ApiError::Invalid(problems)),
    }
}
