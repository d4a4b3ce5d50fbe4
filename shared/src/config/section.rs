//! The sections of plain values. What is left out has the default that its doc names.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de};

use super::choice::choice;
use super::{BackendUrls, Problems};

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

/// `[ingress]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Ingress {
    /// Where WeChat's pushes come in. Default `0.0.0.0:8080`.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// `/livez`, `/readyz`, `/metrics`, `/v1`; not for the internet. Default `127.0.0.1:9080`.
    #[serde(deserialize_with = "address")]
    pub internal_listen: SocketAddr,
    /// The largest push, in bytes. Default 1 MiB.
    pub max_body_bytes: usize,
    /// How many bytes of bodies are held at once, the first 16 KiB of each not counted; those beyond wait. What is read
    /// from them, and written to the queue, comes on top. Default 64 MiB.
    pub max_buffered_bytes: usize,
    /// How many connections are served at once; those beyond wait in the kernel's queue. Default 4,096.
    pub max_connections: usize,
    /// How long a shutdown waits for pushes under way, in milliseconds. Default 10,000.
    #[serde(rename = "grace_ms", deserialize_with = "milliseconds")]
    pub grace: Duration,
    /// The folder of the [`spool`](crate::spool). Default none: what the broker does not take is refused.
    #[serde(deserialize_with = "folder")]
    pub spool: Option<PathBuf>,
    /// How many bytes of messages the spool of one ingress keeps. Default 1 GiB.
    pub spool_max_bytes: u64,
}

/// `[worker]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Worker {
    /// `/livez`, `/readyz`, `/metrics`. Default `127.0.0.1:9081`.
    #[serde(deserialize_with = "address")]
    pub internal_listen: SocketAddr,
    /// How many messages are handled at once, of different users. Default 256.
    pub concurrency: usize,
    /// How long a shutdown waits for messages under way, in milliseconds. Default 20,000.
    #[serde(rename = "grace_ms", deserialize_with = "milliseconds")]
    pub grace: Duration,
    /// What becomes of a reply that may or may not have been sent, because a worker died in the middle of it: sent
    /// again (default: nothing is lost) or skipped (nothing is doubled).
    pub ambiguous: Ambiguous,
}

/// What to do with a step that may or may not have been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambiguous {
    /// Send it: the user may see it twice.
    Resend,
    /// Leave it out: the user may not see it.
    Skip,
}

impl<'de> Deserialize<'de> for Ambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        choice(deserializer, &[("resend", Self::Resend), ("skip", Self::Skip)])
    }
}

/// `[wechat]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct WeChat {
    /// Where WeChat's API is, without a path. Default `https://api.weixin.qq.com`.
    pub api_base: String,
    /// Which API gives access_tokens. Default `stable_token`.
    pub token_api: TokenApi,
    /// How long one call may take, in milliseconds. Default 10,000.
    #[serde(rename = "timeout_ms", deserialize_with = "milliseconds")]
    pub timeout: Duration,
    /// The largest image that is uploaded, in bytes. WeChat's page says 2 MB in one place and 10 MB in another; default
    /// 2 MiB.
    pub max_image_bytes: u64,
    /// Which API shows a user that somebody types. Default `business_typing`.
    pub typing_api: TypingApi,
}

/// The APIs that give access_tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenApi {
    /// `POST /cgi-bin/stable_token`: the same token for all who ask, so that processes cannot invalidate each other's.
    StableToken,
    /// `GET /cgi-bin/token`: each call may end the token before.
    Token,
}

impl<'de> Deserialize<'de> for TokenApi {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        choice(deserializer, &[("stable_token", Self::StableToken), ("token", Self::Token)])
    }
}

/// The APIs that show a user that somebody types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypingApi {
    /// `/cgi-bin/message/custom/business/typing`: that of mini programs.
    Business,
    /// `/cgi-bin/message/custom/typing`: that of official accounts, and of mini programs before.
    Old,
    /// None: users are shown nothing.
    Off,
}

impl<'de> Deserialize<'de> for TypingApi {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        choice(deserializer, &[("business_typing", Self::Business), ("typing", Self::Old), ("off", Self::Off)])
    }
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
}

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

