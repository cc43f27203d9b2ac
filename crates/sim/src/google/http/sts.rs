//! STS: `/v1/token`, `/v1/introspect`, and `/v1/oauthtoken`, which the simulator refuses.

use axum::body::Body;
use axum::http::{Response, header};
use serde_json::{Value, json};
use skybru_federation::google::{
    ACCESS_TOKEN_TYPE, ApiError, Caller, Decision, ExchangeRequest, Exchanged, Registered, StsError, after_fetch, before_fetch,
};

use super::Call;
use super::answers::{json, sts_error};
use crate::google::Sim;
use crate::google::state::{AccessToken, fingerprint};

pub(super) async fn answer(call: Call<'_>) -> Response<Body> {
    let service = call.segments.get(1).cloned().unwrap_or_default();
    let sim = call.sim;
    // G-47, G-62: gcloud sends client credentials, which are its own and public. They are seen and not looked at.
    let client =
        call.header("authorization").is_some_and(|value| value.get(..6).is_some_and(|it| it.eq_ignore_ascii_case("basic ")));
    let kind = call.header(header::CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
    let parameters = match call.bytes().await {
        Ok(body) => parameters(&body, kind.starts_with("application/json")),
        Err(_) => None,
    };
    let Some(parameters) = parameters else {
        return sts_error(&StsError::new("G-27", "invalid_request", "The request body cannot be read."));
    };
    let get = |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let answer = match service.as_str() {
        "token" => exchange(sim, get, client).await,
        "introspect" => Ok(introspect(sim, get("token").unwrap_or_default().as_str())),
        // G-67: a refresh token comes from a sign-in in a browser, which is not simulated, so none is ever good.
        _ => Err(StsError::new("G-67", "invalid_grant", "The refresh token is invalid.")),
    };
    answer.unwrap_or_else(|error| sts_error(&error))
}

/// A form, or JSON with names in another spelling (G-27).
fn parameters(body: &[u8], is_json: bool) -> Option<Vec<(String, String)>> {
    if !is_json {
        return Some(form_urlencoded::parse(body).into_owned().collect());
    }
    let members: serde_json::Map<String, Value> = serde_json::from_slice(body).ok()?;
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Some(members.into_iter().map(|(name, value)| (snake_case(&name), text(value))).collect())
}

/// `subjectToken` becomes `subject_token`.
fn snake_case(name: &str) -> String {
    name.chars().flat_map(|c| if c.is_ascii_uppercase() { vec!['_', c.to_ascii_lowercase()] } else { vec![c] }).collect()
}

/// The issuer is asked in the middle, and everything else is decided by `skybru-federation`.
async fn exchange(sim: &Sim, get: impl Fn(&str) -> Option<String>, client: bool) -> Result<Response<Body>, StsError> {
    let request = ExchangeRequest::read(get, client)?;
    let now = sim.now();
    if !sim.may_exchange(now) {
        return Err(StsError::throttled());
    }
    let state = sim.state.get();
    let registered = Registered {
        pool: state.pools.get(&request.provider.pool.to_string()),
        provider: state.providers.get(&request.provider.to_string()),
    };
    let refuse = |decision: Decision| {
        let StsError { error, rule, .. } = &decision.error;
        tracing::info!(error, rule, reason = ?decision.reason, provider = %request.provider, "exchange refused");
        decision.error
    };
    let (token, provider) = before_fetch(&request, registered, now, sim.wording).map_err(refuse)?;
    let documents = match provider.oidc.jwks_json {
        // G-4: nothing is fetched when keys were uploaded, and nothing of what is given here is looked at.
        Some(_) => Err(skybru_federation::DocumentProblem::MissingFields(Vec::new())),
        None => sim.fetcher.public_documents(&provider.oidc.issuer_uri).await,
    };
    let Exchanged { identity, expires_in, expires, scopes } =
        after_fetch(&request, &token, provider, documents, now).map_err(refuse)?;
    let (whole, expires) = (expires, sim.control.ends(now, expires));
    let expires_in = if expires < whole { u32::try_from(expires - now).ok() } else { expires_in };
    let access_token = format!("ya29.d.{}", sim.random_text(120));
    let given = AccessToken { caller: Caller::Federated(identity), scopes, issued: now, expires };
    sim.state.change(|state| {
        state.remember(&access_token, given, now);
        Ok::<_, StsError>(())
    })?;
    // G-29.
    let mut answer = json!({"access_token": access_token, "issued_token_type": ACCESS_TOKEN_TYPE, "token_type": "Bearer"});
    if let Some(seconds) = expires_in {
        answer["expires_in"] = seconds.into();
    }
    Ok(json(200, &answer))
}

/// G-62: `username` becomes gcloud's name for the account.
fn introspect(sim: &Sim, token: &str) -> Response<Body> {
    let state = sim.state.get();
    let answer = match state.tokens.get(&fingerprint(token)).filter(|token| sim.now() < token.expires) {
        Some(AccessToken { caller: Caller::Federated(identity), scopes, issued, expires }) => json!({
            "active": true, "username": identity.principal(), "sub": identity.principal(), "scope": scopes.join(" "), "iat": issued,
            "exp": expires, "iss": "https://sts.googleapis.com/", "token_type": ACCESS_TOKEN_TYPE,
        }),
        _ => json!({"active": false}),
    };
    json(200, &answer)
}

/// `generateAccessToken` gives such a token too.
pub(super) fn issue(sim: &Sim, caller: Caller, scopes: Vec<String>, expires: i64) -> Result<String, ApiError> {
    let (now, access_token) = (sim.now(), format!("ya29.c.{}", sim.random_text(120)));
    sim.state.change(|state| {
        state.remember(&access_token, AccessToken { caller, scopes, issued: now, expires }, now);
        Ok::<_, ApiError>(())
    })?;
    Ok(access_token)
}
