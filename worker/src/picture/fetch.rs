//! A picture fetched from WeChat, with all the tries that it takes.

use std::time::Duration;

use kefu_runtime::clock;

use super::why;
use crate::handle::Message;
use crate::lease::Lease;
use crate::metric;
use crate::outcome::Halt;
use crate::send::RefusedTokens;
use crate::send::pauses::{Cause, PauseLength};
use crate::wechat::Download;
use crate::wechat::errcode::Action;
use crate::wechat::failure::{Failure, Refusal};

/// How long WeChat keeps what a user sent.
const WECHAT_KEEPS: Duration = Duration::from_secs(3 * 24 * 3_600);

impl Message<'_> {
    /// The picture. Within: why there is none, in a word.
    pub(super) async fn fetch(&mut self, hold: &Lease, media_id: &str) -> Result<Result<Vec<u8>, &'static str>, Halt> {
        let fetched = match self.download(hold, media_id).await {
            // The end of the pause would come too late.
            Err(Halt::Postponed { error, .. }) if self.is_forgotten() => {
                tracing::warn!(error, "a user's picture could not be fetched within 3 days");
                Ok(Err(why::EXPIRED))
            }
            fetched => fetched,
        };
        if let Ok(fetched) = &fetched {
            let outcome = fetched.as_ref().map_or_else(|why| *why, |_| "ok");
            metrics::counter!(metric::MEDIA_FETCHES, "outcome" => outcome).increment(1);
        }
        fetched
    }

    fn is_forgotten(&self) -> bool {
        clock::now_ms().saturating_sub(self.envelope.received_at_ms) > WECHAT_KEEPS.as_millis() as u64
    }

    async fn download(&mut self, hold: &Lease, media_id: &str) -> Result<Result<Vec<u8>, &'static str>, Halt> {
        let (handler, appid) = (self.handler, self.account.appid.as_str());
        let pictures = &handler.received_pictures;
        let (mut tokens, mut doubted) = (RefusedTokens::default(), 0);
        loop {
            self.wait_while_paused(hold).await?;
            self.wait_out(hold, &pictures.pauses).await?;
            let token = match hold.during(self.interrupt.or(handler.tokens.get(appid))).await?? {
                Ok(token) => token,
                Err(failure) => {
                    self.outlast(hold, failure).await?;
                    continue;
                }
            };
            let downloaded = handler.wechat.download(&token, media_id, pictures.max_bytes);
            let refusal = match hold.during(self.interrupt.or(downloaded)).await?? {
                Ok(Download::File(content)) => {
                    handler.pauses.forgive(appid);
                    return Ok(Ok(content));
                }
                Ok(Download::TooLarge) => {
                    let max_bytes = pictures.max_bytes;
                    tracing::warn!(max_bytes, "a user's picture is too large and left where it is");
                    return Ok(Err(why::TOO_LARGE));
                }
                Err(Failure::Refused(refusal)) => refusal,
                Err(failure) => {
                    metrics::counter!(metric::MEDIA_FETCHES, "outcome" => "failed").increment(1);
                    self.outlast(hold, failure).await?;
                    continue;
                }
            };
            match refusal.action {
                Action::RenewToken => {
                    let renewal = hold.during(handler.tokens.refuse(appid, &token)).await?;
                    self.wait_for_token(hold, &refusal, Some(renewal), &mut tokens).await?;
                }
                Action::Retry => self.wait_after(hold, &refusal, Duration::ZERO).await?,
                Action::Doubtful { retries } if doubted < retries => {
                    doubted += 1;
                    self.wait_after(hold, &refusal, Duration::ZERO).await?;
                }
                // Of fetches alone: quotas and rights are those of an API, and replies may still be sent. What stops these,
                // too, they find out by themselves.
                Action::Slow { pause } => {
                    // The loop waits it out.
                    self.begin_pause(&pictures.pauses, Cause::Rate, PauseLength::Fixed(pause), refusal.to_string());
                }
                Action::Alert { pause } => {
                    let (pauses, length) = (&pictures.pauses, PauseLength::Fixed(pause));
                    return Err(self.begin_pause(pauses, Cause::Operator, length, refusal.to_string()));
                }
                Action::ReuploadMedia => {
                    tracing::warn!(error = %refusal, "a user's picture is gone: it was not fetched within 3 days");
                    return Ok(Err(why::EXPIRED));
                }
                Action::Ok | Action::Ignore | Action::Closed(_) | Action::Drop { .. } | Action::Doubtful { .. } => {
                    tracing::error!(error = %refusal, "WeChat does not give a user's picture");
                    return Ok(Err(why::REFUSED));
                }
            }
        }
    }

    /// Waits for what passes; else says what the failure means for the message.
    async fn outlast(&mut self, hold: &Lease, failure: Failure) -> Result<(), Halt> {
        match failure {
            Failure::Store(error) => hold.during(self.handler.outage.sit_out(&self.interrupt, &error)).await?,
            // Of a token call: without an access_token nothing is sent either.
            Failure::Refused(refusal @ Refusal { action: Action::Alert { pause }, .. }) => {
                Err(self.pause_account(Cause::Operator, PauseLength::Fixed(pause), refusal.to_string()))
            }
            Failure::Refused(refusal @ Refusal { action: Action::Slow { pause }, .. }) => {
                self.pause_account(Cause::Rate, PauseLength::Fixed(pause), refusal.to_string());
                Ok(())
            }
            failure => self.wait_after(hold, &failure, Duration::ZERO).await,
        }
    }
}
