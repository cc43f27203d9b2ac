//! `skybru credentials`.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use skybru_client::azure::Resource;
use skybru_client::format::{self, GoogleSource};

use super::{Call, Outcome};
use crate::settings::{Cloud, Settings};
use crate::wire;

/// Arguments of `credentials`.
#[derive(Debug, Args)]
pub(crate) struct CredentialsArgs {
    /// One of `targets` in the settings; may be left out when there is only one
    target: Option<String>,
    /// In which form [default: the one that the cloud's own tools read]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// For which cloud, when the target is in several
    #[arg(long, value_enum, value_name = "CLOUD")]
    cloud: Option<Cloud>,
    /// azure: what the access token is for
    #[arg(long, value_name = "URI", default_value = "https://storage.azure.com")]
    resource: Resource,
    /// google-file: where Google's libraries shall find the token
    #[arg(long, value_enum, default_value_t = Source::Executable, value_name = "SOURCE")]
    source: Source,
    /// google-file with `--source agent`: the agent's address
    #[arg(long, default_value = "http://127.0.0.1:7500", value_name = "URL")]
    agent: String,
    /// google-file with `--source file`: the file that `skybru agent --token-files` keeps fresh
    #[arg(long, value_name = "FILE")]
    token_file: Option<String>,
}

/// The forms that clouds' own tools read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For `credential_process` in ~/.aws/config
    AwsProcess,
    /// For eval "$(skybru credentials … --format env)"
    Env,
    /// The token for Google's libraries, as an executable source prints it
    GoogleExecutable,
    /// The `external_account` file for Google's libraries; holds no secret
    GoogleFile,
    /// An access token, as `az account get-access-token` prints it
    Azure,
    /// Everything that is known, as JSON
    Json,
}

/// Where Google's libraries find the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Source {
    /// Ask the agent
    Agent,
    /// Run this program
    Executable,
    /// Read a file that the agent keeps fresh
    File,
}

impl CredentialsArgs {
    /// Whether nothing but data may be written: Google's libraries read stderr as if it were stdout (G-66).
    pub(crate) fn is_silent(&self) -> bool {
        self.format == Some(Format::GoogleExecutable)
    }
}

pub(crate) async fn run(call: &Call, args: CredentialsArgs) -> Result<Outcome> {
    if args.is_silent() {
        return google_executable(call, &args).await;
    }
    let settings = call.settings()?;
    let name = args.target.as_deref();
    let cloud = match args.format {
        Some(Format::AwsProcess) => Cloud::Aws,
        Some(Format::GoogleFile | Format::GoogleExecutable) => Cloud::Google,
        Some(Format::Azure) => Cloud::Azure,
        // As ever: `credential_process` lines name no form.
        None if args.cloud.is_none() && settings.target(name)?.1.aws.is_some() => Cloud::Aws,
        Some(Format::Env | Format::Json) | None => settings.cloud(name, args.cloud)?,
    };
    let form = args.format.unwrap_or(match cloud {
        _ if call.printer.json => Format::Json,
        Cloud::Aws => Format::AwsProcess,
        Cloud::Google => Format::Json,
        Cloud::Azure => Format::Azure,
    });
    match cloud {
        Cloud::Aws => aws(call, &settings, name, form).await,
        Cloud::Google if form == Format::GoogleFile => google_file(call, &settings, &args),
        Cloud::Google => google(call, &settings, name, form).await,
        Cloud::Azure => azure(call, &settings, &args, form).await,
    }
}

async fn aws(call: &Call, settings: &Settings, name: Option<&str>, form: Format) -> Result<Outcome> {
    let wired = wire::aws(settings, name, &call.system)?;
    let credentials = wired.credentials.credentials().await?;
    match form {
        Format::Env => call.printer.raw(format::aws_shell(&credentials, &wired.target).expose().as_bytes())?,
        _ if form == Format::Json || call.printer.json => {
            call.printer.data(format::aws_json(&credentials, &wired.target).expose())?;
        }
        _ => call.printer.data(format::aws_process(&credentials).expose())?,
    }
    Ok(Outcome::Done)
}

