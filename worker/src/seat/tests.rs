//! A worker's seat, with a store that follows a script.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Mutex;

use async_trait::async_trait;
use kefu_runtime::testing::Log;
use kefu_store::StoreError;
use tracing::subscriber::DefaultGuard;

use super::*;

const WORKER: &str = "w";

/// The store's reaction to a call.
#[derive(Clone, Copy)]
enum Does {
    Gives(Seat),
    Fails,
    Hangs,
}

/// Seats that follow the script, one entry for each call, and repeat the last entry from then on.
struct Scripted {
    script: Mutex<VecDeque<Does>>,
    begun: Instant,
    /// The times of the calls of `take`, counted from `begun`.
    taken: Mutex<Vec<Duration>>,
    /// The times of the calls of `leave`, counted from `begun`.
    left: Mutex<Vec<Duration>>,
}

impl Scripted {
    fn new(script: impl IntoIterator<Item = Does>) -> Arc<Self> {
        let script = Mutex::new(script.into_iter().collect());
        Arc::new(Self { script, begun: Instant::now(), taken: Mutex::default(), left: Mutex::default() })
    }

    async fn next(&self) -> Result<Seat, StoreError> {
        let does = {
            let mut script = self.script.lock().unwrap();
            if script.len() > 1 { script.pop_front() } else { script.front().copied() }
        };
        match does {
            Some(Does::Gives(seat)) => Ok(seat),
            Some(Does::Fails) => Err(StoreError::Unavailable("down".into())),
            Some(Does::Hangs) | None => pending().await,
        }
    }

    async fn take(self: &Arc<Self>, shutdown: &CancellationToken) -> Option<Seated> {
        let seats: Arc<dyn Seats> = self.clone();
        Seated::take(&seats, WORKER, shutdown).await
    }

    /// The seconds at which `take` was called within the next `seconds`.
    async fn taken_within(&self, seconds: u64) -> Vec<u64> {
        self.taken.lock().unwrap().clear();
        sleep(Duration::from_secs(seconds)).await;
        self.taken.lock().unwrap().iter().map(Duration::as_secs).collect()
    }
}

#[async_trait]
impl Seats for Scripted {
    async fn take(&self, worker: &str, _wish: Seat, keep_for: Duration) -> Result<Seat, StoreError> {
        assert_eq!((worker, keep_for), (WORKER, KEPT_FOR));
        self.taken.lock().unwrap().push(self.begun.elapsed());
        self.next().await
    }

    async fn leave(&self, worker: &str) -> Result<(), StoreError> {
        assert_eq!(worker, WORKER);
        self.left.lock().unwrap().push(self.begun.elapsed());
        self.next().await.map(drop)
    }
}

/// The log from level `warn` on, for as long as the guard lives.
fn log_of_this_test() -> (Log, DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(move || writer.clone());
    (log, tracing::subscriber::set_default(subscriber.finish()))
}

