//! `skybru issuer mint`.

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::{Map, Value, json};
use skybru_issuer::private::{MintRequest, mint};

use super::super::{Call, Outcome};
use super::Place;
use super::folder::Folder;

/// Arguments of `issuer mint`.
#[derive(Debug, Args)]
pub(super) struct MintArgs {
    #[command(flatten)]
    place: Place,
    /// Who the token is about (`sub`)
    #[arg(long, value_name = "TEXT")]
    subject: String,
    /// Whom the token is for (`aud`): the client id at AWS, the audience at the other clouds
    #[arg(long, value_name = "TEXT")]
    audience: String,
    /// A further claim; JSON, or else a text (may be repeated)
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// Life of the token, at most what the settings say
    #[arg(long, value_name = "SECONDS")]
    lifetime: Option<u32>,
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

pub(super) async fn run(call: &Call, args: MintArgs) -> Result<Outcome> {
    let folder = Folder::open(call, &args.place.dir)?;
    let settings = &folder.settings;
    let key = folder.keys.signer().await?;
    let lifetime_seconds = args.lifetime.unwrap_or(settings.token_lifetime_seconds);
    // Retiring keys are kept for as long as the settings say that tokens live.
    anyhow::ensure!(
        lifetime_seconds <= settings.token_lifetime_seconds,
        "--lifetime: the issuer's tokens live at most {} seconds (token-lifetime-seconds in issuer.toml)",
        settings.token_lifetime_seconds
    );
    let claims: Map<String, Value> = args.claims.into_iter().collect();
    let request = MintRequest { subject: args.subject, audience: args.audience, claims, lifetime_seconds };
    let (token, expires) =
        mint(&settings.url, &*key, &settings.claims, &request, &call.system.ctx).await.context("no token was signed")?;
    if call.printer.json {
        call.printer.object(&json!({"token": token, "expires": expires}))?;
    } else {
        call.printer.token(&token)?;
    }
    Ok(Outcome::Done)
}
