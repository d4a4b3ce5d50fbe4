//! The assistant: a language model behind OpenAI's chat completions API, which answers a user's text.
//!
//! * [`client`]: the HTTP below the assistant.
//! * [`answer`]: the model's answer to a request.
//! * [`failure`]: why an answer is missing.
//! * [`answering`]: from a message to the reply, and the conversation so far.

use std::sync::Arc;
use std::time::Duration;

use kefu_messages::rules::Briefing;
use kefu_program::config;
use kefu_runtime::in_words;
use kefu_runtime::standing::Standing;
use kefu_store::Exchange;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

pub(crate) mod answer;
mod answering;
pub(crate) mod client;
pub(crate) mod failure;

pub(crate) use answering::AssistantReplies;

use client::Completions;
use failure::{Failure, Kind};

use crate::metric;

/// How many times the worker repeats a request that failed for the moment, within the time for an answer.
const RETRIES: u32 = 2;

/// The interval within which the worker logs one trouble and its end at most, while answers fail now and then.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Asks for answers; all lanes share it.
pub(crate) struct Assistant {
    config: config::Assistant,
    completions: Arc<dyn Completions>,
    room: Semaphore,
    standing: Standing<Kind>,
}

impl Assistant {
    pub(crate) fn new(config: config::Assistant, completions: Arc<dyn Completions>) -> Self {
        let room = Semaphore::new(config.concurrency);
        Self { config, completions, room, standing: Standing::new(LOG_EVERY) }
    }

    /// The answer to `text` after `history`, within the configured time. One answer costs three requests at most.
    pub(crate) async fn ask(&self, briefing: &Briefing, history: &[Exchange], text: &str) -> Result<String, Failure> {
        let deadline = Instant::now() + self.config.timeout;
        let asked = match timeout_at(deadline, self.room.acquire()).await {
            Ok(_permit) => self.try_until(deadline, briefing, history, text).await,
            Err(_) => {
                count(Kind::Crowded.as_str());
                Err(Failure::new(Kind::Crowded, format!("all {} requests are under way", self.config.concurrency)))
            }
        };
        match &asked {
            Ok(_) => self.record_answer(),
            Err(failure) => self.record_failure(failure),
        }
        asked
    }

    async fn try_until(
        &self,
        deadline: Instant,
        briefing: &Briefing,
        mut history: &[Exchange],
        text: &str,
    ) -> Result<String, Failure> {
        let mut retries = RETRIES;
        loop {
            let body = request(&self.config, briefing, history, text);
            let failure = match self.answer_to(deadline, body).await {
                Err(failure) => failure,
                answer => return answer,
            };
            if failure.kind.may_come_of_length() && !history.is_empty() {
                tracing::debug!(error = in_words(&failure), "asking again without the conversation so far");
                history = &[];
                continue;
            }
            let wait = failure.wait(RETRIES - retries);
            if !failure.kind.is_passing() || retries == 0 || Instant::now() + wait >= deadline {
                return Err(failure);
            }
            tracing::debug!(error = in_words(&failure), ?wait, "asking the assistant again");
            tokio::time::sleep(wait).await;
            retries -= 1;
        }
    }

    async fn answer_to(&self, deadline: Instant, body: Vec<u8>) -> Result<String, Failure> {
        let started = Instant::now();
        let answer = match timeout_at(deadline, self.completions.complete(body)).await {
            Ok(raw) => raw.and_then(|raw| answer::read(&raw)),
            Err(_) => Err(Failure::new(Kind::Timeout, "no answer in time")),
        };
        let outcome = answer.as_ref().map_or_else(|failure| failure.kind.as_str(), |_| "answered");
        count(outcome);
        metrics::histogram!(metric::ASSISTANT_REQUEST_DURATION).record(started.elapsed());
        answer
    }

    fn record_answer(&self) {
        if let Some(trouble) = self.standing.succeeded().filter(|trouble| trouble.was_news) {
            tracing::info!(after_seconds = trouble.lasts().as_secs(), "the assistant answers again");
        }
    }

    fn record_failure(&self, failure: &Failure) {
        // This failure concerns only one text; the assistant itself is healthy.
        if failure.kind == Kind::Withheld {
            return;
        }
        let error = in_words(failure);
        match self.standing.failed(failure.kind, error.clone()) {
            true if failure.kind.is_for_the_operator() => {
                tracing::error!(error, "the assistant cannot answer until this is mended");
            }
            true => tracing::warn!(error, "the assistant does not answer"),
            false => {}
        }
    }

    /// The trouble of the last question, if any, in words.
    pub(crate) fn trouble_in_words(&self) -> Option<String> {
        let trouble = self.standing.trouble()?;
        Some(format!("no answers since {} s: {}", trouble.lasts().as_secs(), trouble.why))
    }
}

/// The body of a request: the operator's instructions to the model, the conversation so far, the user's text. The body
/// does not name the user.
///
/// Source: <https://platform.openai.com/docs/api-reference/chat/create>.
fn request(config: &config::Assistant, briefing: &Briefing, history: &[Exchange], text: &str) -> Vec<u8> {
    let message = |role: &str, content: &str| json!({ "role": role, "content": content });
    let mut messages: Vec<Value> = Vec::new();
    messages.extend(briefing.system_prompt.as_deref().map(|prompt| message("system", prompt)));
    for Exchange { asked, answered } in history {
        messages.extend([message("user", asked), message("assistant", answered)]);
    }
    messages.push(message("user", text));

    let mut body = json!({ "model": config.model, "messages": messages, "stream": false });
    // Some models refuse a request that has these fields.
    if let Some(max_tokens) = config.max_tokens {
        body["max_tokens"] = max_tokens.into();
    }
    if let Some(temperature) = config.temperature {
        body["temperature"] = temperature.into();
    }
    body.to_string().into_bytes()
}

fn count(outcome: &'static str) {
    metrics::counter!(metric::ASSISTANT_REQUESTS, "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests;
