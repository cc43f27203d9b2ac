//! Which IAM actions an S3 operation needs, and whether a role's policies give them.

use std::collections::BTreeMap;

use super::AwsError;
use super::policy::{Context, Document, Effect, Outcome, Principals, Request, evaluate};

/// An S3 request, as far as permission depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    /// The API's name of it, such as `ListObjectsV2`.
    pub name: &'a str,
    /// The bucket, unless it is about all buckets.
    pub bucket: Option<&'a str>,
    /// The key, if it is about an object.
    pub key: Option<&'a str>,
    /// `bucket/key` that is copied from.
    pub copy_source: Option<&'a str>,
    /// `prefix` of a listing.
    pub prefix: Option<&'a str>,
    /// `delimiter` of a listing.
    pub delimiter: Option<&'a str>,
    /// `max-keys` of a listing.
    pub max_keys: Option<&'a str>,
}

/// One permission that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// Such as `s3:GetObject`.
    pub action: &'static str,
    /// The ARN.
    pub resource: String,
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Session<'a> {
    /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    pub arn: &'a str,
    /// Policies of the role, inline and attached.
    pub policies: &'a [Document],
    /// Policies given to the session; all of what they do not allow is refused.
    pub session_policies: &'a [Document],
    /// Policies of buckets, by bucket.
    pub bucket_policies: &'a BTreeMap<String, Document>,
    /// Tags of role and session, the session's last.
    pub tags: &'a [(String, String)],
    /// Keys that it carries from the token: the provider's `aud` and `sub`, the source identity (A-80).
    pub carried: &'a BTreeMap<String, Vec<String>>,
    /// The provider that vouched for it.
    pub provider: Option<&'a str>,
    /// Seconds since 1970.
    pub now: i64,
}

