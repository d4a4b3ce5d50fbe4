//! One message from its claim to its settlement.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use kefu_messages::envelope::{Envelope, EnvelopeError};
use kefu_messages::window::Window;
use kefu_program::config::{Account, Config};
use kefu_queue::{DeadReason, Delivery};
use kefu_store::{Conversations, Ledger, Messages, Order, Place, Stores, Windows};
use kefu_wechat::push::Content;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::attempt::backoff::Backoff;
use crate::concurrency::{Slot, Slots};
use crate::metric;
use crate::order::Behind;
use crate::outage::StoreOutage;
use crate::outcome::{Halt, Interrupt};
use crate::picture::ReceivedPictures;
use crate::plan::assistant::Assistant;
use crate::plan::{Asked, AskedWebhooks};
use crate::send::pauses::Pauses;
use crate::timings::Timings;
use crate::wechat::WeChat;
use crate::wechat::client::Transport;
use crate::wechat::media::Uploads;
use crate::wechat::token::AccessTokens;

mod way;

use crate::settle::End;

/// Handles messages; all lanes share it.
pub(crate) struct Handler {
    pub(crate) config: Arc<Config>,
    /// Names this process in the ledger.
    id: String,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) windows: Arc<dyn Windows>,
    pub(crate) behind: Behind,
    pub(crate) order: Arc<dyn Order>,
    pub(crate) messages: Arc<dyn Messages>,
    pub(crate) outage: Arc<StoreOutage>,
    pub(crate) wechat: Arc<WeChat>,
    pub(crate) tokens: AccessTokens,
    pub(crate) uploads: Uploads,
    pub(crate) received_pictures: ReceivedPictures,
    pub(crate) webhooks: AskedWebhooks,
    /// If there is an `[assistant]`.
    pub(crate) assistant: Option<Arc<Assistant>>,
    pub(crate) conversations: Arc<dyn Conversations>,
    pub(crate) pauses: Pauses,
    pub(crate) slots: Slots,
    pub(crate) timings: Timings,
    pub(crate) shutdown: CancellationToken,
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
    /// Where it stands among the user's messages that are in the queue again.
    pub(crate) place: Place,
    /// When this handling began.
    pub(crate) begun: Instant,
    /// Whether this is the first handling, of which the lag is measured.
    pub(crate) first_send: bool,
    /// Whether it was a dead letter, and is replayed.
    pub(crate) replayed: bool,
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
            order: Arc::clone(&stores.order),
            messages: Arc::clone(&stores.messages),
            outage: Arc::new(StoreOutage::new(timings.store_poll)),
            tokens: AccessTokens::new(&config.accounts, &stores.tokens, &wechat, config.wechat.timeout),
            uploads: Uploads::new(Arc::clone(&stores.media), Arc::clone(&wechat), config.wechat.max_image_bytes),
            received_pictures: ReceivedPictures::new(&config),
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
            let begun = Instant::now();
            let worked = AssertUnwindSafe(self.work_on(&delivery, begun)).catch_unwind().await;
            let result = match worked {
                Ok(result) => result,
                Err(_) => {
                    tracing::error!("the handling of the message panicked: a fault of kefu, report it");
                    let halt = Halt::later_or_dead(DeadReason::Crashed, "the handling of the message panicked");
                    Err(self.leave_lane_as(&delivery, begun, halt).await)
                }
            };
            self.conclude(delivery, result).await
        };
        handling.instrument(span).await
    }

    async fn work_on(&self, delivery: &Delivery, begun: Instant) -> Result<End, Halt> {
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
        if let Some(unreadable) = &envelope.unreadable {
            return Err(Halt::dead(DeadReason::Unreadable, unreadable.reason.clone()));
        }
        // Without a word to the ledger: a copy that was not answered so, because rules changed meanwhile, still gets its
        // replies.
        if let Some(answered) = envelope.answered
            && !self.has_picture_to_keep(envelope)
        {
            self.note_answered(envelope, answered, &interrupt).await?;
            return Ok(End::Answered);
        }
        let Some(account) = self.config.accounts.get(&envelope.account) else {
            let error = "the account is not in this worker's configuration";
            let halt = Halt::later_or_dead(DeadReason::UnknownAccount, error);
            return Err(self.leave_lane_as(delivery, begun, halt).await);
        };
        let backoff = Backoff::new(&self.timings);
        let first_send = delivery.attempt == 0;
        let (window, place, replayed) = (Window::default(), Place::default(), delivery.replays > 0);
        let (handler, slowed) = (self, 0);
        let message = Message {
            handler,
            envelope,
            account,
            interrupt,
            slot,
            backoff,
            slowed,
            window,
            place,
            begun,
            first_send,
            replayed,
        };
        message.process().await
    }

    fn has_picture_to_keep(&self, envelope: &Envelope) -> bool {
        self.received_pictures.are_kept() && matches!(envelope.push.content, Content::Image { .. })
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

#[cfg(test)]
mod tests;
