//! Listing and transfer.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::TryStreamExt as _;
use skybru_client::storage::{
    Bucket, Depth, Entry, Filter, MULTIPART_FROM, Mode, Progress, StorageError, Synced, Transferred, Tree, TreeOptions, copy_tree,
};

use crate::exchange::{source, target};
use crate::http;
use crate::http::tls_server;
use crate::issuer::{TestIssuer, ctx};
use crate::s3::{BUCKET, TestS3};
use crate::sts::{TestSts, refusal};

/// The bucket as a consumer sees it: token, exchange and all.
pub(crate) async fn open(s3: &TestS3, bucket: &str) -> Bucket {
    let (issuer, sts) = (TestIssuer::start([]).await, TestSts::start([]).await);
    let (ctx, _) = ctx();
    let credentials = source(&ctx, &issuer, target(&sts));
    Bucket::open_at(ctx, &http(), credentials, bucket, Some(&s3.url)).unwrap()
}

async fn keys(bucket: &Bucket, prefix: &str, depth: Depth) -> Vec<String> {
    let entries: Vec<Entry> = bucket.list(prefix, depth).try_collect().await.unwrap();
    entries.iter().map(|entry| entry.key().to_owned()).collect()
}

async fn copy(from: &Tree, to: &Tree, progress: &dyn Progress) -> Synced {
    let options = TreeOptions { filter: Filter::default(), mode: Mode::Copy, resume: false, dry_run: false };
    copy_tree(from, to, &options, &|_| (), progress).await.unwrap()
}

const SOME: [(&str, &[u8]); 5] =
    [("a.csv", b"one"), ("t/2025/x.csv", b"two"), ("t/2026/y.csv", b"three"), ("t/2026/z.csv", b""), ("t/top.csv", b"five")];

#[derive(Default)]
struct Counting {
    total: AtomicU64,
    advanced: AtomicU64,
    finished: AtomicU64,
}

