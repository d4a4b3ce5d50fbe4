//! The sections of plain values. What is left out has the default that its doc names.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de};

use super::Problems;

mod ingress;
mod telemetry;
mod wechat;
mod worker;

pub use ingress::Ingress;
pub use telemetry::{LogFormat, Telemetry};
pub use wechat::{TokenApi, TypingApi, WeChat};
pub use worker::{Ambiguous, Worker};

/// `[queue]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Queue {
    pub(super) url: Option<SecretString>,
    pub(super) url_file: Option<PathBuf>,
    /// How many partitions there are: 1 to 1,024, default 64. It must not change while messages are queued.
    pub partitions: u16,
    /// How many unsettled messages of one partition a worker holds: 1 to 2,000, default 100.
    pub prefetch: u16,
}

/// `[store]` as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Store {
    pub(super) url: Option<SecretString>,
    pub(super) url_file: Option<PathBuf>,
}

/// `[window]`: how many replies WeChat takes, and for how long.
///
/// Source of the defaults: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/send.html>.
/// They have changed over the years. Too much here costs a call that WeChat refuses; too little, replies that it would
/// have taken.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Window {
    /// Replies after a user's message. Default 5.
    pub message_replies: u32,
    /// How long these are taken, in seconds. Default 48 hours.
    pub message_seconds: u64,
    /// Replies after a user entered the session. Default 2.
    pub enter_replies: u32,
    /// How long these are taken, in seconds. Default 1 minute.
    pub enter_seconds: u64,
    /// For how many seconds more than that replies are tried, as the clocks of WeChat, ingress and worker may differ by so
    /// much. Default 5.
    pub clock_tolerance_seconds: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Self { url: None, url_file: None, partitions: 64, prefetch: 100 }
    }
}

impl Default for Window {
    fn default() -> Self {
        Self {
            message_replies: 5,
            message_seconds: 48 * 3_600,
            enter_replies: 2,
            enter_seconds: 60,
            clock_tolerance_seconds: 5,
        }
    }
}

impl Queue {
    pub(super) fn check(&self, problems: &mut Problems) {
        within("[queue] partitions", self.partitions.into(), 1, 1_024, problems);
        within("[queue] prefetch", self.prefetch.into(), 1, 2_000, problems);
    }
}

impl Window {
    pub(super) fn check(&self, problems: &mut Problems) {
        const WEEK: u64 = 7 * 24 * 3_600;
        within("[window] message_replies", self.message_replies.into(), 1, 1_000, problems);
        within("[window] message_seconds", self.message_seconds, 1, WEEK, problems);
        within("[window] enter_replies", self.enter_replies.into(), 1, 1_000, problems);
        within("[window] enter_seconds", self.enter_seconds, 1, WEEK, problems);
        within("[window] clock_tolerance_seconds", self.clock_tolerance_seconds, 0, 300, problems);
    }
}

pub(super) fn within(place: &str, value: u64, least: u64, most: u64, problems: &mut Problems) {
    if !(least..=most).contains(&value) {
        problems.add(place, format!("must be from {least} to {most}"));
    }
}

/// An empty text is no folder: so an environment variable can take away what the file says.
pub(super) fn folder<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let folder = PathBuf::deserialize(deserializer)?;
    Ok(Some(folder).filter(|folder| !folder.as_os_str().is_empty()))
}

pub(super) fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| de::Error::custom("must be \"IP:PORT\", for example \"127.0.0.1:8080\""))
}
