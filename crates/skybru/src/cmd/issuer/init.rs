//! `skybru issuer init`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use skybru_core::IssuerUrl;

use super::super::{Call, Outcome};
use super::Profile;
use super::folder::{Folder, IssuerFile};
use super::holding::SealOptions;

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
    /// What verifiers can read: `ceph` adds certificates, which RADOS Gateway needs and Google refuses
    #[arg(long, value_enum, default_value_t = Profile::Cloud)]
    profile: Profile,
    /// Seal private keys with a passphrase in this file
    #[arg(long, value_name = "FILE", conflicts_with = "seal_key_file")]
    seal_passphrase_file: Option<PathBuf>,
    /// Seal private keys with this key file, as `age-keygen` or `skybru issuer keys seal-key` makes it
    #[arg(long, value_name = "FILE")]
    seal_key_file: Option<PathBuf>,
}

pub(super) fn run(call: &Call, args: &InitArgs) -> Result<Outcome> {
    let folder = {
        // Written down so that it is found from wherever the next command runs.
        let absolute = |file: &PathBuf| call.system.folder.join(file);
        let passphrase = args.seal_passphrase_file.as_ref().map(|file| SealOptions::PassphraseFile(absolute(file)));
        let seal = passphrase.or_else(|| args.seal_key_file.as_ref().map(|file| SealOptions::KeyFile(absolute(file))));
        Folder::create(call, &args.folder, IssuerFile::new(args.url.clone(), args.key_bits, args.profile.into(), seal))?
    };
    let kid = folder.keys.book.keys.iter().next().map(|record| record.kid.to_string());
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
    if folder.settings.seal.is_none() {
        call.printer.say("The key lies in a file that only you may read. Whoever reads it can sign as this issuer.");
    }
    Ok(Outcome::Done)
}
