//! The configuration of a simulator.

use std::collections::HashSet;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use kefu_wechat::cipher::EncodingAesKey;
use kefu_wechat::push::Format;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;

/// The configuration of a simulator.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatorConfig {
    /// The address to listen on; a free port of loopback by default. Anybody who reaches this address controls the
    /// simulator.
    #[serde(default = "loopback")]
    pub listen: SocketAddr,
    /// The mini programs. The list needs at least one, and no appid may come twice.
    pub accounts: Vec<SimulatedAccount>,
    /// WeChat's limits, which a test may change.
    #[serde(default)]
    pub limits: Limits,
    /// The simulator's time.
    #[serde(skip)]
    pub clock: Clock,
}

/// One mini program, as WeChat knows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedAccount {
    /// The appid, `wx…`.
    pub appid: String,
    /// The AppSecret.
    pub secret: String,
    /// The Token of the console's page on message push.
    pub token: String,
    /// The EncodingAESKey, 43 characters. Compat and safe mode need it, and so does a push that asks for one of these
    /// modes.
    pub encoding_aes_key: Option<String>,
    /// The mode of pushes unless a push says otherwise.
    #[serde(default)]
    pub mode: Mode,
    /// The data format of pushes unless a push says otherwise; XML by default.
    #[serde(default = "xml")]
    pub format: Format,
    /// The original id, `gh_…`: `ToUserName` of pushes.
    pub raw_id: String,
    /// The URL that pushes go to. A test may set it later.
    pub callback_url: Option<String>,
}

/// The mode of pushes: how WeChat signs and encrypts them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// 明文模式: readable, signed without the body.
    #[default]
    Plain,
    /// 兼容模式: readable and encrypted side by side.
    Compat,
    /// 安全模式: encrypted.
    Safe,
}

/// WeChat's limits, with WeChat's values as defaults. A test can change them while the simulator runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// How many replies WeChat accepts after a user's message.
    pub message_replies: u32,
    /// How long WeChat accepts replies after a user's message, in milliseconds.
    pub message_window_ms: u64,
    /// How many replies WeChat accepts after a user entered the session.
    pub enter_replies: u32,
    /// How long WeChat accepts replies after a user entered the session, in milliseconds.
    pub enter_window_ms: u64,
    /// The longest text, in bytes of UTF-8.
    pub text_bytes: usize,
    /// The largest picture, in bytes.
    pub image_bytes: usize,
    /// How long a media_id lives, in seconds.
    pub media_lifetime_s: u64,
    /// How long an access_token lives, in seconds.
    pub token_lifetime_s: u64,
    /// How long a superseded access_token still works, in seconds. WeChat renews a stable token that long before its
    /// end.
    pub token_overlap_s: u64,
    /// How long WeChat waits for the answer to a push, in milliseconds.
    pub push_timeout_ms: u64,
    /// How often WeChat tries a push in all.
    pub push_tries: u32,
    /// How long WeChat waits before it tries again, in milliseconds. WeChat does not document this time.
    pub resend_after_ms: u64,
    /// How many entries the journal keeps. The journal forgets older entries.
    pub journal_entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_replies: 5,
            message_window_ms: 48 * 3_600 * 1_000,
            enter_replies: 2,
            enter_window_ms: 60 * 1_000,
            text_bytes: 2_048,
            image_bytes: 2 * 1_024 * 1_024,
            media_lifetime_s: 3 * 24 * 3_600,
            token_lifetime_s: 7_200,
            token_overlap_s: 300,
            push_timeout_ms: 5_000,
            push_tries: 3,
            resend_after_ms: 0,
            journal_entries: 200_000,
        }
    }
}

impl SimulatorConfig {
    /// A configuration with WeChat's limits, the system's time, and a free port of loopback.
    pub fn new(accounts: Vec<SimulatedAccount>) -> Self {
        Self { listen: loopback(), accounts, limits: Limits::default(), clock: Clock::system() }
    }

    /// All mistakes in the configuration, in words; empty if the configuration has none.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.accounts.is_empty() {
            problems
                .push("the configuration has no account: give [[accounts]] for at least one mini program".to_owned());
        }
        let mut seen = HashSet::new();
        for account in &self.accounts {
            if !seen.insert(&account.appid) {
                problems.push(format!("the appid {} comes twice: every account needs its own", account.appid));
            }
            if let Err(error) = account.key() {
                problems.push(format!("account {}: {error}", account.appid));
            }
            if account.mode != Mode::Plain && account.encoding_aes_key.is_none() {
                problems.push(format!("account {}: compat and safe mode need an encoding_aes_key", account.appid));
            }
        }
        problems
    }
}

impl SimulatedAccount {
    /// The key, if the account has one.
    ///
    /// # Errors
    /// The EncodingAESKey is malformed.
    pub fn key(&self) -> Result<Option<EncodingAesKey>, kefu_wechat::cipher::KeyError> {
        self.encoding_aes_key.as_deref().map(EncodingAesKey::parse).transpose()
    }
}

/// The debug text shows no secret.
impl fmt::Debug for SimulatedAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedAccount")
            .field("appid", &self.appid)
            .field("mode", &self.mode)
            .field("format", &self.format)
            .field("raw_id", &self.raw_id)
            .field("callback_url", &self.callback_url)
            .finish_non_exhaustive()
    }
}

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn xml() -> Format {
    Format::Xml
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(json: serde_json::Value) -> SimulatedAccount {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn everything_wrong_with_a_configuration_is_said_at_once() {
        let short = account(serde_json::json!({
            "appid": "wx1", "secret": "s", "token": "t", "raw_id": "gh_1", "mode": "safe", "encoding_aes_key": "abc"
        }));
        let keyless = account(serde_json::json!({
            "appid": "wx1", "secret": "s", "token": "t", "raw_id": "gh_1", "mode": "compat"
        }));
        let faults = SimulatorConfig::new(vec![short, keyless]).problems();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].contains("43 characters"));
        assert!(faults[1].contains("comes twice"));
        assert!(faults[2].contains("need an encoding_aes_key"));
    }

    #[test]
    fn an_account_shows_no_secret() {
        let account = account(serde_json::json!({
            "appid": "wx1", "secret": "hush1", "token": "hush2", "raw_id": "gh_1", "encoding_aes_key": "hush3"
        }));
        assert!(!format!("{account:?}").contains("hush"));
    }
}
