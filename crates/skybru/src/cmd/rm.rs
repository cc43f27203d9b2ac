//! `skybru rm`.

use anyhow::{Result, bail};
use clap::Args;
use skybru_client::storage::{Location, Tree, remove_tree};

use super::place::Place;
use super::progress::files;
use super::tree::{FilterArgs, passed_over, teller};
use super::{Call, Outcome};

/// Arguments of `rm`.
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// TARGET:path, `s3://BUCKET/KEY`, `gs://BUCKET/KEY` or `az://ACCOUNT/CONTAINER/KEY`
    #[arg(required = true)]
    places: Vec<Location>,
    /// Everything below a prefix
    #[arg(short, long)]
    recursive: bool,
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    filter: FilterArgs,
    /// Whose credentials to use for an s3://, gs:// or az:// address
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
}

pub(crate) async fn run(call: &Call, args: RmArgs, loud: bool) -> Result<Outcome> {
    if !args.recursive && !args.filter.is_empty() {
        bail!("--include and --exclude choose among many files: add --recursive");
    }
    let (settings, filter) = (call.settings()?, args.filter.filter()?);
    let (mut count, mut skipped) = (0, Vec::new());
    for location in &args.places {
        let Place::Bucket(bucket, key) = Place::open(location, args.target.as_deref(), &settings, call)? else {
            bail!("rm deletes objects: give TARGET:path or s3://BUCKET/KEY");
        };
        if args.recursive {
            if key.is_empty() && args.filter.is_empty() {
                bail!("this is the whole bucket {}: if that is meant, add --include '*'", bucket.address(""));
            }
            let tree = Tree::below(bucket, &key);
            let tell = teller(&call.printer, &tree, &tree, args.dry_run, loud);
            count += remove_tree(&tree, &filter, args.dry_run, &tell).await?;
            skipped.push(tree.skipped());
            continue;
        }
        if key.is_empty() || key.ends_with('/') {
            bail!("{} is a prefix, not an object: add --recursive to delete all below it", bucket.address(&key));
        }
        // S3 calls the deletion of nothing a success; a person who mistyped wants to know.
        bucket.info(&key).await?;
        if args.dry_run {
            call.printer.data(&format!("delete {}", bucket.address(&key)))?;
        } else {
            bucket.delete(&key).await?;
        }
        count += 1;
    }
    call.printer.say(&format!("{} {}", if args.dry_run { "would delete" } else { "deleted" }, files(count)));
    Ok(passed_over(&call.printer, &skipped))
}
