//! A plan that a webhook makes.

use std::time::Duration;

use kefu_shared::config::Config;
use kefu_shared::queue::DeadReason;
use kefu_shared::reply::Reply;
use kefu_shared::webhook::{Allowed, Endpoint, Failure, Media, MediaFile, Question, Webhooks, replies};
use tokio::time::Instant;

use crate::halt::Halt;
use crate::hold::Hold;
use crate::message::Message;
use crate::metric;
use crate::picture::Received;

/// The client, and what answers must keep to.
pub(crate) struct AskedWebhooks {
    client: Webhooks,
    /// Of each question, but for the number of replies.
    allowed: Allowed,
}

impl AskedWebhooks {
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let (folder, max_image_bytes) = (config.folder.clone(), config.wechat.max_image_bytes);
        let allowed = Allowed { most: 0, folder, max_image_bytes };
        Ok(Self { client: Webhooks::new(&config.webhook)?, allowed })
    }

    async fn ask(&self, endpoint: &Endpoint, question: &Question, most: usize) -> Result<Vec<Reply>, Failure> {
        let begun = Instant::now();
        let result = match self.client.ask(endpoint, question).await {
            Ok(answer) => replies(answer, Allowed { most, ..self.allowed.clone() }).await,
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
}

impl Message<'_> {
    /// The replies that the webhook wants sent. What passes is tried again, in the lane for as long as a send is.
    pub(super) async fn ask_webhook(&mut self, hold: &Hold, endpoint: &Endpoint) -> Result<Vec<Reply>, Halt> {
        let handler = self.handler;
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
        let most = self.envelope.push.most_replies(&handler.config.window);
        loop {
            // A service that hangs must not keep the room that other users' messages need.
            let mut slot = std::mem::replace(&mut self.slot, handler.slots.none());
            let asked = self.while_typing(hold, handler.webhooks.ask(endpoint, &question, most));
            let asked = slot.leave_for(asked).await;
            self.slot = slot;
            match asked? {
                Ok(replies) => return Ok(replies),
                Err(Failure::Passing { error, retry_after }) => {
                    self.wait_after(hold, &error, retry_after.unwrap_or(Duration::ZERO)).await?;
                }
                Err(Failure::Refused(error)) => return Err(Halt::dead(DeadReason::WebhookRefused, error)),
            }
            metrics::counter!(metric::RETRIES, "place" => "lane").increment(1);
        }
    }
}
