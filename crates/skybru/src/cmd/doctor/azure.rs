//! What Entra has been told, from files as az prints them, and from the target.

use std::path::Path;

use anyhow::{Result, bail};
use serde_json::Value;
use skybru_federation::azure::acl::Acl;
use skybru_federation::azure::roles::RoleDefinition;
use skybru_federation::azure::{Grants, PathAcls, RoleAssignment};
use skybru_federation::entra::{Access, CredentialInput, FederatedCredential, Identity, IdentityKind, Setup, Tenant};
use skybru_federation::reach::Told;
use skybru_federation::{Finding, Who};

use super::Call;
use super::google::parsed;
use super::report::Report;

const READ_BLOB: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read";
const READ_FILE: &str = "Microsoft.Storage/storageAccounts/fileServices/fileshares/files/read";

/// Identity, credentials and call as far as they are known.
#[derive(Default)]
pub(super) struct Files {
    identity: Option<Identity>,
    tenant: Option<Tenant>,
    expectation: Option<AzureExpectation>,
    /// Only lists were given.
    credentials_unknown: bool,
    /// What the identity may do with the data, as Azure says.
    pub(super) access: Option<LiveAccess>,
    place: String,
}

/// Roles and lists at the place of the data.
#[derive(Default)]
pub(super) struct LiveAccess {
    /// The container's or the share's resource id.
    pub(super) scope: String,
    pub(super) assignments: Vec<RoleAssignment>,
    pub(super) roles: Vec<RoleDefinition>,
    /// In an account with folders: the lists on the way, the root's first and the path's own last.
    pub(super) lists: Option<Vec<Acl>>,
    pub(super) is_public: bool,
}

/// What a target says about Azure.
pub(super) struct AzureExpectation {
    pub(super) tenant_id: String,
    pub(super) client_id: String,
    pub(super) account: String,
    pub(super) container: Option<String>,
    pub(super) file_share: Option<String>,
    /// The folder or file in the container that is wanted; empty for the container itself.
    pub(super) path: String,
    /// Another Resource Manager than Azure's own: a lab's.
    pub(super) arm: Option<String>,
}

impl Files {
    /// Reads the files that the flags name.
    pub(super) fn read(
        call: &Call,
        credential: Option<&Path>,
        identity: Option<&Path>,
        lists: Option<&Path>,
        report: &mut Report,
    ) -> Result<Self> {
        let mut files = Self::default();
        let mut known = Identity {
            kind: IdentityKind::ManagedIdentity,
            name: "the identity".to_owned(),
            client_id: String::new(),
            principal_id: String::new(),
            credentials: Vec::new(),
        };
        if let Some(path) = identity {
            let value: Value = parsed(call, path, "an identity as az identity show prints it")?;
            let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
            if let Some(app_id) = text("appId") {
                // What az ad app show prints names no principal; az ad sp show does, and calls it id.
                known.kind = IdentityKind::Application;
                let is_principal = value.get("servicePrincipalType").is_some();
                (known.client_id, known.principal_id) = (app_id, text("id").filter(|_| is_principal).unwrap_or_default());
            } else {
                let Some((client_id, principal_id)) = text("clientId").zip(text("principalId")) else {
                    bail!(
                        "{}: expected clientId, principalId and tenantId, as az identity show prints them, or appId, as az ad app show \
                         and az ad sp show do",
                        path.display()
                    );
                };
                (known.client_id, known.principal_id) = (client_id, principal_id);
            }
            known.name = text("name").or_else(|| text("displayName")).unwrap_or(known.name);
            files.tenant = text("tenantId").map(|id| Tenant { name: id.clone(), id, domains: Vec::new() });
        }
        if let Some(path) = credential {
            files.place = path.display().to_string();
            let value: Value = parsed(call, path, "credentials as az identity federated-credential list prints them")?;
            let list = value.as_array().cloned().unwrap_or_else(|| vec![value]);
            for one in &list {
                take(one, known.kind, &mut known.credentials, &files.place, report);
            }
        }
        if let Some(path) = lists {
            if identity.is_none() {
                bail!("{}: a list names principals; whose it is about says --entra-identity", path.display());
            }
            files.place = path.display().to_string();
            let value: Value = parsed(call, path, "lists as az storage fs access show prints them")?;
            let lists = value.as_array().cloned().unwrap_or_else(|| vec![value]);
            let lists = lists.iter().map(|one| list(one, path)).collect::<Result<Vec<_>>>()?;
            files.access = Some(LiveAccess {
                scope: path.display().to_string(),
                lists: Some(lists),
                is_public: true,
                ..LiveAccess::default()
            });
        }
        files.credentials_unknown = lists.is_some() && credential.is_none();
        files.identity = (credential.is_some() || identity.is_some()).then_some(known);
        Ok(files)
    }

