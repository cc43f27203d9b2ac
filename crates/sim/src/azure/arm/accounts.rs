//! Storage accounts, their containers and file shares.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use skybru_federation::azure::AzureError;
use skybru_federation::azure::acl::Acl;

use super::{Answered, Call, list, location_and_tags, no_such_address, resource_not_found};
use crate::azure::state::{Account, Container};
use crate::azure::storage;
use crate::azure::wire::{Answer, iso};

const KIND: &str = "Microsoft.Storage/storageAccounts";

pub(super) fn answer(call: &Call<'_>, scope: &[&str], rest: &[&str]) -> Answered {
    let (kind, rest) = rest.split_first().ok_or_else(|| no_such_address(call.request))?;
    if !kind.eq_ignore_ascii_case("storageAccounts") {
        return Err(no_such_address(call.request));
    }
    if let (&Method::GET, [_, subscription], []) = (call.method(), scope, rest) {
        let id = call.subscription(subscription)?;
        call.authorize(&format!("{KIND}/read"), &id)?;
        return Ok(list(&call.state.accounts.values().map(|one| account_json(call, one)).collect::<Vec<_>>()));
    }
    let (group_id, group) = call.group(scope)?;
    let id = |name: &str| format!("{group_id}/providers/{KIND}/{name}");
    match (call.method(), rest) {
        (&Method::GET, []) => {
            call.authorize(&format!("{KIND}/read"), &group_id)?;
            Ok(list(
                &call
                    .state
                    .accounts
                    .values()
                    .filter(|one| one.group == group)
                    .map(|one| account_json(call, one))
                    .collect::<Vec<_>>(),
            ))
        }
        (&Method::GET, [name]) => {
            call.authorize(&format!("{KIND}/read"), &id(name))?;
            Ok(Answer::json(200, &account_json(call, find(call, &group, name)?)))
        }
        (&Method::PUT | &Method::PATCH, [name]) => {
            call.authorize(&format!("{KIND}/write"), &id(name))?;
            put(call, &group, name)
        }
        (&Method::DELETE, [name]) => {
            call.authorize(&format!("{KIND}/delete"), &id(name))?;
            if find(call, &group, name).is_err() {
                return Ok(Answer::empty(204));
            }
            call.sim.items.forget_account(name);
            call.change(|state| Ok(state.accounts.remove(*name)))?;
            Ok(Answer::empty(200))
        }
        (&Method::POST, [_, keys]) if keys.eq_ignore_ascii_case("listKeys") => {
            let text = "Key based authentication is not permitted on this storage account.";
            Err(AzureError::new("D-73", "KeyBasedAuthenticationNotPermitted", 403, text))
        }
        (_, [name, service, default, part, rest @ ..]) if default.eq_ignore_ascii_case("default") => {
            let is_blob = service.eq_ignore_ascii_case("blobServices") && part.eq_ignore_ascii_case("containers");
            let is_file = service.eq_ignore_ascii_case("fileServices") && part.eq_ignore_ascii_case("shares");
            if !is_blob && !is_file {
                return Err(no_such_address(call.request));
            }
            containers(call, find(call, &group, name)?, is_blob, rest)
        }
        _ => Err(no_such_address(call.request)),
    }
}

fn find<'a>(call: &'a Call<'_>, group: &str, name: &str) -> Result<&'a Account, AzureError> {
    let found = call.state.accounts.get(name).filter(|account| account.group == group);
    found.ok_or_else(|| resource_not_found(KIND, name, group))
}

fn put(call: &Call<'_>, group: &str, name: &str) -> Answered {
    let is_name = (3..=24).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !is_name {
        let text = format!(
            "{name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in length and use \
             numbers and lower-case letters only."
        );
        return Err(AzureError::new("E-60", "AccountNameInvalid", 400, text));
    }
    let body = call.body()?;
    let (location, tags) = location_and_tags(&body);
    let old = call.state.accounts.get(name);
    if old.is_some_and(|old| old.group != group) {
        let text = format!("The storage account named {name} is already taken.");
        return Err(AzureError::new("E-60", "StorageAccountAlreadyTaken", 409, text));
    }
    let properties = &body["properties"];
    let flag = |member: &str, before: Option<bool>, default: bool| properties[member].as_bool().or(before).unwrap_or(default);
    let is_public = properties["publicNetworkAccess"].as_str().map(|text| text != "Disabled");
    let made = Account {
        name: name.to_owned(),
        group: group.to_owned(),
        location,
        tags,
        has_folders: flag("isHnsEnabled", old.map(|old| old.has_folders), false),
        is_public: is_public.or(old.map(|old| old.is_public)).unwrap_or(true),
        containers: old.map(|old| old.containers.clone()).unwrap_or_default(),
        shares: old.map(|old| old.shares.clone()).unwrap_or_default(),
    };
    let answer = account_json(call, &made);
    call.change(|state| Ok(state.accounts.insert(name.to_owned(), made)))?;
    Ok(Answer::json(200, &answer))
}

