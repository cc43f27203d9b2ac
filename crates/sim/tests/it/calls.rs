//! Calls of IAM and STS: signatures, permissions, life and death of roles and policies, and what survives a restart.

use jiff::SignedDuration;
use serde_json::json;
use skybru_core::ctx::ShiftedClock;

use super::issuer::TestIssuer;
use super::sim::{Keys, NOW, ROLE, TestSim, presigned_identity, provider_arn};

const READ_ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;

/// A-65.
#[tokio::test]
async fn an_unsigned_or_wrongly_signed_call_is_refused() {
    let t = TestSim::start().await;
    let form = b"Action=ListRoles&Version=2010-05-08";
    let kind = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    let unsigned = t.send(None, "POST", "/", &kind, form).await;
    let text = "Request is missing Authentication Token";
    assert_eq!(unsigned.refusal(), (403, "MissingAuthenticationToken".to_owned(), text.to_owned()));

    let wrong_secret = Keys { secret: "wrong".to_owned(), ..t.root.clone() };
    assert_eq!(t.iam_as(&wrong_secret, "ListRoles", &[]).await.refusal().1, "SignatureDoesNotMatch");
    let unknown = Keys { id: "AKIANOBODY".to_owned(), ..t.root.clone() };
    let text = "The security token included in the request is invalid.";
    assert_eq!(t.iam_as(&unknown, "ListRoles", &[]).await.refusal(), (403, "InvalidClientTokenId".to_owned(), text.to_owned()));
    let stray_token = Keys { token: Some("t".to_owned()), ..t.root.clone() };
    assert_eq!(t.iam_as(&stray_token, "ListRoles", &[]).await.refusal().1, "InvalidClientTokenId");
}

#[tokio::test]
async fn a_presigned_call_is_its_signers_and_nobody_elses() {
    let issuer = TestIssuer::http().await;
    let t = TestSim::start().await;
    t.set_up(&issuer).await;
    let keys = t.keys(&issuer).await;
    let url = presigned_identity(&t, &keys);
    let answer = t.send(None, "GET", &url, &[], b"").await;
    assert_eq!(answer.text("Arn"), "arn:aws:sts::123456789012:assumed-role/skyporten-role/917422575");
    let longer = url.replace("X-Amz-Expires=60", "X-Amz-Expires=900");
    assert_eq!(t.send(None, "GET", &longer, &[], b"").await.refusal().1, "SignatureDoesNotMatch");
    let guessed = Keys { secret: "wrong".to_owned(), ..keys };
    let url = presigned_identity(&t, &guessed);
    assert_eq!(t.send(None, "GET", &url, &[], b"").await.refusal().1, "SignatureDoesNotMatch");
}

#[tokio::test]
async fn a_signature_for_another_service_is_refused() {
    let t = TestSim::start().await;
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let answer = t.send(Some((&t.root, "sts")), "POST", "/", &kind, b"Action=ListRoles&Version=2010-05-08").await;
    assert_eq!(answer.refusal().1, "SignatureDoesNotMatch");
    assert!(answer.refusal().2.contains("correct service: 'iam'"), "{}", answer.body);
}

/// The name is free again; the old credentials are not for its new owner.
#[tokio::test]
async fn credentials_of_a_deleted_role_do_not_work_for_its_successor() {
    let issuer = TestIssuer::http().await;
    let t = TestSim::start().await;
    t.set_up(&issuer).await;
    let keys = t.keys(&issuer).await;
    let role = ("RoleName", "skyporten-role");
    t.iam("DeleteRolePolicy", &[role, ("PolicyName", "read")]).await;
    t.iam("DeleteRole", &[role]).await;
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"Federated": provider_arn(&issuer)}, "Action": "sts:AssumeRoleWithWebIdentity"}]});
    t.iam("CreateRole", &[role, ("AssumeRolePolicyDocument", &trust.to_string())]).await;
    t.put_policy(&json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}])).await;
    assert_eq!(t.s3(Some(&keys), "GET", "/shared/in/a.csv", b"").await.refusal().1, "AccessDenied");
    let newer = t.keys(&issuer).await;
    assert_eq!(t.s3(Some(&newer), "GET", "/shared/in/a.csv", b"").await.status, 200);
}

