//! A plan that a webhook makes.

use std::time::Duration;

use kefu_messages::reply::Reply;
use kefu_messages::reply::picture::PictureFolder;
use kefu_messages::rules::Endpoint;
use kefu_program::config::Config;
use kefu_queue::DeadReason;
use kefu_runtime::clock;
use kefu_runtime::disk::Disk;
use kefu_webhook::{Failure, Media, MediaFile, Question, Webhooks, replies};
use tokio::time::Instant;

use crate::handle::Message;
use crate::lease::Lease;
use crate::metric;
use crate::outcome::Halt;
use crate::picture::Received;

mod breaker;

use breaker::{Breakers, Permit};

/// The longest wait for one of a webhook's turns, with a delivery that others of the partition may need.
const TURN_WITHIN: Duration = Duration::from_secs(5);

/// The longest wait of a message about which nobody was asked, unless the webhook itself wants a longer one.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

/// The client, and what it takes to judge an answer.
pub(crate) struct AskedWebhooks {
    client: Webhooks,
    breakers: Breakers,
    pictures: PictureFolder,
    /// With these pictures.
    disk: Disk,
}

impl AskedWebhooks {
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let pictures = PictureFolder { path: config.folder.clone(), max_bytes: config.wechat.max_image_bytes };
        let (client, breakers) = (Webhooks::new(&config.webhook)?, Breakers::new(config.prefetch()));
        Ok(Self { client, breakers, pictures, disk: Disk::default() })
    }

    async fn ask(&self, endpoint: &Endpoint, question: &Question, most: usize) -> Result<Vec<Reply>, Failure> {
        let begun = Instant::now();
        let result = match self.client.ask(endpoint, question, TURN_WITHIN).await {
            Ok(answer) => replies(answer, most, &self.pictures, &self.disk).await,
            Err(failure) => Err(failure),
        };
        let outcome = match &result {
            Ok(replies) if replies.is_empty() => "nothing",
            Ok(_) => "replies",
            Err(failure) => failure.label(),
        };
        metrics::counter!(metric::WEBHOOK_CALLS, "outcome" => outcome).increment(1);
        metrics::histogram!(metric::WEBHOOK_DURATION).record(begun.elapsed());
        result
    }

    /// Which webhooks do not answer, in words, if there are any.
    pub(crate) fn in_words(&self) -> Option<String> {
        self.breakers.in_words()
    }
}

impl<'a> Message<'a> {
    /// The replies that the webhook wants sent. What passes is tried again, in the lane for as long as a send is, unless
    /// other messages have the same trouble: then they all leave their lanes. It is asked also when WeChat takes no reply any
    /// more: a service may do more with a push than reply to it.
    pub(super) async fn ask_webhook(&mut self, hold: &Lease, endpoint: &Endpoint) -> Result<Vec<Reply>, Halt> {
        let handler = self.handler;
        // Before its picture is fetched.
        drop(self.permit_to_ask(endpoint)?);
        let received = if endpoint.media { self.picture(hold).await? } else { Received::None };
        let media = match &received {
            Received::None => Media::None,
            Received::Missing(why) => Media::Missing(why),
            Received::File(file) => Media::File(MediaFile {
                extension: file.format.extension,
                content_type: file.format.content_type,
                content: &file.content,
            }),
        };
        let question = Question::new(self.envelope, media);
        let most = handler.config.window.replies_after(&self.envelope.push);
        loop {
            let permit = self.permit_to_ask(endpoint)?;
            match self.wait_for_answer(hold, handler.webhooks.ask(endpoint, &question, most)).await? {
                Ok(replies) => {
                    permit.answered();
                    return Ok(replies);
                }
                Err(Failure::Passing { error, retry_after }) => {
                    let at_least = retry_after.unwrap_or(Duration::ZERO);
                    if permit.failed(&self.envelope.key, &error, at_least) {
                        return Err(Halt::Later { at_least, error, in_the_end: DeadReason::Exhausted });
                    }
                    self.wait_after(hold, &error, at_least).await?;
                }
                Err(Failure::Unchecked(error)) => {
                    permit.answered();
                    self.wait_after(hold, &error, Duration::ZERO).await?;
                }
                Err(Failure::Crowded(error)) => return Err(self.not_asked(Duration::ZERO, error)),
                Err(Failure::Refused(error)) => {
                    permit.answered();
                    return Err(Halt::dead(DeadReason::WebhookRefused, error));
                }
            }
            metrics::counter!(metric::RETRIES, "place" => "lane").increment(1);
        }
    }

    fn permit_to_ask<'e>(&self, endpoint: &'e Endpoint) -> Result<Permit<'e>, Halt>
    where
        'a: 'e,
    {
        let handler = self.handler;
        handler.webhooks.breakers.permit(endpoint).map_err(|at_least| {
            metrics::counter!(metric::WEBHOOK_CALLS, "outcome" => "shut").increment(1);
            self.not_asked(at_least, format!("the webhook at {} does not answer others", endpoint.host()))
        })
    }

    /// What becomes of a message about which nobody was asked: it comes again, for as long as WeChat takes replies to it.
    /// That costs no try. The older it is the less often, so that a backlog is no load.
    fn not_asked(&self, at_least: Duration, error: String) -> Halt {
        if let Err(closed) = self.check_window() {
            return closed;
        }
        let age = Duration::from_millis(clock::now_ms().saturating_sub(self.envelope.received_at_ms));
        Halt::Postponed { at_least: at_least.max((age / 10).min(LONGEST_WAIT)), error }
    }
}

#[cfg(test)]
mod tests;
