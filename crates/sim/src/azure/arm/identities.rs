//! User-assigned managed identities and their federated credentials (E-60, E-61).

use http::Method;
use serde_json::{Value, json};
use skybru_federation::azure::AzureError;
use skybru_federation::entra::{CredentialInput, FederatedCredential, Identity, IdentityKind};

use super::{Answered, Call, list, location_and_tags, no_such_address, resource_not_found};
use crate::azure::state::ManagedIdentity;
use crate::azure::wire::Answer;

const KIND: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";

pub(super) fn answer(call: &Call<'_>, scope: &[&str], rest: &[&str]) -> Answered {
    let (kind, rest) = rest.split_first().ok_or_else(|| no_such_address(call.request))?;
    if !kind.eq_ignore_ascii_case("userAssignedIdentities") {
        return Err(no_such_address(call.request));
    }
    if let (&Method::GET, [_, subscription], []) = (call.method(), scope, rest) {
        let id = call.subscription(subscription)?;
        call.authorize(&format!("{KIND}/read"), &id)?;
        return Ok(list(&call.state.identities.iter().map(|one| identity_json(call, one)).collect::<Vec<_>>()));
    }
    let (group_id, group) = call.group(scope)?;
    let action = |part: &str, verb: &str| format!("{KIND}{part}/{verb}");
    let id = |name: &str| format!("{group_id}/providers/{KIND}/{name}");
    match (call.method(), rest) {
        (&Method::GET, []) => {
            call.authorize(&action("", "read"), &group_id)?;
            let of_group = call.state.identities.iter().filter(|one| one.group == group);
            Ok(list(&of_group.map(|one| identity_json(call, one)).collect::<Vec<_>>()))
        }
        (&Method::GET, [name]) => {
            call.authorize(&action("", "read"), &id(name))?;
            Ok(Answer::json(200, &identity_json(call, find(call, &group, name)?)))
        }
        (&Method::PUT | &Method::PATCH, [name]) => {
            call.authorize(&action("", "write"), &id(name))?;
            put(call, &group, name)
        }
        (&Method::DELETE, [name]) => {
            call.authorize(&action("", "delete"), &id(name))?;
            if find(call, &group, name).is_err() {
                return Ok(Answer::empty(204));
            }
            call.change(|state| {
                state.identities.retain(|one| !is_called(one, &group, name));
                Ok(())
            })?;
            Ok(Answer::empty(200))
        }
        (method, [name, part, credential @ ..]) if part.eq_ignore_ascii_case("federatedIdentityCredentials") => {
            let verb = match *method {
                Method::GET => "read",
                Method::PUT => "write",
                Method::DELETE => "delete",
                _ => return Err(no_such_address(call.request)),
            };
            call.authorize(&action("/federatedIdentityCredentials", verb), &id(name))?;
            credentials(call, &group, name, credential)
        }
        _ => Err(no_such_address(call.request)),
    }
}

fn put(call: &Call<'_>, group: &str, name: &str) -> Answered {
    let (location, tags) = location_and_tags(&call.body()?);
    if let Ok(old) = find(call, group, name) {
        let changed = ManagedIdentity { tags, ..old.clone() };
        let answer = identity_json(call, &changed);
        call.change(|state| {
            state.identities.retain(|one| !is_called(one, group, name));
            state.identities.push(changed);
            Ok(())
        })?;
        return Ok(Answer::json(200, &answer));
    }
    let identity = Identity {
        kind: IdentityKind::ManagedIdentity,
        name: name.to_owned(),
        client_id: call.sim.guid(),
        principal_id: call.sim.guid(),
        credentials: Vec::new(),
    };
    let made = ManagedIdentity { group: group.to_owned(), location, tags, identity };
    let answer = identity_json(call, &made);
    call.change(|state| {
        state.identities.push(made);
        Ok(())
    })?;
    Ok(Answer::json(201, &answer))
}