/// A-65.
#[tokio::test]
async fn an_unknown_action_is_refused_in_its_own_namespace() {
    let t = TestSim::start().await;
    let answer = t.iam_as(&t.root, "MakeCoffee", &[]).await;
    let text = "Could not find operation MakeCoffee for version 2010-05-08";
    assert_eq!(answer.refusal(), (400, "InvalidAction".to_owned(), text.to_owned()));
    assert!(answer.body.contains("http://webservices.amazon.com/AWSFault/2005-15-09"), "{}", answer.body);
}

#[tokio::test]
async fn a_signature_is_good_for_a_quarter_of_an_hour() {
    let t = TestSim::start_with(|options| {
        let late = ShiftedClock::new(options.wire_clock.clone());
        late.shift(SignedDuration::from_mins(16));
        options.wire_clock = std::sync::Arc::new(late);
    })
    .await;
    let (status, code, text) = t.iam_as(&t.root, "ListRoles", &[]).await.refusal();
    assert_eq!((status, code.as_str()), (403, "SignatureDoesNotMatch"));
    assert!(text.starts_with("Signature expired: ") && text.ends_with(" - 15 min.)"), "{text}");
}

#[tokio::test]
async fn callers_learn_who_they_are() {
    let issuer = TestIssuer::http().await;
    let t = TestSim::start().await;
    t.set_up(&issuer).await;
    let root = t.sts(Some(&t.root), "GetCallerIdentity", &[]).await;
    assert_eq!(root.text("Arn"), "arn:aws:iam::123456789012:root");
    let keys = t.keys(&issuer).await;
    let session = t.sts(Some(&keys), "GetCallerIdentity", &[]).await;
    assert_eq!(session.text("Arn"), "arn:aws:sts::123456789012:assumed-role/skyporten-role/917422575");
    assert!(session.text("UserId").starts_with("AROA") && session.text("UserId").ends_with(":917422575"));

    let tampered = Keys { token: keys.token.clone().map(|token| format!("{token}A")), ..keys.clone() };
    assert_eq!(t.sts(Some(&tampered), "GetCallerIdentity", &[]).await.refusal().1, "InvalidClientTokenId");
    t.clock.advance(SignedDuration::from_secs(3600));
    let text = "The security token included in the request is expired";
    let expired = t.sts(Some(&keys), "GetCallerIdentity", &[]).await;
    assert_eq!(expired.refusal(), (403, "ExpiredToken".to_owned(), text.to_owned()));
}

#[tokio::test]
async fn a_role_may_in_iam_what_its_policies_allow() {
    let issuer = TestIssuer::http().await;
    let t = TestSim::start().await;
    t.set_up(&issuer).await;
    let keys = t.keys(&issuer).await;
    let ask = [("RoleName", "skyporten-role")];
    let text = format!(
        "User: arn:aws:sts::123456789012:assumed-role/skyporten-role/917422575 is not authorized to perform: iam:GetRole on \
         resource: {ROLE} because no identity-based policy allows the iam:GetRole action"
    );
    assert_eq!(t.iam_as(&keys, "GetRole", &ask).await.refusal(), (403, "AccessDenied".to_owned(), text));
    t.put_policy(&json!([{"Effect": "Allow", "Action": "iam:Get*", "Resource": ROLE}])).await;
    assert_eq!(t.iam_as(&keys, "GetRole", &ask).await.status, 200);
    assert_eq!(t.iam_as(&keys, "DeleteRole", &ask).await.refusal().1, "AccessDenied");
}

