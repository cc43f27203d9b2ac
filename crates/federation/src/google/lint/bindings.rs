//! Who has a role: D-47, D-49, D-50.

use super::{Setup, at};
use crate::finding::{Finding, Severity, Who};
use crate::google::mapping::Attributes;
use crate::google::policy::{Access, Policy};
use crate::google::principal::{Caller, FederatedIdentity, PoolMember, PoolPart};
use crate::google::provider::Provider;
use crate::google::reach::reach;
use crate::google::roles::{is_basic_role, role_for};
use crate::google::service_account::GET_ACCESS_TOKEN;

pub(super) fn lint(setup: &Setup<'_>, attributes: Option<&Attributes>, now: Option<i64>, findings: &mut Vec<Finding>) {
    let permission = setup.permission.unwrap_or("storage.objects.get");
    let identity = attributes.zip(setup.provider).map(|(attributes, provider)| attributes.identity(provider));
    match (setup.service_account, setup.account_policy, setup.resource_policy) {
        (Some(account), account_policy, resource_policy) => {
            if let (Some(policy), Some(identity)) = (account_policy, &identity) {
                let target = format!("gcloud iam service-accounts add-iam-policy-binding {account}");
                lint_federated(policy, identity, GET_ACCESS_TOKEN, &target, now, findings);
            }
            if let Some(policy) = resource_policy {
                let caller = Caller::ServiceAccount { email: account.to_owned() };
                lint_account(policy, &caller, account, permission, now, findings);
            }
        }
        (None, _, Some(policy)) => {
            if let Some(identity) = &identity {
                lint_federated(
                    policy,
                    identity,
                    permission,
                    "gcloud storage buckets add-iam-policy-binding gs://BUCKET",
                    now,
                    findings,
                );
            }
        }
        _ => {}
    }
    for (policy, permission) in [(setup.account_policy, GET_ACCESS_TOKEN), (setup.resource_policy, permission)] {
        if let Some(policy) = policy {
            lint_width(policy, permission, setup.provider, findings);
        }
    }
}

/// D-47.
fn lint_federated(
    policy: &Policy,
    identity: &FederatedIdentity,
    permission: &str,
    command: &str,
    now: Option<i64>,
    findings: &mut Vec<Finding>,
) {
    let caller = Caller::Federated(identity.clone());
    let access = Access { permission, resource: "", kind: "", now: now.unwrap_or(0) };
    let (conditional, plain): (Vec<_>, Vec<_>) = policy
        .members_with(permission)
        .filter(|(_, member)| caller.is_member(member))
        .partition(|(binding, _)| binding.condition.is_some());
    if !plain.is_empty() {
        return;
    }
    let best = best_member(identity);
    let role = role_for(permission);
    let fix = format!("{command} --role={role} --member={best:?}");
    if let Some((binding, _)) = conditional.first() {
        // Only a condition that looks at nothing but the time can be judged here.
        let over = binding.condition.as_ref().filter(|condition| condition.expression.contains("request.time"));
        if let Some(condition) = over.filter(|_| now.is_some() && !policy.allows(&caller, access)) {
            let what = "the binding's condition does not hold now";
            findings.push(Finding::new("D-47", Who::Provider, what, fix).compared("true", &condition.expression));
        }
        return;
    }
    findings.push(nearest(policy, identity, permission, &best, &fix));
}

/// The member that lets in this consumer and as few others as can be: a custom attribute, or the subject.
fn best_member(identity: &FederatedIdentity) -> String {
    let members = identity.members();
    let with_both = members.iter().find(|member| member.contains("/attribute.clientaccess/"));
    with_both.or_else(|| members.first()).cloned().unwrap_or_default()
}

