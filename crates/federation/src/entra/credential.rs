//! Federated identity credentials: what Azure stores, and what it refuses to store (E-1, E-2, E-5, E-9).

use serde::{Deserialize, Serialize};

use crate::azure::AzureError;

/// E-1: so many on one object.
pub const MOST_CREDENTIALS: usize = 20;

/// E-2: issuer, subject, audience and description are no longer than this.
const LONGEST: usize = 600;

/// What a credential asks of the subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Matching {
    /// Exactly this (E-3).
    Subject(String),
    /// A flexible credential's expression (E-6). Entra takes it for the tokens of three issuers only.
    Expression(String),
}

/// A record that trusts one issuer, one subject and one audience.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FederatedCredential {
    /// Its name; it cannot be changed.
    pub name: String,
    /// Compared byte for byte with the token's `iss`.
    pub issuer: String,
    /// Compared with the token's `sub`.
    pub matching: Matching,
    /// Compared byte for byte with the token's `aud`.
    pub audience: String,
    /// For people.
    pub description: Option<String>,
    /// Seconds since 1970: Entra does not know it for some minutes after (E-8).
    pub created: i64,
}

/// What a call to make a credential says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialInput {
    /// The last part of the path at Resource Manager, a member at Graph.
    pub name: String,
    /// `issuer`.
    pub issuer: Option<String>,
    /// `subject`.
    pub subject: Option<String>,
    /// `audiences`.
    pub audiences: Vec<String>,
    /// `description`.
    pub description: Option<String>,
    /// `claimsMatchingExpression.value`.
    pub expression: Option<String>,
}

impl FederatedCredential {
    /// What Azure stores. One of `existing` with the same name is replaced, so it does not stand in the way.
    ///
    /// Nothing else is looked at (E-5): an issuer without `https://` is stored, and fails only when a token comes.
    pub fn create(input: CredentialInput, existing: &[Self], kind: IdentityKind, now: i64) -> Result<Self, AzureError> {
        let CredentialInput { name, issuer, subject, audiences, description, expression } = input;
        if !is_name(&name) {
            let text = format!("Federated Identity Credential name '{name}' is invalid.");
            return Err(AzureError::bad_request("E-9", text));
        }
        let empty = || AzureError::bad_request("E-9", "Federated Identity Credential from HTTP body has empty properties");
        let issuer = issuer.filter(|issuer| !issuer.is_empty()).ok_or_else(empty)?;
        let matching = match (subject.filter(|subject| !subject.is_empty()), expression) {
            (Some(subject), None) => Matching::Subject(subject),
            (None, Some(expression)) if kind == IdentityKind::Application => Matching::Expression(expression),
            (None, Some(_)) => {
                // E-6. The text is unconfirmed.
                let text =
                    "Claims matching expressions are not supported for federated identity credentials of managed identities.";
                return Err(AzureError::bad_request("E-6", text));
            }
            _ => return Err(empty()),
        };
        let [audience] = audiences.as_slice() else {
            return Err(AzureError::bad_request("E-9", "Federated identity credentials must have exactly one audience."));
        };
        let subject = match &matching {
            Matching::Subject(text) | Matching::Expression(text) => text,
        };
        let lengths = [("issuer", &issuer), ("subject", subject), ("audience", audience)];
        let described = description.iter().map(|text| ("description", text));
        if let Some((member, _)) = lengths.into_iter().chain(described).find(|(_, text)| text.chars().count() > LONGEST) {
            // The limit is documented, the text is not.
            let text = format!("Federated Identity Credential property '{member}' is longer than {LONGEST} characters.");
            return Err(AzureError::bad_request("E-2", text));
        }
        let others = existing.iter().filter(|other| !other.name.eq_ignore_ascii_case(&name));
        if others.clone().any(|other| other.issuer == issuer && other.matching == matching) {
            let text = "Issuer and subject combination already exists for this Managed Identity.";
            return Err(AzureError::bad_request("E-9", text));
        }
        if others.count() >= MOST_CREDENTIALS {
            // The limit is documented, the text is not (D-67).
            let text = format!("The limit of {MOST_CREDENTIALS} federated identity credentials for this identity is reached.");
            return Err(AzureError::bad_request("E-1", text));
        }
        Ok(Self { name, issuer, matching, audience: audience.clone(), description, created: now })
    }

    /// The subject, unless an expression stands in its place.
    pub fn subject(&self) -> Option<&str> {
        match &self.matching {
            Matching::Subject(subject) => Some(subject),
            Matching::Expression(_) => None,
        }
    }
}

/// E-2: 3 to 120 of letters, digits, dash and underscore, a letter or digit first.
fn is_name(name: &str) -> bool {
    (3..=120).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
}

/// What a token can be had for (E-1). System-assigned identities can have no credentials and are not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IdentityKind {
    /// An app registration and its service principal.
    Application,
    /// A user-assigned managed identity.
    ManagedIdentity,
}

impl IdentityKind {
    /// How long an access token lives (E-12).
    pub fn token_lifetime_seconds(self) -> u32 {
        match self {
            Self::Application => 3599,
            Self::ManagedIdentity => 86399,
        }
    }
}

/// An application or a managed identity, with what it trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Which of the two it is.
    pub kind: IdentityKind,
    /// Its name, as it stands in E-35.
    pub name: String,
    /// What a token request names (E-11).
    pub client_id: String,
    /// What role assignments and ACLs name (E-11).
    pub principal_id: String,
    /// What it trusts.
    pub credentials: Vec<FederatedCredential>,
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// Its name for people, as it stands in E-37.
    pub name: String,
    /// Names that stand for the id in URLs, such as `fjordbuss.onmicrosoft.com`.
    pub domains: Vec<String>,
}

impl Tenant {
    /// Whether a URL's first part means this directory.
    pub fn is_called(&self, given: &str) -> bool {
        given.eq_ignore_ascii_case(&self.id) || self.domains.iter().any(|domain| given.eq_ignore_ascii_case(domain))
    }
}
