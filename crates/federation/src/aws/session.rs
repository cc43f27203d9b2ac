//! What a token may say about the session: tags, source identity, roles; and how long the session lives.

use serde_json::{Map, Value};

use super::AwsError;

const TAGS: &str = "https://aws.amazon.com/tags";
const SOURCE_IDENTITY: &str = "https://aws.amazon.com/source_identity";
const ROLES: &str = "https://aws.amazon.com/roles";

/// What the token asks for beside the role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionClaims {
    /// Key and value.
    pub tags: Vec<(String, String)>,
    /// Keys of tags that go on to further roles.
    pub transitive: Vec<String>,
    /// A name that stays with the session.
    pub source_identity: Option<String>,
    /// Whether the issuer named the role itself.
    pub role_authorized: Option<bool>,
}

impl SessionClaims {
    /// Whether the trust policy must allow `sts:TagSession` too.
    pub fn has_tags(&self) -> bool {
        !self.tags.is_empty() || !self.transitive.is_empty()
    }

    /// Reads the claims; `role` is the ARN asked for.
    pub fn read(claims: &Map<String, Value>, role: &str) -> Result<Self, AwsError> {
        let mut session = Self::default();
        match claims.get(TAGS) {
            None => {}
            Some(Value::Object(nested)) => {
                let tags = match nested.get("principal_tags") {
                    None => None,
                    Some(tags) => Some(tags.as_object().ok_or_else(wrong_tags)?),
                };
                for (key, value) in tags.into_iter().flatten() {
                    match value.as_array().map(Vec::as_slice) {
                        Some([Value::String(value)]) => session.tags.push((key.clone(), value.clone())),
                        _ => return Err(wrong_tags()),
                    }
                }
                session.transitive = names(nested.get("transitive_tag_keys"))?;
            }
            Some(_) => return Err(wrong_tags()),
        }
        for (name, value) in claims {
            let Some(rest) = name.strip_prefix(TAGS).and_then(|rest| rest.strip_prefix('/')) else { continue };
            if let Some(key) = rest.strip_prefix("principal_tags/") {
                session.tags.push((key.to_owned(), value.as_str().ok_or_else(wrong_tags)?.to_owned()));
            } else if rest == "transitive_tag_keys" {
                session.transitive = names(Some(value))?;
            }
        }
        check_tags(&session)?;
        session.source_identity = source_identity(claims)?;
        session.role_authorized = roles(claims, role)?;
        Ok(session)
    }
}

fn wrong_tags() -> AwsError {
    AwsError::identity("A-75", "principal_tags passed in claim is not in correct format.")
}

fn names(value: Option<&Value>) -> Result<Vec<String>, AwsError> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(values)) => values.iter().map(|v| v.as_str().map(str::to_owned).ok_or_else(wrong_tags)).collect(),
        Some(_) => Err(wrong_tags()),
    }
}

/// A semicolon or a comma is not legal, so a Skyporten subject cannot be a tag's value; a scope can.
fn check_tags(session: &SessionClaims) -> Result<(), AwsError> {
    // Of what Unicode calls white space, the line ends and tabs are no separators (\p{Z}).
    let legal = |c: char| {
        c.is_alphanumeric()
            || (c.is_whitespace() && !c.is_control())
            || matches!(c, '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@')
    };
    for (place, (key, value)) in session.tags.iter().enumerate() {
        let key_fits = !key.is_empty() && key.chars().count() <= 128 && key.chars().all(legal);
        let value_fits = value.chars().count() <= 256 && value.chars().all(legal);
        let repeated = session.tags[..place].iter().any(|(other, _)| other.eq_ignore_ascii_case(key));
        if !key_fits || !value_fits || repeated || key.to_lowercase().starts_with("aws:") || place >= 50 {
            return Err(wrong_tags());
        }
    }
    Ok(())
}

///
fn source_identity(claims: &Map<String, Value>) -> Result<Option<String>, AwsError> {
    match claims.get(SOURCE_IDENTITY) {
        None => Ok(None),
        Some(Value::String(text)) if is_session_name(text) => Ok(Some(text.clone())),
        // The text is unconfirmed.
        Some(_) => Err(AwsError::identity("A-77", "source_identity passed in claim is not in correct format.")),
    }
}

/// an array, or a text with semicolons, of exact ARNs.
fn roles(claims: &Map<String, Value>, role: &str) -> Result<Option<bool>, AwsError> {
    let listed: Vec<&str> = match claims.get(ROLES) {
        None => return Ok(None),
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(text)) => text.split(';').map(str::trim).collect(),
        Some(_) => Vec::new(),
    };
    if listed.contains(&role) {
        return Ok(Some(true));
    }
    // The text is unconfirmed.
    Err(AwsError::identity("A-77", "The requested role is not among the roles in the token."))
}

/// 2 to 64 characters of `[\w+=,.@-]`.
pub fn is_session_name(text: &str) -> bool {
    (2..=64).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '=' | ',' | '.' | '@' | '-'))
}
