//! What the audit log says about a change of the registry: kinds and names, no values.

use skybru_core::{ClientId, OrgNumber, ScopeName};

use crate::{Change, Record, Registry};

impl Change {
    /// What is changed, in a few words.
    pub fn summary(&self) -> String {
        match self {
            Self::PutOrganisation(organisation) => format!("organisation {}", organisation.number),
            Self::PutScope(scope) => format!("scope {}{}", scope.name, inactive(scope.active)),
            Self::PutAccess(access) => {
                format!("access {} {} {:?}", access.scope, access.consumer_orgno, access.state).to_lowercase()
            }
            Self::PutClient(client) => format!("client {}{}", client.client_id, inactive(client.active)),
            Self::PutKeys { client, keys } => {
                let names: Vec<&str> = keys.iter().map(|key| key.kid.as_str()).collect();
                format!("keys of client {client}: {}", if names.is_empty() { "none".to_owned() } else { names.join(" ") })
            }
            Self::PutRecord(record) => format!("{} {}", record.kind().replace('_', " "), record.id()),
        }
    }

    /// The organisations that may read about it.
    pub fn concerns(&self, registry: &Registry) -> Vec<OrgNumber> {
        let owner = |scope: &ScopeName| registry.scope(scope).map(|scope| scope.owner_orgno);
        let of_client = |client: &ClientId| {
            let known = registry.client(client).map(|known| known.client);
            known.into_iter().flat_map(|client| [Some(client.client_orgno), client.supplier_orgno]).flatten()
        };
        match self {
            Self::PutOrganisation(organisation) => vec![organisation.number],
            Self::PutScope(scope) => vec![scope.owner_orgno],
            Self::PutAccess(access) => [Some(access.consumer_orgno), owner(&access.scope)].into_iter().flatten().collect(),
            Self::PutClient(client) => [Some(client.client_orgno), client.supplier_orgno].into_iter().flatten().collect(),
            Self::PutKeys { client, .. } => of_client(client).collect(),
            Self::PutRecord(record) => match record {
                Record::OnBehalfOf(entry) => of_client(&entry.client).chain([entry.orgno]).collect(),
                Record::Delegation(given) => {
                    [Some(given.consumer_orgno), Some(given.supplier_orgno), owner(&given.scope)].into_iter().flatten().collect()
                }
                Record::SystemUser(user) => of_client(&user.client).chain([user.orgno]).collect(),
                Record::Consent(consent) => vec![consent.to],
                _ => Vec::new(),
            },
        }
    }
}

fn inactive(active: bool) -> &'static str {
    if active { "" } else { ", inactive" }
}
