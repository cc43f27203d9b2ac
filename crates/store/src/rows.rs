//! The registry's tables as both databases have them: one text of SQL, values as text and numbers.
//!
//! SQLite and PostgreSQL both read `$1`, know `ON CONFLICT … DO UPDATE`, and get the same columns from the migrations of the same name.
//! So a new kind of [`Change`] is written here once, and each backend only carries values to and fro.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use skybru_core::{ClientId, OrgNumber, Prefix};

use crate::registry::{ClientKey, Organisation, ScopeAccess};
use crate::{Change, StoreError};

/// A value on its way into a column.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    Text(Cow<'a, str>),
    Number(i64),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

/// One statement and its values, `$1` first.
pub(crate) struct Statement<'a> {
    pub(crate) sql: &'static str,
    pub(crate) values: Vec<Value<'a>>,
}

/// What makes `change` last, in this order, inside one transaction.
pub(crate) fn statements(change: &Change) -> Result<Vec<Statement<'_>>, StoreError> {
    let one = |sql, values| Ok(vec![Statement { sql, values }]);
    match change {
        Change::PutOrganisation(organisation) => Ok(put_organisation(organisation)),
        Change::PutScope(scope) => one(
            "INSERT INTO scope (name, owner, body) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, body = excluded.body",
            vec![scope.name.as_str().into(), scope.owner_orgno.as_str().into(), to_json("scope", scope)?.into()],
        ),
        Change::PutAccess(access) => one(
            "INSERT INTO scope_access (scope, consumer, state, created, last_updated) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (scope, consumer) DO UPDATE SET state = excluded.state, last_updated = excluded.last_updated",
            vec![
                access.scope.as_str().into(),
                access.consumer_orgno.as_str().into(),
                to_json("scope_access", &access.state)?.trim_matches('"').to_owned().into(),
                access.created.to_string().into(),
                access.last_updated.to_string().into(),
            ],
        ),
        Change::PutClient(client) => one(
            "INSERT INTO client (id, org, body) VALUES ($1, $2, $3)
             ON CONFLICT (id) DO UPDATE SET org = excluded.org, body = excluded.body",
            vec![client.client_id.as_str().into(), client.client_orgno.as_str().into(), to_json("client", client)?.into()],
        ),
        Change::PutKeys { client, keys } => put_keys(client, keys),
        Change::PutRecord(record) => one(
            "INSERT INTO record (kind, id, body) VALUES ($1, $2, $3) ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
            vec![record.kind().into(), record.id().into(), to_json("record", record)?.into()],
        ),
    }
}

fn put_organisation(organisation: &Organisation) -> Vec<Statement<'_>> {
    let org = organisation.number.as_str();
    let mut statements = vec![
        Statement {
            sql: "INSERT INTO organisation (org, name, created, last_updated) VALUES ($1, $2, $3, $4)
                  ON CONFLICT (org) DO UPDATE SET name = excluded.name, last_updated = excluded.last_updated",
            values: vec![
                org.into(),
                organisation.name.as_str().into(),
                organisation.created.to_string().into(),
                organisation.last_updated.to_string().into(),
            ],
        },
        Statement { sql: "DELETE FROM prefix WHERE org = $1", values: vec![org.into()] },
    ];
    statements.extend((0_i64..).zip(&organisation.prefixes).map(|(place, prefix)| Statement {
        sql: "INSERT INTO prefix (prefix, org, place) VALUES ($1, $2, $3)",
        values: vec![prefix.as_str().into(), org.into(), Value::Number(place)],
    }));
    statements
}

fn put_keys<'a>(client: &'a ClientId, keys: &'a [ClientKey]) -> Result<Vec<Statement<'a>>, StoreError> {
    let mut statements =
        vec![Statement { sql: "DELETE FROM client_key WHERE client = $1", values: vec![client.as_str().into()] }];
    for (place, key) in (0_i64..).zip(keys) {
        statements.push(Statement {
            sql: "INSERT INTO client_key (client, kid, place, jwk, created, expires) VALUES ($1, $2, $3, $4, $5, $6)",
            values: vec![
                client.as_str().into(),
                key.kid.as_str().into(),
                Value::Number(place),
                to_json("client_key", &key.jwk)?.into(),
                key.created.to_string().into(),
                key.expires.to_string().into(),
            ],
        });
    }
    Ok(statements)
}

/// What the registry is read with, in this order. Every column is text.
pub(crate) const QUERIES: [Query; 7] = [
    Query { sql: "SELECT org, prefix FROM prefix ORDER BY org, place", columns: 2, take: Reader::prefix },
    Query {
        sql: "SELECT org, name, created, last_updated FROM organisation ORDER BY org",
        columns: 4,
        take: Reader::organisation,
    },
    Query { sql: "SELECT name, body FROM scope", columns: 2, take: Reader::scope },
    Query { sql: "SELECT scope, consumer, state, created, last_updated FROM scope_access", columns: 5, take: Reader::access },
    Query { sql: "SELECT id, body FROM client", columns: 2, take: Reader::client },
    Query {
        sql: "SELECT client, kid, jwk, created, expires FROM client_key ORDER BY client, place",
        columns: 5,
        take: Reader::key,
    },
    Query { sql: "SELECT kind, id, body FROM record", columns: 3, take: Reader::record },
];

