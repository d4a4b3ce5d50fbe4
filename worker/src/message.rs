//! One message from its claim to its settlement.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use kefu_shared::config::{Account, Config};
use kefu_shared::envelope::{Envelope, EnvelopeError};
use kefu_shared::queue::{DeadReason, Delivery, RETRY_DELAYS, Settlement};
use kefu_shared::store::{Conversations, Job, Ledger, LedgerClaim, Messages, Stores, Windows};
use kefu_shared::wechat::push::Content;
use kefu_shared::window::Window;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::assistant::Assistant;
use crate::away::Away;
use crate::backoff::Backoff;
use crate::behind::Behind;
use crate::halt::{Halt, Interrupt};
use crate::hold::Hold;
use crate::lanes::LaneKey;
use crate::metric;
use crate::outage::StoreOutage;
use crate::pauses::Pauses;
use crate::picture::ReceivedPictures;
use crate::planning::{Asked, AskedWebhooks};
use crate::slots::{Slot, Slots};
use crate::timings::Timings;
use crate::wechat::WeChat;
use crate::wechat::client::Transport;
use crate::wechat::media::Pictures;
use crate::wechat::token::AccessTokens;

/// The longest wait that a queue has.
const LONGEST_DELAY: Duration = RETRY_DELAYS[RETRY_DELAYS.len() - 1];

/// Handles messages; all lanes share it.
pub(crate) struct Handler {
    pub(crate) config: Arc<Config>,
    /// Names this process in the ledger.
    id: String,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) windows: Arc<dyn Windows>,
    pub(crate) behind: Behind,
    pub(crate) away: Away,
    pub(crate) messages: Arc<dyn Messages>,
    pub(crate) outage: Arc<StoreOutage>,
    pub(crate) wechat: Arc<WeChat>,
    pub(crate) tokens: AccessTokens,
    pub(crate) pictures: Pictures,
    pub(crate) pictures_received: ReceivedPictures,
    pub(crate) webhooks: AskedWebhooks,
    /// If there is an `[assistant]`.
    pub(crate) assistant: Option<Arc<Assistant>>,
    pub(crate) conversations: Arc<dyn Conversations>,
    pub(crate) pauses: Pauses,
    pub(crate) slots: Slots,
    pub(crate) timings: Timings,
    pub(crate) shutdown: CancellationToken,
}

/// How the work on a message ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    /// Ingress has answered it, and there is nothing to send.
    Answered,
    /// No rule matched.
    Ignored,
    /// All of it was sent before.
    Duplicate,
}

/// One message in work.
pub(crate) struct Message<'a> {
    pub(crate) handler: &'a Handler,
    pub(crate) envelope: &'a Envelope,
    pub(crate) account: &'a Account,
    pub(crate) interrupt: Interrupt,
    pub(crate) slot: Slot,
    pub(crate) backoff: Backoff,
    /// How often it waited for the account's rate limit.
    pub(crate) slowed: u32,
    /// What is known of the user's window.
    pub(crate) window: Window,
    /// Whether this is the first handling, of which the lag is measured.
    pub(crate) first_send: bool,
}

impl Handler {
    pub(crate) fn new(
        config: Arc<Config>,
        id: String,
        stores: &Stores,
        transport: Arc<dyn Transport>,
        asked: Asked,
        timings: Timings,
        shutdown: CancellationToken,
    ) -> Self {
        let wechat = Arc::new(WeChat::new(transport, &config.wechat));
        let Asked { webhooks, assistant } = asked;
        Self {
            id,
            ledger: Arc::clone(&stores.ledger),
            windows: Arc::clone(&stores.windows),
            behind: Behind::default(),
            away: Away::default(),
            messages: Arc::clone(&stores.messages),
            outage: Arc::new(StoreOutage::new(timings.store_poll)),
            tokens: AccessTokens::new(&config.accounts, &stores.tokens, &wechat, config.wechat.timeout),
            pictures: Pictures::new(Arc::clone(&stores.media), Arc::clone(&wechat), config.wechat.max_image_bytes),
            pictures_received: ReceivedPictures::new(&config),
            webhooks,
            wechat,
            assistant,
            conversations: Arc::clone(&stores.conversations),
            pauses: Pauses::of_sends(),
            slots: Slots::new(config.worker.concurrency),
            timings,
            config,
            shutdown,
        }
    }

