//! The addresses of this cloud, for tools that know only where its Resource Manager is (E-75). Nobody needs a token to ask.

use serde_json::{Value, json};

use crate::azure::Sim;
use crate::azure::wire::{Answer, Request};

/// What `az cloud register` reads, in the form of the version that is asked for.
pub(super) fn answer(sim: &Sim, request: &Request) -> Answer {
    let authority = &sim.authority;
    let management = "https://management.core.windows.net/";
    let authentication = json!({
        "loginEndpoint": authority, "audiences": [management, "https://management.azure.com/"], "tenant": "common",
        "identityProvider": "AAD",
    });
    let version = request.query("api-version").unwrap_or_default();
    // Before 2018 there were fewer members, with other names; from 2022 on there is one cloud and no list of them.
    if version < "2018" {
        let document = json!({
            "galleryEndpoint": authority, "graphEndpoint": "https://graph.windows.net/", "portalEndpoint": authority,
            "authentication": {"loginEndpoint": authority, "audiences": authentication["audiences"]},
        });
        return Answer::json(200, &document);
    }
    let cloud = json!({
        "name": "SkybruLab", "portal": authority, "gallery": authority, "resourceManager": format!("{authority}/arm"),
        "authentication": authentication, "graph": "https://graph.windows.net/", "graphAudience": "https://graph.windows.net/",
        "microsoftGraphResourceId": "https://graph.microsoft.com/",
        "suffixes": {"storage": "core.windows.net"},
    });
    Answer::json(200, &if version < "2022" { Value::Array(vec![cloud]) } else { cloud })
}