impl Default for Queue {
    fn default() -> Self {
        Self { url: None, url_file: None, partitions: 64, prefetch: 100 }
    }
}

impl Default for Ingress {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 8080).into(),
            internal_listen: (Ipv4Addr::LOCALHOST, 9080).into(),
            max_body_bytes: 1024 * 1024,
            max_buffered_bytes: 64 * 1024 * 1024,
            max_connections: 4_096,
            grace: Duration::from_secs(10),
            spool: None,
            spool_max_bytes: 1024 * 1024 * 1024,
        }
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            internal_listen: (Ipv4Addr::LOCALHOST, 9081).into(),
            concurrency: 256,
            grace: Duration::from_secs(20),
            ambiguous: Ambiguous::Resend,
        }
    }
}

impl Default for WeChat {
    fn default() -> Self {
        Self {
            api_base: "https://api.weixin.qq.com".to_owned(),
            token_api: TokenApi::StableToken,
            timeout: Duration::from_secs(10),
            max_image_bytes: 2 * 1024 * 1024,
            typing_api: TypingApi::Business,
        }
    }
}

impl Default for Window {
    fn default() -> Self {
        Self { message_replies: 5, message_seconds: 48 * 3_600, enter_replies: 2, enter_seconds: 60 }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { log_format: LogFormat::Text, log_filter: "info,actix_server=warn,lapin=off".to_owned() }
    }
}

impl Queue {
    pub(super) fn check(&self, problems: &mut Problems) {
        within("[queue] partitions", self.partitions.into(), 1, 1_024, problems);
        within("[queue] prefetch", self.prefetch.into(), 1, 2_000, problems);
    }
}

impl Ingress {
    pub(super) fn check(&self, problems: &mut Problems) {
        within("[ingress] max_body_bytes", self.max_body_bytes as u64, 1_024, 16 * 1024 * 1024, problems);
        within("[ingress] max_buffered_bytes", self.max_buffered_bytes as u64, 1_024, 1 << 40, problems);
        if self.max_buffered_bytes < self.max_body_bytes {
            problems.add("[ingress] max_buffered_bytes", "must not be less than max_body_bytes");
        }
        within("[ingress] max_connections", self.max_connections as u64, 1, 1_000_000, problems);
        within("[ingress] spool_max_bytes", self.spool_max_bytes, 1024 * 1024, 1 << 40, problems);
    }
}

impl Ingress {
    /// Takes the spool from the configuration's folder on, and only beside a broker.
    pub(super) fn resolve_spool(&mut self, backend: Option<&BackendUrls>, from: &Path, problems: &mut Problems) {
        self.spool = self.spool.take().map(|folder| from.join(folder));
        if self.spool.is_some() && matches!(backend, Some(BackendUrls::Embedded(_))) {
            let text = "is for a queue on RabbitMQ; the embedded queue is on this disk already: leave it out";
            problems.add("[ingress] spool", text);
        }
    }
}

impl Worker {
    pub(super) fn check(&self, problems: &mut Problems) {
        within("[worker] concurrency", self.concurrency as u64, 1, 100_000, problems);
    }
}

impl WeChat {
    pub(super) fn check(&self, problems: &mut Problems) {
        let (scheme, rest) = self.api_base.split_once("://").unwrap_or_default();
        let is_url = reqwest::Url::parse(&self.api_base).is_ok();
        if !["http", "https"].contains(&scheme) || rest.contains('/') || !is_url {
            problems.add("[wechat] api_base", "must be http://HOST or https://HOST, without a path");
        }
        within("[wechat] timeout_ms", self.timeout.as_millis() as u64, 100, 60_000, problems);
        within("[wechat] max_image_bytes", self.max_image_bytes, 1, 10 * 1024 * 1024, problems);
    }
}

impl Window {
    pub(super) fn check(&self, problems: &mut Problems) {
        const WEEK: u64 = 7 * 24 * 3_600;
        within("[window] message_replies", self.message_replies.into(), 1, 1_000, problems);
        within("[window] message_seconds", self.message_seconds, 1, WEEK, problems);
        within("[window] enter_replies", self.enter_replies.into(), 1, 1_000, problems);
        within("[window] enter_seconds", self.enter_seconds, 1, WEEK, problems);
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
