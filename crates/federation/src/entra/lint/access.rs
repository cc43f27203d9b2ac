//! What the identity may do: D-63, D-68, D-69, D-73, D-74.

use super::Access;
use crate::azure::acl::{Acl, Who as AclWho};
use crate::azure::{FilesCall, check_files_call, contains};
use crate::entra::credential::Identity;
use crate::finding::{Finding, Severity, Who};

pub(super) fn lint_files(call: FilesCall<'_>, findings: &mut Vec<Finding>) {
    if let Err(error) = check_files_call(call) {
        let what = format!(
            "a call to Files with a token needs x-ms-version 2022-11-02 or later and its intent; this one gets {}",
            error.code
        );
        let fix = "send x-ms-file-request-intent: backup (SDKs: token_intent; az: --auth-mode login --enable-file-backup-request-intent)";
        let finding = Finding::new("D-69", Who::Consumer, what, fix);
        let found = format!("{} {}", call.version.unwrap_or("no version"), call.intent.unwrap_or("no intent"));
        findings.push(finding.compared("2022-11-02 backup", found));
    }
}

pub(super) fn lint(access: &Access<'_>, identity: Option<&Identity>, findings: &mut Vec<Finding>) {
    if !access.is_public {
        let what = "the storage account does not answer to public addresses";
        let fix = "az storage account update --public-network-access Enabled, or come through a private endpoint";
        findings.push(Finding::new("D-73", Who::Provider, what, fix));
    }
    let Some(identity) = identity else { return };
    let principal = identity.principal_id.as_str();
    let by_role = access.grants.may_on_data(principal, access.action, access.scope);
    if !by_role {
        lint_client_id(access, identity, findings);
    }
    let wide: Vec<&str> = access
        .grants
        .of(principal, access.scope)
        .filter(|role| role.data_actions.is_empty())
        .map(|role| role.name.as_str())
        .collect();
    if let [first, ..] = wide.as_slice() {
        let (what, severity) = if by_role {
            (format!("the identity also has {first}, which lets it change the account and gives it no data"), Severity::Warning)
        } else {
            (format!("the identity has {first}, which gives no access to data"), Severity::Error)
        };
        let fix =
            "assign Storage Blob Data Reader (or File Data Privileged Reader) on the container instead, and take the other away";
        findings.push(Finding::new("D-68", Who::Provider, what, fix).severity(severity).compared("a data role", *first));
    }
    if by_role {
        return;
    }
    match access.acls {
        Some(acls) => lint_acls(acls.above, acls.own, identity, findings),
        None if wide.is_empty() && !has_rule(findings, "D-63") => {
            let elsewhere = access.grants.assignments.iter().find(|one| one.principal_id.eq_ignore_ascii_case(principal));
            let what = match elsewhere {
                Some(one) if !contains(&one.scope, access.scope) => "the identity's role is assigned on another scope".to_owned(),
                Some(_) => format!("the identity's role does not allow {}", access.action),
                None => "the identity has no role for the data".to_owned(),
            };
            let fix = format!(
                "az role assignment create --assignee-object-id {principal} --assignee-principal-type ServicePrincipal --role \"Storage \
                 Blob Data Reader\" --scope {}",
                access.scope
            );
            let finding = Finding::new("E-66", Who::Provider, what, fix);
            findings.push(finding.compared(access.scope, elsewhere.map_or("no assignment", |one| one.scope.as_str())));
        }
        None => {}
    }
}

/// D-63: the client id in an assignment or a list, where the principal id belongs.
fn lint_client_id(access: &Access<'_>, identity: &Identity, findings: &mut Vec<Finding>) {
    let in_assignment = access.grants.assignments.iter().any(|one| one.principal_id.eq_ignore_ascii_case(&identity.client_id));
    let names = |acl: &Acl| {
        acl.access
            .iter()
            .any(|entry| matches!(&entry.who, AclWho::User(Some(id)) if id.eq_ignore_ascii_case(&identity.client_id)))
    };
    let in_list = access.acls.is_some_and(|acls| acls.above.iter().copied().chain(acls.own).any(names));
    if in_assignment || in_list {
        let place = if in_assignment { "a role assignment" } else { "an access control list" };
        let what = format!("{place} names the identity's client id; it must name its principal id");
        let fix = "use the identity's principalId: az identity show --query principalId";
        findings.push(Finding::new("D-63", Who::Provider, what, fix).compared(&identity.principal_id, &identity.client_id));
    }
}

/// D-74: the path lets the caller in, and a folder above does not.
fn lint_acls(above: &[&Acl], own: Option<&Acl>, identity: &Identity, findings: &mut Vec<Finding>) {
    let acls = crate::azure::PathAcls { above, own };
    let principal = identity.principal_id.as_str();
    if let Some(place) = acls.closed_folder(principal) {
        let what = match place {
            0 => "the container's root does not let the identity through (x), whatever the lists below say".to_owned(),
            n => format!("folder {n} on the way to the path does not let the identity through (x)"),
        };
        let fix =
            format!("add user:{principal}:--x to the list of every folder above: az storage fs access set-recursive … or update");
        findings.push(Finding::new("D-74", Who::Provider, what, fix));
    } else if !has_rule(findings, "D-63") && !has_rule(findings, "D-68") {
        let what = "neither a role nor the path's access control list lets the identity read it";
        let fix = format!("add user:{principal}:r-- to the file's list (r-x for a folder), or assign a data role");
        let finding = Finding::new("E-66", Who::Provider, what, fix);
        let readable = own.is_some_and(|acl| acl.allows(principal, crate::azure::acl::Permissions::READ));
        if !readable {
            findings.push(finding.compared("r--", own.map_or_else(|| "no list".to_owned(), Acl::to_string)));
        }
    }
}

fn has_rule(findings: &[Finding], rule: &str) -> bool {
    findings.iter().any(|finding| finding.rule == rule)
}
