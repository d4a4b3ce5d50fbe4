//! Messages on the wire: properties, headers, and the copies for retries and dead letters.

use kefu_messages::envelope::Envelope;
use kefu_messages::partition::Partition;
use kefu_runtime::clock;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::topology::{DEAD, IN};
use crate::DeadReason;

/// How often the message was settled as a retry; absent, or 0, for never.
pub(super) const ATTEMPT: &str = "x-attempt";
/// When a worker first had the message: milliseconds since the Unix epoch.
pub(super) const FIRST_SEEN: &str = "x-first-seen";
/// Why the message last went back to wait.
pub(super) const LAST_ERROR: &str = "x-last-error";
/// Why the message first went back to wait, or died.
pub(super) const FIRST_ERROR: &str = "x-first-error";
/// The reason word of the dead letter.
pub(super) const REASON: &str = "x-reason";
/// The error text of the dead letter.
pub(super) const ERROR: &str = "x-error";
/// How often the message was tried.
pub(super) const ATTEMPTS: &str = "x-attempts";
/// When the message became a dead letter: milliseconds since the Unix epoch.
pub(super) const DIED_AT: &str = "x-died-at";
/// The partition that the message came from.
pub(super) const ORIGIN_KEY: &str = "x-origin-key";
/// How often the message was a dead letter and was replayed; absent for never.
pub(super) const REPLAYED: &str = "x-replayed";
pub(super) const TRACEPARENT: &str = "traceparent";

/// All headers together must fit into one frame (`FRAME_BYTES` in settings.rs).
const LONGEST_ERROR: usize = 1_000;
const PERSISTENT: u8 = 2;

/// A message as it is published.
pub(super) struct Message {
    pub(super) exchange: String,
    pub(super) routing_key: String,
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// An envelope on its way to the workers.
    pub(super) fn of(envelope: &Envelope, partition: Partition) -> Self {
        let mut headers = FieldTable::default();
        if let Some(traceparent) = &envelope.traceparent {
            headers.insert(TRACEPARENT.into(), AMQPValue::LongString(traceparent.as_str().into()));
        }
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into())
            // A digest: the key contains an openid, and message ids appear on the broker's pages and in its logs.
            .with_message_id(envelope.key.to_string().into())
            .with_timestamp(envelope.received_at_ms / 1_000)
            .with_headers(headers);
        Self { exchange: IN.into(), routing_key: partition.to_string(), properties, body: envelope.to_json() }
    }
}

/// The original message, kept until it is settled, so that a copy can be made. The body is passed on unchanged, because a
/// newer version may have written more into the body than this version reads.
pub(super) struct Original {
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
    first_seen_ms: i64,
}

impl Original {
    /// Takes the message out of its delivery.
    pub(super) fn of(delivery: &mut lapin::message::Delivery) -> Self {
        let properties = std::mem::take(&mut delivery.properties);
        let first_seen_ms = integer(&properties, FIRST_SEEN).unwrap_or_else(now_ms);
        let (routing_key, body) = (std::mem::take(&mut delivery.routing_key), std::mem::take(&mut delivery.data));
        Self { routing_key, properties, body, first_seen_ms }
    }

    /// How often the message was settled as a retry.
    pub(super) fn attempt(&self) -> u32 {
        integer(&self.properties, ATTEMPT).and_then(|attempt| u32::try_from(attempt).ok()).unwrap_or(0)
    }

    /// How often the message was a dead letter and was replayed.
    pub(super) fn replays(&self) -> u32 {
        integer(&self.properties, REPLAYED).and_then(|replays| u32::try_from(replays).ok()).unwrap_or(0)
    }

    /// The copy that comes back through a retry exchange, after `more` attempts than before.
    pub(super) fn returning(&self, exchange: &str, more: u32, error: &str) -> Message {
        let attempt = i64::from(self.attempt()).saturating_add(more.into());
        self.copy(exchange, [(ATTEMPT, attempt.into()), (LAST_ERROR, short(error)), self.first_error(error)])
    }

    /// The copy that is the dead letter.
    pub(super) fn dead(&self, reason: DeadReason, error: &str) -> Message {
        let attempts = i64::from(self.attempt()).saturating_add(1);
        let origin = AMQPValue::LongString(self.routing_key.as_str().into());
        self.copy(
            DEAD,
            [
                (REASON, AMQPValue::LongString(reason.as_str().into())),
                (ERROR, short(error)),
                (ATTEMPTS, attempts.into()),
                (ORIGIN_KEY, origin),
                (DIED_AT, now_ms().into()),
                self.first_error(error),
            ],
        )
    }

    /// The copy that returns a dead letter to its partition: a new message, except for its age.
    pub(super) fn replayed(&self, routing_key: String) -> Message {
        let replays = i64::from(self.replays()).saturating_add(1);
        Message { routing_key, ..self.copy(IN, [(REPLAYED, replays.into())]) }
    }

