//! The registry's smaller kinds: who acts for whom, who has delegated what, and what Altinn knows of systems and consents.
//!
//! They are few, so they share one table: a kind, an id and a JSON document. A new kind is a variant of [`Record`] and needs no migration.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skybru_core::{ClientId, OrgNumber, ScopeName};

/// A registration of a client made in another organisation's name: the same software, one entry a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnBehalfOf {
    /// The client.
    pub client: ClientId,
    /// The entry's id, unique for the client.
    #[serde(rename = "onbehalfof")]
    pub id: String,
    /// In whose name.
    pub orgno: OrgNumber,
    /// For people.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where people can read about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// A picture for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// An inactive one is not found.
    pub active: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub last_updated: Timestamp,
}

/// Somebody who keeps delegations: scopes name it by its issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegationSourceRecord {
    /// A short name, such as `altinn`.
    pub name: String,
    /// What stands in scopes and tokens, such as `https://tt02.altinn.no/`.
    pub issuer: String,
    /// When it was registered.
    pub created: Timestamp,
    /// When it was last changed.
    pub last_updated: Timestamp,
}

/// A consumer lets a supplier use a scope in its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// Who delegates.
    pub consumer_orgno: OrgNumber,
    /// To whom.
    pub supplier_orgno: OrgNumber,
    /// What.
    pub scope: ScopeName,
    /// A withdrawn one is kept, and counts no more.
    pub active: bool,
    /// When it was first given.
    pub created: Timestamp,
    /// When it was last given or withdrawn.
    pub last_updated: Timestamp,
}

/// A system user: a vendor's system acts for a party that has accepted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemUser {
    /// Its id, a UUID.
    pub id: String,
    /// The system, `VENDOR_name`.
    pub system_id: String,
    /// The one client that the system is bound to.
    pub client: ClientId,
    /// The party.
    pub orgno: OrgNumber,
    /// Tells several system users of one party apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_ref: Option<String>,
    /// A withdrawn one is not found.
    pub active: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub last_updated: Timestamp,
}

/// Somebody's consent to give an organisation data about them. Who gave it may be a person, so it is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Its id, a UUID.
    pub id: String,
    /// Who gave it, as the URN that requests name.
    pub from: String,
    /// To whom.
    pub to: OrgNumber,
    /// When it was given.
    pub consented: Timestamp,
    /// Until when it counts.
    pub valid_to: Timestamp,
    /// What it allows, as it goes into tokens.
    pub rights: Value,
    /// A withdrawn one is not found.
    pub active: bool,
    /// When it was registered here.
    pub created: Timestamp,
    /// When it was last changed.
    pub last_updated: Timestamp,
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Consent");
        shown.field("id", &self.id).field("to", &self.to).field("active", &self.active).finish_non_exhaustive()
    }
}

/// Something that another part keeps here whole: the registry stores it and hands it to every node, and does not look inside.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its name.
    pub id: String,
    /// May hold sealed secrets, so it is never printed.
    pub body: Value,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("id", &self.id).finish_non_exhaustive()
    }
}

/// One of the smaller kinds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "body")]
pub enum Record {
    /// See [`OnBehalfOf`].
    OnBehalfOf(OnBehalfOf),
    /// See [`DelegationSourceRecord`].
    DelegationSource(DelegationSourceRecord),
    /// See [`Delegation`].
    Delegation(Delegation),
    /// See [`SystemUser`].
    SystemUser(SystemUser),
    /// See [`Consent`].
    Consent(Consent),
    /// See [`Document`].
    Document(Document),
}

impl Record {
    /// The kind's name, the first half of the key under which a record is stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OnBehalfOf(_) => "on_behalf_of",
            Self::DelegationSource(_) => "delegation_source",
            Self::Delegation(_) => "delegation",
            Self::SystemUser(_) => "system_user",
            Self::Consent(_) => "consent",
            Self::Document(_) => "document",
        }
    }

    /// The record's own name, the other half.
    pub fn id(&self) -> String {
        match self {
            Self::OnBehalfOf(entry) => format!("{} {}", entry.client, entry.id),
            Self::DelegationSource(source) => source.name.clone(),
            Self::Delegation(given) => format!("{} {} {}", given.scope, given.consumer_orgno, given.supplier_orgno),
            Self::SystemUser(user) => user.id.clone(),
            Self::Consent(consent) => consent.id.clone(),
            Self::Document(document) => document.id.clone(),
        }
    }
}

/// Scope, consumer, supplier.
type DelegationKey = (ScopeName, OrgNumber, OrgNumber);

