//! Reads the headers of a dead letter: kefu's own headers, or the broker's if the broker itself gave the message up.

use kefu_messages::partition::Partition;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};

use super::super::message::{
    ATTEMPT, ATTEMPTS, DIED_AT, ERROR, FIRST_ERROR, FIRST_SEEN, LAST_ERROR, ORIGIN_KEY, REASON, REPLAYED, TRACEPARENT,
    header, integer,
};
use super::super::topology::IN;
use crate::dead_letters::DeadLetter;

/// The broker writes this header: an entry for each queue that it took the message from.
const X_DEATH: &str = "x-death";

/// When the message became a dead letter: milliseconds since the Unix epoch.
pub(super) fn died_at_ms(properties: &BasicProperties) -> Option<u64> {
    match header(properties, REASON) {
        Some(_) => integer(properties, DIED_AT).and_then(|value| u64::try_from(value).ok()),
        None => broker_death(properties)?.at_ms,
    }
}

pub(super) fn letter(delivery: &Delivery) -> DeadLetter {
    let properties = &delivery.properties;
    let mut letter = DeadLetter::of(delivery.data.clone());
    let number = |name| integer(properties, name).and_then(|value| u64::try_from(value).ok());
    let count = |name| number(name).and_then(|value| u32::try_from(value).ok());
    let origin = text(properties, ORIGIN_KEY).unwrap_or_else(|| delivery.routing_key.to_string());
    letter.partition = origin.parse().ok();
    let history = &mut letter.history;
    history.replays = count(REPLAYED).unwrap_or(0);
    history.first_seen_ms = number(FIRST_SEEN);
    history.died_at_ms = died_at_ms(properties);
    history.traceparent = text(properties, TRACEPARENT).or(history.traceparent.take());
    history.last_error = text(properties, ERROR).or_else(|| text(properties, LAST_ERROR)).unwrap_or_default();
    match (text(properties, REASON), broker_death(properties)) {
        (Some(reason), _) => {
            history.reason = reason;
            history.attempts = count(ATTEMPTS).unwrap_or(1);
        }
        (None, Some(death)) => {
            letter.partition = letter.partition.or(death.partition);
            history.attempts = count(ATTEMPT).unwrap_or(0).saturating_add(1);
            let error = death.in_words();
            history.last_error = match history.last_error.is_empty() {
                true => error,
                false => format!("{error}; before that: {}", history.last_error),
            };
            history.reason = death.reason;
        }
        (None, None) => {}
    }
    history.first_error = text(properties, FIRST_ERROR).unwrap_or_else(|| history.last_error.clone());
    letter
}

/// The broker's record when it gives a message up.
struct BrokerDeath {
    reason: String,
    at_ms: Option<u64>,
    partition: Option<Partition>,
}

impl BrokerDeath {
    fn in_words(&self) -> String {
        match self.reason.as_str() {
            "delivery_limit" => "the broker gave it up: it went back to its queue unsettled too often".to_owned(),
            other => format!("the broker took it out of its partition: {other}"),
        }
    }
}

/// The latest death in the queue of a partition; to the broker the waits in the retry queues are deaths, too.
fn broker_death(properties: &BasicProperties) -> Option<BrokerDeath> {
    let deaths = header(properties, X_DEATH)?.as_array()?.as_slice().iter();
    let tables = deaths.filter_map(AMQPValue::as_field_table);
    let deaths = tables.filter_map(|table| {
        let queue = table_text(table, "queue")?;
        let partition = queue.strip_prefix(IN)?.strip_prefix('.')?.parse().ok();
        let at_ms = match table.inner().get("time") {
            Some(AMQPValue::Timestamp(seconds)) => Some(seconds.saturating_mul(1_000)),
            _ => None,
        };
        Some(BrokerDeath { reason: table_text(table, "reason")?, at_ms, partition })
    });
    // The first of the latest deaths: the broker writes the latest first.
    deaths.reduce(|latest, death| if death.at_ms > latest.at_ms { death } else { latest })
}

fn table_text(table: &FieldTable, name: &str) -> Option<String> {
    in_text(table.inner().get(name)?)
}

fn text(properties: &BasicProperties, name: &str) -> Option<String> {
    in_text(header(properties, name)?)
}

fn in_text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(routing_key: &str, headers: Vec<(&str, AMQPValue)>) -> DeadLetter {
        let mut delivery = Delivery::mock(1, "kefu.dead".into(), routing_key.into(), false, b"no envelope".to_vec());
        delivery.properties = BasicProperties::default().with_headers(table(headers));
        letter(&delivery)
    }

    fn table(entries: Vec<(&str, AMQPValue)>) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert(name.into(), value);
        }
        table
    }

    fn long(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    fn death(queue: &str, reason: &str, time: u64) -> AMQPValue {
        let entries = vec![("queue", long(queue)), ("reason", long(reason)), ("time", AMQPValue::Timestamp(time))];
        AMQPValue::FieldTable(table(entries))
    }

    #[test]
    fn the_brokers_own_dead_letter_has_the_brokers_reason_and_time() {
        let deaths = vec![
            death("kefu.in.p07", "delivery_limit", 1_700_000_100),
            death("kefu.retry.5s", "expired", 1_700_000_900),
            death("kefu.in.p07", "rejected", 1_700_000_000),
        ];
        let headers = vec![
            ("x-death", AMQPValue::FieldArray(deaths.into())),
            (ATTEMPT, AMQPValue::LongLongInt(2)),
            (LAST_ERROR, long("errcode -1")),
        ];
        let letter = dead("p07", headers);
        assert_eq!(
            (letter.history.reason.as_str(), letter.history.died_at_ms),
            ("delivery_limit", Some(1_700_000_100_000))
        );
        assert_eq!((letter.history.attempts, letter.partition), (3, Some(Partition::from(7))));
        assert!(
            letter.history.last_error.ends_with("too often; before that: errcode -1"),
            "{}",
            letter.history.last_error
        );
    }

    #[test]
    fn our_own_word_goes_before_the_brokers() {
        let deaths = vec![death("kefu.in.p07", "delivery_limit", 1)];
        let headers = vec![
            ("x-death", AMQPValue::FieldArray(deaths.into())),
            (REASON, long("refused")),
            (ERROR, long("errcode 45047")),
            (FIRST_ERROR, long("errcode -1")),
            (ATTEMPTS, AMQPValue::LongInt(4)),
            (DIED_AT, AMQPValue::LongLongInt(1_700_000_000_123)),
            (ORIGIN_KEY, long("p12")),
        ];
        let letter = dead("anything", headers);
        assert_eq!((letter.history.reason.as_str(), letter.history.died_at_ms), ("refused", Some(1_700_000_000_123)));
        assert_eq!(
            (letter.history.first_error.as_str(), letter.history.last_error.as_str()),
            ("errcode -1", "errcode 45047")
        );
        assert_eq!((letter.history.attempts, letter.partition), (4, Some(Partition::from(12))));
    }

    #[test]
    fn what_another_program_put_there_is_of_unknown_reason() {
        let letter = dead("order.created", vec![(ATTEMPTS, long("many")), ("x-death", long("nonsense"))]);
        assert_eq!(
            (letter.history.reason.as_str(), letter.history.attempts, letter.history.died_at_ms),
            ("unknown", 1, None)
        );
        assert_eq!((letter.partition, letter.envelope.is_err()), (None, true));
    }
}
