//! `[assistant]`: the assistant of rules with `assistant = true`.

use std::time::Duration;

use kefu_messages::rules::{Briefing, cleaned_fallback, fallback_problem, given};
use secrecy::{ExposeSecret, SecretString};

use super::table::Table;

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
    /// How long an answer may take, including retries: `timeout_ms`, 30 s by default, 120 s at most.
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

impl Assistant {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        Self {
            base_url: base_url(table),
            model: model(table),
            key: table.secret_as("key", visible),
            briefing: briefing(table),
            history_messages: table.number("history_messages", 0..=200).unwrap_or(20),
            history_seconds: table.number("history_seconds", 1..=30 * 86_400).unwrap_or(86_400),
            timeout: table.milliseconds("timeout_ms", 100..=120_000).unwrap_or(Duration::from_secs(30)),
            concurrency: table.number("concurrency", 1..=10_000).unwrap_or(64),
            max_tokens: table.number("max_tokens", 1..=10_000_000),
            temperature: temperature(table),
            max_reply_bytes: table.number("max_reply_bytes", 100..=10_000).unwrap_or(6_000),
        }
    }
}

fn base_url(table: &mut Table<'_>) -> String {
    let url: String = table.get("base_url").unwrap_or_default();
    let url = url.trim_end_matches('/').to_owned();
    if url.is_empty() {
        let problem = "base_url is missing: the API's address, for example \"https://api.openai.com/v1\"";
        table.missing("base_url", problem);
    } else if let Some(problem) = base_url_problem(&url) {
        table.wrong("base_url", problem);
    }
    url
}

fn model(table: &mut Table<'_>) -> String {
    let model: String = table.get("model").unwrap_or_default();
    if model.trim().is_empty() {
        table.missing("model", "model is missing: the model's name on the server");
    }
    model
}

fn visible(key: &SecretString) -> Result<SecretString, &'static str> {
    let visible = key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic());
    visible.then(|| key.clone()).ok_or("must have letters, digits and signs of ASCII only, without blanks")
}

fn briefing(table: &mut Table<'_>) -> Briefing {
    let system_prompt = table.get("system_prompt").and_then(given);
    let fallback = table.get("fallback").unwrap_or_else(|| "抱歉，我暂时无法回答，请稍后再试。".to_owned());
    let fallback = given(cleaned_fallback(&fallback, &table.at("fallback"), table.problems));
    if let Some(problem) = fallback.as_deref().and_then(fallback_problem) {
        table.wrong("fallback", problem);
    }
    Briefing { system_prompt, fallback }
}

fn temperature(table: &mut Table<'_>) -> Option<f64> {
    let temperature = table.get("temperature")?;
    if !(0.0..=2.0).contains(&temperature) {
        table.wrong("temperature", "must be from 0 to 2");
    }
    Some(temperature)
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
        return Some("has a query, a fragment or a blank in it: remove it");
    }
    rest.ends_with("/chat/completions").then_some("must end before /chat/completions, which kefu adds")
}
