//! The small sections.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use kefu_messages::problems::Problems;
use kefu_messages::rules::{Action, Rules};
use kefu_messages::window;
use kefu_runtime::cores;
use kefu_webhook::address;
use secrecy::{ExposeSecret, SecretString};
use tracing_subscriber::filter::{EnvFilter, ParseError};

use super::table::Table;

const MIB: u64 = 1024 * 1024;
const TIB: u64 = 1024 * 1024 * MIB;

/// `[ingress]`
#[derive(Debug, Clone)]
pub struct Ingress {
    /// The address for WeChat's pushes. Default `0.0.0.0:8080`.
    pub listen: SocketAddr,
    /// The address for `/livez`, `/readyz`, `/metrics`, `/v1`; not for the internet. Default `127.0.0.1:9080`.
    pub internal_listen: SocketAddr,
    /// The largest push, in bytes. Default 1 MiB.
    pub max_body_bytes: usize,
    /// How many bytes of bodies ingress keeps in memory at once, without the first 16 KiB of each; bodies beyond this
    /// limit wait. Reading the bodies and writing them to the queue needs more memory than this. Default 64 MiB.
    pub max_buffered_bytes: usize,
    /// How many threads serve the connections. Default half of the cores, at least 1; all cores with the embedded queue,
    /// where no RabbitMQ and no Redis need the others.
    pub threads: usize,
    /// How many connections are served at once; connections beyond this limit wait in the kernel's queue. Default
    /// 4,096.
    pub max_connections: usize,
    /// How long a shutdown waits for pushes under way: `grace_ms`, 10 s by default.
    pub grace: Duration,
    /// The folder of the [`spool`](kefu_spool). Default none: ingress refuses pushes that the broker does not accept.
    pub spool: Option<PathBuf>,
    /// How many bytes of messages the spool of one ingress keeps. Default 1 GiB.
    pub spool_max_bytes: u64,
}

impl Ingress {
    /// `embedded`: whether the queue is the embedded one.
    pub(super) fn read(table: &mut Table<'_>, embedded: bool) -> Self {
        let section = Self {
            listen: table.address("listen").unwrap_or((Ipv4Addr::UNSPECIFIED, 8080).into()),
            internal_listen: table.address("internal_listen").unwrap_or((Ipv4Addr::LOCALHOST, 9080).into()),
            max_body_bytes: table.number("max_body_bytes", 1_024..=16 * MIB).unwrap_or(1024 * 1024),
            max_buffered_bytes: table.number("max_buffered_bytes", 1_024..=TIB).unwrap_or(64 * 1024 * 1024),
            threads: table.number("threads", 1..=256).unwrap_or_else(if embedded { cores::all } else { cores::half }),
            max_connections: table.number("max_connections", 1..=1_000_000).unwrap_or(4_096),
            grace: table.milliseconds("grace_ms", 0..=u64::MAX).unwrap_or(Duration::from_secs(10)),
            spool: table.folder("spool"),
            spool_max_bytes: table.number("spool_max_bytes", MIB..=TIB).unwrap_or(1024 * MIB),
        };
        if section.max_buffered_bytes < section.max_body_bytes {
            table.wrong("max_buffered_bytes", "must not be less than max_body_bytes");
        }
        if section.spool.is_some() && embedded {
            let problem = "is for a queue on RabbitMQ; the embedded queue is on this disk already: remove it";
            table.wrong("spool", problem);
        }
        section
    }
}

