//! The account and its containers, as Blob shows them.

use std::fmt::Write as _;

use http::Method;
use quick_xml::escape::escape;
use skybru_federation::azure::{AzureError, BlobOperation};

use super::{Answered, Call, container_not_found, is_container_name, listing};
use crate::azure::arm::new_container;
use crate::azure::state::Container;
use crate::azure::wire::{Answer, http_date};

/// What has no container in its path.
pub(super) fn account(call: &Call<'_>) -> Answered {
    let request = call.request;
    match (&request.method, request.query("restype"), request.query("comp")) {
        (&Method::GET, _, Some("list")) => list(call),
        (&Method::GET | &Method::HEAD, Some("account"), Some("properties")) => Ok(account_information(call)),
        (&Method::GET, Some("service"), Some("properties")) => {
            call.authorize(BlobOperation::ListContainers, None)?;
            Ok(Answer::xml(
                200,
                "<StorageServiceProperties><DefaultServiceVersion>2021-12-02</DefaultServiceVersion></StorageServiceProperties>",
            ))
        }
        (&Method::POST, _, Some("userdelegationkey")) => {
            call.authorize(BlobOperation::DelegationKey, None)?;
            // No signed URL is taken here, so no key for one is given.
            let text = "Signed URLs are not permitted on this storage account.";
            Err(AzureError::new("D-73", "KeyBasedAuthenticationNotPermitted", 403, text))
        }
        _ => Err(unsupported()),
    }
}

pub(super) fn account_information(call: &Call<'_>) -> Answer {
    let hns = if call.account.has_folders { "true" } else { "false" };
    Answer::empty(200)
        .with("x-ms-sku-name", "Standard_LRS")
        .with("x-ms-account-kind", "StorageV2")
        .with("x-ms-is-hns-enabled", hns)
}

fn list(call: &Call<'_>) -> Answered {
    call.authorize(BlobOperation::ListContainers, None)?;
    let prefix = call.request.query("prefix").unwrap_or_default();
    let mut text =
        format!("<EnumerationResults ServiceEndpoint=\"/{}\"><Prefix>{}</Prefix><Containers>", call.account.name, escape(prefix));
    for (name, container) in call.account.containers.iter().filter(|(name, _)| name.starts_with(prefix)) {
        let _ = write!(
            text,
            "<Container><Name>{name}</Name><Properties><Last-Modified>{}</Last-Modified><Etag>{}</Etag><LeaseStatus>unlocked</LeaseStatus>\
             <LeaseState>available</LeaseState><HasImmutabilityPolicy>false</HasImmutabilityPolicy><HasLegalHold>false</HasLegalHold>\
             </Properties>{}</Container>",
            http_date(container.modified),
            escape(&container.etag),
            listing::metadata(&container.metadata)
        );
    }
    text.push_str("</Containers><NextMarker /></EnumerationResults>");
    Ok(Answer::xml(200, &text))
}

/// What names a container and nothing in it.
pub(super) fn answer(call: &Call<'_>, name: &str) -> Answered {
    let request = call.request;
    let comp = request.query("comp");
    if request.query("restype") == Some("account") {
        return Ok(account_information(call));
    }
    match (&request.method, comp) {
        (&Method::PUT, None) => create(call, name),
        (&Method::GET, Some("list")) => listing::answer(call, name),
        (&Method::GET | &Method::HEAD, None | Some("metadata")) => {
            call.authorize(BlobOperation::ReadContainer, Some(name))?;
            Ok(properties(call.container(name)?, 200))
        }
        (&Method::GET | &Method::HEAD, Some("acl")) => {
            call.authorize(BlobOperation::ReadContainer, Some(name))?;
            call.container(name)?;
            Ok(Answer::xml(200, "<SignedIdentifiers />"))
        }
        (&Method::PUT, Some("metadata")) => {
            call.authorize(BlobOperation::WriteContainer, Some(name))?;
            let (metadata, etag, now) = (request.metadata(), super::etag(call.sim), call.sim.now());
            let changed = call.change_containers(|all| {
                let container = all.get_mut(name).ok_or_else(container_not_found)?;
                *container = Container { metadata, etag, modified: now, ..container.clone() };
                Ok(container.clone())
            })?;
            Ok(properties(&changed, 200))
        }
        (&Method::DELETE, None) => delete(call, name, 202),
        _ => Err(unsupported()),
    }
}

pub(super) fn create(call: &Call<'_>, name: &str) -> Answered {
    call.authorize(BlobOperation::WriteContainer, Some(name))?;
    if !is_container_name(name) {
        let text = "The specified resource name contains invalid characters.";
        return Err(AzureError::new("E-65", "InvalidResourceName", 400, text));
    }
    let made = new_container(call.sim, &call.caller.principal_id, call.request.metadata());
    let answer = properties(&made, 201);
    call.change_containers(|all| {
        if all.contains_key(name) {
            return Err(AzureError::new("E-65", "ContainerAlreadyExists", 409, "The specified container already exists."));
        }
        all.insert(name.to_owned(), made);
        Ok(())
    })?;
    Ok(answer)
}

pub(super) fn delete(call: &Call<'_>, name: &str, status: u16) -> Answered {
    call.authorize(BlobOperation::DeleteContainer, Some(name))?;
    call.container(name)?;
    call.sim.items.forget_container(true, &call.account.name, name);
    call.change_containers(|all| Ok(all.remove(name)))?;
    Ok(Answer::empty(status))
}

/// The headers that describe a container.
pub(super) fn properties(container: &Container, status: u16) -> Answer {
    let mut answer = Answer::empty(status)
        .with("etag", &container.etag)
        .with("last-modified", http_date(container.modified))
        .with("x-ms-lease-status", "unlocked")
        .with("x-ms-lease-state", "available");
    for (name, value) in &container.metadata {
        answer = answer.with(&format!("x-ms-meta-{name}"), value);
    }
    answer
}

/// What the simulator does not do, said in a code that every client shows.
pub(super) fn unsupported() -> AzureError {
    let text = "The simulator does not know this operation.";
    AzureError::new("E-65", "UnsupportedQueryParameter", 400, text)
}
