//! Who may ask for what: organisations, scopes, accesses, clients and their keys.
//!
//! Field names are those of Digdir's self-service API. Nothing is ever deleted: what is taken away becomes inactive or denied.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use skybru_core::{ClientId, KeyId, OrgNumber, Prefix, ScopeName};
use skybru_protocol::jose::{Jwk, JwkError, VerifyingKey};

use crate::packed::Clients;
use crate::records::{Record, Records};

/// An organisation, and the scope prefixes that are its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organisation {
    /// Its number.
    #[serde(rename = "orgno")]
    pub number: OrgNumber,
    /// Its name, for people.
    pub name: String,
    /// Prefixes under which it may create scopes.
    #[serde(default)]
    pub prefixes: Vec<Prefix>,
    /// When it was registered.
    pub created: Timestamp,
    /// When it was last changed.
    pub last_updated: Timestamp,
}

/// Who sees a scope in listings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Visibility {
    /// Everybody.
    #[default]
    Public,
    /// The owner and those with access.
    Private,
    /// The operator of the issuer.
    Internal,
}

/// What kind of integration a client is, and which kinds a scope is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are Digdir's")]
pub enum IntegrationType {
    Maskinporten,
    ApiKlient,
    Idporten,
    Krr,
    Ansattporten,
    Eformidling,
    IdportenSaml2,
}

/// A scope that an API provider offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// `prefix:subscope`; never changes.
    pub name: ScopeName,
    /// The provider.
    pub owner_orgno: OrgNumber,
    /// For people.
    pub description: String,
    /// For people who want to know more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_description: Option<String>,
    /// Who sees it.
    #[serde(default)]
    pub visibility: Visibility,
    /// Anybody may have it, without an access entry.
    #[serde(default)]
    pub accessible_for_all: bool,
    /// Kinds of clients that may have it; empty means any.
    #[serde(default)]
    pub allowed_integration_types: Vec<IntegrationType>,
    /// The longest life of a token with this scope, in seconds; 0 means no limit of the scope's own.
    #[serde(default)]
    pub at_max_age: u32,
    /// Who holds delegations of this scope, if it may be delegated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation_source: Option<String>,
    /// What only logins, listings and API providers look at; kept and told as it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<Arc<Map<String, Value>>>,
    /// Nobody gets tokens for an inactive scope.
    pub active: bool,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub last_updated: Timestamp,
}

/// Whether an organisation may have a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AccessState {
    /// Asked for, not decided.
    Requested,
    /// Granted.
    Approved,
    /// Refused or withdrawn.
    Denied,
}

/// One organisation's access to one scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeAccess {
    /// The scope.
    pub scope: ScopeName,
    /// The organisation.
    pub consumer_orgno: OrgNumber,
    /// Whether it may.
    pub state: AccessState,
    /// When it was first given.
    pub created: Timestamp,
    /// When the state last changed.
    pub last_updated: Timestamp,
}

/// Registered software that asks for tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Assigned here.
    pub client_id: ClientId,
    /// For people.
    pub client_name: String,
    /// For people; digdirator stores its own mark here.
    #[serde(default)]
    pub description: String,
    /// The consumer: in whose name it asks.
    pub client_orgno: OrgNumber,
    /// Who registered it in the consumer's name, if somebody else did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplier_orgno: Option<OrgNumber>,
    /// What kind it is.
    pub integration_type: IntegrationType,
    /// `web` for every Maskinporten client.
    pub application_type: String,
    /// `private_key_jwt` for every Maskinporten client.
    pub token_endpoint_auth_method: String,
    /// The grants it may use.
    pub grant_types: Vec<String>,
    /// Scopes it may ask for.
    pub scopes: Vec<ScopeName>,
    /// Life of its tokens in seconds; 0 means the issuer's default.
    #[serde(default)]
    pub access_token_lifetime: u32,
    /// Where people can read about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// What only login clients have: addresses, lifetimes of refresh tokens and the like; kept and told as it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Arc<Map<String, Value>>>,
    /// Its secret, for kinds of clients that may have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Arc<ClientSecret>>,
    /// An inactive client is unknown to the token endpoint.
    pub active: bool,
    /// When it was registered.
    pub created: Timestamp,
    /// When it was last changed.
    pub last_updated: Timestamp,
}

/// What is kept of a client's secret. The secret itself is 32 random bytes, so that its hash needs neither salt nor slowness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSecret {
    /// SHA-256 of the secret, base64url.
    pub sha256: String,
    /// When it was made.
    pub created: Timestamp,
    /// From then on it is refused: 360 days after it was made.
    pub expires: Timestamp,
}

/// A client's public key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientKey {
    /// The key id, unique for the client.
    pub kid: KeyId,
    /// The public key.
    pub jwk: Jwk,
    /// When it was posted.
    pub created: Timestamp,
    /// From then on it is refused (MP-121): one year after it was posted.
    pub expires: Timestamp,
}

