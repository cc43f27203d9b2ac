//! Transfer with Google Cloud Storage, Azure Blob Storage and Azure Files, and what a broken transfer leaves to be continued.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use skybru_client::storage::{
    AzurePlace, BearerSource, Bucket, CredentialError, Deletion, Depth, Filter, MULTIPART_FROM, Mode, StorageError, Tree,
    TreeOptions, copy_tree,
};
use skybru_core::Secret;

use crate::azure_storage::{Kept, TestAzure, md5_base64};
use crate::http;
use crate::issuer::ctx;
use crate::s3::{BUCKET, TestS3};
use crate::storage::{files_in, open};

/// Gives the same token to everybody, and counts.
#[derive(Debug, Default)]
struct Bearer(AtomicUsize);

#[async_trait]
impl BearerSource for Bearer {
    async fn bearer(&self) -> Result<Secret, CredentialError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Secret::from("sky".to_owned()))
    }
}

/// Never has one.
#[derive(Debug)]
struct Nobody;

#[async_trait]
impl BearerSource for Nobody {
    async fn bearer(&self) -> Result<Secret, CredentialError> {
        Err(CredentialError::new(std::io::Error::other("no token today"), Some("ask tomorrow".to_owned())))
    }
}

fn place(azure: &TestAzure, name: &str) -> AzurePlace {
    AzurePlace { account: "skyportenstorage".to_owned(), name: name.to_owned(), endpoint: Some(azure.url.clone()) }
}

fn blobs(azure: &TestAzure) -> Bucket {
    Bucket::open_azure_blob(ctx().0, &http(), Arc::<Bearer>::default(), "me", &place(azure, "files")).unwrap()
}

fn files(azure: &TestAzure) -> Bucket {
    Bucket::open_azure_files(ctx().0, &http(), Arc::<Bearer>::default(), "me", &place(azure, "share")).unwrap()
}

fn google(s3: &TestS3) -> Bucket {
    Bucket::open_google(ctx().0, &http(), Arc::<Bearer>::default(), "me", BUCKET, Some(&s3.url)).unwrap()
}

