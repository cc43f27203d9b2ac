//! Where logs and traces go.
//!
//! Logs are lines on stderr. Traces go to a collector in OpenTelemetry's own format (OTLP over HTTP), when `[telemetry]` names one; without it
//! there is neither a thread nor a span. Only spans that are meant for it leave, those of [`TARGET`]: log lines do not, and attributes are
//! chosen one by one, so that no secret is among them.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::settings::TelemetryOptions;

/// The target of spans that may leave.
pub(crate) const TARGET: &str = "skybru::trace";

/// A collector that takes longer to answer loses what was sent.
const PATIENCE: Duration = Duration::from_secs(5);

/// Traces on their way out.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends what is left. It waits for the collector, but not for long.
    pub(crate) fn finish(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(PATIENCE) {
            tracing::warn!(%error, "the last traces were not taken");
        }
    }
}

/// Begins to write logs, and to send traces where `telemetry` says so.
pub(crate) fn start(
    verbose: u8,
    filter: Option<&str>,
    format: Option<&str>,
    telemetry: Option<(&TelemetryOptions, &Handle)>,
) -> Result<Option<Traces>> {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter =
        EnvFilter::try_new(filter.unwrap_or(level)).context("SKYBRU_LOG is not a filter such as info,skybru_issuer=debug")?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(true);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        None | Some("text") => lines.with_filter(filter).boxed(),
        Some("json") => lines.json().flatten_event(true).with_filter(filter).boxed(),
        Some(other) => bail!("SKYBRU_LOG_FORMAT: expected text or json, found {other:?}"),
    };
    let provider = match telemetry {
        Some((TelemetryOptions { otlp_endpoint: Some(endpoint), sample_ratio, service_name }, runtime)) => {
            Some(provider(endpoint, *sample_ratio, service_name, runtime)?)
        }
        _ => None,
    };
    let spans = provider.as_ref().map(|provider| {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("skybru"));
        let layer = layer.with_location(false).with_threads(false).with_target(false).with_tracked_inactivity(false);
        layer.with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO)).boxed()
    });
    tracing_subscriber::registry().with(std::iter::once(lines).chain(spans).collect::<Vec<_>>()).init();
    Ok(provider.map(Traces))
}

fn provider(endpoint: &str, ratio: f64, service_name: &str, runtime: &Handle) -> Result<SdkTracerProvider> {
    let url: url::Url = endpoint.parse().with_context(|| format!("setting telemetry.otlp-endpoint: {endpoint:?} is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        bail!("setting telemetry.otlp-endpoint: expected an http or https URL without credentials");
    }
    if !(0.0..=1.0).contains(&ratio) {
        bail!("setting telemetry.sample-ratio: expected 0 to 1, found {ratio}");
    }
    let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
    let client = Collector { client: client.build().context("cannot set up HTTP")?, runtime: runtime.clone() };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(client)
        .with_timeout(PATIENCE)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()
        .context("setting telemetry.otlp-endpoint: traces cannot be sent there")?;
    // Not by what the caller says: strangers must not decide how much is traced.
    let sampler = if ratio >= 1.0 { Sampler::AlwaysOn } else { Sampler::TraceIdRatioBased(ratio) };
    let resource = Resource::builder_empty().with_service_name(service_name.to_owned());
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_sampler(sampler).with_resource(resource.build()).build())
}

/// The way to the collector: traces are collected on a thread of their own, which has no runtime for connections.
#[derive(Debug)]
struct Collector {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let answer = client.execute(request).await?;
            let status = answer.status();
            // What it says beside the status helps nobody, and may be long.
            Ok::<_, reqwest::Error>(status)
        });
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = sent.await??;
        Ok(response)
    }
}
