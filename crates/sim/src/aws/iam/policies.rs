//! Calls about managed policies and their versions.

use serde::{Deserialize, Serialize};
use skybru_federation::aws::policy::check_identity_policy;
use skybru_federation::aws::{AwsError, Tag};

use super::{encoded, page, tags_element, tags_of};
use crate::aws::query::{Answer, Parameters};
use crate::aws::state::State;
use crate::aws::xml::{Element, element, list, text};
use crate::aws::{Sim, builtin, iso8601, names};

/// What is answered here.
pub(super) const ACTIONS: [&str; 12] = [
    "CreatePolicy",
    "GetPolicy",
    "ListPolicies",
    "DeletePolicy",
    "CreatePolicyVersion",
    "GetPolicyVersion",
    "ListPolicyVersions",
    "DeletePolicyVersion",
    "SetDefaultPolicyVersion",
    "TagPolicy",
    "UntagPolicy",
    "ListPolicyTags",
];

/// The most versions that a policy has at once.
const MOST_VERSIONS: usize = 5;

/// A policy of the account that can be attached to several roles.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ManagedPolicy {
    arn: String,
    name: String,
    id: String,
    path: String,
    description: Option<String>,
    tags: Vec<Tag>,
    created: i64,
    updated: i64,
    /// Oldest first; never empty.
    versions: Vec<Version>,
    /// The number of the version that counts.
    default: u32,
    next: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Version {
    number: u32,
    document: String,
    created: i64,
}

impl ManagedPolicy {
    /// The document that counts.
    pub(crate) fn document(&self) -> &str {
        self.versions.iter().find(|version| version.number == self.default).map_or("", |version| version.document.as_str())
    }

    fn version(&self, id: &str) -> Result<&Version, AwsError> {
        let found = self.versions.iter().find(|version| format!("v{}", version.number) == id);
        found.ok_or_else(|| {
            AwsError::no_such_entity("A-14", format!("Policy {} version {id} does not exist or is not attachable.", self.arn))
        })
    }

    fn add_version(&mut self, document: &str, now: i64) -> Result<u32, AwsError> {
        check_identity_policy(document)?;
        if self.versions.len() >= MOST_VERSIONS {
            let text = "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.";
            return Err(AwsError::new("A-15", "LimitExceeded", 409, text));
        }
        let number = self.next;
        self.versions.push(Version { number, document: document.to_owned(), created: now });
        self.next += 1;
        self.updated = now;
        Ok(number)
    }

    fn elements(&self, attached: usize) -> Vec<Element> {
        let mut elements = vec![
            text("PolicyName", &self.name),
            text("PolicyId", &self.id),
            text("Arn", &self.arn),
            text("Path", &self.path),
            text("DefaultVersionId", format!("v{}", self.default)),
            text("AttachmentCount", attached),
            text("PermissionsBoundaryUsageCount", 0),
            text("IsAttachable", true),
            text("CreateDate", iso8601(self.created)),
            text("UpdateDate", iso8601(self.updated)),
        ];
        elements.extend(self.description.iter().map(|description| text("Description", description)));
        elements
    }

    pub(super) fn arn(&self) -> &str {
        &self.arn
    }

    /// With all its versions, as the account's details have it.
    pub(super) fn detail(&self, attached: usize) -> Vec<Element> {
        let versions = self.versions.iter().rev().map(|version| self.version_elements(version, true));
        [self.elements(attached), vec![list("PolicyVersionList", versions)]].concat()
    }

    fn version_elements(&self, version: &Version, with_document: bool) -> Vec<Element> {
        let document = with_document.then(|| text("Document", encoded(&version.document)));
        let rest = [
            text("VersionId", format!("v{}", version.number)),
            text("IsDefaultVersion", version.number == self.default),
            text("CreateDate", iso8601(version.created)),
        ];
        document.into_iter().chain(rest).collect()
    }
}

/// The policy of this ARN is not there.
pub(super) fn no_such_policy(arn: &str) -> AwsError {
    AwsError::no_such_entity("A-14", format!("Policy {arn} was not found."))
}

/// The name at the end of a policy's ARN.
pub(super) fn name_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// Answers one call.
pub(super) fn answer(sim: &Sim, action: &str, parameters: &Parameters) -> Result<Answer, AwsError> {
    let now = sim.ctx.clock.unix_seconds();
    match action {
        "CreatePolicy" => return create(sim, parameters, now),
        "ListPolicies" => return list_policies(sim, parameters),
        _ => {}
    }
    let arn = parameters.required("PolicyArn")?;
    if action == "DeletePolicy" {
        return sim.state.change(|state| delete(state, arn));
    }
    if action.starts_with("Get") || action.starts_with("List") {
        let state = sim.state.get();
        let known = state.policies.get(arn).cloned().or_else(|| builtin_policy(arn));
        let policy = known.ok_or_else(|| no_such_policy(arn))?;
        return read(&policy, action, parameters, attachments(&state, arn));
    }
    sim.state.change(|state| {
        let policy = state.policies.get_mut(arn).ok_or_else(|| no_such_policy(arn))?;
        change(policy, action, parameters, now)
    })
}

