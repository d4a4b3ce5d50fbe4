//! Synchronous webhooks, which decide the answer to an event within the time that WeChat waits.

use std::time::Duration;

use kefu_messages::envelope::Envelope;
use kefu_messages::rules::{DECIDE_WITHIN, Endpoint};
use kefu_runtime::Cause;
use kefu_webhook::{Failure, Media, Question, Settings, Webhooks, decision};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::metric;
use crate::refusal::Refusal;

/// The wait after a failure that may be temporary.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// The client of synchronous webhooks.
pub(crate) struct SyncWebhooks(Webhooks);

impl SyncWebhooks {
    pub(crate) fn new(settings: &Settings) -> Result<Self, Cause> {
        Webhooks::new(settings).map(Self)
    }

    /// Asks the webhook for the answer to a push whose request came at `started`. The empty text means `success`.
    ///
    /// Ingress repeats a call that failed for a temporary reason until the time is over: after a quick refusal WeChat
    /// would spend its few re-sends within a second, and the event would be lost while the service restarts.
    pub(crate) async fn decide(
        &self,
        endpoint: &Endpoint,
        envelope: &Envelope,
        started: Instant,
    ) -> Result<String, Refusal> {
        let deadline = started + DECIDE_WITHIN;
        // The question asks for the answer, so the envelope in the question names no answer.
        let question = Question::new(&Envelope { answered: None, ..envelope.clone() }, Media::None);
        loop {
            let begun = Instant::now();
            let call = self.0.ask(endpoint, &question, deadline.saturating_duration_since(begun));
            let Ok(response) = timeout_at(deadline, call).await else {
                metric::webhook_called("late", begun.elapsed());
                let error = format!("the webhook at {} did not answer within {DECIDE_WITHIN:?}", endpoint.host());
                return Err(Refusal::Undecided(error));
            };
            let decided = response.and_then(|response| decision(&response, envelope.push.format));
            metric::webhook_called(decided.as_ref().map_or_else(Failure::label, |_| "answered"), begun.elapsed());
            match decided {
                Ok(text) => return Ok(if text == "success" { String::new() } else { text }),
                Err(failure) if failure.class().passes() => {
                    let again = Instant::now() + ASK_AGAIN;
                    sleep_until(again.min(deadline)).await;
                    if again >= deadline {
                        return Err(Refusal::Undecided(failure.to_string()));
                    }
                }
                Err(failure) => return Err(Refusal::Undecided(failure.to_string())),
            }
        }
    }
}
