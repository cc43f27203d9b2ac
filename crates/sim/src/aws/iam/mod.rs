//! IAM: identity providers, roles, policies, and the policy simulator. What is accepted is decided by `skybru-federation`; here it is kept and read out.

mod account;
mod policies;
mod providers;
mod roles;
mod simulator;

use http::request::Parts;
use skybru_federation::aws::{AwsError, Tag};

pub(crate) use self::policies::ManagedPolicy;
use super::caller::Caller;
use super::query::{Answer, Parameters};
use super::state::State;
use super::xml::{Element, list, text};
use super::{Sim, errors};

/// The most that one page of a list holds, unless the caller asks for fewer.
const PAGE: usize = 100;

/// Answers one call.
pub(crate) async fn answer(
    sim: &Sim,
    action: &str,
    parameters: &Parameters,
    parts: &Parts,
    body: &[u8],
) -> Result<Answer, AwsError> {
    let caller = Caller::of_request(sim, "iam", parts, body)?;
    if !is_known(action) {
        return Err(errors::invalid_action(action, parameters.get("Version").unwrap_or_default()));
    }
    let state = sim.state.get();
    caller.authorize(&state, &format!("iam:{action}"), &resource(sim, &state, action, parameters))?;
    if action == "CreateOpenIDConnectProvider" {
        return providers::create(sim, parameters).await;
    }
    if action.contains("OpenIDConnectProvider") {
        return providers::answer(sim, action, parameters);
    }
    match action {
        _ if account::ACTIONS.contains(&action) => account::answer(sim, &caller, action, parameters),
        _ if simulator::ACTIONS.contains(&action) => simulator::answer(sim, action, parameters),
        _ if policies::ACTIONS.contains(&action) => policies::answer(sim, action, parameters),
        _ => roles::answer(sim, action, parameters),
    }
}

fn is_known(action: &str) -> bool {
    account::ACTIONS.contains(&action)
        || simulator::ACTIONS.contains(&action)
        || providers::ACTIONS.contains(&action)
        || policies::ACTIONS.contains(&action)
        || roles::ACTIONS.contains(&action)
}

/// What a call is about, as policies name it.
fn resource(sim: &Sim, state: &State, action: &str, parameters: &Parameters) -> String {
    let account = &sim.account.id;
    if let Some(arn) = parameters.get("OpenIDConnectProviderArn") {
        return arn.to_owned();
    }
    if let Some(name) = parameters.get("RoleName") {
        let path = parameters.get("Path").unwrap_or("/");
        let known = state.roles.get(name).map(|role| role.arn.clone());
        return known.unwrap_or_else(|| format!("arn:aws:iam::{account}:role{path}{name}"));
    }
    if let Some(arn) = parameters.get("PolicyArn").or_else(|| parameters.get("PolicySourceArn")) {
        return arn.to_owned();
    }
    match (action, parameters.get("Url"), parameters.get("PolicyName")) {
        ("CreateOpenIDConnectProvider", Some(url), _) => {
            let host = url.split_once("://").map_or(url, |(_, host)| host);
            format!("arn:aws:iam::{account}:oidc-provider/{host}")
        }
        ("CreatePolicy", _, Some(name)) => {
            format!("arn:aws:iam::{account}:policy{}{name}", parameters.get("Path").unwrap_or("/"))
        }
        _ => "*".to_owned(),
    }
}

fn tags_of(parameters: &Parameters) -> Vec<Tag> {
    parameters.pairs("Tags", "Key", "Value").into_iter().map(|(key, value)| Tag { key, value }).collect()
}

fn tags_element(tags: &[Tag]) -> Element {
    list("Tags", tags.iter().map(|tag| vec![text("Key", &tag.key), text("Value", &tag.value)]))
}

/// One page of `all`, and the elements that tell whether there is more. The marker is the number of members before the page.
fn page<T>(all: Vec<T>, parameters: &Parameters) -> Result<(Vec<T>, Vec<Element>), AwsError> {
    let start = parameters.number("Marker")?.map_or(0, |marker| marker as usize);
    let size = parameters.number("MaxItems")?.map_or(PAGE, |items| (items as usize).clamp(1, 1000));
    let total = all.len();
    let members: Vec<T> = all.into_iter().skip(start).take(size).collect();
    let end = start.saturating_add(members.len());
    let mut more = vec![text("IsTruncated", end < total)];
    if end < total {
        more.push(text("Marker", end));
    }
    Ok((members, more))
}

/// A policy document as IAM gives it out: percent-encoded.
fn encoded(document: &str) -> String {
    form_urlencoded::byte_serialize(document.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_everything_once() {
        let first = Parameters::parse(b"MaxItems=2");
        let (members, more) = page(vec![1, 2, 3], &first).unwrap();
        assert_eq!((members, more.len()), (vec![1, 2], 2));
        let (members, more) = page(vec![1, 2, 3], &Parameters::parse(b"MaxItems=2&Marker=2")).unwrap();
        assert_eq!((members, more.len()), (vec![3], 1));
    }

    #[test]
    fn documents_are_percent_encoded() {
        assert_eq!(encoded("{\"a\": \"+\"}"), "%7B%22a%22%3A%20%22%2B%22%7D");
    }
}
