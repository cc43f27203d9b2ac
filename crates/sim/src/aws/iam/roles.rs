//! Calls about roles, their inline policies and the managed policies attached to them.

use skybru_federation::aws::{AwsError, Role, RoleInput};

use super::policies::{name_of, no_such_policy};
use super::{encoded, page, tags_element, tags_of};
use crate::aws::caller::policy_text;
use crate::aws::query::{Answer, Parameters};
use crate::aws::state::State;
use crate::aws::xml::{Element, element, list, text, texts};
use crate::aws::{Sim, iso8601, names};

/// What is answered here.
pub(super) const ACTIONS: [&str; 17] = [
    "CreateRole",
    "GetRole",
    "ListRoles",
    "UpdateRole",
    "UpdateRoleDescription",
    "DeleteRole",
    "UpdateAssumeRolePolicy",
    "PutRolePolicy",
    "GetRolePolicy",
    "ListRolePolicies",
    "DeleteRolePolicy",
    "AttachRolePolicy",
    "DetachRolePolicy",
    "ListAttachedRolePolicies",
    "TagRole",
    "UntagRole",
    "ListRoleTags",
];

/// Answers one call.
pub(super) fn answer(sim: &Sim, action: &str, parameters: &Parameters) -> Result<Answer, AwsError> {
    match action {
        "CreateRole" => return create(sim, parameters),
        "ListRoles" => return list_roles(sim, parameters),
        _ => {}
    }
    let name = parameters.required("RoleName")?;
    match action {
        "DeleteRole" => sim.state.change(|state| delete(state, name)),
        "GetRole" | "GetRolePolicy" | "ListRolePolicies" | "ListAttachedRolePolicies" | "ListRoleTags" => {
            let state = sim.state.get();
            read(state.roles.get(name).ok_or_else(|| Role::not_found(name))?, action, parameters)
        }
        _ => sim.state.change(|state| {
            // The role is changed on the copy that the store made; a refusal drops it.
            let mut role = state.roles.remove(name).ok_or_else(|| Role::not_found(name))?;
            let answer = change(state, &mut role, action, parameters)?;
            state.roles.insert(name.to_owned(), role);
            Ok(answer)
        }),
    }
}

fn create(sim: &Sim, parameters: &Parameters) -> Result<Answer, AwsError> {
    let input = RoleInput {
        name: parameters.required("RoleName")?.to_owned(),
        path: parameters.get("Path").map(str::to_owned),
        trust_policy: parameters.required("AssumeRolePolicyDocument")?.to_owned(),
        description: parameters.get("Description").map(str::to_owned),
        max_session_duration: parameters.number("MaxSessionDuration")?,
        tags: tags_of(parameters),
    };
    let id = names::unique_id(&*sim.ctx.randomness, "AROA");
    sim.state.change(|state| {
        let now = sim.ctx.clock.unix_seconds();
        let role = Role::create(&sim.account.id, id, input, now, |arn| state.providers.contains_key(arn))?;
        if state.roles.keys().any(|known| known.eq_ignore_ascii_case(&role.name)) {
            let text = format!("Role with name {} already exists.", role.name);
            return Err(AwsError::new("A-12", "EntityAlreadyExists", 409, text));
        }
        let answer = Answer::new(vec![element("Role", role_elements(&role))]);
        state.roles.insert(role.name.clone(), role);
        Ok(answer)
    })
}

fn list_roles(sim: &Sim, parameters: &Parameters) -> Result<Answer, AwsError> {
    let prefix = parameters.get("PathPrefix").unwrap_or("/");
    let state = sim.state.get();
    let (roles, more) = page(state.roles.values().filter(|role| role.path.starts_with(prefix)).collect(), parameters)?;
    let roles = list("Roles", roles.into_iter().map(role_elements));
    Ok(Answer::new([vec![roles], more].concat()))
}

/// A role goes only when nothing hangs on it.
fn delete(state: &mut State, name: &str) -> Result<Answer, AwsError> {
    let role = state.roles.get(name).ok_or_else(|| Role::not_found(name))?;
    let conflict = |what| AwsError::new("A-15", "DeleteConflict", 409, format!("Cannot delete entity, must {what} first."));
    if !role.attached_policies.is_empty() {
        return Err(conflict("detach all policies"));
    }
    if !role.inline_policies.is_empty() {
        return Err(conflict("delete policies"));
    }
    state.roles.remove(name);
    Ok(Answer::empty())
}