#[tokio::test(start_paused = true)]
async fn after_ten_seconds_a_worker_begins_without_a_seat_whether_the_store_fails_or_hangs() {
    for (does, why) in [(Does::Fails, "down"), (Does::Hangs, "the store does not answer")] {
        let ((log, _guard), seats) = (log_of_this_test(), Scripted::new([does]));
        assert!(seats.take(&CancellationToken::new()).await.is_none());
        // Timers count whole milliseconds.
        let took = seats.begun.elapsed();
        assert!(TAKEN_WITHIN <= took && took < TAKEN_WITHIN + Duration::from_millis(5), "{took:?}");
        assert_eq!((log.lines_with("has no seat"), log.lines_with(why)), (1, 1));
        assert!(seats.taken_within(60).await.is_empty(), "something is renewed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_behind_others_that_failed_is_given_up_at_the_same_time() {
    let seats = Scripted::new([Does::Fails, Does::Fails, Does::Hangs]);
    assert!(seats.take(&CancellationToken::new()).await.is_none());
    let took = seats.begun.elapsed();
    assert!(took < TAKEN_WITHIN + Duration::from_millis(5), "{took:?}");
    assert_eq!(seats.taken.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_seat_that_the_store_gives_within_ten_seconds_is_taken() {
    let (log, _guard) = log_of_this_test();
    let seats = Scripted::new([Does::Fails, Does::Fails, Does::Gives(4)]);
    assert_eq!(seats.take(&CancellationToken::new()).await.unwrap().seat, 4);
    assert!(seats.begun.elapsed() < TAKEN_WITHIN);
    assert_eq!(log.lines_with(""), 0);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_seat() {
    for does in [Does::Fails, Does::Hangs] {
        let (seats, shutdown) = (Scripted::new([does]), CancellationToken::new());
        let comes = async {
            sleep(Duration::from_secs(1)).await;
            shutdown.cancel();
        };
        assert!(tokio::join!(seats.take(&shutdown), comes).0.is_none());
        assert!(seats.begun.elapsed() < Duration::from_millis(1_005));
    }
}

#[tokio::test(start_paused = true)]
async fn a_seat_is_renewed_every_five_seconds_until_the_worker_leaves() {
    let seats = Scripted::new([Does::Gives(2)]);
    let seated = seats.take(&CancellationToken::new()).await.unwrap();
    assert_eq!(seats.taken_within(21).await, [5, 10, 15, 20]);
    assert!(seats.left.lock().unwrap().is_empty());
    seated.leave().await;
    assert_eq!(seats.left.lock().unwrap().len(), 1);
    assert!(seats.taken_within(60).await.is_empty());
    assert_eq!(seats.left.lock().unwrap().len(), 1, "it is given back once");
}

#[tokio::test(start_paused = true)]
async fn a_seat_that_is_dropped_is_not_renewed_and_runs_out() {
    let seats = Scripted::new([Does::Gives(2)]);
    drop(seats.take(&CancellationToken::new()).await.unwrap());
    assert!(seats.taken_within(60).await.is_empty());
    assert!(seats.left.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_or_hangs_meanwhile_costs_no_renewal_after_it() {
    let seats = Scripted::new([Does::Gives(2), Does::Fails, Does::Hangs, Does::Gives(2)]);
    let _seated = seats.take(&CancellationToken::new()).await.unwrap();
    // The worker gives up the hanging call when the next renewal is due.
    assert_eq!(seats.taken_within(26).await, [5, 10, 15, 20, 25]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_seat_is_anothers_warns_once() {
    let (log, _guard) = log_of_this_test();
    let seats = Scripted::new([Does::Gives(2), Does::Gives(2), Does::Gives(3), Does::Gives(3), Does::Gives(4)]);
    let seated = seats.take(&CancellationToken::new()).await.unwrap();
    let warnings = || log.lines_with("another worker has this worker's seat");
    seats.taken_within(6).await;
    assert_eq!(warnings(), 0);
    seats.taken_within(5).await;
    assert_eq!(warnings(), 1);
    seats.taken_within(60).await;
    assert_eq!((warnings(), log.lines_with("")), (1, 1));
    assert_eq!(seated.seat, 2, "the priorities of its consumers stay");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_half_a_second_for_a_store_that_does_not_take_the_seat_back() {
    let seats = Scripted::new([Does::Gives(2), Does::Hangs]);
    let seated = seats.take(&CancellationToken::new()).await.unwrap();
    seated.leave().await;
    let took = seats.begun.elapsed();
    assert!(LEFT_WITHIN <= took && took < LEFT_WITHIN + Duration::from_millis(5), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_leaves_does_not_wait_for_a_renewal_that_hangs() {
    let seats = Scripted::new([Does::Gives(2), Does::Hangs, Does::Gives(2)]);
    let seated = seats.take(&CancellationToken::new()).await.unwrap();
    assert_eq!(seats.taken_within(6).await, [5]);
    let begun = Instant::now();
    seated.leave().await;
    assert!(begun.elapsed() < Duration::from_millis(5));
    assert!(seats.taken_within(60).await.is_empty());
}
