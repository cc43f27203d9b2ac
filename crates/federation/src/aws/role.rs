//! Roles in IAM.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::policy::{Document, Principals};
use super::provider::{Tag, with_tags};
use super::{AwsError, policy};

/// What `CreateRole` is given.
#[derive(Debug, Clone, Default)]
pub struct RoleInput {
    /// 1 to 64 characters of `[\w+=,.@-]`.
    pub name: String,
    /// `/` when absent.
    pub path: Option<String>,
    /// The trust policy as JSON text.
    pub trust_policy: String,
    /// For people.
    pub description: Option<String>,
    /// 3600 to 43200 seconds; 3600 when absent.
    pub max_session_duration: Option<u32>,
    /// Tags.
    pub tags: Vec<Tag>,
}

/// A role as IAM keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// `AROA…`.
    pub id: String,
    /// `arn:aws:iam::ACCOUNT:role/PATH/NAME`.
    pub arn: String,
    /// Begins and ends with a slash.
    pub path: String,
    /// The trust policy as JSON text, as it came in.
    pub trust_policy: String,
    /// For people.
    pub description: Option<String>,
    /// Seconds.
    pub max_session_duration: u32,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Inline policies by name, as JSON text.
    pub inline_policies: BTreeMap<String, String>,
    /// ARNs of attached managed policies.
    pub attached_policies: Vec<String>,
    /// Seconds since 1970.
    pub created: i64,
}

/// A-15.
const MAX_TRUST_POLICY: usize = 2048;

impl Role {
    /// Checks the input of `CreateRole` and makes the role.
    ///
    /// `id` is the `AROA…` that it gets; `provider_exists` tells whether an ARN is that of a provider (A-18).
    pub fn create(
        account: &str,
        id: String,
        input: RoleInput,
        now: i64,
        provider_exists: impl Fn(&str) -> bool,
    ) -> Result<Self, AwsError> {
        check_name("roleName", &input.name, 64)?;
        let path = input.path.unwrap_or_else(|| "/".to_owned());
        if !path.starts_with('/') || !path.ends_with('/') || path.len() > 512 {
            return Err(AwsError::constraint(
                "path",
                Some(&path),
                "satisfy regular expression pattern: (\\u002F)|(\\u002F[\\u0021-\\u007E]+\\u002F)",
            ));
        }
        check_trust_policy(&input.trust_policy, provider_exists)?;
        let max_session_duration = input.max_session_duration.unwrap_or(3600);
        check_max_session_duration(max_session_duration)?;
        Ok(Self {
            arn: format!("arn:aws:iam::{account}:role{path}{}", input.name),
            name: input.name,
            id,
            path,
            trust_policy: input.trust_policy,
            description: input.description,
            max_session_duration,
            tags: with_tags(&[], input.tags)?,
            inline_policies: BTreeMap::new(),
            attached_policies: Vec::new(),
            created: now,
        })
    }

    /// Replaces the trust policy.
    pub fn set_trust_policy(&mut self, text: String, provider_exists: impl Fn(&str) -> bool) -> Result<(), AwsError> {
        check_trust_policy(&text, provider_exists)?;
        self.trust_policy = text;
        Ok(())
    }

    /// Changes the longest session.
    pub fn set_max_session_duration(&mut self, seconds: u32) -> Result<(), AwsError> {
        check_max_session_duration(seconds)?;
        self.max_session_duration = seconds;
        Ok(())
    }

    /// Adds or replaces an inline policy.
    pub fn put_policy(&mut self, name: &str, text: String) -> Result<(), AwsError> {
        check_name("policyName", name, 128)?;
        policy::check_identity_policy(&text)?;
        self.inline_policies.insert(name.to_owned(), text);
        Ok(())
    }

    /// Adds tags, replacing those of the same key.
    pub fn tag(&mut self, tags: Vec<Tag>) -> Result<(), AwsError> {
        self.tags = with_tags(&self.tags, tags)?;
        Ok(())
    }

    /// The role of this name is not there.
    pub fn not_found(name: &str) -> AwsError {
        AwsError::no_such_entity("A-62", format!("The role with name {name} cannot be found."))
    }

    /// The trust policy, parsed. It was checked when it came in.
    pub fn trust(&self) -> Result<Document, AwsError> {
        Document::parse(&self.trust_policy)
    }
}

