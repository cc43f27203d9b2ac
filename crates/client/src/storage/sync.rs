//! Many files at once: recursive copies, and folders kept alike.
//!
//! A bucket is never held in memory: a folder is, and the bucket's listing passes by it in whatever order it comes (Azure's with a
//! hierarchical namespace is not that of the names). Two buckets are walked side by side in the order of their names. Each file is
//! written beside its place and moved there; deletions come last, and only when every copy went well.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use tokio::fs;
use tokio::sync::Semaphore;

use super::download::sum;
use super::error::local;
use super::filter::Filter;
use super::local::{Clashes, below};
use super::tree::{Item, Tree, has_e_tag};
use super::{OBJECTS_AT_ONCE, Progress, StorageError, Transferred};

/// So many MiB of files may be under way at once. One long file fills it; small ones go by the dozen.
const MEBIBYTES_AT_ONCE: u32 = 128;

/// What is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything.
    Copy,
    /// What is new or differs.
    Sync {
        /// Compare content (by `ETag`) where sizes agree, not the time.
        checksum: bool,
        /// What happens to files that only the destination has.
        deletion: Deletion,
    },
}

/// What happens to files that only the destination has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// They stay.
    Never,
    /// They are deleted, unless the source is empty: that is a mistake more often than a wish.
    Extra,
    /// They are deleted.
    EvenAll,
}

