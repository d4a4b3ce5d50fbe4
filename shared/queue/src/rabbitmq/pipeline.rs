//! Publishes over one connection: many messages at a time, each until its confirm.
//!
//! A message that the broker cannot route comes back before its confirm, and the library attaches it to whichever confirm
//! it handles next. So with many messages under way, a confirm alone does not say that its own message is stored. The
//! pipeline gathers all confirms that may carry a returned message, and only then believes them. If any message was
//! returned, all messages of the batch are refused and the session ends. This rests on the insides of lapin, whose version
//! is therefore pinned.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::sleep;

use super::fault::{Fault, protocol_code};
use super::link::{BLOCKED_LOOK, Link, Session};
use super::message::Message;
use crate::{QueueError, Turn};

/// How many messages the pipeline takes from its callers at once.
const AT_ONCE: usize = 256;

/// A message that a caller puts into the pipeline.
pub(super) struct Entry {
    pub(super) message: Message,
    pub(super) ticket: Ticket,
}

/// What a message has until its fate is known.
pub(super) struct Ticket {
    pub(super) outcome: oneshot::Sender<Result<(), QueueError>>,
    pub(super) _turn: Turn,
    pub(super) _room: OwnedSemaphorePermit,
}

/// The task that publishes. It ends with its link.
pub(super) struct Pipeline {
    link: Arc<Link>,
    entries: mpsc::UnboundedReceiver<Entry>,
    /// Taken from the callers, and not given to a channel yet.
    waiting: Vec<Entry>,
}

impl Pipeline {
    pub(super) fn new(link: Arc<Link>, entries: mpsc::UnboundedReceiver<Entry>) -> Self {
        Self { link, entries, waiting: Vec::new() }
    }

    pub(super) async fn run(mut self) {
        while let Some(session) = self.link.writable_session().await {
            let opened = tokio::select! {
                opened = open(&session) => opened,
                () = session.ended() => continue,
            };
            match opened {
                Ok(channel) => self.serve(&session, &channel).await,
                Err(error) if session.usable() => session.end(Fault::of(&error)),
                Err(_) => {}
            }
        }
    }

    /// Publishes until the channel or its session is over. What is under way then has no known fate: its callers publish
    /// it again.
    async fn serve(&mut self, session: &Session, channel: &Channel) {
        let mut under_way = FuturesUnordered::new();
        while session.usable() && channel.status().connected() {
            // The library writes nothing on a blocked connection, and queues everything without limit.
            let blocked = session.connection.status().blocked();
            if !blocked {
                // Nobody waits any more for a message whose caller has given up.
                let wanted = self.waiting.drain(..).filter(|entry| !entry.ticket.outcome.is_closed());
                under_way.extend(wanted.map(|entry| confirmed(channel, entry)));
            }
            tokio::select! {
                biased;
                Some(first) = under_way.next() => {
                    if let Err(fault) = report(confirmed_behind_the_barrier(first, &mut under_way, channel)) {
                        session.end(fault);
                    }
                }
                () = session.ended() => {}
                () = sleep(BLOCKED_LOOK), if blocked => {}
                received = self.entries.recv_many(&mut self.waiting, AT_ONCE), if !blocked => {
                    if received == 0 {
                        return;
                    }
                }
            }
        }
    }
}

type Confirmed = (Ticket, lapin::Result<Confirmation>);

async fn confirmed(channel: &Channel, Entry { message, ticket }: Entry) -> Confirmed {
    let confirmation = publish(channel, message).await;
    (ticket, confirmation)
}

/// `first` and all other confirms that are there, and with them every message that came back for one of them.
fn confirmed_behind_the_barrier<F: Future<Output = Confirmed>>(
    first: Confirmed,
    under_way: &mut FuturesUnordered<F>,
    channel: &Channel,
) -> Vec<Confirmed> {
    let mut batch = vec![first];
    drain(under_way, &mut batch);
    // The message that came back for a confirm is attached to an earlier confirm or to one of the same batch, and the
    // library holds one lock while it hands out a batch. This call passes that lock, so the batch is complete afterwards.
    let _nobody_waits = channel.wait_for_confirms().now_or_never();
    drain(under_way, &mut batch);
    batch
}

/// Takes every result that is there.
fn drain<F: Future<Output = Confirmed>>(under_way: &mut FuturesUnordered<F>, batch: &mut Vec<Confirmed>) {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        match under_way.poll_next_unpin(&mut context) {
            Poll::Ready(Some(result)) => batch.push(result),
            Poll::Ready(None) => return,
            // The stream interrupts itself now and then, and says so by waking its caller.
            Poll::Pending if woken.0.swap(false, Ordering::AcqRel) => {}
            Poll::Pending => return,
        }
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Tells the callers the fates of their messages. Returns the fault that ends the session, if there is one.
fn report(batch: Vec<Confirmed>) -> Result<(), Fault> {
    // Which of the messages came back is not known. A new session declares the queues and their bindings again.
    let came_back = batch.iter().any(|(_, confirmation)| confirmation.as_ref().is_ok_and(is_of_returned));
    let mut session = match came_back {
        true => Err(Fault::Passing(NO_QUEUE.into())),
        false => Ok(()),
    };
    for (ticket, confirmation) in batch {
        let outcome = match confirmation {
            Ok(_) if came_back => Err(QueueError::Refused(NO_QUEUE.into())),
            Ok(confirmation) => stored(&confirmation),
            Err(error) => {
                let fault = Fault::of(&error);
                // The exchange is missing; a new session declares it again.
                if protocol_code(&error).is_some_and(|(code, _)| code == 404) {
                    session = Err(fault.clone());
                }
                Err(fault.into())
            }
        };
        // The caller may have given up waiting.
        let _abandoned = ticket.outcome.send(outcome);
    }
    session
}

const NO_QUEUE: &str = "the broker has no queue for the message's partition";

fn is_of_returned(confirmation: &Confirmation) -> bool {
    matches!(confirmation, Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)))
}

/// Publishes one message and waits for the broker's word on it, on a channel with confirms.
pub(super) async fn publish(channel: &Channel, message: Message) -> lapin::Result<Confirmation> {
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let (exchange, key) = (message.exchange.into(), message.routing_key.into());
    #[expect(clippy::disallowed_methods, reason = "the confirm is awaited here")]
    channel.basic_publish(exchange, key, options, &message.body, message.properties).await?.await
}

/// Whether the broker has stored the message of this confirm, if no other message was under way on its channel.
pub(super) fn stored(confirmation: &Confirmation) -> Result<(), QueueError> {
    match confirmation {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) => Err(QueueError::Refused(NO_QUEUE.into())),
        Confirmation::Nack(_) => {
            Err(QueueError::Refused("the broker did not store the message; is the queue of its partition full?".into()))
        }
        Confirmation::NotRequested => Err(QueueError::Unavailable("the channel has no confirms".into())),
    }
}

async fn open(session: &Session) -> lapin::Result<Channel> {
    let channel = session.connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}
