//! Names in Microsoft's own grammar: ids of directories and identities, storage accounts, resources.

use std::fmt;
use std::str::FromStr;

use skybru_core::text_type;

/// Why a text is not such a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AzureNameError {
    /// Not a GUID.
    #[error("{0:?} is not an id: expected one like 8a6f1b1e-0c2d-4f63-9a53-7c5d2f1e0b11")]
    Id(String),
    /// Not a storage account.
    #[error("{0:?} is not a storage account: expected 3 to 24 lower-case letters and digits, without .blob.core.windows.net")]
    Account(String),
    /// Not a resource.
    #[error("{0:?} is not a resource: expected an address such as https://storage.azure.com, or with /.default behind it (D-72)")]
    Resource(String),
}

fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

/// A GUID in lower case: a directory's, or an identity's.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EntraId(Box<str>);

/// The name of a storage account.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StorageAccount(Box<str>);

/// What an access token is for: the address of an API, without `/.default` and without a slash at its end.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource(Box<str>);

impl Resource {
    /// Blobs, files and Data Lake (E-13).
    pub fn storage() -> Self {
        Self("https://storage.azure.com".into())
    }

    /// Azure Resource Manager (E-13).
    pub fn management() -> Self {
        Self("https://management.azure.com".into())
    }

    /// The scope that asks for everything the identity may do there.
    pub fn scope(&self) -> String {
        format!("{}/.default", self.0)
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EntraId {
    type Err = AzureNameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let groups: Vec<&str> = text.split('-').collect();
        let fits = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
            && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if fits { Ok(Self(text.to_ascii_lowercase().into())) } else { Err(AzureNameError::Id(shown(text))) }
    }
}

impl FromStr for StorageAccount {
    type Err = AzureNameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (3..=24).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if fits { Ok(Self(text.into())) } else { Err(AzureNameError::Account(shown(text))) }
    }
}

impl FromStr for Resource {
    type Err = AzureNameError;

    /// Takes a scope too: `/.default` and slashes at the end are taken off, as `https://management.core.windows.net//.default` needs.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let resource = text.strip_suffix("/.default").unwrap_or(text).trim_end_matches('/');
        let fits = (resource.starts_with("https://") || resource.starts_with("api://"))
            && resource.len() <= 300
            && resource.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(resource.into())) } else { Err(AzureNameError::Resource(shown(text))) }
    }
}

impl fmt::Display for EntraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for StorageAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_type!(EntraId, StorageAccount, Resource);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_is_a_guid_in_any_case() {
        let id: EntraId = "8A6F1B1E-0c2d-4f63-9a53-7c5d2f1e0b11".parse().unwrap();
        assert_eq!(id.to_string(), "8a6f1b1e-0c2d-4f63-9a53-7c5d2f1e0b11");
        for text in ["", "contoso.onmicrosoft.com", "8a6f1b1e0c2d4f639a537c5d2f1e0b11", "{8a6f1b1e-0c2d-4f63-9a53-7c5d2f1e0b11}"]
        {
            assert!(text.parse::<EntraId>().is_err(), "{text}");
        }
    }

    /// E-13: what az, azure-identity and managed-identity callers say for the same thing.
    #[test]
    fn e_13_a_resource_is_the_same_with_default_and_slashes() {
        for (text, resource) in [
            ("https://storage.azure.com/.default", "https://storage.azure.com"),
            ("https://storage.azure.com/", "https://storage.azure.com"),
            ("https://storage.azure.com", "https://storage.azure.com"),
            ("https://management.core.windows.net//.default", "https://management.core.windows.net"),
        ] {
            assert_eq!(text.parse::<Resource>().unwrap().as_str(), resource);
        }
        assert_eq!(Resource::storage().scope(), "https://storage.azure.com/.default");
        for text in ["", "storage", "http://storage.azure.com", "https://a b", "https://a\n"] {
            assert!(text.parse::<Resource>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_account_is_a_name_and_no_address() {
        assert!("skyportenstorage".parse::<StorageAccount>().is_ok());
        for text in ["", "ab", "Skyporten", "skyporten-storage", "skyporten.blob.core.windows.net", "https://a"] {
            assert!(text.parse::<StorageAccount>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_an_error(text in ".*") {
            let _ = (text.parse::<EntraId>(), text.parse::<StorageAccount>());
            if let Ok(resource) = text.parse::<Resource>() {
                prop_assert!(resource.scope().ends_with("/.default"));
            }
        }
    }
}
