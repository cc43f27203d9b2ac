//! What is wrong with what Azure has been told: the doctor's rules for Azure, beside those that all clouds share.
//!
//! What needs the network stays with the doctor: whether documents can be reached (D-03), the served chain (D-04), what an `az` session
//! has stored (D-70, D-71).

mod access;
mod credentials;
mod documents;

use skybru_protocol::jose::JwkSet;
use skybru_protocol::metadata::DiscoveryDocument;

use super::assertion::PresentedAssertion;
use super::credential::{Identity, Tenant};
use super::{Wording, request};
use crate::azure::{FilesCall, Grants, PathAcls};
use crate::finding::{Finding, Who};
use crate::lint::{at, bare_token, has_errors};

/// What Entra and Azure have been told, and how they are called. What is absent is not looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setup<'a> {
    /// The provider's identity, with its credentials.
    pub identity: Option<&'a Identity>,
    /// Nobody has looked which credentials the identity has, so that none seem to be there.
    pub credentials_unknown: bool,
    /// The provider's directory.
    pub tenant: Option<&'a Tenant>,
    /// The directory that the consumer names.
    pub tenant_given: Option<&'a str>,
    /// The client id that the consumer names.
    pub client_id: Option<&'a str>,
    /// The scope that the consumer asks Entra for.
    pub scope: Option<&'a str>,
    /// What the identity may do, and what it should.
    pub access: Option<Access<'a>>,
    /// The headers of a call to Files.
    pub files: Option<FilesCall<'a>>,
}

/// What the consumer wants, and what stands between.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// Roles and who has them.
    pub grants: Grants<'a>,
    /// Where the data is: a container's or a share's resource id.
    pub scope: &'a str,
    /// The data action, such as `…/blobs/read`.
    pub action: &'a str,
    /// The lists on the way to the path, in an account with folders.
    pub acls: Option<PathAcls<'a>>,
    /// Whether the account answers to public addresses.
    pub is_public: bool,
}

/// The parameters of the token request.
pub(crate) fn lint_call(input: &Setup<'_>, findings: &mut Vec<Finding>) {
    if let (Some(tenant), Some(given)) = (input.tenant, input.tenant_given)
        && !tenant.is_called(given)
    {
        let what = format!("the tenant is not the one that the identity lives in{}", at(&tenant.id, given));
        let finding =
            Finding::new("D-64", Who::Consumer, what, "write the provider's tenant id into tenant-id (AZURE_TENANT_ID)");
        findings.push(finding.compared(&tenant.id, given));
    }
    if let (Some(identity), Some(given)) = (input.identity, input.client_id)
        && !identity.client_id.eq_ignore_ascii_case(given)
    {
        let what = if identity.principal_id.eq_ignore_ascii_case(given) {
            "the identity's principal id stands where its client id belongs; Entra finds no application by it (AADSTS700016)"
                .to_owned()
        } else {
            format!("the client id is not the identity's{}", at(&identity.client_id, given))
        };
        let fix = "write the identity's clientId into client-id: az identity show --query clientId";
        findings.push(Finding::new("D-63", Who::Consumer, what, fix).compared(&identity.client_id, given));
    }
    if let Some(scope) = input.scope {
        match request::resource_of(scope) {
            Err(error) => {
                let what = format!("Entra does not take this scope: {}", error.message);
                let finding = Finding::new("D-72", Who::Consumer, what, "ask for https://storage.azure.com/.default");
                findings.push(finding.compared("https://storage.azure.com/.default", scope));
            }
            Ok(resource) if super::Resource::of_audience(&resource) != Some(super::Resource::Storage) => {
                let what = "the scope is for another service than storage, which refuses such a token";
                let finding = Finding::new("D-72", Who::Consumer, what, "ask for https://storage.azure.com/.default");
                findings.push(finding.compared("https://storage.azure.com/.default", scope));
            }
            Ok(_) => {}
        }
    }
}

/// The issuer's documents as Entra alone reads them, beside what all clouds make of them.
pub(crate) fn lint_documents(
    discovery: Option<&DiscoveryDocument>,
    keys: Option<&JwkSet>,
    token: Option<&PresentedAssertion>,
    findings: &mut Vec<Finding>,
) {
    if let Some(document) = discovery {
        documents::lint_discovery(document, findings);
    }
    if let Some(keys) = keys {
        documents::lint_keys(keys, token, findings);
    }
}

/// The identity and what it may do, beside a token that Entra would read.
pub(crate) fn lint_setup(setup: &Setup<'_>, token: Option<&PresentedAssertion>, now: Option<i64>, findings: &mut Vec<Finding>) {
    if let Some(identity) = setup.identity.filter(|_| !setup.credentials_unknown) {
        credentials::lint(identity, token, now, findings);
    }
    if let Some(call) = setup.files {
        access::lint_files(call, findings);
    }
    if let Some(access) = &setup.access {
        access::lint(access, setup.identity, findings);
    }
}

/// A token that Entra does not read and that no rule of all clouds explains is explained by Entra's own.
pub(crate) fn lint_unexplained(text: &str, before: usize, findings: &mut Vec<Finding>) {
    let Err(error) = PresentedAssertion::parse(&bare_token(text), Wording::Current) else { return };
    if !has_errors(findings.get(before..).unwrap_or_default()) {
        let what = format!("Entra does not read the token: {}", error.message);
        findings.push(Finding::new(
            rule_of(error.rule),
            Who::Issuer,
            what,
            "compare the token's header and claims with the rule",
        ));
    }
}

/// The catalogue's rule for what Entra says of a token's form.
fn rule_of(rule: &'static str) -> &'static str {
    match rule {
        "E-40" | "E-44" => "D-11",
        "E-43" => "D-05",
        other => other,
    }
}