fn containers(call: &Call<'_>, account: &Account, is_blob: bool, path: &[&str]) -> Answered {
    let part = if is_blob { "blobServices/default/containers" } else { "fileServices/default/shares" };
    let kind = format!("{KIND}/{}", part.replace("default/", ""));
    let base = format!("{}/{part}", call.state.account_scope(account));
    let of = |account: &Account| if is_blob { account.containers.clone() } else { account.shares.clone() };
    let json = |name: &str, one: &Container| {
        json!({
            "id": format!("{base}/{name}"), "name": name, "type": kind, "etag": one.etag,
            "properties": {"lastModifiedTime": iso(one.modified), "metadata": one.metadata, "publicAccess": "None"},
        })
    };
    let known = of(account);
    match (call.method(), path) {
        (&Method::GET, []) => {
            call.authorize(&format!("{kind}/read"), &base)?;
            Ok(list(&known.iter().map(|(name, one)| json(name, one)).collect::<Vec<_>>()))
        }
        (&Method::GET, [name]) => {
            call.authorize(&format!("{kind}/read"), &format!("{base}/{name}"))?;
            let found = known.get(*name).ok_or_else(|| missing(is_blob))?;
            Ok(Answer::json(200, &json(name, found)))
        }
        (&Method::PUT, [name]) => {
            call.authorize(&format!("{kind}/write"), &format!("{base}/{name}"))?;
            if !storage::is_container_name(name) {
                let text = "The specified resource name contains invalid characters.";
                return Err(AzureError::new("E-60", "InvalidResourceName", 400, text));
            }
            if let Some(found) = known.get(*name) {
                return Ok(Answer::json(200, &json(name, found)));
            }
            let made = new_container(call.sim, &call.caller.principal_id, BTreeMap::new());
            let answer = json(name, &made);
            change(call, &account.name, is_blob, |all| drop(all.insert((*name).to_owned(), made)))?;
            Ok(Answer::json(201, &answer))
        }
        (&Method::DELETE, [name]) => {
            call.authorize(&format!("{kind}/delete"), &format!("{base}/{name}"))?;
            if !known.contains_key(*name) {
                return Ok(Answer::empty(204));
            }
            call.sim.items.forget_container(is_blob, &account.name, name);
            change(call, &account.name, is_blob, |all| drop(all.remove(*name)))?;
            Ok(Answer::empty(200))
        }
        _ => Err(no_such_address(call.request)),
    }
}

/// A new container or share.
pub(crate) fn new_container(sim: &crate::azure::Sim, owner: &str, metadata: BTreeMap<String, String>) -> Container {
    Container { etag: storage::etag(sim), modified: sim.now(), metadata, root: Acl::of_owner(owner, true) }
}

fn change(
    call: &Call<'_>,
    account: &str,
    is_blob: bool,
    change: impl FnOnce(&mut BTreeMap<String, Container>),
) -> Result<(), AzureError> {
    call.change(|state| {
        if let Some(account) = state.accounts.get_mut(account) {
            change(if is_blob { &mut account.containers } else { &mut account.shares });
        }
        Ok(())
    })
}

fn missing(is_blob: bool) -> AzureError {
    let (code, what) = if is_blob { ("ContainerNotFound", "container") } else { ("ShareNotFound", "share") };
    AzureError::new("E-60", code, 404, format!("The specified {what} does not exist."))
}

fn account_json(call: &Call<'_>, account: &Account) -> Value {
    let name = &account.name;
    // Here accounts stand in the path; in Azure, in the host.
    let [blob, dfs, file] = call.sim.storage.each_ref().map(|base| format!("{base}/{name}/"));
    json!({
        "id": call.state.account_scope(account), "name": name, "type": KIND, "kind": "StorageV2",
        "sku": {"name": "Standard_LRS", "tier": "Standard"}, "location": account.location, "tags": account.tags,
        "properties": {
            "provisioningState": "Succeeded", "isHnsEnabled": account.has_folders, "allowSharedKeyAccess": false,
            "publicNetworkAccess": if account.is_public { "Enabled" } else { "Disabled" },
            "supportsHttpsTrafficOnly": true, "accessTier": "Hot",
            "primaryEndpoints": {"blob": blob, "dfs": dfs, "file": file},
        },
    })
}
