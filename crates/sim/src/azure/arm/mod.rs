//! Azure Resource Manager: subscriptions, resource groups, identities with their credentials, role assignments, storage accounts.
//!
//! Every call is authorized by the caller's roles at the scope that its path names. Writes are done when they are answered: there are no
//! long-running operations here.

mod accounts;
mod groups;
mod identities;
mod metadata;
mod roles;

pub(crate) use accounts::new_container;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use skybru_federation::azure::{AzureError, Caller, Grants, RoleAssignment};
use skybru_federation::entra::Resource;

use super::Sim;
use super::server::{json_error, management_caller};
use super::state::State;
use super::wire::{Answer, Request};

/// One call, with what it is decided by.
struct Call<'a> {
    sim: &'a Sim,
    request: &'a Request,
    caller: Caller,
    state: Arc<State>,
    assignments: Vec<RoleAssignment>,
}

type Answered = Result<Answer, AzureError>;

/// Answers what follows `/arm`.
pub(crate) fn answer(sim: &Sim, request: &Request, path: &[&str]) -> Answer {
    respond(sim, request, path).unwrap_or_else(|error| json_error(&error))
}

fn respond(sim: &Sim, request: &Request, path: &[&str]) -> Answered {
    if let [first, second] = path
        && first.eq_ignore_ascii_case("metadata")
        && second.eq_ignore_ascii_case("endpoints")
    {
        return Ok(metadata::answer(sim, request));
    }
    let caller = management_caller(sim, request, Resource::Management)?;
    if request.query("api-version").is_none() {
        let text = "The api-version query parameter (?api-version=) is required for all requests.";
        return Err(AzureError::new("E-60", "MissingApiVersionParameter", 400, text));
    }
    let state = sim.state.get();
    let assignments = sim.assignments(&state);
    let call = Call { sim, request, caller, state, assignments };
    // Only the words of the path are compared without case; names keep theirs (E-60).
    let provider = path.iter().rposition(|part| part.eq_ignore_ascii_case("providers"));
    let Some(provider) = provider else { return groups::answer(&call, path) };
    let (scope, rest) = (&path[..provider], &path[provider + 1..]);
    let namespace = rest.first().copied().unwrap_or_default().to_ascii_lowercase();
    match (namespace.as_str(), rest.get(1..).unwrap_or_default()) {
        ("microsoft.authorization", rest) => roles::answer(&call, &format!("/{}", scope.join("/")), rest),
        ("microsoft.managedidentity", rest) => identities::answer(&call, scope, rest),
        ("microsoft.storage", rest) => accounts::answer(&call, scope, rest),
        _ => Err(no_such_address(request)),
    }
}

impl Call<'_> {
    fn grants(&self) -> Grants<'_> {
        Grants { assignments: &self.assignments, roles: &self.sim.roles }
    }

    fn authorize(&self, action: &str, scope: &str) -> Result<(), AzureError> {
        self.grants().authorize(&self.caller.principal_id, action, scope)
    }

    /// The subscription's path; another id than its own is not found.
    fn subscription(&self, id: &str) -> Result<String, AzureError> {
        if id.eq_ignore_ascii_case(&self.state.subscription) {
            return Ok(format!("/subscriptions/{}", self.state.subscription));
        }
        let text = format!("The subscription '{id}' could not be found.");
        Err(AzureError::new("E-60", "SubscriptionNotFound", 404, text))
    }

    /// The path of a resource group in `subscriptions/S/resourceGroups/G`, and its name as it was made.
    fn group(&self, scope: &[&str]) -> Result<(String, String), AzureError> {
        let [_, subscription, _, group] = scope else { return Err(no_such_address(self.request)) };
        let subscription = self.subscription(subscription)?;
        let found = self.state.groups.get(&group.to_ascii_lowercase()).ok_or_else(|| {
            AzureError::new("E-60", "ResourceGroupNotFound", 404, format!("Resource group '{group}' could not be found."))
        })?;
        Ok((format!("{subscription}/resourceGroups/{}", found.name), found.name.clone()))
    }

    fn body(&self) -> Result<Value, AzureError> {
        serde_json::from_slice(self.request.body.document()).map_err(|error| {
            let text = format!("The request content was invalid and could not be deserialized: '{error}'.");
            AzureError::new("E-60", "InvalidRequestContent", 400, text)
        })
    }

    fn method(&self) -> &Method {
        &self.request.method
    }

    /// Changes the state, all of it or nothing.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T, AzureError>) -> Result<T, AzureError> {
        self.sim.state.change(change)
    }
}

/// `location` and `tags` of a body.
fn location_and_tags(body: &Value) -> (String, BTreeMap<String, String>) {
    let tags = body["tags"].as_object().into_iter().flatten();
    let tags = tags.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
    (body["location"].as_str().unwrap_or("norwayeast").to_owned(), tags)
}

fn list(values: &[Value]) -> Answer {
    Answer::json(200, &json!({"value": values}))
}

fn no_such_address(request: &Request) -> AzureError {
    let text = format!("No HTTP resource was found that matches {} '{}'.", request.method, request.path);
    AzureError::new("E-60", "NotFound", 404, text)
}

fn resource_not_found(kind: &str, name: &str, group: &str) -> AzureError {
    let text = format!(
        "The Resource '{kind}/{name}' under resource group '{group}' was not found. For more details please go to \
         https://aka.ms/ARMResourceNotFoundFix"
    );
    AzureError::new("E-60", "ResourceNotFound", 404, text)
}