    /// Handles a message and settles it. Returned is a delivery that is to be given back to the queue, when the consumer
    /// closes: because of the shutdown, it is not handled, or not to its end.
    pub(crate) async fn handle(&self, delivery: Delivery) -> Option<Delivery> {
        let span = match &delivery.envelope {
            Ok(envelope) => {
                let trace = envelope.traceparent.as_deref().and_then(trace_id);
                tracing::info_span!("message", key = %envelope.key, account = envelope.account, trace)
            }
            Err(_) => tracing::info_span!("message"),
        };
        if delivery.redelivered {
            metrics::counter!(metric::REDELIVERIES).increment(1);
        }
        let handling = async {
            // Else the delivery would be dropped with the panic: it would come again at once and for ever, and take all
            // others of its partition along each time.
            let worked = AssertUnwindSafe(self.work_on(&delivery)).catch_unwind().await;
            let result = worked.unwrap_or_else(|_| {
                tracing::error!("the handling of the message panicked: a fault of kefu, report it");
                Err(Halt::later_or_dead(DeadReason::Crashed, "the handling of the message panicked"))
            });
            self.conclude(delivery, result).await
        };
        handling.instrument(span).await
    }

    async fn work_on(&self, delivery: &Delivery) -> Result<End, Halt> {
        // Before anything is begun: a delivery whose session is over comes again, and is not for here any more.
        let interrupt = Interrupt::new(&self.shutdown, &delivery.session);
        let slot = interrupt.or(self.slots.take()).await?;
        let envelope = match &delivery.envelope {
            Ok(envelope) => envelope,
            // While workers and ingress are replaced one after the other, some are older than others for a moment.
            Err(error @ EnvelopeError::Version { .. }) => {
                return Err(Halt::later_or_dead(DeadReason::Undecodable, error.to_string()));
            }
            Err(error) => return Err(Halt::dead(DeadReason::Undecodable, error.to_string())),
        };
        // Without a word to the ledger: a copy that was not answered so, because rules changed meanwhile, still gets its
        // replies.
        if envelope.answered.is_some() && !self.has_picture_to_keep(envelope) {
            if envelope.push.opens().is_some() {
                self.forget_window(envelope, &interrupt).await?;
            }
            return Ok(End::Answered);
        }
        let Some(account) = self.config.accounts.get(&envelope.account) else {
            let error = "the account is not in this worker's configuration";
            return Err(Halt::later_or_dead(DeadReason::UnknownAccount, error));
        };
        let backoff = Backoff::new(&self.timings);
        let first_send = delivery.attempt == 0;
        let window = Window::default();
        Message { handler: self, envelope, account, interrupt, slot, backoff, slowed: 0, window, first_send }
            .process()
            .await
    }

    fn has_picture_to_keep(&self, envelope: &Envelope) -> bool {
        self.pictures_received.are_kept() && matches!(envelope.push.content, Content::Image { .. })
    }

