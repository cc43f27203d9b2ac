//! Names in Google's own grammar: providers of identity pools, service accounts.

use std::fmt;
use std::str::FromStr;

use skybru_core::text_type;

/// Why a text is not such a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoogleNameError {
    /// Not a provider (G-1).
    #[error(
        "{0:?} is not a provider: expected projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER, or \
         locations/global/workforcePools/POOL/providers/PROVIDER"
    )]
    Provider(String),
    /// The project's id where its number belongs (D-40).
    #[error(
        "{0:?} has the project's id: expected its number, which `gcloud projects describe {0} --format='value(projectNumber)'` prints (D-40)"
    )]
    ProjectId(String),
    /// Not a service account's address.
    #[error("{0:?} is not a service account: expected NAME@PROJECT.iam.gserviceaccount.com")]
    ServiceAccount(String),
}

fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

/// What STS's `audience` names a provider with (G-1).
const PREFIX: &str = "//iam.googleapis.com/";

/// A provider of a workload or workforce identity pool, without the `//iam.googleapis.com/` that its audience begins with.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProviderName(Box<str>);

/// A service account's address.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServiceAccount(Box<str>);

impl ProviderName {
    /// The name, as `gcloud` prints it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// STS's `audience` (G-1).
    pub fn audience(&self) -> String {
        format!("{PREFIX}{}", self.0)
    }

    /// The pool: everything before `/providers/`.
    pub fn pool(&self) -> &str {
        self.0.split("/providers/").next().unwrap_or_default()
    }

    /// Whether it belongs to a workforce pool: people, not machines.
    pub fn is_workforce(&self) -> bool {
        self.0.starts_with("locations/")
    }

    /// The number of the project, which workforce pools lack.
    pub fn project_number(&self) -> Option<&str> {
        self.0.strip_prefix("projects/")?.split('/').next()
    }
}

impl FromStr for ProviderName {
    type Err = GoogleNameError;

    /// Takes the audience too, with its prefix.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || GoogleNameError::Provider(shown(text));
        let name = text.strip_prefix("https:").unwrap_or(text);
        let name = name.strip_prefix(PREFIX).unwrap_or(name);
        let parts: Vec<&str> = name.split('/').collect();
        let (pool, provider) = match parts[..] {
            ["projects", project, "locations", "global", "workloadIdentityPools", pool, "providers", provider] => {
                if !is_id(project) {
                    return Err(wrong());
                }
                if !project.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(GoogleNameError::ProjectId(shown(project)));
                }
                (pool, provider)
            }
            ["locations", "global", "workforcePools", pool, "providers", provider] => (pool, provider),
            _ => return Err(wrong()),
        };
        if is_id(pool) && is_id(provider) { Ok(Self(name.into())) } else { Err(wrong()) }
    }
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl FromStr for ServiceAccount {
    type Err = GoogleNameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let part =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        match text.split_once('@') {
            Some((name, domain)) if part(name) && part(domain) && domain.ends_with(".gserviceaccount.com") => {
                Ok(Self(text.into()))
            }
            _ => Err(GoogleNameError::ServiceAccount(shown(text))),
        }
    }
}

impl ServiceAccount {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of its project.
    pub fn project_id(&self) -> Option<&str> {
        self.0.split_once('@')?.1.strip_suffix(".iam.gserviceaccount.com")
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_type!(ProviderName, ServiceAccount);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WORKLOAD: &str = "projects/123456/locations/global/workloadIdentityPools/skyporten/providers/skyporten-test";

    /// G-1.
    #[test]
    fn g_1_a_provider_is_read_with_and_without_the_audiences_prefix() {
        for text in [WORKLOAD, &format!("//iam.googleapis.com/{WORKLOAD}"), &format!("https://iam.googleapis.com/{WORKLOAD}")] {
            let provider: ProviderName = text.parse().unwrap();
            assert_eq!(provider.as_str(), WORKLOAD);
            assert_eq!(provider.audience(), format!("//iam.googleapis.com/{WORKLOAD}"));
            assert_eq!(provider.pool(), "projects/123456/locations/global/workloadIdentityPools/skyporten");
            assert_eq!(provider.project_number(), Some("123456"));
            assert!(!provider.is_workforce());
        }
        assert!("locations/global/workforcePools/acme/providers/ansattporten".parse::<ProviderName>().unwrap().is_workforce());
    }

    #[test]
    fn d_40_a_projects_id_is_told_from_its_number() {
        let error = WORKLOAD.replace("123456", "my-project").parse::<ProviderName>().unwrap_err();
        assert_eq!(error, GoogleNameError::ProjectId("my-project".to_owned()));
        for text in
            ["", "projects/1", &WORKLOAD.replace("global", "europe-north1"), &format!("{WORKLOAD}/x"), "projects//locations"]
        {
            assert!(matches!(text.parse::<ProviderName>(), Err(GoogleNameError::Provider(_))), "{text}");
        }
    }

    #[test]
    fn a_service_account_is_an_address_of_googles() {
        let account: ServiceAccount = "reader@fjordbuss-data.iam.gserviceaccount.com".parse().unwrap();
        assert_eq!(account.project_id(), Some("fjordbuss-data"));
        for text in ["", "reader", "reader@example.no", "a/b@x.iam.gserviceaccount.com", "a@x/../y.iam.gserviceaccount.com"] {
            assert!(text.parse::<ServiceAccount>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_an_error(text in ".*") {
            let _ = text.parse::<ServiceAccount>();
            if let Ok(provider) = text.parse::<ProviderName>() {
                prop_assert_eq!(provider.as_str().parse::<ProviderName>().unwrap(), provider);
            }
        }
    }
}
