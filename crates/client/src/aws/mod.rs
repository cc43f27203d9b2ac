//! AWS: a token becomes short-lived credentials of a role.

mod credentials;
mod error;
mod exchange;
mod names;

use jiff::Timestamp;
use skybru_core::Secret;

pub use credentials::{AwsCredentialError, AwsCredentialSource};
pub use error::ExchangeError;
pub use exchange::{AwsExchange, DEFAULT_DURATION_SECONDS};
pub use names::{NameError, Region, RoleArn, SessionName};

/// A role to be assumed, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsTarget {
    /// The role.
    pub role: RoleArn,
    /// The region of the resource, and of the STS endpoint that is asked.
    pub region: Region,
    /// Another endpoint than AWS's own, for STS as for S3: the lab's.
    pub endpoint: Option<String>,
    /// The name of the session in the provider's logs; by default the consumer's organisation number.
    pub session_name: Option<SessionName>,
    /// How long the credentials shall live, 900 to 43200 seconds; default one hour.
    pub duration_seconds: Option<u32>,
}

impl AwsTarget {
    /// This role in this region, everything else by default.
    pub fn new(role: RoleArn, region: Region) -> Self {
        Self { role, region, endpoint: None, session_name: None, duration_seconds: None }
    }
}

/// Short-lived credentials of an assumed role.
#[derive(Debug, Clone)]
pub struct AwsCredentials {
    /// Names the credentials; not secret.
    pub access_key_id: String,
    /// Signs requests.
    pub secret_access_key: Secret,
    /// Must accompany the other two.
    pub session_token: Secret,
    /// When they end.
    pub expiration: Timestamp,
    /// Who one is with them: `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    pub assumed_role_arn: String,
    /// The account of the role.
    pub account_id: String,
    /// The `sub` that AWS read in the token.
    pub subject: Option<String>,
    /// The identity provider that AWS took it for: an ARN.
    pub provider: Option<String>,
}
