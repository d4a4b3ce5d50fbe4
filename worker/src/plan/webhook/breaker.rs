//! Circuit breakers: while a webhook does not answer, one message at a time goes through as a probe, so that the others
//! need not wait for it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use kefu_messages::message_key::MessageKey;
use kefu_messages::rules::Endpoint;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// The most messages that fail one after the other before the breaker opens.
const MOST_FAILED: usize = 5;

/// The wait between two probes: it doubles with each that fails, from the one to the other.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long an endpoint is remembered that nobody asks: longer than a message waits for its next try. Rules that are read
/// again may have it no more.
const REMEMBERED: Duration = Duration::from_secs(2 * 60 * 60);

/// A breaker for each endpoint.
///
/// A message that waits for a webhook keeps its delivery, and a partition hands out no more than `[queue] prefetch`: as many
/// messages that wait for an unavailable webhook would stop all users of the partition.
#[derive(Debug)]
pub(crate) struct Breakers {
    /// How many messages fail before a breaker opens.
    opens_after: usize,
    /// The breakers of endpoints that fail.
    failing: Mutex<HashMap<Endpoint, Breaker>>,
}

#[derive(Debug)]
struct Breaker {
    /// Since the last answer; messages, not calls: one alone may try for as long as its lane lets it.
    failed: HashSet<MessageKey>,
    last_failed: Instant,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    why: String,
    pause: Duration,
    /// When the next message may probe.
    probe_at: Instant,
    probing: bool,
}

/// A permit to ask a webhook once. It is told how that ended; a permit that is dropped before counts as if nobody had asked.
#[must_use]
pub(crate) struct Permit<'a> {
    breakers: &'a Breakers,
    endpoint: &'a Endpoint,
    is_probe: bool,
}

impl Breakers {
    /// `prefetch`: how many messages of a partition are handed out at once. When all of them have failed, the breaker opens:
    /// else they would keep the partition for as long as they try in their lanes.
    pub(crate) fn new(prefetch: u16) -> Self {
        let opens_after = usize::from(prefetch).clamp(1, MOST_FAILED);
        Self { opens_after, failing: Mutex::default() }
    }

    /// A permit for the endpoint, or how long it makes no sense to come again.
    pub(crate) fn permit<'a>(&'a self, endpoint: &'a Endpoint) -> Result<Permit<'a>, Duration> {
        let mut failing = self.lock();
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

    /// Which webhooks do not answer, if there are any.
    pub(crate) fn in_words(&self) -> Option<String> {
        let mut failing = self.lock();
        failing.retain(|_, breaker| breaker.last_failed.elapsed() < REMEMBERED);
        let lines = failing.values().filter_map(|breaker| {
            let open = breaker.open.as_ref()?;
            Some(format!("no answers since {} s: {}", open.since.elapsed().as_secs(), open.why))
        });
        let lines: Vec<String> = lines.collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Endpoint, Breaker>> {
        self.failing.lock()
    }
}

impl Permit<'_> {
    /// The webhook answered.
    pub(crate) fn answered(mut self) {
        self.is_probe = false;
        let was = self.breakers.lock().remove(self.endpoint).and_then(|breaker| breaker.open);
        if let Some(open) = was {
            let after_seconds = open.since.elapsed().as_secs();
            tracing::info!(host = self.endpoint.host(), after_seconds, "the webhook answers again");
        }
    }

    /// The webhook did not answer when asked about this message, and wants no call for `at_least` this long. Gives whether
    /// the breaker is open now.
    pub(crate) fn failed(mut self, message: &MessageKey, why: &str, at_least: Duration) -> bool {
        let (now, opens_after) = (Instant::now(), self.breakers.opens_after);
        let is_probe = std::mem::take(&mut self.is_probe);
        let mut failing = self.breakers.lock();
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
        tracing::warn!(error = why, "the webhook is asked about one message at a time, until it answers; others wait");
        breaker.open = Some(Open { since: now, why, pause, probe_at: now + pause.max(at_least), probing: false });
        true
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_probe
            && let Some(open) = self.breakers.lock().get_mut(self.endpoint).and_then(|breaker| breaker.open.as_mut())
        {
            open.probing = false;
        }
    }
}

#[cfg(test)]
mod tests;
