//! `skybru up`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use skybru_sim::FetchFault;
use skybru_sim::control::ControlSettings;

use super::{Call, Outcome};
use crate::lab::{Lab, LabInfo, LabOptions, OtherClouds};
use crate::print::{Printer, Style};

/// Arguments of `up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Where everything is kept; it survives a restart
    #[arg(long, value_name = "FOLDER", default_value = "skybru-lab")]
    data: PathBuf,
    /// The first of the lab's ports, of which it uses up to 16 more; 0 for any that are free
    #[arg(long, value_name = "PORT", default_value_t = 7400, value_parser = clap::value_parser!(u16).range(..=65_500))]
    port_base: u16,
    /// How far the simulated clouds' clocks are ahead of this machine's; behind, when negative
    #[arg(long, value_name = "SECONDS", default_value_t = 0, allow_negative_numbers = true)]
    clock_shift: i64,
    /// How long a change of who may do what is not yet in force at the simulated clouds
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    propagation_delay: u32,
    /// How every fetch of the issuer's documents by a simulated cloud fails
    #[arg(long, value_name = "FAULT", value_parser = fetch_fault)]
    fetch_fault: Option<FetchFault>,
    /// No credentials of the simulated clouds live longer than this: to see a program renew them
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(5..=43_200))]
    credential_seconds: Option<u32>,
}

/// By the name that the control page has for it.
fn fetch_fault(text: &str) -> Result<FetchFault, String> {
    let named = serde_json::from_value(serde_json::Value::from(text));
    named.map_err(|_| "expected timeout, server-error, html, redirect or bad-chain".to_owned())
}

pub(crate) async fn run(call: &Call, args: UpArgs) -> Result<Outcome> {
    let folder = call.system.folder.join(&args.data);
    let options = LabOptions {
        folder,
        port_base: Some(args.port_base).filter(|port| *port > 0),
        ctx: call.system.ctx.clone(),
        clouds: OtherClouds::ALL,
        control: ControlSettings {
            clock_shift_seconds: args.clock_shift,
            propagation_delay_seconds: args.propagation_delay,
            exchanges_per_minute: 0,
            fetch_fault: args.fetch_fault,
            credential_seconds: args.credential_seconds,
        },
    };
    // Before anything is started: a stop that comes early must not be lost.
    let stopped = stop_signal()?;
    let lab = Lab::start(options).await.context("cannot start the lab")?;
    if call.printer.json {
        call.printer.object(&lab.info)?;
    } else {
        describe(&call.printer, &lab.info);
    }
    stopped.await;
    call.printer.say("stopping: running requests may finish");
    lab.stop().await;
    Ok(Outcome::Done)
}

fn describe(printer: &Printer, info: &LabInfo) {
    let aws = &info.clouds.aws;
    let line = |text: &str| printer.say(text);
    line(&printer.paint(Style::Heading, "The lab is ready. Stop it with Ctrl-C; it remembers everything."));
    line("");
    line(&format!("  Maskinporten   {}", info.issuers.maskinporten));
    line(&format!("  Skyporten      {}", info.issuers.skyporten));
    line(&format!("  self-service   {}", info.selfservice));
    line(&format!("  AWS            {}  (account {}, {})", aws.endpoint, aws.account, aws.region));
    if let Some(google) = &info.clouds.google {
        line(&format!("  Google         {}  (project {}, number {})", google.endpoint, google.project, google.project_number));
    }
    if let Some(azure) = &info.clouds.azure {
        line(&format!("  Azure          {}  (account {}, tenant {})", azure.authority, azure.account, azure.tenant_id));
    }
    line(&format!("  CA             {}", info.ca_file.display()));
    line("");
    line("As the consumer, in another terminal:");
    line(&format!("  export SKYBRU_CONFIG={}", info.demo.config_file.display()));
    line("  skybru token demo | skybru inspect");
    line("  skybru ls demo:timetables/");
    line("  skybru exec demo -- aws s3 cp s3://fjordbuss-data/timetables/line-1.csv -");
    if info.clouds.google.is_some() {
        line("  skybru cat demo-google:timetables/line-1.csv");
    }
    if info.clouds.azure.is_some() {
        line("  skybru cat demo-azure:timetables/line-1.csv");
    }
    line("");
    line("As the owner of the AWS account:");
    line(&format!("  export AWS_ENDPOINT_URL={} AWS_DEFAULT_REGION={}", aws.endpoint, aws.region));
    line(&format!("  export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}", aws.access_key_id, aws.secret_access_key));
    line("  aws iam list-open-id-connect-providers");
}

/// Completes when the program is asked to stop: Ctrl-C, or a termination.
#[cfg(unix)]
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