/// A registered key, ready to verify.
#[derive(Debug)]
pub struct RegisteredKey {
    /// What is stored.
    pub key: ClientKey,
    /// The same, parsed.
    pub verifying: VerifyingKey,
}

/// A client and its keys, as the token endpoint needs them.
#[derive(Debug, Clone)]
pub struct RegisteredClient {
    /// What is stored.
    pub client: Arc<Client>,
    /// Its keys, in the order posted.
    pub keys: Arc<[RegisteredKey]>,
}

/// One change of the registry. Every write is one of these, so that it can be stored, replayed and sent to other nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Adds or replaces an organisation.
    PutOrganisation(Organisation),
    /// Adds or replaces a scope.
    PutScope(Scope),
    /// Adds or replaces an access.
    PutAccess(ScopeAccess),
    /// Adds or replaces a client; its keys stay.
    PutClient(Client),
    /// Replaces all keys of a client.
    PutKeys {
        /// The client.
        client: ClientId,
        /// Its keys from now on.
        keys: Vec<ClientKey>,
    },
    /// Adds or replaces a record of one of the smaller kinds.
    PutRecord(Record),
}

/// Why a change does not fit the registry.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// It refers to something that is not there.
    #[error("{kind} {name} is not registered")]
    Unknown {
        /// Organisation, scope or client.
        kind: &'static str,
        /// Which.
        name: String,
    },
    /// The prefix belongs to another organisation.
    #[error("prefix {prefix} belongs to organisation {owner}")]
    PrefixTaken {
        /// The prefix.
        prefix: Prefix,
        /// Whose it is.
        owner: OrgNumber,
    },
    /// A key cannot verify anything.
    #[error("key {kid} is not usable")]
    Key {
        /// Which key.
        kid: KeyId,
        /// Why.
        #[source]
        source: JwkError,
    },
}

/// Where a client lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientPlace(u32);

impl Client {
    /// Which platform registered it in others' names, if one did.
    pub fn registered_by(&self) -> Option<&str> {
        self.login.as_ref()?.get("registered_by")?.as_str()
    }
}

/// All of it, in memory.
#[derive(Debug, Default)]
pub struct Registry {
    organisations: BTreeMap<OrgNumber, Organisation>,
    prefixes: HashMap<Prefix, OrgNumber>,
    scopes: BTreeMap<ScopeName, Arc<Scope>>,
    accesses: BTreeMap<(ScopeName, OrgNumber), ScopeAccess>,
    /// The same accesses, the other way round.
    granted: HashMap<OrgNumber, BTreeSet<ScopeName>>,
    clients: Clients,
    records: Records,
}

impl Registry {
    /// Makes room for so many more clients.
    pub(crate) fn reserve_clients(&mut self, more: usize) {
        self.clients.reserve(more);
    }

    /// Checks a change against what is there, and makes it.
    pub fn apply(&mut self, change: Change) -> Result<(), RegistryError> {
        match change {
            Change::PutOrganisation(organisation) => self.put_organisation(organisation),
            Change::PutScope(scope) => {
                self.known_organisation(scope.owner_orgno)?;
                self.scopes.insert(scope.name.clone(), Arc::new(scope));
                Ok(())
            }
            Change::PutAccess(access) => {
                self.scope(&access.scope).ok_or_else(|| unknown("scope", &access.scope))?;
                self.granted.entry(access.consumer_orgno).or_default().insert(access.scope.clone());
                self.accesses.insert((access.scope.clone(), access.consumer_orgno), access);
                Ok(())
            }
            Change::PutClient(client) => {
                self.clients.put(client);
                Ok(())
            }
            Change::PutKeys { client, keys } => {
                // They are put together again when somebody asks; what cannot be is refused now.
                for key in &keys {
                    let problem = |source| RegistryError::Key { kid: key.kid.clone(), source };
                    VerifyingKey::from_jwk(&key.jwk).map_err(problem)?;
                }
                if self.clients.put_keys(&client, &keys) { Ok(()) } else { Err(unknown("client", &client)) }
            }
            Change::PutRecord(record) => {
                self.records.put(record);
                Ok(())
            }
        }
    }

    fn put_organisation(&mut self, organisation: Organisation) -> Result<(), RegistryError> {
        let number = organisation.number;
        for prefix in &organisation.prefixes {
            if let Some(owner) = self.prefixes.get(prefix).filter(|owner| **owner != number) {
                return Err(RegistryError::PrefixTaken { prefix: prefix.clone(), owner: *owner });
            }
        }
        self.prefixes.retain(|_, owner| *owner != number);
        self.prefixes.extend(organisation.prefixes.iter().map(|prefix| (prefix.clone(), number)));
        self.organisations.insert(number, organisation);
        Ok(())
    }

