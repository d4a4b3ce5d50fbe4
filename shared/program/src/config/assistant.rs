//! `[assistant]`: the assistant of rules with `assistant = true`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::value::milliseconds;
use super::{Problems, secret};
use kefu_messages::rules::{Briefing, cleaned_fallback, fallback_problem, given};

/// `[assistant]`: a server with OpenAI's chat completions API, and the settings of its requests.
#[derive(Debug, Clone)]
pub struct Assistant {
    /// The address before `/chat/completions`: `https://api.openai.com/v1`. Without a final slash.
    pub base_url: String,
    /// The model's name on the server.
    pub model: String,
    /// The API key, sent as `Authorization: Bearer KEY`. A team's own server often needs none.
    pub key: Option<SecretString>,
    /// The prompt and the fallback, unless the rule has its own. Default: no system prompt and a polite fallback. An empty
    /// fallback means none.
    pub briefing: Briefing,
    /// How many earlier messages of the conversation, the user's and the answers, each request contains: 0 to 200, default
    /// 20. An odd number counts as the even number below it; with 0 nothing is stored.
    pub history_messages: usize,
    /// How long each of these messages is kept, in seconds: 1 to 2,592,000 (30 days), default 86,400.
    pub history_seconds: u64,
    /// How long an answer may take, including retries, in milliseconds: 100 to 120,000, default 30,000.
    pub timeout: Duration,
    /// How many requests one worker has under way at once: 1 to 10,000, default 64. Other requests wait, within their
    /// timeout.
    pub concurrency: usize,
    /// `max_tokens` of the request. Default none.
    pub max_tokens: Option<u32>,
    /// `temperature` of the request: 0 to 2. Default none.
    pub temperature: Option<f64>,
    /// The longest answer, in bytes of UTF-8; a longer answer is cut. 100 to 10,000, default 6,000. WeChat takes 2,000
    /// bytes in one text, and 5 texts.
    pub max_reply_bytes: usize,
}

/// `[assistant]` as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct AssistantSection {
    base_url: String,
    model: String,
    key: Option<SecretString>,
    key_file: Option<PathBuf>,
    system_prompt: String,
    fallback: String,
    history_messages: usize,
    history_seconds: u64,
    #[serde(rename = "timeout_ms", deserialize_with = "milliseconds")]
    timeout: Duration,
    concurrency: usize,
    max_tokens: Option<u32>,
    temperature: Option<f64>,
    max_reply_bytes: usize,
}

impl Default for AssistantSection {
    fn default() -> Self {
        Self {
            base_url: String::new(),
            model: String::new(),
            key: None,
            key_file: None,
            system_prompt: String::new(),
            fallback: "抱歉，我暂时无法回答，请稍后再试。".to_owned(),
            history_messages: 20,
            history_seconds: 86_400,
            timeout: Duration::from_secs(30),
            concurrency: 64,
            max_tokens: None,
            temperature: None,
            max_reply_bytes: 6_000,
        }
    }
}

impl AssistantSection {
    /// The section as settings, with all its mistakes noted.
    pub(super) fn resolve(self, folder: &Path, problems: &mut Problems) -> Assistant {
        let place = "[assistant]";
        let base_url = self.base_url.trim_end_matches('/').to_owned();
        if base_url.is_empty() {
            let problem = "base_url is missing: the API's address, for example \"https://api.openai.com/v1\"";
            problems.missing(place, "base_url", problem);
        } else if let Some(problem) = base_url_problem(&base_url) {
            problems.add("[assistant] base_url", problem);
        }
        if self.model.trim().is_empty() {
            problems.missing(place, "model", "model is missing: the name that the server has for it");
        }
        let key = secret::resolve(place, "key", self.key.as_ref(), self.key_file.as_ref(), folder, problems);
        if key.as_ref().is_some_and(|key| !key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic())) {
            let from = if self.key_file.is_some() { "key_file" } else { "key" };
            problems.add(format!("{place} {from}"), "has something else than letters, digits and signs of ASCII");
        }
        let fallback = given(cleaned_fallback(&self.fallback, "[assistant] fallback", problems));
        if let Some(problem) = fallback.as_deref().and_then(fallback_problem) {
            problems.add("[assistant] fallback", problem);
        }
        problems.within("[assistant] history_messages", self.history_messages as u64, 0, 200);
        problems.within("[assistant] history_seconds", self.history_seconds, 1, 30 * 86_400);
        problems.within("[assistant] timeout_ms", self.timeout.as_millis() as u64, 100, 120_000);
        problems.within("[assistant] concurrency", self.concurrency as u64, 1, 10_000);
        if let Some(max_tokens) = self.max_tokens {
            problems.within("[assistant] max_tokens", max_tokens.into(), 1, 10_000_000);
        }
        if self.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
            problems.add("[assistant] temperature", "must be from 0 to 2");
        }
        problems.within("[assistant] max_reply_bytes", self.max_reply_bytes as u64, 100, 10_000);
        Assistant {
            base_url,
            model: self.model,
            key,
            briefing: Briefing { system_prompt: given(self.system_prompt), fallback },
            history_messages: self.history_messages,
            history_seconds: self.history_seconds,
            timeout: self.timeout,
            concurrency: self.concurrency,
            max_tokens: self.max_tokens,
            temperature: self.temperature,
            max_reply_bytes: self.max_reply_bytes,
        }
    }
}

fn base_url_problem(url: &str) -> Option<&'static str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest.filter(|rest| !rest.is_empty() && !rest.starts_with('/')) else {
        return Some("must be http://HOST or https://HOST, mostly with a path such as /v1");
    };
    if rest.contains('@') {
        return Some("has a user or password in it: put the API key into key or key_file");
    }
    if rest.contains(['?', '#']) || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Some("has a query, a fragment or a blank in it");
    }
    rest.ends_with("/chat/completions").then_some("must end before /chat/completions, which kefu puts there")
}
