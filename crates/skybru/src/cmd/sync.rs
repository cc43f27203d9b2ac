//! `skybru sync`.

use anyhow::Result;
use clap::Args;
use skybru_client::storage::{Deletion, Location, Mode, TreeOptions, copy_tree};

use super::place::Place;
use super::progress::{Bar, files};
use super::tree::{FilterArgs, passed_over, teller};
use super::{Call, Outcome};

/// Arguments of `sync`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that is typed")]
pub(crate) struct SyncArgs {
    /// TARGET:prefix, `s3://BUCKET/PREFIX`, `gs://…`, `az://ACCOUNT/CONTAINER/PREFIX` or a local folder
    from: Location,
    /// TARGET:prefix, `s3://BUCKET/PREFIX`, `gs://…`, `az://ACCOUNT/CONTAINER/PREFIX` or a local folder
    to: Location,
    /// Delete what only the destination has, once everything is copied
    #[arg(long)]
    delete: bool,
    /// Delete it even when the source is empty
    #[arg(long, requires = "delete")]
    delete_all: bool,
    /// Compare content where sizes agree, not times: reads every local file
    #[arg(long)]
    checksum: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    filter: FilterArgs,
    /// Whose credentials to use for an s3://, gs:// or az:// address
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
}

pub(crate) async fn run(call: &Call, args: SyncArgs, loud: bool) -> Result<Outcome> {
    let (settings, target) = (call.settings()?, args.target.as_deref());
    let from = Place::open(&args.from, target, &settings, call)?.tree()?;
    let to = Place::open(&args.to, target, &settings, call)?.tree()?;
    let deletion = match (args.delete, args.delete_all) {
        (false, _) => Deletion::Never,
        (true, false) => Deletion::Extra,
        (true, true) => Deletion::EvenAll,
    };
    let options = TreeOptions {
        filter: args.filter.filter()?,
        mode: Mode::Sync { checksum: args.checksum, deletion },
        resume: true,
        dry_run: args.dry_run,
    };
    let bar = Bar::new(&call.printer);
    let done = copy_tree(&from, &to, &options, &teller(&call.printer, &from, &to, args.dry_run, loud), &bar).await?;
    bar.clear();
    let (copied, deleted) = if args.dry_run { ("would copy", "would delete") } else { ("copied", "deleted") };
    call.printer.say(&format!(
        "{copied} {}, {}; {} unchanged; {deleted} {}",
        files(done.copied.files),
        indicatif::HumanBytes(done.copied.bytes),
        done.unchanged,
        done.deleted
    ));
    Ok(passed_over(&call.printer, &[from.skipped(), to.skipped()]))
}