async fn google(call: &Call, settings: &Settings, name: Option<&str>, form: Format) -> Result<Outcome> {
    let wired = wire::google(settings, name, &call.system)?;
    let target = wired.credentials.target();
    let credentials = wired.credentials.credentials().await?;
    if form == Format::Env {
        call.printer.raw(format::google_shell(&credentials, target).expose().as_bytes())?;
        call.printer.say("gcloud and Terraform read these; Google's libraries need --format google-file, or skybru exec");
    } else {
        call.printer.data(format::google_json(&credentials, target).expose())?;
    }
    Ok(Outcome::Done)
}

async fn azure(call: &Call, settings: &Settings, args: &CredentialsArgs, form: Format) -> Result<Outcome> {
    let wired = wire::azure(settings, args.target.as_deref(), &call.system)?;
    let target = wired.credentials.target();
    let token = wired.credentials.token(&args.resource).await?;
    match form {
        Format::Env => {
            call.printer.raw(format::azure_shell(&token, target).expose().as_bytes())?;
            call.printer.say("Azure's own SDKs read no access token from the environment: for them use skybru exec or the agent");
        }
        _ if form == Format::Json || call.printer.json => {
            call.printer.data(format::azure_json(&token, target).expose())?;
        }
        _ => call.printer.data(format::azure_cli(&token, target).expose())?,
    }
    Ok(Outcome::Done)
}

/// Whatever goes wrong must be told in the form that the library reads, with exit code 0 (G-65).
async fn google_executable(call: &Call, args: &CredentialsArgs) -> Result<Outcome> {
    let token = async {
        let wired = wire::google(&call.settings()?, args.target.as_deref(), &call.system)?;
        anyhow::Ok(wired.credentials.subject_token().await?)
    };
    match token.await {
        Ok(token) => call.printer.data(format::google_executable(&token).expose())?,
        Err(error) => {
            let message = crate::report::on_one_line(&error);
            call.printer.data(&format::google_executable_failure(&message).to_string())?;
        }
    }
    Ok(Outcome::Done)
}

fn google_file(call: &Call, settings: &Settings, args: &CredentialsArgs) -> Result<Outcome> {
    let (name, options) = settings.target(args.target.as_deref())?;
    let (target, _) = settings.google(name, options)?;
    let source = match args.source {
        Source::Agent => GoogleSource::Url(format!("{}/google/{name}/subject-token", args.agent.trim_end_matches('/'))),
        Source::Executable => GoogleSource::Executable(command(call, settings, name)?),
        Source::File => {
            let Some(file) = &args.token_file else {
                bail!(
                    "--source file: name the file with --token-file; `skybru agent --token-files FOLDER` keeps FOLDER/{name}.jwt fresh"
                );
            };
            GoogleSource::File(call.system.folder.join(file).display().to_string())
        }
    };
    call.printer.object(&format::google_file(&target, &source))?;
    if args.source == Source::Executable {
        call.printer.say("libraries run it only with GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1 in their environment (D-52)");
    }
    Ok(Outcome::Done)
}

/// This program, with this target. The library splits at blanks, so no part may have one (G-66).
fn command(call: &Call, settings: &Settings, name: &str) -> Result<String> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let mut parts = vec![program.display().to_string()];
    if let Some(file) = settings.file.as_deref().map(|file| call.system.folder.join(file)) {
        parts.extend(["--config".to_owned(), Path::display(&file).to_string()]);
    }
    parts.extend(["credentials".to_owned(), name.to_owned(), "--format".to_owned(), "google-executable".to_owned()]);
    if let Some(part) = parts.iter().find(|part| part.contains(char::is_whitespace)) {
        bail!("{part:?} has a blank, and Google's libraries split the command at blanks (D-52): use --source agent or file");
    }
    Ok(parts.join(" "))
}
