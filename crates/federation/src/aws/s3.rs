//! Which IAM actions an S3 operation needs, and whether a role's policies give them.

use super::AwsError;
use super::policy::{Context, Document, Outcome, Request, evaluate};

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
    /// Tags of role and session, the session's last.
    pub tags: &'a [(String, String)],
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
            "GetObject" | "HeadObject" | "GetObjectAttributes" => object("s3:GetObject"),
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
            "CreateBucket" => bucket("s3:CreateBucket"),
            "DeleteBucket" => bucket("s3:DeleteBucket"),
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
        return Err(denied(
            session,
            &format!("s3:{}", operation.name),
            operation.bucket.unwrap_or("*"),
            "no identity-based policy allows",
        ));
    };
    let context = operation.context(session);
    for Needed { action, resource } in needed {
        let request = Request { principal: None, action, resource: Some(&resource), context: &context };
        let why = match evaluate(session.policies, &request).outcome {
            Outcome::Denied => Some("with an explicit deny in an identity-based policy"),
            Outcome::NotAllowed => Some("because no identity-based policy allows"),
            Outcome::Allowed if session.session_policies.is_empty() => None,
            Outcome::Allowed => match evaluate(session.session_policies, &request).outcome {
                Outcome::Allowed => None,
                Outcome::Denied => Some("with an explicit deny in a session policy"),
                Outcome::NotAllowed => Some("because no session policy allows"),
            },
        };
        if let Some(why) = why {
            return Err(denied(session, action, &resource, why));
        }
    }
    Ok(())
}

fn denied(session: &Session<'_>, action: &str, resource: &str, why: &str) -> AwsError {
    let end = if why.ends_with("allows") { format!("{why} the {action} action") } else { why.to_owned() };
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
        let tags = [("org".to_owned(), "917422575".to_owned())];
        let session =
            Session { arn: ARN, policies: &policies, session_policies: &session_policies, tags: &tags, provider: None, now: 0 };
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

    #[test]
    fn an_unknown_operation_is_refused() {
        let all = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
        assert!(ask(operation("PutBucketPolicy", None), &[all], &[]).is_err());
    }
}
