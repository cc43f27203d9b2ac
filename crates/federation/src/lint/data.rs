//! What a cloud's refusal of the data itself says, once the exchange has worked: D-32, D-47, D-50.
//!
//! Clouds say at the data more than at the door: who lacks what, and whose rule is in the way. That is enough for a finding of its own.

use crate::catalogue::Cloud;
use crate::finding::{Finding, Who};

/// What `code` and `message`, the storage's own, mean. `None`: they are about no permission.
pub fn lint_refused_data(cloud: Cloud, code: &str, message: &str) -> Option<Finding> {
    match cloud {
        Cloud::Aws => at_aws(code, message),
        Cloud::Google => at_google(message),
        Cloud::Azure => at_azure(code),
    }
}

/// What stands between two texts.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = text.split_once(before)?.1;
    rest.split(after).next()
}

/// D-32: S3 names action, resource, and whose policy decided.
fn at_aws(code: &str, message: &str) -> Option<Finding> {
    if matches!(code, "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") {
        let fix = "write the bucket's region into the target: aws s3api get-bucket-location --bucket BUCKET";
        return Some(Finding::new("D-32", Who::Consumer, "the bucket is in another region than the target says", fix));
    }
    if code == "NoSuchBucket" {
        return Some(Finding::new(
            "D-32",
            Who::Consumer,
            "there is no such bucket",
            "compare the target's bucket with the provider's",
        ));
    }
    if code != "AccessDenied" && code != "KMS.AccessDeniedException" {
        return None;
    }
    let action = between(message, "not authorized to perform: ", " ").unwrap_or("the action");
    let resource = between(message, "on resource: \"", "\"").unwrap_or("the bucket");
    let found = |what: String, fix: String| Some(Finding::new("D-32", Who::Provider, what, fix));
    if action.starts_with("kms:") {
        let fix = "let the role use the key: kms:Decrypt in the role's policy and in the key's".to_owned();
        return found(format!("the role was assumed, and the key's policy does not let it {action}"), fix);
    }
    let (what, fix) = if message.contains("explicit deny in a resource-based policy") {
        (
            format!("the bucket's policy denies {action} to the role"),
            "take the Deny out of the bucket's policy, or except the role from it".to_owned(),
        )
    } else if message.contains("explicit deny in a session policy") || message.contains("no session policy allows") {
        (
            format!("the session's own policy does not let it {action}"),
            "ask without a session policy, or with a wider one".to_owned(),
        )
    } else if message.contains("explicit deny") {
        (format!("a policy denies {action} to the role"), "take the Deny out of the role's policies".to_owned())
    } else {
        let what = format!("the role was assumed, and none of its policies allows {action} on {resource}");
        (
            what,
            format!(
                "aws iam put-role-policy --role-name ROLE --policy-name read --policy-document … with {action} on {resource}"
            ),
        )
    };
    found(what, fix)
}

/// D-47 for a federated identity, D-50 for a service account: Google names who asks, and for what.
fn at_google(message: &str) -> Option<Finding> {
    let permission = between(message, "does not have ", " access").or_else(|| between(message, "Permission '", "'"))?;
    let who = message.split(" does not have ").next().unwrap_or_default();
    let role = if permission.starts_with("bigquery.") {
        "roles/bigquery.dataViewer"
    } else {
        crate::google::roles::role_for(permission)
    };
    let (mistake, bound) = if who.contains('@') {
        ("D-50", format!("serviceAccount:{who}"))
    } else {
        ("D-47", "principalSet://…/attribute.NAME/VALUE".to_owned())
    };
    let what = format!("the exchange works, and the consumer lacks {permission} on what is shared");
    let fix = format!("gcloud storage buckets add-iam-policy-binding gs://BUCKET --role={role} --member={bound}");
    Some(Finding::new(mistake, Who::Provider, what, fix))
}

/// Storage says no more than that something is missing (E-66, D-73): that its text explains. What is not there at all, it says.
fn at_azure(code: &str) -> Option<Finding> {
    let fix = "compare the target's account and names with the provider's";
    let is_absent = matches!(code, "ContainerNotFound" | "ShareNotFound");
    is_absent.then(|| Finding::new("E-66", Who::Consumer, "there is no such container or share", fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule_and_what(cloud: Cloud, code: &str, message: &str) -> Option<(&'static str, String)> {
        lint_refused_data(cloud, code, message).map(|finding| (finding.rule, finding.what))
    }

    /// D-32.
    #[test]
    fn s3_says_whose_policy_stands_in_the_way() {
        let denied = |end: &str| {
            let text = format!(
                "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: s3:ListBucket on resource: \"arn:aws:s3:::b\" {end}"
            );
            rule_and_what(Cloud::Aws, "AccessDenied", &text).unwrap()
        };
        let (rule, what) = denied("because no identity-based policy allows the s3:ListBucket action");
        assert_eq!(
            (rule, what.as_str()),
            ("D-32", "the role was assumed, and none of its policies allows s3:ListBucket on arn:aws:s3:::b")
        );
        assert!(
            denied("with an explicit deny in a resource-based policy").1.starts_with("the bucket's policy denies s3:ListBucket")
        );
        assert!(denied("because no session policy allows the s3:ListBucket action").1.starts_with("the session's own policy"));
        assert_eq!(rule_and_what(Cloud::Aws, "SlowDown", "Please reduce your request rate."), None);
    }

    /// D-50 and D-47.
    #[test]
    fn google_says_who_lacks_what() {
        let text = |who: &str| {
            let end = "access to the Google Cloud Storage bucket. Permission 'storage.objects.list' denied on resource (or it may not exist).";
            rule_and_what(Cloud::Google, "AccessDenied", &format!("{who} does not have storage.objects.list {end}")).unwrap()
        };
        let (rule, what) = text("reader@p.iam.gserviceaccount.com");
        assert_eq!(
            (rule, what.as_str()),
            ("D-50", "the exchange works, and the consumer lacks storage.objects.list on what is shared")
        );
        assert_eq!(text("Caller").0, "D-47");
        assert_eq!(rule_and_what(Cloud::Google, "NoSuchKey", "No such object"), None);
    }

    #[test]
    fn azure_says_no_more_than_that_something_is_missing() {
        assert_eq!(rule_and_what(Cloud::Azure, "AuthorizationPermissionMismatch", ""), None, "left to what explains texts");
        assert_eq!(rule_and_what(Cloud::Azure, "ContainerNotFound", "").unwrap().1, "there is no such container or share");
    }
}
