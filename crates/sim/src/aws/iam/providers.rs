//! Calls about OpenID Connect identity providers.

use skybru_federation::DocumentProblem;
use skybru_federation::aws::{AwsError, Edit, OidcProvider, ProviderInput};

use super::{tags_element, tags_of};
use crate::aws::query::{Answer, Parameters};
use crate::aws::xml::{list, text, texts};
use crate::aws::{Sim, errors, iso8601};

/// What is answered here.
pub(super) const ACTIONS: [&str; 10] = [
    "CreateOpenIDConnectProvider",
    "GetOpenIDConnectProvider",
    "ListOpenIDConnectProviders",
    "DeleteOpenIDConnectProvider",
    "UpdateOpenIDConnectProviderThumbprint",
    "AddClientIDToOpenIDConnectProvider",
    "RemoveClientIDFromOpenIDConnectProvider",
    "TagOpenIDConnectProvider",
    "UntagOpenIDConnectProvider",
    "ListOpenIDConnectProviderTags",
];

/// `CreateOpenIDConnectProvider`. Without thumbprints IAM fetches one itself, so the issuer must be reachable then.
pub(super) async fn create(sim: &Sim, parameters: &Parameters) -> Result<Answer, AwsError> {
    let url = parameters.required("Url")?.to_owned();
    let thumbprints = parameters.list("ThumbprintList").filter(|thumbprints| !thumbprints.is_empty());
    let must_fetch = thumbprints.is_none();
    let client_ids = parameters.list("ClientIDList").unwrap_or_default();
    let input = ProviderInput { url: url.clone(), client_ids, thumbprints, tags: tags_of(parameters) };
    let mut provider = OidcProvider::create(&sim.account.id, input, sim.ctx.clock.unix_seconds())?;
    if sim.state.get().providers.contains_key(&provider.arn) {
        return Err(provider.already_exists());
    }
    if must_fetch {
        provider.thumbprints =
            sim.fetcher.thumbprint(&url).await.map_err(|problem| unreachable_issuer(&url, &problem))?.into_iter().collect();
    }
    sim.state.change(|state| {
        // Somebody may have been faster while the issuer was asked.
        if state.providers.contains_key(&provider.arn) {
            return Err(provider.already_exists());
        }
        let elements = vec![text("OpenIDConnectProviderArn", &provider.arn), tags_element(&provider.tags)];
        state.providers.insert(provider.arn.clone(), provider);
        Ok(Answer::new(elements))
    })
}

/// Answers every other call.
pub(super) fn answer(sim: &Sim, action: &str, parameters: &Parameters) -> Result<Answer, AwsError> {
    if action == "ListOpenIDConnectProviders" {
        let state = sim.state.get();
        let arns = state.providers.keys().map(|arn| vec![text("Arn", arn)]);
        return Ok(Answer::new(vec![list("OpenIDConnectProviderList", arns)]));
    }
    let arn = parameters.required("OpenIDConnectProviderArn")?;
    let edit = match action {
        "GetOpenIDConnectProvider" => return get(sim, arn),
        "ListOpenIDConnectProviderTags" => {
            let state = sim.state.get();
            let provider = state.providers.get(arn).ok_or_else(|| OidcProvider::not_found(arn))?;
            return Ok(Answer::new(vec![tags_element(&provider.tags), text("IsTruncated", false)]));
        }
        "DeleteOpenIDConnectProvider" => {
            let absent = || OidcProvider::cannot_be_found(arn);
            return sim.state.change(|state| state.providers.remove(arn).map(|_| Answer::empty()).ok_or_else(absent));
        }
        "AddClientIDToOpenIDConnectProvider" => Edit::AddClientId(parameters.required("ClientID")?.to_owned()),
        "RemoveClientIDFromOpenIDConnectProvider" => Edit::RemoveClientId(parameters.required("ClientID")?.to_owned()),
        "UpdateOpenIDConnectProviderThumbprint" => {
            Edit::Thumbprints(parameters.list("ThumbprintList").ok_or_else(|| errors::must_not_be_null("ThumbprintList"))?)
        }
        "TagOpenIDConnectProvider" => Edit::Tag(tags_of(parameters)),
        _ => Edit::Untag(parameters.list("TagKeys").unwrap_or_default()),
    };
    sim.state.change(|state| {
        let provider = state.providers.get_mut(arn).ok_or_else(|| OidcProvider::not_found(arn))?;
        provider.edit(edit).map(|()| Answer::empty())
    })
}

fn get(sim: &Sim, arn: &str) -> Result<Answer, AwsError> {
    let state = sim.state.get();
    let provider = state.providers.get(arn).ok_or_else(|| OidcProvider::not_found(arn))?;
    Ok(Answer::new(vec![
        text("Url", &provider.url),
        texts("ClientIDList", &provider.client_ids),
        texts("ThumbprintList", &provider.thumbprints),
        text("CreateDate", iso8601(provider.created)),
        tags_element(&provider.tags),
    ]))
}

/// The code is documented, the text is not; these two are the console's.
fn unreachable_issuer(issuer: &str, problem: &DocumentProblem) -> AwsError {
    let text = match problem {
        DocumentProblem::MissingFields(_) => {
            format!("Please check .well-known/openid-configuration of provider: {issuer} is valid")
        }
        _ => format!("Could not connect to openid configuration of provider: {issuer}"),
    };
    AwsError::new("A-7", "OpenIdIdpCommunicationError", 400, text)
}
