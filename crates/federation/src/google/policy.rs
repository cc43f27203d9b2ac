//! Allow policies: who may do what on a resource (G-14, G-53).
//!
//! Deliberately missing: deny policies, and conditions on anything but the resource and the time of the request.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ApiError;
use super::cel::{Expression, MAX_CONDITION_LENGTH, timestamp};
use super::principal::{Caller, PoolMember};
use super::roles::role_holds;

/// A condition on a binding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingCondition {
    /// CEL over `resource` and `request.time`.
    pub expression: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The same at length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A role for some members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Such as `roles/storage.objectViewer`.
    pub role: String,
    /// Who has it.
    #[serde(default)]
    pub members: Vec<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<BindingCondition>,
}

/// A resource's allow policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// 1, or 3 when there are conditions.
    #[serde(default)]
    pub version: u32,
    /// The bindings.
    #[serde(default)]
    pub bindings: Vec<Binding>,
    /// Which state of the policy this is; a change names the state that it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// What is asked for, on what, when.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// Such as `storage.objects.get`.
    pub permission: &'a str,
    /// The resource's name as conditions see it, such as `projects/_/buckets/B/objects/O`.
    pub resource: &'a str,
    /// Its type as conditions see it, such as `storage.googleapis.com/Object`.
    pub kind: &'a str,
    /// Seconds since 1970.
    pub now: i64,
}

impl Policy {
    /// Whether it lets the caller in.
    pub fn allows(&self, caller: &Caller, access: Access<'_>) -> bool {
        self.bindings.iter().any(|binding| {
            role_holds(&binding.role, access.permission)
                && binding.members.iter().any(|member| caller.is_member(member))
                && binding.condition.as_ref().is_none_or(|condition| condition.holds(access))
        })
    }

    /// All members that have a role with this permission, whatever the conditions.
    pub fn members_with<'a>(&'a self, permission: &'a str) -> impl Iterator<Item = (&'a Binding, &'a str)> {
        let bindings = self.bindings.iter().filter(move |binding| role_holds(&binding.role, permission));
        bindings.flat_map(|binding| binding.members.iter().map(move |member| (binding, member.as_str())))
    }

    /// Checks what somebody wants to set: members of a known form, conditions that can be read.
    pub fn check(&self) -> Result<(), ApiError> {
        for binding in &self.bindings {
            if !binding.role.starts_with("roles/") && !binding.role.contains("/roles/") {
                return Err(ApiError::invalid("G-14", format!("Role {} is not supported for this resource.", binding.role)));
            }
            if let Some(wrong) = binding.members.iter().find(|member| !is_member_text(member)) {
                return Err(ApiError::invalid("G-14", format!("Invalid member: {wrong}")));
            }
            if let Some(condition) = &binding.condition {
                if self.version < 3 {
                    let message = "Policies with conditions must set the version to 3.";
                    return Err(ApiError::invalid("G-14", message));
                }
                condition.parse().map_err(|error| ApiError::invalid("G-10", format!("Invalid condition: {error}.")))?;
            }
        }
        Ok(())
    }
}

impl BindingCondition {
    fn parse(&self) -> Result<Expression, super::cel::ExpressionError> {
        Expression::parse(&self.expression, MAX_CONDITION_LENGTH, &["resource", "request"])
    }

    /// Whether it holds. What cannot be evaluated does not.
    fn holds(&self, access: Access<'_>) -> bool {
        let service = access.kind.split('/').next().unwrap_or_default();
        let resource = json!({"name": access.resource, "type": access.kind, "service": service});
        let Ok(expression) = self.parse() else { return false };
        let Some(time) = jiff::Timestamp::from_second(access.now).ok().and_then(|time| timestamp(&time.to_string())) else {
            return false;
        };
        let request = BTreeMap::from([("time", time)]);
        let held = expression.evaluate_with(&BTreeMap::from([("resource", &resource)]), &[("request", request)]);
        held == Ok(Value::Bool(true))
    }
}

/// G-14, and the kinds of member that Google has beside.
fn is_member_text(member: &str) -> bool {
    const KINDS: [&str; 9] = [
        "user:",
        "serviceAccount:",
        "group:",
        "domain:",
        "projectOwner:",
        "projectEditor:",
        "projectViewer:",
        "deleted:",
        "principalHierarchy:",
    ];
    if ["allUsers", "allAuthenticatedUsers"].contains(&member) {
        return true;
    }
    if member.starts_with("principal://") || member.starts_with("principalSet://") {
        // D-47: Google takes a subject as principal and everything else as set; it is taken to refuse the rest.
        return PoolMember::parse(member).is_some_and(|member| member.is_well_kinded());
    }
    KINDS.iter().any(|kind| member.strip_prefix(kind).is_some_and(|rest| !rest.is_empty()))
}
