//! Names of pools and providers (G-1).

use std::fmt;

use super::StsError;

/// What stands before every name that STS and IAM exchange.
pub const RESOURCE_HOST: &str = "//iam.googleapis.com/";

/// A pool: for programs, in a project; or for people, in an organisation.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PoolName {
    /// `projects/NUMBER/locations/global/workloadIdentityPools/POOL`.
    Workload {
        /// The project's number; its id is not taken (G-33).
        project_number: String,
        /// The pool.
        pool: String,
    },
    /// `locations/global/workforcePools/POOL`.
    Workforce {
        /// The pool.
        pool: String,
    },
}

/// A provider in a pool.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderName {
    /// The pool.
    pub pool: PoolName,
    /// The provider's own id.
    pub provider: String,
}

/// A text that is no name of a pool or a provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the name of a pool or a provider; expected projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER"
)]
pub struct NameError(String);

impl PoolName {
    fn read(parts: &[&str]) -> Option<Self> {
        let full = |part: &&str| !part.is_empty();
        match parts {
            ["projects", project, "locations", "global", "workloadIdentityPools", pool] if full(project) && full(pool) => {
                Some(Self::Workload { project_number: (*project).to_owned(), pool: (*pool).to_owned() })
            }
            ["locations", "global", "workforcePools", pool] if full(pool) => Some(Self::Workforce { pool: (*pool).to_owned() }),
            _ => None,
        }
    }

    /// The pool's own id.
    pub fn id(&self) -> &str {
        match self {
            Self::Workload { pool, .. } | Self::Workforce { pool } => pool,
        }
    }

    /// Whether it is for people.
    pub fn is_workforce(&self) -> bool {
        matches!(self, Self::Workforce { .. })
    }

    /// Whether the project stands there by number, as it must (G-33).
    pub fn has_project_number(&self) -> bool {
        match self {
            Self::Workload { project_number, .. } => project_number.bytes().all(|byte| byte.is_ascii_digit()),
            Self::Workforce { .. } => true,
        }
    }

    /// The provider of this id in it.
    #[must_use]
    pub fn provider(&self, provider: &str) -> ProviderName {
        ProviderName { pool: self.clone(), provider: provider.to_owned() }
    }
}

impl ProviderName {
    /// What a token exchange must give as `audience` (G-1).
    pub fn audience(&self) -> String {
        format!("{RESOURCE_HOST}{self}")
    }

    /// The audiences that a token may have when the provider names none (G-3).
    pub fn default_audiences(&self) -> [String; 2] {
        [self.audience(), format!("https:{}", self.audience())]
    }

    /// Reads `audience` of a token exchange.
    ///
    /// # Errors
    /// G-34 for what is no name, G-33 for a name with the project's id instead of its number.
    pub fn from_audience(audience: &str) -> Result<Self, StsError> {
        let name: Option<Self> = audience.strip_prefix(RESOURCE_HOST).and_then(|name| name.parse().ok());
        let name = name.ok_or_else(|| {
            StsError::new(
                "G-34",
                "invalid_request",
                "Invalid value for \"audience\". This value should be the full resource name of the Identity Provider. See \
                 https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token for the list of possible formats.",
            )
        })?;
        if name.pool.has_project_number() { Ok(name) } else { Err(Self::unknown()) }
    }

    /// G-33: said of everything that is not there, or not in use.
    pub fn unknown() -> StsError {
        StsError::new(
            "G-33",
            "invalid_target",
            "The target service indicated by the \"audience\" parameters is invalid. This might either be because the pool or provider \
             is disabled or deleted or because it doesn't exist.",
        )
    }
}

impl std::str::FromStr for PoolName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        Self::read(&parts).ok_or_else(|| NameError(text.chars().take(200).collect()))
    }
}

impl std::str::FromStr for ProviderName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        let name = match parts.as_slice() {
            [pool @ .., "providers", provider] if !provider.is_empty() => {
                PoolName::read(pool).map(|pool| pool.provider(provider))
            }
            _ => None,
        };
        name.ok_or_else(|| NameError(text.chars().take(200).collect()))
    }
}

impl fmt::Display for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workload { project_number, pool } => {
                write!(f, "projects/{project_number}/locations/global/workloadIdentityPools/{pool}")
            }
            Self::Workforce { pool } => write!(f, "locations/global/workforcePools/{pool}"),
        }
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/providers/{}", self.pool, self.provider)
    }
}

skybru_core::text_type!(PoolName, ProviderName);
