//! What a restart keeps.

use crate::account::{Account, root};
use crate::issuer::TestIssuer;

#[tokio::test]
async fn providers_and_objects_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let account = Account::bare(TestIssuer::http().await, Some(folder.path())).await;
    account.create_provider(Some(&"a".repeat(40))).await;
    account.s3("PUT", "/data", b"", Some(&root())).await;
    account.s3("PUT", "/data/k", b"kept", Some(&root())).await;
    let Account { sim, issuer, .. } = account;
    sim.shutdown().await;

    let account = Account::bare(issuer, Some(folder.path())).await;
    let listed = account.iam("ListOpenIDConnectProviders", &[]).await;
    assert!(listed.1.contains(account.issuer.host()), "{}", listed.1);
    assert_eq!(account.s3("GET", "/data/k", b"", Some(&root())).await.1, "kept");
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_kept_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let account = Account::bare(TestIssuer::http().await, Some(folder.path())).await;
    account.create_provider(Some(&"a".repeat(40))).await;
    let mode = std::fs::metadata(folder.path().join("aws.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}
