//! Circuit breakers: while a webhook does not answer, one message at a time goes through as a probe, so that the others
//! need not wait for it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use kefu_messages::message_key::MessageKey;
use kefu_messages::rules::Endpoint;
use parking_lot::Mutex;
use tokio::time::Instant;

/// The most messages that may fail one after the other before the breaker opens.
const MOST_FAILED: usize = 5;

/// The wait between two probes. The wait doubles with each failed probe, from the first pause up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a breaker remembers an endpoint that the worker does not ask: longer than a message waits for its next try.
/// Reloaded rules may no longer name the endpoint.
const REMEMBERED: Duration = Duration::from_secs(2 * 60 * 60);

/// A breaker for each endpoint.
///
/// A message that waits for a webhook keeps its delivery, and a partition hands out `[queue] prefetch` deliveries at
/// most. If that many messages waited for an unavailable webhook, all users of the partition would wait.
#[derive(Debug)]
pub(crate) struct Breakers {
    /// How many messages must fail before a breaker opens.
    opens_after: usize,
    /// The breakers of the endpoints that fail.
    failing: Mutex<HashMap<Endpoint, Breaker>>,
}

#[derive(Debug)]
struct Breaker {
    /// The messages that failed since the last answer. The breaker counts messages, not calls, since one message alone
    /// may try for as long as its lane allows.
    failed: HashSet<MessageKey>,
    last_failed: Instant,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    why: String,
    pause: Duration,
    /// The earliest moment of the next probe.
    probe_at: Instant,
    probing: bool,
}

/// A permit to ask a webhook once. The caller tells the permit how the call ended; a permit dropped before that counts
/// as if the caller had not asked.
#[must_use]
pub(crate) struct Permit<'a> {
    breakers: &'a Breakers,
    endpoint: &'a Endpoint,
    is_probe: bool,
}

impl Breakers {
    /// `prefetch`: how many messages of a partition the queue hands out at once. The breaker opens when all of them
    /// have failed. Otherwise they would occupy the partition for as long as they retry in their lanes.
    pub(crate) fn new(prefetch: u16) -> Self {
        let opens_after = usize::from(prefetch).clamp(1, MOST_FAILED);
        Self { opens_after, failing: Mutex::default() }
    }

    /// A permit for the endpoint, or the time during which another request for a permit makes no sense.
    pub(crate) fn permit<'a>(&'a self, endpoint: &'a Endpoint) -> Result<Permit<'a>, Duration> {
        let mut failing = self.failing.lock();
        let open = failing.get_mut(endpoint).and_then(|breaker| breaker.open.as_mut());
        let is_probe = match open {
            None => false,
            Some(open) if open.probing => return Err(open.pause),
            Some(open) => {
                let wait = open.probe_at.saturating_duration_since(Instant::now());
                if !wait.is_zero() {
                    return Err(wait);
                }
                open.probing = true;
                true
            }
        };
        Ok(Permit { breakers: self, endpoint, is_probe })
    }

    /// The webhooks that do not answer, in words, if any.
    pub(crate) fn in_words(&self) -> Option<String> {
        let mut failing = self.failing.lock();
        failing.retain(|_, breaker| breaker.last_failed.elapsed() < REMEMBERED);
        let lines = failing.values().filter_map(|breaker| {
            let open = breaker.open.as_ref()?;
            Some(format!("no answers since {} s: {}", open.since.elapsed().as_secs(), open.why))
        });
        let lines: Vec<String> = lines.collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }
}

impl Permit<'_> {
    /// The webhook answered.
    pub(crate) fn answered(mut self) {
        self.is_probe = false;
        let was = self.breakers.failing.lock().remove(self.endpoint).and_then(|breaker| breaker.open);
        if let Some(open) = was {
            let after_seconds = open.since.elapsed().as_secs();
            tracing::info!(host = self.endpoint.host(), after_seconds, "the webhook answers again");
        }
    }

    /// The webhook did not answer when asked about this message, and wants no call for `at_least` this long. Returns
    /// whether the breaker is open now.
    pub(crate) fn failed(mut self, message: &MessageKey, why: &str, at_least: Duration) -> bool {
        let (now, opens_after) = (Instant::now(), self.breakers.opens_after);
        let is_probe = std::mem::take(&mut self.is_probe);
        let mut failing = self.breakers.failing.lock();
        let breaker = failing.entry(self.endpoint.clone()).or_insert_with(|| Breaker {
            failed: HashSet::new(),
            last_failed: now,
            open: None,
        });
        breaker.last_failed = now;
        if let Some(open) = &mut breaker.open {
            why.clone_into(&mut open.why);
            if is_probe {
                open.pause = (open.pause * 2).min(LONGEST_PAUSE);
                open.probe_at = now + open.pause.max(at_least);
                open.probing = false;
            }
            return true;
        }
        breaker.failed.insert(message.clone());
        if breaker.failed.len() < opens_after {
            return false;
        }
        breaker.failed.clear();
        let (why, pause) = (why.to_owned(), FIRST_PAUSE);
        tracing::warn!(
            error = why,
            "the webhook does not answer: until it answers again, the worker asks it about one message at a time, and the \
             other messages wait"
        );
        breaker.open = Some(Open { since: now, why, pause, probe_at: now + pause.max(at_least), probing: false });
        true
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_probe
            && let Some(open) =
                self.breakers.failing.lock().get_mut(self.endpoint).and_then(|breaker| breaker.open.as_mut())
        {
            open.probing = false;
        }
    }
}

#[cfg(test)]
mod tests;
