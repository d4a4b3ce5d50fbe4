//! Logs and metrics of a process.

use std::io::IsTerminal;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, ParseError, filter_fn};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogFormat, Telemetry};

#[cfg(test)]
mod tests;

/// The upper bounds of the buckets of every `*_seconds` histogram. WeChat's limit of 5 s is among them.
const SECONDS_BUCKETS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 4.5, 5.0, 10.0, 60.0, 3_600.0];

/// Why telemetry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `log_filter` has a mistake.
    #[error("{0}")]
    Filter(#[from] ParseError),
    /// The log was started in this process before.
    #[error("the log cannot be started a second time: {0}")]
    Logs(#[from] TryInitError),
    /// The metrics were started in this process before.
    #[error("the metrics cannot be started a second time: {0}")]
    Metrics(#[from] BuildError),
}

/// Sends logs to standard error, for the rest of the process's life.
pub fn start_logs(config: &Telemetry) -> Result<(), TelemetryError> {
    let filter = Telemetry::filter(&config.log_filter)?;
    Ok(subscriber(filter, config.log_format, std::io::stderr).try_init()?)
}

fn subscriber<W>(filter: EnvFilter, format: LogFormat, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(writer);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(filter_fn(may_be_logged)).with(lines)
}

/// The records that the configured filter may let through. Libraries do not know which values are secret: below `info` they
/// log what they send and receive, byte by byte.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    let is_ours = library == "kefu" || library.starts_with("kefu_");
    is_ours || (*metadata.level() <= Level::INFO && !metadata.target().starts_with(WARNS_WITH_BODIES))
}

/// lapin's warning of a message that the broker returned contains the message's body.
const WARNS_WITH_BODIES: &str = "lapin::returned_messages";

/// Collects metrics from now on; the handle renders them for `/metrics`.
pub fn start_metrics() -> Result<PrometheusHandle, TelemetryError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)?;
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
