//! `skybru cp`.

use anyhow::{Result, bail};
use clap::Args;
use futures_util::TryStreamExt as _;
use skybru_client::storage::{Location, Mode, Transferred, TreeOptions, copy_tree};

use super::place::{Place, file_name, local_target};
use super::progress::{Bar, files};
use super::tree::{FilterArgs, passed_over, teller};
use super::{Call, Outcome};

/// Arguments of `cp`.
#[derive(Debug, Args)]
pub(crate) struct CpArgs {
    /// TARGET:path, `s3://BUCKET/KEY`, `gs://…`, `az://ACCOUNT/CONTAINER/KEY`, a local path, or - for standard input
    from: Location,
    /// TARGET:path, `s3://BUCKET/KEY`, `gs://…`, `az://ACCOUNT/CONTAINER/KEY`, a local path, or - for standard output
    to: Location,
    /// Everything below a prefix or folder
    #[arg(short, long)]
    recursive: bool,
    /// Continue an interrupted transfer, and leave what arrived if this one is interrupted
    #[arg(long)]
    resume: bool,
    /// Only say what would be copied
    #[arg(long, requires = "recursive")]
    dry_run: bool,
    #[command(flatten)]
    filter: FilterArgs,
    /// Whose credentials to use for an s3://, gs:// or az:// address
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
}

pub(crate) async fn run(call: &Call, args: CpArgs, loud: bool) -> Result<Outcome> {
    let settings = call.settings()?;
    let target = args.target.as_deref();
    let (from, to) = (Place::open(&args.from, target, &settings, call)?, Place::open(&args.to, target, &settings, call)?);
    let bar = Bar::new(&call.printer);
    if args.recursive {
        let (from, to) = (from.tree()?, to.tree()?);
        let (filter, dry_run) = (args.filter.filter()?, args.dry_run);
        let options = TreeOptions { filter, mode: Mode::Copy, resume: args.resume, dry_run };
        let done = copy_tree(&from, &to, &options, &teller(&call.printer, &from, &to, dry_run, loud), &bar).await?;
        if dry_run {
            bar.clear();
            call.printer.say(&format!("would copy {}", files(done.copied.files)));
        } else {
            bar.done(&call.printer, done.copied);
        }
        return Ok(passed_over(&call.printer, &[from.skipped(), to.skipped()]));
    }
    if !args.filter.is_empty() {
        bail!("--include and --exclude choose among many files: add --recursive");
    }
    let done = match (from, to) {
        (Place::Bucket(bucket, key), Place::Local(path)) => {
            let name = file_name(&key);
            if name.is_empty() {
                bail!("{} is a prefix, not an object: add --recursive to copy all below it", bucket.address(&key));
            }
            let path = local_target(&path, &typed(&args.to), name);
            bucket.download(&key, &path, args.resume, &bar).await?
        }
        (Place::Bucket(bucket, key), Place::Stdio) => {
            let mut object = bucket.read(&key).await?;
            let mut done = Transferred { files: 1, bytes: 0 };
            while let Some(chunk) = object.bytes.try_next().await? {
                call.printer.raw(&chunk)?;
                done.bytes += chunk.len() as u64;
            }
            done
        }
        (Place::Local(path), Place::Bucket(bucket, key)) => {
            if path.is_dir() {
                bail!("{} is a folder: add --recursive to copy all below it", path.display());
            }
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            bucket.upload(&path, &object_key(&key, &name), args.resume, &bar).await?
        }
        (Place::Stdio, Place::Bucket(bucket, key)) => {
            if key.is_empty() || key.ends_with('/') {
                bail!("what comes from standard input needs the whole key of the object");
            }
            bucket.upload_stream(tokio::io::stdin(), None, &key, &bar).await?
        }
        (Place::Bucket(source, key), Place::Bucket(sink, to)) => {
            let to = object_key(&to, file_name(&key));
            if source.is_same(&sink) && key == to {
                bail!("{} would be copied onto itself", source.address(&key));
            }
            let info = source.info(&key).await?;
            source.copy_object(&key, info.size, &sink, &to, &bar).await?
        }
        (Place::Local(_) | Place::Stdio, Place::Local(_) | Place::Stdio) => {
            bail!("one end must be a bucket: TARGET:path or s3://BUCKET/KEY")
        }
    };
    bar.done(&call.printer, done);
    Ok(Outcome::Done)
}

/// The key of a file that goes to `key`: below it when it ends in a slash or is empty.
fn object_key(key: &str, name: &str) -> String {
    if key.is_empty() || key.ends_with('/') { format!("{key}{name}") } else { key.to_owned() }
}

/// A local path as it was typed: whether it ended in a slash is lost in a path.
fn typed(location: &Location) -> String {
    match location {
        Location::Local(path) => path.to_string_lossy().into_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_takes_the_files_name_and_a_key_is_taken_as_it_is() {
        assert_eq!(object_key("in/", "a.csv"), "in/a.csv");
        assert_eq!(object_key("", "a.csv"), "a.csv");
        assert_eq!(object_key("in/b.csv", "a.csv"), "in/b.csv");
    }
}
