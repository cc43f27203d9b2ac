//! Blob, Data Lake and Files: who calls, what is meant, whether it is allowed, and how refusals read.
//!
//! Every request carries a bearer token; its principal's roles decide, and in accounts with folders the access control lists.

mod blobs;
mod blocks;
mod conditions;
mod containers;
mod files;
mod items;
mod listing;
mod paths;

use std::io;
use std::sync::Arc;

use quick_xml::escape::escape;
use serde_json::json;
use skybru_federation::azure::acl::Acl;
use skybru_federation::azure::{
    AzureError, BlobOperation, Caller, FileOperation, FilesCall, Grants, PathAcls, RoleAssignment, authorize_blob,
    authorize_file, check_blob_version,
};
use skybru_federation::entra::Resource;

use super::Sim;
use super::server::{Service, caller};
use super::state::{Account, Container, State};
use super::wire::{Answer, Request, decoded, iso};

pub(crate) use items::Items;

type Answered = Result<Answer, AzureError>;

/// One call, with what it is decided by.
struct Call<'a> {
    sim: &'a Sim,
    request: &'a Request,
    state: Arc<State>,
    account: Account,
    caller: Caller,
    assignments: Vec<RoleAssignment>,
}

/// Where in an account the request points.
struct Target {
    account: String,
    container: Option<String>,
    /// The blob's name or the path, decoded; empty for the container itself.
    path: String,
}

/// Answers one request to a storage port.
pub(crate) fn answer(sim: &Sim, service: Service, request: &Request, request_id: &str) -> Answer {
    let is_lake = service != Service::Files && paths::is_meant(service, request);
    let answered = respond(sim, service, request, is_lake);
    let answer = answered.unwrap_or_else(|error| refusal(sim, request, &error, is_lake, request_id));
    answer.with("x-ms-version", request.header("x-ms-version").unwrap_or("2017-11-09"))
}

/// Whether storage knows who calls, before the body is read; otherwise the refusal.
pub(crate) fn admit(sim: &Sim, service: Service, request: &Request, request_id: &str) -> Result<(), Answer> {
    let is_lake = service != Service::Files && paths::is_meant(service, request);
    let known = known(sim, request, &target(&request.path));
    known.map(|_| ()).map_err(|error| {
        let answer = refusal(sim, request, &error, is_lake, request_id);
        answer.with("x-ms-version", request.header("x-ms-version").unwrap_or("2017-11-09"))
    })
}

/// The account that is meant, and who calls.
fn known(sim: &Sim, request: &Request, target: &Target) -> Result<(Account, Caller), AzureError> {
    let account = sim.state.get().accounts.get(&target.account).cloned().ok_or_else(|| {
        AzureError::new("E-65", "ResourceNotFound", 404, format!("There is no storage account {}.", target.account))
    })?;
    if !account.is_public {
        return Err(AzureError::network_refused());
    }
    let caller = authenticate(sim, request, &account.name)?;
    Ok((account, caller))
}

fn respond(sim: &Sim, service: Service, request: &Request, is_lake: bool) -> Answered {
    let target = target(&request.path);
    let (account, caller) = known(sim, request, &target)?;
    let state = sim.state.get();
    let assignments = sim.assignments(&state);
    let call = Call { sim, request, state, account, caller, assignments };
    if service == Service::Files {
        return files::answer(&call, &target);
    }
    check_blob_version(request.header("x-ms-version"))?;
    match (&target.container, target.path.is_empty()) {
        (None, _) if is_lake => paths::list_filesystems(&call),
        (None, _) => containers::account(&call),
        (Some(container), _) if is_lake => paths::answer(&call, container, &target.path),
        (Some(container), true) => containers::answer(&call, container),
        (Some(container), false) => blobs::answer(&call, container, &target.path),
    }
}

/// Account, container and path of `/ACCOUNT/CONTAINER/PATH`. Slashes inside a blob's name stay as they are.
fn target(path: &str) -> Target {
    let path = path.strip_prefix('/').unwrap_or(path);
    let mut parts = path.splitn(3, '/');
    let mut next = || parts.next().map(decoded).filter(|part| !part.is_empty());
    Target { account: next().unwrap_or_default(), container: next(), path: next().unwrap_or_default() }
}

/// Only bearer tokens: every account has keys and signed URLs switched off.
fn authenticate(sim: &Sim, request: &Request, account: &str) -> Result<Caller, AzureError> {
    let Some(token) = request.bearer() else {
        let has_key = request.header("authorization").is_some_and(|value| value.starts_with("SharedKey"));
        return Err(if has_key || request.query("sig").is_some() {
            let text = "Key based authentication is not permitted on this storage account.";
            AzureError::new("D-73", "KeyBasedAuthenticationNotPermitted", 403, text)
        } else {
            let text =
                "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.";
            AzureError::new("E-65", "NoAuthenticationInformation", 401, text)
        });
    };
    caller(sim, token, Resource::Storage, Some(account)).map_err(|fault| fault.of_storage())
}

