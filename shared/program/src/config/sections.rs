//! The small sections: `[worker]`, `[wechat]`, `[received_pictures]` and `[telemetry]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kefu_messages::problems::Problems;
use serde::{Deserialize, Deserializer};

use super::value::{address, choice, folder, milliseconds};

/// `[worker]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Worker {
    /// `/livez`, `/readyz`, `/metrics`. Default `127.0.0.1:9081`.
    #[serde(deserialize_with = "address")]
    pub internal_listen: SocketAddr,
    /// How many messages are handled at once, each of another user. Default 256.
    pub concurrency: usize,
    /// How long a shutdown waits for messages under way, in milliseconds. Default 20,000.
    #[serde(rename = "grace_ms", deserialize_with = "milliseconds")]
    pub grace: Duration,
    /// What the worker does with a reply that may or may not have been sent, because a worker died in the middle of it or
    /// because WeChat did not answer the call: send it again (default: nothing is lost) or skip it (nothing is doubled).
    pub ambiguous: Ambiguous,
}

/// What to do with a step that may or may not have been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambiguous {
    /// Send the step: the user may see the reply twice.
    Resend,
    /// Skip the step: the user may not see the reply.
    Skip,
}

impl<'de> Deserialize<'de> for Ambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        choice(deserializer, &[("resend", Self::Resend), ("skip", Self::Skip)])
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

impl Worker {
    pub(super) fn check(&self, problems: &mut Problems) {
        problems.within("[worker] concurrency", self.concurrency as u64, 1, 100_000);
    }
}

/// `[wechat]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct WeChat {
    /// The address of WeChat's API, without a path. Default `https://api.weixin.qq.com`.
    pub api_base: String,
    /// The API that gives access_tokens. Default `stable_token`.
    pub token_api: TokenApi,
    /// How long one call may take, in milliseconds. Default 10,000.
    #[serde(rename = "timeout_ms", deserialize_with = "milliseconds")]
    pub timeout: Duration,
    /// The largest image that kefu uploads, in bytes. WeChat's page says 2 MB in one place and 10 MB in another; default 2
    /// MiB.
    pub max_image_bytes: u64,
    /// The API that shows a user that somebody is typing. Default `business_typing`.
    pub typing_api: TypingApi,
}

/// The APIs that give access_tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenApi {
    /// `POST /cgi-bin/stable_token`: the same token for every caller, so that no process can invalidate another's token.
    StableToken,
    /// `GET /cgi-bin/token`: each call may end the previous token.
    Token,
}

impl<'de> Deserialize<'de> for TokenApi {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        choice(deserializer, &[("stable_token", Self::StableToken), ("token", Self::Token)])
    }
}

/// The APIs that show a user that somebody is typing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypingApi {
    /// `/cgi-bin/message/custom/business/typing`: the API of mini programs.
    Business,
    /// `/cgi-bin/message/custom/typing`: the API of official accounts, and formerly of mini programs.
    Old,
    /// No API: users see no sign of typing.
    Off,
}

impl<'de> Deserialize<'de> for TypingApi {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        choice(deserializer, &[("business_typing", Self::Business), ("typing", Self::Old), ("off", Self::Off)])
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

impl WeChat {
    pub(super) fn check(&self, problems: &mut Problems) {
        let (scheme, rest) = self.api_base.split_once("://").unwrap_or_default();
        let is_url = reqwest::Url::parse(&self.api_base).is_ok();
        if !["http", "https"].contains(&scheme) || rest.contains('/') || !is_url {
            problems.add("[wechat] api_base", "must be http://HOST or https://HOST, without a path");
        }
        problems.within("[wechat] timeout_ms", self.timeout.as_millis() as u64, 100, 60_000);
        problems.within("[wechat] max_image_bytes", self.max_image_bytes, 1, 10 * 1024 * 1024);
    }
}

/// `[received_pictures]`: what kefu does with the pictures that users send.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct ReceivedPictures {
    /// The folder that pictures are stored below. Default none: kefu stores no pictures.
    #[serde(deserialize_with = "folder")]
    pub folder: Option<PathBuf>,
    /// The largest picture that kefu fetches, in bytes. Default 20 MiB.
    pub max_bytes: u64,
}

impl Default for ReceivedPictures {
    fn default() -> Self {
        Self { folder: None, max_bytes: 20 * 1024 * 1024 }
    }
}

impl ReceivedPictures {
    /// Makes the folder relative to the configuration's folder, and checks the values.
    pub(super) fn resolve(&mut self, from: &Path, problems: &mut Problems) {
        self.folder = self.folder.take().map(|folder| from.join(folder));
        problems.within("[received_pictures] max_bytes", self.max_bytes, 1_024, 256 * 1024 * 1024);
    }
}

/// `[telemetry]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Telemetry {
    /// `text` (default) or `json`.
    pub log_format: LogFormat,
    /// The filter of the log, in the syntax of `tracing`'s `EnvFilter`. Crates other than kefu's never log below `info`.
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
