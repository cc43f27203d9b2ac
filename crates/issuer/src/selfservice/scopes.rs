//! Scopes of the caller's own prefixes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use skybru_core::{Prefix, ScopeName};
use skybru_store::Change;
use skybru_store::registry::{IntegrationType, Scope, Visibility};
use utoipa::ToSchema;

use super::{ApiError, Caller, Problem, Right, SelfService};

/// A scope as it comes in. Members that only the server sets (`name`, `owner_orgno`, `created` …) are ignored: clients send back what
/// they read.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[schema(as = ScopeRequest)]
#[serde(default)]
pub struct ScopeInput {
    /// Without the colon.
    pub prefix: Option<String>,
    /// What follows the colon.
    pub subscope: Option<String>,
    /// Required.
    pub description: Option<String>,
    /// More of it.
    pub long_description: Option<String>,
    /// `PUBLIC` when absent.
    #[schema(value_type = Option<String>, example = "PUBLIC")]
    pub visibility: Option<Visibility>,
    /// Anybody may have it.
    pub accessible_for_all: bool,
    /// Empty means any.
    #[schema(value_type = Option<Vec<String>>)]
    pub allowed_integration_types: Option<Vec<IntegrationType>>,
    /// Seconds; 0 or absent means no limit.
    pub at_max_age: Option<u32>,
    /// The issuer URL of whoever holds delegations.
    pub delegation_source: Option<String>,
    /// `true` brings a deactivated scope back (PUT only).
    pub active: Option<bool>,
    /// What only logins, listings and API providers look at, and what nobody knows; of the latter nothing is kept.
    #[serde(flatten)]
    #[schema(ignore)]
    pub more: Map<String, Value>,
}

/// Members that are kept and told as they were given.
const KEPT: [&str; 11] = [
    "authorization_max_lifetime",
    "authorization_max_age",
    "descriptions",
    "enforced_aud_for_access_token",
    "enforced_aud_for_introspection",
    "protected",
    "requires_pseudonymous_tokens",
    "requires_user_authentication",
    "requires_user_consent",
    "supports_european_businesses",
    "token_type",
];

