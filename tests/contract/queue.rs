//! The contract of `kefu_queue`: what every implementation has to keep, sentence by sentence.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kefu_messages::envelope::Envelope;
use kefu_messages::partition::Partition;
use kefu_messages::testing::pushed;
use kefu_queue::dead_letters::DeadLetters;
use kefu_queue::{Consumer, Delivery, Publisher, QueueError, Settlement, Turns};
use kefu_runtime::health::Health;
use kefu_wechat::openid::OpenId;
use kefu_wechat::push::Fields;
use serde_json::json;
use tokio::time::timeout;

mod crashing;
mod dead_letters;
mod delivering;
mod publishing;
mod settling;
mod unreadable;

mod embedded;
mod rabbitmq;

/// Few, so that a case can have users on the same one and on others.
const PARTITIONS: u16 = 4;
/// The shortest delay there is for retries, in every implementation as it is set up here.
const SHORTEST_RETRY: Duration = Duration::from_millis(200);
/// The delay after it.
const NEXT_RETRY: Duration = Duration::from_millis(1_500);

const ACCOUNT: &str = "wxba5fad812f8e6fb9";
/// Far more than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it is watched that nothing comes. A fault may slip through on a slow machine, but none is made up.
const SILENCE: Duration = Duration::from_millis(400);

/// An empty queue that a case has to itself: what an implementation provides to be put to the test.
trait Queue {
    /// Another publisher.
    async fn publisher(&self) -> Arc<InTurn>;
    /// Another consumer.
    async fn consumer(&self, id: &str, prefetch: u16) -> Box<dyn Consumer>;
    /// Waits until there are `count` dead letters, and takes them off, oldest first.
    async fn dead_letters(&self, count: usize) -> Vec<DeadLetter>;
    /// The seam to them.
    fn letters(&self) -> Arc<dyn DeadLetters>;
    /// Crashes what holds the messages, and brings it back on its data. Publishers and consumers are gone before.
    async fn crash(&mut self);
}

/// What is known of a dead letter.
#[derive(Debug, PartialEq, Eq)]
struct DeadLetter {
    body: Vec<u8>,
    reason: String,
    error: String,
    attempts: i64,
}

/// Makes a test of each case, for two functions that make a [`Queue`]: any, and one that can be crashed.
macro_rules! contract {
    ($make:path, $make_for_a_crash:path) => {
        contract!(@tests $make, publishing:
            what_is_published_comes_out_whole,
            messages_of_a_user_come_in_the_order_of_publishing,
            a_dropped_publish_neither_blocks_nor_doubles_nor_reorders,
            closing_waits_for_the_publishes_under_way,
            a_closed_publisher_publishes_no_more,
            threads_share_the_order_of_a_user,
            the_others_go_on_when_the_publisher_of_a_thread_closes,
        );
        contract!(@tests $make_for_a_crash, crashing:
            published_messages_outlive_a_crash,
            unsettled_and_retried_messages_outlive_a_crash,
            replays_outlive_a_crash_and_so_do_those_that_were_left,
        );
        contract!(@tests $make, dead_letters:
            they_are_read_in_the_order_of_death_with_their_story,
            what_is_replayed_comes_once_at_the_tail_as_if_it_were_new,
            what_is_dropped_is_gone_and_the_others_keep_their_places,
            a_walk_that_is_dropped_half_way_changes_nothing_but_what_it_did,
            what_dies_during_a_walk_is_not_part_of_it,
            a_body_that_is_no_envelope_is_shown_and_replayed_unchanged,
            an_order_that_does_not_say_which_changes_nothing,
            a_selection_takes_what_all_of_it_says,
        );
        contract!(@tests $make, delivering:
            no_more_than_the_prefetch_of_a_partition_is_unsettled,
            a_partition_at_its_prefetch_does_not_hold_up_the_others,
            a_dropped_delivery_comes_again_in_its_place,
            a_dropped_delivery_ends_the_sessions_of_those_after_it,
            a_delivery_dropped_before_the_first_is_settled_disturbs_no_other_partition,
            closing_gives_the_unsettled_back_in_order,
            after_closing_there_is_no_next_and_settling_is_stale,
            a_waiting_next_sees_what_is_published_later,
        );
        contract!(@tests $make, unreadable:
            an_unreadable_push_keeps_its_bytes_in_the_dead_letter_and_in_its_replay,
        );
        contract!(@tests $make, settling:
            done_is_for_good,
            deliveries_are_settled_in_any_order,
            a_delivery_may_be_settled_long_after_later_ones,
            a_retry_comes_back_after_its_delay_with_the_attempt_raised,
            a_postponed_message_comes_back_after_its_delay_with_the_attempt_unchanged,
            a_postponed_message_lets_the_users_later_messages_pass,
            a_retry_lets_the_users_later_messages_pass,
            a_retry_never_comes_back_early,
            a_dead_letter_is_kept_with_its_reason_and_not_delivered_again,
            what_cannot_be_read_is_a_delivery_and_becomes_a_dead_letter_unchanged,
        );
    };
    (@tests $make:path, $group:ident: $($case:ident,)+) => {
        mod $group {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    crate::queue::$group::$case($make().await).await;
                }
            )+
        }
    };
}
use contract;

