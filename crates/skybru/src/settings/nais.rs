//! What Nais injects into a pod: a client, and a target when scopes are declared, both named `maskinporten`.

use std::path::Path;

use crate::system::System;

/// Where the secret is mounted as files, one for each name.
pub(super) const FOLDER: &str = "/var/run/secrets/nais.io/maskinporten";

/// One value of the settings.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Injected {
    /// Where it comes from, for `config show --origin`.
    pub(super) origin: String,
    /// Which setting it is.
    pub(super) setting: &'static str,
    pub(super) value: String,
}

/// The behind end of [RFC 8414](https://www.rfc-editor.org/rfc/rfc8414) metadata's address.
const WELL_KNOWN: &str = ".well-known/oauth-authorization-server";

/// All or nothing: without id, key and issuer there is no client. A variable beats the file of the same name.
pub(super) fn injected(system: &System, folder: &Path) -> Vec<Injected> {
    let find = |name: &str| -> Option<(String, String)> {
        if let Some(value) = system.var(name) {
            return Some((format!("variable {name}"), value.to_owned()));
        }
        let path = folder.join(name);
        let value = std::fs::read_to_string(&path).ok()?.trim().to_owned();
        (!value.is_empty()).then(|| (format!("file {}", path.display()), value))
    };
    let issuer = find("MASKINPORTEN_ISSUER").or_else(|| {
        let (origin, address) = find("MASKINPORTEN_WELL_KNOWN_URL")?;
        Some((origin, address.strip_suffix(WELL_KNOWN)?.to_owned()))
    });
    let (Some(id), Some((key_origin, _)), Some(issuer)) =
        (find("MASKINPORTEN_CLIENT_ID"), find("MASKINPORTEN_CLIENT_JWK"), issuer)
    else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut take = |setting, (origin, value): (String, String)| found.push(Injected { origin, setting, value });
    take("clients.maskinporten.client-id", id);
    take("clients.maskinporten.issuer", issuer);
    // The key itself goes into no setting: settings are shown.
    let (setting, place) = match key_origin.strip_prefix("file ") {
        Some(path) => ("clients.maskinporten.key.file", path.to_owned()),
        None => ("clients.maskinporten.key.env", "MASKINPORTEN_CLIENT_JWK".to_owned()),
    };
    take(setting, (key_origin, place));
    if let Some(endpoint) = find("MASKINPORTEN_TOKEN_ENDPOINT") {
        take("clients.maskinporten.token-endpoint", endpoint);
    }
    if let Some((origin, scopes)) = find("MASKINPORTEN_SCOPES") {
        take("targets.maskinporten.client", (origin.clone(), "maskinporten".to_owned()));
        take("targets.maskinporten.scope", (origin, scopes));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use skybru_core::Ctx;

    fn system(env: &[(&str, &str)]) -> System {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        System { env, folder: "/nowhere".into(), ctx: Ctx::fixed(0, 0).0 }
    }

    fn value<'a>(found: &'a [Injected], setting: &str) -> Option<&'a str> {
        found.iter().find(|injected| injected.setting == setting).map(|injected| injected.value.as_str())
    }

    #[test]
    fn files_are_as_good_as_variables_and_variables_win() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("MASKINPORTEN_CLIENT_ID", "from-file\n"),
            ("MASKINPORTEN_CLIENT_JWK", "{}"),
            ("MASKINPORTEN_WELL_KNOWN_URL", "https://test.maskinporten.no/.well-known/oauth-authorization-server"),
            ("MASKINPORTEN_TOKEN_ENDPOINT", "https://test.maskinporten.no/token"),
            ("MASKINPORTEN_SCOPES", "a:b c:d"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let found = injected(&system(&[]), folder.path());
        assert_eq!(value(&found, "clients.maskinporten.client-id"), Some("from-file"));
        assert_eq!(value(&found, "clients.maskinporten.issuer"), Some("https://test.maskinporten.no/"));
        assert_eq!(value(&found, "clients.maskinporten.token-endpoint"), Some("https://test.maskinporten.no/token"));
        assert!(value(&found, "clients.maskinporten.key.file").unwrap().ends_with("MASKINPORTEN_CLIENT_JWK"));
        assert_eq!(value(&found, "targets.maskinporten.scope"), Some("a:b c:d"));

        let found = injected(&system(&[("MASKINPORTEN_CLIENT_ID", "from-variable")]), folder.path());
        assert_eq!(value(&found, "clients.maskinporten.client-id"), Some("from-variable"));
    }

    #[test]
    fn half_a_client_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let half = system(&[("MASKINPORTEN_CLIENT_ID", "a"), ("MASKINPORTEN_ISSUER", "https://maskinporten.no/")]);
        assert_eq!(injected(&half, folder.path()), []);
    }
}
