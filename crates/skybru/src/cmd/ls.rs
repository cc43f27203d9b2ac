//! `skybru ls`.

use anyhow::{Result, bail};
use clap::Args;
use futures_util::TryStreamExt as _;
use serde_json::json;
use skybru_client::storage::{Depth, Entry, Location, Skipped};

use super::place::Place;
use super::tree::passed_over;
use super::{Call, Outcome};

/// Arguments of `ls`.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// TARGET:path, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://ACCOUNT/CONTAINER/PREFIX`
    place: Location,
    /// Everything below, not only up to the next slash
    #[arg(short, long)]
    recursive: bool,
    /// Whose credentials to use for an s3://, gs:// or az:// address
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
}

pub(crate) async fn run(call: &Call, args: LsArgs) -> Result<Outcome> {
    let Place::Bucket(bucket, prefix) = Place::open(&args.place, args.target.as_deref(), &call.settings()?, call)? else {
        bail!("ls lists buckets: give TARGET:path or s3://BUCKET/PREFIX");
    };
    let depth = if args.recursive { Depth::All } else { Depth::Folder };
    let mut entries = bucket.list(&prefix, depth);
    let (mut any, mut skipped) = (false, Skipped::default());
    // One at a time, and JSON as lines: a bucket may hold millions.
    while let Some(entry) = entries.try_next().await? {
        any = true;
        let line = match (&entry, call.printer.json) {
            (Entry::Object(object), true) => {
                json!({"key": object.key, "size": object.size, "last_modified": object.last_modified.to_string()}).to_string()
            }
            (Entry::Folder(prefix), true) => json!({"prefix": prefix}).to_string(),
            (Entry::Object(object), false) => {
                let time = object.last_modified.strftime("%Y-%m-%d %H:%M:%S");
                format!("{time} {:>12} {}", object.size, object.key)
            }
            (Entry::Folder(prefix), false) => format!("{:>32} {prefix}", "folder"),
            (Entry::Unusable(key), _) => {
                skipped.count += 1;
                skipped.names.push(bucket.address(key));
                continue;
            }
        };
        call.printer.data(&line)?;
    }
    if !any {
        call.printer.say("nothing there");
    }
    Ok(passed_over(&call.printer, &[skipped]))
}