/// All records, in memory.
#[derive(Debug, Default)]
pub struct Records {
    on_behalf_of: BTreeMap<(ClientId, String), OnBehalfOf>,
    sources: BTreeMap<String, DelegationSourceRecord>,
    delegations: BTreeMap<DelegationKey, Delegation>,
    /// The same delegations by consumer, and by supplier.
    delegations_of: HashMap<OrgNumber, BTreeSet<DelegationKey>>,
    system_users: BTreeMap<(ClientId, OrgNumber, String), SystemUser>,
    consents: BTreeMap<String, Consent>,
    documents: BTreeMap<String, Document>,
}

impl Records {
    pub(crate) fn put(&mut self, record: Record) {
        match record {
            Record::OnBehalfOf(entry) => {
                self.on_behalf_of.insert((entry.client.clone(), entry.id.clone()), entry);
            }
            Record::DelegationSource(source) => {
                self.sources.insert(source.name.clone(), source);
            }
            Record::Delegation(given) => {
                let key = (given.scope.clone(), given.consumer_orgno, given.supplier_orgno);
                for party in [given.consumer_orgno, given.supplier_orgno] {
                    self.delegations_of.entry(party).or_default().insert(key.clone());
                }
                self.delegations.insert(key, given);
            }
            Record::SystemUser(user) => {
                self.system_users.insert((user.client.clone(), user.orgno, user.id.clone()), user);
            }
            Record::Consent(consent) => {
                self.consents.insert(consent.id.clone(), consent);
            }
            Record::Document(document) => {
                self.documents.insert(document.id.clone(), document);
            }
        }
    }

    /// An entry of a client, active or not.
    pub fn on_behalf_of(&self, client: &ClientId, id: &str) -> Option<&OnBehalfOf> {
        self.on_behalf_of.get(&(client.clone(), id.to_owned()))
    }

    /// All entries of a client, by id.
    pub fn on_behalf_of_client(&self, client: &ClientId) -> impl Iterator<Item = &OnBehalfOf> {
        let start = (client.clone(), String::new());
        let client = client.clone();
        self.on_behalf_of.range(start..).take_while(move |((owner, _), _)| *owner == client).map(|(_, entry)| entry)
    }

    /// Those who keep delegations, by name.
    pub fn delegation_sources(&self) -> impl Iterator<Item = &DelegationSourceRecord> {
        self.sources.values()
    }

    /// The delegation of a scope from a consumer to a supplier, active or not.
    pub fn delegation(&self, scope: &ScopeName, consumer: OrgNumber, supplier: OrgNumber) -> Option<&Delegation> {
        self.delegations.get(&(scope.clone(), consumer, supplier))
    }

    /// All delegations, by scope, consumer and supplier.
    pub fn delegations(&self) -> impl Iterator<Item = &Delegation> {
        self.delegations.values()
    }

    /// The delegations that an organisation gave or was given, in the same order.
    pub fn delegations_of(&self, party: OrgNumber) -> impl Iterator<Item = &Delegation> {
        self.delegations_of.get(&party).into_iter().flatten().filter_map(|key| self.delegations.get(key))
    }

    /// The delegations of a scope, in the same order.
    pub fn delegations_with(&self, scope: &ScopeName) -> impl Iterator<Item = &Delegation> {
        let scope = scope.clone();
        let start = (scope.clone(), OrgNumber::LOWEST, OrgNumber::LOWEST);
        self.delegations.range(start..).take_while(move |((of, ..), _)| *of == scope).map(|(_, given)| given)
    }

    /// The system users of a party with the system of one client.
    pub fn system_users_of(&self, client: &ClientId, party: OrgNumber) -> impl Iterator<Item = &SystemUser> {
        let start = (client.clone(), party, String::new());
        let client = client.clone();
        self.system_users
            .range(start..)
            .take_while(move |((owner, of, _), _)| *owner == client && *of == party)
            .map(|(_, user)| user)
    }

    /// All system users.
    pub fn system_users(&self) -> impl Iterator<Item = &SystemUser> {
        self.system_users.values()
    }

    /// A consent, active or not.
    pub fn consent(&self, id: &str) -> Option<&Consent> {
        self.consents.get(id)
    }

    /// What another part keeps under this name.
    pub fn document(&self, id: &str) -> Option<&Document> {
        self.documents.get(id)
    }

    /// All consents, by id.
    pub fn consents(&self) -> impl Iterator<Item = &Consent> {
        self.consents.values()
    }
}
