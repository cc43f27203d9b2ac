//! Role definitions and role assignments at any scope (E-63, E-64).

use http::Method;
use serde_json::{Value, json};
use skybru_federation::azure::roles::RoleDefinition;
use skybru_federation::azure::{AzureError, RoleAssignment, contains};

use super::{Answered, Call, list, no_such_address};
use crate::azure::wire::{Answer, iso};

pub(super) fn answer(call: &Call<'_>, scope: &str, rest: &[&str]) -> Answered {
    let scope = if scope == "/" { "" } else { scope };
    let (kind, rest) = rest.split_first().ok_or_else(|| no_such_address(call.request))?;
    match kind.to_ascii_lowercase().as_str() {
        "roledefinitions" => definitions(call, scope, rest),
        "roleassignments" => assignments(call, scope, rest),
        _ => Err(no_such_address(call.request)),
    }
}

/// The value of `name eq 'value'` in `$filter`.
fn filtered<'a>(call: &'a Call<'_>, name: &str) -> Option<&'a str> {
    let filter = call.request.query("$filter")?;
    let (_, rest) = filter.split_once(&format!("{name} eq '")).or_else(|| filter.split_once(&format!("{name}('")))?;
    rest.split('\'').next()
}

fn definitions(call: &Call<'_>, scope: &str, rest: &[&str]) -> Answered {
    if *call.method() != Method::GET {
        return Err(no_such_address(call.request));
    }
    call.authorize("Microsoft.Authorization/roleDefinitions/read", scope)?;
    let json = |role: &RoleDefinition| {
        json!({
            "id": definition_id(call, &role.id), "name": role.id, "type": "Microsoft.Authorization/roleDefinitions",
            "properties": {
                "roleName": role.name, "type": "BuiltInRole", "description": role.name, "assignableScopes": ["/"],
                "permissions": [{
                    "actions": role.actions, "notActions": role.not_actions, "dataActions": role.data_actions, "notDataActions": [],
                }],
            },
        })
    };
    match rest {
        [] => {
            let name = filtered(call, "roleName");
            let wanted = |role: &&RoleDefinition| name.is_none_or(|name| role.name.eq_ignore_ascii_case(name));
            Ok(list(&call.sim.roles.iter().filter(wanted).map(json).collect::<Vec<_>>()))
        }
        [id] => {
            let found = call.sim.roles.iter().find(|role| role.id.eq_ignore_ascii_case(id)).ok_or_else(|| {
                let text = format!("The specified role definition with ID '{}' does not exist.", id.replace('-', ""));
                AzureError::new("E-63", "RoleDefinitionDoesNotExist", 404, text)
            })?;
            Ok(Answer::json(200, &json(found)))
        }
        _ => Err(no_such_address(call.request)),
    }
}

fn definition_id(call: &Call<'_>, role: &str) -> String {
    format!("/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{role}", call.state.subscription)
}

fn assignments(call: &Call<'_>, scope: &str, rest: &[&str]) -> Answered {
    let verb = match *call.method() {
        Method::GET => "read",
        Method::PUT => "write",
        Method::DELETE => "delete",
        _ => return Err(no_such_address(call.request)),
    };
    call.authorize(&format!("Microsoft.Authorization/roleAssignments/{verb}"), scope)?;
    let is_it = |one: &RoleAssignment, name: &str| one.name.eq_ignore_ascii_case(name) && one.scope.eq_ignore_ascii_case(scope);
    match (verb, rest) {
        ("read", []) => {
            let principal = filtered(call, "principalId").or_else(|| filtered(call, "assignedTo"));
            let at_scope = call.request.query("$filter").is_some_and(|filter| filter.contains("atScope()"));
            let wanted = |one: &&RoleAssignment| {
                let place = contains(&one.scope, scope) || !at_scope && contains(scope, &one.scope);
                place && principal.is_none_or(|principal| one.principal_id.eq_ignore_ascii_case(principal))
            };
            Ok(list(&call.state.assignments.iter().filter(wanted).map(|one| assignment_json(call, one)).collect::<Vec<_>>()))
        }
        ("read", [name]) => {
            let found = call.state.assignments.iter().find(|one| is_it(one, name)).ok_or_else(|| {
                let text = format!("The role assignment '{name}' is not found.");
                AzureError::new("E-63", "RoleAssignmentNotFound", 404, text)
            })?;
            Ok(Answer::json(200, &assignment_json(call, found)))
        }
        ("write", [name]) => put(call, scope, name),
        ("delete", [name]) => {
            let found = call.state.assignments.iter().find(|one| is_it(one, name)).cloned();
            let Some(found) = found else { return Ok(Answer::empty(204)) };
            call.change(|state| {
                state.assignments.retain(|one| !is_it(one, name));
                Ok(())
            })?;
            Ok(Answer::json(200, &assignment_json(call, &found)))
        }
        _ => Err(no_such_address(call.request)),
    }
}

fn put(call: &Call<'_>, scope: &str, name: &str) -> Answered {
    if uuid::Uuid::try_parse(name).is_err() {
        let text = format!("The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID.");
        return Err(AzureError::new("E-63", "InvalidRoleAssignmentId", 400, text));
    }
    let properties = call.body()?["properties"].take();
    let text = |member: &str| properties[member].as_str().unwrap_or_default();
    let made = RoleAssignment {
        name: name.to_owned(),
        scope: scope.to_owned(),
        role: text("roleDefinitionId").rsplit('/').next().unwrap_or_default().to_owned(),
        principal_id: text("principalId").to_owned(),
        principal_type: properties["principalType"].as_str().map(str::to_owned),
        created: call.sim.now(),
    };
    let answer = assignment_json(call, &made);
    call.change(|state| {
        let known = made.principal_id == state.owner
            || state.all_identities().any(|one| one.principal_id.eq_ignore_ascii_case(&made.principal_id));
        made.check(&state.assignments, &call.sim.roles, &state.tenant.id, known)?;
        state.assignments.retain(|one| !one.name.eq_ignore_ascii_case(name));
        state.assignments.push(made);
        Ok(())
    })?;
    Ok(Answer::json(201, &answer))
}

fn assignment_json(call: &Call<'_>, one: &RoleAssignment) -> Value {
    let at = iso(one.created);
    json!({
        "id": format!("{}/providers/Microsoft.Authorization/roleAssignments/{}", one.scope, one.name), "name": one.name,
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": {
            "roleDefinitionId": definition_id(call, &one.role), "principalId": one.principal_id,
            "principalType": one.principal_type.as_deref().unwrap_or("ServicePrincipal"),
            "scope": if one.scope.is_empty() { "/" } else { &one.scope }, "createdOn": at, "updatedOn": at,
        },
    })
}