    /// The first error stays what it was.
    fn first_error(&self, error: &str) -> (&'static str, AMQPValue) {
        (FIRST_ERROR, header(&self.properties, FIRST_ERROR).cloned().unwrap_or_else(|| short(error)))
    }

    /// The message with new headers. Of the old headers only the trace and the count of replays go on: the broker's own
    /// header (`x-death`) would mislead the broker about the copy.
    fn copy<const N: usize>(&self, exchange: &str, headers: [(&str, AMQPValue); N]) -> Message {
        let mut table = FieldTable::default();
        for name in [TRACEPARENT, REPLAYED] {
            if let Some(value) = header(&self.properties, name) {
                table.insert(name.into(), value.clone());
            }
        }
        table.insert(FIRST_SEEN.into(), self.first_seen_ms.into());
        for (name, value) in headers {
            table.insert(name.into(), value);
        }
        let mut properties = BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(table);
        if let Some(content_type) = self.properties.content_type() {
            properties = properties.with_content_type(content_type.clone());
        }
        if let Some(message_id) = self.properties.message_id() {
            properties = properties.with_message_id(message_id.clone());
        }
        if let Some(timestamp) = self.properties.timestamp() {
            properties = properties.with_timestamp(*timestamp);
        }
        let routing_key = self.routing_key.to_string();
        Message { exchange: exchange.into(), routing_key, properties, body: self.body.clone() }
    }
}

pub(super) fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

/// Any of AMQP's integers: other programs, and the broker's own pages, write the type that suits their language.
pub(super) fn integer(properties: &BasicProperties, name: &str) -> Option<i64> {
    match *header(properties, name)? {
        AMQPValue::ShortShortInt(value) => Some(value.into()),
        AMQPValue::ShortShortUInt(value) => Some(value.into()),
        AMQPValue::ShortInt(value) => Some(value.into()),
        AMQPValue::ShortUInt(value) => Some(value.into()),
        AMQPValue::LongInt(value) => Some(value.into()),
        AMQPValue::LongUInt(value) => Some(value.into()),
        AMQPValue::LongLongInt(value) => Some(value),
        _ => None,
    }
}

/// In the type of AMQP's headers.
fn now_ms() -> i64 {
    i64::try_from(clock::now_ms()).unwrap_or(i64::MAX)
}

fn short(error: &str) -> AMQPValue {
    let end = error.floor_char_boundary(LONGEST_ERROR);
    AMQPValue::LongString(error[..end].into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn original(headers: FieldTable) -> Original {
        let mut delivery = lapin::message::Delivery::mock(1, IN.into(), "p07".into(), false, b"not json".to_vec());
        delivery.properties = BasicProperties::default().with_headers(headers).with_message_id("abc".into());
        Original::of(&mut delivery)
    }

    fn headers(pairs: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in pairs {
            table.insert((*name).into(), value.clone());
        }
        table
    }

    #[test]
    fn each_retry_raises_the_attempt_and_keeps_body_key_and_first_sight() {
        let first = original(headers(&[]));
        assert_eq!(first.attempt(), 0);
        let copy = first.returning("kefu.retry.5s", 1, "WeChat is busy");
        assert_eq!((copy.exchange.as_str(), copy.routing_key.as_str()), ("kefu.retry.5s", "p07"));
        assert_eq!((copy.body.as_slice(), *copy.properties.delivery_mode()), (b"not json".as_slice(), Some(2)));
        let second = original(copy.properties.headers().clone().unwrap());
        assert_eq!((second.attempt(), second.first_seen_ms), (1, first.first_seen_ms));
    }

    #[test]
    fn a_dead_letter_says_why_after_how_many_attempts_and_from_where() {
        let dead = original(headers(&[(ATTEMPT, AMQPValue::LongInt(4))])).dead(DeadReason::Exhausted, "still busy");
        assert_eq!(dead.exchange, "kefu.dead");
        let found = |name| header(&dead.properties, name).cloned();
        assert_eq!(found(REASON), Some(AMQPValue::LongString("exhausted".into())));
        assert_eq!(found(ERROR), Some(AMQPValue::LongString("still busy".into())));
        assert_eq!(found(ATTEMPTS), Some(AMQPValue::LongLongInt(5)));
        assert_eq!(found(ORIGIN_KEY), Some(AMQPValue::LongString("p07".into())));
    }

    #[test]
    fn of_the_old_headers_only_the_trace_goes_on() {
        let old = headers(&[(TRACEPARENT, AMQPValue::LongString("00-ab-cd-01".into())), ("x-death", true.into())]);
        let copy = original(old).returning("kefu.retry.5s", 1, "");
        assert_eq!(header(&copy.properties, TRACEPARENT), Some(&AMQPValue::LongString("00-ab-cd-01".into())));
        assert_eq!(header(&copy.properties, "x-death"), None);
    }

    #[test]
    fn a_long_error_is_cut_between_characters() {
        assert_eq!(short(&"错".repeat(1_000)), AMQPValue::LongString("错".repeat(333).into()));
    }
}
