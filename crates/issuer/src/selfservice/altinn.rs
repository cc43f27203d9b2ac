//! What Altinn's platform does at the issuer: it registers clients for any organisation; and what the issuer would ask Altinn about, kept
//! here for tests and for those who have no Altinn: system users and consents.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skybru_core::{ClientId, OrgNumber};
use skybru_protocol::details::is_party_urn;
use skybru_store::records::{Consent, SystemUser};
use skybru_store::{Change, Record};
use utoipa::ToSchema;

use super::client_input::{ClientInput, Kept};
use super::client_view::ClientView;
use super::clients::{ALTINN, ClientFilter, mark_as};
use super::{ApiError, Caller, Right, SelfService};

/// A system user as it comes in.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = SystemUserRequest)]
pub struct SystemUserInput {
    /// The system's name after the vendor's number.
    pub system: String,
    /// The client that the system is bound to.
    pub client_id: String,
    /// The party.
    pub orgno: String,
    /// Tells several system users of one party apart.
    #[serde(default, rename = "externalRef")]
    pub external_ref: Option<String>,
    /// `false` withdraws it.
    #[serde(default = "yes")]
    pub active: bool,
}

/// A system user as it goes out.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = SystemUserResponse)]
pub struct SystemUserView {
    systemuser_id: String,
    system_id: String,
    client_id: String,
    orgno: String,
    #[serde(rename = "externalRef", skip_serializing_if = "Option::is_none")]
    external_ref: Option<String>,
    active: bool,
}

/// A consent as it comes in.
#[derive(Deserialize, ToSchema)]
#[schema(as = ConsentRequest)]
pub struct ConsentInput {
    /// Who gives it: `urn:altinn:person:identifier-no:…` or `urn:altinn:organization:identifier-no:…`.
    pub from: String,
    /// The organisation that it is given to.
    pub to: String,
    /// Until when it counts.
    #[serde(rename = "validTo")]
    #[schema(value_type = String, format = DateTime)]
    pub valid_to: Timestamp,
    /// What it allows, as it goes into tokens.
    #[serde(rename = "consentRights")]
    pub rights: Value,
    /// `false` withdraws it.
    #[serde(default = "yes")]
    pub active: bool,
}

/// A consent as it goes out. Who gave it is not repeated: it may be a person.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ConsentResponse)]
pub struct ConsentView {
    id: String,
    to: String,
    #[schema(format = DateTime)]
    consented: String,
    #[serde(rename = "validTo")]
    #[schema(format = DateTime)]
    valid_to: String,
    active: bool,
}

fn yes() -> bool {
    true
}

impl SelfService {
    /// Clients that Altinn's platform has registered.
    pub fn altinn_clients(&self, caller: &Caller, filter: ClientFilter) -> Result<Vec<ClientView>, ApiError> {
        caller.must(Right::Altinn)?;
        let mut clients = self.registry.read(|registry| {
            let shown = registry.clients_registered_by(ALTINN).filter(|client| client.active || filter.inactive);
            shown.map(|client| ClientView::new(registry, &client, None)).collect::<Vec<_>>()
        });
        clients.sort_by(|a, b| a.client_id.cmp(&b.client_id));
        Ok(clients)
    }

    /// Registers a client for the organisation that the input names.
    pub async fn create_altinn_client(&self, caller: &Caller, input: ClientInput) -> Result<ClientView, ApiError> {
        caller.must(Right::Altinn)?;
        if input.unknown.get("supplier_orgno").is_some_and(|supplier| !supplier.is_null()) {
            return Err(ApiError::field("Client", "supplier_orgno", "supplier_orgno must not be set"));
        }
        let (client_id, now) = (ClientId::random(&*self.ctx.randomness), self.ctx.clock.now());
        self.change(caller, |registry| {
            let owner = input.client_orgno.as_deref().ok_or_else(|| "client_orgno is missing".to_owned());
            let owner = owner.and_then(|text| text.parse::<OrgNumber>().map_err(|error| format!("client_orgno: {error}")));
            let access = owner.as_ref().copied().unwrap_or(caller.org());
            let kept = Kept { client_id, supplier_orgno: None, created: now, now };
            let mut client = input.to_client(registry, owner, access, kept, self.compat).map_err(ApiError::Invalid)?;
            mark_as(&mut client, ALTINN);
            let view = ClientView::new(registry, &client, None);
            Ok((vec![Change::PutClient(client)], view))
        })
        .await
    }

    /// Registers a system user, or changes it.
    pub async fn put_system_user(&self, caller: &Caller, id: &str, input: SystemUserInput) -> Result<SystemUserView, ApiError> {
        caller.must(Right::Operate)?;
        let wrong = |field, message: String| ApiError::field("SystemUser", field, message);
        let id = uuid(id).ok_or_else(|| wrong("id", "id must be a UUID".to_owned()))?;
        let orgno: OrgNumber =
            input.orgno.parse().map_err(|e: skybru_core::org::OrgNumberError| wrong("orgno", e.to_string()))?;
        let client: ClientId =
            input.client_id.parse().map_err(|e: skybru_core::id::IdError| wrong("client_id", e.to_string()))?;
        let now = self.ctx.clock.now();
        self.change(caller, |registry| {
            let known =
                registry.client(&client).ok_or_else(|| wrong("client_id", format!("client {client} is not registered")))?;
            let system_id = format!("{}_{}", known.client.client_orgno, input.system);
            let external_ref = input.external_ref.filter(|text| !text.is_empty());
            let user =
                SystemUser { id, system_id, client, orgno, external_ref, active: input.active, created: now, last_updated: now };
            let view = SystemUserView {
                systemuser_id: user.id.clone(),
                system_id: user.system_id.clone(),
                client_id: user.client.to_string(),
                orgno: user.orgno.to_string(),
                external_ref: user.external_ref.clone(),
                active: user.active,
            };
            Ok((vec![Change::PutRecord(Record::SystemUser(user))], view))
        })
        .await
    }

    /// Registers a consent, or changes it.
    pub async fn put_consent(&self, caller: &Caller, id: &str, input: ConsentInput) -> Result<ConsentView, ApiError> {
        caller.must(Right::Operate)?;
        let wrong = |field, message: String| ApiError::field("Consent", field, message);
        let id = uuid(id).ok_or_else(|| wrong("id", "id must be a UUID".to_owned()))?;
        if !is_party_urn(&input.from) {
            return Err(wrong("from", "from must name a person or an organisation by one of Altinn's URNs".to_owned()));
        }
        let to: OrgNumber = input.to.parse().map_err(|e: skybru_core::org::OrgNumberError| wrong("to", e.to_string()))?;
        let now = self.ctx.clock.now();
        self.change(caller, |registry| {
            let known = registry.records().consent(&id);
            let (consented, created) = known.map_or((now, now), |known| (known.consented, known.created));
            let consent = Consent {
                id,
                from: input.from,
                to,
                consented,
                valid_to: input.valid_to,
                rights: input.rights,
                active: input.active,
                created,
                last_updated: now,
            };
            let view = ConsentView {
                id: consent.id.clone(),
                to: consent.to.to_string(),
                consented: consent.consented.to_string(),
                valid_to: consent.valid_to.to_string(),
                active: consent.active,
            };
            Ok((vec![Change::PutRecord(Record::Consent(consent))], view))
        })
        .await
    }
}

fn uuid(text: &str) -> Option<String> {
    let fine = text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    fine.then(|| text.to_ascii_lowercase())
}