/// What comes nearest to a binding that would let it in.
fn nearest(policy: &Policy, identity: &FederatedIdentity, permission: &str, best: &str, fix: &str) -> Finding {
    let provider = |what: String| Finding::new("D-47", Who::Provider, what, fix);
    let members = identity.members();
    let bound: Vec<(&str, PoolMember)> =
        policy.members_with(permission).filter_map(|(_, member)| Some((member, PoolMember::parse(member)?))).collect();
    if let Some((written, member)) = bound.iter().find(|(_, member)| !member.is_well_kinded()) {
        let right = member.well_kinded().to_string();
        if members.contains(&right) {
            let what = "the binding has principal where principalSet belongs, or the other way round";
            return provider(what.to_owned()).compared(right, *written);
        }
    }
    let same_part = |one: &PoolPart, other: &PoolPart| match (one, other) {
        (PoolPart::Attribute { name, .. }, PoolPart::Attribute { name: other, .. }) => name == other,
        (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
    };
    let ours: Vec<PoolMember> = members.iter().filter_map(|member| PoolMember::parse(member)).collect();
    for (written, member) in &bound {
        if let Some(ours) = ours.iter().find(|ours| same_part(&ours.who, &member.who)) {
            let ours = ours.to_string();
            let what = format!("the binding names another value than the token gives{}", at(&ours, written));
            return provider(what).compared(ours, *written);
        }
    }
    if let Some((written, _)) = bound.first() {
        let what = "the binding names an attribute that the provider does not map";
        return provider(what.to_owned()).compared(members.join(", "), *written);
    }
    let holders: Vec<&str> = policy
        .bindings
        .iter()
        .filter(|binding| binding.members.iter().any(|m| members.contains(m)))
        .map(|binding| binding.role.as_str())
        .collect();
    if let Some(role) = holders.first() {
        let what = format!("the consumer has a role here that does not hold {permission}");
        return provider(what).compared(role_for(permission), *role);
    }
    provider(format!("nothing binds the consumer to a role with {permission}")).compared(best, "no member of the pool")
}

/// D-50.
fn lint_account(
    policy: &Policy,
    caller: &Caller,
    account: &str,
    permission: &str,
    now: Option<i64>,
    findings: &mut Vec<Finding>,
) {
    let plain = policy.members_with(permission).any(|(binding, member)| caller.is_member(member) && binding.condition.is_none());
    let access = Access { permission, resource: "", kind: "", now: now.unwrap_or(0) };
    let conditions = policy
        .members_with(permission)
        .filter(|(_, member)| caller.is_member(member))
        .filter_map(|(binding, _)| binding.condition.as_ref());
    // A condition on the resource is about objects that are not known here; one on the time alone can be judged.
    let cannot_judge = |expression: &str| now.is_none() || expression.contains("resource.");
    let conditional = conditions.into_iter().any(|condition| cannot_judge(&condition.expression));
    if plain || conditional || policy.allows(caller, access) {
        return;
    }
    let role = role_for(permission);
    let what = format!("the service account lacks {permission} on what is shared");
    let fix =
        format!("gcloud storage buckets add-iam-policy-binding gs://BUCKET --role={role} --member=serviceAccount:{account}");
    findings.push(Finding::new("D-50", Who::Provider, what, fix));
}

/// D-49.
fn lint_width(policy: &Policy, permission: &str, provider: Option<&Provider>, findings: &mut Vec<Finding>) {
    let providers: Vec<Provider> = provider.cloned().into_iter().collect();
    for found in reach(policy, permission, &providers) {
        let everyone = found.provider.is_none()
            || matches!(PoolMember::parse(&found.member), Some(PoolMember { who: PoolPart::Everyone, .. }));
        if found.provider.is_none() && PoolMember::parse(&found.member).is_some() || !found.organisations.are_several() {
            continue;
        }
        let fix = "bind an attribute that names the consumer, such as principalSet://…/attribute.clientaccess/client::0192:NNNNNNNNN::SCOPE, \
                   or add an attribute condition";
        let (what, severity) = if everyone {
            ("the binding lets in every organisation to which the issuer gives a token for this audience", Severity::Error)
        } else {
            ("the binding can be satisfied by more than one organisation", Severity::Warning)
        };
        let finding = Finding::new("D-49", Who::Provider, what, fix).severity(severity);
        findings.push(finding.compared("one organisation", found.member));
    }
    for (binding, member) in policy.members_with(permission) {
        if is_basic_role(&binding.role) && PoolMember::parse(member).is_some() {
            let what = format!("the consumer has {}, which is far more than reading", binding.role);
            let fix = format!("bind {} instead", role_for(permission));
            let finding = Finding::new("D-49", Who::Provider, what, fix).severity(Severity::Warning);
            findings.push(finding.compared(role_for(permission), &binding.role));
        }
    }
}
