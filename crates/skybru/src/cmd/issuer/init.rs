//! `skybru issuer init`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use skybru_core::IssuerUrl;

use super::super::{Call, Outcome};
use super::folder::{Folder, IssuerFile};

/// Arguments of `issuer init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The folder to make
    #[arg(long = "static", value_name = "DIR")]
    folder: PathBuf,
    /// The issuer: the https address of the site, without a slash at the end
    #[arg(long, value_name = "URL")]
    url: IssuerUrl,
    /// Size of the signing keys
    #[arg(long, value_name = "BITS", default_value_t = 2048)]
    key_bits: u32,
}

pub(super) fn run(call: &Call, args: &InitArgs) -> Result<Outcome> {
    let folder = Folder::create(call, &args.folder, IssuerFile::new(args.url.clone(), args.key_bits))?;
    let kid = folder.keys.keys.iter().next().map(|record| record.kid.to_string());
    if call.printer.json {
        call.printer.object(&json!({"folder": args.folder, "url": args.url, "kid": kid}))?;
        return Ok(Outcome::Done);
    }
    let shown = args.folder.display();
    call.printer.data(&format!("made {shown}: issuer.toml, and the first key {}", kid.unwrap_or_default()))?;
    call.printer.say(&format!(
        "next: skybru issuer publish SITE --dir {shown}\n      SITE is the folder that {} serves, or s3://BUCKET, gs://BUCKET, az://CONTAINER",
        args.url
    ));
    call.printer.say("The key lies in a file that only you may read. Whoever reads it can sign as this issuer.");
    Ok(Outcome::Done)
}