impl Operation<'_> {
    /// The permissions that the operation needs, all of them. `None`: an operation that nobody but the account itself may do here.
    pub fn needed(&self) -> Option<Vec<Needed>> {
        let object = |action| Some(vec![Needed { action, resource: format!("arn:aws:s3:::{}/{}", self.bucket?, self.key?) }]);
        let bucket = |action| Some(vec![Needed { action, resource: format!("arn:aws:s3:::{}", self.bucket?) }]);
        match self.name {
            "GetObject" | "HeadObject" => object("s3:GetObject"),
            "GetObjectAttributes" => Some([object("s3:GetObject")?, object("s3:GetObjectAttributes")?].concat()),
            "GetObjectRetention" => object("s3:GetObjectRetention"),
            "GetObjectLegalHold" => object("s3:GetObjectLegalHold"),
            "PutObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" | "PostObject" => {
                object("s3:PutObject")
            }
            "CopyObject" | "UploadPartCopy" => {
                let source = self.copy_source?.trim_start_matches('/');
                let mut needed = object("s3:PutObject")?;
                needed.insert(0, Needed { action: "s3:GetObject", resource: format!("arn:aws:s3:::{source}") });
                Some(needed)
            }
            "DeleteObject" | "DeleteObjects" => object("s3:DeleteObject"),
            "AbortMultipartUpload" => object("s3:AbortMultipartUpload"),
            "ListParts" => object("s3:ListMultipartUploadParts"),
            "GetObjectTagging" => object("s3:GetObjectTagging"),
            "PutObjectTagging" => object("s3:PutObjectTagging"),
            "DeleteObjectTagging" => object("s3:DeleteObjectTagging"),
            "GetObjectAcl" => object("s3:GetObjectAcl"),
            "PutObjectAcl" => object("s3:PutObjectAcl"),
            "ListObjects" | "ListObjectsV2" | "HeadBucket" => bucket("s3:ListBucket"),
            "ListObjectVersions" => bucket("s3:ListBucketVersions"),
            "ListMultipartUploads" => bucket("s3:ListBucketMultipartUploads"),
            "GetBucketLocation" => bucket("s3:GetBucketLocation"),
            "GetBucketVersioning" => bucket("s3:GetBucketVersioning"),
            "CreateBucket" => bucket("s3:CreateBucket"),
            "DeleteBucket" => bucket("s3:DeleteBucket"),
            "GetBucketPolicy" => bucket("s3:GetBucketPolicy"),
            "PutBucketPolicy" => bucket("s3:PutBucketPolicy"),
            "DeleteBucketPolicy" => bucket("s3:DeleteBucketPolicy"),
            "GetBucketTagging" => bucket("s3:GetBucketTagging"),
            "PutBucketTagging" | "DeleteBucketTagging" => bucket("s3:PutBucketTagging"),
            "GetBucketAcl" => bucket("s3:GetBucketAcl"),
            "PutBucketAcl" => bucket("s3:PutBucketAcl"),
            "GetBucketEncryption" => bucket("s3:GetEncryptionConfiguration"),
            "PutBucketEncryption" => bucket("s3:PutEncryptionConfiguration"),
            "GetPublicAccessBlock" => bucket("s3:GetBucketPublicAccessBlock"),
            "PutPublicAccessBlock" => bucket("s3:PutBucketPublicAccessBlock"),
            "GetBucketOwnershipControls" => bucket("s3:GetBucketOwnershipControls"),
            "PutBucketOwnershipControls" => bucket("s3:PutBucketOwnershipControls"),
            "GetBucketPolicyStatus" => bucket("s3:GetBucketPolicyStatus"),
            "GetBucketRequestPayment" => bucket("s3:GetBucketRequestPayment"),
            "GetBucketLogging" => bucket("s3:GetBucketLogging"),
            "GetBucketNotificationConfiguration" => bucket("s3:GetBucketNotification"),
            "GetBucketAccelerateConfiguration" => bucket("s3:GetAccelerateConfiguration"),
            "GetBucketCors" => bucket("s3:GetBucketCORS"),
            "GetBucketLifecycleConfiguration" => bucket("s3:GetLifecycleConfiguration"),
            "GetBucketReplication" => bucket("s3:GetReplicationConfiguration"),
            "GetBucketWebsite" => bucket("s3:GetBucketWebsite"),
            "GetObjectLockConfiguration" => bucket("s3:GetBucketObjectLockConfiguration"),
            "ListBuckets" => Some(vec![Needed { action: "s3:ListAllMyBuckets", resource: "*".to_owned() }]),
            _ => None,
        }
    }

    fn context(&self, session: &Session<'_>) -> Context {
        let mut context = Context::default();
        for (key, value) in [("s3:prefix", self.prefix), ("s3:delimiter", self.delimiter), ("s3:max-keys", self.max_keys)] {
            if let Some(value) = value {
                context.set(key, [value]);
            }
        }
        for (key, values) in session.carried {
            context.set(key, values.iter().map(String::as_str));
        }
        for (key, value) in session.tags {
            context.set(&format!("aws:PrincipalTag/{key}"), [value.as_str()]);
        }
        context.set("aws:PrincipalArn", [role_arn(session.arn)]);
        context.set("aws:PrincipalType", ["AssumedRole"]);
        context.set("aws:CurrentTime", [session.now.to_string()]);
        context.set("aws:EpochTime", [session.now.to_string()]);
        if let Some(provider) = session.provider {
            context.set("aws:FederatedProvider", [provider]);
        }
        context
    }
}

/// The role behind an assumed-role ARN, which is what `aws:PrincipalArn` shows.
fn role_arn(assumed: &str) -> String {
    let role = assumed.replacen(":sts:", ":iam:", 1).replacen(":assumed-role/", ":role/", 1);
    role.rsplit_once('/').map_or(role.clone(), |(role, _)| role.to_owned())
}

/// Whether the session may do it. A refusal is worded as S3 words it today, naming action and resource.
pub fn authorize(operation: &Operation<'_>, session: &Session<'_>) -> Result<(), AwsError> {
    let Some(needed) = operation.needed() else {
        let action = format!("s3:{}", operation.name);
        return Err(denied(session, &action, operation.bucket.unwrap_or("*"), Why::NotAllowed("identity-based")));
    };
    let context = operation.context(session);
    for Needed { action, resource } in needed {
        if let Err(why) = allowed(session, action, &resource, &context) {
            return Err(denied(session, action, &resource, why));
        }
    }
    Ok(())
}

