//! The worker's metrics: their names and their meanings.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};

pub(crate) const MESSAGES: &str = "kefu_worker_messages_total";
pub(crate) const SENDS: &str = "kefu_worker_sends_total";
pub(crate) const SEND_DURATION: &str = "kefu_worker_send_duration_seconds";
pub(crate) const QUEUE_LAG: &str = "kefu_worker_queue_lag_seconds";
pub(crate) const WECHAT_ERRORS: &str = "kefu_worker_wechat_errors_total";
pub(crate) const TOKEN_FETCHES: &str = "kefu_worker_token_fetches_total";
pub(crate) const MEDIA_UPLOADS: &str = "kefu_worker_media_uploads_total";
pub(crate) const TYPING: &str = "kefu_worker_typing_total";
pub(crate) const MEDIA_FETCHES: &str = "kefu_worker_media_fetches_total";
pub(crate) const MEDIA_FETCHES_PAUSED: &str = "kefu_worker_media_fetches_paused";
pub(crate) const WEBHOOK_CALLS: &str = "kefu_worker_webhook_calls_total";
pub(crate) const WEBHOOK_DURATION: &str = "kefu_worker_webhook_duration_seconds";
pub(crate) const LANES: &str = "kefu_worker_lanes";
pub(crate) const IN_FLIGHT: &str = "kefu_worker_in_flight";
pub(crate) const RETRIES: &str = "kefu_worker_retries_total";
pub(crate) const DEAD_LETTERS: &str = "kefu_worker_dead_letters_total";
pub(crate) const CLOSED_WINDOWS: &str = "kefu_worker_closed_windows_total";
pub(crate) const SKIPPED_RULES: &str = "kefu_worker_skipped_rules_total";
pub(crate) const AMBIGUOUS_STEPS: &str = "kefu_worker_ambiguous_steps_total";
pub(crate) const SETTLE_FAILURES: &str = "kefu_worker_settle_failures_total";
pub(crate) const STORE_OUTAGES: &str = "kefu_worker_store_outages_total";
pub(crate) const ACCOUNT_PAUSED: &str = "kefu_worker_account_paused";
pub(crate) const REDELIVERIES: &str = "kefu_worker_redeliveries_total";
pub(crate) const WECHAT_UNREACHABLE: &str = "kefu_worker_wechat_unreachable";
pub(crate) const ASSISTANT_REQUESTS: &str = "kefu_worker_assistant_requests_total";
pub(crate) const ASSISTANT_REQUEST_DURATION: &str = "kefu_worker_assistant_request_duration_seconds";
pub(crate) const ASSISTANT_ANSWERS: &str = "kefu_worker_assistant_answers_total";

/// Gives `/metrics` its HELP texts, and a first value to the metrics that the worker sets only on a change.
pub(crate) fn describe() {
    describe_counter!(
        MESSAGES,
        "Deliveries handled, by outcome: done, answered (by ingress, nothing to send), ignored (no rule), duplicate (all \
         sent before), retry (back to the queue with a delay), postponed (back to the queue at no cost to its tries: the \
         account is paused or has too many pictures in work, the webhook is not asked, or an earlier message goes \
         first), dead, handed_back (shutdown or a lost connection), fenced (another worker took over)."
    );
    describe_counter!(
        SENDS,
        "Calls of custom/send, by kind of reply and outcome: ok, refused (an errcode), failed (surely not sent), \
         unanswered (may have been sent)."
    );
    describe_histogram!(SEND_DURATION, "Time from a call of custom/send to its answer or failure.");
    describe_histogram!(QUEUE_LAG, "Time from a push's arrival at ingress to the first send of a reply to it.");
    describe_counter!(WECHAT_ERRORS, "Errcodes that WeChat answered, by API and errcode; `unknown` when in no table.");
    describe_counter!(TOKEN_FETCHES, "access_tokens fetched from WeChat, by outcome: ok, failed.");
    describe_counter!(MEDIA_UPLOADS, "Pictures uploaded to WeChat, by outcome: ok, failed.");
    describe_counter!(
        TYPING,
        "Calls that show a user that somebody types, by outcome: ok, refused (an errcode), failed. Nothing hangs on them."
    );
    describe_counter!(
        MEDIA_FETCHES,
        "Pictures of users fetched from WeChat, by outcome: ok, expired, too_large, refused (an errcode that no try \
         mends), failed (tried again)."
    );
    describe_gauge!(
        MEDIA_FETCHES_PAUSED,
        "1 while an account's fetches of users' pictures are paused because WeChat refuses them; replies are sent."
    );
    describe_counter!(
        WEBHOOK_CALLS,
        "Calls of webhooks, by outcome: replies, nothing (no replies), failed (tried again), refused (a dead letter), \
         unchecked (the disk with the answer's pictures does not answer: tried again); without a call: crowded (no \
         turn), shut (the breaker is open)."
    );
    describe_histogram!(WEBHOOK_DURATION, "Time of a webhook's call, and of the wait for its turn.");
    describe_gauge!(LANES, "Users with messages in this process.");
    describe_gauge!(IN_FLIGHT, "Messages being worked on now; those that wait are not counted.");
    describe_counter!(RETRIES, "Tries repeated, by place: lane, or queue (the message's order is given up).");
    describe_counter!(
        DEAD_LETTERS,
        "Messages that this worker gave up, by reason; messages that the queue itself gave up are not counted."
    );
    describe_counter!(
        CLOSED_WINDOWS,
        "Replies not sent because WeChat takes none now, by who found out: kefu (no call was made), wechat (it refused one)."
    );
    describe_counter!(
        SKIPPED_RULES,
        "Pushes that a rule of this worker gives to ingress and that ingress did not answer so, by action: transfer, \
         webhook (a sync one). The rules of the two differ."
    );
    describe_counter!(
        AMBIGUOUS_STEPS,
        "Replies that may or may not have been sent, by decision: resend, skip, give_up (a dead letter)."
    );
    describe_counter!(SETTLE_FAILURES, "Settlements that the queue did not take; it delivers the message again.");
    describe_counter!(STORE_OUTAGES, "Times that the store became unusable; nothing is sent meanwhile.");
    describe_gauge!(ACCOUNT_PAUSED, "1 while an account's sends are paused because WeChat refuses them.");
    describe_counter!(
        REDELIVERIES,
        "Deliveries that were handed out before and not settled: after a crash, a lost connection or a shutdown."
    );
    describe_gauge!(WECHAT_UNREACHABLE, "1 while the last call got no answer of WeChat's API: replies wait.");
    describe_counter!(
        ASSISTANT_REQUESTS,
        "Requests to the assistant's server, by outcome: answered, timeout, unreachable, throttled (429), failed (5xx, cut \
         off), rejected (other statuses), unusable (no completion), empty (no text in it), withheld (refusal or filter), \
         crowded (never sent: as many as are allowed were under way until its time was over)."
    );
    describe_histogram!(ASSISTANT_REQUEST_DURATION, "Time from a request to the assistant's server to its end.");
    describe_counter!(
        ASSISTANT_ANSWERS,
        "Texts that a rule gave to the assistant, by who answered: assistant, fallback, nobody (tried again later)."
    );
    // An alarm on an increase does not see a counter that appears with the value 1, so the counter starts at 0.
    counter!(SETTLE_FAILURES).absolute(0);
    gauge!(WECHAT_UNREACHABLE).set(0);
}
