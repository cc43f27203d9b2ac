//! Calls about the account as a whole, and about what it has not: users, groups, SAML providers, instance profiles, certificates, devices.

use skybru_federation::aws::{AwsError, Role};

use super::policies::name_of;
use super::roles::role_elements;
use super::{page, simulator, tags_element};
use crate::aws::caller::Caller;
use crate::aws::query::{Answer, Parameters};
use crate::aws::state::State;
use crate::aws::xml::{Element, element, list, text};
use crate::aws::{Sim, iso8601};

/// What is answered here.
pub(super) const ACTIONS: [&str; 16] = [
    "GetUser",
    "ListAccountAliases",
    "GetAccountSummary",
    "GetAccountPasswordPolicy",
    "GetAccountAuthorizationDetails",
    "ListEntitiesForPolicy",
    "ListUsers",
    "ListGroups",
    "ListAccessKeys",
    "ListMFADevices",
    "ListVirtualMFADevices",
    "ListSAMLProviders",
    "ListServerCertificates",
    "ListInstanceProfiles",
    "ListInstanceProfilesForRole",
    "ListSigningCertificates",
];

/// Answers one call.
pub(super) fn answer(sim: &Sim, caller: &Caller, action: &str, parameters: &Parameters) -> Result<Answer, AwsError> {
    let state = sim.state.get();
    let none = |name: &str| Answer::new(vec![list(name, []), text("IsTruncated", false)]);
    match action {
        "GetUser" => {
            for_the_account(caller, parameters)?;
            let arn = format!("arn:aws:iam::{}:root", sim.account.id);
            let user = vec![text("UserId", &sim.account.id), text("Arn", arn), text("CreateDate", iso8601(0))];
            Ok(Answer::new(vec![element("User", user)]))
        }
        "ListAccessKeys" => {
            for_the_account(caller, parameters)?;
            let id = &sim.account.root_access_key_id;
            let key = vec![text("AccessKeyId", id), text("Status", "Active"), text("CreateDate", iso8601(0))];
            Ok(Answer::new(vec![list("AccessKeyMetadata", [key]), text("IsTruncated", false)]))
        }
        "ListMFADevices" => for_the_account(caller, parameters).map(|()| none("MFADevices")),
        "ListSigningCertificates" => for_the_account(caller, parameters).map(|()| none("Certificates")),
        "ListAccountAliases" => Ok(none("AccountAliases")),
        "ListUsers" => Ok(none("Users")),
        "ListGroups" => Ok(none("Groups")),
        "ListVirtualMFADevices" => Ok(none("VirtualMFADevices")),
        "ListServerCertificates" => Ok(none("ServerCertificateMetadataList")),
        "ListInstanceProfiles" => Ok(none("InstanceProfiles")),
        "ListInstanceProfilesForRole" => {
            let name = parameters.required("RoleName")?;
            state.roles.get(name).ok_or_else(|| Role::not_found(name))?;
            Ok(none("InstanceProfiles"))
        }
        // Alone among the lists it has no pages.
        "ListSAMLProviders" => Ok(Answer::new(vec![list("SAMLProviderList", [])])),
        "ListEntitiesForPolicy" => entities(&state, parameters),
        "GetAccountSummary" => Ok(Answer::new(vec![summary(&state)])),
        "GetAccountAuthorizationDetails" => details(&state, parameters),
        _ => {
            let text = format!("The Password Policy with domain name {} cannot be found.", sim.account.id);
            Err(AwsError::no_such_entity("A-14", text))
        }
    }
}

/// Calls about a user are about the caller where they name none; the account itself is the only one here who is something like a user.
fn for_the_account(caller: &Caller, parameters: &Parameters) -> Result<(), AwsError> {
    match (parameters.get("UserName"), caller) {
        (Some(name), _) => Err(AwsError::no_such_entity("A-14", format!("The user with name {name} cannot be found."))),
        (None, Caller::Root) => Ok(()),
        (None, Caller::Session(_)) => {
            Err(AwsError::new("A-60", "ValidationError", 400, "Must specify userName when calling with non-User credentials"))
        }
    }
}