    /// What a target says.
    pub(super) fn expect(&mut self, expectation: Option<AzureExpectation>) {
        self.expectation = expectation;
    }

    /// The client id that is called, and the Resource Manager to ask about it, unless files said what there is.
    pub(super) fn wanted(&self) -> Option<(String, Option<String>)> {
        let expectation = self.expectation.as_ref().filter(|_| self.identity.is_none())?;
        Some((expectation.client_id.clone(), expectation.arm.clone()))
    }

    /// The principal, the account and the part of it with the data, once the identity is known.
    pub(super) fn wanted_access(&self) -> Option<(String, String, String)> {
        let (expectation, identity) = self.expectation.as_ref().zip(self.identity.as_ref())?;
        let part = match (&expectation.container, &expectation.file_share) {
            (Some(container), _) => format!("/blobServices/default/containers/{container}"),
            (None, Some(share)) => format!("/fileServices/default/fileshares/{share}"),
            (None, None) => return None,
        };
        Some((identity.principal_id.clone(), expectation.account.clone(), part))
    }

    /// The container and the path in it whose lists would decide.
    pub(super) fn wanted_path(&self) -> Option<(String, String)> {
        let expectation = self.expectation.as_ref()?;
        Some((expectation.container.clone()?, expectation.path.clone()))
    }

