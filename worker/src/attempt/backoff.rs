//! Exponential backoff with full jitter.

use std::time::Duration;

use tokio::time::Instant;

use crate::outcome::RETRY_TOTAL;

/// The longest wait before the first retry in the lane; this bound doubles with each retry.
const FIRST: Duration = Duration::from_secs(1);

/// The value at which the bound stops doubling.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// The waits between the tries of one message in its lane.
#[derive(Debug)]
pub(crate) struct Backoff {
    most: Duration,
    give_up_at: Option<Instant>,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { most: FIRST, give_up_at: None }
    }

    /// The wait before the next try: a random time below a bound that doubles with each try. `None` when the wait would
    /// end after the total time, which runs from the first failure on.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Duration> {
        let give_up_at = *self.give_up_at.get_or_insert(now + RETRY_TOTAL);
        let wait = rand::random_range(Duration::ZERO..=self.most);
        self.most = (self.most * 2).min(LONGEST);
        (now + wait <= give_up_at).then_some(wait)
    }

    /// Starts from the shortest wait again, within the same total, because a call succeeded.
    pub(crate) fn shorten(&mut self) {
        self.most = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waits_stay_below_their_doubling_bound_and_within_the_total(calls_ms in proptest::collection::vec(0_u64..5_000, 1..80)) {
            let start = Instant::now();
            let (mut backoff, mut now, mut bound) = (Backoff::new(), start, FIRST);
            for call_ms in calls_ms {
                let Some(wait) = backoff.next(now) else { break };
                prop_assert!(wait <= bound, "{wait:?} > {bound:?}");
                prop_assert!(now + wait <= start + RETRY_TOTAL);
                now += wait + Duration::from_millis(call_ms);
                bound = (bound * 2).min(LONGEST);
            }
        }
    }

    #[test]
    fn it_gives_up_when_the_total_is_over() {
        let mut backoff = Backoff::new();
        let start = Instant::now();
        assert!(backoff.next(start).is_some());
        backoff.shorten();
        assert_eq!(backoff.next(start + Duration::from_secs(61)), None);
    }

    #[test]
    fn the_jitter_is_full() {
        let waits: Vec<Duration> = (0..400).filter_map(|_| Backoff::new().next(Instant::now())).collect();
        assert_eq!(waits.len(), 400);
        assert!(waits.iter().any(|wait| *wait < Duration::from_millis(200)));
        assert!(waits.iter().any(|wait| *wait > Duration::from_millis(800)));
    }
}
