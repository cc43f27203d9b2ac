//! From a token to a file, and what credentials cannot do.

use jiff::SignedDuration;
use serde_json::json;

use crate::account::{Account, root};
use crate::issuer::TestIssuer;

///
#[tokio::test]
async fn a_token_becomes_credentials_and_credentials_read_the_file() {
    let account = Account::with(TestIssuer::http().await).await;
    let answer = account.assume(&account.token(&json!({}))).await;
    assert_eq!(answer.0, 200, "{}", answer.1);
    assert_eq!(answer.element("SubjectFromWebIdentityToken"), Some("0192:917422575;entur:demo"));
    assert_eq!(answer.element("Audience"), Some("https://skyporten.example.no"));
    let provider = format!("arn:aws:iam::123456789012:oidc-provider/{}", account.issuer.host());
    assert_eq!(answer.element("Provider"), Some(provider.as_str()));
    let key = account.credentials().await;
    assert!(key.id.starts_with("ASIA"));
    assert_eq!(account.s3("GET", "/data/in/a.csv", b"", Some(&key)).await.1, "x;y");
    let who = account.query("sts", "2011-06-15", "GetCallerIdentity", &[], Some(&key)).await;
    assert_eq!(who.element("Arn"), Some("arn:aws:sts::123456789012:assumed-role/reader/test"));
}

#[tokio::test]
async fn what_the_role_does_not_allow_is_refused_in_s3s_words() {
    let account = Account::with(TestIssuer::http().await).await;
    let key = account.credentials().await;
    let refused = account.s3("GET", "/data/out/b.csv", b"", Some(&key)).await;
    let (status, code, text) = refused.error();
    assert_eq!((status, code), (403, "AccessDenied"));
    assert!(text.contains("is not authorized to perform: s3:GetObject on resource:"), "{text}");
    assert_eq!(account.s3("PUT", "/data/in/a.csv", b"z", Some(&key)).await.error().1, "AccessDenied");
    assert_eq!(account.s3("GET", "/data/in/a.csv", b"", None).await.error().1, "AccessDenied", "nobody");
    for sly in ["/data/in/../out/b.csv", "/data/in/%2e%2e/out/b.csv", "/data/in/..%2fout/b.csv"] {
        let answer = account.s3("GET", sly, b"", Some(&key)).await;
        assert!(answer.0 >= 400 && !answer.1.contains("x;y"), "{sly}: {}", answer.1);
    }
}

#[tokio::test]
async fn temporary_keys_need_their_token_their_secret_and_their_time() {
    let account = Account::with(TestIssuer::http().await).await;
    let key = account.credentials().await;
    let read = async |change: &dyn Fn(&mut crate::account::Key)| {
        let mut changed = key.clone();
        change(&mut changed);
        account.s3("GET", "/data/in/a.csv", b"", Some(&changed)).await.error().1.to_owned()
    };
    assert_eq!(read(&|key| key.token = Some("x".repeat(100))).await, "InvalidToken");
    assert_eq!(read(&|key| key.token = None).await, "InvalidAccessKeyId");
    assert_eq!(read(&|key| key.secret = "wrong".to_owned()).await, "SignatureDoesNotMatch");
    assert_eq!(read(&|key| key.id = "ASIAIOSFODNN7EXAMPLE".to_owned()).await, "InvalidAccessKeyId");
    account.clock.advance(SignedDuration::from_secs(901));
    assert_eq!(read(&|_| ()).await, "ExpiredToken");
}

#[tokio::test]
async fn a_change_of_the_role_takes_effect_at_once() {
    let account = Account::with(TestIssuer::http().await).await;
    let key = account.credentials().await;
    account.iam("DeleteRolePolicy", &[("RoleName", "reader"), ("PolicyName", "read")]).await;
    assert_eq!(account.s3("GET", "/data/in/a.csv", b"", Some(&key)).await.error().1, "AccessDenied");
}

///
#[tokio::test]
async fn iam_is_for_whoever_signs_rightly() {
    let account = Account::with(TestIssuer::http().await).await;
    let list = async |key: Option<&crate::account::Key>| {
        let answer = account.query("iam", "2010-05-08", "ListRoles", &[], key).await;
        (answer.0, answer.error().1.to_owned())
    };
    assert_eq!(list(Some(&root())).await.0, 200);
    assert_eq!(list(None).await, (403, "MissingAuthenticationToken".to_owned()));
    let wrong = crate::account::Key { secret: "guess".to_owned(), ..root() };
    assert_eq!(list(Some(&wrong)).await, (403, "SignatureDoesNotMatch".to_owned()));
    let unknown = crate::account::Key { id: "AKIAUNKNOWNUNKNOWN00".to_owned(), ..root() };
    assert_eq!(list(Some(&unknown)).await, (403, "InvalidClientTokenId".to_owned()));
    assert_eq!(list(Some(&account.credentials().await)).await, (403, "AccessDenied".to_owned()), "the role allows no IAM");
}