    async fn conclude(&self, delivery: Delivery, result: Result<End, Halt>) -> Option<Delivery> {
        let attempt = delivery.attempt;
        let dead = |reason: DeadReason, error: String| {
            tracing::warn!(reason = reason.as_str(), attempt, error, "the message is a dead letter");
            ("dead", Some(Settlement::Dead { reason, error }))
        };
        let (outcome, settlement) = match result {
            Ok(end) => {
                let outcome = match end {
                    End::Done => "done",
                    End::Answered => "answered",
                    End::Ignored => "ignored",
                    End::Duplicate => "duplicate",
                };
                tracing::debug!(outcome, "handled");
                (outcome, Some(Settlement::Done))
            }
            Err(Halt::Fenced) => {
                tracing::warn!("another worker has taken the message over");
                ("fenced", None)
            }
            Err(Halt::Interrupted) => ("handed_back", None),
            Err(Halt::Dead { reason, error }) => dead(reason, error),
            Err(Halt::Paused { at_least, error }) => {
                let after = at_least.clamp(self.timings.retry_delays[0], LONGEST_DELAY);
                // A pause itself is in the log; many messages may wait for its end.
                tracing::debug!(?after, error, "the message waits, and is not to blame");
                ("postponed", Some(Settlement::Postpone { after, error }))
            }
            Err(Halt::Later { at_least, error, in_the_end }) => match self.timings.retry_delays.get(attempt as usize) {
                Some(delay) => {
                    let after = at_least.min(LONGEST_DELAY).max(*delay);
                    tracing::warn!(attempt, ?after, error, "the message is tried again later");
                    ("retry", Some(Settlement::Retry { after, error }))
                }
                None => dead(in_the_end, error),
            },
        };
        let told = match &settlement {
            Some(settlement) => self.report(&delivery, settlement).await,
            None => Ok(()),
        };
        let (outcome, settlement) = if told.is_ok() { (outcome, settlement) } else { ("handed_back", None) };
        metrics::counter!(metric::MESSAGES, "outcome" => outcome).increment(1);
        if let (Ok(envelope), Some(Settlement::Done | Settlement::Dead { .. })) = (&delivery.envelope, &settlement) {
            self.away.remove(&LaneKey::of_envelope(envelope), &envelope.key);
        }
        match &settlement {
            Some(Settlement::Retry { .. }) => metrics::counter!(metric::RETRIES, "place" => "queue").increment(1),
            Some(Settlement::Dead { reason, .. }) => {
                metrics::counter!(metric::DEAD_LETTERS, "reason" => reason.as_str()).increment(1);
            }
            _ => {}
        }
        let Some(settlement) = settlement else {
            // While the consumer is open, dropping a delivery makes its whole partition come again: at a shutdown that
            // would take the messages along that are about to end well.
            return Some(delivery).filter(|_| self.shutdown.is_cancelled());
        };
        if let Err(error) = delivery.settle(settlement).await {
            tracing::warn!(%error, "the message is not settled and comes again");
            metrics::counter!(metric::SETTLE_FAILURES).increment(1);
        }
        None
    }

    /// A call's time limit and some, so that a lease that is renewed before a call outlasts it.
    fn lease(&self) -> Duration {
        self.config.wechat.timeout + self.timings.lease_margin
    }
}