/// Names in IAM.
pub(crate) fn check_name(parameter: &'static str, name: &str, longest: usize) -> Result<(), AwsError> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '=' | ',' | '.' | '@' | '-');
    if name.is_empty() || name.len() > longest {
        return Err(AwsError::constraint(parameter, Some(name), &format!("have length between 1 and {longest}")));
    }
    if !name.chars().all(fine) {
        return Err(AwsError::constraint(parameter, Some(name), "satisfy regular expression pattern: [\\w+=,.@-]+"));
    }
    Ok(())
}

fn check_max_session_duration(seconds: u32) -> Result<(), AwsError> {
    let constraint = match seconds {
        0..3600 => "have value greater than or equal to 3600",
        3600..=43200 => return Ok(()),
        _ => "have value less than or equal to 43200",
    };
    Err(AwsError::constraint("maxSessionDuration", Some(&seconds.to_string()), constraint))
}

/// A-15, A-18: its size, its shape, and that each federated principal is there.
fn check_trust_policy(text: &str, provider_exists: impl Fn(&str) -> bool) -> Result<(), AwsError> {
    if text.chars().filter(|c| !c.is_whitespace()).count() > MAX_TRUST_POLICY {
        return Err(AwsError::new(
            "A-15",
            "LimitExceeded",
            409,
            format!("Cannot exceed quota for ACLSizePerRole: {MAX_TRUST_POLICY}"),
        ));
    }
    let document = Document::parse(text)?;
    for statement in document.statements() {
        let Some(principals) = statement.principal() else {
            return Err(AwsError::malformed_policy("Missing required field Principal"));
        };
        if statement.has_resource() {
            return Err(AwsError::malformed_policy("Has prohibited field Resource"));
        }
        let foreign = |action: &String| action != "*" && !action.to_lowercase().starts_with("sts:");
        if statement.actions().is_some_and(|actions| actions.iter().any(foreign)) {
            return Err(AwsError::malformed_policy("AssumeRole policy may only specify STS AssumeRole actions."));
        }
        if let Principals::Listed(listed) = principals {
            for arn in listed.get("Federated").into_iter().flatten() {
                let well_known = !arn.starts_with("arn:");
                if !well_known && !provider_exists(arn) {
                    let message = format!("Invalid principal in policy: \"FEDERATED\":\"{arn}\"");
                    return Err(AwsError::new("A-18", "MalformedPolicyDocument", 400, message));
                }
            }
        }
    }
    Ok(())
}

/// The account in an ARN.
pub fn account_of_arn(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROVIDER: &str = "arn:aws:iam::123456789012:oidc-provider/sky.example.no";

    fn create(change: impl FnOnce(&mut RoleInput)) -> Result<Role, AwsError> {
        let trust_policy = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{{"Federated":"{PROVIDER}"}},"Action":"sts:AssumeRoleWithWebIdentity"}}}}"#
        );
        let mut input = RoleInput { name: "skyporten-role".to_owned(), trust_policy, ..RoleInput::default() };
        change(&mut input);
        Role::create("123456789012", "AROAX".to_owned(), input, 0, |arn| arn == PROVIDER)
    }

    #[test]
    fn a_role_has_an_arn_of_account_path_and_name() {
        assert_eq!(create(|_| ()).unwrap().arn, "arn:aws:iam::123456789012:role/skyporten-role");
        assert_eq!(create(|i| i.path = Some("/a/b/".into())).unwrap().arn, "arn:aws:iam::123456789012:role/a/b/skyporten-role");
        assert_eq!(account_of_arn(&create(|_| ()).unwrap().arn), Some("123456789012"));
    }

    /// A-18.
    #[test]
    fn the_provider_must_be_there_first() {
        let error = create(|i| i.trust_policy = i.trust_policy.replace("sky.example", "sky.other")).unwrap_err();
        assert_eq!(error.code, "MalformedPolicyDocument");
        assert_eq!(
            error.message,
            r#"Invalid principal in policy: "FEDERATED":"arn:aws:iam::123456789012:oidc-provider/sky.other.no""#
        );
    }

    /// A-15.
    #[test]
    fn sizes_and_durations_have_limits() {
        let long =
            |i: &mut RoleInput| i.trust_policy = i.trust_policy.replace("sts:Assume", &format!("{}Assume", "x".repeat(2048)));
        assert_eq!(create(long).unwrap_err().code, "LimitExceeded");
        assert!(create(|i| i.max_session_duration = Some(43200)).is_ok());
        for wrong in [3599, 43201] {
            assert_eq!(create(|i| i.max_session_duration = Some(wrong)).unwrap_err().code, "ValidationError");
        }
        assert_eq!(create(|i| i.name = "a b".into()).unwrap_err().code, "ValidationError");
    }
}
