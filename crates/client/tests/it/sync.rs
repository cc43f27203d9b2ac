//! Folders and prefixes kept alike.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use skybru_client::storage::{
    Deletion, Filter, Mode, Step, StorageError, Synced, Transferred, Tree, TreeOptions, copy_tree, remove_tree,
};

use crate::s3::{BUCKET, TestS3};
use crate::storage::{files_in, open};

fn options(deletion: Deletion) -> TreeOptions {
    TreeOptions { filter: Filter::default(), mode: Mode::Sync { checksum: false, deletion }, resume: true, dry_run: false }
}

async fn sync(from: &Tree, to: &Tree, options: &TreeOptions) -> Result<Synced, StorageError> {
    copy_tree(from, to, options, &|_| (), &()).await
}

fn folder_of(path: &Path) -> Tree {
    Tree::Folder(path.into())
}

/// Files, unchanged, deleted.
fn numbers(done: Synced) -> (u64, u64, u64) {
    (done.copied.files, done.unchanged, done.deleted)
}

const SOME: [(&str, &[u8]); 4] = [("t-other/a", b"0"), ("t/a.csv", b"one"), ("t/a/b.csv", b"two"), ("t/c.csv", b"three")];

#[tokio::test]
async fn what_is_the_same_is_not_fetched_again() {
    let s3 = TestS3::start(&SOME).await;
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (Tree::below(open(&s3, BUCKET).await, "t"), folder_of(folder.path()));
    let done = sync(&from, &to, &options(Deletion::Never)).await.unwrap();
    assert_eq!(done, Synced { copied: Transferred { files: 3, bytes: 11 }, unchanged: 0, deleted: 0 });
    assert_eq!(files_in(folder.path()), ["a", "a.csv", "c.csv"]);
    assert_eq!(numbers(sync(&from, &to, &options(Deletion::Never)).await.unwrap()), (0, 3, 0));

    // Of another size; and of the same size, but written at another time.
    std::fs::write(folder.path().join("a.csv"), "longer").unwrap();
    std::fs::write(folder.path().join("c.csv"), "THREE").unwrap();
    assert_eq!(numbers(sync(&from, &to, &options(Deletion::Never)).await.unwrap()), (2, 1, 0));
    assert_eq!(std::fs::read(folder.path().join("c.csv")).unwrap(), b"three");

    // Back again: nothing to do.
    assert_eq!(numbers(sync(&to, &from, &options(Deletion::Never)).await.unwrap()), (0, 3, 0));
}

#[tokio::test]
async fn the_same_size_and_time_do_not_deceive_a_checksum() {
    let s3 = TestS3::start(&SOME).await;
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (Tree::below(open(&s3, BUCKET).await, "t"), folder_of(folder.path()));
    sync(&from, &to, &options(Deletion::Never)).await.unwrap();
    let path = folder.path().join("c.csv");
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    std::fs::write(&path, "THREE").unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    assert_eq!(numbers(sync(&from, &to, &options(Deletion::Never)).await.unwrap()), (0, 3, 0));
    let mut careful = options(Deletion::Never);
    careful.mode = Mode::Sync { checksum: true, deletion: Deletion::Never };
    assert_eq!(numbers(sync(&from, &to, &careful).await.unwrap()), (1, 2, 0));
    // And a time alone does not make a difference.
    let earlier = SystemTime::UNIX_EPOCH + Duration::from_secs(5);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(earlier).unwrap();
    assert_eq!(numbers(sync(&from, &to, &careful).await.unwrap()), (0, 3, 0));
}