fn read(role: &Role, action: &str, parameters: &Parameters) -> Result<Answer, AwsError> {
    let elements = match action {
        "GetRole" => {
            vec![element("Role", [role_elements(role), vec![tags_element(&role.tags), element("RoleLastUsed", vec![])]].concat())]
        }
        "GetRolePolicy" => {
            let policy = parameters.required("PolicyName")?;
            let document = role.inline_policies.get(policy).ok_or_else(|| no_such_inline_policy(policy))?;
            vec![text("RoleName", &role.name), text("PolicyName", policy), text("PolicyDocument", encoded(document))]
        }
        "ListRolePolicies" => {
            let (names, more) = page(role.inline_policies.keys().collect(), parameters)?;
            [vec![texts("PolicyNames", names)], more].concat()
        }
        "ListAttachedRolePolicies" => {
            let (arns, more) = page(role.attached_policies.iter().collect(), parameters)?;
            let policies = arns.into_iter().map(|arn| vec![text("PolicyName", name_of(arn)), text("PolicyArn", arn)]);
            [vec![list("AttachedPolicies", policies)], more].concat()
        }
        _ => vec![tags_element(&role.tags), text("IsTruncated", false)],
    };
    Ok(Answer::new(elements))
}

fn change(state: &State, role: &mut Role, action: &str, parameters: &Parameters) -> Result<Answer, AwsError> {
    match action {
        "UpdateRole" => {
            if let Some(seconds) = parameters.number("MaxSessionDuration")? {
                role.set_max_session_duration(seconds)?;
            }
            if let Some(description) = parameters.get("Description") {
                role.description = Some(description.to_owned());
            }
            return Ok(Answer::new(vec![]));
        }
        "UpdateRoleDescription" => {
            role.description = Some(parameters.required("Description")?.to_owned());
            return Ok(Answer::new(vec![element("Role", role_elements(role))]));
        }
        "UpdateAssumeRolePolicy" => {
            let document = parameters.required("PolicyDocument")?.to_owned();
            role.set_trust_policy(document, |arn| state.providers.contains_key(arn))?;
        }
        "PutRolePolicy" => {
            role.put_policy(parameters.required("PolicyName")?, parameters.required("PolicyDocument")?.to_owned())?;
        }
        "DeleteRolePolicy" => {
            let policy = parameters.required("PolicyName")?;
            role.inline_policies.remove(policy).ok_or_else(|| no_such_inline_policy(policy))?;
        }
        "AttachRolePolicy" => {
            let arn = parameters.required("PolicyArn")?;
            if policy_text(state, arn).is_none() {
                return Err(AwsError::no_such_entity("A-14", format!("Policy {arn} does not exist or is not attachable.")));
            }
            if !role.attached_policies.iter().any(|known| known == arn) {
                role.attached_policies.push(arn.to_owned());
            }
        }
        "DetachRolePolicy" => {
            let arn = parameters.required("PolicyArn")?;
            let place = role.attached_policies.iter().position(|known| known == arn).ok_or_else(|| no_such_policy(arn))?;
            role.attached_policies.remove(place);
        }
        "TagRole" => role.tag(tags_of(parameters))?,
        _ => {
            let keys = parameters.list("TagKeys").unwrap_or_default();
            role.tags.retain(|tag| !keys.iter().any(|key| key.eq_ignore_ascii_case(&tag.key)));
        }
    }
    Ok(Answer::empty())
}

pub(super) fn role_elements(role: &Role) -> Vec<Element> {
    let mut elements = vec![
        text("Path", &role.path),
        text("RoleName", &role.name),
        text("RoleId", &role.id),
        text("Arn", &role.arn),
        text("CreateDate", iso8601(role.created)),
        text("AssumeRolePolicyDocument", encoded(&role.trust_policy)),
    ];
    elements.extend(role.description.iter().map(|description| text("Description", description)));
    elements.push(text("MaxSessionDuration", role.max_session_duration));
    elements
}

fn no_such_inline_policy(name: &str) -> AwsError {
    AwsError::no_such_entity("A-14", format!("The role policy with name {name} cannot be found."))
}