    fn known_organisation(&self, number: OrgNumber) -> Result<&Organisation, RegistryError> {
        self.organisation(number).ok_or_else(|| unknown("organisation", &number))
    }

    /// The organisation with this number.
    pub fn organisation(&self, number: OrgNumber) -> Option<&Organisation> {
        self.organisations.get(&number)
    }

    /// All organisations, by number.
    pub fn organisations(&self) -> impl Iterator<Item = &Organisation> {
        self.organisations.values()
    }

    /// Whose prefix this is. An organisation number is a prefix of that organisation without being registered.
    pub fn prefix_owner(&self, prefix: &Prefix) -> Option<OrgNumber> {
        self.prefixes.get(prefix).copied().or_else(|| prefix.as_str().parse().ok().filter(|n| self.organisations.contains_key(n)))
    }

    /// The scope of this name.
    pub fn scope(&self, name: &ScopeName) -> Option<&Arc<Scope>> {
        self.scopes.get(name)
    }

    /// All scopes, by name.
    pub fn scopes(&self) -> impl Iterator<Item = &Arc<Scope>> {
        self.scopes.values()
    }

    /// One organisation's access to one scope.
    pub fn access(&self, scope: &ScopeName, consumer: OrgNumber) -> Option<&ScopeAccess> {
        self.accesses.get(&(scope.clone(), consumer))
    }

    /// All accesses, by scope and organisation.
    pub fn accesses(&self) -> impl Iterator<Item = &ScopeAccess> {
        self.accesses.values()
    }

    /// All accesses to one scope, by organisation.
    pub fn accesses_to(&self, scope: &ScopeName) -> impl Iterator<Item = &ScopeAccess> {
        let start = (scope.clone(), OrgNumber::LOWEST);
        let scope = scope.clone();
        self.accesses.range(start..).take_while(move |((of, _), _)| *of == scope).map(|(_, access)| access)
    }

    /// Accesses to one scope, by organisation: of those after `after`, `most` at most.
    pub fn accesses_after(&self, scope: &ScopeName, after: Option<OrgNumber>, most: usize) -> impl Iterator<Item = &ScopeAccess> {
        let start = match after {
            Some(org) => Bound::Excluded((scope.clone(), org)),
            None => Bound::Included((scope.clone(), OrgNumber::LOWEST)),
        };
        let scope = scope.clone();
        self.accesses
            .range((start, Bound::Unbounded))
            .take_while(move |((of, _), _)| *of == scope)
            .map(|(_, access)| access)
            .take(most)
    }

    /// All accesses of one organisation, by scope.
    pub fn accesses_of(&self, consumer: OrgNumber) -> impl Iterator<Item = &ScopeAccess> {
        let scopes = self.granted.get(&consumer).into_iter().flatten();
        scopes.filter_map(move |scope| self.access(scope, consumer))
    }

    /// The client with this id, active or not.
    pub fn client(&self, id: &ClientId) -> Option<RegisteredClient> {
        self.clients.get(id)
    }

    /// All clients, in no order; each is put together from what is kept of it.
    pub fn clients(&self) -> impl Iterator<Item = RegisteredClient> {
        self.clients.all()
    }

    /// The clients that an organisation owns, and those that it registered for others; in the order registered.
    pub fn clients_of(&self, organisation: OrgNumber) -> impl Iterator<Item = Arc<Client>> {
        self.clients.of(organisation)
    }

    /// Where an organisation's clients lie, each with the time when it was registered: a piece of all, so that a listing of very many holds
    /// nobody up. A place is good for [`Registry::client_at`] until the registry is read anew; then another client may lie there.
    pub fn client_places(&self, organisation: OrgNumber, from: usize, most: usize) -> Vec<(Timestamp, ClientPlace)> {
        self.clients
            .places_of(organisation, from, most)
            .into_iter()
            .map(|(created, place)| (created, ClientPlace(place)))
            .collect()
    }

    /// The client that lies there.
    pub fn client_at(&self, place: ClientPlace) -> Option<Arc<Client>> {
        self.clients.at(place.0)
    }

    /// The clients that a platform registered in others' names, in the order registered.
    pub fn clients_registered_by(&self, platform: &str) -> impl Iterator<Item = Arc<Client>> {
        self.clients.registered_by(platform)
    }

    /// The smaller kinds.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// Whether `consumer` may have tokens for `scope`: it is open to all, the consumer's own, or granted.
    pub fn has_access(&self, scope: &Scope, consumer: OrgNumber) -> bool {
        scope.accessible_for_all
            || scope.owner_orgno == consumer
            || self.access(&scope.name, consumer).is_some_and(|access| access.state == AccessState::Approved)
    }
}

fn unknown(kind: &'static str, name: &impl ToString) -> RegistryError {
    RegistryError::Unknown { kind, name: name.to_string() }
}