    /// An application with its credentials and its principal, as Graph shows them.
    pub(super) fn take_application(
        &mut self,
        application: &Value,
        credentials: &[Value],
        principal: Option<&Value>,
        place: &str,
        report: &mut Report,
    ) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut known = Identity {
            kind: IdentityKind::Application,
            name: text(&application["displayName"]),
            client_id: text(&application["appId"]),
            principal_id: principal.map(|principal| text(&principal["id"])).unwrap_or_default(),
            credentials: Vec::new(),
        };
        for one in credentials {
            take(one, known.kind, &mut known.credentials, place, report);
        }
        let tenant = principal.and_then(|principal| principal["appOwnerOrganizationId"].as_str());
        self.tenant = tenant.map(|id| Tenant { name: id.to_owned(), id: id.to_owned(), domains: Vec::new() });
        self.identity = Some(known);
        place.clone_into(&mut self.place);
    }

    /// An identity with its credentials, as Resource Manager shows them.
    pub(super) fn take_live(&mut self, identity: &Value, credentials: &[Value], place: &str, report: &mut Report) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let properties = &identity["properties"];
        let mut known = Identity {
            kind: IdentityKind::ManagedIdentity,
            name: text(&identity["name"]),
            client_id: text(&properties["clientId"]),
            principal_id: text(&properties["principalId"]),
            credentials: Vec::new(),
        };
        for one in credentials {
            take(one, known.kind, &mut known.credentials, place, report);
        }
        let tenant = text(&properties["tenantId"]);
        self.tenant = Some(Tenant { name: tenant.clone(), id: tenant, domains: Vec::new() });
        self.identity = Some(known);
        place.clone_into(&mut self.place);
    }

    /// Whether there is anything about Azure to look at.
    pub(super) fn is_asked(&self) -> bool {
        self.identity.is_some() || self.expectation.is_some()
    }

    /// The lists above the path, for [`Files::setup`].
    pub(super) fn lists_above(&self) -> Vec<&Acl> {
        let lists = self.access.as_ref().and_then(|live| live.lists.as_deref()).unwrap_or_default();
        lists.split_last().map_or_else(Vec::new, |(_, above)| above.iter().collect())
    }

    /// For the rules.
    pub(super) fn setup<'a>(&'a self, above: &'a [&'a Acl]) -> Setup<'a> {
        let knows_ids = self.identity.as_ref().is_some_and(|identity| !identity.client_id.is_empty());
        let expectation = self.expectation.as_ref();
        Setup {
            identity: self.identity.as_ref(),
            credentials_unknown: self.credentials_unknown,
            tenant: self.tenant.as_ref(),
            tenant_given: expectation.map(|expectation| expectation.tenant_id.as_str()),
            client_id: expectation.map(|expectation| expectation.client_id.as_str()).filter(|_| knows_ids),
            access: self.access.as_ref().map(|live| Access {
                grants: Grants { assignments: &live.assignments, roles: &live.roles },
                scope: &live.scope,
                action: if live.scope.contains("/fileServices/") { READ_FILE } else { READ_BLOB },
                acls: live.lists.as_ref().map(|lists| PathAcls { above, own: lists.last() }),
                is_public: live.is_public,
            }),
            ..Setup::default()
        }
    }

    /// For the proof.
    pub(super) fn told(&self) -> Option<Told<'_>> {
        self.identity.as_ref().filter(|identity| !identity.credentials.is_empty()).map(Told::Azure)
    }

    /// Where a rule's fault lies.
    pub(super) fn place_of(&self, rule: &str) -> Option<&str> {
        let number: u32 = rule.strip_prefix("D-")?.parse().ok()?;
        ((60..=74).contains(&number) && !self.place.is_empty()).then_some(self.place.as_str())
    }
}

/// One list, as az prints it: the entries in `acl`, and the `owner`.
fn list(value: &Value, path: &Path) -> Result<Acl> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let Some(entries) = text("acl") else {
        bail!("{}: expected acl and owner, as az storage fs access show prints them", path.display());
    };
    match Acl::of_owner(&text("owner").unwrap_or_default(), true).set(&entries, true) {
        Ok(list) => Ok(list),
        Err(error) => bail!("{}: {}", path.display(), error.message),
    }
}

/// One credential, as it stands in ARM (`properties`) or as az prints it. One that Azure would not store is a finding.
fn take(value: &Value, kind: IdentityKind, credentials: &mut Vec<FederatedCredential>, place: &str, report: &mut Report) {
    let member = |name: &str| value.get(name).or_else(|| value.get("properties").and_then(|properties| properties.get(name)));
    let text = |name: &str| member(name).and_then(Value::as_str).map(str::to_owned);
    let audiences = member("audiences").and_then(Value::as_array).into_iter().flatten();
    let input = CredentialInput {
        name: text("name").unwrap_or_else(|| "unnamed".to_owned()),
        issuer: text("issuer"),
        subject: text("subject"),
        audiences: audiences.filter_map(|audience| audience.as_str().map(str::to_owned)).collect(),
        description: text("description"),
        expression: member("claimsMatchingExpression").and_then(|e| e.get("value")).and_then(Value::as_str).map(str::to_owned),
    };
    match FederatedCredential::create(input, credentials, kind, 0) {
        Ok(credential) => credentials.push(credential),
        Err(error) => {
            let rule = match error.rule {
                "E-6" => "D-66",
                "E-1" => "D-67",
                _ => "E-9",
            };
            let what = format!("Azure would not store this credential: {}", error.message);
            report.push(
                place,
                Finding::new(rule, Who::Provider, what, "write issuer, subject and one audience, as the token has them"),
            );
        }
    }
}
