//! What a trust policy can look at.

use serde_json::Value;

use super::account_of_arn;
use super::policy::Context;
use super::provider::OidcProvider;
use super::session::SessionClaims;
use super::token::PresentedToken;

/// The rest of a request that a trust policy can see.
#[derive(Debug, Clone, Copy)]
pub struct TrustContext<'a> {
    /// The provider that vouches for the token.
    pub provider: &'a OidcProvider,
    /// The token.
    pub token: &'a PresentedToken,
    /// What it asks for beside the role.
    pub session: &'a SessionClaims,
    /// `RoleSessionName`.
    pub session_name: &'a str,
}

/// The condition keys that AWS fills for a custom OIDC provider.
///
/// Only `aud`, `sub`, `oaud`, `amr` and `email` of the token's claims become keys. **`scope`, `consumer` and all others never do** (A-73):
/// that is why Skyporten's subject carries the scope.
pub fn trust_context(given: TrustContext<'_>) -> Context {
    let TrustContext { provider, token, session, session_name } = given;
    let mut context = Context::default();
    // the prefix is the provider's URL without its scheme, path and slash included.
    let key = |name: &str| format!("{}:{name}", provider.url);
    context.set(&key("aud"), [token.audience.value.clone()]);
    context.set(&key("oaud"), token.audience.all.clone());
    context.set(&key("sub"), [token.sub.clone()]);
    match token.claims.get("amr") {
        Some(Value::Array(values)) => context.set(&key("amr"), values.iter().filter_map(Value::as_str)),
        Some(Value::String(one)) => context.set(&key("amr"), [one.as_str()]),
        _ => {}
    }
    if let Some(email) = token.claims.get("email").and_then(Value::as_str) {
        context.set(&key("email"), [email]);
    }
    context.set("sts:RoleSessionName", [session_name]);
    if let Some(identity) = &session.source_identity {
        context.set("sts:SourceIdentity", [identity.as_str()]);
    }
    for (key, value) in &session.tags {
        context.set(&format!("aws:RequestTag/{key}"), [value.as_str()]);
    }
    if !session.tags.is_empty() {
        context.set("aws:TagKeys", session.tags.iter().map(|(key, _)| key.as_str()));
    }
    if !session.transitive.is_empty() {
        context.set("sts:TransitiveTagKeys", session.transitive.iter().map(String::as_str));
    }
    if let Some(authorized) = session.role_authorized {
        context.set("sts:RoleAuthorizedByIdp", [authorized.to_string()]);
    }
    if let Some(account) = account_of_arn(&provider.arn) {
        context.set("aws:PrincipalAccount", [account]);
    }
    context.set("aws:PrincipalType", ["User"]);
    context.set("aws:userid", [provider.arn.as_str()]);
    context.set("aws:FederatedProvider", [provider.arn.as_str()]);
    context
}
