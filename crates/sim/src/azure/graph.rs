//! Microsoft Graph, as far as federated credentials of applications need it (E-62): make an application, give it credentials.

use http::Method;
use serde_json::{Value, json};
use skybru_federation::azure::{AzureError, roles};
use skybru_federation::entra::{CredentialInput, FederatedCredential, Identity, IdentityKind, Matching, Resource};

use super::Sim;
use super::server::{json_error, management_caller};
use super::state::Application;
use super::wire::{Answer, Request};

/// Answers what follows `/graph`.
pub(crate) fn answer(sim: &Sim, request: &Request, path: &[&str]) -> Answer {
    respond(sim, request, path).unwrap_or_else(|error| json_error(&error))
}

fn respond(sim: &Sim, request: &Request, path: &[&str]) -> Result<Answer, AzureError> {
    let caller = management_caller(sim, request, Resource::Graph)?;
    let state = sim.state.get();
    let subscription = format!("/subscriptions/{}", state.subscription);
    // Directory roles are not simulated: the subscription's owner stands for the directory's administrator.
    let is_owner = sim.assignments(&state).iter().any(|one| {
        one.principal_id == caller.principal_id && one.role == roles::id::OWNER && one.scope.eq_ignore_ascii_case(&subscription)
    });
    if !is_owner {
        let text = "Insufficient privileges to complete the operation.";
        return Err(AzureError::new("E-62", "Authorization_RequestDenied", 403, text));
    }
    let body: Value = if request.body.document().is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(request.body.document()).map_err(|_| unreadable())?
    };
    match (&request.method, path) {
        (&Method::GET, [_, "applications"]) => {
            let wanted = request.query("$filter").map(app_id_of).transpose()?;
            let fits = |one: &&Application| wanted.is_none_or(|id| one.identity.client_id.eq_ignore_ascii_case(id));
            Ok(list(&state.applications.iter().filter(fits).map(application_json).collect::<Vec<_>>()))
        }
        (&Method::GET, [_, name]) if name.starts_with("servicePrincipals(") => {
            let id = name.trim_start_matches("servicePrincipals(appId='").trim_end_matches("')");
            let identities = state.identities.iter().map(|one| &one.identity);
            let mut all = identities.chain(state.applications.iter().map(|one| &one.identity));
            let found = all.find(|one| one.client_id.eq_ignore_ascii_case(id)).ok_or_else(|| missing(id))?;
            let kind = if found.kind == IdentityKind::Application { "Application" } else { "ManagedIdentity" };
            let Identity { principal_id, client_id, name, .. } = found;
            let value = json!({
                "id": principal_id, "appId": client_id, "displayName": name, "servicePrincipalType": kind,
                "appOwnerOrganizationId": state.tenant.id,
            });
            Ok(Answer::json(200, &value))
        }
        (&Method::POST, [_, "applications"]) => {
            let name = body["displayName"].as_str().filter(|name| !name.is_empty()).ok_or_else(unreadable)?;
            let identity = Identity {
                kind: IdentityKind::Application,
                name: name.to_owned(),
                client_id: sim.guid(),
                principal_id: sim.guid(),
                credentials: Vec::new(),
            };
            let application = Application { object_id: sim.guid(), identity };
            let answer = Answer::json(201, &application_json(&application));
            sim.state.change(|state| {
                state.applications.push(application);
                Ok::<_, AzureError>(())
            })?;
            Ok(answer)
        }
        (&Method::GET, [_, "applications", id]) => {
            let found = state.applications.iter().find(|one| one.object_id == *id).ok_or_else(|| missing(id))?;
            Ok(Answer::json(200, &application_json(found)))
        }
        (&Method::GET, [_, "applications", id, "federatedIdentityCredentials"]) => {
            let found = state.applications.iter().find(|one| one.object_id == *id).ok_or_else(|| missing(id))?;
            Ok(list(&found.identity.credentials.iter().map(credential_json).collect::<Vec<_>>()))
        }
        (&Method::POST, [_, "applications", id, "federatedIdentityCredentials"]) => {
            let text = |name: &str| body[name].as_str().map(str::to_owned);
            let audiences = body["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
            let input = CredentialInput {
                name: text("name").unwrap_or_default(),
                issuer: text("issuer"),
                subject: text("subject"),
                audiences: audiences.collect(),
                description: text("description"),
                expression: body["claimsMatchingExpression"]["value"].as_str().map(str::to_owned),
            };
            let made = change(sim, id, |identity, now| {
                let made = FederatedCredential::create(input, &identity.credentials, IdentityKind::Application, now)?;
                identity.credentials.retain(|one| one.name != made.name);
                identity.credentials.push(made.clone());
                Ok(made)
            })?;
            Ok(Answer::json(201, &credential_json(&made)))
        }
        (&Method::DELETE, [_, "applications", id, "federatedIdentityCredentials", name]) => {
            change(sim, id, |identity, _| {
                let before = identity.credentials.len();
                identity.credentials.retain(|one| one.name != *name);
                if identity.credentials.len() < before { Ok(()) } else { Err(missing(name)) }
            })?;
            Ok(Answer::empty(204))
        }
        _ => Err(AzureError::new("E-62", "Request_ResourceNotFound", 404, "Resource not found for the segment.")),
    }
}

/// The application id of the one filter that is known: `appId eq '…'`.
fn app_id_of(filter: &str) -> Result<&str, AzureError> {
    let id = filter.trim().strip_prefix("appId eq '").and_then(|rest| rest.strip_suffix('\''));
    id.ok_or_else(|| AzureError::new("E-62", "Request_UnsupportedQuery", 400, "The simulator filters by appId eq '…' alone."))
}

fn change<T>(sim: &Sim, id: &str, change: impl FnOnce(&mut Identity, i64) -> Result<T, AzureError>) -> Result<T, AzureError> {
    let now = sim.now();
    sim.state.change(|state| {
        let found = state.applications.iter_mut().find(|one| one.object_id == id).ok_or_else(|| missing(id))?;
        change(&mut found.identity, now)
    })
}

fn application_json(application: &Application) -> Value {
    let Identity { name, client_id, .. } = &application.identity;
    json!({"id": application.object_id, "appId": client_id, "displayName": name})
}

fn credential_json(credential: &FederatedCredential) -> Value {
    let mut value = json!({
        "id": credential.name, "name": credential.name, "issuer": credential.issuer, "audiences": [credential.audience],
        "description": credential.description, "subject": null,
    });
    match &credential.matching {
        Matching::Subject(subject) => value["subject"] = subject.as_str().into(),
        Matching::Expression(text) => value["claimsMatchingExpression"] = json!({"value": text, "languageVersion": 1}),
    }
    value
}

fn list(values: &[Value]) -> Answer {
    Answer::json(200, &json!({"value": values}))
}

fn unreadable() -> AzureError {
    AzureError::new("E-62", "Request_BadRequest", 400, "The request body is not what it should be.")
}

fn missing(id: &str) -> AzureError {
    let text = format!("Resource '{id}' does not exist or one of its queried reference-property objects are not present.");
    AzureError::new("E-62", "Request_ResourceNotFound", 404, text)
}
