//! `[wechat]`

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::Problems;
use super::value::{choice, milliseconds};

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