/// What of a scope's further members is kept: the known ones, and descriptions in other languages (`description#nn`).
fn kept(more: &Map<String, Value>) -> Option<Arc<Map<String, Value>>> {
    let known = |name: &str| KEPT.contains(&name) || name.starts_with("description#") || name.starts_with("long_description#");
    let kept: Map<String, Value> = more
        .iter()
        .filter(|(name, value)| known(name) && !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    (!kept.is_empty()).then(|| Arc::new(kept))
}

/// A scope as it goes out: its name in three members, because clients build it from two of them.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ScopeResponse)]
pub struct ScopeView {
    prefix: String,
    subscope: String,
    name: String,
    owner_orgno: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    long_description: Option<String>,
    #[schema(value_type = String, example = "PUBLIC")]
    visibility: Visibility,
    accessible_for_all: bool,
    #[schema(value_type = Vec<String>)]
    allowed_integration_types: Vec<IntegrationType>,
    at_max_age: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    delegation_source: Option<String>,
    active: bool,
    #[schema(format = DateTime)]
    created: String,
    #[schema(format = DateTime)]
    last_updated: String,
    /// `token_type`, `requires_user_consent`, `description#nn` and so on, as given.
    #[serde(flatten)]
    #[schema(ignore)]
    more: Map<String, Value>,
}

impl From<&Scope> for ScopeView {
    fn from(scope: &Scope) -> Self {
        let mut more = scope.more.as_deref().cloned().unwrap_or_default();
        more.entry("token_type").or_insert_with(|| "SELF_CONTAINED".into());
        Self {
            prefix: scope.name.prefix().to_owned(),
            subscope: scope.name.subscope().to_owned(),
            name: scope.name.to_string(),
            owner_orgno: scope.owner_orgno.to_string(),
            description: scope.description.clone(),
            long_description: scope.long_description.clone(),
            visibility: scope.visibility,
            accessible_for_all: scope.accessible_for_all,
            allowed_integration_types: scope.allowed_integration_types.clone(),
            at_max_age: scope.at_max_age,
            delegation_source: scope.delegation_source.clone(),
            active: scope.active,
            created: scope.created.to_string(),
            last_updated: scope.last_updated.to_string(),
            more,
        }
    }
}

impl SelfService {
    /// Scopes that everybody may see: no token needed.
    pub fn public_scopes(&self, only_open: bool) -> Vec<ScopeView> {
        let shown =
            |scope: &&Scope| scope.active && scope.visibility == Visibility::Public && (!only_open || scope.accessible_for_all);
        self.registry.read(|registry| registry.scopes().map(AsRef::as_ref).filter(shown).map(ScopeView::from).collect())
    }

    /// The caller's own scopes.
    pub fn scopes(&self, caller: &Caller, inactive_too: bool) -> Result<Vec<ScopeView>, ApiError> {
        caller.must(Right::ReadScopes)?;
        let shown = |scope: &&Scope| scope.owner_orgno == caller.org() && (scope.active || inactive_too);
        Ok(self.registry.read(|registry| registry.scopes().map(AsRef::as_ref).filter(shown).map(ScopeView::from).collect()))
    }

    /// One of the caller's own scopes, active or not.
    pub fn scope(&self, caller: &Caller, name: &str) -> Result<ScopeView, ApiError> {
        caller.must(Right::ReadScopes)?;
        self.registry.read(|registry| own_scope(registry, caller, name).map(ScopeView::from))
    }

    /// Creates a scope under one of the caller's prefixes.
    pub async fn create_scope(&self, caller: &Caller, input: ScopeInput) -> Result<ScopeView, ApiError> {
        caller.must(Right::WriteScopes)?;
        let name = new_name(&input)?;
        let prefix: Prefix = name.prefix().parse().map_err(|_| not_found(name.as_str()))?;
        let now = self.ctx.clock.now();
        self.change(caller, |registry| {
            if registry.prefix_owner(&prefix) != Some(caller.org()) {
                return Err(ApiError::Forbidden(format!("prefix {prefix} does not belong to organisation {}", caller.org())));
            }
            if let Some(known) = registry.scope(&name) {
                let state = if known.active {
                    "exists"
                } else {
                    "exists and is deactivated; change it with active=true to bring it back"
                };
                return Err(ApiError::Conflict(format!("scope {name} {state}")));
            }
            let scope = from_input(&input, name, caller, now, now)?;
            let view = ScopeView::from(&scope);
            Ok((vec![Change::PutScope(scope)], view))
        })
        .await
    }

    /// Changes a scope. `active: true` brings it back.
    pub async fn update_scope(&self, caller: &Caller, name: &str, input: ScopeInput) -> Result<ScopeView, ApiError> {
        caller.must(Right::WriteScopes)?;
        let now = self.ctx.clock.now();
        self.change(caller, |registry| {
            let known = own_scope(registry, caller, name)?;
            let same = |given: &Option<String>, is: &str| given.as_deref().is_none_or(|given| given == is);
            if !same(&input.prefix, known.name.prefix()) || !same(&input.subscope, known.name.subscope()) {
                return Err(ApiError::field("Scope", "subscope", "prefix and subscope cannot be changed"));
            }
            let scope = from_input(&input, known.name.clone(), caller, known.created, now)?;
            let view = ScopeView::from(&scope);
            Ok((vec![Change::PutScope(scope)], view))
        })
        .await
    }

    /// Deactivates a scope: nobody gets tokens for it any more. Accesses and registrations are kept.
    pub async fn deactivate_scope(&self, caller: &Caller, name: &str) -> Result<ScopeView, ApiError> {
        caller.must(Right::WriteScopes)?;
        let now = self.ctx.clock.now();
        self.change(caller, |registry| {
            let scope = Scope { active: false, last_updated: now, ..own_scope(registry, caller, name)?.clone() };
            let view = ScopeView::from(&scope);
            Ok((vec![Change::PutScope(scope)], view))
        })
        .await
    }
}

pub(super) fn not_found(name: &str) -> ApiError {
    ApiError::NotFound(format!("scope {} is not registered, or is not yours", name.chars().take(80).collect::<String>()))
}

/// A scope of the caller's. Another organisation's looks like one that is not there.
pub(super) fn own_scope<'a>(registry: &'a skybru_store::Registry, caller: &Caller, name: &str) -> Result<&'a Scope, ApiError> {
    let name: ScopeName =
        name.parse().map_err(|e: skybru_core::scope::ScopeError| ApiError::field("Scope", "scope", e.to_string()))?;
    registry
        .scope(&name)
        .map(AsRef::as_ref)
        .filter(|scope| scope.owner_orgno == caller.org())
        .ok_or_else(|| not_found(name.as_str()))
}

fn new_name(input: &ScopeInput) -> Result<ScopeName, ApiError> {
    let part = |value: &Option<String>, field| match value.as_deref() {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(ApiError::field("Scope", field, format!("{field} is missing"))),
    };
    let (prefix, subscope) = (part(&input.prefix, "prefix")?, part(&input.subscope, "subscope")?);
    let whole = format!("{prefix}:{subscope}");
    whole.parse().map_err(|e: skybru_core::scope::ScopeError| ApiError::field("Scope", "subscope", e.to_string()))
}

fn from_input(
    input: &ScopeInput,
    name: ScopeName,
    caller: &Caller,
    created: jiff::Timestamp,
    last_updated: jiff::Timestamp,
) -> Result<Scope, ApiError> {
    let description = input.description.clone().filter(|text| !text.trim().is_empty());
    let Some(description) = description else {
        return Err(ApiError::Invalid(vec![Problem::field("Scope", "description", "description is missing")]));
    };
    Ok(Scope {
        name,
        owner_orgno: caller.org(),
        description,
        long_description: input.long_description.clone(),
        visibility: input.visibility.unwrap_or_default(),
        accessible_for_all: input.accessible_for_all,
        allowed_integration_types: input.allowed_integration_types.clone().unwrap_or_default(),
        at_max_age: input.at_max_age.unwrap_or(0),
        delegation_source: input.delegation_source.clone().filter(|text| !text.is_empty()),
        more: kept(&input.more),
        active: input.active.unwrap_or(true),
        created,
        last_updated,
    })
}
