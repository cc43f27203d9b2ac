//! `skybru credentials`.

use anyhow::Result;
use clap::{Args, ValueEnum};
use skybru_client::format;

use super::{Call, Outcome};
use crate::wire;

/// Arguments of `credentials`.
#[derive(Debug, Args)]
pub(crate) struct CredentialsArgs {
    /// One of `targets` in the settings; may be left out when there is only one
    target: Option<String>,
    /// In which form
    #[arg(long, value_enum, default_value_t = Format::AwsProcess, value_name = "FORMAT")]
    format: Format,
}

/// The forms that clouds' own tools read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For `credential_process` in ~/.aws/config
    AwsProcess,
    /// For eval "$(skybru credentials … --format env)"
    Env,
    /// Everything that is known, as JSON
    Json,
}

pub(crate) async fn run(call: &Call, args: CredentialsArgs) -> Result<Outcome> {
    let wired = wire::aws(&call.settings()?, args.target.as_deref(), &call.system)?;
    let credentials = wired.credentials.credentials().await?;
    match args.format {
        Format::Env => call.printer.raw(format::aws_shell(&credentials, &wired.target).expose().as_bytes())?,
        Format::Json => call.printer.data(format::aws_json(&credentials, &wired.target).expose())?,
        Format::AwsProcess if call.printer.json => call.printer.data(format::aws_json(&credentials, &wired.target).expose())?,
        Format::AwsProcess => call.printer.data(format::aws_process(&credentials).expose())?,
    }
    Ok(Outcome::Done)
}
