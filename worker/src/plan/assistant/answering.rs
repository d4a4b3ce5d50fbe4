//! From a user's text to the reply with the assistant's answer, and the conversation that it belongs to.

use std::sync::Arc;
use std::time::Duration;

use kefu_messages::envelope::Envelope;
use kefu_messages::plan::Plan;
use kefu_messages::reply::{Content, MAX_TEXT_BYTES, Reply};
use kefu_messages::rules::{Action, Briefing, Rule};
use kefu_messages::session::SessionKey;
use kefu_program::config::Config;
use kefu_runtime::in_words;
use kefu_store::{Conversations, Exchange, StoreError};
use kefu_wechat::push;

use super::{Assistant, answer};
use crate::attempt::Attempt;
use crate::metric;
use crate::outcome::Outcome;
use crate::send::typing::Typing;
use crate::send::window::UserWindows;

/// The replies that the assistant gives to messages.
pub(crate) struct AssistantReplies {
    /// Set if the configuration has an `[assistant]`.
    pub(crate) assistant: Option<Arc<Assistant>>,
    pub(crate) config: Arc<Config>,
    pub(crate) conversations: Arc<dyn Conversations>,
    pub(crate) windows: Arc<UserWindows>,
    pub(crate) typing: Arc<Typing>,
}

impl AssistantReplies {
    /// Asks the assistant. Returns its answer, or the fallback in its place; `None` when the message has no text to
    /// answer.
    pub(in crate::plan) async fn reply(
        &self,
        attempt: &mut Attempt<'_>,
        briefing: &Briefing,
    ) -> Result<Option<Reply>, Outcome> {
        let Some(text) = question(attempt.envelope) else { return Ok(None) };
        let Some(assistant) = &self.assistant else {
            return Err(Outcome::retry(
                "a rule names the assistant, and this worker started without an [assistant]: restart the worker",
            ));
        };
        // The worker asks for no answer that WeChat would not take.
        self.windows.check(attempt)?;
        let history = self.history(attempt).await?;
        let asked = self.typing.wait_for_answer(attempt, assistant.ask(briefing, &history, text)).await?;
        let (by, text, is_ai_msg) = match (asked, &briefing.fallback) {
            (Ok(answer), _) => {
                let config = self.config.assistant.as_ref();
                let most_bytes = config.map_or(MAX_TEXT_BYTES, |assistant| assistant.max_reply_bytes);
                ("assistant", answer::shortened(answer, most_bytes), true)
            }
            (Err(failure), Some(fallback)) => {
                tracing::debug!(error = in_words(&failure), "the fallback is sent");
                ("fallback", fallback.clone(), false)
            }
            (Err(failure), None) => {
                metrics::counter!(metric::ASSISTANT_ANSWERS, "by" => "nobody").increment(1);
                return Err(Outcome::retry(format!("the assistant gave no answer: {}", in_words(&failure))));
            }
        };
        metrics::counter!(metric::ASSISTANT_ANSWERS, "by" => by).increment(1);
        Ok(Some(Reply { content: Content::Text(text), kf_account: None, is_ai_msg }))
    }

    /// Adds a stored plan to the conversation, if the plan is the assistant's answer. A repetition does no harm.
    pub(in crate::plan) async fn remember(&self, attempt: &Attempt<'_>, plan: &Plan) -> Result<(), Outcome> {
        let Some(assistant) = &self.config.assistant else { return Ok(()) };
        let most = assistant.history_messages / 2;
        // A fallback is not the assistant's answer, and would only teach the assistant to answer in the same way again.
        let is_answer = !plan.steps.is_empty() && plan.steps.iter().all(|reply| reply.is_ai_msg);
        if most == 0 || !is_answer || !self.is_for_assistant(attempt) {
            return Ok(());
        }
        let Some(asked) = question(attempt.envelope) else { return Ok(()) };
        let answered = plan.steps.iter().map(|reply| match &reply.content {
            Content::Text(text) => text.as_str(),
            _ => "",
        });
        let exchange = Exchange { asked: asked.to_owned(), answered: answered.collect() };
        let (whose, key) = (conversation(attempt), &attempt.envelope.key);
        let keep_for = Duration::from_secs(assistant.history_seconds);
        let call = async || {
            let remembered = self.conversations.remember(&whose, key, &exchange, most, keep_for).await;
            readable(remembered)
        };
        attempt.lease.outlast(call).await
    }

    /// The part of the conversation that goes to the assistant with the question.
    async fn history(&self, attempt: &Attempt<'_>) -> Result<Vec<Exchange>, Outcome> {
        let most = self.config.assistant.as_ref().map_or(0, |assistant| assistant.history_messages / 2);
        if most == 0 {
            return Ok(Vec::new());
        }
        let whose = conversation(attempt);
        let call = async || readable(self.conversations.recall(&whose).await);
        let mut history = attempt.lease.outlast(call).await?;
        history.drain(..history.len().saturating_sub(most));
        Ok(history)
    }

    fn is_for_assistant(&self, attempt: &Attempt<'_>) -> bool {
        let rules = self.config.rules.current();
        let rule = rules.decide_unanswered(&attempt.account.appid, &attempt.envelope.push);
        matches!(rule.map(Rule::action), Some(Action::Assistant(_)))
    }
}

fn conversation(attempt: &Attempt<'_>) -> SessionKey {
    SessionKey::of(&attempt.account.appid, &attempt.envelope.push)
}

/// The user's text, unless it is blank.
fn question(envelope: &Envelope) -> Option<&str> {
    match &envelope.push.content {
        push::Content::Text { content } => Some(content.as_str()).filter(|text| !text.trim().is_empty()),
        _ => None,
    }
}

/// An unreadable conversation counts as none, since the assistant can answer without a conversation.
fn readable<T: Default>(result: Result<T, StoreError>) -> Result<T, StoreError> {
    match result {
        Err(error @ StoreError::Corrupt(_)) => {
            tracing::warn!(%error, "the assistant gets no conversation, since the stored one cannot be read");
            Ok(T::default())
        }
        result => result,
    }
}