/// The `index`th of many users whose messages are on the partition.
fn user(partition: u16, index: usize) -> OpenId {
    let users = (0..).map(|n| OpenId::new(format!("oUSER{n}")));
    let mut here = users.filter(|user| Partition::of(ACCOUNT, user, PARTITIONS).index() == partition);
    here.nth(index).unwrap()
}

/// The `number`th text of a user.
fn envelope(user: &OpenId, number: u32) -> Envelope {
    let (created, content) = (1_482_048_670, format!("第{number}条"));
    let push = json!({ "CreateTime": created, "MsgType": "text", "MsgId": number, "Content": content });
    let mut envelope = pushed(ACCOUNT, user.as_str(), push);
    envelope.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
    envelope.received_at_ms = created * 1_000 + 123;
    // The envelope's JSON has the content, and not all fields that it came from.
    envelope.push.fields = Fields::default();
    envelope
}

/// A publisher that publishes each user's messages in turn, as ingress does.
struct InTurn {
    publisher: Arc<dyn Publisher>,
    turns: Arc<Turns>,
}

impl InTurn {
    fn new(publisher: Arc<dyn Publisher>) -> Arc<Self> {
        Arc::new(Self { publisher, turns: Arc::new(Turns::new()) })
    }

    /// The same publisher, for one thread.
    fn local(&self) -> Self {
        Self { publisher: self.publisher.clone().local(), turns: self.turns.clone() }
    }

    async fn publish(&self, envelope: &Envelope) -> Result<(), QueueError> {
        self.publisher.publish(envelope, self.turns.take(envelope).await).await
    }

    fn health(&self) -> Health {
        self.publisher.health()
    }

    async fn close(&self, within: Duration) {
        self.publisher.close(within).await;
    }
}

/// Publishes the user's messages of these numbers, one after the other.
async fn publish(publisher: &InTurn, user: &OpenId, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        let published = timeout(PATIENCE, publisher.publish(&envelope(user, number))).await;
        published.expect("a publish takes no minute").expect("the queue takes messages");
    }
}

/// The next delivery, which must come.
async fn next(consumer: &mut Box<dyn Consumer>) -> Delivery {
    let next = timeout(PATIENCE, consumer.next()).await;
    next.expect("a delivery comes within a minute").expect("the consumer is open")
}

/// The next `count` deliveries.
async fn next_many(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for _ in 0..count {
        deliveries.push(next(consumer).await);
    }
    deliveries
}

/// Watches for a while that nothing comes.
async fn nothing_comes(consumer: &mut Box<dyn Consumer>) {
    if let Ok(next) = timeout(SILENCE, consumer.next()).await {
        panic!("something came: {next:?}");
    }
}

/// The number of the message.
fn number(delivery: &Delivery) -> u32 {
    let envelope = delivery.envelope.as_ref().expect("an envelope");
    envelope.push.msg_id.as_ref().unwrap().parse().unwrap()
}

/// The numbers of the messages.
fn numbers(deliveries: &[Delivery]) -> Vec<u32> {
    deliveries.iter().map(number).collect()
}

/// Settles the delivery as handled.
async fn done(delivery: Delivery) {
    delivery.settle(Settlement::Done).await.expect("the delivery is still this consumer's");
}

/// `Ok` or the debug text, for assertions on results whose values cannot be compared.
fn said<T, E: fmt::Debug>(result: Result<T, E>) -> Result<(), String> {
    result.map(|_| ()).map_err(|error| format!("{error:?}"))
}
