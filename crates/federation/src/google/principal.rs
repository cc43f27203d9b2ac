//! Who calls, and which members of a policy that is (G-14).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::names::PoolName;

const HOST: &str = "iam.googleapis.com/";

/// Somebody from outside, as a pool knows them after an exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederatedIdentity {
    /// The pool.
    pub pool: PoolName,
    /// `google.subject`.
    pub subject: String,
    /// `google.groups`.
    #[serde(default)]
    pub groups: Vec<String>,
    /// `attribute.NAME`, by NAME.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// Who calls an API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Caller {
    /// With a federated access token.
    Federated(FederatedIdentity),
    /// With a service account's access token.
    ServiceAccount {
        /// The account's address.
        email: String,
    },
    /// A person with a Google account.
    User {
        /// The address.
        email: String,
    },
    /// Without a token.
    Anonymous,
}

impl FederatedIdentity {
    /// The single principal, as it stands in policies and in the answer of introspection (G-14, G-62).
    pub fn principal(&self) -> String {
        format!("principal://{HOST}{}/subject/{}", self.pool, self.subject)
    }

    /// Every member text that would let it in: itself, its groups, its attributes, the whole pool.
    pub fn members(&self) -> Vec<String> {
        let set = |rest: String| format!("principalSet://{HOST}{}/{rest}", self.pool);
        let mut members = vec![self.principal()];
        members.extend(self.groups.iter().map(|group| set(format!("group/{group}"))));
        members.extend(self.attributes.iter().map(|(name, value)| set(format!("attribute.{name}/{value}"))));
        members.push(set("*".to_owned()));
        members
    }
}

impl Caller {
    /// Whether a member of a policy is this caller, or a set that this caller belongs to.
    pub fn is_member(&self, member: &str) -> bool {
        match self {
            _ if member == "allUsers" => true,
            Self::Federated(identity) => identity.members().iter().any(|one| one == member),
            // Google's own documentation leaves federated callers out of this set.
            Self::ServiceAccount { .. } | Self::User { .. } if member == "allAuthenticatedUsers" => true,
            Self::ServiceAccount { email } => {
                member.strip_prefix("serviceAccount:").is_some_and(|name| same_address(name, email))
            }
            Self::User { email } => member.strip_prefix("user:").is_some_and(|name| same_address(name, email)),
            Self::Anonymous => false,
        }
    }

    /// How an error names it: an address where there is one.
    pub fn address(&self) -> Option<&str> {
        match self {
            Self::ServiceAccount { email } | Self::User { email } => Some(email),
            Self::Federated(_) | Self::Anonymous => None,
        }
    }
}

fn same_address(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// A member that names somebody in a pool (G-14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolMember {
    /// The pool.
    pub pool: PoolName,
    /// Who in it.
    pub who: PoolPart,
    /// Whether it is written as `principal`, not `principalSet`.
    pub single: bool,
}

/// A part of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PoolPart {
    /// `subject/VALUE`.
    Subject(String),
    /// `group/VALUE`.
    Group(String),
    /// `attribute.NAME/VALUE`.
    Attribute {
        /// NAME.
        name: String,
        /// VALUE.
        value: String,
    },
    /// `*`: whoever the provider lets in.
    Everyone,
}

impl PoolMember {
    /// Reads `principal://…` and `principalSet://…`; `None` for members of another kind.
    pub fn parse(member: &str) -> Option<Self> {
        let (single, rest) = match member.strip_prefix("principal://") {
            Some(rest) => (true, rest),
            None => (false, member.strip_prefix("principalSet://")?),
        };
        let rest = rest.strip_prefix(HOST)?;
        let parts = if rest.starts_with("projects/") { 6 } else { 4 };
        let end = rest.match_indices('/').nth(parts - 1).map(|(place, _)| place)?;
        let pool: PoolName = rest[..end].parse().ok()?;
        let who = match &rest[end + 1..] {
            "*" => PoolPart::Everyone,
            part => match part.split_once('/')? {
                ("subject", value) => PoolPart::Subject(value.to_owned()),
                ("group", value) => PoolPart::Group(value.to_owned()),
                (key, value) => {
                    let name = key.strip_prefix("attribute.")?;
                    PoolPart::Attribute { name: name.to_owned(), value: value.to_owned() }
                }
            },
        };
        Some(Self { pool, who, single })
    }

    /// Whether it can ever match: a subject is a principal, everything else a set. The other way round IAM refuses or ignores it.
    pub fn is_well_kinded(&self) -> bool {
        self.single == matches!(self.who, PoolPart::Subject(_))
    }

    /// The same with the right kind.
    #[must_use]
    pub fn well_kinded(&self) -> Self {
        Self { single: matches!(self.who, PoolPart::Subject(_)), ..self.clone() }
    }
}

impl fmt::Display for PoolMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.single { "principal" } else { "principalSet" };
        write!(f, "{kind}://{HOST}{}/", self.pool)?;
        match &self.who {
            PoolPart::Subject(value) => write!(f, "subject/{value}"),
            PoolPart::Group(value) => write!(f, "group/{value}"),
            PoolPart::Attribute { name, value } => write!(f, "attribute.{name}/{value}"),
            PoolPart::Everyone => f.write_str("*"),
        }
    }
}
