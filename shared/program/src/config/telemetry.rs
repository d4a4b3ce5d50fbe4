//! `[telemetry]`

use serde::{Deserialize, Deserializer};

use super::value::choice;

/// `[telemetry]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Telemetry {
    /// `text` (default) or `json`.
    pub log_format: LogFormat,
    /// What is logged, in the syntax of `tracing`'s `EnvFilter`; of other crates than kefu's, nothing below `info` is.
    /// Default `info,actix_server=warn,lapin=off`.
    pub log_filter: String,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

impl<'de> Deserialize<'de> for LogFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        choice(deserializer, &[("text", Self::Text), ("json", Self::Json)])
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { log_format: LogFormat::Text, log_filter: "info,actix_server=warn,lapin=off".to_owned() }
    }
}
