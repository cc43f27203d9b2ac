//! Entra: the token endpoint, its key set, and the documents that clients look for before they trust it (E-10, E-15, E-73).

use http::Method;
use serde_json::{Value, json};
use skybru_federation::entra::{
    Accepted, Decision, Directory, EntraError, Identity, TokenRequest, Trace, after_fetch, before_fetch,
};

use super::Sim;
use super::wire::{Answer, Request};

/// Answers what is neither Resource Manager's nor Graph's.
pub(crate) async fn answer(sim: &Sim, request: &Request, path: &[&str], request_id: &str) -> Answer {
    match (&request.method, path) {
        (&Method::POST, [tenant, "oauth2", "v2.0", "token"]) => token(sim, request, tenant, request_id).await,
        (&Method::GET, [tenant, "v2.0", ".well-known", "openid-configuration"]) => discovery(sim, tenant, "/v2.0", request_id),
        (&Method::GET, [tenant, ".well-known", "openid-configuration"]) => discovery(sim, tenant, "", request_id),
        (&Method::GET, ["common" | "organizations", "discovery", "instance"] | ["discovery", "instance"]) => instance(sim),
        (&Method::GET, [_, "discovery", "v2.0" | "", "keys"] | [_, "discovery", "keys"]) => {
            Answer::json(200, &serde_json::to_value(sim.keys()).unwrap_or_default())
        }
        _ => {
            Answer::json(404, &json!({"error": "not_found", "error_description": "There is no such address at this authority."}))
        }
    }
}

/// The order is that of E-28; the issuer is asked in the middle, and everything else is decided by `skybru-federation`.
async fn token(sim: &Sim, request: &Request, tenant: &str, request_id: &str) -> Answer {
    let form: Vec<(String, String)> = form_urlencoded::parse(request.body.document()).into_owned().collect();
    let get = |name: &str| form.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone());
    let state = sim.state.get();
    // E-8: a credential that is too new to be known everywhere does not exist yet.
    let settled = |identity: &Identity| {
        let known = identity.credentials.iter().filter(|one| sim.has_settled(one.created)).cloned().collect();
        Identity { credentials: known, ..identity.clone() }
    };
    let identities: Vec<Identity> = state.all_identities().map(settled).collect();
    let directory = Directory { tenant: &state.tenant, identities: &identities };
    let decided = async {
        let call = TokenRequest::read(tenant, get)?;
        let (assertion, identity) = before_fetch(&call, Some(directory), sim.rules)?;
        let documents = sim.fetcher.documents(&assertion.issuer, &[]).await;
        after_fetch(&call, &assertion, identity, documents, sim.now(), sim.rules)
    };
    match decided.await {
        Ok(mut accepted) => {
            let now = sim.now();
            let life = sim.control.ends(now, now.saturating_add(accepted.lifetime_seconds.into())) - now;
            accepted.lifetime_seconds = life.try_into().unwrap_or(accepted.lifetime_seconds);
            granted(sim, &accepted)
        }
        Err(Decision { error, reason }) => {
            tracing::info!(number = error.number, rule = error.rule, ?reason, "assertion refused");
            refused(sim, request, &error, request_id)
        }
    }
}

fn granted(sim: &Sim, accepted: &Accepted<'_>) -> Answer {
    let claims = accepted.claims(&sim.state.get().tenant, sim.now());
    let Ok(access_token) = sim.key.sign(Some("JWT"), &claims) else {
        return Answer::json(500, &json!({"error": "server_error", "error_description": "The token could not be signed."}));
    };
    tracing::info!(client.id = accepted.identity.client_id, credential = accepted.credential.name, "assertion accepted");
    let lifetime = accepted.lifetime_seconds;
    let body = json!({"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": access_token});
    Answer::json(200, &body).with("cache-control", "no-store, no-cache")
}

fn refused(sim: &Sim, request: &Request, error: &EntraError, request_id: &str) -> Answer {
    let correlation_id = request.header("client-request-id").map_or_else(|| sim.guid(), str::to_owned);
    let trace = Trace { trace_id: request_id.to_owned(), correlation_id, now: sim.now() };
    Answer::json(error.status, &error.body(&trace, sim.rules.wording)).with("cache-control", "no-store, no-cache")
}

/// E-73. The issuer is this authority's own in version 2, as clients check that it matches where they asked.
fn discovery(sim: &Sim, tenant: &str, version: &str, request_id: &str) -> Answer {
    let state = sim.state.get();
    if !state.tenant.is_called(tenant) && !["common", "organizations"].contains(&tenant) {
        let text = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
        );
        let error = EntraError { number: 90002, error: "invalid_tenant", status: 400, message: text, rule: "E-38" };
        let trace = Trace { trace_id: request_id.to_owned(), correlation_id: sim.guid(), now: sim.now() };
        return Answer::json(400, &error.body(&trace, sim.rules.wording));
    }
    let (id, authority) = (&state.tenant.id, &sim.authority);
    let issuer = if version.is_empty() { format!("https://sts.windows.net/{id}/") } else { format!("{authority}/{id}{version}") };
    let oauth = if version.is_empty() { "oauth2".to_owned() } else { format!("oauth2{version}") };
    let document = json!({
        "issuer": issuer,
        "token_endpoint": format!("{authority}/{id}/{oauth}/token"),
        "authorization_endpoint": format!("{authority}/{id}/{oauth}/authorize"),
        "jwks_uri": format!("{authority}/{id}/discovery{version}/keys"),
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "tenant_region_scope": "EU",
        "cloud_instance_name": host(authority),
    });
    Answer::json(200, &document)
}

/// E-73: which hosts are the same authority. This one stands alone.
fn instance(sim: &Sim) -> Answer {
    let state = sim.state.get();
    let host: Value = host(&sim.authority).into();
    let endpoint = format!("{}/{}/v2.0/.well-known/openid-configuration", sim.authority, state.tenant.id);
    let metadata = json!([{"preferred_network": host, "preferred_cache": host, "aliases": [host]}]);
    Answer::json(200, &json!({"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": metadata}))
}

fn host(authority: &str) -> &str {
    authority.trim_start_matches("https://")
}