/// How to copy a tree.
#[derive(Debug, Clone)]
pub struct TreeOptions {
    /// Which files. What is left out is neither copied nor deleted.
    pub filter: Filter,
    /// Which of them.
    pub mode: Mode,
    /// Whether interrupted downloads are kept and continued.
    pub resume: bool,
    /// Tell only.
    pub dry_run: bool,
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// From the source to the destination.
    Copy(Item),
    /// At the destination.
    Delete(Item),
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Synced {
    /// Copied.
    pub copied: Transferred,
    /// The same already.
    pub unchanged: u64,
    /// Deleted at the destination.
    pub deleted: u64,
}

type Items = BoxStream<'static, Result<Item, StorageError>>;

/// Makes `to` like `from`, as `options` say. `tell` hears of each step before it is done.
pub async fn copy_tree(
    from: &Tree,
    to: &Tree,
    options: &TreeOptions,
    tell: &(dyn Fn(&Step) + Sync),
    progress: &dyn Progress,
) -> Result<Synced, StorageError> {
    if from.overlaps(to) {
        return Err(StorageError::Overlap { from: from.address(""), to: to.address("") });
    }
    let clashes = match to {
        Tree::Folder(folder) if !options.dry_run => Clashes::probe(folder).await,
        _ => Clashes::default(),
    };
    let (budget, mut deletions, mut unchanged) = (Semaphore::new(MEBIBYTES_AT_ONCE as usize), Vec::new(), 0);
    let chosen = plan(from, to, options).await?.try_filter_map(|decision| {
        let copy = match decision {
            Decision::Keep => {
                unchanged += 1;
                None
            }
            Decision::Do(Step::Delete(item)) => {
                deletions.push(item);
                None
            }
            Decision::Do(Step::Copy(item)) => Some(item),
        };
        std::future::ready(Ok(copy))
    });
    let copied = chosen
        .map_ok(|item| copy_item(from, to, item, options, &clashes, &budget, tell, progress))
        .try_buffer_unordered(OBJECTS_AT_ONCE)
        .try_fold(Transferred::default(), sum)
        .await?;
    let deleted = deletions.len() as u64;
    let removals = stream::iter(deletions).map(|item| async move {
        tell(&Step::Delete(item.clone()));
        if options.dry_run { Ok(()) } else { remove(to, &item.relative).await }
    });
    removals.buffer_unordered(OBJECTS_AT_ONCE).try_for_each(|()| std::future::ready(Ok(()))).await?;
    Ok(Synced { copied, unchanged, deleted })
}

/// Deletes what lies in the tree. `tell` hears of each item before it is gone. Gives how many.
pub async fn remove_tree(
    tree: &Tree,
    filter: &Filter,
    dry_run: bool,
    tell: &(dyn Fn(&Step) + Sync),
) -> Result<u64, StorageError> {
    let items = tree.items().await?.try_filter(|item| std::future::ready(filter.takes(&item.relative)));
    let removals = items.map_ok(|item| async move {
        tell(&Step::Delete(item.clone()));
        if dry_run { Ok(1) } else { remove(tree, &item.relative).await.map(|()| 1) }
    });
    removals.try_buffer_unordered(OBJECTS_AT_ONCE).try_fold(0, |count, one| std::future::ready(Ok(count + one))).await
}

async fn remove(tree: &Tree, relative: &str) -> Result<(), StorageError> {
    match tree {
        Tree::Bucket(bucket, prefix) => bucket.delete(&format!("{prefix}{relative}")).await,
        Tree::Folder(folder) => {
            let path = below(folder, relative)?;
            fs::remove_file(&path).await.map_err(local("could not delete", path))
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of one call, used once")]
async fn copy_item(
    from: &Tree,
    to: &Tree,
    item: Item,
    options: &TreeOptions,
    clashes: &Clashes,
    budget: &Semaphore,
    tell: &(dyn Fn(&Step) + Sync),
    progress: &dyn Progress,
) -> Result<Transferred, StorageError> {
    // Before anything is told: a name that may not be used must not appear as if it were.
    let path = match to {
        Tree::Folder(folder) => match (below(folder, &item.relative), from) {
            // One name that this machine cannot have must not hide the rest.
            (Err(_), Tree::Bucket(bucket, prefix)) => {
                bucket.skip(&format!("{prefix}{}", item.relative));
                return Ok(Transferred::default());
            }
            (path, _) => Some(clashes.admit(&item.relative).and(path)?),
        },
        Tree::Bucket(..) => None,
    };
    tell(&Step::Copy(item.clone()));
    if options.dry_run {
        return Ok(Transferred { files: 1, bytes: item.size });
    }
    let weight = u32::try_from(item.size >> 20).unwrap_or(u32::MAX).clamp(1, MEBIBYTES_AT_ONCE);
    // The budget is never closed, so waiting for it cannot fail.
    let _share = budget.acquire_many(weight).await.ok();
    match (from, to, path) {
        (Tree::Bucket(bucket, prefix), _, Some(path)) => {
            let copied = bucket.download(&format!("{prefix}{}", item.relative), &path, options.resume, progress).await;
            match copied {
                // The marker of a folder further down: `a/` is listed as `a`, and there is no `a`.
                Err(error) if item.size == 0 && error.is_not_found() => Ok(Transferred::default()),
                copied => copied,
            }
        }
        (Tree::Folder(folder), Tree::Bucket(bucket, prefix), _) => {
            let path = folder.join(&item.relative);
            bucket.upload(&path, &format!("{prefix}{}", item.relative), options.resume, progress).await
        }
        (Tree::Bucket(source, prefix), Tree::Bucket(sink, to), _) => {
            let (key, to) = (format!("{prefix}{}", item.relative), format!("{to}{}", item.relative));
            source.copy_object(&key, item.size, sink, &to, progress).await
        }
        (_, Tree::Folder(_), _) => Err(StorageError::NoBucket),
    }
}

enum Decision {
    Keep,
    Do(Step),
}

/// Both sides of a walk.
struct Walk {
    from: Items,
    to: Items,
    /// The next of each side, once it has been fetched.
    next: Option<(Option<Item>, Option<Item>)>,
}

async fn plan<'a>(
    from: &'a Tree,
    to: &'a Tree,
    options: &'a TreeOptions,
) -> Result<BoxStream<'a, Result<Decision, StorageError>>, StorageError> {
    let chosen = |items: Items| -> Items {
        let filter = options.filter.clone();
        items.try_filter(move |item| std::future::ready(filter.takes(&item.relative))).boxed()
    };
    let source = chosen(from.items().await?);
    if options.mode == Mode::Copy {
        return Ok(source.map_ok(|item| Decision::Do(Step::Copy(item))).boxed());
    }
    let sink = match to.items().await {
        // A folder that is yet to be made.
        Err(StorageError::Local { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => stream::empty().boxed(),
        items => chosen(items?),
    };
    if let (Tree::Bucket(..), Tree::Bucket(..)) = (from, to) {
        let walk = Walk { from: source, to: sink, next: None };
        let steps = stream::try_unfold(walk, move |mut walk| async move {
            let decision = walk.step(from, to, options.mode).await?;
            Ok(decision.map(|decision| (decision, walk)))
        });
        return Ok(steps.boxed());
    }
    let folder_is_source = matches!(from, Tree::Folder(_));
    let (folder, bucket) = if folder_is_source { (source, sink) } else { (sink, source) };
    let by_name = folder.map_ok(|item| (item.relative.clone(), item)).try_collect::<BTreeMap<_, _>>().await?;
    let passing = Passing { from, to, mode: options.mode, folder_is_source, folder: by_name, bucket, seen: 0, ended: false };
    let steps = stream::try_unfold(passing, |mut passing| async move {
        let decision = passing.step().await?;
        Ok(decision.map(|decision| (decision, passing)))
    });
    Ok(steps.boxed())
}

/// A folder by which a bucket's listing passes, in any order.
struct Passing<'a> {
    from: &'a Tree,
    to: &'a Tree,
    mode: Mode,
    folder_is_source: bool,
    /// What the bucket has not met yet.
    folder: BTreeMap<String, Item>,
    bucket: Items,
    /// How many objects have passed.
    seen: u64,
    ended: bool,
}

impl Passing<'_> {
    async fn step(&mut self) -> Result<Option<Decision>, StorageError> {
        let Mode::Sync { checksum, deletion } = self.mode else { return Ok(None) };
        let empty = || StorageError::EmptySource { from: self.from.address(""), to: self.to.address("") };
        while !self.ended {
            let Some(object) = self.bucket.try_next().await? else {
                self.ended = true;
                break;
            };
            self.seen += 1;
            let decision = match (self.folder.remove(&object.relative), self.folder_is_source) {
                (Some(file), folder_is_source) => {
                    let (item, other) = if folder_is_source { (file, object) } else { (object, file) };
                    let same = is_same(self.from, self.to, &item, &other, checksum).await?;
                    if same { Decision::Keep } else { Decision::Do(Step::Copy(item)) }
                }
                (None, false) => Decision::Do(Step::Copy(object)),
                (None, true) if deletion == Deletion::Extra && self.seen == 1 && self.folder.is_empty() => return Err(empty()),
                (None, true) if deletion != Deletion::Never => Decision::Do(Step::Delete(object)),
                (None, true) => continue,
            };
            return Ok(Some(decision));
        }
        if !self.folder_is_source && (deletion == Deletion::Never || self.folder.is_empty()) {
            return Ok(None);
        }
        if !self.folder_is_source && deletion == Deletion::Extra && self.seen == 0 {
            return Err(empty());
        }
        let step = if self.folder_is_source { Step::Copy } else { Step::Delete };
        Ok(self.folder.pop_first().map(|(_, item)| Decision::Do(step(item))))
    }
}

impl Walk {
    async fn step(&mut self, from: &Tree, to: &Tree, mode: Mode) -> Result<Option<Decision>, StorageError> {
        loop {
            let (source, sink) = if let Some(next) = self.next.take() {
                next
            } else {
                let next = (self.from.try_next().await?, self.to.try_next().await?);
                if let (None, Some(_), Mode::Sync { deletion: Deletion::Extra, .. }) = (&next.0, &next.1, mode) {
                    return Err(StorageError::EmptySource { from: from.address(""), to: to.address("") });
                }
                next
            };
            let Mode::Sync { checksum, deletion } = mode else { return Ok(None) };
            match (source, sink) {
                (Some(item), sink) if sink.as_ref().is_none_or(|other| item.relative < other.relative) => {
                    self.next = Some((following(&mut self.from, &item).await?, sink));
                    return Ok(Some(Decision::Do(Step::Copy(item))));
                }
                (Some(item), Some(other)) if item.relative == other.relative => {
                    self.next = Some((following(&mut self.from, &item).await?, following(&mut self.to, &other).await?));
                    let same = is_same(from, to, &item, &other, checksum).await?;
                    return Ok(Some(if same { Decision::Keep } else { Decision::Do(Step::Copy(item)) }));
                }
                (source, Some(other)) => {
                    self.next = Some((source, following(&mut self.to, &other).await?));
                    if deletion != Deletion::Never {
                        return Ok(Some(Decision::Do(Step::Delete(other))));
                    }
                }
                // Of a source alone the first arm has taken care.
                (_, None) => return Ok(None),
            }
        }
    }
}

/// The item after `last`. A listing out of order would make the walk delete what is there on both sides.
async fn following(items: &mut Items, last: &Item) -> Result<Option<Item>, StorageError> {
    let next = items.try_next().await?;
    match next {
        Some(next) if next.relative <= last.relative => {
            Err(StorageError::Order { first: last.relative.clone(), second: next.relative })
        }
        next => Ok(next),
    }
}

async fn is_same(from: &Tree, to: &Tree, item: &Item, other: &Item, checksum: bool) -> Result<bool, StorageError> {
    if item.size != other.size {
        return Ok(false);
    }
    let by_time = match (from, to) {
        // A download has the object's own time.
        (Tree::Bucket(..), Tree::Folder(_)) => item.modified == other.modified,
        _ => item.modified <= other.modified,
    };
    match (from, to) {
        (Tree::Bucket(..), Tree::Bucket(..)) if item.e_tag.is_some() && item.e_tag == other.e_tag => Ok(true),
        _ if !checksum => Ok(by_time),
        (Tree::Bucket(..), Tree::Folder(folder)) => has_content(folder, other, item).await,
        (Tree::Folder(folder), Tree::Bucket(..)) => has_content(folder, item, other).await,
        _ => Ok(false),
    }
}

/// What cannot be told from the `ETag` counts as different: a copy too many is better than one too few.
async fn has_content(folder: &Path, file: &Item, object: &Item) -> Result<bool, StorageError> {
    let Some(e_tag) = &object.e_tag else { return Ok(false) };
    Ok(has_e_tag(&below(folder, &file.relative)?, object.size, e_tag).await?.unwrap_or(false))
}