impl Progress for Counting {
    fn started(&self, total: Option<u64>) {
        self.total.fetch_add(total.unwrap_or(0), Ordering::Relaxed);
    }
    fn advanced(&self, bytes: u64) {
        self.advanced.fetch_add(bytes, Ordering::Relaxed);
    }
    fn finished(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counting {
    fn numbers(&self) -> (u64, u64, u64) {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (number(&self.total), number(&self.advanced), number(&self.finished))
    }
}

pub(crate) fn files_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_listing_goes_to_the_next_slash_or_all_the_way_page_by_page() {
    let s3 = TestS3::start(&SOME).await;
    let bucket = open(&s3, BUCKET).await;
    assert_eq!(keys(&bucket, "", Depth::Folder).await, ["a.csv", "t/"]);
    assert_eq!(keys(&bucket, "t/", Depth::Folder).await, ["t/2025/", "t/2026/", "t/top.csv"]);
    assert_eq!(keys(&bucket, "t/20", Depth::All).await, ["t/2025/x.csv", "t/2026/y.csv", "t/2026/z.csv"]);
    let all = keys(&bucket, "", Depth::All).await;
    assert_eq!(all, SOME.map(|(key, _)| key));
    let info = bucket.info("t/2026/y.csv").await.unwrap();
    assert_eq!((info.size, info.last_modified.to_string().as_str()), (5, "2026-01-01T00:00:00Z"));
}

#[tokio::test]
async fn a_download_appears_whole_and_leaves_nothing_beside_it() {
    let s3 = TestS3::start(&SOME).await;
    let (bucket, folder) = (open(&s3, BUCKET).await, tempfile::tempdir().unwrap());
    let progress = Counting::default();
    let done = bucket.download("t/2026/y.csv", &folder.path().join("new/y.csv"), false, &progress).await.unwrap();
    assert_eq!(done, Transferred { files: 1, bytes: 5 });
    assert_eq!(progress.numbers(), (5, 5, 1));
    assert_eq!(std::fs::read(folder.path().join("new/y.csv")).unwrap(), b"three");
    assert_eq!(files_in(&folder.path().join("new")), ["y.csv"]);
}

#[tokio::test]
async fn a_damaged_download_is_thrown_away() {
    let s3 = TestS3::start(&SOME).await;
    s3.inside.lock().unwrap().lie = true;
    let (bucket, folder) = (open(&s3, BUCKET).await, tempfile::tempdir().unwrap());
    for resume in [false, true] {
        let error = bucket.download("a.csv", &folder.path().join("a.csv"), resume, &()).await.unwrap_err();
        assert!(matches!(error, StorageError::Checksum { .. }), "{error:?}");
        assert_eq!(files_in(folder.path()), [""; 0], "resume: {resume}");
    }
    // With KMS the ETag is no checksum.
    s3.inside.lock().unwrap().kms = true;
    assert!(bucket.download("a.csv", &folder.path().join("a.csv"), false, &()).await.is_ok());
}

#[tokio::test]
async fn a_download_continues_where_it_ended_if_the_object_is_the_same() {
    let s3 = TestS3::start(&SOME).await;
    let (bucket, folder) = (open(&s3, BUCKET).await, tempfile::tempdir().unwrap());
    let to = folder.path().join("y.csv");
    let part = part_of(&bucket, &to).await;
    std::fs::write(&part, b"thr").unwrap();
    let progress = Counting::default();
    let done = bucket.download("t/2026/y.csv", &to, true, &progress).await.unwrap();
    assert_eq!(done.bytes, 2, "three of five bytes were here");
    assert_eq!(progress.numbers(), (5, 5, 1));
    assert_eq!(std::fs::read(&to).unwrap(), b"three");

    // Another object under the same key is begun anew.
    std::fs::write(&part, b"thr").unwrap();
    s3.inside.lock().unwrap().objects.insert("t/2026/y.csv".to_owned(), b"other".to_vec());
    assert_eq!(bucket.download("t/2026/y.csv", &to, true, &()).await.unwrap().bytes, 5);
    assert_eq!(std::fs::read(&to).unwrap(), b"other");
}

/// Where the unfinished part of `t/2026/y.csv` lies: a download whose target is a folder cannot be put in place, and keeps its part.
async fn part_of(bucket: &Bucket, to: &Path) -> std::path::PathBuf {
    std::fs::create_dir(to).unwrap();
    bucket.download("t/2026/y.csv", to, true, &()).await.unwrap_err();
    std::fs::remove_dir(to).unwrap();
    let name = files_in(to.parent().unwrap()).pop().unwrap();
    assert!(name.starts_with(".y.csv.") && name.ends_with(".skybru-part"), "{name}");
    to.with_file_name(name)
}

#[tokio::test]
async fn a_prefix_becomes_a_folder() {
    let mut objects = SOME.to_vec();
    objects.push(("t/empty/", b""));
    let s3 = TestS3::start(&objects).await;
    let (bucket, folder) = (open(&s3, BUCKET).await, tempfile::tempdir().unwrap());
    let done = copy(&Tree::below(bucket, "t"), &Tree::Folder(folder.path().into()), &()).await.copied;
    assert_eq!(done, Transferred { files: 4, bytes: 12 }, "the marker of the empty folder is no file");
    assert_eq!(std::fs::read(folder.path().join("2025/x.csv")).unwrap(), b"two");
    assert_eq!(std::fs::read(folder.path().join("2026/z.csv")).unwrap(), b"");
    assert_eq!(files_in(folder.path()), ["2025", "2026", "top.csv"]);
}

#[tokio::test]
async fn a_folder_becomes_a_prefix() {
    let s3 = TestS3::start(&[]).await;
    let (bucket, folder) = (open(&s3, BUCKET).await, tempfile::tempdir().unwrap());
    std::fs::create_dir(folder.path().join("deep")).unwrap();
    std::fs::write(folder.path().join("deep/a b.csv"), "1").unwrap();
    std::fs::write(folder.path().join("top.csv"), "22").unwrap();
    let progress = Counting::default();
    let done = copy(&Tree::Folder(folder.path().into()), &Tree::below(bucket, "in/"), &progress).await.copied;
    assert_eq!(done, Transferred { files: 2, bytes: 3 });
    assert_eq!(progress.numbers(), (3, 3, 2));
    assert_eq!(s3.object("in/deep/a b.csv").unwrap(), b"1");
    assert_eq!(s3.object("in/top.csv").unwrap(), b"22");
}

#[tokio::test]
async fn a_long_file_goes_up_in_parts() {
    let s3 = TestS3::start(&[]).await;
    let (bucket, folder) = (open(&s3, BUCKET).await, tempfile::tempdir().unwrap());
    let length = usize::try_from(MULTIPART_FROM).unwrap() + 1000;
    let content: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
    std::fs::write(folder.path().join("long"), &content).unwrap();
    let progress = Counting::default();
    bucket.upload(&folder.path().join("long"), "long", false, &progress).await.unwrap();
    assert!(s3.object("long").unwrap() == content);
    assert_eq!(progress.numbers(), (length as u64, length as u64, 1));
    assert_eq!(s3.count("PUT long"), 2);
}

/// Also when it was interrupted in the middle of a part.
#[tokio::test]
async fn a_long_object_comes_down_in_parts() {
    let part = 8 * 1024 * 1024;
    let content: Vec<u8> = (0..3 * part + 1000).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let s3 = TestS3::start(&[("t/2026/y.csv", &content)]).await;
    let (bucket, folder) = (open(&s3, BUCKET).await, tempfile::tempdir().unwrap());
    let to = folder.path().join("y.csv");
    let progress = Counting::default();
    bucket.download("t/2026/y.csv", &to, false, &progress).await.unwrap();
    assert!(std::fs::read(&to).unwrap() == content);
    assert_eq!(progress.numbers(), (content.len() as u64, content.len() as u64, 1));
    assert_eq!(s3.count("GET t/2026/y.csv"), 4, "the first answer, and three parts");

    std::fs::remove_file(&to).unwrap();
    let unfinished = part_of(&bucket, &to).await;
    std::fs::write(&unfinished, &content[..5000]).unwrap();
    let done = bucket.download("t/2026/y.csv", &to, true, &()).await.unwrap();
    assert_eq!(done.bytes, content.len() as u64 - 5000);
    assert!(std::fs::read(&to).unwrap() == content);
}

#[tokio::test]
async fn a_failed_upload_leaves_no_parts_behind() {
    let s3 = TestS3::start(&[]).await;
    s3.inside.lock().unwrap().break_parts = true;
    let bucket = open(&s3, BUCKET).await;
    let content = vec![7; usize::try_from(MULTIPART_FROM).unwrap() + 1];
    let error = bucket.upload_stream(&content[..], None, "long", &()).await.unwrap_err();
    assert!(matches!(&error, StorageError::Refused(refused) if refused.code == "EntityTooSmall"), "{error:?}");
    let inside = s3.inside.lock().unwrap();
    assert!(inside.uploads.is_empty() && inside.objects.is_empty());
}

#[tokio::test]
async fn a_stream_is_read_and_written_without_files() {
    let s3 = TestS3::start(&[]).await;
    let bucket = open(&s3, BUCKET).await;
    bucket.upload_stream(&b"from a pipe"[..], None, "pipe", &()).await.unwrap();
    let object = bucket.read("pipe").await.unwrap();
    assert_eq!(object.info.size, 11);
    let chunks: Vec<_> = object.bytes.try_collect().await.unwrap();
    assert_eq!(chunks.concat(), b"from a pipe");
    bucket.delete("pipe").await.unwrap();
    assert_eq!(s3.object("pipe"), None);
}

/// D-32.
#[tokio::test]
async fn a_refusal_of_s3_reaches_the_user_word_for_word() {
    let s3 = TestS3::start(&SOME).await;
    let bucket = open(&s3, BUCKET).await;
    let text = "User: arn:aws:sts::123456789012:assumed-role/skyporten-role/x is not authorized to perform: s3:GetObject";
    s3.refuse(403, "AccessDenied", text);
    let error = bucket.read("a.csv").await.unwrap_err();
    let StorageError::Refused(refused) = &error else { panic!("{error:?}") };
    assert_eq!(
        (refused.code.as_str(), refused.message.as_str(), refused.request_id.as_str()),
        ("AccessDenied", text, "7A62C49F")
    );
    assert_eq!(error.to_string(), format!("S3 refused reading of s3://{BUCKET}/a.csv: AccessDenied: {text}"));
    assert!(error.hint().unwrap().contains("does not allow s3:GetObject"));

    s3.refuse(403, "AccessDenied", "Access Denied");
    let error = bucket.list("", Depth::All).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.hint().unwrap().contains("does not allow s3:ListBucket"), "{error:?}");

    s3.refuse(403, "AccessDenied", "Access Denied");
    let error = bucket.delete("a.csv").await.unwrap_err();
    assert!(error.hint().unwrap().contains("s3:DeleteObject"), "{error:?}");

    s3.refuse(403, "AccessDenied", "Access Denied");
    let error = bucket.upload_stream(&b"x"[..], None, "new", &()).await.unwrap_err();
    assert!(error.hint().unwrap().contains("s3:PutObject"), "{error:?}");

    // HEAD has no body, so no words; the hint is the same.
    s3.refuse(403, "", "");
    let error = bucket.info("a.csv").await.unwrap_err();
    assert!(matches!(error, StorageError::Failed { .. }));
    assert!(error.hint().unwrap().contains("does not allow s3:GetObject"));
}

#[tokio::test]
async fn what_is_not_there_is_told_from_what_is_not_allowed() {
    let s3 = TestS3::start(&SOME).await;
    let error = open(&s3, BUCKET).await.read("nothing").await.unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
    let error = open(&s3, "another-bucket").await.list("", Depth::All).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(&error, StorageError::Refused(refused) if refused.code == "NoSuchBucket"), "{error:?}");
}

