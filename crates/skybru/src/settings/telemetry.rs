//! Where traces go.

use serde::Deserialize;

/// `[telemetry]`: where traces of `skybru issuer serve` go.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TelemetryOptions {
    /// A collector that speaks OTLP over HTTP, such as `http://localhost:4318`.
    pub(crate) otlp_endpoint: Option<String>,
    /// The share of requests that is traced: all of them when absent.
    #[serde(default = "all")]
    pub(crate) sample_ratio: f64,
    /// What this installation is called there.
    #[serde(default = "service_name")]
    pub(crate) service_name: String,
}

const fn all() -> f64 {
    1.0
}

fn service_name() -> String {
    "skybru".to_owned()
}