fn credentials(call: &Call<'_>, group: &str, name: &str, path: &[&str]) -> Answered {
    let no_parent = || AzureError::new("E-9", "ParentResourceNotFound", 404, "The parent user-assigned identity doesn't exist.");
    let parent = find(call, group, name).map_err(|_| no_parent())?;
    let known = |wanted: &str| parent.identity.credentials.iter().find(|one| one.name.eq_ignore_ascii_case(wanted));
    let json = |one: &FederatedCredential| credential_json(call, parent, one);
    match (call.method(), path) {
        (&Method::GET, []) => Ok(list(&parent.identity.credentials.iter().map(json).collect::<Vec<_>>())),
        (&Method::GET, [wanted]) => {
            let found = known(wanted)
                .ok_or_else(|| resource_not_found(&format!("{KIND}/{name}/federatedIdentityCredentials"), wanted, group))?;
            Ok(Answer::json(200, &json(found)))
        }
        (&Method::PUT, [wanted]) => {
            let properties = call.body()?["properties"].take();
            let text = |member: &str| properties[member].as_str().map(str::to_owned);
            let audiences = properties["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
            let input = CredentialInput {
                name: (*wanted).to_owned(),
                issuer: text("issuer"),
                subject: text("subject"),
                audiences: audiences.collect(),
                description: None,
                expression: properties["claimsMatchingExpression"]["value"].as_str().map(str::to_owned),
            };
            let existed = known(wanted).is_some();
            let now = call.sim.now();
            let made = change(call, group, name, |identity| {
                let made = FederatedCredential::create(input, &identity.credentials, identity.kind, now)?;
                identity.credentials.retain(|one| !one.name.eq_ignore_ascii_case(wanted));
                identity.credentials.push(made.clone());
                Ok(made)
            })?;
            Ok(Answer::json(if existed { 200 } else { 201 }, &json(&made)))
        }
        (&Method::DELETE, [wanted]) => {
            let existed = known(wanted).is_some();
            change(call, group, name, |identity| {
                identity.credentials.retain(|one| !one.name.eq_ignore_ascii_case(wanted));
                Ok(())
            })?;
            Ok(Answer::empty(if existed { 200 } else { 204 }))
        }
        _ => Err(no_such_address(call.request)),
    }
}

fn change<T>(
    call: &Call<'_>,
    group: &str,
    name: &str,
    change: impl FnOnce(&mut Identity) -> Result<T, AzureError>,
) -> Result<T, AzureError> {
    call.change(|state| {
        let found = state.identities.iter_mut().find(|one| is_called(one, group, name));
        change(&mut found.ok_or_else(|| resource_not_found(KIND, name, group))?.identity)
    })
}

fn is_called(one: &ManagedIdentity, group: &str, name: &str) -> bool {
    one.group.eq_ignore_ascii_case(group) && one.identity.name.eq_ignore_ascii_case(name)
}

fn find<'a>(call: &'a Call<'_>, group: &str, name: &str) -> Result<&'a ManagedIdentity, AzureError> {
    let found = call.state.identities.iter().find(|one| is_called(one, group, name));
    found.ok_or_else(|| resource_not_found(KIND, name, group))
}

/// E-60: the id has `resourcegroups` in lower case.
fn identity_id(call: &Call<'_>, one: &ManagedIdentity) -> String {
    format!("/subscriptions/{}/resourcegroups/{}/providers/{KIND}/{}", call.state.subscription, one.group, one.identity.name)
}

fn identity_json(call: &Call<'_>, one: &ManagedIdentity) -> Value {
    let Identity { name, client_id, principal_id, .. } = &one.identity;
    json!({
        "id": identity_id(call, one), "name": name, "type": KIND, "location": one.location, "tags": one.tags,
        "properties": {"tenantId": call.state.tenant.id, "principalId": principal_id, "clientId": client_id},
    })
}

fn credential_json(call: &Call<'_>, parent: &ManagedIdentity, one: &FederatedCredential) -> Value {
    json!({
        "id": format!("{}/federatedIdentityCredentials/{}", identity_id(call, parent), one.name), "name": one.name,
        "type": format!("{KIND}/federatedIdentityCredentials"),
        "properties": {"issuer": one.issuer, "subject": one.subject(), "audiences": [one.audience]},
    })
}
