//! Fetches a picture from WeChat, with all the tries that the fetch takes.

use std::sync::Arc;
use std::time::Duration;

use kefu_messages::envelope::Envelope;
use kefu_runtime::{clock, in_words};

use super::why;
use crate::attempt::Attempt;
use crate::metric;
use crate::outcome::Outcome;
use crate::send::pauses::Pauses;
use crate::send::remedy::{Remedy, Tried, Verdict};
use crate::wechat::failure::Failure;
use crate::wechat::token::AccessTokens;
use crate::wechat::{Download, WeChat};

/// How long WeChat keeps a user's picture.
const WECHAT_KEEPS: Duration = Duration::from_secs(3 * 24 * 3_600);

/// Fetches pictures; all lanes share it.
pub(crate) struct Fetch {
    max_bytes: usize,
    wechat: Arc<WeChat>,
    tokens: Arc<AccessTokens>,
    /// The accounts whose sends are paused.
    sends: Arc<Pauses>,
    /// The accounts whose fetches are paused. Each API has its own quotas and rights, so replies may still be sent. If
    /// the cause also stops sends, the sends notice that themselves.
    pub(crate) pauses: Pauses,
}

/// The picture, or a word for why the picture is missing.
type Fetched = Result<Vec<u8>, &'static str>;

impl Fetch {
    pub(super) fn new(max_bytes: usize, wechat: Arc<WeChat>, tokens: Arc<AccessTokens>, sends: Arc<Pauses>) -> Self {
        Self { max_bytes, wechat, tokens, sends, pauses: Pauses::of_fetches() }
    }

    pub(super) async fn picture(&self, attempt: &mut Attempt<'_>, media_id: &str) -> Result<Fetched, Outcome> {
        let fetched = match self.download(attempt, media_id).await {
            // WeChat has forgotten the picture, so a wait for the end of the pause would be in vain.
            Err(Outcome::Postpone { error, .. }) if is_forgotten(attempt.envelope) => {
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

    async fn download(&self, attempt: &mut Attempt<'_>, media_id: &str) -> Result<Fetched, Outcome> {
        let appid = attempt.account.appid.as_str();
        let remedy = Remedy { tokens: &self.tokens, sends: &self.sends, calls: &self.pauses };
        let (mut tried, mut tried_for_token) = (Tried::default(), Tried::default());
        loop {
            self.sends.wait_out(attempt).await?;
            self.pauses.wait_out(attempt).await?;
            let token = match attempt.call(self.tokens.get(appid)).await? {
                Ok(token) => token,
                Err(failure) => {
                    self.outlast_token_call(attempt, failure, &mut tried_for_token).await?;
                    continue;
                }
            };
            let refusal = match attempt.call(self.wechat.download(&token, media_id, self.max_bytes)).await? {
                Ok(Download::File(content)) => {
                    self.sends.forgive(appid);
                    return Ok(Ok(content));
                }
                Ok(Download::TooLarge) => {
                    let max_bytes = self.max_bytes;
                    tracing::warn!(max_bytes, "a user's picture is too large and is not fetched");
                    return Ok(Err(why::TOO_LARGE));
                }
                Err(Failure::Refused(refusal)) => refusal,
                Err(failure) => {
                    metrics::counter!(metric::MEDIA_FETCHES, "outcome" => "failed").increment(1);
                    attempt.back_off(in_words(&failure), Duration::ZERO).await?;
                    continue;
                }
            };
            match remedy.apply(attempt, &refusal, Some(&token), &mut tried).await? {
                Verdict::Again => {}
                Verdict::MediaGone => {
                    tracing::warn!(error = %refusal, "a user's picture is gone: it was not fetched within 3 days");
                    return Ok(Err(why::EXPIRED));
                }
                Verdict::Harmless | Verdict::Closed(_) | Verdict::Refused { .. } | Verdict::Unexplained => {
                    tracing::error!(error = %refusal, "WeChat does not give a user's picture");
                    return Ok(Err(why::REFUSED));
                }
            }
        }
    }

    /// Waits for the end of a failure of a token call, if the failure passes. The account can send nothing without an
    /// access_token either, so a pause because of the failure is a pause of the account's sends.
    async fn outlast_token_call(
        &self,
        attempt: &mut Attempt<'_>,
        failure: Failure,
        tried: &mut Tried,
    ) -> Result<(), Outcome> {
        match failure {
            Failure::Store(error) => attempt.lease.sit_out(&error).await,
            Failure::Refused(refusal) => {
                let remedy = Remedy { tokens: &self.tokens, sends: &self.sends, calls: &self.sends };
                match remedy.apply(attempt, &refusal, None, tried).await? {
                    Verdict::Again => Ok(()),
                    _ => attempt.back_off(refusal.to_string(), Duration::ZERO).await,
                }
            }
            failure => attempt.back_off(in_words(&failure), Duration::ZERO).await,
        }
    }
}

fn is_forgotten(envelope: &Envelope) -> bool {
    clock::now_ms().saturating_sub(envelope.received_at_ms) > WECHAT_KEEPS.as_millis() as u64
}