/// `[worker]`
#[derive(Debug, Clone)]
pub struct Worker {
    /// `/livez`, `/readyz`, `/metrics`. Default `127.0.0.1:9081`.
    pub internal_listen: SocketAddr,
    /// How many messages are handled at once, each of another user. Default 256.
    pub concurrency: usize,
    /// How long a shutdown waits for messages under way: `grace_ms`, 20 s by default.
    pub grace: Duration,
    /// What the worker does with a reply that may or may not have been sent, because a worker died in the middle of it
    /// or because WeChat did not answer the call: send it again (default: nothing is lost) or skip it (nothing is
    /// doubled).
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

impl Worker {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        let ambiguous = [("resend", Ambiguous::Resend), ("skip", Ambiguous::Skip)];
        Self {
            internal_listen: table.address("internal_listen").unwrap_or((Ipv4Addr::LOCALHOST, 9081).into()),
            concurrency: table.number("concurrency", 1..=100_000).unwrap_or(256),
            grace: table.milliseconds("grace_ms", 0..=u64::MAX).unwrap_or(Duration::from_secs(20)),
            ambiguous: table.choice("ambiguous", &ambiguous).unwrap_or(Ambiguous::Resend),
        }
    }
}

/// `[wechat]`
#[derive(Debug, Clone)]
pub struct WeChat {
    /// The address of WeChat's API, without a path. Default `https://api.weixin.qq.com`.
    pub api_base: String,
    /// The API that gives access_tokens. Default `stable_token`.
    pub token_api: TokenApi,
    /// How long one call may take: `timeout_ms`, 10 s by default.
    pub timeout: Duration,
    /// The largest image that kefu uploads, in bytes. WeChat's page says 2 MB in one place and 10 MB in another;
    /// default 2 MiB.
    pub max_image_bytes: u64,
    /// The API that shows a user that somebody is typing. Default `business_typing`.
    pub typing_api: TypingApi,
}

/// The APIs that give access_tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenApi {
    /// `POST /cgi-bin/stable_token`: the same token for every caller, so that no process can invalidate another's
    /// token.
    StableToken,
    /// `GET /cgi-bin/token`: each call may end the previous token.
    Token,
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

impl WeChat {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        let api_base = table.get("api_base").unwrap_or_else(|| "https://api.weixin.qq.com".to_owned());
        let (scheme, rest) = api_base.split_once("://").unwrap_or_default();
        if !["http", "https"].contains(&scheme) || rest.contains('/') || reqwest::Url::parse(&api_base).is_err() {
            table.wrong("api_base", "must be http://HOST or https://HOST, without a path");
        }
        let token = [("stable_token", TokenApi::StableToken), ("token", TokenApi::Token)];
        let typing = [("business_typing", TypingApi::Business), ("typing", TypingApi::Old), ("off", TypingApi::Off)];
        Self {
            api_base,
            token_api: table.choice("token_api", &token).unwrap_or(TokenApi::StableToken),
            timeout: table.milliseconds("timeout_ms", 100..=60_000).unwrap_or(Duration::from_secs(10)),
            max_image_bytes: table.number("max_image_bytes", 1..=10 * MIB).unwrap_or(2 * MIB),
            typing_api: table.choice("typing_api", &typing).unwrap_or(TypingApi::Business),
        }
    }
}

/// `[window]`
pub(super) fn window(table: &mut Table<'_>) -> window::Limits {
    const WEEK: u64 = 7 * 24 * 3_600;
    let default = window::Limits::default();
    window::Limits {
        message_replies: table.number("message_replies", 1..=1_000).unwrap_or(default.message_replies),
        message_seconds: table.number("message_seconds", 1..=WEEK).unwrap_or(default.message_seconds),
        enter_replies: table.number("enter_replies", 1..=1_000).unwrap_or(default.enter_replies),
        enter_seconds: table.number("enter_seconds", 1..=WEEK).unwrap_or(default.enter_seconds),
        clock_tolerance_seconds: table
            .number("clock_tolerance_seconds", 0..=300)
            .unwrap_or(default.clock_tolerance_seconds),
    }
}

