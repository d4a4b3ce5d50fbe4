//! The metrics of the spool, in one place.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use super::phase::Phase;

const SPOOLED: &str = "kefu_ingress_spooled_total";
const RELAYED: &str = "kefu_ingress_relayed_total";
const UNREADABLE: &str = "kefu_ingress_spool_unreadable_total";
const MESSAGES: &str = "kefu_ingress_spool_messages";
const BYTES: &str = "kefu_ingress_spool_bytes";
const OLDEST: &str = "kefu_ingress_spool_oldest_seconds";
const STATE: &str = "kefu_ingress_spool_state";

/// Gives each metric its help text, and a first value.
pub(super) fn describe() {
    describe_counter!(SPOOLED, "Pushes written to the spool");
    describe_counter!(RELAYED, "Messages of the spool that the broker has confirmed");
    describe_counter!(UNREADABLE, "Messages of the spool that are no envelope of this version; they stay in the file");
    describe_gauge!(MESSAGES, "Messages in the spool that wait for the broker");
    describe_gauge!(BYTES, Unit::Bytes, "Messages in the spool's files, in bytes");
    describe_gauge!(OLDEST, Unit::Seconds, "Since when the oldest message in the spool waits");
    describe_gauge!(STATE, "1 for the state that the spool is in: direct, spooling, relaying or unusable");
    counter!(SPOOLED).absolute(0);
    counter!(RELAYED).absolute(0);
    counter!(UNREADABLE).absolute(0);
}

pub(super) fn spooled() {
    counter!(SPOOLED).increment(1);
}

pub(super) fn relayed() {
    counter!(RELAYED).increment(1);
}

pub(super) fn unreadable() {
    counter!(UNREADABLE).increment(1);
}

pub(super) fn show(phase: Phase, messages: u64, bytes: u64, oldest_seconds: f64) {
    gauge!(MESSAGES).set(messages as f64);
    gauge!(BYTES).set(bytes as f64);
    gauge!(OLDEST).set(oldest_seconds);
    for each in Phase::ALL {
        gauge!(STATE, "state" => each.as_str()).set(f64::from(u8::from(each == phase)));
    }
}
