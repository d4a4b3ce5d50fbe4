//! Logs and metrics of a process.

use std::io::IsTerminal;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Telemetry};

/// The upper bounds of the buckets of every `*_seconds` histogram. WeChat's limit of 5 s is among them.
const SECONDS_BUCKETS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 4.5, 5.0, 10.0, 60.0, 3_600.0];

/// Why telemetry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `log_filter` is not understood.
    #[error("log_filter: {0}")]
    Filter(String),
    /// Logs or metrics were started in this process before.
    #[error("telemetry was started before: {0}")]
    Started(String),
}

/// Sends logs to standard error, for the rest of the process's life.
pub fn start_logs(config: &Telemetry) -> Result<(), TelemetryError> {
    let filter = filter(config)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let result = match config.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    result.map_err(|error| TelemetryError::Started(error.to_string()))
}

/// The filter of the logs.
pub(crate) fn filter(config: &Telemetry) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(&config.log_filter).map_err(|error| TelemetryError::Filter(error.to_string()))
}

/// Collects metrics from now on; the handle renders them for `/metrics`.
pub fn start_metrics() -> Result<PrometheusHandle, TelemetryError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| TelemetryError::Started(error.to_string()))?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_secs(5));
        loop {
            tick.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}