/// `[webhook]`
pub(super) fn webhook(table: &mut Table<'_>) -> kefu_webhook::Settings {
    let long_enough = |secret: &SecretString| match secret.expose_secret().chars().count() {
        // Such a secret can be guessed.
        ..16 => Err("is too short: use at least 16 characters, for example from `openssl rand -hex 32`"),
        _ => Ok(secret.clone()),
    };
    let default = kefu_webhook::Settings::default();
    kefu_webhook::Settings {
        secret: table.secret_as("secret", long_enough),
        timeout: table.milliseconds("timeout_ms", 100..=60_000).unwrap_or(default.timeout),
        concurrency: table.number("concurrency", 1..=10_000).unwrap_or(default.concurrency),
        allow_redirects: table.get("allow_redirects").unwrap_or(default.allow_redirects),
        allow_link_local: table.get("allow_link_local").unwrap_or(default.allow_link_local),
    }
}

/// Notes each rule whose webhook `[webhook]` does not allow: the secret is missing, or the address is link-local.
pub(super) fn check_webhooks(settings: &kefu_webhook::Settings, rules: &Rules, problems: &mut Problems) {
    let mut secret_is_missing = settings.secret.is_none();
    for rule in rules.iter() {
        let Action::Webhook(endpoint) = rule.action() else { continue };
        if std::mem::take(&mut secret_is_missing) {
            let problem = format!(
                "secret (or secret_file) is missing: {} has a webhook, and kefu signs its calls with this secret",
                rule.place()
            );
            problems.missing("[webhook]", "secret", problem);
        }
        if address::is_forbidden_literal(&endpoint.url) && !settings.allow_link_local {
            problems.add(format!("{} webhook.url", rule.place()), address::FORBIDDEN);
        }
    }
}

/// `[received_pictures]`: what kefu does with the pictures that users send.
#[derive(Debug, Clone)]
pub struct ReceivedPictures {
    /// The folder that pictures are stored below. Default none: kefu stores no pictures.
    pub folder: Option<PathBuf>,
    /// The largest picture that kefu fetches, in bytes. Default 20 MiB.
    pub max_bytes: u64,
}

impl ReceivedPictures {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        Self {
            folder: table.folder("folder"),
            max_bytes: table.number("max_bytes", 1_024..=256 * MIB).unwrap_or(20 * MIB),
        }
    }
}

/// `[api]` with a key: `/v1` exists.
#[derive(Debug, Clone)]
pub struct Api {
    /// The accepted keys: the present key, and the previous key if there is one. Visible ASCII.
    pub keys: Vec<SecretString>,
}

impl Api {
    /// `None` without a key.
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let key = |key: &SecretString| {
            let text = key.expose_secret();
            // A key must fit into a request's head beside the other headers.
            let fits = (16..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
            fits.then(|| key.clone()).ok_or("must be 16 to 256 letters, digits or signs of ASCII, without blanks")
        };
        let (present, previous) = (table.secret_as("key", key), table.secret_as("previous_key", key));
        if present.is_none() && previous.is_some() {
            table.missing("key", "key is missing: previous_key counts only beside it, while you change the key");
        }
        let keys: Vec<SecretString> = present.into_iter().chain(previous).collect();
        (!keys.is_empty()).then_some(Self { keys })
    }
}

/// `[telemetry]`
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// `text` (default) or `json`.
    pub log_format: LogFormat,
    /// The filter of the log, in the syntax of `tracing`'s `EnvFilter`. Crates other than kefu's never log below
    /// `info`. Default `info,actix_server=warn,lapin=off`.
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

impl Telemetry {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let log_filter: String =
            table.get("log_filter").unwrap_or_else(|| "info,actix_server=warn,lapin=off".to_owned());
        if let Err(problem) = Self::filter(&log_filter) {
            table.wrong("log_filter", problem);
        }
        Self { log_format: table.choice("log_format", &formats).unwrap_or(LogFormat::Text), log_filter }
    }

    /// The filter that a `log_filter` describes.
    pub(crate) fn filter(written: &str) -> Result<EnvFilter, ParseError> {
        EnvFilter::try_new(written)
    }
}
