//! Webhooks that decide what an event is answered, within WeChat's patience.

use std::time::Duration;

use kefu_shared::config;
use kefu_shared::envelope::Envelope;
use kefu_shared::webhook::{Endpoint, Media, Question, Webhooks, decision};
use tokio::time::{Instant, timeout_at};

use crate::metric;
use crate::refusal::Refusal;

/// How long after the head of a request its answer must be decided: WeChat wants it within 3 s
/// (<https://developers.weixin.qq.com/miniprogram/dev/platform-capabilities/business-capabilities/virtual-payment.html>).
const DECIDE_WITHIN: Duration = Duration::from_secs(3);

/// Asks for decisions.
pub(crate) struct Asking(Webhooks);

impl Asking {
    pub(crate) fn new(config: &config::Webhook) -> Result<Self, String> {
        Webhooks::new(config).map(Self)
    }

    /// The answer to a push whose request came at `started`, as the webhook gave it; the empty text for `success`.
    pub(crate) async fn decide(
        &self,
        endpoint: &Endpoint,
        envelope: &Envelope,
        started: Instant,
    ) -> Result<String, Refusal> {
        let begun = Instant::now();
        // It is asked what is to be answered: nothing is yet.
        let question = Question::new(&Envelope { answered: None, ..envelope.clone() }, Media::None);
        let asked = timeout_at(started + DECIDE_WITHIN, self.0.ask(endpoint, &question)).await;
        let (outcome, decided) = match asked {
            Ok(answered) => match answered.and_then(|answer| decision(&answer, envelope.push.format)) {
                Ok(text) if text == "success" => ("answered", Ok(String::new())),
                Ok(text) => ("answered", Ok(text)),
                Err(failure) => (failure.label(), Err(Refusal::Undecided(failure.to_string()))),
            },
            Err(_) => {
                let error = format!("the webhook at {} did not answer within 3 s", endpoint.host());
                ("late", Err(Refusal::Undecided(error)))
            }
        };
        metric::webhook_called(outcome, begun.elapsed());
        decided
    }
}