/// Why something is not let through, with the kind of policy that stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// A statement denies it.
    Denied(&'static str),
    /// No statement allows it.
    NotAllowed(&'static str),
}

impl Why {
    /// Whether a statement denies it.
    pub(super) fn is_deny(self) -> bool {
        matches!(self, Self::Denied(_))
    }
}

/// The bucket that an ARN is about.
pub(super) fn bucket_of(resource: &str) -> &str {
    resource.trim_start_matches("arn:aws:s3:::").split('/').next().unwrap_or_default()
}

/// D-32: within one account the role's policies or the bucket's policy is enough; a deny in either, or in a session policy, wins. What the
/// bucket's policy gives to the role is still narrowed by session policies, what it gives to this one session is not.
pub(super) fn allowed(session: &Session<'_>, action: &str, resource: &str, context: &Context) -> Result<(), Why> {
    let identity = evaluate(session.policies, &request(None, action, resource, context)).outcome;
    if identity == Outcome::Denied {
        return Err(Why::Denied("identity-based"));
    }
    let policy = session.bucket_policies.get(bucket_of(resource));
    let by_bucket =
        |name: &str| policy.map(|policy| evaluate([policy], &request(Some(("AWS", name)), action, resource, context)).outcome);
    let role = role_arn(session.arn);
    let account = account_root(&role);
    if [session.arn, &role, &account].iter().any(|name| by_bucket(name) == Some(Outcome::Denied)) {
        return Err(Why::Denied("resource-based"));
    }
    let narrowed = if session.session_policies.is_empty() {
        Outcome::Allowed
    } else {
        evaluate(session.session_policies, &request(None, action, resource, context)).outcome
    };
    if narrowed == Outcome::Denied {
        return Err(Why::Denied("session"));
    }
    let to_role = identity == Outcome::Allowed || by_bucket(&role) == Some(Outcome::Allowed);
    match (to_role, narrowed) {
        (true, Outcome::Allowed) => Ok(()),
        // Whom the policy names by the session itself is not narrowed; everybody (`*`) includes the role, and is.
        _ if by_bucket(session.arn) == Some(Outcome::Allowed) && by_bucket(&role) != Some(Outcome::Allowed) => Ok(()),
        (true, _) => Err(Why::NotAllowed("session")),
        (false, _) => Err(Why::NotAllowed("identity-based")),
    }
}

fn request<'a>(principal: Option<(&'a str, &'a str)>, action: &'a str, resource: &'a str, context: &'a Context) -> Request<'a> {
    Request { principal, action, resource: Some(resource), context }
}

/// `arn:aws:iam::ACCOUNT:root`, which stands for the account.
fn account_root(role: &str) -> String {
    format!("arn:aws:iam::{}:root", super::account_of_arn(role).unwrap_or_default())
}

/// Checks a policy that a bucket will have: it names principals, and resources of this bucket alone.
///
/// # Errors
/// `MalformedPolicy`, with S3's own texts.
pub fn check_bucket_policy(text: &str, bucket: &str) -> Result<Document, AwsError> {
    let malformed = |text: &str| AwsError::new("D-32", "MalformedPolicy", 400, text);
    let document = Document::parse(text).map_err(|_| malformed("Policies must be valid JSON and the first byte must be '{'"))?;
    let arn = format!("arn:aws:s3:::{bucket}");
    for statement in document.statements() {
        match statement.principal() {
            None => return Err(malformed("Missing required field Principal")),
            Some(Principals::Listed(listed)) if listed.is_empty() => return Err(malformed("Invalid principal in policy")),
            Some(_) => {}
        }
        let resources = statement.resources().ok_or_else(|| malformed("Missing required field Resource"))?;
        let ours = |resource: &String| *resource == arn || resource.starts_with(&format!("{arn}/"));
        if resources.is_empty() || !resources.iter().all(ours) {
            return Err(malformed("Policy has invalid resource"));
        }
    }
    Ok(document)
}

/// Whether a bucket's policy is open to everybody, as S3 says in `GetBucketPolicyStatus`: an allow for `*` without any condition. A policy
/// that cannot be read is called open.
pub fn is_public(policy: &str) -> bool {
    Document::parse(policy).map_or(true, |document| {
        document.statements().iter().any(|statement| {
            let everybody = match statement.principal() {
                Some(Principals::Everyone) => true,
                Some(Principals::Listed(listed)) => listed.get("AWS").is_some_and(|names| names.iter().any(|name| name == "*")),
                None => false,
            };
            let open = everybody != statement.excludes_principal();
            statement.effect() == Effect::Allow && open && statement.conditions().is_empty()
        })
    })
}