fn create(sim: &Sim, parameters: &Parameters, now: i64) -> Result<Answer, AwsError> {
    let name = parameters.required("PolicyName")?.to_owned();
    let path = parameters.get("Path").unwrap_or("/").to_owned();
    let document = parameters.required("PolicyDocument")?;
    let mut policy = ManagedPolicy {
        arn: format!("arn:aws:iam::{}:policy{path}{name}", sim.account.id),
        name,
        id: names::unique_id(&*sim.ctx.randomness, "ANPA"),
        path,
        description: parameters.get("Description").map(str::to_owned),
        tags: tags_of(parameters),
        created: now,
        updated: now,
        versions: Vec::new(),
        default: 1,
        next: 1,
    };
    policy.add_version(document, now)?;
    sim.state.change(|state| {
        if state.policies.values().any(|known| known.name.eq_ignore_ascii_case(&policy.name)) {
            let text = format!("A policy called {} already exists. Duplicate names are not allowed.", policy.name);
            return Err(AwsError::new("A-12", "EntityAlreadyExists", 409, text));
        }
        let answer = Answer::new(vec![element("Policy", policy.elements(0))]);
        state.policies.insert(policy.arn.clone(), policy);
        Ok(answer)
    })
}

fn list_policies(sim: &Sim, parameters: &Parameters) -> Result<Answer, AwsError> {
    let (scope, prefix) = (parameters.get("Scope").unwrap_or("All"), parameters.get("PathPrefix").unwrap_or("/"));
    let state = sim.state.get();
    let builtin = builtin::POLICIES.iter().filter_map(|(arn, _)| builtin_policy(arn)).filter(|_| scope != "Local");
    let own = state.policies.values().filter(|_| scope != "AWS").cloned();
    let only_attached = parameters.get("OnlyAttached") == Some("true");
    let all = own.chain(builtin).filter(|policy| policy.path.starts_with(prefix));
    let all = all.filter(|policy| !only_attached || attachments(&state, &policy.arn) > 0).collect();
    let (policies, more) = page(all, parameters)?;
    let policies = list("Policies", policies.iter().map(|policy| policy.elements(attachments(&state, &policy.arn))));
    Ok(Answer::new([vec![policies], more].concat()))
}

fn delete(state: &mut State, arn: &str) -> Result<Answer, AwsError> {
    let policy = state.policies.get(arn).ok_or_else(|| no_such_policy(arn))?;
    let conflict = |text| Err(AwsError::new("A-15", "DeleteConflict", 409, text));
    if attachments(state, arn) > 0 {
        return conflict("Cannot delete a policy attached to entities.");
    }
    if policy.versions.len() > 1 {
        return conflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.",
        );
    }
    state.policies.remove(arn);
    Ok(Answer::empty())
}

fn read(policy: &ManagedPolicy, action: &str, parameters: &Parameters, attached: usize) -> Result<Answer, AwsError> {
    let elements = match action {
        "GetPolicy" => vec![element("Policy", [policy.elements(attached), vec![tags_element(&policy.tags)]].concat())],
        "GetPolicyVersion" => {
            let version = policy.version(parameters.required("VersionId")?)?;
            vec![element("PolicyVersion", policy.version_elements(version, true))]
        }
        "ListPolicyVersions" => {
            let (versions, more) = page(policy.versions.iter().rev().collect(), parameters)?;
            let versions = versions.into_iter().map(|version| policy.version_elements(version, false));
            [vec![list("Versions", versions)], more].concat()
        }
        _ => vec![tags_element(&policy.tags), text("IsTruncated", false)],
    };
    Ok(Answer::new(elements))
}

fn change(policy: &mut ManagedPolicy, action: &str, parameters: &Parameters, now: i64) -> Result<Answer, AwsError> {
    match action {
        "CreatePolicyVersion" => {
            let number = policy.add_version(parameters.required("PolicyDocument")?, now)?;
            if parameters.get("SetAsDefault") == Some("true") {
                policy.default = number;
            }
            let version = policy.version(&format!("v{number}"))?;
            return Ok(Answer::new(vec![element("PolicyVersion", policy.version_elements(version, false))]));
        }
        "DeletePolicyVersion" => {
            let number = policy.version(parameters.required("VersionId")?)?.number;
            if number == policy.default {
                return Err(AwsError::new("A-15", "DeleteConflict", 409, "Cannot delete the default version of a policy."));
            }
            policy.versions.retain(|version| version.number != number);
        }
        "SetDefaultPolicyVersion" => policy.default = policy.version(parameters.required("VersionId")?)?.number,
        "TagPolicy" => {
            let tags = tags_of(parameters);
            policy.tags.retain(|tag| !tags.iter().any(|new| new.key.eq_ignore_ascii_case(&tag.key)));
            policy.tags.extend(tags);
        }
        _ => {
            let keys = parameters.list("TagKeys").unwrap_or_default();
            policy.tags.retain(|tag| !keys.iter().any(|key| key.eq_ignore_ascii_case(&tag.key)));
        }
    }
    Ok(Answer::empty())
}

pub(super) fn attachments(state: &State, arn: &str) -> usize {
    state.roles.values().filter(|role| role.attached_policies.iter().any(|attached| attached == arn)).count()
}

/// A policy of AWS in the shape of the account's own.
fn builtin_policy(arn: &str) -> Option<ManagedPolicy> {
    let document = builtin::document(arn)?.to_owned();
    Some(ManagedPolicy {
        arn: arn.to_owned(),
        name: name_of(arn).to_owned(),
        id: "ANPAAWSMANAGED".to_owned(),
        path: "/".to_owned(),
        description: None,
        tags: Vec::new(),
        created: 0,
        updated: 0,
        versions: vec![Version { number: 1, document, created: 0 }],
        default: 1,
        next: 2,
    })
}