/// The trace id of a W3C traceparent, if it is one: the header came from outside.
fn trace_id(traceparent: &str) -> Option<&str> {
    let id = traceparent.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

impl Message<'_> {
    async fn process(mut self) -> Result<End, Halt> {
        if self.envelope.answered.is_some() {
            return self.keep_answered().await;
        }
        let (handler, envelope) = (self.handler, self.envelope);
        // Side by side, so that it takes no longer; again only once the store is known to be there.
        let (claimed, opened) = tokio::join!(self.claim(), handler.open_window(envelope));
        let Some((hold, job)) = claimed? else { return Ok(End::Duplicate) };
        let window = match opened {
            Ok(window) => Ok(window),
            Err(_) => handler.outage.outlast(&self.interrupt, || handler.open_window(envelope)).await,
        };
        let sent = match window {
            Ok(window) => {
                self.window = window;
                self.send_plan(&hold, job).await
            }
            Err(halt) => Err(halt),
        };
        let result = self.conclude_with_picture(&hold, sent).await;
        if matches!(result, Err(Halt::Later { .. } | Halt::Paused { .. } | Halt::Dead { .. } | Halt::Interrupted)) {
            hold.release().await;
        }
        result
    }

    /// Keeps the picture, whatever became of the replies: the message may not come again. Done is what needs nothing more.
    async fn conclude_with_picture(&mut self, hold: &Hold, sent: Result<End, Halt>) -> Result<End, Halt> {
        if let Err(halt @ (Halt::Fenced | Halt::Interrupted)) = sent {
            return Err(halt);
        }
        match (sent, self.keep_picture(hold).await) {
            (Ok(end), Ok(())) => hold.done().await.map(|()| end),
            (Ok(_), Err(halt)) | (Err(halt), Ok(())) => Err(halt),
            (Err(halt), Err(not_kept)) => Err(halt.and("its picture is not kept", &not_kept)),
        }
    }

    /// Keeps the picture of a push that ingress has answered, without a word to the ledger about the message itself.
    async fn keep_answered(&mut self) -> Result<End, Halt> {
        if self.envelope.push.opens().is_some() {
            self.handler.forget_window(self.envelope, &self.interrupt).await?;
        }
        let Some((hold, _)) = self.claim().await? else { return Ok(End::Answered) };
        let kept = self.keep_picture(&hold).await;
        hold.release().await;
        kept.map(|()| End::Answered)
    }

    /// Claims the message in the ledger; `None` when all of it is sent already.
    async fn claim(&mut self) -> Result<Option<(Hold, Job)>, Halt> {
        let handler = self.handler;
        let (key, lease, keep_for) = (&self.envelope.key, handler.lease(), handler.timings.keep_for);
        // A worker that died loses its lease within that time. One that lives on and renews it also works in its lane.
        let give_up_at = Instant::now() + lease + handler.timings.retry_total;
        loop {
            let call = || handler.ledger.claim(key, &handler.id, lease, keep_for);
            match handler.outage.outlast(&self.interrupt, call).await? {
                LedgerClaim::Done => return Ok(None),
                LedgerClaim::Claimed(job) => {
                    let hold = Hold {
                        ledger: Arc::clone(&handler.ledger),
                        outage: Arc::clone(&handler.outage),
                        interrupt: self.interrupt.clone(),
                        key: key.clone(),
                        fence: job.fence,
                        lease,
                        keep_for,
                    };
                    return Ok(Some((hold, job)));
                }
                LedgerClaim::Leased { .. } if Instant::now() >= give_up_at => {
                    return Err(Halt::later("another worker holds the message"));
                }
                LedgerClaim::Leased { for_at_most } => {
                    let wait = for_at_most.clamp(Duration::from_millis(1), handler.timings.lease_poll);
                    self.interrupt.or(self.slot.leave_for(tokio::time::sleep(wait))).await?;
                }
            }
        }
    }

    async fn send_plan(&mut self, hold: &Hold, job: Job) -> Result<End, Halt> {
        let plan = match job.plan {
            Some(plan) => {
                // Whoever stored it may have died before it was in the conversation.
                if job.next_step == 0 {
                    self.remember(&plan).await?;
                }
                plan
            }
            None => {
                self.stay_behind()?;
                let planned = match &self.envelope.send {
                    Some(outbound) => Some(self.plan_of_send(outbound)?),
                    None => self.plan(hold).await?,
                };
                let Some(plan) = planned else { return Ok(End::Ignored) };
                hold.store_plan(&plan).await?;
                self.remember(&plan).await?;
                plan
            }
        };
        self.first_send &= job.next_step == 0;
        for (index, reply) in (0_u32..).zip(&plan.steps).skip(job.next_step as usize) {
            let ambiguous = job.ambiguous && index == job.next_step;
            self.send_step(hold, index, reply, ambiguous).await?;
            self.backoff.shorten();
        }
        Ok(End::Done)
    }
}

#[cfg(test)]
mod tests;
