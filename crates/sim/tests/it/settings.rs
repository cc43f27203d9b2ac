//! What buckets, objects and the account say about themselves, as the aws CLI and its kin ask.

use serde_json::json;

use super::sim::{ACCOUNT, Keys, ROLE, TestSim};

#[tokio::test]
async fn a_bucket_is_as_aws_makes_them_today() {
    let (t, _) = TestSim::with_session().await;
    for (setting, element, value) in [
        ("acl", "Permission", "FULL_CONTROL"),
        ("encryption", "SSEAlgorithm", "AES256"),
        ("publicAccessBlock", "RestrictPublicBuckets", "true"),
        ("ownershipControls", "ObjectOwnership", "BucketOwnerEnforced"),
        ("requestPayment", "Payer", "BucketOwner"),
        ("location", "LocationConstraint", "eu-north-1"),
    ] {
        let answer = t.s3(Some(&t.root), "GET", &format!("/shared?{setting}"), b"").await;
        assert_eq!(answer.status, 200, "{setting}: {}", answer.body);
        assert!(answer.body.contains(value), "{setting} has no {element} {value}: {}", answer.body);
    }
    for setting in ["versioning", "logging", "notification", "accelerate"] {
        let answer = t.s3(Some(&t.root), "GET", &format!("/shared?{setting}"), b"").await;
        assert_eq!(answer.status, 200, "{setting}");
        assert!(!answer.body.contains("<Status>") && !answer.body.contains("Enabled>"), "{setting}: {}", answer.body);
    }
    for (setting, code, text) in [
        ("cors", "NoSuchCORSConfiguration", "The CORS configuration does not exist"),
        ("lifecycle", "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
        ("replication", "ReplicationConfigurationNotFoundError", "The replication configuration was not found"),
        ("website", "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"),
        ("object-lock", "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket"),
        ("tagging", "NoSuchTagSet", "The TagSet does not exist"),
        ("policyStatus", "NoSuchBucketPolicy", "The bucket policy does not exist"),
    ] {
        let answer = t.s3(Some(&t.root), "GET", &format!("/shared?{setting}"), b"").await;
        assert_eq!(answer.refusal(), (404, code.to_owned(), text.to_owned()), "{setting}");
    }
    assert_eq!(t.s3(Some(&t.root), "GET", "/nowhere?versioning", b"").await.refusal().1, "NoSuchBucket");
}

#[tokio::test]
async fn each_setting_is_asked_for_with_a_permission_of_its_own() {
    let (t, keys) = TestSim::with_session().await;
    for (setting, action) in [
        ("acl", "s3:GetBucketAcl"),
        ("encryption", "s3:GetEncryptionConfiguration"),
        ("publicAccessBlock", "s3:GetBucketPublicAccessBlock"),
        ("versioning", "s3:GetBucketVersioning"),
        ("versions", "s3:ListBucketVersions"),
        ("tagging", "s3:GetBucketTagging"),
        ("lifecycle", "s3:GetLifecycleConfiguration"),
        ("cors", "s3:GetBucketCORS"),
    ] {
        let refusal = t.s3(Some(&keys), "GET", &format!("/shared?{setting}"), b"").await.refusal();
        assert_eq!((refusal.0, refusal.1.as_str()), (403, "AccessDenied"), "{setting}");
        assert!(refusal.2.ends_with(&format!("because no identity-based policy allows the {action} action")), "{}", refusal.2);
        t.put_policy(&json!([{"Effect": "Allow", "Action": action, "Resource": "arn:aws:s3:::shared"}])).await;
        assert_ne!(t.s3(Some(&keys), "GET", &format!("/shared?{setting}"), b"").await.status, 403, "{setting}");
    }
}

#[tokio::test]
async fn lists_of_access_are_off_as_in_every_new_bucket() {
    let (t, _) = TestSim::with_session().await;
    let refused = (400, "AccessControlListNotSupported".to_owned(), "The bucket does not allow ACLs".to_owned());
    let policy = b"<AccessControlPolicy xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Owner><ID>x</ID></Owner><AccessControlList/></AccessControlPolicy>";
    assert_eq!(t.s3(Some(&t.root), "PUT", "/shared?acl", policy).await.refusal(), refused);
    assert_eq!(t.s3(Some(&t.root), "PUT", "/shared/in/a.csv?acl", policy).await.refusal(), refused);
    assert_eq!(t.s3(Some(&t.root), "GET", "/shared/in/a.csv?acl", b"").await.status, 200);
}

#[tokio::test]
async fn tags_of_objects_and_buckets_are_kept_and_go_with_them() {
    let (t, _) = TestSim::with_session().await;
    let tags = |pairs: &[(&str, &str)]| {
        let tags = pairs
            .iter()
            .fold(String::new(), |text, (key, value)| text + &format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"));
        format!("<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet>{tags}</TagSet></Tagging>").into_bytes()
    };
    for place in ["/shared/in/a.csv?tagging", "/shared?tagging"] {
        let put = t.s3(Some(&t.root), "PUT", place, &tags(&[("org", "917422575")])).await;
        assert!(put.status < 300, "{place}: {}", put.body);
        let got = t.s3(Some(&t.root), "GET", place, b"").await;
        assert_eq!((got.text("Key").as_str(), got.text("Value").as_str()), ("org", "917422575"), "{place}");
        let twice = t.s3(Some(&t.root), "PUT", place, &tags(&[("a", "1"), ("a", "2")])).await.refusal();
        assert_eq!(twice, (400, "InvalidTag".to_owned(), "Cannot provide multiple Tags with the same key".to_owned()));
        assert_eq!(t.s3(Some(&t.root), "DELETE", place, b"").await.status, 204);
    }
    assert!(!t.s3(Some(&t.root), "GET", "/shared/in/a.csv?tagging", b"").await.body.contains("<Key>"));
    let many: Vec<(String, &str)> = (0..11).map(|number| (format!("k{number}"), "v")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let refusal = t.s3(Some(&t.root), "PUT", "/shared/in/a.csv?tagging", &tags(&many)).await.refusal();
    assert_eq!(refusal, (400, "BadRequest".to_owned(), "Object tags cannot be greater than 10".to_owned()));
}

#[tokio::test]
async fn a_bucket_without_versions_has_one_of_each_object_and_calls_it_null() {
    let (t, _) = TestSim::with_session().await;
    let listed = t.s3(Some(&t.root), "GET", "/shared?versions&prefix=in%2F", b"").await;
    assert_eq!((listed.text("VersionId").as_str(), listed.text("IsLatest").as_str()), ("null", "true"), "{}", listed.body);
    assert_eq!(t.s3(Some(&t.root), "GET", "/shared/in/a.csv?versionId=null", b"").await.status, 200);
    let refusal = t.s3(Some(&t.root), "GET", "/shared/in/a.csv?versionId=abc", b"").await.refusal();
    assert_eq!(refusal, (400, "InvalidArgument".to_owned(), "Invalid version id specified".to_owned()));
}

/// What the simulator of policies says is what S3 then does: one function decides both.
#[tokio::test]
async fn the_policy_simulator_says_what_s3_then_does() {
    let (t, keys) = TestSim::with_session().await;
    let mut compared = 0;
    for statements in [
        json!([{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::shared/in/*"}]),
        json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
               {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::shared/in/*"}]),
        json!([{"Effect": "Allow", "NotAction": "s3:GetObject", "Resource": "arn:aws:s3:::shared/*"}]),
        json!([{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": {"Null": {"aws:PrincipalTag/x": "true"}}}]),
    ] {
        t.put_policy(&statements).await;
        for (action, method, path) in [
            ("s3:GetObject", "GET", "in/a.csv"),
            ("s3:GetObject", "GET", "out/b.csv"),
            ("s3:PutObject", "PUT", "in/a.csv"),
            ("s3:PutObject", "PUT", "out/new"),
        ] {
            let asked = [
                ("PolicySourceArn", ROLE),
                ("ActionNames.member.1", action),
                ("ResourceArns.member.1", &format!("arn:aws:s3:::shared/{path}")),
            ];
            let decision = t.iam("SimulatePrincipalPolicy", &asked).await.text("EvalDecision");
            let status = t.s3(Some(&keys), method, &format!("/shared/{path}"), b"hello").await.status;
            assert_eq!(decision == "allowed", status == 200, "{statements} {action} {path}: {decision}, {status}");
            assert_eq!(
                decision == "explicitDeny",
                statements.to_string().contains("Deny") && path == "in/a.csv" && method == "PUT"
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 16);
}

#[tokio::test]
async fn the_policy_simulator_names_statements_and_missing_keys() {
    let (t, keys) = TestSim::with_session().await;
    t.put_policy(&json!([{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::shared",
        "Condition": {"StringLike": {"s3:prefix": "in/*"}}}]))
        .await;
    let asked =
        [("PolicySourceArn", ROLE), ("ActionNames.member.1", "s3:ListBucket"), ("ResourceArns.member.1", "arn:aws:s3:::shared")];
    let answer = t.iam("SimulatePrincipalPolicy", &asked).await;
    assert_eq!(answer.text("EvalDecision"), "implicitDeny");
    assert!(answer.body.contains("<MissingContextValues><member>s3:prefix</member></MissingContextValues>"), "{}", answer.body);
    let told = [
        ("ContextEntries.member.1.ContextKeyName", "s3:prefix"),
        ("ContextEntries.member.1.ContextKeyType", "string"),
        ("ContextEntries.member.1.ContextKeyValues.member.1", "in/2026"),
    ];
    let answer = t.iam("SimulatePrincipalPolicy", &[&asked[..], &told].concat()).await;
    assert_eq!(answer.text("EvalDecision"), "allowed");
    assert_eq!(answer.text("SourcePolicyId"), "role_skyporten-role_read");
    let keys_of = t.iam("GetContextKeysForPrincipalPolicy", &asked[..1]).await;
    assert!(keys_of.body.contains("<ContextKeyNames><member>s3:prefix</member></ContextKeyNames>"), "{}", keys_of.body);

    // Whoever asks needs the permission, about this role.
    let refusal = t.iam_as(&keys, "SimulatePrincipalPolicy", &asked).await.refusal();
    assert!(refusal.2.contains(&format!("iam:SimulatePrincipalPolicy on resource: {ROLE}")), "{}", refusal.2);
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let refusal = t.iam_as(&t.root, "SimulatePrincipalPolicy", &[("PolicySourceArn", &root), asked[1]]).await.refusal();
    let text = format!("Invalid Entity Arn: {root} does not clearly define entity type and name.");
    assert_eq!(refusal, (400, "InvalidInput".to_owned(), text));
    let gone = format!("arn:aws:iam::{ACCOUNT}:role/gone");
    let refusal = t.iam_as(&t.root, "SimulatePrincipalPolicy", &[("PolicySourceArn", &gone), asked[1]]).await.refusal();
    assert_eq!(refusal, (404, "NoSuchEntity".to_owned(), "The role with name gone cannot be found.".to_owned()));
    let custom = [("ActionNames.member.1", "s3:GetObject"), ("PolicyInputList.member.1", "{")];
    assert_eq!(t.iam_as(&t.root, "SimulateCustomPolicy", &custom).await.refusal().1, "MalformedPolicyDocument");
}

#[tokio::test]
async fn the_account_tells_what_it_has_and_that_it_has_no_users() {
    let (t, keys) = TestSim::with_session().await;
    let summary = t.iam("GetAccountSummary", &[]).await;
    assert!(summary.body.contains("<entry><key>Roles</key><value>1</value></entry>"), "{}", summary.body);
    for (action, list) in [("ListUsers", "Users"), ("ListGroups", "Groups"), ("ListInstanceProfiles", "InstanceProfiles")] {
        assert!(t.iam(action, &[]).await.body.contains(&format!("<{list}></{list}>")), "{action}");
    }
    let details = t.iam("GetAccountAuthorizationDetails", &[]).await;
    assert_eq!(details.text("PolicyName"), "read", "{}", details.body);
    let refusal = t.iam_as(&t.root, "GetUser", &[("UserName", "kari")]).await.refusal();
    assert_eq!(refusal, (404, "NoSuchEntity".to_owned(), "The user with name kari cannot be found.".to_owned()));
    t.put_policy(&json!([{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}])).await;
    let refusal = t.iam_as(&keys, "GetUser", &[]).await.refusal();
    assert_eq!(refusal.2, "Must specify userName when calling with non-User credentials");
    assert_eq!(t.iam_as(&t.root, "GetAccountPasswordPolicy", &[]).await.refusal().1, "NoSuchEntity");
}

#[tokio::test]
async fn the_accounts_own_session_may_all_in_s3_and_nothing_in_iam() {
    let (t, keys) = TestSim::with_session().await;
    let answer = t.sts(Some(&t.root), "GetSessionToken", &[("DurationSeconds", "900")]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let own =
        Keys { id: answer.text("AccessKeyId"), secret: answer.text("SecretAccessKey"), token: Some(answer.text("SessionToken")) };
    assert_eq!(t.s3(Some(&own), "GET", "/shared/out/b.csv", b"").await.status, 200);
    assert_eq!(t.iam_as(&own, "ListRoles", &[]).await.refusal().1, "InvalidClientTokenId");
    let who = t.sts(Some(&own), "GetCallerIdentity", &[]).await;
    assert_eq!(who.text("Arn"), format!("arn:aws:iam::{ACCOUNT}:root"));
    let refusal = t.sts(Some(&keys), "GetSessionToken", &[]).await.refusal();
    assert_eq!(refusal, (403, "AccessDenied".to_owned(), "Cannot call GetSessionToken with session credentials".to_owned()));
    let refusal = t.sts(Some(&t.root), "GetSessionToken", &[("DurationSeconds", "60")]).await.refusal();
    assert_eq!(refusal.1, "ValidationError");
    let refusal = t.sts(Some(&t.root), "DecodeAuthorizationMessage", &[("EncodedMessage", "abc")]).await.refusal();
    assert_eq!(refusal.1, "InvalidAuthorizationMessageException");
    let info = t.sts(Some(&t.root), "GetAccessKeyInfo", &[("AccessKeyId", &keys.id)]).await;
    assert_eq!(info.text("Account"), ACCOUNT);
}
