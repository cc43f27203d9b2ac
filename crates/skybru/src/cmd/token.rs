//! `skybru token`.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use skybru_client::token::TokenRequest;
use skybru_core::OrgId;

use super::{Call, Outcome};
use crate::settings::Settings;
use crate::wire;

/// Arguments of `token`.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// One of `targets` in the settings; may be left out when there is only one
    target: Option<String>,
    /// Ask for this scope instead of the target's (may be repeated)
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Ask for this audience instead of the target's (may be repeated)
    #[arg(long = "resource", value_name = "URI")]
    resources: Vec<String>,
    /// Ask as a supplier in the name of this organisation
    #[arg(long, value_name = "ORGNO")]
    consumer_org: Option<OrgId>,
    /// Name the person that the request is about
    #[arg(long, value_name = "PID")]
    pid: Option<String>,
    /// Ask the issuer even if a token is at hand
    #[arg(long)]
    fresh: bool,
}

/// Whose token, and for what. Without any target the only client can still ask for the scopes on the command line: in a pod that
/// declares none, for one.
fn asked(settings: &Settings, args: &TokenArgs) -> Result<(String, TokenRequest)> {
    let options = &settings.options;
    if args.target.is_none() && options.targets.is_empty() && !args.scopes.is_empty() && options.clients.len() == 1 {
        let client = options.clients.keys().next().cloned().unwrap_or_default();
        let mut request = TokenRequest::new(args.scopes.join(" ").parse().context("--scope")?);
        request.resources.clone_from(&args.resources);
        return Ok((client, request));
    }
    let (name, target) = settings.target(args.target.as_deref())?;
    Ok((target.client.clone(), settings.request(name, target, &args.scopes, &args.resources)?))
}

pub(crate) async fn run(call: &Call, args: TokenArgs) -> Result<Outcome> {
    let settings = call.settings()?;
    let (client, mut request) = asked(&settings, &args)?;
    request.consumer_org = args.consumer_org.map(OrgId::number);
    if args.pid.as_ref().is_some_and(|pid| pid.len() != 11 || !pid.bytes().all(|byte| byte.is_ascii_digit())) {
        bail!("--pid: expected 11 digits");
    }
    request.pid = args.pid;
    let wired = wire::client(&settings, &client, &call.system)?;
    // Each call of this program begins with an empty cache, so what it gets is fresh either way.
    let token = if args.fresh { wired.tokens.fresh(&request).await? } else { wired.tokens.token(&request).await? };
    if let Some(warning) = super::rotate::warning(&settings, &client, call.system.ctx.clock.now()) {
        call.printer.say(&warning);
    }
    if call.printer.json {
        call.printer.object(&token.answer(call.system.ctx.clock.now()))?;
    } else {
        call.printer.token(token.token.expose())?;
    }
    Ok(Outcome::Done)
}
