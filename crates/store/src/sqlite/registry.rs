//! The registry's tables.

use std::fmt::Display;
use std::str::FromStr;

use rusqlite::{Connection, Row, Transaction};
use serde::de::DeserializeOwned;
use skybru_core::Prefix;

use crate::registry::{ClientKey, Organisation, ScopeAccess};
use crate::{Change, Registry, StoreError};

/// Reads everything.
pub(super) fn load(connection: &mut Connection) -> Result<Registry, StoreError> {
    let failed = |source| StoreError::Database { what: "reading the registry", source };
    // One transaction, so that what is read belongs together.
    let transaction = connection.transaction().map_err(failed)?;
    let mut registry = Registry::default();
    for change in changes(&transaction)? {
        registry.apply(change).map_err(|problem| broken("registry", "", problem))?;
    }
    Ok(registry)
}

fn changes(transaction: &Transaction<'_>) -> Result<Vec<Change>, StoreError> {
    let mut changes = Vec::new();
    let mut prefixes: Vec<(String, Prefix)> = Vec::new();
    each(transaction, "SELECT org, prefix FROM prefix ORDER BY rowid", |row| {
        let (org, prefix): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(parse("prefix", &prefix, &prefix).map(|parsed| prefixes.push((org, parsed))))
    })?;
    each(transaction, "SELECT org, name, created, last_updated FROM organisation", |row| {
        let org: String = row.get(0)?;
        let times: (String, String) = (row.get(2)?, row.get(3)?);
        let name = row.get(1)?;
        Ok((|| {
            changes.push(Change::PutOrganisation(Organisation {
                number: parse("organisation", &org, &org)?,
                name,
                prefixes: prefixes.iter().filter(|(owner, _)| *owner == org).map(|(_, prefix)| prefix.clone()).collect(),
                created: parse("organisation", &org, &times.0)?,
                last_updated: parse("organisation", &org, &times.1)?,
            }));
            Ok(())
        })())
    })?;
    each(transaction, "SELECT name, body FROM scope", |row| {
        let (name, body): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(json("scope", &name, &body).map(|scope| changes.push(Change::PutScope(scope))))
    })?;
    each(transaction, "SELECT scope, consumer, state, created, last_updated FROM scope_access", |row| {
        let [scope, consumer, state, created, last_updated]: [String; 5] =
            [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        let id = format!("{scope} {consumer}");
        Ok((|| {
            changes.push(Change::PutAccess(ScopeAccess {
                scope: parse("scope_access", &id, &scope)?,
                consumer_orgno: parse("scope_access", &id, &consumer)?,
                state: json("scope_access", &id, &format!("{state:?}"))?,
                created: parse("scope_access", &id, &created)?,
                last_updated: parse("scope_access", &id, &last_updated)?,
            }));
            Ok(())
        })())
    })?;
    each(transaction, "SELECT id, body FROM client", |row| {
        let (id, body): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(json("client", &id, &body).map(|client| changes.push(Change::PutClient(client))))
    })?;
    each(transaction, "SELECT client, kid, jwk, created, expires FROM client_key ORDER BY client, place", |row| {
        let [client, kid, jwk, created, expires]: [String; 5] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        let id = format!("{client} {kid}");
        Ok((|| {
            let key = ClientKey {
                kid: parse("client_key", &id, &kid)?,
                jwk: json("client_key", &id, &jwk)?,
                created: parse("client_key", &id, &created)?,
                expires: parse("client_key", &id, &expires)?,
            };
            let owner = parse("client_key", &id, &client)?;
            match changes.last_mut() {
                Some(Change::PutKeys { client, keys }) if *client == owner => keys.push(key),
                _ => changes.push(Change::PutKeys { client: owner, keys: vec![key] }),
            }
            Ok(())
        })())
    })?;
    each(transaction, "SELECT kind, id, body FROM record", |row| {
        let (kind, id, body): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(json("record", &format!("{kind} {id}"), &body).map(|record| changes.push(Change::PutRecord(record))))
    })?;
    Ok(changes)
}

/// Runs `take` on each row; the driver's errors and broken rows come apart.
fn each(
    transaction: &Transaction<'_>,
    query: &str,
    mut take: impl FnMut(&Row<'_>) -> Result<Result<(), StoreError>, rusqlite::Error>,
) -> Result<(), StoreError> {
    let failed = |source| StoreError::Database { what: "reading the registry", source };
    let mut statement = transaction.prepare(query).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        take(row).map_err(failed)??;
    }
    Ok(())
}

fn parse<T: FromStr<Err: Display>>(table: &'static str, row: &str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|problem| broken(table, row, problem))
}

fn json<T: DeserializeOwned>(table: &'static str, row: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|problem| broken(table, row, problem))
}

fn broken(table: &'static str, row: &str, problem: impl Display) -> StoreError {
    StoreError::BrokenRow { table, row: row.to_owned(), problem: problem.to_string() }
}

/// Writes all changes, or none.
pub(super) fn commit(connection: &mut Connection, changes: &[Change]) -> Result<(), StoreError> {
    let failed = |source| StoreError::Database { what: "writing the registry", source };
    let transaction = connection.transaction().map_err(failed)?;
    for change in changes {
        write(&transaction, change)?;
    }
    transaction.commit().map_err(failed)
}

fn write(transaction: &Transaction<'_>, change: &Change) -> Result<(), StoreError> {
    let failed = |source| StoreError::Database { what: "writing the registry", source };
    match change {
        Change::PutOrganisation(organisation) => write_organisation(transaction, organisation).map_err(failed),
        Change::PutScope(scope) => transaction
            .execute(
                "INSERT INTO scope (name, owner, body) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, body = excluded.body",
                (scope.name.as_str(), scope.owner_orgno.as_str(), to_json("scope", scope)?),
            )
            .map(|_| ())
            .map_err(failed),
        Change::PutAccess(access) => transaction
            .execute(
                "INSERT INTO scope_access (scope, consumer, state, created, last_updated) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (scope, consumer) DO UPDATE SET state = excluded.state, last_updated = excluded.last_updated",
                (
                    access.scope.as_str(),
                    access.consumer_orgno.as_str(),
                    to_json("scope_access", &access.state)?.trim_matches('"'),
                    access.created.to_string(),
                    access.last_updated.to_string(),
                ),
            )
            .map(|_| ())
            .map_err(failed),
        Change::PutClient(client) => transaction
            .execute(
                "INSERT INTO client (id, org, body) VALUES (?1, ?2, ?3)
                 ON CONFLICT (id) DO UPDATE SET org = excluded.org, body = excluded.body",
                (client.client_id.as_str(), client.client_orgno.as_str(), to_json("client", client)?),
            )
            .map(|_| ())
            .map_err(failed),
        Change::PutKeys { client, keys } => {
            transaction.execute("DELETE FROM client_key WHERE client = ?1", [client.as_str()]).map_err(failed)?;
            for (place, key) in (0_i64..).zip(keys) {
                let jwk = to_json("client_key", &key.jwk)?;
                transaction
                    .execute(
                        "INSERT INTO client_key (client, kid, place, jwk, created, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                        (client.as_str(), key.kid.as_str(), place, jwk, key.created.to_string(), key.expires.to_string()),
                    )
                    .map_err(failed)?;
            }
            Ok(())
        }
        Change::PutRecord(record) => transaction
            .execute(
                "INSERT INTO record (kind, id, body) VALUES (?1, ?2, ?3)
                 ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
                (record.kind(), record.id(), to_json("record", record)?),
            )
            .map(|_| ())
            .map_err(failed),
    }
}

fn write_organisation(transaction: &Transaction<'_>, organisation: &Organisation) -> Result<(), rusqlite::Error> {
    let org = organisation.number.as_str();
    transaction.execute(
        "INSERT INTO organisation (org, name, created, last_updated) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (org) DO UPDATE SET name = excluded.name, last_updated = excluded.last_updated",
        (org, &organisation.name, organisation.created.to_string(), organisation.last_updated.to_string()),
    )?;
    transaction.execute("DELETE FROM prefix WHERE org = ?1", [org])?;
    for prefix in &organisation.prefixes {
        transaction.execute("INSERT INTO prefix (prefix, org) VALUES (?1, ?2)", (prefix.as_str(), org))?;
    }
    Ok(())
}

fn to_json(table: &'static str, value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|problem| broken(table, "", problem))
}