fn long() -> Vec<u8> {
    (0..2 * usize::try_from(MULTIPART_FROM).unwrap() + 1000).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

async fn sync(from: &Tree, to: &Tree) -> (u64, u64, u64) {
    let mode = Mode::Sync { checksum: false, deletion: Deletion::Extra };
    let options = TreeOptions { filter: Filter::default(), mode, resume: true, dry_run: false };
    let done = copy_tree(from, to, &options, &|_| (), &()).await.unwrap();
    (done.copied.files, done.unchanged, done.deleted)
}

/// Up, listed, copied there, down again, deleted: the same for every cloud.
async fn there_and_back(bucket: &Bucket, folder: &Path) {
    std::fs::write(folder.join("small"), "sky").unwrap();
    std::fs::write(folder.join("long"), long()).unwrap();
    std::fs::write(folder.join("empty"), "").unwrap();
    for name in ["small", "long", "empty"] {
        bucket.upload(&folder.join(name), &format!("a b/deep/{name}"), false, &()).await.unwrap();
    }
    let listed: Vec<_> = bucket.list("a b/", Depth::All).try_collect().await.unwrap();
    let keys: Vec<&str> = listed.iter().map(skybru_client::storage::Entry::key).collect();
    assert_eq!(keys, ["a b/deep/empty", "a b/deep/long", "a b/deep/small"]);
    assert_eq!(bucket.info("a b/deep/long").await.unwrap().size, long().len() as u64);
    bucket.copy_object("a b/deep/small", 3, bucket, "copy", &()).await.unwrap();
    for (key, content) in [("a b/deep/long", long()), ("copy", b"sky".to_vec()), ("a b/deep/empty", Vec::new())] {
        let to = folder.join("down");
        bucket.download(key, &to, false, &()).await.unwrap();
        assert!(std::fs::read(&to).unwrap() == content, "{key}");
    }
    bucket.delete("copy").await.unwrap();
    let error = bucket.read("copy").await.unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
}

#[tokio::test]
async fn google_takes_and_gives_files_of_any_length() {
    let (s3, folder) = (TestS3::start(&[]).await, tempfile::tempdir().unwrap());
    there_and_back(&google(&s3), folder.path()).await;
    assert_eq!(s3.count("PUT a b/deep/long"), 3, "three parts");
    let inside = s3.inside.lock().unwrap();
    assert!(inside.sums_checked >= 4, "every body came with its CRC32C");
}

#[tokio::test]
async fn azure_blobs_take_and_give_files_of_any_length() {
    let (azure, folder) = (TestAzure::start().await, tempfile::tempdir().unwrap());
    there_and_back(&blobs(&azure), folder.path()).await;
    assert_eq!(azure.count("comp=block&"), 3);
    let inside = azure.inside.lock().unwrap();
    assert_eq!(inside.blobs["a b/deep/long"].md5.as_deref(), Some(&*md5_base64(&long())), "the whole's own sum is kept with it");
}

#[tokio::test]
async fn azure_files_take_and_give_files_of_any_length() {
    let (azure, folder) = (TestAzure::start().await, tempfile::tempdir().unwrap());
    let share = files(&azure);
    {
        // Copies of a share are made by renaming too.
        std::fs::write(folder.path().join("small"), "sky").unwrap();
        std::fs::write(folder.path().join("long"), long()).unwrap();
        for name in ["small", "long"] {
            share.upload(&folder.path().join(name), &format!("a b/deep/{name}"), false, &()).await.unwrap();
        }
    }
    let keys = |listed: Vec<skybru_client::storage::Entry>| listed.iter().map(|entry| entry.key().to_owned()).collect::<Vec<_>>();
    assert_eq!(keys(share.list("", Depth::All).try_collect().await.unwrap()), ["a b/deep/long", "a b/deep/small"]);
    assert_eq!(keys(share.list("a b/deep/sm", Depth::All).try_collect().await.unwrap()), ["a b/deep/small"]);
    assert_eq!(keys(share.list("", Depth::Folder).try_collect().await.unwrap()), ["a b/"]);
    assert_eq!(keys(share.list("nowhere/", Depth::All).try_collect().await.unwrap()), [""; 0]);
    let to = folder.path().join("down");
    share.download("a b/deep/long", &to, false, &()).await.unwrap();
    assert!(std::fs::read(&to).unwrap() == long());
    assert!(azure.inside.lock().unwrap().files.keys().all(|name| !name.contains("skybru-part")), "only what is whole is there");
    share.delete("a b/deep/long").await.unwrap();
    assert!(share.info("a b/deep/long").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn what_azure_damaged_is_thrown_away() {
    let (azure, folder) = (TestAzure::start().await, tempfile::tempdir().unwrap());
    let kept = Kept { content: b"one".to_vec(), md5: None, ..Kept::default() };
    azure.inside.lock().unwrap().blobs.insert("a".to_owned(), kept.clone());
    azure.inside.lock().unwrap().files.insert("a".to_owned(), kept);
    azure.inside.lock().unwrap().lie = true;
    for bucket in [blobs(&azure), files(&azure)] {
        let error = bucket.download("a", &folder.path().join("a"), false, &()).await.unwrap_err();
        assert!(matches!(error, StorageError::Checksum { .. }), "{error:?}");
        assert_eq!(files_in(folder.path()), [""; 0]);
    }
}

#[tokio::test]
async fn what_google_damaged_is_thrown_away() {
    let (s3, folder) = (TestS3::start(&[("a", b"one")]).await, tempfile::tempdir().unwrap());
    s3.inside.lock().unwrap().lie = true;
    let error = google(&s3).download("a", &folder.path().join("a"), false, &()).await.unwrap_err();
    assert!(matches!(&error, StorageError::Checksum { expected, .. } if expected.len() == 8), "a CRC32C: {error:?}");
    assert_eq!(files_in(folder.path()), [""; 0]);
}

/// A hierarchical namespace lists `a/b` before `a.csv`.
#[tokio::test]
async fn a_folder_is_kept_like_a_container_in_whatever_order_that_is_listed() {
    let (azure, folder) = (TestAzure::start().await, tempfile::tempdir().unwrap());
    let names = ["t/a.csv", "t/a/b.csv", "t/a/c.csv", "t/b.csv"];
    for name in names {
        let kept = Kept { content: name.as_bytes().to_vec(), md5: None, ..Kept::default() };
        azure.inside.lock().unwrap().blobs.insert(name.to_owned(), kept);
    }
    let (container, local) = (Tree::below(blobs(&azure), "t"), Tree::Folder(folder.path().into()));
    assert_eq!(sync(&container, &local).await, (4, 0, 0));
    assert_eq!(sync(&container, &local).await, (0, 4, 0));
    std::fs::write(folder.path().join("extra"), "").unwrap();
    assert_eq!(sync(&container, &local).await, (0, 4, 1));
    std::fs::remove_file(folder.path().join("a/b.csv")).unwrap();
    assert_eq!(sync(&local, &container).await, (0, 3, 1));
}

#[tokio::test]
async fn without_a_token_nobody_is_asked() {
    let azure = TestAzure::start().await;
    let bucket = Bucket::open_azure_files(ctx().0, &http(), Arc::new(Nobody), "me", &place(&azure, "share")).unwrap();
    let error = bucket.read("a").await.unwrap_err();
    assert!(matches!(error, StorageError::Credentials { .. }), "{error:?}");
    assert_eq!(error.hint().as_deref(), Some("ask tomorrow"));
    assert_eq!(error.to_string(), "no credentials for azfiles://skyportenstorage/share/");
    assert_eq!(azure.count(""), 0);
}

/// A token lives shorter than a long transfer.
#[tokio::test]
async fn every_request_asks_for_the_token_that_is_valid_now() {
    let (azure, folder) = (TestAzure::start().await, tempfile::tempdir().unwrap());
    let bearer = Arc::<Bearer>::default();
    let bucket = Bucket::open_azure_blob(ctx().0, &http(), bearer.clone(), "me", &place(&azure, "files")).unwrap();
    std::fs::write(folder.path().join("long"), long()).unwrap();
    bucket.upload(&folder.path().join("long"), "long", false, &()).await.unwrap();
    assert_eq!(bearer.0.load(Ordering::Relaxed), 4, "three blocks and their list");
}

#[tokio::test]
async fn an_interrupted_upload_is_continued_with_the_parts_that_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long");
    std::fs::write(&path, long()).unwrap();

    let azure = TestAzure::start().await;
    azure.inside.lock().unwrap().blocks_left = Some(1);
    blobs(&azure).upload(&path, "long", true, &()).await.unwrap_err();
    let arrived = azure.inside.lock().unwrap().blocks.len();
    assert_eq!(arrived, 1);
    azure.inside.lock().unwrap().blocks_left = None;
    let done = blobs(&azure).upload(&path, "long", true, &()).await.unwrap();
    assert!(done.bytes < long().len() as u64, "one part was there: {done:?}");
    assert!(azure.inside.lock().unwrap().blobs["long"].content == long());

    let s3 = TestS3::start(&[]).await;
    for bucket in [open(&s3, BUCKET).await, google(&s3)] {
        s3.inside.lock().unwrap().break_parts = true;
        bucket.upload(&path, "long", true, &()).await.unwrap_err();
        s3.inside.lock().unwrap().break_parts = false;
        let done = bucket.upload(&path, "long", true, &()).await.unwrap();
        assert_eq!(done.bytes, long().len() as u64 - MULTIPART_FROM, "the first part was there");
        assert!(s3.object("long").unwrap() == long());
    }
}

/// A share keeps no sums of ranges: what was written is read back.
#[tokio::test]
async fn an_interrupted_upload_to_a_share_goes_on_with_the_parts_that_are_whole_and_the_same() {
    let (azure, folder) = (TestAzure::start().await, tempfile::tempdir().unwrap());
    let (path, share) = (folder.path().join("long"), files(&azure));
    std::fs::write(&path, long()).unwrap();
    let broken = async |ranges| {
        azure.inside.lock().unwrap().blocks_left = Some(ranges);
        share.upload(&path, "a/long", true, &()).await.unwrap_err();
        azure.inside.lock().unwrap().blocks_left = None;
    };
    let has = |name: &str| azure.inside.lock().unwrap().files.get(name).map(|kept| kept.content.clone());

    // Five ranges make two parts and a bit: whichever one is missing, a part at least is whole.
    broken(4).await;
    let listed: Vec<_> = share.list("", Depth::All).try_collect().await.unwrap();
    assert!(listed.is_empty(), "what is not whole is not there: {listed:?}");
    let done = share.upload(&path, "a/long", true, &()).await.unwrap();
    assert!(done.bytes < long().len() as u64, "{done:?}");
    assert!(has("a/long").unwrap() == long());
    let inside = azure.inside.lock().unwrap().files["a/long"].md5.clone();
    assert_eq!(inside.as_deref(), Some(&*md5_base64(&long())), "the sum of the whole is kept with it");

    // The source became shorter and another: the file is cut, and what differs is sent again.
    broken(4).await;
    let mut other = long()[..long().len() - 500].to_vec();
    other[0] ^= 1;
    std::fs::write(&path, &other).unwrap();
    share.upload(&path, "a/long", true, &()).await.unwrap();
    assert!(has("a/long").unwrap() == other);
    assert_eq!(azure.inside.lock().unwrap().files.len(), 1, "nothing is left behind");
}

#[tokio::test]
async fn parts_of_other_content_are_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long");
    std::fs::write(&path, long()).unwrap();
    let s3 = TestS3::start(&[]).await;
    let bucket = open(&s3, BUCKET).await;
    s3.inside.lock().unwrap().break_parts = true;
    bucket.upload(&path, "long", true, &()).await.unwrap_err();
    s3.inside.lock().unwrap().break_parts = false;
    let mut other = long();
    other[0] ^= 1;
    std::fs::write(&path, &other).unwrap();
    let done = bucket.upload(&path, "long", true, &()).await.unwrap();
    assert_eq!(done.bytes, other.len() as u64);
    assert!(s3.object("long").unwrap() == other);
}
