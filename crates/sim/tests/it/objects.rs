//! S3 with the keys of the account and of a role.

use std::fmt::Write as _;

use jiff::SignedDuration;
use serde_json::json;

use super::issuer::TestIssuer;
use super::sim::{AUDIENCE, Answer, Keys, TestSim};

const USER: &str = "User: arn:aws:sts::123456789012:assumed-role/skyporten-role/917422575 is not authorized to perform:";

#[tokio::test]
async fn an_object_outside_the_prefix_is_refused() {
    let (t, keys) = TestSim::with_session().await;
    let text = format!(
        "{USER} s3:GetObject on resource: \"arn:aws:s3:::shared/out/b.csv\" because no identity-based policy allows the s3:GetObject action"
    );
    let answer = t.s3(Some(&keys), "GET", "/shared/out/b.csv", b"").await;
    assert_eq!(answer.refusal(), (403, "AccessDenied".to_owned(), text));
    // S3 does not resolve dots: these are keys of their own below `in/`, and there is no such object.
    for path in ["/shared/in/../out/b.csv", "/shared/in/../../shared/out/b.csv"] {
        let answer = t.s3_verbatim(&t.root, "GET", path, b"").await;
        assert_eq!(answer.refusal().1, "NoSuchKey", "{path}");
        assert_eq!(t.s3_verbatim(&keys, "GET", path, b"").await.status, 403, "{path}");
    }
    // Dots in disguise: whatever becomes of the signature, the other file does not come out.
    for path in ["/shared/in/%2e%2e/out/b.csv", "/shared/in/..%2Fout/b.csv"] {
        assert!(t.s3_verbatim(&keys, "GET", path, b"").await.status >= 400, "{path}");
    }
    assert_eq!(t.s3(Some(&keys), "PUT", "/shared/out/c", b"x").await.refusal().1, "AccessDenied");
    assert_eq!(t.s3(Some(&keys), "PUT", "/shared/in/c", b"x").await.status, 200);
}

#[tokio::test]
async fn a_listing_is_judged_by_its_prefix() {
    let (t, keys) = TestSim::with_session().await;
    let inside = t.s3(Some(&keys), "GET", "/shared?list-type=2&prefix=in%2F", b"").await;
    assert_eq!((inside.status, inside.text("Key").as_str()), (200, "in/a.csv"), "{}", inside.body);
    assert_eq!(inside.text("ETag"), "\"5d41402abc4b2a76b9719d911017c592\"", "MD5 of hello");
    assert_eq!(t.s3(Some(&keys), "GET", "/shared?list-type=2", b"").await.refusal().1, "AccessDenied");
    assert_eq!(t.s3(Some(&keys), "GET", "/shared?list-type=2&prefix=in%2F&prefix=out%2F", b"").await.status / 100, 4);
}

/// Whoever may not list does not learn which keys there are.
#[tokio::test]
async fn an_absent_key_is_told_only_to_those_who_may_list() {
    let (t, keys) = TestSim::with_session().await;
    let root = t.root.clone();
    assert_eq!(t.s3(Some(&root), "GET", "/shared/in/none", b"").await.refusal().1, "NoSuchKey");
    assert_eq!(t.s3(Some(&keys), "GET", "/shared/in/none", b"").await.refusal().1, "AccessDenied");
}

#[tokio::test]
async fn wrong_keys_and_tokens_are_told_apart() {
    let (t, keys) = TestSim::with_session().await;
    let get = async |keys: Option<&Keys>| -> Answer { t.s3(keys, "GET", "/shared/in/a.csv", b"").await };
    assert_eq!(get(None).await.refusal(), (403, "AccessDenied".to_owned(), "Access Denied".to_owned()));
    let tampered = Keys { token: keys.token.clone().map(|token| format!("{token}A")), ..keys.clone() };
    let text = "The provided token is malformed or otherwise invalid.";
    assert_eq!(get(Some(&tampered)).await.refusal(), (400, "InvalidToken".to_owned(), text.to_owned()));
    let without = Keys { token: None, ..keys.clone() };
    assert_eq!(get(Some(&without)).await.refusal().1, "InvalidAccessKeyId");
    let wrong_secret = Keys { secret: "wrong".to_owned(), ..keys.clone() };
    assert_eq!(get(Some(&wrong_secret)).await.refusal().1, "SignatureDoesNotMatch");
    let unknown = Keys { id: "AKIANOBODY".to_owned(), token: None, ..keys.clone() };
    let text = "The AWS Access Key Id you provided does not exist in our records.";
    assert_eq!(get(Some(&unknown)).await.refusal(), (403, "InvalidAccessKeyId".to_owned(), text.to_owned()));
    assert_eq!(get(Some(&keys)).await.status, 200);
    t.clock.advance(SignedDuration::from_secs(3600));
    let text = "The provided token has expired.";
    assert_eq!(get(Some(&keys)).await.refusal(), (400, "ExpiredToken".to_owned(), text.to_owned()));
}

