//! Tenants, subscriptions and resource groups.

use http::Method;
use serde_json::{Value, json};

use super::{Answered, Call, list, location_and_tags, no_such_address};
use crate::azure::state::Group;
use crate::azure::wire::Answer;

pub(super) fn answer(call: &Call<'_>, path: &[&str]) -> Answered {
    let lower: Vec<String> = path.iter().map(|part| part.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    match (call.method(), lower.as_slice()) {
        (&Method::GET, ["tenants"]) => {
            let tenant = &call.state.tenant;
            let value = json!({"id": format!("/tenants/{}", tenant.id), "tenantId": tenant.id, "displayName": tenant.name});
            Ok(list(&[value]))
        }
        (&Method::GET, ["subscriptions"]) => {
            // E-74: whoever has roles on data only sees no subscription.
            let id = format!("/subscriptions/{}", call.state.subscription);
            let sees = call.authorize("Microsoft.Resources/subscriptions/read", &id).is_ok();
            Ok(list(&sees.then(|| subscription_json(call)).into_iter().collect::<Vec<_>>()))
        }
        (&Method::GET, ["subscriptions", _]) => {
            let id = call.subscription(path[1])?;
            call.authorize("Microsoft.Resources/subscriptions/read", &id)?;
            Ok(Answer::json(200, &subscription_json(call)))
        }
        (&Method::GET, ["subscriptions", _, "resourcegroups"]) => {
            let id = call.subscription(path[1])?;
            call.authorize("Microsoft.Resources/subscriptions/resourceGroups/read", &id)?;
            Ok(list(&call.state.groups.values().map(|group| group_json(&id, group)).collect::<Vec<_>>()))
        }
        (&Method::PUT, ["subscriptions", _, "resourcegroups", _]) => {
            let id = call.subscription(path[1])?;
            let scope = format!("{id}/resourceGroups/{}", path[3]);
            call.authorize("Microsoft.Resources/subscriptions/resourceGroups/write", &scope)?;
            let (location, tags) = location_and_tags(&call.body()?);
            let group = Group { name: path[3].to_owned(), location, tags };
            let answer = group_json(&id, &group);
            let old = call.change(|state| Ok(state.groups.insert(lower[3].to_owned(), group)))?;
            Ok(Answer::json(if old.is_some() { 200 } else { 201 }, &answer))
        }
        (method @ (&Method::GET | &Method::HEAD | &Method::DELETE), ["subscriptions", _, "resourcegroups", _]) => {
            let subscription = call.subscription(path[1])?;
            let (scope, name) = call.group(path)?;
            if method == Method::DELETE {
                call.authorize("Microsoft.Resources/subscriptions/resourceGroups/delete", &scope)?;
                delete(call, &name)?;
                return Ok(Answer::empty(200));
            }
            call.authorize("Microsoft.Resources/subscriptions/resourceGroups/read", &scope)?;
            let group = &call.state.groups[lower[3]];
            Ok(if method == Method::HEAD { Answer::empty(204) } else { Answer::json(200, &group_json(&subscription, group)) })
        }
        _ => Err(no_such_address(call.request)),
    }
}

/// A group goes with everything in it.
fn delete(call: &Call<'_>, name: &str) -> Result<(), skybru_federation::azure::AzureError> {
    let accounts = call.state.accounts.values().filter(|account| account.group.eq_ignore_ascii_case(name));
    for account in accounts {
        call.sim.items.forget_account(&account.name);
    }
    let scope = format!("/subscriptions/{}/resourceGroups/{name}", call.state.subscription);
    call.change(|state| {
        state.groups.remove(&name.to_ascii_lowercase());
        state.identities.retain(|one| !one.group.eq_ignore_ascii_case(name));
        state.accounts.retain(|_, one| !one.group.eq_ignore_ascii_case(name));
        state.assignments.retain(|one| !skybru_federation::azure::contains(&scope, &one.scope));
        Ok(())
    })
}

fn subscription_json(call: &Call<'_>) -> Value {
    let id = &call.state.subscription;
    json!({
        "id": format!("/subscriptions/{id}"), "subscriptionId": id, "tenantId": call.state.tenant.id,
        "displayName": call.state.tenant.name, "state": "Enabled", "authorizationSource": "RoleBased",
        "subscriptionPolicies": {"locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off"},
    })
}

fn group_json(subscription: &str, group: &Group) -> Value {
    json!({
        "id": format!("{subscription}/resourceGroups/{}", group.name), "name": group.name, "location": group.location,
        "type": "Microsoft.Resources/resourceGroups", "tags": group.tags, "properties": {"provisioningState": "Succeeded"},
    })
}