#[tokio::test]
async fn a_role_with_policies_is_not_deleted() {
    let issuer = TestIssuer::http().await;
    let t = TestSim::start().await;
    t.set_up(&issuer).await;
    let role = ("RoleName", "skyporten-role");
    let policy = t.iam("CreatePolicy", &[("PolicyName", "all"), ("PolicyDocument", READ_ALL)]).await.text("Arn");
    let arn = ("PolicyArn", policy.as_str());
    t.iam("AttachRolePolicy", &[role, arn]).await;
    assert!(t.iam("ListAttachedRolePolicies", &[role]).await.body.contains(&policy));
    assert_eq!(t.iam_as(&t.root, "DeleteRole", &[role]).await.refusal().0, 409);
    assert_eq!(t.iam_as(&t.root, "DeletePolicy", &[arn]).await.refusal().1, "DeleteConflict");
    t.iam("DetachRolePolicy", &[role, arn]).await;
    assert_eq!(t.iam_as(&t.root, "DeleteRole", &[role]).await.refusal().2, "Cannot delete entity, must delete policies first.");
    t.iam("DeleteRolePolicy", &[role, ("PolicyName", "read")]).await;
    t.iam("DeleteRole", &[role]).await;
    t.iam("DeletePolicy", &[arn]).await;
    assert_eq!(t.iam_as(&t.root, "GetRole", &[role]).await.refusal().1, "NoSuchEntity");
}

#[tokio::test]
async fn documents_are_given_out_percent_encoded_and_versions_counted() {
    let t = TestSim::start().await;
    let policy = t.iam("CreatePolicy", &[("PolicyName", "all"), ("PolicyDocument", READ_ALL)]).await.text("Arn");
    let arn = ("PolicyArn", policy.as_str());
    let narrower = READ_ALL.replace('*', "arn:aws:s3:::b/*");
    t.iam("CreatePolicyVersion", &[arn, ("PolicyDocument", &narrower), ("SetAsDefault", "true")]).await;
    assert_eq!(t.iam("GetPolicy", &[arn]).await.text("DefaultVersionId"), "v2");
    let document = t.iam("GetPolicyVersion", &[arn, ("VersionId", "v1")]).await.text("Document");
    assert!(document.starts_with("%7B%22Version%22%3A%222012-10-17%22"), "{document}");
    let delete = t.iam_as(&t.root, "DeletePolicyVersion", &[arn, ("VersionId", "v2")]).await;
    assert_eq!(delete.refusal().1, "DeleteConflict", "the default version stays");
    t.iam("DeletePolicyVersion", &[arn, ("VersionId", "v1")]).await;
}

/// A-14, A-18.
#[tokio::test]
async fn what_is_not_there_is_named_as_aws_names_it() {
    let t = TestSim::start().await;
    let arn = "arn:aws:iam::123456789012:oidc-provider/sky.example.no";
    let provider = [("OpenIDConnectProviderArn", arn)];
    let text = format!("OpenId connect Provider {arn} cannot be found.");
    assert_eq!(
        t.iam_as(&t.root, "DeleteOpenIDConnectProvider", &provider).await.refusal(),
        (404, "NoSuchEntity".to_owned(), text)
    );
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": arn},
        "Action": "sts:AssumeRoleWithWebIdentity"}]});
    let role = [("RoleName", "r"), ("AssumeRolePolicyDocument", &trust.to_string())];
    let answer = t.iam_as(&t.root, "CreateRole", &role).await;
    assert_eq!(answer.refusal().2, format!("Invalid principal in policy: \"FEDERATED\":\"{arn}\""));
}

#[tokio::test]
async fn everything_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = TestIssuer::http().await;
    let t = TestSim::start_with(|options| options.state_dir = Some(folder.path().to_owned())).await;
    t.set_up(&issuer).await;
    let keys = t.keys(&issuer).await;
    t.sim.shutdown().await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(folder.path().join("aws.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "secrets are for their owner: {mode:o}");
    }

    let t = TestSim::start_with(|options| options.state_dir = Some(folder.path().to_owned())).await;
    let object = t.s3(Some(&keys), "GET", "/shared/in/a.csv", b"").await;
    assert_eq!((object.status, object.body.as_str()), (200, "hello"));
    assert!(t.iam("ListOpenIDConnectProviders", &[]).await.body.contains(&provider_arn(&issuer)));
    assert_eq!(t.exchange(&issuer.token(NOW, &json!({}))).await.status, 200);
}