#[tokio::test]
async fn deletions_happen_only_when_asked_for_and_never_to_everything_by_mistake() {
    let s3 = TestS3::start(&SOME).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.txt"), "mine").unwrap();
    std::fs::write(folder.path().join("a.csv"), "old").unwrap();
    let bucket = open(&s3, BUCKET).await;
    let (from, to) = (Tree::below(bucket.clone(), "t/"), folder_of(folder.path()));
    assert_eq!(numbers(sync(&from, &to, &options(Deletion::Never)).await.unwrap()), (3, 0, 0));
    assert!(folder.path().join("mine.txt").exists());

    let told = Mutex::new(Vec::new());
    let mut only_csv = options(Deletion::Extra);
    only_csv.filter = Filter::new(&["*.csv".to_owned()], &[]).unwrap();
    assert_eq!(numbers(sync(&from, &to, &only_csv).await.unwrap()), (0, 3, 0), "what is left out is not deleted");

    let mut dry = options(Deletion::Extra);
    dry.dry_run = true;
    let tell = |step: &Step| told.lock().unwrap().push(step.clone());
    assert_eq!(numbers(copy_tree(&from, &to, &dry, &tell, &()).await.unwrap()), (0, 3, 1));
    assert!(matches!(&told.lock().unwrap()[..], [Step::Delete(item)] if item.relative == "mine.txt"));
    assert!(folder.path().join("mine.txt").exists(), "a dry run only tells");

    assert_eq!(numbers(sync(&from, &to, &options(Deletion::Extra)).await.unwrap()), (0, 3, 1));
    assert!(!folder.path().join("mine.txt").exists());

    let nothing = Tree::below(bucket, "mistyped");
    let error = sync(&nothing, &to, &options(Deletion::Extra)).await.unwrap_err();
    assert!(matches!(error, StorageError::EmptySource { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("--delete-all"));
    assert_eq!(numbers(sync(&nothing, &to, &options(Deletion::EvenAll)).await.unwrap()), (0, 0, 3));
}

#[tokio::test]
async fn nothing_is_deleted_when_a_copy_failed() {
    let s3 = TestS3::start(&SOME).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.txt"), "mine").unwrap();
    let (from, to) = (Tree::below(open(&s3, BUCKET).await, "t"), folder_of(folder.path()));
    s3.inside.lock().unwrap().lie = true;
    let error = sync(&from, &to, &options(Deletion::Extra)).await.unwrap_err();
    assert!(matches!(error, StorageError::Checksum { .. }), "{error:?}");
    assert_eq!(std::fs::read(folder.path().join("mine.txt")).unwrap(), b"mine");
}

#[tokio::test]
async fn a_source_that_is_missing_is_not_an_empty_one() {
    let s3 = TestS3::start(&SOME).await;
    let to = Tree::below(open(&s3, BUCKET).await, "t");
    let error = sync(&folder_of(Path::new("/no/such/folder")), &to, &options(Deletion::EvenAll)).await.unwrap_err();
    assert!(matches!(error, StorageError::Local { .. }), "{error:?}");
    assert!(s3.object("t/a.csv").is_some());
}

#[tokio::test]
async fn a_prefix_is_copied_by_s3_itself_and_never_onto_itself() {
    let s3 = TestS3::start(&SOME).await;
    let bucket = open(&s3, BUCKET).await;
    let tree = |prefix: &str| Tree::below(bucket.clone(), prefix);
    let done = sync(&tree("t"), &tree("copy"), &options(Deletion::Never)).await.unwrap();
    assert_eq!(numbers(done), (3, 0, 0));
    assert_eq!(s3.object("copy/a/b.csv").unwrap(), b"two");
    assert_eq!(s3.count("GET t/"), 0, "nothing passed through here");
    assert_eq!(numbers(sync(&tree("t"), &tree("copy"), &options(Deletion::Never)).await.unwrap()), (0, 3, 0));
    for (from, to) in [("t", "t/"), ("t", "t/a"), ("", "copy"), ("copy/deep", "copy")] {
        let error = sync(&tree(from), &tree(to), &options(Deletion::EvenAll)).await.unwrap_err();
        assert!(matches!(error, StorageError::Overlap { .. }), "{from} to {to}: {error:?}");
    }
}

#[tokio::test]
async fn what_is_removed_lies_below_the_prefix_and_matches() {
    let s3 = TestS3::start(&SOME).await;
    let tree = Tree::below(open(&s3, BUCKET).await, "t");
    let filter = Filter::new(&[], &["a/*".to_owned()]).unwrap();
    assert_eq!(remove_tree(&tree, &filter, true, &|_| ()).await.unwrap(), 2);
    assert!(s3.object("t/a.csv").is_some(), "a dry run only tells");
    assert_eq!(remove_tree(&tree, &filter, false, &|_| ()).await.unwrap(), 2);
    let left: Vec<String> = s3.inside.lock().unwrap().objects.keys().cloned().collect();
    assert_eq!(left, ["t-other/a", "t/a/b.csv"]);
}

/// Keys are written by others.
#[tokio::test]
async fn no_key_is_written_outside_the_folder() {
    for key in ["t/../../escape", "t//etc/passwd", "t/./x", r"t/..\\..\\escape", "t/a/../../../escape"] {
        let s3 = TestS3::start(&[(key, b"evil")]).await;
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner/deep");
        std::fs::create_dir_all(&inner).unwrap();
        let from = Tree::below(open(&s3, BUCKET).await, "t");
        sync(&from, &folder_of(&inner), &options(Deletion::Never)).await.unwrap();
        assert_eq!(from.skipped().count, 1, "{key}");
        assert_eq!(files_in(folder.path()), ["inner"], "{key}");
        assert_eq!(files_in(&folder.path().join("inner")), ["deep"], "{key}");
        assert_eq!(files_in(&inner), [""; 0], "{key}");
    }
}

#[tokio::test]
async fn names_that_cannot_be_used_hide_no_other() {
    let (long, too_long) = (format!("t/{}", "n".repeat(250)), format!("t/{}", "n".repeat(256)));
    let objects: [(&str, &[u8]); 6] =
        [("t/a", b"1"), ("t/b//c", b"2"), ("t/../d", b"3"), ("t/z", b"4"), (&long, b"5"), (&too_long, b"6")];
    let s3 = TestS3::start(&objects).await;
    let folder = tempfile::tempdir().unwrap();
    let from = Tree::below(open(&s3, BUCKET).await, "t");
    let done = sync(&from, &folder_of(folder.path()), &options(Deletion::Never)).await.unwrap();
    assert_eq!(done.copied.files, 3);
    assert_eq!(files_in(folder.path()), ["a", &long[2..], "z"]);
    let skipped = from.skipped();
    assert_eq!(skipped.count, 3);
    assert!(skipped.names.iter().any(|name| name.ends_with("t/b//c")), "{skipped:?}");
}