/// How a refusal reads: XML at Blob and Files, JSON at Data Lake; the code stands in a header in any case.
fn refusal(sim: &Sim, request: &Request, error: &AzureError, is_lake: bool, request_id: &str) -> Answer {
    tracing::info!(code = error.code, rule = error.rule, "refused");
    let message = format!("{}\nRequestId:{request_id}\nTime:{}", error.message, iso(sim.now()));
    let answer = if request.method == http::Method::HEAD || error.status == 304 {
        Answer::empty(error.status)
    } else if is_lake {
        Answer::json(error.status, &json!({"error": {"code": error.code, "message": message}}))
    } else {
        let detail = error.detail.map_or_else(String::new, |detail| {
            format!("<AuthenticationErrorDetail>{}</AuthenticationErrorDetail>", escape(detail))
        });
        let header = if error.code == "MissingRequiredHeader" { "<HeaderName>x-ms-file-request-intent</HeaderName>" } else { "" };
        Answer::xml(
            error.status,
            &format!("<Error><Code>{}</Code><Message>{}</Message>{detail}{header}</Error>", error.code, escape(&message)),
        )
    };
    let answer = answer.with("x-ms-error-code", error.code);
    if error.status != 401 {
        return answer;
    }
    let authority = format!("{}/{}/oauth2/authorize", sim.authority, sim.state.get().tenant.id);
    answer.with("www-authenticate", format!("Bearer authorization_uri={authority} resource_id=https://storage.azure.com"))
}

impl Call<'_> {
    fn grants(&self) -> Grants<'_> {
        Grants { assignments: &self.assignments, roles: &self.sim.roles }
    }

    /// The resource id of a container, or of the account.
    fn blob_scope(&self, container: Option<&str>) -> String {
        let account = self.state.account_scope(&self.account);
        container.map_or_else(|| account.clone(), |name| format!("{account}/blobServices/default/containers/{name}"))
    }

    fn authorize(&self, operation: BlobOperation, container: Option<&str>) -> Result<(), AzureError> {
        authorize_blob(self.grants(), &self.caller, operation, &self.blob_scope(container), None)
    }

    /// With the lists on the way to the path, in an account with folders.
    fn authorize_path(&self, operation: BlobOperation, container: &str, path: &str) -> Result<(), AzureError> {
        let scope = self.blob_scope(Some(container));
        let root = self.account.containers.get(container).map(|container| &container.root);
        let (Some(root), true) = (root, self.account.has_folders) else {
            return authorize_blob(self.grants(), &self.caller, operation, &scope, None);
        };
        let space = self.space(container);
        let path = path.trim_matches('/');
        let places: Vec<usize> = path.match_indices('/').map(|(place, _)| place).collect();
        let folders: Vec<_> = places.iter().map(|place| self.sim.items.get(&space, &path[..*place])).collect();
        let closed = Acl::of_owner("", true);
        // A folder that is not there has no list, and lets nobody through.
        let of =
            |item: &Option<Arc<items::Item>>| item.as_ref().and_then(|item| item.acl.clone()).unwrap_or_else(|| closed.clone());
        let lists: Vec<Acl> = folders.iter().map(of).collect();
        let own = self.sim.items.get(&space, path).and_then(|item| item.acl.clone());
        let mut above: Vec<&Acl> = std::iter::once(root).chain(&lists).collect();
        let own = if path.is_empty() { above.pop() } else { own.as_ref() };
        authorize_blob(self.grants(), &self.caller, operation, &scope, Some(PathAcls { above: &above, own }))
    }

    fn authorize_file(&self, operation: FileOperation, share: Option<&str>) -> Result<(), AzureError> {
        let account = self.state.account_scope(&self.account);
        let scope = share.map_or_else(|| account.clone(), |share| format!("{account}/fileServices/default/fileshares/{share}"));
        authorize_file(self.grants(), &self.caller, operation, &scope, self.files_call())
    }

    fn files_call(&self) -> FilesCall<'_> {
        FilesCall { version: self.request.header("x-ms-version"), intent: self.request.header("x-ms-file-request-intent") }
    }

    fn space(&self, container: &str) -> String {
        items::space(true, &self.account.name, container)
    }

    fn container(&self, name: &str) -> Result<&Container, AzureError> {
        self.account.containers.get(name).ok_or_else(container_not_found)
    }

    /// Changes the containers of the account.
    fn change_containers<T>(
        &self,
        change: impl FnOnce(&mut std::collections::BTreeMap<String, Container>) -> Result<T, AzureError>,
    ) -> Result<T, AzureError> {
        self.sim.state.change(|state| {
            let account = state.accounts.get_mut(&self.account.name).ok_or_else(container_not_found)?;
            change(&mut account.containers)
        })
    }
}

fn container_not_found() -> AzureError {
    AzureError::new("E-65", "ContainerNotFound", 404, "The specified container does not exist.")
}

/// A disk that does not do its work.
#[expect(clippy::needless_pass_by_value, reason = "so that it can stand in map_err by its name")]
fn broken(error: io::Error) -> AzureError {
    tracing::error!(%error, "the simulator's storage failed");
    AzureError::new("E-65", "InternalError", 500, "Server encountered an internal error. Please try again after some time.")
}

/// An entity tag in Azure's shape, new each time.
pub(crate) fn etag(sim: &Sim) -> String {
    let mut bytes = [0; 7];
    sim.ctx.randomness.fill(&mut bytes);
    format!("\"0x8D{}\"", crate::hex::hex(&bytes).to_uppercase())
}

/// 3 to 63 of lower-case letters, digits and single dashes; a few names begin with a dollar.
pub(crate) fn is_container_name(name: &str) -> bool {
    let plain = name.strip_prefix('$').unwrap_or(name);
    (3..=63).contains(&name.len())
        && plain.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !plain.starts_with('-')
        && !plain.ends_with('-')
        && !plain.contains("--")
}
