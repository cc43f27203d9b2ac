//! Role assignments: who may do what, from which scope down (E-63, E-64, E-66).
//!
//! Deliberately missing: groups, deny assignments, conditions on assignments, management groups.

use serde::{Deserialize, Serialize};

use super::AzureError;
use super::roles::RoleDefinition;

/// A role given to a principal, for a scope and everything below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleAssignment {
    /// The last part of its id, a GUID that the caller chose.
    pub name: String,
    /// Where it begins, such as `/subscriptions/…/resourceGroups/…`.
    pub scope: String,
    /// The role, by the last part of its id.
    pub role: String,
    /// Who has it: an object id, never a client id (E-11).
    pub principal_id: String,
    /// `ServicePrincipal` and the like, as it was said.
    pub principal_type: Option<String>,
    /// Seconds since 1970: it counts some minutes later (E-66).
    pub created: i64,
}

/// Roles and who has them.
#[derive(Debug, Clone, Copy)]
pub struct Grants<'a> {
    /// The assignments that have reached every part of Azure.
    pub assignments: &'a [RoleAssignment],
    /// The roles.
    pub roles: &'a [RoleDefinition],
}

impl<'a> Grants<'a> {
    /// The roles that a principal has at a scope.
    pub fn of(self, principal: &'a str, scope: &'a str) -> impl Iterator<Item = &'a RoleDefinition> {
        let held = move |assignment: &&RoleAssignment| {
            assignment.principal_id.eq_ignore_ascii_case(principal) && contains(&assignment.scope, scope)
        };
        let role =
            move |assignment: &RoleAssignment| self.roles.iter().find(|role| role.id.eq_ignore_ascii_case(&assignment.role));
        self.assignments.iter().filter(held).filter_map(role)
    }

    /// Whether a principal may do this on a resource.
    pub fn may(self, principal: &str, action: &str, scope: &str) -> bool {
        self.of(principal, scope).any(|role| role.allows(action))
    }

    /// Whether a principal may do this on data.
    pub fn may_on_data(self, principal: &str, action: &str, scope: &str) -> bool {
        self.of(principal, scope).any(|role| role.allows_data(action))
    }

    /// The control plane's answer: nothing, or Resource Manager's refusal.
    pub fn authorize(self, principal: &str, action: &str, scope: &str) -> Result<(), AzureError> {
        if self.may(principal, action, scope) {
            return Ok(());
        }
        let text = format!(
            "The client '{principal}' with object id '{principal}' does not have authorization to perform action '{action}' over \
             scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials."
        );
        Err(AzureError::new("E-63", "AuthorizationFailed", 403, text))
    }
}

/// Whether what is at `inner` lies at `outer` or below it. Case does not matter (E-60).
pub fn contains(outer: &str, inner: &str) -> bool {
    let outer = outer.trim_end_matches('/').to_ascii_lowercase();
    let inner = inner.trim_end_matches('/').to_ascii_lowercase();
    inner.strip_prefix(&outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl RoleAssignment {
    /// Checks a new assignment against those that are there (E-63).
    ///
    /// `knows_principal` tells whether the directory has an object of this id: a client id is none, which is how D-63 shows itself.
    pub fn check(
        &self,
        existing: &[Self],
        roles: &[RoleDefinition],
        tenant: &str,
        knows_principal: bool,
    ) -> Result<(), AzureError> {
        if !roles.iter().any(|role| role.id.eq_ignore_ascii_case(&self.role)) {
            let text = format!("The specified role definition with ID '{}' does not exist.", self.role.replace('-', ""));
            return Err(AzureError::new("E-63", "RoleDefinitionDoesNotExist", 404, text));
        }
        if !knows_principal {
            let text = format!(
                "Principal {} does not exist in the directory {tenant}. Check that you have the correct principal ID. If you are \
                 creating this principal and then immediately assigning a role, this error might be related to a replication delay. In \
                 this case, set the role assignment principalType property to a value, such as ServicePrincipal, User, or Group.",
                self.principal_id.replace('-', "")
            );
            return Err(AzureError::new("E-63", "PrincipalNotFound", 400, text));
        }
        let same = |other: &&Self| {
            other.scope.eq_ignore_ascii_case(&self.scope)
                && other.role.eq_ignore_ascii_case(&self.role)
                && other.principal_id.eq_ignore_ascii_case(&self.principal_id)
        };
        match existing.iter().find(same) {
            Some(other) if !other.name.eq_ignore_ascii_case(&self.name) => {
                let text = format!(
                    "The role assignment already exists. The ID of the existing role assignment is {}.",
                    other.name.replace('-', "")
                );
                Err(AzureError::new("E-63", "RoleAssignmentExists", 409, text))
            }
            _ => Ok(()),
        }
    }
}
