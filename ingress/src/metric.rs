//! The metrics of ingress, in one place.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const ANSWERS: &str = "kefu_ingress_answers_total";
const ANSWER_SECONDS: &str = "kefu_ingress_answer_duration_seconds";
const PUBLISH_SECONDS: &str = "kefu_ingress_publish_duration_seconds";
const CLAIMS: &str = "kefu_ingress_claims_total";
const ENDED: &str = "kefu_ingress_connections_ended_total";
const BUFFERED: &str = "kefu_ingress_buffered_bytes";
const UNDECIDED: &str = "kefu_ingress_undecided_events_total";
const API_ANSWERS: &str = "kefu_ingress_api_answers_total";
const API_SECONDS: &str = "kefu_ingress_api_answer_duration_seconds";
const WEBHOOK_CALLS: &str = "kefu_ingress_webhook_calls_total";
const WEBHOOK_SECONDS: &str = "kefu_ingress_webhook_duration_seconds";
const UNDER_WAY: &str = "kefu_ingress_pushes_under_way";

/// Gives each metric its help text.
pub(crate) fn describe() {
    describe_counter!(ANSWERS, "Answers given on the callback URL, by kind of request and outcome");
    describe_histogram!(ANSWER_SECONDS, Unit::Seconds, "From the head of a request to its answer");
    describe_histogram!(PUBLISH_SECONDS, Unit::Seconds, "From the first try to the confirm that a push is stored");
    describe_counter!(CLAIMS, "Claims of message keys, by outcome");
    describe_counter!(ENDED, "Connections that ingress ended because the client was too slow, by reason");
    describe_counter!(API_ANSWERS, "Answers given to backends on /v1, by operation and outcome");
    describe_histogram!(API_SECONDS, Unit::Seconds, "From the head of a backend's request to its answer");
    describe_gauge!(BUFFERED, Unit::Bytes, "Bytes in use of [ingress] max_buffered_bytes");
    describe_counter!(
        UNDECIDED,
        "Events for which WeChat wants a decision and which ingress only acknowledged, by event"
    );
    describe_counter!(
        WEBHOOK_CALLS,
        "Calls of sync webhooks by outcome: answered, failed, refused (its answer cannot be passed on), crowded, late"
    );
    describe_histogram!(WEBHOOK_SECONDS, Unit::Seconds, "Time of a sync webhook's call, and of the wait for its turn");
    describe_gauge!(UNDER_WAY, "Pushes that ingress is working on");
}

pub(crate) fn answered(kind: &'static str, outcome: &'static str, took: Duration) {
    counter!(ANSWERS, "kind" => kind, "outcome" => outcome).increment(1);
    histogram!(ANSWER_SECONDS, "kind" => kind).record(took.as_secs_f64());
}

pub(crate) fn api_answered(operation: &'static str, outcome: &'static str, took: Duration) {
    counter!(API_ANSWERS, "operation" => operation, "outcome" => outcome).increment(1);
    histogram!(API_SECONDS, "operation" => operation).record(took.as_secs_f64());
}

pub(crate) fn published(took: Duration) {
    histogram!(PUBLISH_SECONDS).record(took.as_secs_f64());
}

pub(crate) fn claim(outcome: &'static str) {
    counter!(CLAIMS, "outcome" => outcome).increment(1);
}

pub(crate) fn undecided(event: &'static str) {
    counter!(UNDECIDED, "event" => event).increment(1);
}

pub(crate) fn webhook_called(outcome: &'static str, took: Duration) {
    counter!(WEBHOOK_CALLS, "outcome" => outcome).increment(1);
    histogram!(WEBHOOK_SECONDS).record(took.as_secs_f64());
}

pub(crate) fn connection_ended(reason: &'static str) {
    counter!(ENDED, "reason" => reason).increment(1);
}

pub(crate) fn buffered(bytes: f64) {
    gauge!(BUFFERED).increment(bytes);
}

/// Counts a push in the gauge until the value is dropped.
pub(crate) struct UnderWay;

impl UnderWay {
    pub(crate) fn start() -> Self {
        gauge!(UNDER_WAY).increment(1);
        Self
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        gauge!(UNDER_WAY).decrement(1);
    }
}
