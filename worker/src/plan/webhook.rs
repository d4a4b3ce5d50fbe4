//! The replies that a webhook gives to a message, and the breaker in front of the webhook.

use std::sync::Arc;
use std::time::Duration;

use kefu_messages::reply::Reply;
use kefu_messages::reply::picture::PictureFolder;
use kefu_messages::rules::Endpoint;
use kefu_messages::window::Limits;
use kefu_program::config::Config;
use kefu_queue::DeadReason;
use kefu_runtime::disk::Disk;
use kefu_runtime::{Cause, clock};
use kefu_webhook::{Failure, Media, MediaFile, Question, Webhooks, replies};
use tokio::time::Instant;

use crate::attempt::Attempt;
use crate::metric;
use crate::outcome::Outcome;
use crate::picture::{Pictures, Received};
use crate::send::typing::Typing;
use crate::send::window::UserWindows;

mod breaker;

use breaker::{Breakers, Permit};

/// The longest wait for a permit of a webhook. The delivery keeps its place meanwhile, which others of the partition may
/// need.
const TURN_WITHIN: Duration = Duration::from_secs(5);

/// The longest wait of a message whose webhook was not asked, unless the webhook itself wants a longer wait.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

/// The replies that webhooks give to messages.
pub(crate) struct WebhookReplies {
    client: Webhooks,
    pub(crate) breakers: Breakers,
    /// The folder of the pictures that webhooks answer with, and its disk.
    folder: PictureFolder,
    disk: Disk,
    limits: Limits,
    windows: Arc<UserWindows>,
    /// The pictures that users send.
    pictures: Arc<Pictures>,
    typing: Arc<Typing>,
}

impl WebhookReplies {
    pub(crate) fn new(
        config: &Config,
        windows: Arc<UserWindows>,
        pictures: Arc<Pictures>,
        typing: Arc<Typing>,
    ) -> Result<Self, Cause> {
        let folder = PictureFolder { path: config.folder.clone(), max_bytes: config.wechat.max_image_bytes };
        let (client, breakers) = (Webhooks::new(&config.webhook)?, Breakers::new(config.prefetch()));
        let (disk, limits) = (Disk::default(), config.window.clone());
        Ok(Self { client, breakers, folder, disk, limits, windows, pictures, typing })
    }

    /// The replies that the webhook wants sent. The worker retries a failure that passes in the lane, for as long as a
    /// failed send. If other messages fail at the same webhook, all of them leave their lanes instead. The worker asks
    /// the webhook even when WeChat takes no more replies, since a service may do more with a push than reply.
    pub(super) async fn replies(&self, attempt: &mut Attempt<'_>, endpoint: &Endpoint) -> Result<Vec<Reply>, Outcome> {
        let envelope = attempt.envelope;
        // The breaker is asked before the picture is fetched, so that an open breaker saves the fetch.
        drop(self.permit(attempt, endpoint)?);
        let received = if endpoint.media { self.pictures.received(attempt).await? } else { Received::None };
        let media = match &received {
            Received::None => Media::None,
            Received::Missing(why) => Media::Missing(why),
            Received::File(file) => Media::File(MediaFile {
                extension: file.format.extension,
                content_type: file.format.content_type,
                content: &file.content,
            }),
        };
        let question = Question::new(envelope, media);
        let most = self.limits.replies_after(&envelope.push);
        loop {
            let permit = self.permit(attempt, endpoint)?;
            let asking = self.ask(endpoint, &question, most);
            let failure = match self.typing.wait_for_answer(attempt, asking).await? {
                Ok(replies) => {
                    permit.answered();
                    return Ok(replies);
                }
                Err(failure) => failure,
            };
            let error = failure.to_string();
            match failure {
                Failure::Passing { retry_after, .. } => {
                    let at_least = retry_after.unwrap_or(Duration::ZERO);
                    if permit.failed(&envelope.key, &error, at_least) {
                        return Err(Outcome::Retry { at_least, error, in_the_end: DeadReason::Exhausted });
                    }
                    attempt.back_off(error, at_least).await?;
                }
                Failure::Unchecked(_) => {
                    permit.answered();
                    attempt.back_off(error, Duration::ZERO).await?;
                }
                Failure::Crowded(_) => return Err(self.not_asked(attempt, Duration::ZERO, error)),
                Failure::Refused(_) => {
                    permit.answered();
                    return Err(Outcome::dead(DeadReason::WebhookRefused, error));
                }
            }
            metrics::counter!(metric::RETRIES, "place" => "lane").increment(1);
        }
    }

    async fn ask(&self, endpoint: &Endpoint, question: &Question, most: usize) -> Result<Vec<Reply>, Failure> {
        let begun = Instant::now();
        let result = match self.client.ask(endpoint, question, TURN_WITHIN).await {
            Ok(answer) => replies(answer, most, &self.folder, &self.disk).await,
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

    fn permit<'e>(&'e self, attempt: &Attempt<'_>, endpoint: &'e Endpoint) -> Result<Permit<'e>, Outcome> {
        self.breakers.permit(endpoint).map_err(|at_least| {
            metrics::counter!(metric::WEBHOOK_CALLS, "outcome" => "shut").increment(1);
            self.not_asked(
                attempt,
                at_least,
                format!("the webhook at {} does not answer other messages either", endpoint.host()),
            )
        })
    }

    /// The outcome of a message whose webhook was not asked. The message comes again for as long as WeChat takes
    /// replies to it, which costs no try. An older message comes less often, so that a backlog is no load.
    fn not_asked(&self, attempt: &Attempt<'_>, at_least: Duration, error: String) -> Outcome {
        if let Err(closed) = self.windows.check(attempt) {
            return closed;
        }
        let age = Duration::from_millis(clock::now_ms().saturating_sub(attempt.envelope.received_at_ms));
        Outcome::Postpone { at_least: at_least.max((age / 10).min(LONGEST_WAIT)), error }
    }
}

#[cfg(test)]
mod tests;
