//! `skybru issuer thumbprint`.

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::json;

use super::super::{Call, Outcome};
use super::Place;
use super::folder::Folder;
use crate::presented::{presented_chain, thumbprint};

const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of `issuer thumbprint`.
#[derive(Debug, Args)]
pub(super) struct ThumbprintArgs {
    #[command(flatten)]
    place: Place,
    /// Another address than the issuer's own, such as `https://sky.maskinporten.no`
    #[arg(long, value_name = "URL")]
    url: Option<url::Url>,
}

/// of the last certificate that the host of the key set sends. AWS asks for it only where the chain is not publicly trusted.
pub(super) async fn run(call: &Call, args: ThumbprintArgs) -> Result<Outcome> {
    let url = match args.url {
        Some(url) => url,
        None => Folder::open(call, &args.place.dir)?.settings.url.as_str().parse().context("the issuer's URL")?,
    };
    let host = url.host_str().context("the URL has no host")?.to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let chain = presented_chain(&host, port, PATIENCE)
        .await
        .with_context(|| format!("cannot look at the certificates of {host}:{port}"))?;
    let last = chain.last().with_context(|| format!("{host}:{port} sends no certificate"))?;
    let thumbprint = thumbprint(last);
    if call.printer.json {
        call.printer.object(&json!({"host": host, "port": port, "thumbprint": thumbprint, "certificates": chain.len()}))?;
    } else {
        call.printer.data(&thumbprint)?;
    }
    Ok(Outcome::Done)
}