fn entities(state: &State, parameters: &Parameters) -> Result<Answer, AwsError> {
    let arn = parameters.required("PolicyArn")?;
    crate::aws::caller::policy_text(state, arn).ok_or_else(|| super::policies::no_such_policy(arn))?;
    let filter = parameters.get("EntityFilter").unwrap_or("Role");
    let attached = state.roles.values().filter(|role| filter == "Role" && role.attached_policies.iter().any(|one| one == arn));
    let (roles, more) = page(attached.collect(), parameters)?;
    let roles = list("PolicyRoles", roles.into_iter().map(|role| vec![text("RoleName", &role.name), text("RoleId", &role.id)]));
    Ok(Answer::new([vec![list("PolicyGroups", []), list("PolicyUsers", []), roles], more].concat()))
}

/// The numbers of what is there, and IAM's quotas.
fn summary(state: &State) -> Element {
    let versions: usize = state.policies.len();
    let numbers = [
        ("AccessKeysPerUserQuota", 2),
        ("AccountAccessKeysPresent", 1),
        ("AccountMFAEnabled", 0),
        ("AccountSigningCertificatesPresent", 0),
        ("AssumeRolePolicySizeQuota", 2048),
        ("AttachedPoliciesPerGroupQuota", 10),
        ("AttachedPoliciesPerRoleQuota", 10),
        ("AttachedPoliciesPerUserQuota", 10),
        ("GlobalEndpointTokenVersion", 1),
        ("GroupPolicySizeQuota", 5120),
        ("Groups", 0),
        ("GroupsPerUserQuota", 10),
        ("GroupsQuota", 300),
        ("InstanceProfiles", 0),
        ("InstanceProfilesQuota", 1000),
        ("MFADevices", 0),
        ("MFADevicesInUse", 0),
        ("Policies", state.policies.len()),
        ("PoliciesQuota", 1500),
        ("PolicySizeQuota", 6144),
        ("PolicyVersionsInUse", versions),
        ("PolicyVersionsInUseQuota", 10000),
        ("Providers", state.providers.len()),
        ("RolePolicySizeQuota", 10240),
        ("Roles", state.roles.len()),
        ("RolesQuota", 1000),
        ("ServerCertificates", 0),
        ("ServerCertificatesQuota", 20),
        ("SigningCertificatesPerUserQuota", 2),
        ("UserPolicySizeQuota", 2048),
        ("Users", 0),
        ("UsersQuota", 5000),
        ("VersionsPerPolicyQuota", 5),
    ];
    let entry = |(name, number): (&str, usize)| element("entry", vec![text("key", name), text("value", number)]);
    element("SummaryMap", numbers.into_iter().map(entry).collect())
}

/// Roles and managed policies with all that belongs to them; pages go through the roles, and the policies stand on the first.
fn details(state: &State, parameters: &Parameters) -> Result<Answer, AwsError> {
    let filter = parameters.list("Filter").unwrap_or_default();
    let wanted = |kind: &str| filter.is_empty() || filter.iter().any(|one| one == kind);
    let all = state.roles.values().filter(|_| wanted("Role")).collect();
    let (roles, more) = page(all, parameters)?;
    let roles = list("RoleDetailList", roles.into_iter().map(role_detail));
    let is_first = parameters.get("Marker").is_none();
    let policies = state.policies.values().filter(|_| is_first && wanted("LocalManagedPolicy"));
    let policies = list("Policies", policies.map(|policy| policy.detail(super::policies::attachments(state, policy.arn()))));
    Ok(Answer::new([vec![list("UserDetailList", []), list("GroupDetailList", []), roles, policies], more].concat()))
}

fn role_detail(role: &Role) -> Vec<Element> {
    let attached = role.attached_policies.iter().map(|arn| vec![text("PolicyName", name_of(arn)), text("PolicyArn", arn)]);
    let more = vec![
        list("InstanceProfileList", []),
        simulator::policy_elements(role),
        list("AttachedManagedPolicies", attached),
        tags_element(&role.tags),
        element("RoleLastUsed", vec![]),
    ];
    [role_elements(role), more].concat()
}
