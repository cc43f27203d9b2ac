//! `skybru registry secret`: secrets of login clients. Maskinporten clients have none.

use anyhow::{Context as _, Result};
use clap::Subcommand;
use http::Method;
use skybru_client::selfservice::SelfServiceApi;
use skybru_core::ClientId;

use super::super::{Call, Outcome};

#[derive(Debug, Subcommand)]
pub(super) enum SecretCommand {
    /// Make a client a new secret and print it; the old one counts no more
    Rotate {
        /// The client's id
        client: ClientId,
    },
}

pub(super) async fn run(api: &SelfServiceApi, command: SecretCommand, call: &Call) -> Result<Outcome> {
    let SecretCommand::Rotate { client } = command;
    let answer = api.call(Method::POST, &format!("/clients/{client}/secret"), None).await?;
    if call.printer.json {
        call.printer.object(&answer)?;
    } else {
        call.printer.data(answer["client_secret"].as_str().context("the API's answer has no client_secret")?)?;
        call.printer.say("this is the only time that the secret is shown; it lives 360 days");
    }
    Ok(Outcome::Done)
}
