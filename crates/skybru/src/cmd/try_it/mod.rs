//! `skybru try`: the whole road, once, on this machine; told so that somebody who knows nothing of OAuth understands what happened and
//! why it is safe.

mod story;
mod tell;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

use super::{Call, Outcome};
use crate::lab::{Lab, LabOptions};

/// Arguments of `try`.
#[derive(Debug, Args)]
pub(crate) struct TryArgs {
    /// Which cloud to walk to
    #[arg(long, value_enum, default_value_t = Cloud::Aws, value_name = "CLOUD")]
    cloud: Cloud,
    /// Keep everything in this folder, to look at it afterwards or to go on with `skybru up --data`
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
}

/// The clouds that can be walked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Cloud {
    /// Amazon Web Services
    Aws,
    /// Every cloud that skybru simulates, which today is AWS
    All,
}

pub(crate) async fn run(call: &Call, args: TryArgs) -> Result<Outcome> {
    let (Cloud::Aws | Cloud::All) = args.cloud;
    let temporary = tempfile::tempdir().context("cannot make a temporary folder")?;
    let folder = args.keep.map_or_else(|| temporary.path().to_path_buf(), |folder| call.system.folder.join(folder));
    let options = LabOptions { folder, port_base: None, ctx: call.system.ctx.clone() };
    let mut lab = Lab::start(options).await.context("cannot start the lab")?;
    let story = story::live(&mut lab, &call.system.ctx).await;
    lab.stop().await;
    let story = story?;
    if call.printer.json {
        call.printer.object(&story)?;
    } else {
        tell::tell(&call.printer, &story)?;
    }
    Ok(if story.went_well { Outcome::Done } else { Outcome::No })
}
