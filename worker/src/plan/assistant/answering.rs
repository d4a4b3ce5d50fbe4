//! From a user's text to the plan with the assistant's answer, and the conversation that it belongs to.

use std::time::Duration;

use kefu_messages::envelope::Envelope;
use kefu_messages::plan::Plan;
use kefu_messages::reply::{Content, MAX_TEXT_BYTES, Reply};
use kefu_messages::rules::{Action, Briefing, Rule};
use kefu_messages::session::SessionKey;
use kefu_store::{Exchange, StoreError};
use kefu_wechat::push;

use super::answer;
use crate::handle::Message;
use crate::lease::Lease;
use crate::metric;
use crate::outcome::Halt;

impl Message<'_> {
    /// Asks the assistant. Its answer, or what is said in its place; `None` when there is nothing to answer.
    pub(crate) async fn plan_by_assistant(
        &mut self,
        hold: &Lease,
        rule: &Rule,
        briefing: &Briefing,
    ) -> Result<Option<Plan>, Halt> {
        let Some(text) = question(self.envelope) else { return Ok(None) };
        let Some(assistant) = &self.handler.assistant else {
            return Err(Halt::later("[assistant] is newer than this process: restart it"));
        };
        // An answer that WeChat would not take is not asked for.
        self.check_window()?;
        let history = self.history().await?;
        let asked = self.wait_for_answer(hold, assistant.ask(briefing, &history, text)).await?;
        let (by, text, is_ai_msg) = match (asked, &briefing.fallback) {
            (Ok(answer), _) => {
                let config = self.handler.config.assistant.as_ref();
                let most_bytes = config.map_or(MAX_TEXT_BYTES, |assistant| assistant.max_reply_bytes);
                ("assistant", answer::shortened(answer, most_bytes), true)
            }
            (Err(failure), Some(fallback)) => {
                tracing::debug!(error = %failure, "the fallback is sent");
                ("fallback", fallback.clone(), false)
            }
            (Err(failure), None) => {
                metrics::counter!(metric::ASSISTANT_ANSWERS, "by" => "nobody").increment(1);
                return Err(Halt::later(format!("the assistant gave no answer: {failure}")));
            }
        };
        metrics::counter!(metric::ASSISTANT_ANSWERS, "by" => by).increment(1);
        let reply = Reply { content: Content::Text(text), kf_account: None, is_ai_msg };
        Ok(Some(self.plan_of(vec![reply], rule.place())))
    }

    /// Puts a stored plan into the conversation, if it is the assistant's answer. May be done again.
    pub(crate) async fn remember(&self, plan: &Plan) -> Result<(), Halt> {
        let handler = self.handler;
        let Some(assistant) = &handler.config.assistant else { return Ok(()) };
        let most = assistant.history_messages / 2;
        // A fallback is not the assistant's, and would only tell it to answer so again.
        let is_answer = !plan.steps.is_empty() && plan.steps.iter().all(|reply| reply.is_ai_msg);
        if most == 0 || !is_answer || !self.is_for_assistant() {
            return Ok(());
        }
        let Some(asked) = question(self.envelope) else { return Ok(()) };
        let answered = plan.steps.iter().map(|reply| match &reply.content {
            Content::Text(text) => text.as_str(),
            _ => "",
        });
        let exchange = Exchange { asked: asked.to_owned(), answered: answered.collect() };
        let (whose, key) = (self.conversation(), &self.envelope.key);
        let keep_for = Duration::from_secs(assistant.history_seconds);
        let call = async || {
            let remembered = handler.conversations.remember(&whose, key, &exchange, most, keep_for).await;
            readable(remembered)
        };
        handler.outage.outlast(&self.interrupt, call).await
    }

    /// The conversation so far, as much of it as is sent along.
    async fn history(&self) -> Result<Vec<Exchange>, Halt> {
        let handler = self.handler;
        let most = handler.config.assistant.as_ref().map_or(0, |assistant| assistant.history_messages / 2);
        if most == 0 {
            return Ok(Vec::new());
        }
        let whose = self.conversation();
        let call = async || readable(handler.conversations.recall(&whose).await);
        let mut history = handler.outage.outlast(&self.interrupt, call).await?;
        history.drain(..history.len().saturating_sub(most));
        Ok(history)
    }

    fn conversation(&self) -> SessionKey {
        SessionKey::of(&self.account.appid, &self.envelope.push)
    }

    fn is_for_assistant(&self) -> bool {
        let rules = self.handler.config.rules.current();
        let rule = rules.decide_unanswered(&self.account.appid, &self.envelope.push);
        matches!(rule.map(Rule::action), Some(Action::Assistant(_)))
    }
}

/// The user's text, unless it is blank.
fn question(envelope: &Envelope) -> Option<&str> {
    match &envelope.push.content {
        push::Content::Text { content } => Some(content.as_str()).filter(|text| !text.trim().is_empty()),
        _ => None,
    }
}

/// A conversation that cannot be read is as good as none: without it there is an answer all the same.
fn readable<T: Default>(result: Result<T, StoreError>) -> Result<T, StoreError> {
    match result {
        Err(error @ StoreError::Corrupt(_)) => {
            tracing::warn!(%error, "the conversation with the assistant is left out");
            Ok(T::default())
        }
        result => result,
    }
}
