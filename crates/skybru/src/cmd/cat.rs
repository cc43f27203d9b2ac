//! `skybru cat`.

use anyhow::{Result, bail};
use clap::Args;
use futures_util::TryStreamExt as _;
use skybru_client::storage::Location;

use super::place::Place;
use super::{Call, Outcome};

/// Arguments of `cat`.
#[derive(Debug, Args)]
pub(crate) struct CatArgs {
    /// TARGET:path, `s3://BUCKET/KEY`, `gs://BUCKET/KEY` or `az://ACCOUNT/CONTAINER/KEY` (several are printed one after the other)
    #[arg(required = true)]
    places: Vec<Location>,
    /// Whose credentials to use for an s3://, gs:// or az:// address
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
}

pub(crate) async fn run(call: &Call, args: CatArgs) -> Result<Outcome> {
    let settings = call.settings()?;
    for location in &args.places {
        let Place::Bucket(bucket, key) = Place::open(location, args.target.as_deref(), &settings, call)? else {
            bail!("cat prints objects: give TARGET:path or s3://BUCKET/KEY");
        };
        let mut object = bucket.read(&key).await?;
        while let Some(chunk) = object.bytes.try_next().await? {
            call.printer.raw(&chunk)?;
        }
    }
    Ok(Outcome::Done)
}
