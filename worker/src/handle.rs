//! The pipeline of one message: claim, plan, send, keep the picture, settle.

use std::convert::identity;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use kefu_messages::envelope::{Answered, Envelope};
use kefu_messages::window::Window;
use kefu_program::config::{Account, Config};
use kefu_queue::{DeadReason, Delivery};
use kefu_runtime::Cause;
use kefu_store::{Place, StoreError, Stores};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::attempt::Attempt;
use crate::concurrency::{Slot, Slots};
use crate::lease::Leases;
use crate::metric;
use crate::order::{Behind, Order};
use crate::outage::StoreOutage;
use crate::outcome::{Interrupt, Outcome};
use crate::picture::Pictures;
use crate::plan::Planner;
use crate::plan::assistant::client::Completions;
use crate::plan::assistant::{Assistant, AssistantReplies};
use crate::plan::webhook::WebhookReplies;
use crate::send::Sender;
use crate::send::pauses::Pauses;
use crate::send::typing::Typing;
use crate::send::window::UserWindows;
use crate::settle::Settler;
use crate::wechat::WeChat;
use crate::wechat::client::Transport;
use crate::wechat::media::Uploads;
use crate::wechat::token::AccessTokens;

/// Handles messages; all lanes share it.
pub(crate) struct Handler {
    config: Arc<Config>,
    shutdown: CancellationToken,
    pub(crate) slots: Slots,
    pub(crate) leases: Arc<Leases>,
    pub(crate) order: Arc<Order>,
    pub(crate) behind: Arc<Behind>,
    windows: Arc<UserWindows>,
    pub(crate) planner: Planner,
    pub(crate) sender: Sender,
    pub(crate) pictures: Arc<Pictures>,
    pub(crate) settler: Settler,
}

/// A delivery whose message is not claimed in the ledger yet.
struct Unclaimed<'a> {
    delivery: &'a Delivery,
    envelope: &'a Envelope,
    account: &'a Account,
    /// When the work on the delivery began.
    begun: Instant,
    interrupt: &'a Interrupt,
}

impl Handler {
    /// `id` names this process in the ledger. `completions` is the assistant's server, if the configuration has an
    /// `[assistant]`.
    pub(crate) fn new(
        config: Arc<Config>,
        id: String,
        stores: &Stores,
        transport: Arc<dyn Transport>,
        completions: Option<Arc<dyn Completions>>,
        shutdown: CancellationToken,
    ) -> Result<Self, Cause> {
        let (limits, call_limit) = (config.window.clone(), config.wechat.timeout);
        let outage = Arc::new(StoreOutage::new());
        let behind = Arc::new(Behind::default());
        let order = Arc::new(Order::new(stores.order.clone(), outage.clone()));
        let windows = Arc::new(UserWindows::new(stores.windows.clone(), outage.clone(), limits, behind.clone()));

        let wechat = Arc::new(WeChat::new(transport, &config.wechat));
        let tokens = Arc::new(AccessTokens::new(&config.accounts, &stores.tokens, &wechat, call_limit));
        let uploads = Uploads::new(stores.media.clone(), wechat.clone(), config.wechat.max_image_bytes);
        let pauses = Arc::new(Pauses::of_sends());
        let typing = Typing::new(config.wechat.typing_api, wechat.clone(), tokens.clone(), pauses.clone());
        let typing = Arc::new(typing);
        let pictures = Arc::new(Pictures::new(&config, wechat.clone(), tokens.clone(), pauses.clone()));

        let webhooks = WebhookReplies::new(&config, windows.clone(), pictures.clone(), typing.clone())?;
        let assistant = config.assistant.clone().zip(completions);
        let assistant = assistant.map(|(section, completions)| Arc::new(Assistant::new(section, completions)));
        let assistant = AssistantReplies {
            assistant,
            config: config.clone(),
            conversations: stores.conversations.clone(),
            windows: windows.clone(),
            typing,
        };
        Ok(Self {
            slots: Slots::new(config.worker.concurrency),
            leases: Arc::new(Leases::new(stores.ledger.clone(), outage.clone(), id, call_limit)),
            planner: Planner { config: config.clone(), windows: windows.clone(), webhooks, assistant },
            sender: Sender::new(&config, wechat, tokens, uploads, windows.clone(), pauses),
            pictures,
            settler: Settler {
                messages: stores.messages.clone(),
                order: order.clone(),
                outage,
                shutdown: shutdown.clone(),
            },
            config,
            shutdown,
            order,
            behind,
            windows,
        })
    }