/// A query, and what is done with each of its rows.
pub(crate) struct Query {
    pub(crate) sql: &'static str,
    pub(crate) columns: usize,
    /// Gets the row's columns.
    pub(crate) take: fn(&mut Reader, &[&str]) -> Result<Option<Change>, StoreError>,
}

/// Puts rows together into changes, one row after the other: a million clients never stand in memory twice.
#[derive(Default)]
pub(crate) struct Reader {
    prefixes: Vec<(String, Prefix)>,
    keys: Option<(ClientId, Vec<ClientKey>)>,
}

impl Reader {
    /// What is left when every row was read.
    pub(crate) fn finish(self) -> Option<Change> {
        self.keys.map(|(client, keys)| Change::PutKeys { client, keys })
    }

    fn prefix(&mut self, columns: &[&str]) -> Result<Option<Change>, StoreError> {
        let [org, prefix] = columns else { return Err(shape("prefix")) };
        self.prefixes.push(((*org).to_owned(), parse("prefix", prefix, prefix)?));
        Ok(None)
    }

    fn organisation(&mut self, columns: &[&str]) -> Result<Option<Change>, StoreError> {
        let [org, name, created, last_updated] = columns else { return Err(shape("organisation")) };
        let first = self.prefixes.partition_point(|(owner, _)| owner.as_str() < *org);
        let own = self.prefixes[first..].iter().take_while(|(owner, _)| owner == org);
        Ok(Some(Change::PutOrganisation(Organisation {
            number: parse::<OrgNumber>("organisation", org, org)?,
            name: (*name).to_owned(),
            prefixes: own.map(|(_, prefix)| prefix.clone()).collect(),
            created: parse("organisation", org, created)?,
            last_updated: parse("organisation", org, last_updated)?,
        })))
    }

    fn scope(&mut self, columns: &[&str]) -> Result<Option<Change>, StoreError> {
        let [name, body] = columns else { return Err(shape("scope")) };
        json("scope", name, body).map(|scope| Some(Change::PutScope(scope)))
    }

    fn access(&mut self, columns: &[&str]) -> Result<Option<Change>, StoreError> {
        let [scope, consumer, state, created, last_updated] = columns else { return Err(shape("scope_access")) };
        let id = format!("{scope} {consumer}");
        Ok(Some(Change::PutAccess(ScopeAccess {
            scope: parse("scope_access", &id, scope)?,
            consumer_orgno: parse("scope_access", &id, consumer)?,
            state: json("scope_access", &id, &format!("{state:?}"))?,
            created: parse("scope_access", &id, created)?,
            last_updated: parse("scope_access", &id, last_updated)?,
        })))
    }

    fn client(&mut self, columns: &[&str]) -> Result<Option<Change>, StoreError> {
        let [id, body] = columns else { return Err(shape("client")) };
        json("client", id, body).map(|client| Some(Change::PutClient(client)))
    }

    fn record(&mut self, columns: &[&str]) -> Result<Option<Change>, StoreError> {
        let [kind, id, body] = columns else { return Err(shape("record")) };
        json("record", &format!("{kind} {id}"), body).map(|record| Some(Change::PutRecord(record)))
    }

    fn key(&mut self, columns: &[&str]) -> Result<Option<Change>, StoreError> {
        let [client, kid, jwk, created, expires] = columns else { return Err(shape("client_key")) };
        let id = || format!("{client} {kid}");
        let key = ClientKey {
            kid: kid.parse().map_err(|problem| broken("client_key", &id(), problem))?,
            jwk: serde_json::from_str(jwk).map_err(|problem| broken("client_key", &id(), problem))?,
            created: created.parse().map_err(|problem| broken("client_key", &id(), problem))?,
            expires: expires.parse().map_err(|problem| broken("client_key", &id(), problem))?,
        };
        match &mut self.keys {
            Some((owner, keys)) if owner.as_str() == *client => {
                keys.push(key);
                Ok(None)
            }
            other => {
                let next = (parse("client_key", client, client)?, vec![key]);
                Ok(other.replace(next).map(|(client, keys)| Change::PutKeys { client, keys }))
            }
        }
    }
}

fn shape(table: &'static str) -> StoreError {
    broken(table, "", "another number of columns than asked for")
}

fn parse<T: FromStr<Err: Display>>(table: &'static str, row: &str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|problem| broken(table, row, problem))
}

fn json<T: DeserializeOwned>(table: &'static str, row: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|problem| broken(table, row, problem))
}

pub(crate) fn broken(table: &'static str, row: &str, problem: impl Display) -> StoreError {
    StoreError::BrokenRow { table, row: row.to_owned(), problem: problem.to_string() }
}

pub(crate) fn to_json(table: &'static str, value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|problem| broken(table, "", problem))
}