#[tokio::test]
async fn a_change_of_the_policies_counts_at_once() {
    let (t, keys) = TestSim::with_session().await;
    t.put_policy(&json!([{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::shared/out/*"}])).await;
    assert_eq!(t.s3(Some(&keys), "GET", "/shared/in/a.csv", b"").await.status, 403);
    assert_eq!(t.s3(Some(&keys), "GET", "/shared/out/b.csv", b"").await.status, 200);
    t.iam("DeleteRolePolicy", &[("RoleName", "skyporten-role"), ("PolicyName", "read")]).await;
    assert_eq!(t.s3(Some(&keys), "GET", "/shared/out/b.csv", b"").await.status, 403);
    t.iam("DeleteRole", &[("RoleName", "skyporten-role")]).await;
    assert_eq!(t.s3(Some(&keys), "GET", "/shared/out/b.csv", b"").await.status, 403);
}

/// What the token said goes on counting: the provider's subject is a key for policies further on, a claim such as the scope is none.
#[tokio::test]
async fn a_80_policies_further_on_can_look_at_the_subject_and_at_no_other_claim() {
    let issuer = TestIssuer::http().await;
    let t = TestSim::start().await;
    t.set_up(&issuer).await;
    let keys = t.keys(&issuer).await;
    let host = issuer.host();
    let only = async |key: String, value: &str| {
        let condition = json!({"StringEquals": {key: value}});
        let statement =
            json!([{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::shared/*", "Condition": condition}]);
        t.put_policy(&statement).await;
        t.s3(Some(&keys), "GET", "/shared/in/a.csv", b"").await.status
    };
    assert_eq!(only(format!("{host}:sub"), "0192:917422575;entur:demo").await, 200);
    assert_eq!(only(format!("{host}:sub"), "0192:889640782;entur:demo").await, 403);
    assert_eq!(only(format!("{host}:aud"), AUDIENCE).await, 200);
    assert_eq!(only(format!("{host}:scope"), "entur:demo").await, 403);
}

/// D-32: what stands at the bucket counts beside what stands at the role.
#[tokio::test]
async fn d_32_a_buckets_policy_lets_in_and_keeps_out() {
    let (t, keys) = TestSim::with_session().await;
    let root = t.root.clone();
    let put = async |effect: &str| {
        let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": "s3:GetObject",
            "Principal": {"AWS": "arn:aws:iam::123456789012:role/skyporten-role"}, "Resource": "arn:aws:s3:::shared/*"}]});
        let answer = t.s3(Some(&root), "PUT", "/shared?policy", policy.to_string().as_bytes()).await;
        assert_eq!(answer.status / 100, 2, "{}", answer.body);
    };
    assert_eq!(t.s3(Some(&root), "GET", "/shared?policy", b"").await.refusal().1, "NoSuchBucketPolicy");
    assert_eq!(t.s3(Some(&keys), "PUT", "/shared?policy", b"{}").await.refusal().1, "AccessDenied", "not the consumer's to set");
    put("Allow").await;
    assert_eq!(t.s3(Some(&keys), "GET", "/shared/out/b.csv", b"").await.status, 200);
    put("Deny").await;
    let refusal = t.s3(Some(&keys), "GET", "/shared/in/a.csv", b"").await.refusal();
    assert!(refusal.2.ends_with("with an explicit deny in a resource-based policy"), "{refusal:?}");
    assert_eq!(t.s3(Some(&root), "DELETE", "/shared?policy", b"").await.status, 204);
    assert_eq!(t.s3(Some(&keys), "GET", "/shared/in/a.csv", b"").await.status, 200);
    let foreign = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::other/*"}]}"#;
    assert_eq!(t.s3(Some(&root), "PUT", "/shared?policy", foreign.as_bytes()).await.refusal().1, "MalformedPolicy");
}

#[tokio::test]
async fn a_copy_needs_both_ends() {
    let (t, keys) = TestSim::with_session().await;
    let copy = async |source: &str| {
        let headers = [("x-amz-copy-source", source)];
        t.send(Some((&keys, "s3")), "PUT", "/shared/in/copy", &headers, b"").await.status
    };
    assert_eq!(copy("shared/in/a.csv").await, 200);
    assert_eq!(copy("/shared/in/a.csv").await, 200);
    assert_eq!(copy("shared/out/b.csv").await, 403);
    assert_eq!(copy("shared/in%2F..%2F..%2Fout/b.csv").await / 100, 4);
}

#[tokio::test]
async fn deleting_several_objects_is_judged_key_by_key() {
    let (t, keys) = TestSim::with_session().await;
    let body = b"<Delete><Object><Key>in/a.csv</Key></Object><Object><Key>out/b.csv</Key></Object></Delete>";
    let answer = t.s3(Some(&keys), "POST", "/shared?delete=", body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.text("Deleted").contains("in/a.csv"), "{}", answer.body);
    assert!(answer.text("Error").contains("out/b.csv") && answer.text("Error").contains("AccessDenied"), "{}", answer.body);
    assert_eq!(t.s3(Some(&t.root), "GET", "/shared/out/b.csv", b"").await.status, 200);
}

#[tokio::test]
async fn keys_of_every_kind_are_kept_apart() {
    let t = TestSim::start().await;
    let root = t.root.clone();
    assert_eq!(t.s3(Some(&root), "PUT", "/b-1", b"").await.status, 200);
    let paths = ["/b-1/a", "/b-1/a/", "/b-1/a/b", "/b-1/a//b", "/b-1/h%20%C3%A6%C3%B8%C3%A5%2B.txt"];
    for path in paths {
        let answer = t.s3_verbatim(&root, "PUT", path, path.as_bytes()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    for path in paths {
        let answer = t.s3_verbatim(&root, "GET", path, b"").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, path));
    }
    assert_eq!(t.s3(Some(&root), "PUT", "/NotABucket", b"").await.refusal().1, "InvalidBucketName");
    assert_eq!(t.s3(Some(&root), "PUT", "/b-1", b"").await.refusal().1, "BucketAlreadyOwnedByYou");
    assert_eq!(t.s3(Some(&root), "DELETE", "/b-1", b"").await.refusal().1, "BucketNotEmpty");
}

#[tokio::test]
async fn ranges_conditions_and_checksums_hold() {
    let (t, keys) = TestSim::with_session().await;
    let get = async |headers: &[(&str, &str)]| t.send(Some((&keys, "s3")), "GET", "/shared/in/a.csv", headers, b"").await;
    let part = get(&[("range", "bytes=1-3")]).await;
    assert_eq!((part.status, part.body.as_str()), (206, "ell"));
    assert_eq!(get(&[("range", "bytes=9-")]).await.status, 416);
    assert_eq!(get(&[("if-none-match", "\"5d41402abc4b2a76b9719d911017c592\"")]).await.status, 304);
    assert_eq!(get(&[("if-match", "\"00000000000000000000000000000000\"")]).await.status, 412);
    let put = async |headers: &[(&str, &str)]| t.send(Some((&keys, "s3")), "PUT", "/shared/in/a.csv", headers, b"world").await;
    assert_eq!(put(&[("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")]).await.refusal().1, "BadDigest", "the MD5 of hello");
    assert_eq!(put(&[("x-amz-checksum-crc32", "AAAAAA==")]).await.refusal().1, "BadDigest");
    assert_eq!(put(&[("if-none-match", "*")]).await.refusal().1, "PreconditionFailed");
    assert_eq!(get(&[]).await.body, "hello", "nothing of it was kept");
}

/// Credentials are renewed while a large file is on its way.
#[tokio::test]
async fn an_upload_in_parts_goes_on_with_newer_credentials() {
    let issuer = TestIssuer::http().await;
    let t = TestSim::start().await;
    t.set_up(&issuer).await;
    let (first, second) = (t.keys(&issuer).await, t.keys(&issuer).await);
    let begun = t.s3(Some(&first), "POST", "/shared/in/big?uploads=", b"").await;
    let id = begun.text("UploadId");
    let large = vec![b'x'; 5 * 1024 * 1024];
    for (number, keys, body) in [(1, &first, &large[..]), (2, &second, b"end")] {
        let answer = t.s3(Some(keys), "PUT", &format!("/shared/in/big?partNumber={number}&uploadId={id}"), body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let complete = async |numbers: &[i32]| {
        let parts = numbers.iter().fold(String::new(), |mut xml, number| {
            write!(xml, "<Part><PartNumber>{number}</PartNumber></Part>").unwrap();
            xml
        });
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        t.s3(Some(&second), "POST", &format!("/shared/in/big?uploadId={id}"), body.as_bytes()).await
    };
    assert_eq!(complete(&[2, 1]).await.refusal().1, "InvalidPartOrder");
    assert_eq!(complete(&[1, 3]).await.refusal().1, "InvalidPart");
    let done = complete(&[1, 2]).await;
    assert!(done.text("ETag").ends_with("-2\""), "{}", done.body);
    assert_eq!(t.s3(Some(&second), "GET", "/shared/in/big", b"").await.body.len(), large.len() + 3);
    assert_eq!(complete(&[1, 2]).await.refusal().1, "NoSuchUpload");
}
