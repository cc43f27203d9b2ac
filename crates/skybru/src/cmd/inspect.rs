//! `skybru inspect`.

use std::io::{IsTerminal as _, Read as _};

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::Value;
use skybru_client::clean::clean_token;
use skybru_client::http::{Http, HttpOptions};
use skybru_client::inspect::{Inspection, Signature, Validity};

use super::{Call, Outcome};
use crate::print::Style;

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The token, or - for standard input [default: standard input]
    token: Option<String>,
    /// Do not ask the issuer for its keys
    #[arg(long)]
    offline: bool,
}

/// Longer input is no token.
const LONGEST_INPUT: u64 = 256 * 1024;

pub(crate) async fn run(call: &Call, args: InspectArgs) -> Result<Outcome> {
    let text = match args.token.as_deref() {
        Some("-") | None => read_stdin(call)?,
        Some(token) => token.to_owned(),
    };
    let clean = clean_token(&text).context("cannot read the token")?;
    for taken_off in &clean.mended {
        call.printer.say(&format!("note: took off {taken_off}; other programs may not (D-19)"));
    }
    let token = clean.token.expose();
    let clock = &*call.system.ctx.clock;
    let mut inspection = Inspection::offline(token, clock)?;
    if !args.offline {
        let http = Http::new(&http_options(call, &inspection))?;
        inspection = Inspection::online(&http, token, clock).await?;
    }
    if call.printer.json {
        call.printer.object(&inspection)?;
    } else {
        show(call, &inspection)?;
    }
    let good = matches!(inspection.time, Validity::Valid { .. })
        && (args.offline || matches!(inspection.signature, Signature::Verified { .. }));
    Ok(if good { Outcome::Done } else { Outcome::No })
}

fn read_stdin(call: &Call) -> Result<String> {
    if std::io::stdin().is_terminal() {
        call.printer.say("paste the token, then Ctrl-D");
    }
    let mut text = String::new();
    std::io::stdin().lock().take(LONGEST_INPUT).read_to_string(&mut text).context("cannot read standard input")?;
    // `skybru token | skybru inspect`: a line is what commands print, and nothing to remark on.
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// The CA and proxy of whichever client in the settings has the token's issuer. Without settings, or with broken ones, the machine's own:
/// a token can be looked at anywhere.
fn http_options(call: &Call, inspection: &Inspection) -> HttpOptions {
    let Ok(settings) = call.settings() else { return HttpOptions::default() };
    let issuer = inspection.claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let client = settings.options.clients.iter().find(|(_, client)| client.issuer == issuer);
    client.and_then(|(name, _)| settings.http(name).ok()).unwrap_or_default()
}

fn show(call: &Call, inspection: &Inspection) -> Result<()> {
    let printer = &call.printer;
    let (style, signature) = match &inspection.signature {
        Signature::Verified { kid, alg } => (Style::Good, format!("verified with the issuer's key {kid} ({alg})")),
        Signature::Wrong { kid } => (Style::Bad, format!("WRONG: not made by the issuer's key {kid}")),
        Signature::UnknownKey { kid, published } => {
            let kid = kid.as_deref().unwrap_or("(none)");
            (Style::Bad, format!("UNKNOWN KEY {kid}: the issuer publishes {} (D-05)", published.join(", ")))
        }
        Signature::NotChecked { reason, hint } => {
            let hint = hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            (Style::Dim, format!("not checked: {reason}{hint}"))
        }
    };
    printer.data(&format!("signature  {}", printer.paint(style, &signature)))?;
    let (style, time) = match inspection.time {
        Validity::Valid { seconds_left } => (Style::Good, format!("valid for {seconds_left} more seconds")),
        Validity::Expired { seconds_ago } => (Style::Bad, format!("EXPIRED {seconds_ago} seconds ago")),
        Validity::NotYet { seconds_ahead } => {
            (Style::Bad, format!("NOT YET VALID: begins in {seconds_ahead} seconds; is a clock wrong?"))
        }
        Validity::Unknown => (Style::Bad, "never expires, or does not say when".to_owned()),
    };
    printer.data(&format!("time       {}", printer.paint(style, &time)))?;
    printer.data("")?;
    for explanation in &inspection.explanations {
        let value = match &explanation.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        printer.data(&printer.paint(Style::Heading, &format!("{} = {value}", explanation.claim)))?;
        printer.data(&format!("    {}", explanation.sentence))?;
    }
    Ok(())
}
