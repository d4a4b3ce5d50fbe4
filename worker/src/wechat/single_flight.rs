//! Lets one attempt run at a time, and shares its failure with every caller that waited for it.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use super::failure::Failure;

/// Makes attempts one after the other. A caller that waited for a failed attempt gets that failure and makes no attempt
/// of its own. A caller that waited for a successful attempt makes its own, and finds the result of the earlier
/// attempt.
#[derive(Debug, Default)]
pub(crate) struct SingleFlight {
    failures: AtomicU64,
    last_failure: Mutex<Option<Failure>>,
}

impl SingleFlight {
    pub(crate) async fn run<T>(&self, attempt: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let failures_before = self.failures.load(Ordering::Acquire);
        let mut last_failure = self.last_failure.lock().await;
        if self.failures.load(Ordering::Acquire) != failures_before
            && let Some(failure) = &*last_failure
        {
            return Err(failure.clone());
        }
        let result = attempt.await;
        if let Err(failure) = &result {
            self.failures.fetch_add(1, Ordering::Release);
            *last_failure = Some(failure.clone());
        }
        result
    }

    /// Does `work` while no attempt is under way.
    pub(crate) async fn between<T>(&self, work: impl Future<Output = T>) -> T {
        let _no_attempt = self.last_failure.lock().await;
        work.await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn those_who_waited_share_the_failure_and_those_who_come_later_try_again() {
        let (flight, attempts) = (SingleFlight::default(), AtomicUsize::new(0));
        let attempt = || {
            flight.run(async {
                attempts.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Err::<(), _>(Failure::Passing("busy".into()))
            })
        };
        let results = join_all((0..50).map(|_| attempt())).await;
        assert!(results.iter().all(Result::is_err));
        assert_eq!(attempts.load(Ordering::Relaxed), 1);
        assert!(attempt().await.is_err());
        assert_eq!(attempts.load(Ordering::Relaxed), 2);
    }
}