fn denied(session: &Session<'_>, action: &str, resource: &str, why: Why) -> AwsError {
    let end = match why {
        Why::Denied(kind) => {
            let article = if kind == "identity-based" { "an" } else { "a" };
            format!("with an explicit deny in {article} {kind} policy")
        }
        Why::NotAllowed(kind) => format!("because no {kind} policy allows the {action} action"),
    };
    let message = format!("User: {} is not authorized to perform: {action} on resource: \"{resource}\" {end}", session.arn);
    AwsError::new("D-32", "AccessDenied", 403, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sts::123456789012:assumed-role/skyporten-role/917422575";
    const READ: &str = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/in/*"},
        {"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b","Condition":{"StringLike":{"s3:prefix":["in/*","in"]}}}]}"#;

    fn operation<'a>(name: &'a str, key: Option<&'a str>) -> Operation<'a> {
        Operation { name, bucket: Some("b"), key, copy_source: None, prefix: None, delimiter: None, max_keys: None }
    }

    fn ask(operation: Operation<'_>, policies: &[&str], session: &[&str]) -> Result<(), AwsError> {
        let parse = |texts: &[&str]| texts.iter().map(|text| Document::parse(text).unwrap()).collect::<Vec<_>>();
        let (policies, session_policies) = (parse(policies), parse(session));
        let (none, carried) = (BTreeMap::new(), BTreeMap::new());
        let tags = [("org".to_owned(), "917422575".to_owned())];
        let session = Session {
            arn: ARN,
            policies: &policies,
            session_policies: &session_policies,
            bucket_policies: &none,
            tags: &tags,
            carried: &carried,
            provider: None,
            now: 0,
        };
        authorize(&operation, &session)
    }

    #[test]
    fn an_object_outside_the_prefix_is_refused_in_s3s_words() {
        assert!(ask(operation("GetObject", Some("in/a.csv")), &[READ], &[]).is_ok());
        let error = ask(operation("GetObject", Some("out/a.csv")), &[READ], &[]).unwrap_err();
        assert_eq!((error.code, error.status), ("AccessDenied", 403));
        assert_eq!(
            error.message,
            format!(
                "User: {ARN} is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::b/out/a.csv\" because no identity-based policy allows the s3:GetObject action"
            )
        );
    }

    #[test]
    fn a_listing_is_judged_by_its_prefix() {
        let list = |prefix| Operation { prefix, ..operation("ListObjectsV2", None) };
        assert!(ask(list(Some("in/")), &[READ], &[]).is_ok());
        assert!(ask(list(Some("out/")), &[READ], &[]).is_err());
        assert!(ask(list(None), &[READ], &[]).is_err(), "a listing of everything");
    }

    #[test]
    fn a_copy_needs_both_ends() {
        let copy = |source| Operation { copy_source: Some(source), ..operation("CopyObject", Some("in/b")) };
        let write = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::b/in/*"}]}"#;
        assert!(ask(copy("b/in/a"), &[READ, write], &[]).is_ok());
        assert!(ask(copy("b/out/a"), &[READ, write], &[]).is_err());
        assert!(ask(copy("b/in/a"), &[READ], &[]).is_err());
    }

    #[test]
    fn a_session_policy_only_takes_away() {
        let narrow =
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/in/one"}]}"#;
        assert!(ask(operation("GetObject", Some("in/one")), &[READ], &[narrow]).is_ok());
        assert!(
            ask(operation("GetObject", Some("in/two")), &[READ], &[narrow])
                .unwrap_err()
                .message
                .contains("no session policy allows")
        );
        assert!(ask(operation("PutObject", Some("in/one")), &[READ], &[narrow]).is_err());
    }

    #[test]
    fn tags_of_the_session_can_stand_in_policies() {
        let own = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:PrincipalTag/org}/*"}]}"#;
        assert!(ask(operation("GetObject", Some("917422575/a")), &[own], &[]).is_ok());
        assert!(ask(operation("GetObject", Some("889640782/a")), &[own], &[]).is_err());
    }

    const ROLE: &str = "arn:aws:iam::123456789012:role/skyporten-role";

    /// What the bucket's own policy, with one statement for this principal, makes of a read outside the role's prefix.
    fn with_bucket(effect: &str, principal: &str, key: &str, session: &[&str]) -> Result<(), AwsError> {
        let parse = |texts: &[&str]| texts.iter().map(|text| Document::parse(text).unwrap()).collect::<Vec<_>>();
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Principal":{principal},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}]}}"#
        );
        let buckets = BTreeMap::from([("b".to_owned(), check_bucket_policy(&text, "b").unwrap())]);
        let (policies, session_policies, carried) = (parse(&[READ]), parse(session), BTreeMap::new());
        let session = Session {
            arn: ARN,
            policies: &policies,
            session_policies: &session_policies,
            bucket_policies: &buckets,
            tags: &[],
            carried: &carried,
            provider: None,
            now: 0,
        };
        authorize(&operation("GetObject", Some(key)), &session)
    }

    #[test]
    fn d_32_the_buckets_policy_is_enough_within_the_account_and_its_deny_wins() {
        let role = format!(r#"{{"AWS":"{ROLE}"}}"#);
        assert!(with_bucket("Allow", &role, "out/a", &[]).is_ok());
        assert!(with_bucket("Allow", "\"*\"", "out/a", &[]).is_ok());
        let other = r#"{"AWS":"arn:aws:iam::123456789012:role/other"}"#;
        assert!(with_bucket("Allow", other, "out/a", &[]).is_err());
        let account = r#"{"AWS":"arn:aws:iam::123456789012:root"}"#;
        assert!(with_bucket("Allow", account, "out/a", &[]).is_err(), "the account leaves it to its own policies");
        for principal in [role.as_str(), "\"*\"", account] {
            let error = with_bucket("Deny", principal, "in/a", &[]).unwrap_err();
            assert!(error.message.ends_with("with an explicit deny in a resource-based policy"), "{}", error.message);
        }
        assert!(with_bucket("Deny", other, "in/a", &[]).is_ok());
    }

    #[test]
    fn d_32_a_session_policy_narrows_what_the_bucket_gives_to_the_role_but_not_to_the_session() {
        let nothing = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}]}"#;
        let role = format!(r#"{{"AWS":"{ROLE}"}}"#);
        let error = with_bucket("Allow", &role, "out/a", &[nothing]).unwrap_err();
        assert!(error.message.contains("no session policy allows"), "{}", error.message);
        let session = format!(r#"{{"AWS":"{ARN}"}}"#);
        assert!(with_bucket("Allow", &session, "out/a", &[nothing]).is_ok());
    }

    #[test]
    fn d_32_a_buckets_policy_is_about_that_bucket_and_names_somebody() {
        let policy = |principal: &str, resource: &str| {
            format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow",{principal}"Action":"s3:GetObject","Resource":"{resource}"}}]}}"#
            )
        };
        let everyone = r#""Principal":"*","#;
        assert!(check_bucket_policy(&policy(everyone, "arn:aws:s3:::b/*"), "b").is_ok());
        for (principal, resource, text) in [
            ("", "arn:aws:s3:::b/*", "Missing required field Principal"),
            (everyone, "arn:aws:s3:::other/*", "Policy has invalid resource"),
            (everyone, "arn:aws:s3:::bb/*", "Policy has invalid resource"),
        ] {
            let error = check_bucket_policy(&policy(principal, resource), "b").unwrap_err();
            assert_eq!((error.code, error.message.as_str()), ("MalformedPolicy", text));
        }
        assert!(check_bucket_policy("no", "b").unwrap_err().message.starts_with("Policies must be valid JSON"));
    }

    #[test]
    fn an_allow_for_everybody_is_public_unless_a_condition_narrows_it() {
        let policy = |effect: &str, principal: &str, condition: &str| {
            format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Principal":{principal},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"{condition}}}]}}"#
            )
        };
        let narrowed = r#","Condition":{"StringEquals":{"aws:PrincipalAccount":"123456789012"}}"#;
        assert!(is_public(&policy("Allow", "\"*\"", "")) && is_public(&policy("Allow", r#"{"AWS":"*"}"#, "")));
        assert!(!is_public(&policy("Allow", "\"*\"", narrowed)) && !is_public(&policy("Deny", "\"*\"", "")));
        assert!(!is_public(&policy("Allow", r#"{"AWS":"arn:aws:iam::123456789012:root"}"#, "")));
    }

    #[test]
    fn attributes_of_an_object_need_two_permissions() {
        let both = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject*","Resource":"*"}]}"#;
        assert!(ask(operation("GetObjectAttributes", Some("in/a")), &[both], &[]).is_ok());
        let error = ask(operation("GetObjectAttributes", Some("in/a")), &[READ], &[]).unwrap_err();
        assert!(error.message.contains("s3:GetObjectAttributes"), "{}", error.message);
    }

    #[test]
    fn an_unknown_operation_is_refused() {
        let all = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
        assert!(ask(operation("PutBucketWebsite", None), &[all], &[]).is_err());
    }
}
