//! `skybru try`: the whole road, once, on this machine; told so that somebody who knows nothing of OAuth understands what happened and
//! why it is safe.

mod azure;
mod google;
mod story;
mod tell;
mod walk;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use serde::Serialize;
use skybru_core::Ctx;
use skybru_sim::control::ControlSettings;

use self::story::Story;
use self::walk::Walk;
use super::{Call, Outcome};
use crate::lab::{Lab, LabOptions, OtherClouds};
use crate::print::Printer;

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
    /// Google Cloud
    #[value(name = "gcp", alias = "google")]
    Google,
    /// Microsoft Azure
    Azure,
    /// One after the other
    All,
}

/// Everything that was lived through.
#[derive(Debug, Serialize)]
struct Lived {
    went_well: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    aws: Option<Story>,
    #[serde(skip_serializing_if = "Option::is_none")]
    google: Option<Walk>,
    #[serde(skip_serializing_if = "Option::is_none")]
    azure: Option<Walk>,
}

pub(crate) async fn run(call: &Call, args: TryArgs) -> Result<Outcome> {
    let goes_to = |cloud| args.cloud == cloud || args.cloud == Cloud::All;
    let temporary = tempfile::tempdir().context("cannot make a temporary folder")?;
    let folder = args.keep.map_or_else(|| temporary.path().to_path_buf(), |folder| call.system.folder.join(folder));
    let clouds = OtherClouds { google: goes_to(Cloud::Google), azure: goes_to(Cloud::Azure) };
    let options =
        LabOptions { folder, port_base: None, ctx: call.system.ctx.clone(), clouds, control: ControlSettings::default() };
    let mut lab = Lab::start(options).await.context("cannot start the lab")?;
    let lived = live(&mut lab, &call.system.ctx, goes_to(Cloud::Aws)).await;
    lab.stop().await;
    let lived = lived?;
    if !call.printer.json {
        tell(&call.printer, &lived)?;
    } else if let (Some(story), Cloud::Aws) = (&lived.aws, args.cloud) {
        call.printer.object(story)?;
    } else {
        call.printer.object(&lived)?;
    }
    Ok(if lived.went_well { Outcome::Done } else { Outcome::No })
}

async fn live(lab: &mut Lab, ctx: &Ctx, aws: bool) -> Result<Lived> {
    let aws = if aws { Some(story::live(lab, ctx).await?) } else { None };
    let google = if lab.google.is_some() { Some(google::live(lab, ctx).await?) } else { None };
    let azure = if lab.azure.is_some() { Some(azure::live(lab, ctx).await?) } else { None };
    let went_well = aws.iter().all(|story| story.went_well) && google.iter().chain(&azure).all(|walk| walk.went_well);
    Ok(Lived { went_well, aws, google, azure })
}

fn tell(printer: &Printer, lived: &Lived) -> std::io::Result<()> {
    if let Some(story) = &lived.aws {
        tell::tell(printer, story)?;
    }
    for (place, walk) in lived.google.iter().chain(&lived.azure).enumerate() {
        if lived.aws.is_some() || place > 0 {
            printer.data("")?;
        }
        walk::tell(printer, walk)?;
    }
    Ok(())
}