    /// Handles a message and settles its delivery. Returns the delivery if it must go back to the queue when the
    /// consumer closes: the shutdown left the message unhandled or unfinished.
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
            let begun = Instant::now();
            let interrupt = Interrupt::new(&self.shutdown, &delivery.session);
            // The future is on the heap, since it holds the state of all stages, and every future around it would be as
            // large.
            let work = Box::pin(self.work_on(&delivery, begun, &interrupt));
            // A panic would drop the delivery. The queue would then deliver the message again at once and without end,
            // along with all others of its partition.
            let worked = AssertUnwindSafe(work).catch_unwind().await;
            let outcome = match (worked, &delivery.envelope) {
                (Ok(outcome), _) => outcome.unwrap_or_else(identity),
                (Err(_), envelope) => {
                    tracing::error!("the handling of the message panicked: a fault of kefu, report it");
                    let error = "the handling of the message panicked";
                    let outcome = Outcome::retry_or_dead(DeadReason::Crashed, error);
                    match envelope {
                        Ok(envelope) => self.order.leave(envelope, begun, &interrupt, outcome).await,
                        Err(_) => outcome,
                    }
                }
            };
            self.settler.settle(delivery, outcome).await
        };
        handling.instrument(span).await
    }

    /// Decides the outcome of the delivery by working on its message.
    async fn work_on(&self, delivery: &Delivery, begun: Instant, interrupt: &Interrupt) -> Result<Outcome, Outcome> {
        // The interrupt comes before any work: a delivery whose session is over comes again, and no longer belongs to
        // this worker.
        let slot = interrupt.or(self.slots.take()).await?;
        let envelope = envelope_of(delivery)?;
        // This path does not touch the ledger. Rules may have changed between a push and its re-send, and a copy of the
        // push that ingress did not answer must still get its replies.
        if let Some(answered) = envelope.answered
            && !self.pictures.keeps_one_of(envelope)
        {
            self.windows.note_answered(envelope, answered, interrupt).await?;
            return Ok(Outcome::Answered);
        }
        let Some(account) = self.config.accounts.get(&envelope.account) else {
            let error = "the account is not in this worker's configuration";
            let outcome = Outcome::retry_or_dead(DeadReason::UnknownAccount, error);
            return Err(self.order.leave(envelope, begun, interrupt, outcome).await);
        };
        let unclaimed = Unclaimed { delivery, envelope, account, begun, interrupt };
        match envelope.answered {
            Some(answered) => self.keep_answered(unclaimed, slot, answered).await,
            None => self.reply_to(unclaimed, slot).await,
        }
    }

    /// Claims the message, plans and sends its replies, and keeps its picture.
    async fn reply_to(&self, unclaimed: Unclaimed<'_>, mut slot: Slot) -> Result<Outcome, Outcome> {
        let Unclaimed { delivery, envelope, account, begun, interrupt } = unclaimed;
        let claim = self.leases.claim(&envelope.key, interrupt, &mut slot);
        // The three calls run at the same time, so that together they take no longer than one.
        let (claimed, opened, placed) = tokio::join!(claim, self.windows.open(envelope), self.order.place(envelope));
        let claimed = match claimed {
            Err(outcome @ Outcome::Retry { .. }) => {
                return Err(self.order.leave(envelope, begun, interrupt, outcome).await);
            }
            claimed => claimed?,
        };
        let Some(claim) = claimed else {
            // The worker that sent the replies may have died before it recorded the end of the absence.
            if placed.is_ok_and(|place| place.has_left) {
                self.order.end(envelope, interrupt).await;
            }
            return Ok(Outcome::Duplicate);
        };
        let mut attempt = Attempt::new(delivery, envelope, account, claim, slot);
        attempt.needs_replies_only = !self.pictures.keeps_one_of(envelope);
        let sent = match self.plan_and_send(&mut attempt, opened, placed).await {
            Err(outcome) if outcome.leaves_the_lane() => {
                Err(self.order.leave(envelope, begun, interrupt, outcome).await)
            }
            sent => sent,
        };
        let ended = self.keep_picture(&mut attempt, sent).await;
        match &ended {
            Ok(_) if attempt.place.has_left => self.order.end(envelope, interrupt).await,
            Ok(_) | Err(Outcome::Fenced) => {}
            Err(_) => attempt.lease.release().await,
        }
        ended
    }

    /// Plans and sends the replies. If the store did not give `opened` or `placed` at first, this asks again, since the
    /// store has answered meanwhile.
    async fn plan_and_send(
        &self,
        attempt: &mut Attempt<'_>,
        opened: Result<Window, StoreError>,
        placed: Result<Place, StoreError>,
    ) -> Result<Outcome, Outcome> {
        let envelope = attempt.envelope;
        let window = match opened {
            Ok(window) => window,
            Err(_) => attempt.lease.outlast(|| self.windows.open(envelope)).await?,
        };
        let place = match placed {
            Ok(place) => place,
            Err(_) => attempt.lease.outlast(|| self.order.place(envelope)).await?,
        };
        (attempt.window, attempt.place) = (window, place);
        let Some(plan) = self.planner.plan(attempt).await? else { return Ok(Outcome::Ignored) };
        self.sender.send(attempt, &plan).await?;
        Ok(Outcome::Done)
    }

    /// Keeps the picture, whatever became of the replies, since the message may not come again. The ledger marks
    /// a message as done only when the message needs nothing more.
    async fn keep_picture(
        &self,
        attempt: &mut Attempt<'_>,
        sent: Result<Outcome, Outcome>,
    ) -> Result<Outcome, Outcome> {
        if let Err(outcome @ (Outcome::Fenced | Outcome::HandedBack)) = sent {
            return Err(outcome);
        }
        match (sent, self.pictures.keep(attempt).await) {
            (Ok(outcome), Ok(())) => attempt.lease.done().await.map(|()| outcome),
            (Ok(_), Err(outcome)) | (Err(outcome), Ok(())) => Err(outcome),
            (Err(outcome), Err(not_kept)) => Err(outcome.and("its picture is not kept", &not_kept)),
        }
    }

    /// Keeps the picture of a push that ingress has answered, and records nothing about the message itself in the
    /// ledger.
    async fn keep_answered(
        &self,
        unclaimed: Unclaimed<'_>,
        mut slot: Slot,
        answered: Answered,
    ) -> Result<Outcome, Outcome> {
        let Unclaimed { delivery, envelope, account, interrupt, .. } = unclaimed;
        self.windows.note_answered(envelope, answered, interrupt).await?;
        let claimed = self.leases.claim(&envelope.key, interrupt, &mut slot).await?;
        let Some(claim) = claimed else { return Ok(Outcome::Answered) };
        let mut attempt = Attempt::new(delivery, envelope, account, claim, slot);
        let kept = self.pictures.keep(&mut attempt).await;
        attempt.lease.release().await;
        kept.map(|()| Outcome::Answered)
    }

    /// Forgets all pauses that have ended.
    pub(crate) fn sweep(&self) {
        self.sender.pauses.sweep();
        self.pictures.fetch.pauses.sweep();
    }
}

/// The delivery's envelope, if the body is an envelope that this version can handle.
fn envelope_of(delivery: &Delivery) -> Result<&Envelope, Outcome> {
    let envelope = match &delivery.envelope {
        Ok(envelope) => envelope,
        Err(error) if error.class().passes() => {
            return Err(Outcome::retry_or_dead(DeadReason::Undecodable, error.to_string()));
        }
        Err(error) => return Err(Outcome::dead(DeadReason::Undecodable, error.to_string())),
    };
    match &envelope.unreadable {
        Some(unreadable) => Err(Outcome::dead(DeadReason::Unreadable, unreadable.reason.clone())),
        None => Ok(envelope),
    }
}

/// The trace id, if the text is a W3C traceparent. The header comes from outside and may be anything.
fn trace_id(traceparent: &str) -> Option<&str> {
    let id = traceparent.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests;