#[tokio::test]
async fn another_region_is_recognised() {
    let s3 = TestS3::start(&SOME).await;
    let bucket = open(&s3, BUCKET).await;
    s3.refuse(
        301,
        "PermanentRedirect",
        "The bucket you are attempting to access must be addressed using the specified endpoint.",
    );
    let error = bucket.read("a.csv").await.unwrap_err();
    assert!(error.hint().unwrap().contains("region"), "{error:?}");
}

#[tokio::test]
async fn without_credentials_s3_is_not_asked_and_the_refusal_is_awss() {
    let s3 = TestS3::start(&SOME).await;
    let issuer = TestIssuer::start([]).await;
    let sts = TestSts::start([refusal(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")]).await;
    let (ctx, _) = ctx();
    let credentials = source(&ctx, &issuer, target(&sts));
    let bucket = Bucket::open_at(ctx, &http(), credentials, BUCKET, Some(&s3.url)).unwrap();
    let error = bucket.read("a.csv").await.unwrap_err();
    assert!(matches!(error, StorageError::Credentials { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("trust policy"));
    assert_eq!(s3.inside.lock().unwrap().requests.len(), 0);
}

#[tokio::test]
async fn an_endpoint_that_is_not_trusted_names_the_setting_that_helps() {
    let (port, _) = tls_server("localhost").await;
    let (issuer, sts) = (TestIssuer::start([]).await, TestSts::start([]).await);
    let (ctx, _) = ctx();
    let credentials = source(&ctx, &issuer, target(&sts));
    let endpoint = format!("https://localhost:{port}");
    let bucket = Bucket::open_at(ctx, &http(), credentials, BUCKET, Some(&endpoint)).unwrap();
    let error = bucket.read("a.csv").await.unwrap_err();
    assert!(error.hint().unwrap().contains("ca-file"), "{error:?}");
}
